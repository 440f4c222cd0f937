package client

import (
	"context"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// The types of services.
const (
	ServiceUser        = "user"
	ServiceOAuth2      = "oauth2"
	ServiceOIDC        = "oidc"
	ServiceSystem      = "system"
	ServiceOpenbanking = "openbanking"
)

var serviceTypes = []string{ServiceUser, ServiceOAuth2, ServiceOIDC, ServiceSystem, ServiceOpenbanking}

// Services keeps services. Safe for concurrent use.
type Services struct {
	shelf  *shelf[Service, *Service]
	scopes *Scopes
}

func (s *Service) check() error {
	if s.Type == "" {
		s.Type = ServiceUser
	}
	if s.Name == "" {
		return fault.At(fault.Unprocessable, "name", "is required")
	}
	for _, t := range []struct {
		field, value string
		limit        int
	}{
		{"name", s.Name, 200},
		{"description", s.Description, record.MaxText},
		{"custom_audience", s.CustomAudience, record.MaxText},
		{"gateway_id", s.GatewayID, 200},
	} {
		if err := record.Text(t.field, t.value, t.limit); err != nil {
			return err
		}
	}
	return record.OneOf("type", s.Type, serviceTypes)
}

// Create stores a new service; without an id it gets a random one. Errors:
// Unprocessable, NotFound for the workspace, Conflict.
func (k *Services) Create(ctx context.Context, s Service) (Service, error) {
	if err := s.check(); err != nil {
		return Service{}, err
	}
	w, err := k.shelf.workspace(ctx, &s)
	if err != nil {
		return Service{}, err
	}
	if s.ID == "" {
		s.ID = vault.NewID()
	}
	s.UpdatedAt = k.now()
	made, err := k.shelf.create(ctx, &w, s)
	if err != nil {
		return Service{}, err
	}
	return made, k.record(ctx, audit.ActionCreated, &made)
}

func (k *Services) now() time.Time { return k.shelf.config.Now().UTC().Truncate(time.Millisecond) }

func (k *Services) record(ctx context.Context, action string, s *Service) error {
	return k.shelf.config.record(ctx, s.place().key(), audit.SubjectService, action, s)
}

// Get returns a service of a tenant.
func (k *Services) Get(ctx context.Context, tenantID, id string) (Service, error) {
	return k.shelf.get(ctx, tenantID, id)
}

// Update replaces a service; what came with the workspace keeps its type.
func (k *Services) Update(ctx context.Context, s Service) (Service, error) {
	now := k.now()
	made, err := k.shelf.update(ctx, s, func(old, next *Service) error {
		if old.System {
			next.Type = old.Type
		}
		next.System, next.UpdatedAt = old.System, now
		return next.check()
	})
	if err != nil {
		return Service{}, err
	}
	return made, k.record(ctx, audit.ActionUpdated, &made)
}

// Delete removes a service with its scopes. One that came with the workspace is
// refused: Denied.
func (k *Services) Delete(ctx context.Context, tenantID, id string, rev int64) error {
	s, err := k.Get(ctx, tenantID, id)
	if err != nil {
		return err
	}
	if s.System {
		return fault.New(fault.Denied, "A service that came with the workspace cannot be deleted.", nil)
	}
	if rev != 0 && rev != s.Rev {
		return record.Fault(store.ErrStale, "service")
	}
	scopes, err := k.Scopes(ctx, &s)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if err := k.scopes.shelf.remove(ctx, scope, 0); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if err := k.shelf.remove(ctx, s, rev); err != nil {
		return err
	}
	return k.record(ctx, audit.ActionDeleted, &s)
}

// Scopes returns the scopes of a service by name.
func (k *Services) Scopes(ctx context.Context, s *Service) ([]Scope, error) {
	all, err := k.scopes.All(ctx, s.place().key())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(scope Scope) bool { return scope.ServiceID != s.ID }), nil
}

// ServiceFilter selects services of one workspace.
type ServiceFilter struct {
	Types  []string   // empty: all
	Search string     // in id or name, whatever the case
	Sort   string     // id (also when empty) or name
	Page   store.Page // cursors are service ids
}

// List returns a page of a workspace's services.
func (k *Services) List(ctx context.Context, key tenant.Key, f ServiceFilter) ([]Service, error) {
	if err := record.OneOf("sort", f.Sort, []string{"", "id", "name"}); err != nil {
		return nil, err
	}
	for _, t := range f.Types {
		if err := record.OneOf("service_types", t, serviceTypes); err != nil {
			return nil, err
		}
	}
	index := "id"
	if f.Sort == "name" {
		index = "name"
	}
	return k.shelf.page(ctx, key, index, f.Page, func(s *Service) bool {
		return (len(f.Types) == 0 || slices.Contains(f.Types, s.Type)) && record.Matches(f.Search, s.ID, s.Name)
	})
}

// All returns every service of a workspace by name.
func (k *Services) All(ctx context.Context, key tenant.Key) ([]Service, error) {
	return k.shelf.of(ctx, key)
}
