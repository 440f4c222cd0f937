package setup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const base = "http://localhost:8080"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// disk is what outlives a process: the records, the keys, the time.
type disk struct {
	driver store.Driver
	ring   *vault.Ring
	clock  *storetest.Clock
}

func newDisk(t testing.TB) *disk {
	t.Helper()
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	return &disk{driver: storetest.Memory(t), ring: ring, clock: storetest.NewClock(start)}
}

// world is one process: a Setup and the keepers below it.
type world struct {
	*setup.Setup
	t       testing.TB
	disk    *disk
	faulty  *storetest.Faulty
	store   *store.Store
	tenants *tenant.Keeper
	roles   *role.Roles
	clients *client.Keeper
	pools   *pool.Keeper
	idps    *idp.Keeper
	routes  *route.Keeper
	oneWay  bool

	mu     sync.Mutex
	events []audit.Event
	keys   []string // workspaces whose keys were removed
}

// newWorld returns a process over an empty disk.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newDisk(t).start(t, base)
}

// start begins a process on the disk.
func (d *disk) start(t testing.TB, baseURL string) *world {
	t.Helper()
	w := &world{t: t, disk: d, faulty: storetest.NewFaulty(d.driver)}
	w.store = store.New(w.faulty, d.clock.Now)
	w.open(baseURL)
	return w
}

func (w *world) open(baseURL string) {
	w.t.Helper()
	ctx, now, ring := w.t.Context(), w.disk.clock.Now, w.disk.ring
	changed := func(context.Context, changes.Entry) error { return nil }
	var err error
	ok := func() {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.tenants, err = tenant.Open(ctx, w.store, tenant.Config{
		Ring: ring, Changed: changed, Record: w.record,
		Purge: func(ctx context.Context, k tenant.Key) error { return w.Purge(ctx, k) },
	})
	ok()
	w.roles, err = role.Open(ctx, w.store, role.Config{Now: now, Changed: changed, Record: w.record})
	ok()
	w.clients, err = client.Open(ctx, w.store, client.Config{
		Ring: ring, Now: now, Changed: changed, Record: w.record, Workspace: w.tenants.Workspaces.Get,
		OneWay: func(context.Context, string) (bool, error) { return w.oneWay, nil },
	})
	ok()
	w.pools, err = pool.Open(ctx, w.store, pool.Config{
		Ring: ring, Now: now, Changed: changed, Audit: auditor(w.record),
		TenantEpoch: func(ctx context.Context, id string) (string, error) {
			v, err := w.tenants.Tenants.Get(ctx, id)
			return v.Epoch, err
		},
	})
	ok()
	w.idps, err = idp.Open(ctx, w.store, idp.Config{
		Now: now, Changed: changed, Record: w.record, Workspace: w.epoch,
		Pool: func(ctx context.Context, tenantID, id string) (idp.Pool, error) {
			p, err := w.pools.Pools.Get(ctx, tenantID, id)
			return idp.Pool{Name: p.Name, Epoch: p.Epoch}, err
		},
	})
	ok()
	w.routes, err = route.Open(ctx, w.store, route.Config{Scheme: "http", Now: now, Changed: changed, Epoch: w.epoch})
	ok()
	w.Setup, err = setup.Open(ctx, setup.Config{
		Store: w.store, Base: baseURL, Tenants: w.tenants, Roles: w.roles, Clients: w.clients,
		Schemas: w.pools.Schemas, Pools: w.pools.Pools, Users: w.pools.Users, Groups: w.pools.Groups, IDPs: w.idps, Routes: w.routes, Now: now,
		Keys: func(_ context.Context, tenantID, id string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.keys = append(w.keys, tenantID+"/"+id)
			return nil
		},
	})
	ok()
}

type auditor func(context.Context, audit.Event) error

func (a auditor) Record(ctx context.Context, e audit.Event) error { return a(ctx, e) }

func (w *world) record(_ context.Context, e audit.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

func (w *world) epoch(ctx context.Context, tenantID, id string) (string, error) {
	v, err := w.tenants.Workspaces.Get(ctx, tenant.Key{Tenant: tenantID, Workspace: id})
	return v.Epoch, err
}

// restart is the process after a crash and long enough for leases to lapse.
func (w *world) restart() *world {
	w.t.Helper()
	w.disk.clock.Advance(5 * time.Minute)
	return w.disk.start(w.t, base)
}

// crashAt makes the nth store call from now on, and all after it, fail.
func (w *world) crashAt(n int) {
	for i := range 400 {
		w.faulty.Fail(storetest.OpAny, "", n+i, nil)
	}
}

// clientNames lists the clients of a tenant as workspace and name.
func (w *world) clientNames(tenantID string) []string {
	w.t.Helper()
	spaces, err := w.tenants.Workspaces.All(w.t.Context(), tenantID)
	if err != nil {
		w.t.Fatal(err)
	}
	list := []string{}
	for i := range spaces {
		all, err := w.clients.Clients.All(w.t.Context(), spaces[i].Key())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range all {
			list = append(list, spaces[i].ID+" "+c.ClientName)
		}
	}
	slices.Sort(list)
	return list
}

// scopeNames lists the scopes of a workspace.
func (w *world) scopeNames(tenantID, id string) []string {
	w.t.Helper()
	all, err := w.clients.Scopes.All(w.t.Context(), tenant.Key{Tenant: tenantID, Workspace: id})
	if err != nil {
		w.t.Fatal(err)
	}
	list := make([]string, len(all))
	for i := range all {
		list[i] = all[i].Name
	}
	return list
}

// rows returns the records of a tenant as "table id: JSON".
func (w *world) rows(tenantID string) []string {
	w.t.Helper()
	var list []string
	for _, table := range w.store.Tables() {
		recs, err := w.disk.driver.Scan(w.t.Context(), table, store.Scan{Tenant: tenantID, Limit: 10_000, Now: w.disk.clock.Now()})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, rec := range recs {
			var raw json.RawMessage
			if err := rec.Decode(&raw); err != nil {
				w.t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%s %s: %s", table, rec.ID, raw))
		}
	}
	return list
}

// rowsOf is rows of one table.
func (w *world) rowsOf(tenantID, table string) []string {
	w.t.Helper()
	return slices.DeleteFunc(w.rows(tenantID), func(row string) bool { return !strings.HasPrefix(row, table+" ") })
}

// may tells whether an API client may do something on a tenant.
func (w *world) may(c client.Client, p role.Permission, tenantID string) bool {
	w.t.Helper()
	v, err := w.tenants.Tenants.Get(w.t.Context(), tenantID)
	if err != nil {
		w.t.Fatal(err)
	}
	who := role.Caller{Tenant: c.TenantID, Subjects: []role.Subject{role.Client(c.TenantID, c.ClientID, c.Epoch)}}
	ok, err := w.roles.Can(w.t.Context(), who, p, role.Resource{Tenant: role.Ref{ID: v.ID, Epoch: v.Epoch}})
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

// proves fails the test unless the client's secret is the stored one.
func (w *world) proves(c client.Client) {
	w.t.Helper()
	got, err := w.clients.Clients.Get(w.t.Context(), c.TenantID, c.ClientID)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := client.Prove(&got, c.ClientSecret, w.disk.clock.Now()); err != nil {
		w.t.Errorf("the secret of %s in %s/%s: %v", c.ClientName, c.TenantID, c.WorkspaceID, err)
	}
}

// hidden fails the test when one of the secrets stands in a record or an event.
func (w *world) hidden(tenants []string, secrets ...string) {
	w.t.Helper()
	texts := []string{}
	for _, id := range tenants {
		texts = append(texts, w.rows(id)...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		texts = append(texts, string(e.Payload), fmt.Sprint(e.Metadata))
	}
	for _, secret := range secrets {
		if len(secret) < 8 {
			w.t.Errorf("%q is no secret", secret)
		}
		for _, text := range texts {
			if strings.Contains(text, secret) {
				w.t.Errorf("the secret %s is in the clear: %s", secret, text)
			}
		}
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantFault(t testing.TB, err error, kind fault.Kind, field string) {
	t.Helper()
	if !fault.Is(err, kind) || fault.Read(err).Field != field {
		t.Errorf("error %v, want kind %d at %q", err, kind, field)
	}
}

// covered tells whether a route lets its upstream be at an address.
func covered(r *route.Route, addr string) bool {
	return r != nil && slices.ContainsFunc(r.Networks, func(n netip.Prefix) bool { return n.Contains(netip.MustParseAddr(addr)) })
}
