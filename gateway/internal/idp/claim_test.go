package idp_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// Of creators that race for one pool exactly one wins, with the same id or with
// different ones, and the others are told why.
func TestRacingCreators(t *testing.T) {
	t.Parallel()
	const racers, rounds = 16, 20
	for _, sameID := range []bool{false, true} {
		t.Run(fmt.Sprintf("same id %v", sameID), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for round := range rounds {
				race(t, w, racers, round, sameID)
			}
		})
	}
}

func race(t *testing.T, w *world, racers, round int, sameID bool) {
	t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range racers {
		id := fmt.Sprintf("r%d-%d", round, i)
		if sameID {
			id = "same"
		}
		p := body(t, "acme", "main", fmt.Sprintf(`{"id":%q,"identity_pool_id":"people"}`, id))
		wg.Go(func() {
			<-begin
			_, err := w.keeper.Create(context.Background(), p)
			if err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.Unprocessable) {
				t.Errorf("loser: %v", err)
			}
		})
	}
	close(begin)
	wg.Wait()
	ids := w.ids("acme", "main")
	if won.Load() != 1 || len(ids) != 1 {
		t.Fatalf("round %d: %d winners, %v in the list", round, won.Load(), ids)
	}
	if err := w.keeper.Delete(t.Context(), "acme", "main", ids[0], 0); err != nil {
		t.Fatal(err)
	}
}

// Creators and deleters at once: a list never shows two IDPs of the pool, and
// at the end the pool is free or taken, never stuck.
func TestRacingCreatorsAndDeleters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 8 {
		p := body(t, "acme", "main", fmt.Sprintf(`{"id":"i%d","identity_pool_id":"people"}`, i%4))
		wg.Go(func() {
			for range 40 {
				if _, err := w.keeper.Create(context.Background(), p); err != nil && !fault.Is(err, fault.Unprocessable) && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
				list, err := w.keeper.ListByPool(context.Background(), "acme", "people")
				if err != nil {
					t.Error(err)
				}
				for _, p := range list {
					if err := w.keeper.Delete(context.Background(), "acme", "main", p.ID, 0); err != nil && !fault.Is(err, fault.NotFound) {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, id := range w.ids("acme", "main") {
		if err := w.keeper.Delete(t.Context(), "acme", "main", id, 0); err != nil {
			t.Error(err)
		}
	}
	w.clock.Advance(2 * time.Minute)
	w.create("acme", "main", `{"id":"last","identity_pool_id":"people"}`)
}

// A creator stands still at each of its writes while its lease runs out and
// another one comes: there is one IDP at the end, and each was told the truth.
func TestSlowCreator(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, op, table string
		slowWins        bool
	}{
		{"before its pending IDP", "insert", "idps", false},
		{"before it holds the claim", "replace", "idp_claims", false},
		{"before its IDP is not pending", "replace", "idps", true},
	} {
		for _, otherID := range []string{"slow", "fast"} {
			t.Run(c.name+", other is "+otherID, func(t *testing.T) {
				t.Parallel()
				g := newGate(t, c.op, c.table)
				w := newWorldOn(t, g)
				end := g.begin(w.creation(`{"id":"slow","identity_pool_id":"people"}`))
				w.clock.Advance(2 * time.Minute)
				_, fastErr := w.keeper.Create(t.Context(), body(t, "acme", "main", fmt.Sprintf(`{"id":%q,"identity_pool_id":"people","name":"fast"}`, otherID)))
				slowErr := end()
				if (slowErr == nil) != c.slowWins || (fastErr == nil) == c.slowWins {
					t.Errorf("slow: %v; fast: %v", slowErr, fastErr)
				}
				list, err := w.keeper.List(t.Context(), "acme", "main")
				if err != nil || len(list) != 1 || (list[0].Name == "fast") == c.slowWins {
					t.Errorf("list %v, %v", list, err)
				}
			})
		}
	}
}

// While a creator's lease runs, nobody takes its claim.
func TestLeaseHolds(t *testing.T) {
	t.Parallel()
	g := newGate(t, "replace", "idp_claims")
	w := newWorldOn(t, g)
	end := g.begin(w.creation(`{"id":"slow","identity_pool_id":"people"}`))
	w.clock.Advance(59 * time.Second)
	_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"fast","identity_pool_id":"people"}`))
	want(t, err, fault.Unprocessable, "identity_pool_id")
	_, err = w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"slow","identity_pool_id":"partners"}`))
	want(t, err, fault.Unprocessable, "id")
	if ids := w.ids("acme", "main"); len(ids) != 0 {
		t.Errorf("a pending IDP is in the list: %v", ids)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// An IDP is there as soon as its claim is held: it can be changed and deleted
// before its creator has finished.
func TestThereBeforeFinished(t *testing.T) {
	t.Parallel()
	for _, meanwhile := range []string{"updated", "deleted", "made again"} {
		t.Run(meanwhile, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, "replace", "idps")
			w := newWorldOn(t, g)
			end := g.begin(w.creation(`{"id":"a","identity_pool_id":"people","name":"first"}`))
			if meanwhile != "updated" {
				if err := w.keeper.Delete(t.Context(), "acme", "main", "a", 0); err != nil {
					t.Fatal(err)
				}
				if meanwhile == "made again" {
					w.create("acme", "main", `{"id":"a","identity_pool_id":"partners"}`)
				}
				want(t, end(), fault.NotFound, "")
				w.create("acme", "main", `{"id":"b","identity_pool_id":"people"}`)
				return
			}
			p := body(t, "acme", "main", `{"id":"a","identity_pool_id":"people","name":"second"}`)
			if _, err := w.keeper.Update(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if got, err := w.keeper.Get(t.Context(), "acme", "main", "a"); err != nil || got.Name != "second" {
				t.Errorf("got %q, %v", got.Name, err)
			}
		})
	}
}

// The id of a creator that stopped is free again after its lease, for another
// pool as well; should it go on after all, it must not end up with the other's
// IDP.
func TestSlowCreatorLosesItsID(t *testing.T) {
	t.Parallel()
	g := newGate(t, "replace", "idp_claims")
	w := newWorldOn(t, g)
	end := g.begin(w.creation(`{"id":"slow","identity_pool_id":"people"}`))
	w.clock.Advance(2 * time.Minute)
	w.create("acme", "main", `{"id":"slow","identity_pool_id":"partners"}`)
	want(t, end(), fault.Unprocessable, "identity_pool_id")
	list, err := w.keeper.List(t.Context(), "acme", "main")
	if err != nil || len(list) != 1 || list[0].IdentityPoolID != "partners" {
		t.Errorf("list %v, %v", list, err)
	}
	w.create("acme", "main", `{"id":"next","identity_pool_id":"people"}`)
}

// A deleter that is slow to release the claim must not take away the next
// creator's.
func TestSlowDeleter(t *testing.T) {
	t.Parallel()
	g := newGate(t, "get", "idp_claims")
	w := newWorldOn(t, g)
	w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	end := g.begin(func() error { return w.keeper.Delete(context.Background(), "acme", "main", "a", 0) })
	w.create("acme", "main", `{"id":"b","identity_pool_id":"people"}`)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"c","identity_pool_id":"people"}`))
	want(t, err, fault.Unprocessable, "identity_pool_id")
}

// The process ends at each call of a creation and of a deletion, before or
// after the call took effect. Afterwards the pool has at most one IDP, and once
// the lease is over it can be given one, with the same id or another.
func TestProcessEndsHalfway(t *testing.T) {
	t.Parallel()
	for _, deleting := range []bool{false, true} {
		for _, effect := range []bool{false, true} {
			for _, nextID := range []string{"a", "b"} {
				for n := 1; n <= 7; n++ {
					t.Run(fmt.Sprintf("deleting %v, effect %v, next %s, call %d", deleting, effect, nextID, n), func(t *testing.T) {
						t.Parallel()
						endHalfway(t, deleting, effect, nextID, n)
					})
				}
			}
		}
	}
}

func endHalfway(t *testing.T, deleting, effect bool, nextID string, n int) {
	t.Helper()
	d := &dying{Driver: storetest.Memory(t), effect: effect}
	d.left.Store(1 << 30)
	w := newWorldOn(t, d)
	first := body(t, "acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	var err error
	if deleting {
		w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
		d.left.Store(int64(n))
		err = w.keeper.Delete(t.Context(), "acme", "main", "a", 0)
	} else {
		d.left.Store(int64(n))
		_, err = w.keeper.Create(t.Context(), first)
	}
	d.left.Store(1 << 30) // the next process
	d.stopped.Store(false)
	ids := w.ids("acme", "main")
	if gone := len(ids) == 0; err == nil && gone != deleting {
		t.Fatalf("it was done, and the list is %v", ids)
	}
	w.clock.Advance(2 * time.Minute)
	for _, id := range w.ids("acme", "main") {
		_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"second","identity_pool_id":"people"}`))
		want(t, err, fault.Unprocessable, "identity_pool_id")
		if err := w.keeper.Delete(t.Context(), "acme", "main", id, 0); err != nil {
			t.Fatal(err)
		}
	}
	w.create("acme", "main", fmt.Sprintf(`{"id":%q,"identity_pool_id":"people"}`, nextID))
	if ids := w.ids("acme", "main"); len(ids) != 1 || ids[0] != nextID {
		t.Errorf("the list is %v", ids)
	}
}

// A workspace or pool that goes while an IDP is made takes the IDP with it.
func TestParentGoesMeanwhile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		gone func(*world)
		kind fault.Kind
	}{
		{"workspace deleted", func(w *world) { w.set("acme/main", "") }, fault.NotFound},
		{"workspace made again", func(w *world) { w.set("acme/main", "w9") }, fault.Conflict},
		{"pool deleted", func(w *world) {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.pools, "acme/people")
		}, fault.Unprocessable},
		{"pool made again", func(w *world) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.pools["acme/people"] = idp.Pool{Name: "People", Epoch: "p9"}
		}, fault.Conflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, "insert", "idps")
			w := newWorldOn(t, g)
			end := g.begin(w.creation(`{"id":"a","identity_pool_id":"people"}`))
			c.gone(w)
			if err := end(); !fault.Is(err, c.kind) {
				t.Errorf("error %v, want kind %d", err, c.kind)
			}
			w.set("acme/main", "w1")
			if ids := w.ids("acme", "main"); len(ids) != 0 {
				t.Errorf("left %v", ids)
			}
		})
	}
}
