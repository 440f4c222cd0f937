package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// Runner runs jobs. Set its fields and add all jobs before Run.
type Runner struct {
	// Deadline bounds one run; 0 means the longer of a minute and the job's period.
	Deadline time.Duration
	// Backoff is the longest wait after failures, for jobs whose period is shorter;
	// 0 means 5 minutes.
	Backoff time.Duration
	// Observe is told of every run that ended; nil: nobody. Jobs call it side by side.
	Observe func(name string, took time.Duration, err error)
	// Random returns numbers in [0, 1) for the jitter; nil means math/rand.
	Random func() float64

	log *slog.Logger

	mu      sync.Mutex
	jobs    []job
	started bool
}

type job struct {
	name  string
	every time.Duration
	fn    func(context.Context) error
}

// shortest is the shortest period: a job that is due all the time is a loop.
const shortest = 10 * time.Millisecond

var errStarted = errors.New("job: this runner has run before")

// New returns a runner without jobs. A nil log drops what it would say.
func New(log *slog.Logger) *Runner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Runner{log: log}
}

// Add adds a job that runs once in every period, first after a part of it that is
// left to chance, at most ten seconds. fn must end when its context does. A job
// added after Run has begun is an error in the log and never runs.
func (r *Runner) Add(name string, every time.Duration, fn func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		r.log.Error("a job was added too late and will not run", "job", name)
		return
	}
	r.jobs = append(r.jobs, job{name: name, every: max(every, shortest), fn: fn})
}

// Run runs the jobs until ctx ends, waits for those under way and returns nil. A
// runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	again := r.started
	r.started = true
	r.mu.Unlock()
	if again {
		return errStarted
	}
	var wg sync.WaitGroup
	for _, j := range r.jobs {
		wg.Go(func() { r.loop(ctx, j) })
	}
	wg.Wait()
	return nil
}

func (r *Runner) loop(ctx context.Context, j job) {
	failed := 0
	wait := time.Duration(r.random() * float64(min(j.every, 10*time.Second)))
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if ctx.Err() != nil { // both were ready
			return
		}
		failed = r.once(ctx, j, failed)
		wait = r.pause(j.every, failed)
	}
}

// once runs a job and returns how often in a row it has failed now.
func (r *Runner) once(ctx context.Context, j job, failed int) int {
	began := time.Now()
	err := r.call(ctx, j)
	took := time.Since(began)
	if r.Observe != nil {
		r.Observe(j.name, took, err)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		r.log.Info("a job was ended by the shutdown", "job", j.name, "err", err)
		return failed
	case err != nil:
		r.log.Error("a job failed", "job", j.name, "took", took, "in_a_row", failed+1, "err", err)
		return failed + 1
	case failed > 0:
		r.log.Info("a job works again", "job", j.name, "failures", failed)
	}
	return 0
}

// call runs fn within its deadline and turns a panic into an error.
func (r *Runner) call(ctx context.Context, j job) (err error) {
	deadline := r.Deadline
	if deadline <= 0 {
		deadline = max(time.Minute, j.every)
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return j.fn(ctx)
}

// pause returns the time until the next run. Jitter keeps gateways that started
// together from meeting at the store each time.
func (r *Runner) pause(every time.Duration, failed int) time.Duration {
	limit := r.Backoff
	if limit <= 0 {
		limit = 5 * time.Minute
	}
	wait := every
	for range failed {
		if wait >= limit {
			break
		}
		wait = min(2*wait, limit)
	}
	return time.Duration(float64(wait) * (0.9 + 0.2*r.random()))
}

func (r *Runner) random() float64 {
	if r.Random != nil {
		return r.Random()
	}
	return rand.Float64()
}
