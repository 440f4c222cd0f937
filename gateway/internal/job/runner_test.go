package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/job"
)

// half is the middle of the jitter: half a period at first, then whole ones.
func half() float64 { return 0.5 }

// start runs r until the test's clock has moved by d, and returns when Run has.
func start(t *testing.T, r *job.Runner, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// times notes when something happened, in seconds of the test.
type times struct {
	mu    sync.Mutex
	began time.Time
	at    []float64
}

func newTimes() *times { return &times{began: time.Now()} }

func (n *times) note() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = append(n.at, time.Since(n.began).Seconds())
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, short, long := job.New(nil), newTimes(), newTimes()
		r.Random = half
		r.Add("short", 2*time.Second, func(context.Context) error { short.note(); return nil })
		r.Add("long", time.Hour, func(context.Context) error { long.note(); return nil })
		start(t, r, 8*time.Second)
		if diff := cmp.Diff([]float64{1, 3, 5, 7}, short.at); diff != "" {
			t.Errorf("every two seconds (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]float64{5}, long.at); diff != "" {
			t.Errorf("hourly, first soon after the start (-want +got):\n%s", diff)
		}
	})
}

func TestJitterStaysNearThePeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, runs := job.New(nil), newTimes()
		r.Add("a", time.Second, func(context.Context) error { runs.note(); return nil })
		start(t, r, 1000*time.Second)
		different := false
		for i, at := range runs.at {
			if i == 0 {
				if at >= 1 {
					t.Errorf("first after %v", at)
				}
				continue
			}
			gap := at - runs.at[i-1]
			if gap < 0.9-1e-6 || gap > 1.1+1e-6 {
				t.Errorf("run %d after %v", i, gap)
			}
			different = different || gap < 0.99 || gap > 1.01
		}
		if !different {
			t.Error("no jitter")
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		r, runs := job.New(slog.New(slog.NewTextHandler(&text, nil))), newTimes()
		r.Random, r.Backoff = half, 5*time.Second
		var seen []string
		r.Observe = func(name string, took time.Duration, err error) {
			seen = append(seen, fmt.Sprint(name, " ", took, " ", err))
		}
		r.Add("mail", time.Second, func(context.Context) error {
			runs.note()
			if len(runs.at) <= 5 {
				return errors.New("no server")
			}
			return nil
		})
		start(t, r, 23*time.Second)
		// 0.5, then after 2, 4, 5, 5, 5, and every second once it works again.
		if diff := cmp.Diff([]float64{0.5, 2.5, 6.5, 11.5, 16.5, 21.5, 22.5}, runs.at); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		for word, n := range map[string]int{"a job failed": 5, "no server": 5, "in_a_row=5": 1, "works again": 1} {
			if got := strings.Count(text.String(), word); got != n {
				t.Errorf("%q is %d times in the log, want %d", word, got, n)
			}
		}
		want := []string{"mail 0s no server", "mail 0s <nil>"}
		if len(seen) != 7 || seen[0] != want[0] || seen[6] != want[1] {
			t.Errorf("observed %q", seen)
		}
	})
}

func TestLongPeriodsDoNotBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, runs := job.New(nil), newTimes()
		r.Random = half
		r.Add("daily", 24*time.Hour, func(context.Context) error { runs.note(); return errors.New("x") })
		start(t, r, 73*time.Hour)
		if len(runs.at) != 4 {
			t.Errorf("ran at %v, want once a day", runs.at)
		}
	})
}

func TestPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		r := job.New(slog.New(slog.NewTextHandler(&text, nil)))
		r.Random = half
		var runs, others atomic.Int32
		r.Add("bad", time.Second, func(context.Context) error { runs.Add(1); panic("nil map") })
		r.Add("good", time.Second, func(context.Context) error { others.Add(1); return nil })
		start(t, r, 10*time.Second)
		if runs.Load() < 2 || others.Load() != 10 {
			t.Errorf("%d and %d runs; want both to go on", runs.Load(), others.Load())
		}
		if !strings.Contains(text.String(), "nil map") || !strings.Contains(text.String(), "runner_test.go") {
			t.Errorf("the log does not say where: %s", text.String())
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := job.New(nil)
		r.Random, r.Deadline = half, 3*time.Second
		var took []time.Duration
		r.Observe = func(_ string, d time.Duration, err error) {
			if errors.Is(err, context.DeadlineExceeded) {
				took = append(took, d)
			}
		}
		r.Add("hangs", 10*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		start(t, r, 20*time.Second)
		if diff := cmp.Diff([]time.Duration{3 * time.Second}, took); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestNeverBesideItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, runs := job.New(nil), newTimes()
		r.Random = half
		var running atomic.Int32
		r.Add("slow", time.Second, func(ctx context.Context) error {
			if running.Add(1) > 1 {
				t.Error("two at once")
			}
			defer running.Add(-1)
			runs.note()
			<-time.After(5 * time.Second)
			return nil
		})
		start(t, r, 10*time.Second)
		if diff := cmp.Diff([]float64{0.5, 6.5}, runs.at); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestRunWaitsForRunningJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := job.New(nil)
		r.Random = half
		finished := false
		r.Add("tidy", 2*time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(4 * time.Second) // what cannot be broken off
			finished = true
			return ctx.Err()
		})
		began := time.Now()
		start(t, r, 3*time.Second)
		if took := time.Since(began); !finished || took != 7*time.Second {
			t.Errorf("Run returned after %v, finished: %v", took, finished)
		}
	})
}

func TestRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		r := job.New(slog.New(slog.NewTextHandler(&text, nil)))
		start(t, r, time.Second)
		if err := r.Run(t.Context()); err == nil {
			t.Error("a second Run began")
		}
		r.Add("late", time.Second, func(context.Context) error { return nil })
		if !strings.Contains(text.String(), "late") {
			t.Error("a job that will never run was added in silence")
		}
	})
}

func TestNoPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := job.New(nil)
		r.Random = half
		var runs atomic.Int32
		r.Add("loop", 0, func(context.Context) error { runs.Add(1); return nil })
		start(t, r, time.Second)
		if n := runs.Load(); n != 100 {
			t.Errorf("%d runs in a second, want 100", n)
		}
	})
}
