package credential

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Gate bounds how much is hashed at once. Do runs fn, or returns an error
// without having run it when there is no room; limit.Gate is one.
type Gate interface {
	Do(ctx context.Context, tenant string, fn func()) error
}

// Config is what a Verifier needs. The zero value hashes without a bound, which
// only tests should.
type Config struct {
	Gate Gate
	Now  func() time.Time                                 // nil: time.Now
	Wait func(ctx context.Context, d time.Duration) error // nil: a timer
}

// Verifier makes and checks password hashes. It is safe for concurrent use.
type Verifier struct {
	gate Gate
	now  func() time.Time
	wait func(context.Context, time.Duration) error
	cost atomic.Int64 // what a hash took lately, nanoseconds; 0: none yet
}

// NewVerifier returns a Verifier.
func NewVerifier(c Config) *Verifier {
	v := &Verifier{gate: c.Gate, now: c.Now, wait: c.Wait}
	if v.gate == nil {
		v.gate = open{}
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.wait == nil {
		v.wait = pause
	}
	return v
}

// Make hashes a password, which must have passed the pool's policy, and returns
// the string to store. The gate's error is returned as it is.
func (v *Verifier) Make(ctx context.Context, tenant string, m Method, password string) (string, error) {
	p, ok := Normalize(password)
	if !ok {
		return "", fmt.Errorf("password is empty, too long or no text")
	}
	var stored string
	var err error
	if gateErr := v.do(ctx, tenant, func() { stored, err = encode(m, p) }); gateErr != nil {
		return "", gateErr
	}
	return stored, err
}

// Check tells whether the password belongs to the stored hash. It always does
// the work of one hash: when there is nothing to compare with (stored is empty:
// no such user, no password) or the password cannot be one, it hashes against a
// dummy of method m and answers false. So the time tells nothing of the person,
// as long as a pool's hashes are of one method; of imported ones, see Hold.
//
// A password that normalisation changes is also tried as it was typed, which is
// what the system that an imported hash comes from saw. That is a second hash,
// for users and nobody alike.
//
// The gate's error is returned as it is; ErrMalformed means that stored cannot be
// used.
func (v *Verifier) Check(ctx context.Context, tenant string, m Method, stored, password string) (bool, error) {
	normal, possible := Normalize(password)
	tries := []string{normal, password}
	switch {
	case !possible:
		tries = []string{"-"}
	case normal == password:
		tries = tries[:1]
	}
	against, err := read(orElse(stored, dummy(m)))
	if err != nil {
		against, _ = read(dummy(m)) // the same work as for everybody else
	}
	right := false
	gateErr := v.do(ctx, tenant, func() {
		for _, p := range tries {
			right = against(p) || right
		}
	})
	if gateErr != nil {
		return false, gateErr
	}
	return right && possible && stored != "" && err == nil, err
}

// Used tells whether the password belongs to one of the stored hashes, which
// may be as many hashes' work. It serves the rule not_used_since.
func (v *Verifier) Used(ctx context.Context, tenant string, stored []string, password string) (bool, error) {
	for _, s := range stored {
		right, err := v.Check(ctx, tenant, Argon2, s, password)
		if right || err != nil {
			return right, err
		}
	}
	return false, nil
}

// quantum is the step of Floor: small differences of work vanish in it.
const quantum = 10 * time.Millisecond

// Floor returns the time that a refusal about a person should take at least: that
// of one hash as measured lately on this machine under its present load, rounded
// up. The first call measures.
func (v *Verifier) Floor(ctx context.Context, tenant string) (time.Duration, error) {
	if v.cost.Load() == 0 {
		if _, err := v.Check(ctx, tenant, Argon2, "", "-"); err != nil {
			return 0, err
		}
	}
	steps := v.cost.Load()/int64(quantum) + 1
	return time.Duration(steps * int64(quantum)), nil
}

// Hold returns when Floor has passed since the start of the work, or with the
// context's error when that ends first.
func (v *Verifier) Hold(ctx context.Context, tenant string, start time.Time) error {
	floor, err := v.Floor(ctx, tenant)
	if err != nil {
		return err
	}
	if left := floor - v.now().Sub(start); left > 0 {
		return v.wait(ctx, left)
	}
	return nil
}

// do runs fn behind the gate and learns what a hash takes.
func (v *Verifier) do(ctx context.Context, tenant string, fn func()) error {
	return v.gate.Do(ctx, tenant, func() {
		start := v.now()
		fn()
		v.learn(v.now().Sub(start))
	})
}

// learn keeps the slowest hash, forgetting one part in 64 with each.
func (v *Verifier) learn(took time.Duration) {
	old := v.cost.Load()
	v.cost.Store(max(old-old/64, int64(took), 1)) // of racing updates one is lost: it is an estimate
}

func dummy(m Method) string {
	s, ok := find(m)
	if !ok {
		return dummyArgon2
	}
	return s.dummy
}

type open struct{}

func (open) Do(ctx context.Context, _ string, fn func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fn()
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
