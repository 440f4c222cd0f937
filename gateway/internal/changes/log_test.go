package changes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func want(t *testing.T, what string, f *follower, ids ...string) {
	t.Helper()
	if diff := cmp.Diff(ids, f.got); diff != "" {
		t.Errorf("%s saw (-want +got):\n%s", what, diff)
	}
}

func TestAppendIsAppliedHereAtOnceAndThereInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	if n := a.append("1", "2"); n != 1 {
		t.Errorf("first slot = %d, want 1", n)
	}
	want(t, "a", a, "1", "2")
	b.append("3") // reads slot 1 first
	want(t, "b", b, "1", "2", "3")
	a.append("4")
	want(t, "a", a, "1", "2", "3", "4")
	b.catchUp()
	b.catchUp() // exactly once
	want(t, "b", b, "1", "2", "3", "4")
	if a.Position() != 3 || b.Position() != 3 {
		t.Errorf("positions = %d, %d; want 3", a.Position(), b.Position())
	}
	if n, err := a.Append(t.Context()); n != 3 || err != nil || len(w.slots()) != 3 {
		t.Errorf("appending nothing = %d, %v", n, err)
	}
	late := w.log(changes.Config{})
	late.catchUp()
	want(t, "one who came late", late)
	if late.Position() != 3 {
		t.Errorf("it stands at %d, want 3", late.Position())
	}
}

func TestEntriesArriveAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	at := w.clock.Now().Add(-time.Minute)
	in := []changes.Entry{
		{Kind: changes.KindRevokeUser, Tenant: "acme", ID: "people/alice", At: at},
		{Kind: changes.KindWorkspace, Tenant: "acme", Workspace: "shop", ID: "shop"},
	}
	var got []changes.Entry
	b.Subscribe(func(e []changes.Entry) { got = append(got, e...) })
	if _, err := a.Append(t.Context(), in...); err != nil {
		t.Fatal(err)
	}
	b.catchUp()
	in[1].At = w.clock.Now() // filled in
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if !got[0].Revocation() || got[1].Revocation() {
		t.Error("Revocation does not tell the two apart")
	}
}

// Three gateways append as fast as they can: one gapless order, the same for
// all, every entry once, each writer's own order kept.
func TestGaplessUnderThreeAppenders(t *testing.T) {
	t.Parallel()
	const gateways, writers, each = 3, 4, 40
	w := newWorld(t)
	logs := make([]*follower, gateways)
	for i := range logs {
		logs[i] = w.log(changes.Config{})
	}
	var wg sync.WaitGroup
	for g, l := range logs {
		for k := range writers {
			wg.Go(func() {
				last := uint64(0)
				for n := range each {
					at, err := l.Append(t.Context(), entries(fmt.Sprintf("%d.%d.%03d", g, k, n))...)
					if err != nil || at <= last {
						t.Errorf("append = %d after %d, %v", at, last, err)
					}
					last = at
				}
			})
		}
	}
	wg.Wait()
	for _, l := range logs {
		l.catchUp()
	}
	if len(logs[0].got) != gateways*writers*each {
		t.Errorf("%d entries, want %d", len(logs[0].got), gateways*writers*each)
	}
	last := map[string]string{}
	for _, id := range logs[0].got {
		writer := id[:4]
		if id <= last[writer] {
			t.Errorf("%s came after %s", id, last[writer])
		}
		last[writer] = id
	}
	for _, l := range logs[1:] {
		if diff := cmp.Diff(logs[0].got, l.got); diff != "" {
			t.Errorf("two gateways saw different orders:\n%s", diff)
		}
	}
	slots := w.slots()
	for i, id := range slots {
		if n, err := strconv.Atoi(id); err != nil || n != i+1 {
			t.Fatalf("slot %d is %s", i+1, id)
		}
	}
	if logs[0].Position() != uint64(len(slots)) {
		t.Errorf("position %d, %d slots", logs[0].Position(), len(slots))
	}
}

func TestConcurrentAppendsShareASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		w.driver.before = func(store.Record) { <-release }
		l := w.log(changes.Config{})
		var wg sync.WaitGroup
		wg.Go(func() { l.append("first") })
		synctest.Wait()
		positions := make([]uint64, 50)
		for i := range positions {
			wg.Go(func() { positions[i] = l.append(strconv.Itoa(i)) })
		}
		wg.Go(func() { l.append(make([]string, 300)...) }) // more than one group is meant to hold
		synctest.Wait()
		close(release)
		wg.Wait()
		l.append("last")
		if n := w.driver.inserts.Load(); n > 4 {
			t.Errorf("53 appends took %d writes, want 3 or 4", n)
		}
		for i, p := range positions {
			if p != 2 && p != 3 {
				t.Errorf("append %d got slot %d", i, p)
			}
		}
		if len(l.got) != 352 {
			t.Errorf("%d entries were applied, want 352", len(l.got))
		}
	})
}

func TestAppendFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	a.append("1")
	w.driver.down.Store(true)
	if _, err := a.Append(t.Context(), entries("lost")...); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("append = %v, want store.ErrUnavailable", err)
	}
	want(t, "a", a, "1")
	w.driver.down.Store(false)
	a.append("2")
	b.catchUp()
	want(t, "b", b, "1", "2")
	if n := len(w.slots()); n != 2 {
		t.Errorf("%d slots, want 2", n)
	}
}

// The write took effect and its answer was lost: the caller hears an error, and
// the log is none the worse.
func TestAppendFailsAfterTheWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	w.driver.inserted = func(store.Record, error) error { return errDown }
	if _, err := a.Append(t.Context(), entries("1")...); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("append = %v, want store.ErrUnavailable", err)
	}
	w.driver.inserted = nil
	a.append("2")
	b.catchUp()
	want(t, "a", a, "1", "2")
	want(t, "b", b, "1", "2")
}

func TestAppendCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.log(changes.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	w.driver.before = func(store.Record) { cancel() }
	if _, err := a.Append(ctx, entries("1")...); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("append = %v", err)
	}
	if _, err := a.Append(ctx, entries("never")...); !errors.Is(err, context.Canceled) {
		t.Errorf("append for a caller who is gone = %v", err)
	}
	a.append("2") // waits for the turn, so the first is written
	want(t, "a", a, "1", "2")
}

func TestStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.log(changes.Config{MaxStale: 10 * time.Second})
	check := func(what string, stale time.Duration, fresh bool) {
		t.Helper()
		err := l.Fresh()
		if l.Stale() != stale || (err == nil) != fresh {
			t.Errorf("%s: stale %v, fresh %v; want %v, %v", what, l.Stale(), err, stale, fresh)
		}
		if err != nil && (!fault.Is(err, fault.Unavailable) || fault.Read(err).RetryAfter == 0) {
			t.Errorf("%s: %v, want fault.Unavailable with RetryAfter", what, err)
		}
	}
	check("at the start", 0, true)
	w.driver.down.Store(true)
	if err := l.CatchUp(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("CatchUp = %v, want store.ErrUnavailable", err)
	}
	check("just failed", 0, true)
	w.clock.Advance(10 * time.Second)
	_ = l.CatchUp(t.Context())
	check("after ten seconds", 10*time.Second, true)
	w.clock.Advance(time.Millisecond)
	check("longer", 10*time.Second+time.Millisecond, false)
	w.driver.down.Store(false)
	l.catchUp()
	check("back", 0, true)
	w.clock.Advance(time.Minute)
	check("nobody reads", time.Minute, false)
	l.append("1")
	check("a write reaches the end too", 0, true)
	want(t, "it", l, "1") // away for a minute only: nothing is dropped
}

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

func TestManySlotsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.log(changes.Config{}), w.log(changes.Config{})
	var ids []string
	for i := range 350 {
		ids = append(ids, strconv.Itoa(i))
		a.append(ids[i])
	}
	w.driver.scans.Store(0)
	b.catchUp()
	want(t, "b", b, ids...)
	if n := w.driver.scans.Load(); n > 5 {
		t.Errorf("350 slots took %d scans", n)
	}
}

func TestSubscriberThatPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var text strings.Builder
	a := w.log(changes.Config{Log: slog.New(slog.NewTextHandler(&text, nil))})
	var drops, calls int
	a.Subscribe(func(e []changes.Entry) {
		if e == nil {
			drops++
			return
		}
		if calls++; calls == 1 {
			panic("broken cache")
		}
	})
	last := 0
	a.Subscribe(func([]changes.Entry) { last++ })
	a.append("1")
	a.append("2")
	want(t, "the one before it", a, "1", "2")
	if drops != 1 || calls != 2 || last != 2 {
		t.Errorf("%d drops, %d calls, %d calls of the one after it; want 1, 2, 2", drops, calls, last)
	}
	if !strings.Contains(text.String(), "broken cache") {
		t.Errorf("log: %s", text.String())
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log(changes.Config{})
	w.driver.down.Store(true)
	if _, err := changes.Open(t.Context(), w.store, changes.Config{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open = %v, want store.ErrUnavailable", err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var text strings.Builder
		a := w.log(changes.Config{Now: time.Now})
		b := w.log(changes.Config{Now: time.Now, Retention: 10 * time.Minute, Log: slog.New(slog.NewTextHandler(&text, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		a.append("1")
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		want(t, "b, half a second later", b, "1")

		w.driver.down.Store(true)
		<-time.After(11 * time.Second)
		if err := b.Fresh(); err == nil {
			t.Error("eleven seconds without the store are fresh")
		}
		w.driver.down.Store(false)
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		if err := b.Fresh(); err != nil {
			t.Errorf("the store is back: %v", err)
		}
		if n := strings.Count(text.String(), "cannot be read"); n != 1 {
			t.Errorf("logged %d times, want once: %s", n, text.String())
		}
		if !strings.Contains(text.String(), "read again") {
			t.Errorf("the log does not say that it is over: %s", text.String())
		}

		a.catchUp()
		<-time.After(21 * time.Minute) // b trims
		a.catchUp()
		a.append("2")
		<-time.After(time.Second)
		synctest.Wait()
		want(t, "b, much later", b, "1", "2")
		if n := len(w.slots()); n != 2 {
			t.Errorf("%d slots, want 2: the last one was kept, the new one follows", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := newWorld(b).log(changes.Config{Now: time.Now})
	b.ReportAllocs()
	for b.Loop() {
		l.append("1")
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	w := newWorld(b)
	l := w.log(changes.Config{Now: time.Now})
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.append("1")
		}
	})
	b.ReportMetric(float64(b.N)/float64(w.driver.inserts.Load()), "entries/slot")
}

// What every idle gateway asks twice a second.
func BenchmarkPollIdle(b *testing.B) {
	l := newWorld(b).log(changes.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now})
	l.append("1")
	b.ReportAllocs()
	for b.Loop() {
		l.catchUp()
	}
}
