package pool

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// groupPurge is the record of memberships that are to be removed with their group.
type groupPurge struct {
	PoolID    string    `json:"pool"`
	PoolEpoch string    `json:"pool_epoch"`
	Group     string    `json:"group"`
	Epoch     string    `json:"epoch"`
	At        time.Time `json:"at"` // when somebody else should carry on
}

// Delete removes a group and its memberships, at revision rev or whatever it is
// when rev is 0. The group is gone at once; of a large one memberships are
// removed by Finish. A group with others inside is a Conflict: nothing is deleted
// that was not named.
func (k *Groups) Delete(ctx context.Context, tenant, pool, group string, rev int64) error {
	p, row, err := k.load(ctx, tenant, pool, group)
	if err == nil && rev != 0 && row.Rev != rev {
		err = groupFault(store.ErrStale)
	}
	if err != nil {
		return err
	}
	epoch := row.Value.Epoch
	later := groupPurge{PoolID: p.ID, PoolEpoch: p.Epoch, Group: group, Epoch: epoch, At: k.config.Now().Add(purgeLater)}
	if _, err := k.purges.Create(ctx, tenant, epoch, later); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	for {
		err = k.turn(ctx, &p, group, func() error { return k.remove(ctx, &p, group, epoch) })
		if !errors.Is(err, store.ErrStale) || rev != 0 || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return groupFault(err)
	}
	if err := k.written(ctx, &p, &row.Value, audit.ActionDeleted); err != nil {
		return err
	}
	return k.sweep(ctx, tenant, &later, purgeNow)
}

// remove deletes the record of a group that has none inside; see Groups.
func (k *Groups) remove(ctx context.Context, p *Pool, group, epoch string) error {
	o := atGroup(p, group)
	row, err := k.records.get(ctx, o)
	if err == nil && row.Value.Epoch != epoch {
		err = store.ErrNotFound
	}
	if err != nil {
		return err
	}
	row, err = k.records.update(ctx, o, row.Rev, func(r *groupRecord) error {
		r.Closing = k.config.Now()
		return nil
	})
	if err != nil {
		return err
	}
	var inside bool
	err = k.children(ctx, p, group, func(Group) bool {
		inside = true
		return false
	})
	if err == nil && !inside {
		_, err = k.records.remove(ctx, o, row.Rev, func(*groupRecord) error { return nil })
		return err
	}
	if err == nil {
		err = fault.New(fault.Conflict, "There are groups inside this one; delete or move them first.", nil)
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	_, undo := k.records.update(ctx, o, row.Rev, open)
	if definite(undo) { // somebody else has changed it, or opened it
		undo = nil
	}
	return errors.Join(err, undo)
}

// sweep removes at most limit memberships of a deleted group, then, when nothing
// is left, the record of it.
func (k *Groups) sweep(ctx context.Context, tenant string, p *groupPurge, limit int) error {
	done, err := sweep(ctx, k.members, tenant, limit, p.PoolEpoch, p.Epoch)
	if err != nil || done == limit {
		return err
	}
	return ignoreGone(k.purges.Delete(ctx, tenant, p.Epoch))
}

// purge removes rows of a pool that is gone, at most limit, and returns how many.
func (k *Groups) purge(ctx context.Context, tenant, epoch string, limit int) (int, error) {
	done := 0
	for _, step := range []func() (int, error){
		func() (int, error) { return sweep(ctx, k.members, tenant, limit-done, epoch) },
		func() (int, error) { return sweep(ctx, k.table, tenant, limit-done, groupSpace(epoch)) },
		func() (int, error) { return sweep(ctx, k.records.claims.table, tenant, limit-done, groupSpace(epoch)) },
	} {
		n, err := step()
		done += n
		if err != nil || done >= limit {
			return done, err
		}
	}
	return done, nil
}

// Finish removes the memberships that deletions of groups have left. It is meant
// for a periodic job and removes at most some thousand rows a call.
func (k *Groups) Finish(ctx context.Context) error {
	rows, err := k.purges.Due(ctx, 20)
	for _, row := range rows {
		err = errors.Join(err, k.finish(ctx, row))
	}
	return err
}

func (k *Groups) finish(ctx context.Context, row store.Row[groupPurge]) error {
	p := row.Value
	at := &Pool{TenantID: row.Tenant, Epoch: p.PoolEpoch}
	g, err := k.records.get(ctx, atGroup(at, p.Group))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && g.Value.Epoch == p.Epoch { // the deletion was refused, or given up
		return ignoreGone(k.purges.DeleteIf(ctx, row.Tenant, row.ID, row.Rev))
	}
	return k.sweep(ctx, row.Tenant, &p, 5*purgeNow)
}

// forget removes the memberships of a user who is gone.
func (k *Groups) forget(ctx context.Context, p *Pool, u *User) error {
	rows, err := k.memberships(ctx, p, u)
	for _, row := range rows {
		err = errors.Join(err, ignoreGone(k.members.Delete(ctx, p.TenantID, row.ID)))
	}
	return err
}
