package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Scopes keeps scopes. Safe for concurrent use.
type Scopes struct {
	shelf    *shelf[Scope, *Scope]
	services *shelf[Service, *Service]
}

func (s *Scope) check() error {
	if s.Name == "" {
		return fault.At(fault.Unprocessable, "name", "is required")
	}
	if !scopeToken.MatchString(s.Name) {
		return fault.At(fault.Unprocessable, "name", "is not a scope (RFC 6749, section 3.3)")
	}
	if err := record.Text("display_name", s.DisplayName, 200); err != nil {
		return err
	}
	if err := record.Text("description", s.Description, record.MaxText); err != nil {
		return err
	}
	return record.Object("metadata", &s.Metadata)
}

// Create stores a new scope; without an id it gets {workspace}-{name}, or a
// random one. Errors: Unprocessable, NotFound for the workspace, Conflict for a
// taken id or a name that the workspace has.
func (k *Scopes) Create(ctx context.Context, s Scope) (Scope, error) {
	if err := s.check(); err != nil {
		return Scope{}, err
	}
	w, err := k.shelf.workspace(ctx, &s)
	if err != nil {
		return Scope{}, err
	}
	if err := k.fits(ctx, &w, &s); err != nil {
		return Scope{}, err
	}
	if s.ID != "" {
		return k.shelf.create(ctx, &w, s)
	}
	s.ID = w.ID + "-" + s.Name
	if record.ID("id", s.ID) == nil {
		made, err := k.shelf.create(ctx, &w, s)
		if !fault.Is(err, fault.Conflict) {
			return made, err
		}
	}
	s.ID = vault.NewID()
	return k.shelf.create(ctx, &w, s)
}

// fits checks a scope against the others of its workspace.
func (k *Scopes) fits(ctx context.Context, w *tenant.Workspace, s *Scope) error {
	if s.ServiceID != "" {
		if err := k.services.in(ctx, w, "service_id", s.ServiceID); err != nil {
			return err
		}
	}
	all, err := k.shelf.all(ctx, w, "name")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(other Scope) bool { return other.Name == s.Name && other.ID != s.ID }) {
		return fault.At(fault.Conflict, "name", "is the name of another scope of this workspace")
	}
	return nil
}

// Get returns a scope of a tenant.
func (k *Scopes) Get(ctx context.Context, tenantID, id string) (Scope, error) {
	return k.shelf.get(ctx, tenantID, id)
}

// View returns a scope with its service.
func (k *Scopes) View(ctx context.Context, tenantID, id string) (ScopeView, error) {
	s, err := k.Get(ctx, tenantID, id)
	if err != nil {
		return ScopeView{}, err
	}
	if s.ServiceID == "" {
		return ScopeView{Scope: s}, nil
	}
	service, err := k.services.get(ctx, tenantID, s.ServiceID)
	if fault.Is(err, fault.NotFound) {
		return ScopeView{Scope: s}, nil
	}
	return ScopeView{Scope: s, Service: &service, WithService: true}, err
}

// Update replaces a scope. Without a service id it keeps its service; a scope of
// a service that came with the workspace keeps its name.
func (k *Scopes) Update(ctx context.Context, s Scope) (Scope, error) {
	old, err := k.Get(ctx, s.TenantID, s.ID)
	if err != nil {
		return Scope{}, err
	}
	fixed, err := k.fixed(ctx, &old)
	if err != nil {
		return Scope{}, err
	}
	if s.Name == "" {
		s.Name = old.Name
	}
	if s.ServiceID == "" {
		s.ServiceID = old.ServiceID
	}
	if fixed && (s.Name != old.Name || s.ServiceID != old.ServiceID) {
		return Scope{}, fault.At(fault.Unprocessable, "name", "of a scope that came with the workspace cannot be changed, nor its service")
	}
	if err := s.check(); err != nil {
		return Scope{}, err
	}
	w, err := k.shelf.config.Workspace(ctx, old.place().key())
	if err != nil {
		return Scope{}, err
	}
	if err := k.fits(ctx, &w, &s); err != nil {
		return Scope{}, err
	}
	return k.shelf.update(ctx, s, func(*Scope, *Scope) error { return nil })
}

// fixed tells whether a scope came with its workspace.
func (k *Scopes) fixed(ctx context.Context, s *Scope) (bool, error) {
	if s.ServiceID == "" {
		return false, nil
	}
	service, err := k.services.get(ctx, s.TenantID, s.ServiceID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil || !service.System {
		return false, err
	}
	typ := tenant.TypeRegular
	if s.WorkspaceID == tenant.System {
		typ = tenant.TypeSystem
	}
	_, scopes, _ := Defaults(s.TenantID, s.WorkspaceID, typ)
	return slices.ContainsFunc(scopes, func(d Scope) bool { return d.Name == s.Name }), nil
}

// Delete removes a scope at revision rev, or whatever it is when rev is 0. One
// that came with the workspace is refused: Denied.
func (k *Scopes) Delete(ctx context.Context, tenantID, id string, rev int64) error {
	s, err := k.Get(ctx, tenantID, id)
	if err != nil {
		return err
	}
	fixed, err := k.fixed(ctx, &s)
	if err != nil {
		return err
	}
	if fixed {
		return fault.New(fault.Denied, "A scope that came with the workspace cannot be deleted.", nil)
	}
	return k.shelf.remove(ctx, s, rev)
}

// All returns every scope of a workspace by name.
func (k *Scopes) All(ctx context.Context, key tenant.Key) ([]Scope, error) {
	return k.shelf.of(ctx, key)
}

// Views returns every scope of a workspace by name with its service.
func (k *Scopes) Views(ctx context.Context, key tenant.Key) ([]ScopeView, error) {
	scopes, err := k.All(ctx, key)
	if err != nil {
		return nil, err
	}
	services, err := k.services.of(ctx, key)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Service{}
	for i := range services {
		byID[services[i].ID] = &services[i]
	}
	list := make([]ScopeView, len(scopes))
	for i, s := range scopes {
		service := byID[s.ServiceID]
		list[i] = ScopeView{Scope: s, Service: service, WithService: service != nil}
	}
	return list, nil
}

// known checks that scopes which a client did not have before exist in its
// workspace.
func (k *Scopes) known(ctx context.Context, w *tenant.Workspace, names, before []string) error {
	if !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(before, n) }) {
		return nil
	}
	all, err := k.shelf.all(ctx, w, "name")
	if err != nil {
		return err
	}
	for i, name := range names {
		exists := slices.ContainsFunc(all, func(s Scope) bool { return s.Name == name })
		if !exists && !slices.Contains(before, name) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("scopes[%d]", i), fmt.Sprintf("%q is not a scope of the workspace", name))
		}
	}
	return nil
}
