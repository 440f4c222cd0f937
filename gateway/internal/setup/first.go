package setup

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const (
	// LinkLife is how long a set-up link can be used.
	LinkLife = time.Hour
	// leaseTime is how long one attempt has the set-up to itself, and workTime how
	// long it may take: an attempt is over before the next one begins.
	leaseTime = 2 * time.Minute
	workTime  = time.Minute

	firstID = "first"
)

// first is the one record of the first set-up, and of what a start must know of
// the one before it:
//
//	NewLink --> token --> take (lease) --> work --> done: nothing ever again
//	                        ^                 |
//	                        '---- release ----'  bad input, failure; a crash: the lease runs out
type first struct {
	Token   string    `json:"token,omitempty"` // hash of the link's secret
	Expires time.Time `json:"expires,omitzero"`
	Run     string    `json:"run,omitempty"` // of the attempt that has the lease, or finished
	Lease   time.Time `json:"lease,omitzero"`
	Done    time.Time `json:"done,omitzero"`
	Demo    bool      `json:"demo,omitempty"` // done by the demo
	Base    string    `json:"base,omitempty"` // base URL that the portal clients return to
}

func (f *first) done() bool { return !f.Done.IsZero() }

// free reports why no attempt can begin now.
func (f *first) free(now time.Time) error {
	switch {
	case f.done():
		return fault.New(fault.Conflict, "This gateway has been set up already.", nil)
	case now.Before(f.Lease):
		return fault.New(fault.Conflict, "Somebody is setting this gateway up right now; try again in two minutes.", nil)
	}
	return nil
}

// fits reports what is wrong with a link's secret; unknown, replaced and expired
// look the same.
func (f *first) fits(token string, now time.Time) error {
	right := subtle.ConstantTimeCompare([]byte(f.Token), []byte(vault.Hash(token))) == 1
	if !right || !now.Before(f.Expires) {
		return fault.New(fault.NotFound, `This set-up link is not valid any more. Make another one on the gateway's machine: gatepost setup-link.`, nil)
	}
	return nil
}

// Needed tells whether the first set-up is still to be done.
func (s *Setup) Needed(ctx context.Context) (bool, error) {
	f, err := s.state(ctx)
	return err == nil && !f.done(), err
}

// IsDemo tells whether the data is that of the demo, whose users and passwords
// everybody knows.
func (s *Setup) IsDemo(ctx context.Context) (bool, error) {
	f, err := s.state(ctx)
	return f.Demo, err
}

func (s *Setup) state(ctx context.Context) (first, error) {
	row, err := s.first.Get(ctx, tenant.Root, firstID)
	if errors.Is(err, store.ErrNotFound) {
		return first{}, nil
	}
	return row.Value, err
}

// NewLink returns the secret of a new set-up link, good for LinkLife; the link
// before it is void. Conflict once the set-up is done, or while it is under way.
func (s *Setup) NewLink(ctx context.Context) (string, error) {
	token := vault.NewSecret()
	err := s.change(ctx, func(f *first) error {
		now := s.config.Now()
		f.Token, f.Expires = vault.Hash(token), now.Add(LinkLife)
		return f.free(now)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Look tells whether a link can be used, without using it. Errors: NotFound for
// a secret that is unknown or expired, Conflict once the set-up is done, or
// while it is under way.
func (s *Setup) Look(ctx context.Context, token string) error {
	f, err := s.state(ctx)
	if err != nil {
		return err
	}
	now := s.config.Now()
	if err := f.free(now); err != nil {
		return err
	}
	return f.fits(token, now)
}

// take begins an attempt if check lets it and nobody else is at it.
func (s *Setup) take(ctx context.Context, check func(*first) error) (run string, err error) {
	run = vault.NewID()
	return run, s.change(ctx, func(f *first) error {
		now := s.config.Now()
		if err := f.free(now); err != nil {
			return err
		}
		f.Run, f.Lease = run, now.Add(leaseTime)
		return check(f)
	})
}

// release ends an attempt that failed, so that the next can begin at once.
func (s *Setup) release(ctx context.Context, run string) {
	ctx, cancel := after(ctx)
	defer cancel()
	err := s.change(ctx, func(f *first) error {
		if f.Run == run && !f.done() {
			f.Run, f.Lease = "", time.Time{}
		}
		return nil
	})
	if err != nil {
		s.config.Log.Warn("the set-up stays taken for two minutes", "error", err)
	}
}

// conclude ends the attempt that succeeded. An answer that was lost on its way
// counts when the record says that this attempt is the one.
func (s *Setup) conclude(ctx context.Context, run string) error {
	err := s.change(ctx, func(f *first) error {
		if f.Run != run || f.done() {
			return fault.New(fault.Conflict, "Somebody else has set this gateway up.", nil)
		}
		*f = first{Run: run, Done: s.config.Now().UTC(), Base: f.Base}
		return nil
	})
	if err == nil {
		return nil
	}
	ctx, cancel := after(ctx)
	defer cancel()
	if f, again := s.state(ctx); again == nil && f.done() && f.Run == run {
		return nil
	}
	return err
}

// change alters the record, which need not be there. alter may run several
// times; its error ends the change and is returned as it is.
func (s *Setup) change(ctx context.Context, alter func(*first) error) error {
	for {
		_, err := s.first.Update(ctx, tenant.Root, firstID, alter)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		var f first
		if err := alter(&f); err != nil {
			return err
		}
		_, err = s.first.Create(ctx, tenant.Root, firstID, f)
		if !errors.Is(err, store.ErrExists) {
			return err
		}
	}
}
