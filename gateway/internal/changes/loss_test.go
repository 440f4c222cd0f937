package changes_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestAwayDropsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{Retention: 24 * time.Hour}), w.log(changes.Config{})
	a.append("1")
	w.clock.Advance(12 * time.Hour)
	b.catchUp()
	want(t, "away for half the retention", b, "1")
	a.catchUp()
	a.append("2", "3")
	w.clock.Advance(12*time.Hour + time.Second)
	b.catchUp()
	want(t, "away for longer", b, "1", "DROP")
	a.catchUp()
	b.append("4")
	want(t, "and then", b, "1", "DROP", "4")
	if b.Position() != 3 {
		t.Errorf("position %d, want 3", b.Position())
	}
	w.clock.Advance(13 * time.Hour)
	b.append("5") // an append finds the way back too
	want(t, "an append after being away", b, "1", "DROP", "4", "DROP", "5")
}

// Its next slot is free because it was removed, not because nobody made it.
func TestAppendAfterBeingAwayDoesNotFillAHole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	for _, id := range []string{"1", "2", "3"} {
		a.append(id)
	}
	w.clock.Advance(25 * time.Hour)
	if n, err := a.Trim(t.Context()); n != 2 || err != nil {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	if n := b.append("4"); n != 4 {
		t.Errorf("slot %d, want 4", n)
	}
	want(t, "b", b, "DROP", "4")
	a.catchUp()
	want(t, "a", a, "1", "2", "3", "DROP")
}

func TestTrimKeepsTheLastSlot(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 99, 100, 101, 250} {
		t.Run(strconv.Itoa(slots), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.log(changes.Config{Retention: time.Hour})
			for i := range slots {
				a.append(strconv.Itoa(i))
			}
			w.clock.Advance(time.Hour)
			if n, err := a.Trim(t.Context()); n != 0 || err != nil {
				t.Errorf("within retention: trimmed %d, %v", n, err)
			}
			w.clock.Advance(time.Hour)
			if n, err := a.Trim(t.Context()); n != slots-1 || err != nil {
				t.Errorf("trimmed %d, %v; want %d", n, err, slots-1)
			}
			if _, err := w.store.Sweep(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
			next := w.log(changes.Config{})
			if n := next.append("after"); n != uint64(slots+1) {
				t.Errorf("a new gateway appended slot %d, want %d", n, slots+1)
			}
		})
	}
}

func TestTrimStopsAtTheFirstYoungSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.log(changes.Config{Retention: time.Hour})
	a.append("1")
	a.append("2")
	w.clock.Advance(40 * time.Minute)
	a.catchUp()
	a.append("3")
	w.clock.Advance(40 * time.Minute)
	if n, err := a.Trim(t.Context()); n != 2 || err != nil {
		t.Errorf("trimmed %d, %v; want 2", n, err)
	}
	w.driver.down.Store(true)
	w.clock.Advance(time.Hour)
	if _, err := a.Trim(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Trim = %v, want store.ErrUnavailable", err)
	}
}

// A gateway whose own clock did not move while the others' retention passed.
func TestNextSlotGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	frozen := w.clock.Now()
	a := w.log(changes.Config{Retention: time.Hour})
	b := w.log(changes.Config{Now: func() time.Time { return frozen }})
	for _, id := range []string{"1", "2", "3"} {
		a.append(id)
	}
	w.clock.Advance(2 * time.Hour)
	if n, err := a.Trim(t.Context()); n != 2 || err != nil {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	b.catchUp()
	want(t, "b", b, "DROP")
	b.append("4")
	want(t, "b", b, "DROP", "4")
}

// A backup was restored under a running gateway.
func TestLogBecameShorter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.log(changes.Config{})
	for _, id := range []string{"1", "2", "3"} {
		a.append(id)
	}
	for _, id := range w.slots()[1:] {
		if err := w.driver.Delete(t.Context(), "changes", "-", id, 0); err != nil {
			t.Fatal(err)
		}
	}
	a.catchUp()
	if n := a.append("again"); n != 2 {
		t.Errorf("slot %d, want 2", n)
	}
	want(t, "a", a, "1", "2", "3", "DROP", "again")
}

// A server lost its last slots and has others in their place: as long as before,
// and not the same.
func TestLogWasRewritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	a.append("1")
	a.append("lost")
	b.catchUp()
	if err := w.driver.Delete(t.Context(), "changes", "-", w.slots()[1], 0); err != nil {
		t.Fatal(err)
	}
	c := w.log(changes.Config{})
	c.append("instead")
	b.catchUp()
	want(t, "b", b, "1", "lost", "DROP")
	c.append("3")
	a.append("4")
	b.catchUp()
	want(t, "a", a, "1", "lost", "DROP", "4")
	want(t, "b", b, "1", "lost", "DROP", "3", "4")
}

func TestLogWasEmptied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.log(changes.Config{})
	a.append("1")
	if err := w.store.Purge(t.Context(), "-"); err != nil {
		t.Fatal(err)
	}
	a.catchUp()
	a.append("2")
	want(t, "a", a, "1", "DROP", "2")
	if a.Position() != 1 {
		t.Errorf("position %d, want 1", a.Position())
	}
}

// A server may answer a scan that misses a slot made while it ran, and shows a
// later one.
func TestScanThatMissesASlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	for _, id := range []string{"1", "2", "3"} {
		a.append(id)
	}
	hide := 0 // the place of the slot in the answer
	w.driver.scanned = func(recs []store.Record) []store.Record {
		if len(recs) < 2 || hide < 0 {
			return recs
		}
		out := append(append([]store.Record{}, recs[:hide]...), recs[hide+1:]...)
		hide = -1
		return out
	}
	b.catchUp()
	want(t, "b", b, "1", "2", "3")
	a.append("4")
	a.append("5")
	a.append("6")
	hide = 1
	b.catchUp()
	want(t, "b", b, "1", "2", "3", "4", "5", "6")
}
