package limit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
)

// hold occupies a place of the gate until the returned function is called.
func hold(t *testing.T, g *limit.Gate) (release func()) {
	t.Helper()
	done, in := make(chan struct{}), make(chan struct{})
	go func() {
		if err := g.Do(context.Background(), "holder", func() { close(in); <-done }); err != nil {
			t.Errorf("hold: %v", err)
		}
	}()
	<-in
	return func() { close(done) }
}

// record collects what ran in which order, and how each call ended.
type record struct {
	mu   sync.Mutex
	ran  []string
	errs map[string]error
}

func (r *record) enter(ctx context.Context, g *limit.Gate, tenant, name string) {
	go func() {
		err := g.Do(ctx, tenant, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ran = append(r.ran, name)
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.errs == nil {
			r.errs = map[string]error{}
		}
		r.errs[name] = err
	}()
	synctest.Wait() // one after the other
}

func wantLoad(t *testing.T, g *limit.Gate, running, waiting int) {
	t.Helper()
	if r, w := g.Load(); r != running || w != waiting {
		t.Errorf("load = %d running, %d waiting; want %d, %d", r, w, running, waiting)
	}
}

func TestGateIsFairByTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.Config{Parallel: 1})
		release := hold(t, g)
		var r record
		for _, name := range []string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"} {
			r.enter(t.Context(), g, name[:1], name)
		}
		wantLoad(t, g, 1, 7)
		release()
		synctest.Wait()
		if diff := cmp.Diff([]string{"a1", "b1", "c1", "a2", "b2", "a3", "a4"}, r.ran); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		wantLoad(t, g, 0, 0)
	})
}

func TestGateLateTenantWaitsOneRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.Config{Parallel: 1})
		first := hold(t, g)
		var r record
		block, in := make(chan struct{}), make(chan struct{})
		go func() { _ = g.Do(t.Context(), "a", func() { close(in); <-block }) }()
		synctest.Wait()
		for _, name := range []string{"a2", "a3", "b1", "b2"} {
			r.enter(t.Context(), g, name[:1], name)
		}
		first()
		<-in // a1 runs, b is next
		r.enter(t.Context(), g, "c", "c1")
		close(block)
		synctest.Wait()
		if diff := cmp.Diff([]string{"b1", "a2", "c1", "b2", "a3"}, r.ran); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestGateFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.Config{Parallel: 1, Queue: 4, Wait: 3 * time.Second})
		release := hold(t, g)
		var r record
		for _, name := range []string{"a1", "a2", "a3", "a4", "a5"} {
			r.enter(t.Context(), g, "a", name)
		}
		err := r.errs["a5"]
		if !fault.Is(err, fault.Unavailable) || fault.Read(err).RetryAfter != 3*time.Second {
			t.Errorf("over a full queue: %v, want fault.Unavailable after 3 s", err)
		}
		// A flood of one tenant does not lock the others out.
		for _, name := range []string{"b1", "b2", "b3"} {
			r.enter(t.Context(), g, "b", name)
		}
		var out []string
		for name, err := range r.errs {
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", name, err)
			}
			out = append(out, name)
		}
		slices.Sort(out)
		if diff := cmp.Diff([]string{"a3", "a4", "a5", "b3"}, out); diff != "" {
			t.Errorf("turned away (-want +got):\n%s", diff)
		}
		release()
		synctest.Wait()
		if diff := cmp.Diff([]string{"a1", "b1", "a2", "b2"}, r.ran); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		wantLoad(t, g, 0, 0)
	})
}

func TestGateWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.Config{Parallel: 1})
		release := hold(t, g)
		start := time.Now()
		err := g.Do(t.Context(), "a", func() { t.Error("ran") })
		if !fault.Is(err, fault.Unavailable) || fault.Read(err).RetryAfter <= 0 {
			t.Errorf("Do = %v, want fault.Unavailable with RetryAfter", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("waited %v, want 2s", took)
		}
		wantLoad(t, g, 1, 0)
		release()
		synctest.Wait()
		if err := g.Do(t.Context(), "a", func() {}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestGateCancelledWaitersLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.Config{Parallel: 1})
		release := hold(t, g)
		var r record
		ctx, cancel := context.WithCancel(t.Context())
		for _, name := range []string{"a1", "b1", "c1"} {
			r.enter(t.Context(), g, name[:1], name)
			r.enter(ctx, g, name[:1], name+"gone")
		}
		r.enter(ctx, g, "d", "d1gone")
		cancel()
		synctest.Wait()
		wantLoad(t, g, 1, 3)
		for name, err := range r.errs {
			if !errors.Is(err, context.Canceled) || !strings.HasSuffix(name, "gone") {
				t.Errorf("%s: %v", name, err)
			}
		}
		release()
		synctest.Wait()
		if diff := cmp.Diff([]string{"a1", "b1", "c1"}, r.ran); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if err := g.Do(ctx, "a", func() { t.Error("ran for a caller who is gone") }); !errors.Is(err, context.Canceled) {
			t.Errorf("Do = %v, want context.Canceled", err)
		}
	})
}

func TestGateSurvivesPanic(t *testing.T) {
	t.Parallel()
	g := limit.NewGate(limit.Config{Parallel: 1, Queue: -1})
	func() {
		defer func() { _ = recover() }()
		_ = g.Do(t.Context(), "a", func() { panic("hash") })
	}()
	if err := g.Do(t.Context(), "a", func() {}); err != nil {
		t.Errorf("the place was lost: %v", err)
	}
}

// Many callers with short patience: never more than Parallel at once, no place
// is lost, every call ends one way.
func TestGateStorm(t *testing.T) {
	t.Parallel()
	g := limit.NewGate(limit.Config{Parallel: 3, Queue: 20, Wait: time.Millisecond})
	var running, most, ran, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*100*time.Microsecond)
				err := g.Do(ctx, string(rune('a'+i%5)), func() {
					now := running.Add(1)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					running.Add(-1)
				})
				cancel()
				switch {
				case err == nil:
					ran.Add(1)
				case fault.Is(err, fault.Unavailable), errors.Is(err, context.DeadlineExceeded):
					refused.Add(1)
				default:
					t.Errorf("Do = %v", err)
				}
			}
		})
	}
	wg.Wait()
	wantLoad(t, g, 0, 0)
	if most.Load() > 3 || ran.Load() == 0 || ran.Load()+refused.Load() != 64*200 {
		t.Errorf("%d at once, %d ran, %d refused", most.Load(), ran.Load(), refused.Load())
	}
}

func BenchmarkGateFree(b *testing.B) {
	g := limit.NewGate(limit.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Do(b.Context(), "a", func() {}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGateContended(b *testing.B) {
	g := limit.NewGate(limit.Config{Parallel: 1, Queue: 10_000, Wait: time.Minute})
	tenants := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		tenant := tenants[int(n.Add(1))%len(tenants)]
		for pb.Next() {
			if err := g.Do(b.Context(), tenant, func() {}); err != nil {
				b.Error(err)
			}
		}
	})
}
