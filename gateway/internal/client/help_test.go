package client_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// bench is a keeper over a tenant acme with the workspaces shop and system.
type bench struct {
	*client.Keeper
	store   *store.Store
	tenants *tenant.Keeper

	mu     sync.Mutex
	now    time.Time
	oneWay bool
	types  []string // subject_identifier_types; nil: those of the record
	log    []string
	events []audit.Event
	fail   map[string]error
}

var (
	shop = tenant.Key{Tenant: "acme", Workspace: "shop"}
	desk = tenant.Key{Tenant: "acme", Workspace: tenant.System}
)

func (b *bench) note(line string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, line)
	return b.fail[line]
}

func (b *bench) taken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log
	b.log = nil
	return log
}

func setUp(t *testing.T, alter ...func(*client.Config)) *bench {
	t.Helper()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: store.New(d, nil), now: time.UnixMilli(1_800_000_000_123), fail: map[string]error{}}
	t.Cleanup(func() { _ = b.store.Close() })
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	b.tenants, err = tenant.Open(t.Context(), b.store, tenant.Config{
		Ring: ring, Purge: func(ctx context.Context, k tenant.Key) error { return b.Purge(ctx, k) },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := client.Config{
		Ring: ring, Workspace: func(ctx context.Context, key tenant.Key) (tenant.Workspace, error) {
			w, err := b.tenants.Workspaces.Get(ctx, key)
			if b.types != nil {
				w.SubjectIdentifierTypes = b.types
			}
			return w, err
		},
		Now:    func() time.Time { return b.now },
		OneWay: func(context.Context, string) (bool, error) { return b.oneWay, nil },
		Changed: func(_ context.Context, e changes.Entry) error {
			return b.note(e.Kind + " " + e.Tenant + "/" + e.Workspace + " " + e.ID)
		},
		Record: func(_ context.Context, e audit.Event) error {
			if err := audit.Check(e.Subject, e.Action); err != nil {
				return err
			}
			b.events = append(b.events, e)
			return b.note("event " + e.Tenant + "/" + e.Workspace + " " + e.Subject + "_" + e.Action)
		},
	}
	for _, f := range alter {
		f(&cfg)
	}
	b.Keeper, err = client.Open(t.Context(), b.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.tenants.Tenants.Create(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}); err != nil {
		t.Fatal(err)
	}
	b.workspace(t, "shop")
	w, err := b.tenants.Workspaces.CreateBuiltin(t.Context(), tenant.Workspace{TenantID: "acme", ID: tenant.System})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Seed(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	b.taken()
	return b
}

// workspace makes a workspace of acme with what it starts with.
func (b *bench) workspace(t *testing.T, id string) tenant.Workspace {
	t.Helper()
	w, err := b.tenants.Workspaces.Create(t.Context(), tenant.Workspace{TenantID: "acme", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Seed(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	b.taken()
	return w
}

func parse(t *testing.T, body string) client.Client {
	t.Helper()
	var c client.Client
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		t.Fatal(err)
	}
	c.TenantID = "acme"
	if c.WorkspaceID == "" {
		c.WorkspaceID = "shop"
	}
	return c
}

func (b *bench) client(t *testing.T, body string) client.Client {
	t.Helper()
	made, err := b.Clients.Create(t.Context(), parse(t, body))
	if err != nil {
		t.Fatal(err)
	}
	b.taken()
	return made
}

func (b *bench) get(t *testing.T, id string) client.Client {
	t.Helper()
	c, err := b.Clients.Get(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wire(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func wantFault(t *testing.T, err error, kind fault.Kind, field string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want kind %d, field %q", kind, field)
		return
	}
	if f := fault.Read(err); f.Kind != kind || f.Field != field {
		t.Errorf("got %v (kind %d, field %q), want kind %d, field %q", err, f.Kind, f.Field, kind, field)
	}
}

func secret(c string) string { return strings.Repeat(c, 40) }
