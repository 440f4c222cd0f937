package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The states of a claim.
const (
	pending = "pending" // its owner is about to be written
	held    = "held"    // its owner has been written with the name
)

const (
	leaseTime = 60 * time.Second // of a pending claim
	tries     = 8                // before a name that keeps changing hands counts as taken
)

// claim is the record that makes a name one owner's. Its id is made of space and
// name, so unique insert alone decides between two who want it.
type claim struct {
	Space  string    `json:"space"` // the epoch of the pool; of pools' own names, poolSpace
	Source string    `json:"source,omitempty"`
	Key    string    `json:"key"`
	Owner  string    `json:"owner"` // the user; of pools' own names, the pool
	State  string    `json:"state"`
	Until  time.Time `json:"until,omitzero"` // of a pending claim: after this it may be taken over
}

func (c *claim) id() string { return store.ID(c.Space, c.Source, c.Key) }

func (c *claim) name() name { return name{Source: c.Source, Key: c.Key} }

// typed tells whether searches look for such a name.
func (c *claim) typed() bool { return c.Space != poolSpace && c.Source != TypeWebAuthn }

func (c *claim) forward() (store.Key, bool) {
	return store.Key{Equal: c.Space, Order: c.Key}, c.typed()
}

func (c *claim) backward() (store.Key, bool) {
	return store.Key{Equal: c.Space, Order: reversed(c.Key)}, c.typed()
}

// declareClaims declares the table that pools and users share.
func declareClaims(ctx context.Context, s *store.Store) (*store.Table[claim], error) {
	return store.Declare(ctx, s, store.Spec[claim]{
		Name:    "claims",
		Indexes: map[string]func(*claim) (store.Key, bool){"key": (*claim).forward, "ending": (*claim).backward},
	})
}

// takenError says which name somebody else has.
type takenError struct{ name name }

func (e *takenError) Error() string { return fmt.Sprintf("the name %q is taken", e.name.Key) }

// errMoved says that a record changed between a look at it and the fence.
var errMoved = errors.New("the record has changed meanwhile")

// owner is where the owner of a claim stands.
type owner struct{ tenant, space, id string }

// claims hands out names. The protocol, in single-record steps:
//
//	take      create the claim, pending for a minute
//	          (there already: taken, or taken over, see below)
//	write     the owner's record, with the name in it, at the revision that was
//	          read before the take
//	hold      pending -> held
//	give up   the owner's record first, then the claim if it is as it was read
//	          before that
//
// A claim may be taken over when its owner does not list the name and, for a
// pending one, the minute is over. Before the takeover the owner's record is
// fenced: written as it is, or, where there is none, a tombstone in its place.
// Whoever was about to write that record with the name then fails, because they
// write at an older revision or create what exists, and must take the name
// again. So no two records ever list one name, however slow a writer is and
// wherever it stops, and no clock is trusted for that: the lease only keeps the
// quick from robbing the slow.
type claims struct {
	table *store.Table[claim]
	now   func() time.Time
	// look tells whether the owner's record lists the name. fence makes every
	// write fail that is based on what was read before, and returns errMoved when
	// the record is no longer as look saw it.
	look func(ctx context.Context, o owner, n name) (lists bool, fence func(context.Context) error, err error)
}

// take claims names for an owner whose record does not list them yet. It takes
// all or none; the error is a *takenError or the store's.
func (c *claims) take(ctx context.Context, o owner, names []name) ([]store.Row[claim], error) {
	var got []store.Row[claim]
	for _, n := range names {
		row, err := c.takeOne(ctx, o, n)
		if err != nil {
			c.release(ctx, got)
			return nil, err
		}
		got = append(got, row)
	}
	return got, nil
}

func (c *claims) takeOne(ctx context.Context, o owner, n name) (store.Row[claim], error) {
	for range tries {
		want := claim{Space: o.space, Source: n.Source, Key: n.Key, Owner: o.id, State: pending, Until: c.now().Add(leaseTime)}
		row, err := c.table.Create(ctx, o.tenant, want.id(), want)
		if !errors.Is(err, store.ErrExists) {
			return row, err
		}
		row, err = c.takeOver(ctx, o.tenant, want)
		if !errors.Is(err, errMoved) {
			return row, err
		}
	}
	return store.Row[claim]{}, &takenError{n}
}

// takeOver replaces a claim that nobody can have a right to any more. errMoved
// means: look again.
func (c *claims) takeOver(ctx context.Context, tenant string, want claim) (store.Row[claim], error) {
	row, err := c.table.Get(ctx, tenant, want.id())
	if err != nil {
		return row, moved(err)
	}
	old := row.Value
	if old.State == pending && c.now().Before(old.Until) {
		return row, &takenError{want.name()}
	}
	lists, fence, err := c.look(ctx, owner{tenant, old.Space, old.Owner}, old.name())
	if err != nil {
		return row, err
	}
	if lists {
		if old.State == pending { // its writer stopped one step before the end
			_ = c.hold(ctx, []store.Row[claim]{row})
		}
		return row, &takenError{want.name()}
	}
	if err := fence(ctx); err != nil {
		return row, moved(err)
	}
	row, err = c.table.Swap(ctx, tenant, row.ID, row.Rev, want)
	return row, moved(err)
}

// hold makes pending claims held, after their owner's record was written. A
// *takenError means that one is not the owner's any more, which the protocol
// rules out on a store that keeps its promises. A store that does not answer is
// no reason to fail: the owner lists the name, and that is what counts.
func (c *claims) hold(ctx context.Context, rows []store.Row[claim]) error {
	for _, row := range rows {
		next := row.Value
		next.State, next.Until = held, time.Time{}
		_, err := c.table.Swap(ctx, row.Tenant, row.ID, row.Rev, next)
		if !definite(err) {
			continue
		}
		now, err := c.table.Get(ctx, row.Tenant, row.ID)
		if err == nil && now.Value.Owner == row.Value.Owner || err != nil && !errors.Is(err, store.ErrNotFound) {
			continue
		}
		return &takenError{row.Value.name()}
	}
	return nil
}

// owned returns the claims among names that are the owner's now, to be released
// once its record no longer lists them.
func (c *claims) owned(ctx context.Context, o owner, names []name) ([]store.Row[claim], error) {
	var rows []store.Row[claim]
	for _, n := range names {
		at := claim{Space: o.space, Source: n.Source, Key: n.Key}
		row, err := c.table.Get(ctx, o.tenant, at.id())
		if errors.Is(err, store.ErrNotFound) || err == nil && row.Value.Owner != o.id {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// release removes claims that are still as they were read. What it cannot
// remove can be taken over, so it reports nothing; it goes on when the caller's
// context has ended.
func (c *claims) release(ctx context.Context, rows []store.Row[claim]) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	for _, row := range rows {
		_ = c.table.DeleteIf(ctx, row.Tenant, row.ID, row.Rev)
	}
}

// definite tells whether a write certainly did not happen. After any other
// error it may have happened, or may yet.
func definite(err error) bool {
	return errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists)
}

func moved(err error) error {
	if definite(err) {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return err
}

// cleanup is a short context for undoing work after the caller's has ended.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}
