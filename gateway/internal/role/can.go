package role

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Caller is who asks: a person as a user of a pool and as somebody who came by
// an IDP, or an API client with a token of its own. A client through which a
// person signed in is not a subject: its roles are not theirs.
type Caller struct {
	Tenant   string
	Subjects []Subject // with their epochs
}

// Can tells whether the caller may do p on a resource. Everything that no grant
// allows is refused: another tenant, a missing epoch, an unknown permission.
func (r *Roles) Can(ctx context.Context, who Caller, p Permission, on Resource) (bool, error) {
	list, err := r.of(ctx, who, on)
	if err != nil {
		return false, err
	}
	return some(list, p, on), nil
}

// Check returns the whole list of permissions on a resource with what the
// caller may do: the published types TenantPermissionsResponse,
// WorkspacePermissionsResponse and PoolPermissionsResponse.
func (r *Roles) Check(ctx context.Context, who Caller, on Resource) (map[Permission]bool, error) {
	list, err := r.of(ctx, who, on)
	if err != nil {
		return nil, err
	}
	answer := map[Permission]bool{}
	for _, p := range permissions(on.Kind()) {
		answer[p] = some(list, p, on)
	}
	return answer, nil
}

// Covers tells whether the caller could have granted every role that the
// targets hold, or is the target. Whoever changes the credentials of a user,
// reads or rotates the secret of a client, or changes the IDP by which people
// come takes over the roles of these: operations of that kind ask Covers beside
// their own permission, with the user and every IDP of the user's pool, with the
// client, or with the IDP.
func (r *Roles) Covers(ctx context.Context, who Caller, targets ...Subject) (bool, error) {
	for _, target := range targets {
		if target.TenantID == who.Tenant && slices.Contains(who.Subjects, target) {
			continue
		}
		list, err := r.grants(ctx, target)
		if err != nil {
			return false, err
		}
		for _, g := range list {
			ok, err := r.Can(ctx, who, ManageRole(g.Role), g.Resource)
			if err != nil || !ok {
				return false, err
			}
		}
	}
	return true, nil
}

// of returns the caller's grants that touch a resource.
func (r *Roles) of(ctx context.Context, who Caller, on Resource) ([]grant, error) {
	if who.Tenant == "" || who.Tenant != on.Tenant.ID {
		return nil, nil
	}
	var list []grant
	for _, s := range who.Subjects {
		s.TenantID = who.Tenant
		held, err := r.grants(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, g := range held {
			if at := g.Resource.self(); at.ID != "" && at.Epoch != "" && at == on.at(g.Resource.Kind()) {
				list = append(list, g)
			}
		}
	}
	return list, nil
}

// some tells whether one of the grants allows p.
func some(list []grant, p Permission, on Resource) bool {
	root := p == ManageTenants || p == ReadTenants
	return slices.ContainsFunc(list, func(g grant) bool {
		if root {
			return on.Tenant.ID == Root && allowsRoot(g.Resource.Kind(), g.Role, p)
		}
		return allows(g.Resource.Kind(), g.Role, on.Kind(), p)
	})
}

// grants returns the roles of a subject, from the cache where it knows them.
func (r *Roles) grants(ctx context.Context, who Subject) ([]grant, error) {
	if who.Epoch == "" {
		return nil, nil
	}
	key := cacheKey{tenant: who.TenantID, subject: who.key()}
	list, ok, turn := r.cache.get(key)
	if !ok {
		err := r.table.All(ctx, who.TenantID, store.Query{Index: "subject", Equal: key.subject}, func(row store.Row[grant]) bool {
			list = append(list, row.Value)
			return true
		})
		if err != nil {
			return nil, err
		}
		r.cache.put(key, list, turn)
	}
	var mine []grant
	for _, g := range list {
		if g.SubjectEpoch == who.Epoch {
			mine = append(mine, g)
		}
	}
	return mine, nil
}

// Apply drops what the change log says has changed; nil drops everything.
func (r *Roles) Apply(entries []changes.Entry) {
	if entries == nil {
		r.cache.drop("")
		return
	}
	for _, e := range entries {
		if e.Kind == changes.KindRole || e.Kind == changes.KindTenant {
			r.cache.drop(e.Tenant)
		}
	}
}

const (
	cacheLife = 30 * time.Second // read again, whatever the change log says
	cacheSize = 10_000           // subjects
)

type cacheKey struct{ tenant, subject string }

type cached struct {
	list []grant
	read time.Time
}

// cache holds the grants of subjects. Few subjects call the API, so a full cache
// is simply emptied.
type cache struct {
	now func() time.Time

	mu    sync.Mutex
	turn  uint64 // of drops: what was read before one is not kept after it
	lists map[cacheKey]cached
}

func (c *cache) get(key cacheKey) ([]grant, bool, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.lists[key]
	if age := c.now().Sub(found.read); !ok || age < 0 || age >= cacheLife {
		return nil, false, c.turn
	}
	return found.list, true, c.turn
}

func (c *cache) put(key cacheKey, list []grant, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if turn != c.turn {
		return
	}
	if len(c.lists) >= cacheSize {
		clear(c.lists)
	}
	c.lists[key] = cached{list: list, read: c.now()}
}

// drop forgets a tenant, or everything when tenant is empty.
func (c *cache) drop(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	for key := range c.lists {
		if tenant == "" || key.tenant == tenant {
			delete(c.lists, key)
		}
	}
}
