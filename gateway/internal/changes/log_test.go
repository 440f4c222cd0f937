package changes_test

import (
	"context"
	"errors"
	"fmt"
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
