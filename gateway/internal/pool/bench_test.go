package pool_test

import (
	"fmt"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// seeded is a pool of n users with cheap hashes.
func seeded(b *testing.B, n int) *world {
	b.Helper()
	w := open(b)
	w.pool("p", nil)
	for i := range n {
		members := fmt.Sprintf(`"id":"u%06d","metadata":{"n":%d},`, i, i) + email(fmt.Sprintf("user%d@example.com", i))
		if i == 0 {
			members += "," + password("right")
		}
		w.user("p", members)
	}
	return w
}

// BenchmarkPasswordCheck is a check without the hash, which package credential
// measures: what a pool adds to a sign-in.
func BenchmarkPasswordCheck(b *testing.B) {
	w := seeded(b, 1000)
	for b.Loop() {
		r, err := w.Users.CheckPassword(b.Context(), tenantID, "p", checking, "user0@example.com", "right")
		if err != nil || !r.Proven() {
			b.Fatal(r.Outcome, err)
		}
	}
}

func BenchmarkUserCreate(b *testing.B) {
	w := seeded(b, 0)
	i := 0
	for b.Loop() {
		w.user("p", email(fmt.Sprintf("user%d@example.com", i)))
		i++
	}
}

func BenchmarkUserList(b *testing.B) {
	w := seeded(b, 5000)
	for name, q := range map[string]pool.Query{"all": {}, "key": {UserKey: "user4321"}, "metadata": {Metadata: map[string]any{"n": "none"}}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Users.List(b.Context(), tenantID, "p", q, store.Page{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
