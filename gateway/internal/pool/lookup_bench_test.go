package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// BenchmarkLookup finds users by an identifier, as a sign-in does before it
// hashes, in pools of very different size on a file. That the larger is not
// slower is a promise of the package.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			k := crowd(b, n)
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				if _, err := k.Users.ByIdentifier(b.Context(), "t", "p", nth(r.IntN(n))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func nth(i int) string { return fmt.Sprintf("user%d@example.com", i) }

// crowd is a pool of n users, written straight into the store.
func crowd(b *testing.B, n int) *Keeper {
	b.Helper()
	driver, err := embedded.Open(embedded.Config{Path: filepath.Join(b.TempDir(), "crowd.db")})
	if err != nil {
		b.Fatal(err)
	}
	s := store.New(driver, time.Now)
	b.Cleanup(func() { _ = s.Close() })
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		b.Fatal(err)
	}
	k, err := Open(b.Context(), s, Config{Ring: ring})
	if err != nil {
		b.Fatal(err)
	}
	if err := k.Schemas.Seed(b.Context(), "t"); err != nil {
		b.Fatal(err)
	}
	made, err := k.Pools.Create(b.Context(), "t", Input{Pool: Pool{ID: "p", Name: "Crowd"}})
	if err != nil {
		b.Fatal(err)
	}
	p, err := k.Pools.Get(b.Context(), "t", made.ID)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 2000
	for from := 0; from < n; from += batch {
		var claims []store.Item[claim]
		var users []store.Item[User]
		for i := from; i < min(from+batch, n); i++ {
			u := User{
				ID: fmt.Sprintf("%032x", i), TenantID: "t", PoolID: "p", PoolEpoch: p.Epoch, Epoch: vault.NewID(), Status: StatusActive,
				Payload:     []byte(`{"given_name":"Some","family_name":"Body","name":"Some Body"}`),
				Identifiers: []Identifier{{ID: vault.NewID(), Type: Email, Value: nth(i), Key: nth(i)}},
				Credentials: []Credential{{ID: vault.NewID(), Type: TypePassword, Hash: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWhhc2hzb21laGFzaHNvbWVoYXNoc29tZWhhc2g"}},
			}
			c := claim{Space: p.Epoch, Key: nth(i), Owner: u.ID, State: held}
			claims = append(claims, store.Item[claim]{ID: c.id(), Value: c})
			users = append(users, store.Item[User]{ID: store.ID(p.Epoch, u.ID), Value: u})
		}
		if err := write(b.Context(), k, claims, users); err != nil {
			b.Fatal(err)
		}
	}
	return k
}

func write(ctx context.Context, k *Keeper, claims []store.Item[claim], users []store.Item[User]) error {
	return errors.Join(errors.Join(k.Users.records.claims.table.CreateMany(ctx, "t", claims)...), errors.Join(k.Users.table.CreateMany(ctx, "t", users)...))
}
