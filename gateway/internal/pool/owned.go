package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// graveTime is how long a tombstone stays: longer than any writer that it stops
// can live.
const graveTime = time.Hour

// grave is the part of a record that makes it a tombstone: it stands where a
// record might be about to be created, and stops that. Readers see nothing.
type grave struct {
	Until time.Time `json:"until,omitzero"`
}

// records are the records of a table whose owners claim names.
type records[T any] struct {
	table  *store.Table[T]
	claims *claims
	names  func(*T) []name // what the record lists
	clone  func(T) T       // deep enough that changing the result leaves the original
	epoch  func(*T) string // tells one life of an id from another
	buried func(*T) *grave
	row    func(owner) string // the record's id
}

// get returns a live record, or store.ErrNotFound.
func (r *records[T]) get(ctx context.Context, o owner) (store.Row[T], error) {
	row, err := r.table.Get(ctx, o.tenant, r.row(o))
	if err == nil && !r.buried(&row.Value).Until.IsZero() {
		return store.Row[T]{}, store.ErrNotFound
	}
	return row, err
}

// insert creates a record and claims its names. Errors: *takenError,
// store.ErrExists when the id is taken, or the store's.
func (r *records[T]) insert(ctx context.Context, o owner, v T) (store.Row[T], error) {
	var under store.Row[T] // a tombstone to write over; Rev is 0 where there is none
	for range tries {
		leases, err := r.claims.take(ctx, o, r.names(&v))
		if err != nil {
			return store.Row[T]{}, err
		}
		row, err := r.put(ctx, o, under, v, leases)
		if err == nil {
			return row, r.settle(ctx, leases, func(ctx context.Context) error { return r.table.DeleteIf(ctx, row.Tenant, row.ID, row.Rev) })
		}
		if !definite(err) {
			r.withdraw(ctx, o, v, leases)
			return row, err
		}
		r.claims.release(ctx, leases)
		// Something stands there, or the tombstone went: read it, then claim anew.
		under, err = r.table.Get(ctx, o.tenant, r.row(o))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return row, err
		}
		if err == nil && r.buried(&under.Value).Until.IsZero() {
			return row, store.ErrExists
		}
	}
	return store.Row[T]{}, fault.New(fault.Unavailable, "Others are writing the same at this moment; try again.", errMoved)
}

func (r *records[T]) put(ctx context.Context, o owner, under store.Row[T], v T, leases []store.Row[claim]) (store.Row[T], error) {
	if r.late(leases) {
		return store.Row[T]{}, store.ErrStale
	}
	if under.Rev == 0 {
		return r.table.Create(ctx, o.tenant, r.row(o), v)
	}
	return r.table.Swap(ctx, o.tenant, under.ID, under.Rev, v)
}

// late tells whether a lease has run out: tombstones do not stand for ever, so a
// writer that was stopped for hours must not go on as if nothing had happened.
func (r *records[T]) late(leases []store.Row[claim]) bool {
	return slices.ContainsFunc(leases, func(l store.Row[claim]) bool { return !r.claims.now().Before(l.Value.Until) })
}

// settle holds the leases after the write; when one was lost, undo takes the
// write back.
func (r *records[T]) settle(ctx context.Context, leases []store.Row[claim], undo func(context.Context) error) error {
	err := r.claims.hold(ctx, leases)
	if err == nil {
		return nil
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	if undoErr := undo(ctx); undoErr != nil && !definite(undoErr) {
		return errors.Join(err, undoErr)
	}
	r.claims.release(ctx, leases)
	return err
}

// withdraw undoes an insert of which nobody knows whether it happened. When the
// record is not there it may still arrive, so the claims are left to lapse:
// whoever takes one over puts a tombstone first.
func (r *records[T]) withdraw(ctx context.Context, o owner, v T, leases []store.Row[claim]) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	row, err := r.table.Get(ctx, o.tenant, r.row(o))
	if err != nil || r.epoch(&row.Value) != r.epoch(&v) {
		return
	}
	if r.table.DeleteIf(ctx, o.tenant, row.ID, row.Rev) == nil {
		r.claims.release(ctx, leases)
	}
}

// update changes a live record and claims and gives up names as the change asks
// for. rev is the revision the caller has seen: another one gives
// store.ErrStale. With rev 0 it reads again as often as somebody else was
// faster, so change must be pure. Errors: change's own, *takenError, the store's.
func (r *records[T]) update(ctx context.Context, o owner, rev int64, change func(*T) error) (store.Row[T], error) {
	for {
		row, err := r.get(ctx, o)
		if err != nil {
			return row, err
		}
		if rev != 0 && row.Rev != rev {
			return row, store.ErrStale
		}
		next := r.clone(row.Value)
		if err := change(&next); err != nil {
			return row, err
		}
		out, err := r.swap(ctx, o, row, next)
		if !errors.Is(err, store.ErrStale) || rev != 0 {
			return out, err
		}
		if err := ctx.Err(); err != nil {
			return row, err
		}
	}
}

// swap writes next over the row as it was read.
func (r *records[T]) swap(ctx context.Context, o owner, row store.Row[T], next T) (store.Row[T], error) {
	old, now := r.names(&row.Value), r.names(&next)
	dropped, err := r.claims.owned(ctx, o, without(old, now))
	if err != nil {
		return row, err
	}
	leases, err := r.claims.take(ctx, o, without(now, old))
	if err != nil {
		return row, err
	}
	out := row
	if r.late(leases) {
		err = store.ErrStale
	} else {
		out, err = r.table.Swap(ctx, o.tenant, row.ID, row.Rev, next)
	}
	if err != nil {
		if definite(err) {
			r.claims.release(ctx, leases)
		}
		return row, err
	}
	err = r.settle(ctx, leases, func(ctx context.Context) error {
		_, err := r.table.Swap(ctx, o.tenant, out.ID, out.Rev, row.Value)
		return err
	})
	if err == nil {
		r.claims.release(ctx, dropped)
	}
	return out, err
}

// remove deletes a live record, then gives up its names. check may refuse, and
// runs again when somebody else changed the record meanwhile.
func (r *records[T]) remove(ctx context.Context, o owner, rev int64, check func(*T) error) (store.Row[T], error) {
	for {
		row, err := r.get(ctx, o)
		if err != nil {
			return row, err
		}
		if rev != 0 && row.Rev != rev {
			return row, store.ErrStale
		}
		if err := check(&row.Value); err != nil {
			return row, err
		}
		dropped, err := r.claims.owned(ctx, o, r.names(&row.Value))
		if err != nil {
			return row, err
		}
		err = r.table.DeleteIf(ctx, o.tenant, row.ID, row.Rev)
		if errors.Is(err, store.ErrStale) && rev == 0 && ctx.Err() == nil {
			continue
		}
		if err == nil {
			r.claims.release(ctx, dropped)
		}
		return row, err
	}
}

// find returns the live record that a name's claim points to, or
// store.ErrNotFound. It need not list the name: the caller looks.
func (r *records[T]) find(ctx context.Context, tenant, space string, n name) (store.Row[T], error) {
	at := claim{Space: space, Source: n.Source, Key: n.Key}
	c, err := r.claims.table.Get(ctx, tenant, at.id())
	if err != nil {
		return store.Row[T]{}, err
	}
	return r.get(ctx, owner{tenant, space, c.Value.Owner})
}

// look is claims.look for these records.
func (r *records[T]) look(ctx context.Context, o owner, n name) (bool, func(context.Context) error, error) {
	row, err := r.table.Get(ctx, o.tenant, r.row(o))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, nil, err
	}
	none := err != nil
	dead := none || !r.buried(&row.Value).Until.IsZero()
	if !dead && slices.Contains(r.names(&row.Value), n) {
		return true, nil, nil
	}
	return false, func(ctx context.Context) error {
		next := row.Value
		if dead {
			var tomb T
			r.buried(&tomb).Until = r.claims.now().Add(graveTime)
			next = tomb
		}
		if none {
			_, err := r.table.Create(ctx, o.tenant, r.row(o), next)
			return err
		}
		_, err := r.table.Swap(ctx, o.tenant, row.ID, row.Rev, next)
		return err
	}, nil
}

// without returns the names of a that are not in b, each once.
func without(a, b []name) []name {
	var out []name
	for _, n := range a {
		if !slices.Contains(b, n) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
