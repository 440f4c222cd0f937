package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Config says where snapshots come from.
type Config struct {
	Workspace func(ctx context.Context, key tenant.Key) (tenant.Workspace, error)
	IDPs      func(ctx context.Context, tenant, workspace string) ([]idp.IDP, error)
	Scopes    func(ctx context.Context, key tenant.Key) ([]client.Scope, error)
	Claims    func(ctx context.Context, key tenant.Key) ([]client.Claim, error)
	Client    func(ctx context.Context, tenant, id string) (client.Client, error)
	ClientsOf func(ctx context.Context, key tenant.Key) ([]client.Client, error) // all of a workspace

	Spaces  int           // workspaces kept; 0 means 1 000
	Clients int           // clients kept; 0 means 10 000
	Recheck time.Duration // a snapshot is made again after it; 0 means 30 s
	Now     func() time.Time
}

// Cache keeps snapshots. Safe for concurrent use.
type Cache struct {
	Config
	spaces  *otter.Cache[tenant.Key, snapshot[Space]]
	clients *otter.Cache[clientKey, snapshot[client.Client]]
	origins *otter.Cache[tenant.Key, snapshot[origins]]
	applied atomic.Uint64 // how often Apply was called
}

type clientKey struct{ tenant, id string }

type snapshot[T any] struct {
	value *T
	made  time.Time
}

// New returns an empty cache.
func New(c Config) (*Cache, error) {
	c.Spaces, c.Clients = cmp.Or(c.Spaces, 1_000), cmp.Or(c.Clients, 10_000)
	c.Recheck = cmp.Or(c.Recheck, 30*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	spaces, err := otter.New(&otter.Options[tenant.Key, snapshot[Space]]{MaximumSize: c.Spaces})
	if err != nil {
		return nil, fmt.Errorf("workspace cache: %w", err)
	}
	clients, err := otter.New(&otter.Options[clientKey, snapshot[client.Client]]{MaximumSize: c.Clients})
	if err != nil {
		return nil, fmt.Errorf("client cache: %w", err)
	}
	origins, err := otter.New(&otter.Options[tenant.Key, snapshot[origins]]{MaximumSize: c.Spaces})
	if err != nil {
		return nil, fmt.Errorf("origin cache: %w", err)
	}
	return &Cache{Config: c, spaces: spaces, clients: clients, origins: origins}, nil
}

// Space returns a workspace, or fault.NotFound. While the store is away the
// last snapshot goes on serving.
func (c *Cache) Space(ctx context.Context, tenantID, workspace string) (*Space, error) {
	key := tenant.Key{Tenant: tenantID, Workspace: workspace}
	return lookup(c, c.spaces, key, func() (*Space, error) { return c.build(ctx, key) })
}

// Client returns a client of a tenant whatever its workspace, or fault.NotFound.
func (c *Cache) Client(ctx context.Context, tenantID, id string) (*client.Client, error) {
	return lookup(c, c.clients, clientKey{tenantID, id}, func() (*client.Client, error) {
		v, err := c.Config.Client(ctx, tenantID, id)
		return &v, err
	})
}

func lookup[K comparable, T any](c *Cache, cache *otter.Cache[K, snapshot[T]], key K, build func() (*T, error)) (*T, error) {
	old, ok := cache.GetIfPresent(key)
	if ok && c.Now().Sub(old.made) < c.Recheck {
		return old.value, nil
	}
	before := c.applied.Load()
	v, err := build()
	switch {
	case err == nil:
		cache.Set(key, snapshot[T]{v, c.Now()})
		if c.applied.Load() != before { // a change may have come after what was read
			cache.Invalidate(key)
		}
		return v, nil
	case fault.Is(err, fault.NotFound):
		cache.Invalidate(key)
		return nil, err
	case ok:
		return old.value, nil
	default:
		return nil, err
	}
}

func (c *Cache) build(ctx context.Context, key tenant.Key) (*Space, error) {
	w, err := c.Workspace(ctx, key)
	if err != nil {
		return nil, err
	}
	s := &Space{
		Tenant: key.Tenant, ID: key.Workspace, Name: w.Name, Epoch: w.Epoch, Workspace: w,
		EnforcePKCE: w.EnforcePKCE, Scopes: map[string]client.Scope{},
	}
	scopes, err := c.Scopes(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, x := range scopes {
		s.Scopes[x.Name] = x
	}
	if s.Claims, err = c.Claims(ctx, key); err != nil {
		return nil, err
	}
	all, err := c.IDPs(ctx, key.Tenant, key.Workspace)
	if err != nil {
		return nil, err
	}
	s.IDPs = slices.DeleteFunc(all, func(p idp.IDP) bool { return p.Disabled })
	slices.SortStableFunc(s.IDPs, func(a, b idp.IDP) int {
		return cmp.Or(cmp.Compare(a.DisplayOrder, b.DisplayOrder), cmp.Compare(a.Name, b.Name))
	})
	return s, nil
}

// Apply drops what entries of the change log are about; nil drops everything.
func (c *Cache) Apply(entries []changes.Entry) {
	c.applied.Add(1)
	if entries == nil {
		c.spaces.InvalidateAll()
		c.clients.InvalidateAll()
		c.origins.InvalidateAll()
		return
	}
	for _, e := range entries {
		switch e.Kind {
		case changes.KindClient:
			c.clients.Invalidate(clientKey{e.Tenant, e.ID})
			c.drop(e)
		case changes.KindWorkspace, changes.KindIDP, changes.KindTenant, changes.KindPool:
			c.drop(e)
		}
	}
}

// drop forgets the workspace of an entry, or all of the tenant when the entry
// names none.
func (c *Cache) drop(e changes.Entry) {
	if e.Workspace != "" {
		key := tenant.Key{Tenant: e.Tenant, Workspace: e.Workspace}
		c.spaces.Invalidate(key)
		c.origins.Invalidate(key)
		return
	}
	for key := range c.spaces.Keys() {
		if key.Tenant == e.Tenant {
			c.spaces.Invalidate(key)
		}
	}
	for key := range c.origins.Keys() {
		if key.Tenant == e.Tenant {
			c.origins.Invalidate(key)
		}
	}
}
