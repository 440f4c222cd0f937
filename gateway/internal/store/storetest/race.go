package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// race runs fn in n goroutines that begin together and counts the results.
func race(n int, fn func(i int) error) map[string]int {
	var mu sync.Mutex
	var ready, done sync.WaitGroup
	results := map[string]int{}
	gun := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-gun
			err := fn(i)
			mu.Lock()
			defer mu.Unlock()
			results[outcome(err)]++
		})
	}
	ready.Wait()
	close(gun)
	done.Wait()
	return results
}

func outcome(err error) string {
	for _, known := range []error{store.ErrExists, store.ErrStale, store.ErrNotFound} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return err.Error()
	}
	return "won"
}

// rounds is how often a race is run.
func (h Harness) rounds() int {
	if h.Caps.Smaller != "" {
		return 5
	}
	return 25
}

const racers = 64

func testRaceCreate(t *testing.T, h Harness) {
	k := open(t, h)
	for round := range h.rounds() {
		id := fmt.Sprint(round)
		got := race(racers, func(i int) error {
			_, err := k.items.Create(k.ctx, "t", id, item{Number: int64(i)})
			return err
		})
		same(t, "outcomes", got, map[string]int{"won": 1, store.ErrExists.Error(): racers - 1})
	}
}

// A record that has expired counts as absent, for exactly one of those who want
// its id.
func testRaceExpired(t *testing.T, h Harness) {
	k := open(t, h)
	twice := 0
	for round := range h.rounds() {
		id := fmt.Sprint(round)
		k.create(id, item{Expires: k.clock.Now().Add(time.Second)})
		k.clock.Advance(2 * time.Second)
		got := race(racers, func(i int) error {
			_, err := k.items.Create(k.ctx, "t", id, item{Number: int64(i)})
			return err
		})
		if h.Caps.NoAtomicUpdates != "" && got["won"] > 1 {
			twice++
			continue
		}
		same(t, "outcomes", got, map[string]int{"won": 1, store.ErrExists.Error(): racers - 1})
	}
	if h.Caps.NoAtomicUpdates != "" {
		t.Logf("%s: more than one creator won in %d of %d rounds", h.Server, twice, h.rounds())
		t.Skipf("could not show that one creator wins after expiry: %s", h.Caps.NoAtomicUpdates)
	}
}

// Swaps and updates of one counter by many lose nothing.
func testRaceSwap(t *testing.T, h Harness) {
	k := open(t, h)
	const each = 10
	k.create("counter", item{})
	got := race(racers/4, func(int) error {
		for range each {
			if _, err := k.items.Update(k.ctx, "t", "counter", func(v *item) error { v.Number++; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "outcomes", got, map[string]int{"won": racers / 4})
	row, err := k.items.Get(k.ctx, "t", "counter")
	k.must(err)
	if h.Caps.NoAtomicUpdates != "" {
		t.Logf("%s: of %d updates %d were lost", h.Server, each*racers/4, each*racers/4-row.Value.Number)
		t.Skipf("could not show that racing updates lose nothing: %s", h.Caps.NoAtomicUpdates)
	}
	same(t, "counter", row.Value.Number, int64(each*racers/4))

	for round := range h.rounds() {
		row := k.create(fmt.Sprint(round), item{})
		got := race(racers, func(i int) error {
			if i%2 == 1 {
				return k.items.DeleteIf(k.ctx, "t", row.ID, row.Rev)
			}
			_, err := k.items.Swap(k.ctx, "t", row.ID, row.Rev, item{Number: int64(i)})
			return err
		})
		same(t, "winners among swaps and deletes", got["won"], 1)
		same(t, "all answered", got["won"]+got[store.ErrStale.Error()]+got[store.ErrNotFound.Error()], racers)
	}
}

func testRaceTake(t *testing.T, h Harness) {
	k := open(t, h)
	for round := range h.rounds() {
		id := fmt.Sprint(round)
		k.create(id, item{Name: id})
		got := race(racers, func(int) error {
			row, err := k.items.Take(k.ctx, "t", id)
			if err == nil && row.Value.Name != id {
				return fmt.Errorf("took %q", row.Value.Name)
			}
			return err
		})
		same(t, "outcomes", got, map[string]int{"won": 1, store.ErrNotFound.Error(): racers - 1})
	}
}
