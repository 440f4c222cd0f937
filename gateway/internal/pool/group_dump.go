package pool

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// InternalGroup is a group in a dump (published API 14).
type InternalGroup struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Path        string `json:"path"` // the ids from the top down to the group itself, with slashes between
	TenantID    string `json:"tenant_id"`
	UserPoolID  string `json:"user_pool_id"`
}

// GroupMember is a membership in a dump (published API 14).
type GroupMember struct {
	GroupID    string `json:"group_id"`
	TenantID   string `json:"tenant_id"`
	UserID     string `json:"user_id"`
	UserPoolID string `json:"user_pool_id"`
}

// Dump returns all groups of a pool, each behind the one that it is in.
func (k *Groups) Dump(ctx context.Context, tenant, pool string) ([]InternalGroup, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return nil, err
	}
	levels, err := k.levels(ctx, &p, "", 2*maxGroups)
	if err != nil {
		return nil, err
	}
	var out []InternalGroup
	paths := map[string]string{}
	for _, g := range slices.Concat(levels...) {
		paths[g.ID] = strings.TrimPrefix(paths[g.ParentID]+"/"+g.ID, "/")
		out = append(out, InternalGroup{
			ID: g.ID, Name: g.Name, Description: g.Description, Path: paths[g.ID], TenantID: g.TenantID, UserPoolID: g.UserPoolID,
		})
	}
	return out, nil
}

// DumpMembers calls yield for every membership of a pool until it returns false.
func (k *Groups) DumpMembers(ctx context.Context, tenant, pool string, yield func(GroupMember) bool) error {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return err
	}
	t := k.newTree(&p)
	var failed error
	err = k.members.All(ctx, tenant, store.Query{Equal: store.Prefix(p.Epoch)}, func(row store.Row[member]) bool {
		m := row.Value
		g, err := t.get(ctx, m.Group)
		if err != nil {
			failed = err
			return false
		}
		u, err := k.users.records.get(ctx, at(&p, m.User))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			failed = err
			return false
		}
		if err != nil || g == nil || g.Epoch != m.GroupEpoch || u.Value.Epoch != m.UserEpoch {
			return true
		}
		return yield(GroupMember{GroupID: m.Group, TenantID: tenant, UserID: m.User, UserPoolID: p.ID})
	})
	return errors.Join(err, failed)
}

// Restore makes a group as in a dump, or changes the one with its id. Groups come
// in the order of Dump; members are added by Add.
func (k *Groups) Restore(ctx context.Context, tenant string, in InternalGroup) error {
	way := strings.Split(strings.Trim(in.Path, "/"), "/")
	if last := way[len(way)-1]; last != "" && last != in.ID {
		return fault.At(fault.Unprocessable, "path", "must end with the id of the group")
	}
	parent := ""
	if len(way) > 1 {
		parent = way[len(way)-2]
	}
	_, err := k.Update(ctx, tenant, in.UserPoolID, in.ID, 0, UpdateGroup{Name: &in.Name, Description: &in.Description, ParentID: &parent})
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = k.Create(ctx, tenant, in.UserPoolID, NewGroup{ID: in.ID, Name: in.Name, Description: in.Description, ParentID: parent})
	return err
}
