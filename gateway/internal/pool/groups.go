package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Groups keeps the groups of pools and who is in them. Every operation answers
// NotFound for a pool that is not there. Safe for concurrent use.
//
// Races between groups are decided like this. Of two who want one name below one
// parent the claim of that name, a record with a unique id, lets one have it.
// Moves and deletions of a pool's groups come one after another, under a claim
// for the whole tree: so two moves never make a ring, and nothing is moved into
// what is being deleted. A group that is made inside another takes no such turn:
// its maker looks at the parent after the write, and the deletion of the parent
// closes it before it looks for groups inside, so at least one of the two sees
// the other and gives up.
type Groups struct {
	config  *Config
	table   *store.Table[groupRecord]
	records *records[groupRecord]
	members *store.Table[member]
	purges  *store.Table[groupPurge]
	pools   *Pools
	users   *Users
}

func openGroups(ctx context.Context, s *store.Store, c *Config, names *store.Table[claim], pools *Pools, users *Users) (*Groups, error) {
	t, err := store.Declare(ctx, s, store.Spec[groupRecord]{
		Name: "groups",
		Indexes: map[string]func(*groupRecord) (store.Key, bool){
			"siblings": (*groupRecord).bySiblings, "pool": (*groupRecord).byPool,
		},
		Expires: func(r *groupRecord) time.Time { return r.Grave.Until },
	})
	if err != nil {
		return nil, err
	}
	members, err := store.Declare(ctx, s, store.Spec[member]{
		Name: "group_members", Indexes: map[string]func(*member) (store.Key, bool){"user": (*member).byUser},
	})
	if err != nil {
		return nil, err
	}
	purges, err := store.Declare(ctx, s, store.Spec[groupPurge]{
		Name: "group_purges", Due: func(p *groupPurge) time.Time { return p.At },
	})
	if err != nil {
		return nil, err
	}
	rs := &records[groupRecord]{
		table:  t,
		claims: &claims{table: names, now: c.Now},
		names:  (*groupRecord).names,
		clone:  func(r groupRecord) groupRecord { return r },
		epoch:  func(r *groupRecord) string { return r.Epoch },
		buried: func(r *groupRecord) *grave { return &r.Grave },
		row:    func(o owner) string { return store.ID(o.space, o.id) },
	}
	rs.claims.look = rs.look
	return &Groups{config: c, table: t, records: rs, members: members, purges: purges, pools: pools, users: users}, nil
}

// atGroup is where a group stands.
func atGroup(p *Pool, group string) owner { return owner{p.TenantID, groupSpace(p.Epoch), group} }

// Create stores a new group. Errors: Unprocessable naming the member, Conflict
// for the id or the name, which must be free below the parent.
func (k *Groups) Create(ctx context.Context, tenant, pool string, in NewGroup) (Group, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return Group{}, err
	}
	g := Group{
		ID: orElse(in.ID, vault.NewID()), Name: in.Name, Description: in.Description, ParentID: in.ParentID, TenantID: tenant, UserPoolID: p.ID,
	}
	if err := g.check(); err != nil {
		return Group{}, err
	}
	n, err := k.table.Count(ctx, tenant, store.Query{Index: "pool", Equal: groupSpace(p.Epoch)})
	if err == nil && n >= maxGroups {
		err = fault.New(fault.Unprocessable, fmt.Sprintf("A pool has at most %d groups.", maxGroups), nil)
	}
	if err != nil {
		return Group{}, err
	}
	if err := k.fits(ctx, &p, &g, 1); err != nil {
		return Group{}, err
	}
	row, err := k.records.insert(ctx, atGroup(&p, g.ID), groupRecord{Group: g, PoolEpoch: p.Epoch, Epoch: vault.NewID()})
	if err != nil {
		return Group{}, groupTaken(err)
	}
	if err := k.confirm(ctx, &p, row); err != nil {
		return Group{}, err
	}
	return row.Value.shown(row.Rev), k.written(ctx, &p, &row.Value, audit.ActionCreated)
}

// confirm takes a creation back when the pool was deleted meanwhile, or the
// parent: see Groups.
func (k *Groups) confirm(ctx context.Context, was *Pool, row store.Row[groupRecord]) error {
	p, err := k.pools.Get(ctx, was.TenantID, was.ID)
	if err == nil && p.Epoch != was.Epoch {
		err = poolFault(store.ErrNotFound)
	}
	if err == nil {
		err = k.fits(ctx, was, &row.Value.Group, 1)
	}
	if err == nil {
		return nil
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	_, undo := k.records.remove(ctx, atGroup(was, row.Value.Group.ID), 0, func(now *groupRecord) error {
		if now.Epoch != row.Value.Epoch {
			return store.ErrNotFound
		}
		return nil
	})
	return errors.Join(err, ignoreGone(undo))
}

// Get returns a group, or NotFound.
func (k *Groups) Get(ctx context.Context, tenant, pool, group string) (Group, error) {
	_, row, err := k.load(ctx, tenant, pool, group)
	return row.Value.shown(row.Rev), err
}

func (k *Groups) load(ctx context.Context, tenant, pool, group string) (Pool, store.Row[groupRecord], error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return p, store.Row[groupRecord]{}, err
	}
	row, err := k.records.get(ctx, atGroup(&p, group))
	return p, row, groupFault(err)
}

// Update changes the members that are there, at revision rev or whatever it is
// when rev is 0. Errors as of Create, and Unprocessable for a parent that is the
// group itself or inside it.
func (k *Groups) Update(ctx context.Context, tenant, pool, group string, rev int64, in UpdateGroup) (Group, error) {
	p, row, err := k.load(ctx, tenant, pool, group)
	if err == nil && rev != 0 && row.Rev != rev {
		err = groupFault(store.ErrStale)
	}
	if err != nil {
		return Group{}, err
	}
	if in.ParentID == nil || *in.ParentID == row.Value.Group.ParentID {
		in.ParentID = nil
		row, err = k.records.update(ctx, atGroup(&p, group), rev, in.apply)
	} else {
		row, err = k.move(ctx, &p, group, rev, in)
	}
	if err != nil {
		return Group{}, groupTaken(err)
	}
	return row.Value.shown(row.Rev), k.written(ctx, &p, &row.Value, audit.ActionUpdated)
}

// apply changes a record. It is pure.
func (in UpdateGroup) apply(r *groupRecord) error {
	for _, m := range []struct{ from, to *string }{
		{in.Name, &r.Group.Name}, {in.Description, &r.Group.Description}, {in.ParentID, &r.Group.ParentID},
	} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	return r.Group.check()
}

// GroupFilter selects groups of a pool.
type GroupFilter struct {
	Parent string // those inside this one; empty: those at the top
	Nested bool   // and those inside these, at every depth
	Query  GroupQuery
	Page   store.Page // cursors are group ids
}

// List returns a page of a pool's groups in the order of their names. NotFound
// for a parent that is not there, Unprocessable for a parent with too many
// groups inside for a nested list.
func (k *Groups) List(ctx context.Context, tenant, pool string, f GroupFilter) ([]Group, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return nil, err
	}
	if f.Parent != "" {
		if _, err := k.records.get(ctx, atGroup(&p, f.Parent)); err != nil {
			return nil, groupFault(err)
		}
	}
	keep := f.Query.matches()
	if f.Nested && f.Parent != "" {
		inside, err := k.inside(ctx, &p, f.Parent)
		return pageOf(inside, f.Page, keep), err
	}
	q := store.Query{Index: "siblings", Equal: store.ID(groupSpace(p.Epoch), f.Parent)}
	if f.Nested {
		q = store.Query{Index: "pool", Equal: groupSpace(p.Epoch)}
	}
	for _, cursor := range []*string{&f.Page.After, &f.Page.Before} {
		if *cursor != "" {
			*cursor = store.ID(groupSpace(p.Epoch), *cursor)
		}
	}
	var accept func(*groupRecord) bool
	if keep != nil {
		accept = func(r *groupRecord) bool { return keep(&r.Group) }
	}
	rows, err := record.Pick(ctx, k.table, tenant, q, f.Page, accept)
	list := make([]Group, len(rows))
	for i := range rows {
		list[i] = rows[i].Value.shown(rows[i].Rev)
	}
	return list, err
}

// written tells the logs of a write. What apps see of the users changes with the
// name of a group, so it counts as a change of the pool.
func (k *Groups) written(ctx context.Context, p *Pool, r *groupRecord, action string) error {
	if err := k.config.changed(ctx, changes.KindPool, p.TenantID, p.ID); err != nil {
		return err
	}
	g := &r.Group
	return k.event(ctx, p, g, "", audit.SubjectGroup, action, map[string]any{
		"group_id": g.ID, "name": g.Name, "description": g.Description, "parent_id": g.ParentID,
	})
}

// event keeps an audit event about a group, and about a user unless that is "".
func (k *Groups) event(ctx context.Context, p *Pool, g *Group, user, subject, action string, about map[string]any) error {
	if k.config.Audit == nil {
		return nil
	}
	raw, err := json.Marshal(map[string]any{subject + "_" + action: about})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	return k.config.Audit.Record(ctx, audit.Event{
		Tenant: p.TenantID, Workspace: orElse(p.WorkspaceID, tenant.Admin), Subject: subject, Action: action,
		Time: k.config.Now(), Payload: raw,
		Metadata: map[string]any{"affected_user_id": user, "affected_user_pool_id": p.ID, "group_id": g.ID},
	})
}

// groupTaken turns the records' answers into faults.
func groupTaken(err error) error {
	if _, ok := errors.AsType[*takenError](err); ok {
		return &fault.Error{Kind: fault.Conflict, Field: "name", Public: "Another group in the same place has this name.", Cause: err}
	}
	return groupFault(err)
}
