package pool

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// purge is the record of users that are to be removed with their pool.
type purge struct {
	Pool  string    `json:"pool"`
	Epoch string    `json:"epoch"`
	At    time.Time `json:"at"` // when somebody else should carry on
}

const (
	purgeNow   = 1000            // rows that a deletion removes itself
	purgeLater = 2 * time.Minute // when the job takes over what is left
)

// Delete removes a pool with its users, at revision rev or whatever it is when
// rev is 0. The pool is gone at once; of a large one the users are removed by
// Finish. A system pool is Denied; Config.Linked may refuse.
func (k *Pools) Delete(ctx context.Context, tenant, id string, rev int64) error {
	o := owner{tenant, poolSpace, id}
	row, err := k.records.get(ctx, o)
	if err == nil && rev != 0 && row.Rev != rev {
		err = store.ErrStale
	}
	if err != nil {
		return poolFault(err)
	}
	if row.Value.Pool.System {
		return fault.New(fault.Denied, "A system pool cannot be deleted.", nil)
	}
	if k.config.Linked != nil {
		if err := k.config.Linked(ctx, tenant, id); err != nil {
			return err
		}
	}
	epoch := row.Value.Epoch
	_, err = k.purges.Create(ctx, tenant, epoch, purge{Pool: id, Epoch: epoch, At: k.config.Now().Add(purgeLater)})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	if err := k.config.revoke(ctx, tenant, id, ""); err != nil {
		return err
	}
	_, err = k.records.remove(ctx, o, rev, func(r *poolRecord) error {
		if r.Epoch != epoch {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return poolFault(err)
	}
	if err := k.ended(ctx, row); err != nil {
		return err
	}
	return k.purge(ctx, tenant, epoch, purgeNow)
}

// ended tells the logs of a deletion.
func (k *Pools) ended(ctx context.Context, row store.Row[poolRecord]) error {
	if err := k.config.revoke(ctx, row.Tenant, row.ID, ""); err != nil { // who signed in meanwhile
		return err
	}
	return k.written(ctx, row, audit.ActionDeleted)
}

// Finish removes the users that deletions of pools have left, and the
// memberships that deletions of groups have. It is meant for a
// periodic job and removes at most some thousand rows a call.
func (k *Pools) Finish(ctx context.Context) error {
	rows, err := k.purges.Due(ctx, 20)
	for _, row := range rows {
		err = errors.Join(err, k.finish(ctx, row))
	}
	return errors.Join(err, k.users.groups.Finish(ctx))
}

func (k *Pools) finish(ctx context.Context, row store.Row[purge]) error {
	p, err := k.records.get(ctx, owner{row.Tenant, poolSpace, row.Value.Pool})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && p.Value.Epoch == row.Value.Epoch { // the deletion was given up before it began
		return ignoreGone(k.purges.DeleteIf(ctx, row.Tenant, row.ID, row.Rev))
	}
	return k.purge(ctx, row.Tenant, row.Value.Epoch, 5*purgeNow)
}

// purge removes at most limit rows below an epoch, then, when nothing is left,
// the record of the purge.
func (k *Pools) purge(ctx context.Context, tenant, epoch string, limit int) error {
	for _, step := range []func(limit int) (int, error){
		func(limit int) (int, error) { return sweep(ctx, k.users.table, tenant, limit, epoch) },
		func(limit int) (int, error) { return sweep(ctx, k.records.claims.table, tenant, limit, epoch) },
		func(limit int) (int, error) { return sweep(ctx, k.users.mfa.table, tenant, limit, epoch) },
		func(limit int) (int, error) { return k.users.groups.purge(ctx, tenant, epoch, limit) },
	} {
		done, err := step(limit)
		if limit -= done; err != nil || limit <= 0 {
			return err
		}
	}
	return ignoreGone(k.purges.Delete(ctx, tenant, epoch))
}

// sweep removes rows below a path, such as an epoch, and returns how many.
func sweep[T any](ctx context.Context, t *store.Table[T], tenant string, limit int, path ...string) (int, error) {
	done := 0
	for done < limit {
		rows, err := t.Range(ctx, tenant, store.Prefix(path...), store.Page{Limit: min(limit-done, 200)})
		if err != nil || len(rows) == 0 {
			return done, err
		}
		for _, row := range rows {
			if err := ignoreGone(t.Delete(ctx, tenant, row.ID)); err != nil {
				return done, err
			}
			done++
		}
	}
	return done, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
