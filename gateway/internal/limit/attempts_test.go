package limit_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

type world struct {
	*limit.Attempts
	t     testing.TB
	clock *storetest.Clock
	fault *storetest.Faulty
	store *store.Store
	rule  func(tenant, kind string) (limit.Rule, error)
}

func newWorld(t testing.TB, rule limit.Rule) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), fault: storetest.NewFaulty(storetest.Memory(t))}
	w.rule = func(string, string) (limit.Rule, error) { return rule, nil }
	w.store = store.New(w.fault, w.clock.Now)
	w.Attempts = w.open(limit.AttemptsConfig{
		Rule: func(_ context.Context, tenant, kind string) (limit.Rule, error) { return w.rule(tenant, kind) },
		Now:  w.clock.Now,
	})
	return w
}

func (w *world) open(c limit.AttemptsConfig) *limit.Attempts {
	w.t.Helper()
	a, err := limit.OpenAttempts(w.t.Context(), w.store, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// takes expects n attempts to pass.
func (w *world) takes(key string, n int) {
	w.t.Helper()
	for i := range n {
		if err := w.Take(w.t.Context(), "acme", "password", key); err != nil {
			w.t.Fatalf("attempt %d of %d for %s: %v", i+1, n, key, err)
		}
	}
}

// refused expects an attempt to be refused for so long.
func (w *world) refused(key string, after time.Duration) {
	w.t.Helper()
	err := w.Take(w.t.Context(), "acme", "password", key)
	if !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != after {
		w.t.Fatalf("attempt for %s = %v (after %v), want fault.TooMany after %v", key, err, fault.Read(err), after)
	}
}

func TestAttemptsBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 3, Window: time.Hour, Block: 10 * time.Minute})
	w.takes("alice", 3)
	w.refused("alice", 10*time.Minute)
	w.clock.Advance(4 * time.Minute)
	w.refused("alice", 6*time.Minute) // trying on does not prolong it
	w.takes("bob", 3)
	w.clock.Advance(6 * time.Minute)
	w.takes("alice", 3) // served: a new window
	w.refused("alice", 10*time.Minute)
}

func TestAttemptsWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 3, Window: time.Hour})
	w.takes("alice", 2)
	w.clock.Advance(59 * time.Minute)
	w.takes("alice", 1)
	w.refused("alice", time.Minute) // no block of its own: until the window ends
	w.clock.Advance(time.Minute)
	w.takes("alice", 3)
	w.refused("alice", time.Hour)
}

func TestAttemptsDefaultRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{})
	w.Attempts = w.open(limit.AttemptsConfig{Now: w.clock.Now})
	w.takes("alice", 5)
	w.refused("alice", time.Minute)
}

func TestAttemptsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 1, Block: time.Hour})
	ctx := t.Context()
	w.takes("alice", 1)
	for _, other := range [][3]string{{"acme", "otp", "alice"}, {"other", "password", "alice"}, {"acme", "password", "alice/"}, {"acme", "password", "ALICE"}, {"acme", "password", strings.Repeat("x", 100_000)}} {
		if err := w.Take(ctx, other[0], other[1], other[2]); err != nil {
			t.Errorf("%.60q: %v", other, err)
		}
	}
	w.refused("alice", time.Hour)
}

func TestAttemptsClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 2, Block: time.Hour})
	w.takes("alice", 2)
	for range 2 { // the second finds nothing
		if err := w.Clear(t.Context(), "acme", "password", "alice"); err != nil {
			t.Fatal(err)
		}
	}
	w.takes("alice", 2)
	w.refused("alice", time.Hour)
}

func TestAttemptsRuleChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 5, Block: time.Hour})
	w.takes("alice", 4)
	w.rule = func(string, string) (limit.Rule, error) { return limit.Rule{Max: 2, Block: time.Minute}, nil }
	w.refused("alice", time.Minute)
	w.rule = func(string, string) (limit.Rule, error) { return limit.Rule{Max: 0}, nil }
	w.takes("alice", 100) // switched off
	w.rule = func(string, string) (limit.Rule, error) { return limit.Rule{}, errors.New("no rule") }
	if err := w.Take(t.Context(), "acme", "password", "alice"); err == nil {
		t.Error("an attempt without a rule passed")
	}
}

// Many guesses at the same moment: exactly Max pass.
func TestAttemptsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 7, Block: time.Hour})
	other := w.open(limit.AttemptsConfig{ // a second gateway
		Rule: func(context.Context, string, string) (limit.Rule, error) {
			return limit.Rule{Max: 7, Block: time.Hour}, nil
		},
		Now: w.clock.Now,
	})
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		a := []*limit.Attempts{w.Attempts, other}[i%2]
		wg.Go(func() {
			err := a.Take(t.Context(), "acme", "password", "alice")
			if err == nil {
				passed.Add(1)
			} else if !fault.Is(err, fault.TooMany) {
				t.Errorf("Take = %v", err)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 7 {
		t.Errorf("%d attempts passed, want 7", passed.Load())
	}
}

func TestAttemptsStoreDown(t *testing.T) {
	t.Parallel()
	for _, op := range []string{storetest.OpGet, storetest.OpInsert, storetest.OpReplace, storetest.OpDelete} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, limit.Rule{Max: 5, Block: time.Hour})
			if op == storetest.OpReplace {
				w.takes("alice", 1)
			}
			w.fault.Fail(op, "attempts", 1, nil)
			err := w.Take(t.Context(), "acme", "password", "alice")
			if op == storetest.OpDelete {
				err = w.Clear(t.Context(), "acme", "password", "alice")
			}
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v, want store.ErrUnavailable", err)
			}
		})
	}
}

func TestAttemptsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limit.Rule{Max: 1, Window: time.Minute, Block: time.Hour})
	w.takes("alice", 1)
	w.refused("alice", time.Hour)
	w.takes("bob", 1)
	sweep := func(want int) {
		t.Helper()
		gone, err := w.store.Sweep(t.Context(), 100)
		if err != nil || gone["attempts"] != want {
			t.Errorf("swept %v, %v; want %d", gone, err, want)
		}
	}
	w.clock.Advance(59 * time.Minute)
	sweep(1) // bob's window is over, alice is still refused
	w.refused("alice", time.Minute)
	w.clock.Advance(time.Minute)
	sweep(1)
}

func BenchmarkAttemptsTake(b *testing.B) {
	w := newWorld(b, limit.Rule{Max: 1 << 60, Block: time.Hour})
	b.ReportAllocs()
	for b.Loop() {
		w.takes("alice", 1)
	}
}

// What a flood of guesses costs once it is refused.
func BenchmarkAttemptsRefused(b *testing.B) {
	w := newWorld(b, limit.Rule{Max: 1, Block: time.Hour})
	w.takes("alice", 1)
	b.ReportAllocs()
	for b.Loop() {
		w.refused("alice", time.Hour)
	}
}
