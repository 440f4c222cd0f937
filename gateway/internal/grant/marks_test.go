package grant_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// A mark of one token is kept no longer than the token would have lived, neither
// in the store nor, once many came after it, in memory.
func TestMarkOfATokenEndsWithIt(t *testing.T) {
	t.Parallel()
	w := &world{now: time.Now()}
	w.store = store.New(storetest.Memory(t), w.clock)
	config := grant.MarksConfig{
		Append: func(context.Context, ...changes.Entry) (uint64, error) { return 0, nil },
		Life:   time.Hour, Now: w.clock,
	}
	var err error
	if w.marks, err = grant.OpenMarks(t.Context(), w.store, config); err != nil {
		t.Fatal(err)
	}
	revoke := func(id string, life time.Duration) {
		t.Helper()
		e := changes.Entry{Kind: changes.KindRevokeToken, Tenant: "t", ID: id, Until: w.clock().Add(life)}
		if err := w.marks.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	dead := func(m *grant.Marks, id string) bool {
		return m.Dead(grant.Ref{Tenant: "t", Workspace: "w", Token: id, Issued: w.clock()})
	}
	revoke("short", time.Minute)
	revoke("long", 30*time.Minute)
	w.pass(2 * time.Minute)
	fresh, err := grant.OpenMarks(t.Context(), w.store, config)
	if err != nil {
		t.Fatal(err)
	}
	if dead(fresh, "short") || !dead(fresh, "long") {
		t.Errorf("after a restart: short %v, long %v", dead(fresh, "short"), dead(fresh, "long"))
	}
	for i := range 1000 {
		revoke(strconv.Itoa(i), time.Minute)
	}
	if dead(w.marks, "short") || !dead(w.marks, "long") || !dead(w.marks, "999") {
		t.Errorf("in memory: short %v, long %v, 999 %v", dead(w.marks, "short"), dead(w.marks, "long"), dead(w.marks, "999"))
	}
}

func BenchmarkDead(b *testing.B) {
	m, err := grant.OpenMarks(b.Context(), store.New(storetest.Memory(b), time.Now), grant.MarksConfig{Life: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	ref := terms.Ref("t", "g", time.Now())
	ref.Token = "j"
	b.ReportAllocs()
	for b.Loop() {
		if m.Dead(ref) {
			b.Fatal("dead")
		}
	}
}
