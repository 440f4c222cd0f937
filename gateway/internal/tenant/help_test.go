package tenant_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// bench is a keeper with everything it tells others written down.
type bench struct {
	*tenant.Keeper
	store *store.Store
	ring  *vault.Ring

	mu     sync.Mutex
	log    []string // kinds and ids of change entries, "purge ..." and "event ..."
	events []audit.Event
	fail   map[string]error // by log line
}

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

func setUp(t *testing.T) *bench {
	t.Helper()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: store.New(d, nil), fail: map[string]error{}}
	t.Cleanup(func() { _ = b.store.Close() })
	if b.ring, err = vault.New([]vault.Key{vault.GenerateKey()}); err != nil {
		t.Fatal(err)
	}
	b.Keeper, err = tenant.Open(t.Context(), b.store, tenant.Config{
		Ring: b.ring,
		Changed: func(_ context.Context, e changes.Entry) error {
			return b.note(e.Kind + " " + e.Tenant + "/" + e.Workspace + " " + e.ID)
		},
		Record: func(_ context.Context, e audit.Event) error {
			b.mu.Lock()
			b.events = append(b.events, e)
			b.mu.Unlock()
			if err := audit.Check(e.Subject, e.Action); err != nil {
				return err
			}
			return b.note("event " + e.Tenant + "/" + e.Workspace + " " + e.Subject + "_" + e.Action)
		},
		Purge: func(_ context.Context, k tenant.Key) error { return b.note("purge " + k.Tenant + "/" + k.Workspace) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// acme makes a tenant of that id.
func (b *bench) tenant(t *testing.T, id string) tenant.Tenant {
	t.Helper()
	made, err := b.Tenants.Create(t.Context(), tenant.Tenant{ID: id, Name: id})
	if err != nil {
		t.Fatal(err)
	}
	b.taken()
	return made
}

func (b *bench) workspace(t *testing.T, body string) tenant.Workspace {
	t.Helper()
	made, err := b.Workspaces.Create(t.Context(), parse(t, body))
	if err != nil {
		t.Fatal(err)
	}
	b.taken()
	return made
}

func parse(t *testing.T, body string) tenant.Workspace {
	t.Helper()
	var w tenant.Workspace
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		t.Fatal(err)
	}
	if w.TenantID == "" {
		w.TenantID = "acme"
	}
	return w
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
	if !fault.Is(err, kind) || fault.Read(err).Field != field {
		t.Errorf("got %v (kind %d, field %q), want kind %d, field %q", err, fault.Read(err).Kind, fault.Read(err).Field, kind, field)
	}
}
