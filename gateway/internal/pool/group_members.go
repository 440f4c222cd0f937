package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// member is the record that a user is in a group. Its id is made of the epochs of
// pool and group and of the user's id, so the users of a group come by a range of
// ids, and their groups by the index. It holds for one life of group and user
// only: what a deletion leaves behind never speaks for a later one of that id.
type member struct {
	Group      string `json:"group"`
	GroupEpoch string `json:"group_epoch"`
	User       string `json:"user"`
	UserEpoch  string `json:"user_epoch"`
	PoolEpoch  string `json:"pool_epoch"`
}

func (m *member) id() string { return store.ID(m.PoolEpoch, m.GroupEpoch, m.User) }

func (m *member) byUser() (store.Key, bool) {
	return store.Key{Equal: store.ID(m.PoolEpoch, m.UserEpoch), Order: m.Group}, true
}

// pair loads a group and a user.
func (k *Groups) pair(ctx context.Context, tenant, pool, group, user string) (p Pool, g Group, u User, m member, err error) {
	p, row, err := k.load(ctx, tenant, pool, group)
	if err != nil {
		return p, g, u, m, err
	}
	g = row.Value.shown(row.Rev)
	who, err := k.users.records.get(ctx, at(&p, user))
	if err != nil {
		return p, g, u, m, userFault(err)
	}
	u = loaded(who)
	m = member{Group: g.ID, GroupEpoch: g.Epoch, User: u.ID, UserEpoch: u.Epoch, PoolEpoch: p.Epoch}
	return p, g, u, m, nil
}

// Add puts a user into a group; one who is in it stays there. Unprocessable for
// a user who is in too many.
func (k *Groups) Add(ctx context.Context, tenant, pool, group, user string) error {
	p, g, u, m, err := k.pair(ctx, tenant, pool, group, user)
	if err != nil {
		return err
	}
	there, err := k.holds(ctx, &p, &m)
	if there || err != nil {
		return err
	}
	n, err := k.members.Count(ctx, tenant, store.Query{Index: "user", Equal: store.ID(p.Epoch, u.Epoch)})
	if err != nil {
		return err
	}
	if n >= maxMemberships {
		return fault.New(fault.Unprocessable, fmt.Sprintf("A user is in at most %d groups.", maxMemberships), nil)
	}
	row, err := k.members.Create(ctx, tenant, m.id(), m)
	if errors.Is(err, store.ErrExists) { // of a former user with this id, or just now
		row, err = k.members.Update(ctx, tenant, m.id(), func(v *member) error { *v = m; return nil })
	}
	if err != nil {
		return err
	}
	// A deletion looks for memberships after its write as this looks after its own.
	if _, _, _, now, err := k.pair(ctx, tenant, pool, group, user); err != nil || now != m {
		if err == nil {
			err = fault.New(fault.Conflict, "The group or the user was replaced meanwhile; try again.", nil)
		}
		ctx, cancel := cleanup(ctx)
		defer cancel()
		return errors.Join(err, ignoreGone(k.members.DeleteIf(ctx, tenant, row.ID, row.Rev)))
	}
	return k.joined(ctx, &p, &g, &u, audit.ActionAddedToGroup)
}

// Remove takes a user out of a group; one who is not in it is no error.
func (k *Groups) Remove(ctx context.Context, tenant, pool, group, user string) error {
	p, g, u, m, err := k.pair(ctx, tenant, pool, group, user)
	if err != nil {
		return err
	}
	there, err := k.holds(ctx, &p, &m)
	if !there || err != nil {
		return err
	}
	if err := k.members.Delete(ctx, tenant, m.id()); err != nil {
		return ignoreGone(err)
	}
	return k.joined(ctx, &p, &g, &u, audit.ActionRemovedFromGroup)
}

// joined tells the logs of a change of who is in a group.
func (k *Groups) joined(ctx context.Context, p *Pool, g *Group, u *User, action string) error {
	if err := k.config.changed(ctx, changes.KindUser, p.TenantID, p.ID+"/"+u.ID); err != nil {
		return err
	}
	return k.event(ctx, p, g, u.ID, audit.SubjectUser, action, map[string]any{"user_id": u.ID, "group_id": g.ID, "name": g.Name})
}

// holds tells whether a membership is stored.
func (k *Groups) holds(ctx context.Context, p *Pool, m *member) (bool, error) {
	row, err := k.members.Get(ctx, p.TenantID, m.id())
	return err == nil && row.Value == *m, ignoreGone(err)
}

// Has tells whether a user is in a group; nested: or in one inside it, at
// whatever depth. NotFound for a group or a user that is not there.
func (k *Groups) Has(ctx context.Context, tenant, pool, group, user string, nested bool) (bool, error) {
	p, g, u, m, err := k.pair(ctx, tenant, pool, group, user)
	if err != nil {
		return false, err
	}
	if there, err := k.holds(ctx, &p, &m); there || err != nil || !nested {
		return there, err
	}
	_, with, err := k.groupsOf(ctx, &p, &u)
	return slices.ContainsFunc(with, func(o Group) bool { return o.ID == g.ID }), err
}

// memberships returns what is stored of a user.
func (k *Groups) memberships(ctx context.Context, p *Pool, u *User) ([]store.Row[member], error) {
	var rows []store.Row[member]
	q := store.Query{Index: "user", Equal: store.ID(p.Epoch, u.Epoch)}
	err := k.members.All(ctx, p.TenantID, q, func(row store.Row[member]) bool {
		rows = append(rows, row)
		return len(rows) < 2*maxMemberships // more than racing calls can make
	})
	return rows, err
}

// groupsOf returns the groups that a user is in, and these with those around
// them, both by name.
func (k *Groups) groupsOf(ctx context.Context, p *Pool, u *User) (direct, with []Group, err error) {
	rows, err := k.memberships(ctx, p, u)
	if err != nil {
		return nil, nil, err
	}
	t, seen := k.newTree(p), map[string]bool{}
	for _, row := range rows {
		above, err := t.above(ctx, row.Value.Group)
		if err != nil {
			return nil, nil, err
		}
		if len(above) == 0 || above[0].Epoch != row.Value.GroupEpoch {
			continue
		}
		direct = append(direct, above[0])
		for _, g := range above {
			if !seen[g.ID] {
				seen[g.ID] = true
				with = append(with, g)
			}
		}
	}
	byName(direct)
	byName(with)
	return direct, with, nil
}

// Of returns a page of the groups that a user is in, by name; with parents those
// around them as well. Cursors of the page are group ids.
func (k *Groups) Of(ctx context.Context, tenant, pool, user string, parents bool, q GroupQuery, page store.Page) ([]Group, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return nil, err
	}
	u, err := k.users.records.get(ctx, at(&p, user))
	if err != nil {
		return nil, userFault(err)
	}
	direct, with, err := k.groupsOf(ctx, &p, &u.Value)
	if parents {
		direct = with
	}
	return pageOf(direct, page, q.matches()), err
}

// Groups returns the names of the groups that a user is in, each once and
// sorted. Those around them are not among them: who is in a group is no member
// of its parent.
func (k *Users) Groups(ctx context.Context, u *User) ([]string, error) {
	p := Pool{ID: u.PoolID, TenantID: u.TenantID, Epoch: u.PoolEpoch}
	direct, _, err := k.groups.groupsOf(ctx, &p, u)
	var names []string
	for _, g := range direct {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
