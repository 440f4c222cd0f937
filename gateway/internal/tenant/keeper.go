package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config joins what a keeper of tenants needs. Ring is required; a nil func
// does nothing.
type Config struct {
	Ring *vault.Ring
	// Changed writes to the change log: configuration after its write,
	// revocations before the deletions they announce.
	Changed func(context.Context, changes.Entry) error
	// Record keeps an audit event.
	Record func(context.Context, audit.Event) error
	// Purge removes what other packages keep under a workspace, or under a whole
	// tenant when Workspace is empty. It may be called again after a failure.
	Purge func(context.Context, Key) error
}

// Keeper keeps tenants and workspaces. Safe for concurrent use.
type Keeper struct {
	Tenants    *Tenants
	Workspaces *Workspaces
}

// Open declares the tables and returns their keeper.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Ring == nil {
		return nil, errors.New("tenant: a key ring is needed")
	}
	ts, err := store.Declare(ctx, s, store.Spec[tenantRecord]{Name: "tenants", Due: (*tenantRecord).due})
	if err != nil {
		return nil, err
	}
	ws, err := store.Declare(ctx, s, store.Spec[workspaceRecord]{
		Name: "workspaces", Due: (*workspaceRecord).due,
		Indexes: map[string]func(*workspaceRecord) (store.Key, bool){"id": (*workspaceRecord).byID, "name": (*workspaceRecord).byName},
	})
	if err != nil {
		return nil, err
	}
	w := &Workspaces{config: c, table: ws}
	t := &Tenants{config: c, store: s, table: ts, workspaces: w}
	w.tenants = t
	return &Keeper{Tenants: t, Workspaces: w}, nil
}

// Finish carries on deletions that stopped half-way. It is meant for a periodic
// job and for the start of the gateway.
func (k *Keeper) Finish(ctx context.Context) error {
	return errors.Join(k.Tenants.finishAll(ctx), k.Workspaces.finishAll(ctx))
}

func (c *Config) changed(ctx context.Context, e changes.Entry) error {
	if c.Changed == nil {
		return nil
	}
	return c.Changed(ctx, e)
}

func (c *Config) purge(ctx context.Context, k Key) error {
	if c.Purge == nil {
		return nil
	}
	return c.Purge(ctx, k)
}

// record keeps the event server_{action} of a workspace; at is whose log it
// goes to.
func (c *Config) record(ctx context.Context, at Key, action string, w *Workspace) error {
	if c.Record == nil {
		return nil
	}
	public := w.Public()
	payload, err := json.Marshal(map[string]any{"server_" + action: &public})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	return c.Record(ctx, audit.Event{
		Tenant: at.Tenant, Workspace: at.Workspace, Subject: audit.SubjectServer, Action: action, Payload: payload,
	})
}

// dueNow marks a record whose deletion must be carried on.
func dueNow(deleting bool) time.Time {
	if deleting {
		return time.Unix(1, 0)
	}
	return time.Time{}
}
