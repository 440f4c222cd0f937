package idp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// world is a keeper with the workspaces and pools around it.
type world struct {
	t      testing.TB
	keeper *idp.Keeper
	store  *store.Store
	faulty *storetest.Faulty
	clock  *storetest.Clock
	ring   *vault.Ring
	paired *fakeClients

	mu         sync.Mutex
	workspaces map[string]string // "tenant/workspace" -> epoch
	pools      map[string]idp.Pool
	changed    []changes.Entry
	recorded   []audit.Event
	onPool     func() // runs once, when a pool is looked up next
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newWorld returns workspaces main and other of tenant acme and main of beta,
// with pools people and partners in each tenant.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, storetest.Memory(t))
}

func newWorldOn(t testing.TB, d store.Driver) *world {
	t.Helper()
	w := &world{
		ring: newRing(t), paired: &fakeClients{made: map[string]client.Client{}},
		t: t, faulty: storetest.NewFaulty(d), clock: storetest.NewClock(start),
		workspaces: map[string]string{"acme/main": "w1", "acme/other": "w2", "beta/main": "w3"},
		pools: map[string]idp.Pool{
			"acme/people": {Name: "People", Epoch: "p1"}, "acme/partners": {Name: "Partners", Epoch: "p2"}, "beta/people": {Name: "People", Epoch: "p3"},
		},
	}
	w.store = store.New(w.faulty, w.clock.Now)
	k, err := idp.Open(t.Context(), w.store, idp.Config{
		Now: w.clock.Now, Workspace: w.workspace, Pool: w.pool, Ring: w.ring, Clients: w.paired,
		Changed: func(_ context.Context, e changes.Entry) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = append(w.changed, e)
			return nil
		},
		Record: func(_ context.Context, e audit.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.recorded = append(w.recorded, e)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.keeper = k
	return w
}

// fakeClients stands for the clients of the workspace system.
type fakeClients struct {
	mu   sync.Mutex
	made map[string]client.Client
	err  error
}

func (f *fakeClients) Create(_ context.Context, c client.Client) (client.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return client.Client{}, f.err
	}
	c.ClientID = fmt.Sprintf("client-%d", len(f.made))
	f.made[c.ClientID] = c
	return c, nil
}

func (f *fakeClients) Delete(_ context.Context, _, id string, _ int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.made[id]; !ok {
		return fault.New(fault.NotFound, "no client", nil)
	}
	delete(f.made, id)
	return f.err
}

func (f *fakeClients) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.made)
}

func (w *world) workspace(_ context.Context, tenant, workspace string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if epoch, ok := w.workspaces[tenant+"/"+workspace]; ok {
		return epoch, nil
	}
	return "", fault.New(fault.NotFound, "no workspace", nil)
}

func (w *world) pool(_ context.Context, tenant, pool string) (idp.Pool, error) {
	w.mu.Lock()
	hook := w.onPool
	w.onPool = nil
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.pools[tenant+"/"+pool]; ok {
		return p, nil
	}
	return idp.Pool{}, fault.New(fault.NotFound, "no pool", nil)
}

// set changes the epoch of a workspace; empty removes it.
func (w *world) set(workspace, epoch string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if epoch == "" {
		delete(w.workspaces, workspace)
		return
	}
	w.workspaces[workspace] = epoch
}

// body is an IDP as the API hands it over.
func body(t testing.TB, tenant, workspace, text string) idp.IDP {
	t.Helper()
	var p idp.IDP
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p.TenantID, p.WorkspaceID = tenant, workspace
	return p
}

func (w *world) create(tenant, workspace, text string) idp.IDP {
	w.t.Helper()
	p, err := w.keeper.Create(w.t.Context(), body(w.t, tenant, workspace, text))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// ids returns the ids of a workspace's IDPs in the order of the list.
func (w *world) ids(tenant, workspace string) []string {
	w.t.Helper()
	list, err := w.keeper.List(w.t.Context(), tenant, workspace)
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, p := range list {
		out = append(out, p.ID)
	}
	return out
}

// want checks the kind of an error and the member that it names.
func want(t testing.TB, err error, kind fault.Kind, field string) {
	t.Helper()
	if !fault.Is(err, kind) || fault.Read(err).Field != field {
		t.Errorf("error %v, want kind %d at %q", err, kind, field)
	}
}
