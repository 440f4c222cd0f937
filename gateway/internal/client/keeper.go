package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config joins what the keepers need. Ring and Workspace are required; another
// nil func does nothing.
type Config struct {
	Ring *vault.Ring
	Now  func() time.Time // nil: time.Now
	// Workspace returns a workspace as it is now, NotFound when there is none.
	Workspace func(context.Context, tenant.Key) (tenant.Workspace, error)
	// Egress calls addresses that clients registered. Nil: sector identifiers are
	// not checked, and no client has keys at an address.
	Egress *http.Client
	// MaxRegistered is how many clients of one workspace may have registered
	// themselves; 0: 10 000.
	MaxRegistered int
	// OneWay tells whether a tenant keeps hashes of client secrets only (flag
	// client_secrets_stored_as_one_way_hash).
	OneWay func(ctx context.Context, tenant string) (bool, error)
	// Changed writes to the change log: configuration after its write,
	// revocations before the deletions they announce.
	Changed func(context.Context, changes.Entry) error
	// Record keeps an audit event.
	Record func(context.Context, audit.Event) error
}

// Keeper keeps clients, services, scopes and claims. Safe for concurrent use.
type Keeper struct {
	Clients  *Clients
	Services *Services
	Scopes   *Scopes
	Claims   *Claims
	Keys     *Keys
}

// Open declares the tables and returns their keeper.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Ring == nil || c.Workspace == nil {
		return nil, errors.New("client: a key ring and a source of workspaces are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	clients, err := store.Declare(ctx, s, store.Spec[clientRecord]{
		Name: "clients",
		Indexes: map[string]func(*clientRecord) (store.Key, bool){
			"client_id": (*clientRecord).byID, "name": (*clientRecord).byName, "issued_at": (*clientRecord).byIssue,
			"registered": (*clientRecord).byRegistration,
		},
	})
	if err != nil {
		return nil, err
	}
	services, err := openShelf[Service](ctx, s, c, "services", "service")
	if err != nil {
		return nil, err
	}
	scopes, err := openShelf[Scope](ctx, s, c, "scopes", "scope")
	if err != nil {
		return nil, err
	}
	claims, err := openShelf[Claim](ctx, s, c, "token_claims", "claim")
	if err != nil {
		return nil, err
	}
	keys, err := NewKeys(c.Egress, c.Now)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		Keys:   keys,
		Scopes: &Scopes{shelf: scopes, services: services},
		Claims: &Claims{shelf: claims},
	}
	k.Services = &Services{shelf: services, scopes: k.Scopes}
	k.Clients = &Clients{config: c, table: clients, scopes: k.Scopes}
	return k, nil
}

// Purge removes everything that a workspace has here; it is meant for the
// deletion of that workspace and may be repeated. Without a workspace it does
// nothing: purging a tenant empties the tables.
func (k *Keeper) Purge(ctx context.Context, key tenant.Key) error {
	if key.Workspace == "" {
		return nil
	}
	return errors.Join(
		k.Clients.purge(ctx, key), k.Services.shelf.purge(ctx, key), k.Scopes.shelf.purge(ctx, key), k.Claims.shelf.purge(ctx, key),
	)
}

func (c *Config) changed(ctx context.Context, kind string, key tenant.Key, id string) error {
	if c.Changed == nil {
		return nil
	}
	return c.Changed(ctx, changes.Entry{Kind: kind, Tenant: key.Tenant, Workspace: key.Workspace, ID: id})
}

// record keeps the event {subject}_{action} about v.
func (c *Config) record(ctx context.Context, key tenant.Key, subject, action string, v any) error {
	if c.Record == nil {
		return nil
	}
	payload, err := json.Marshal(map[string]any{subject + "_" + action: v})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	return c.Record(ctx, audit.Event{Tenant: key.Tenant, Workspace: key.Workspace, Subject: subject, Action: action, Payload: payload})
}

// still checks that a workspace has not been deleted while something was
// created in it.
func (c *Config) still(ctx context.Context, w *tenant.Workspace) error {
	now, err := c.Workspace(ctx, w.Key())
	if err == nil && now.Epoch != w.Epoch {
		err = fault.New(fault.NotFound, "There is no such workspace.", nil)
	}
	return err
}
