package setup

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// defaultID is the id of the workspace, and of the first tenant, that nobody
// chose a name for.
const defaultID = "default"

// Created is a new tenant with what it came with, secrets included: the
// published type TenantCreated (root.yaml). Its lists are never nil.
type Created struct {
	Tenant  tenant.Tenant      `json:"tenant"`
	Servers []tenant.Workspace `json:"servers"`
	Clients []client.Client    `json:"clients"`
	IDPs    []idp.IDP          `json:"idps"`
}

// filled is Created with the two API clients by name.
type filled struct {
	Created
	admin, system client.Client
}

// Tenant creates a tenant with its workspaces admin and system, with
// withDefault also the workspace default, and all that these come with: an API
// client in admin that holds the role admin on the tenant, one in system that
// has all scopes of administration, a portal client in each. Without an id it
// gets one made of its name. Errors: Unprocessable, Conflict for a taken id.
// After any other error nothing is left; where even that could not be done,
// Finish completes the tenant.
func (s *Setup) Tenant(ctx context.Context, t tenant.Tenant, withDefault bool) (Created, error) {
	made, err := s.tenant(ctx, t, withDefault)
	return made.Created, err
}

func (s *Setup) tenant(ctx context.Context, t tenant.Tenant, withDefault bool) (made filled, err error) {
	if withDefault && t.Settings.DefaultWorkspaceID == "" {
		t.Settings.DefaultWorkspaceID = defaultID
	}
	list := ids(t.ID, t.Name)
	for i, id := range list {
		t.ID = id
		made, err = s.tryTenant(ctx, t, withDefault)
		if i == len(list)-1 || !tryNext(err) {
			break
		}
	}
	return made, err
}

// tryNext tells whether an error is about an id that was made up here.
func tryNext(err error) bool {
	return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Unprocessable) && fault.Read(err).Field == "id"
}

func (s *Setup) tryTenant(ctx context.Context, t tenant.Tenant, withDefault bool) (filled, error) {
	if err := record.ID("id", t.ID); err != nil {
		return filled{}, err
	}
	// Of what is there already no note may say that it is to be completed.
	if _, err := s.config.Tenants.Tenants.Get(ctx, t.ID); !gone(err) {
		return filled{}, taken(err, "tenant")
	}
	end, err := s.begin(ctx, note{Tenant: t.ID, Default: withDefault})
	if err != nil {
		return filled{}, err
	}
	made, err := s.config.Tenants.Tenants.Create(ctx, t)
	if made.Epoch == "" { // not created, or nobody knows: then Finish will
		return filled{}, s.refused(ctx, err, end)
	}
	var out filled
	if err == nil {
		out, err = s.fill(ctx, made, withDefault)
	}
	if err == nil {
		err = end(ctx)
	}
	if err != nil {
		return filled{}, s.undo(ctx, err, end, func(ctx context.Context) error {
			return s.config.Tenants.Tenants.Delete(ctx, made.ID, made.Rev)
		})
	}
	return out, nil
}

// taken is the answer to an id that a look found to be in use.
func taken(err error, what string) error {
	if err != nil {
		return err
	}
	return record.Fault(store.ErrExists, what)
}

// refused takes a note away when the creation that it announced certainly did
// not happen.
func (s *Setup) refused(ctx context.Context, err error, end func(context.Context) error) error {
	if e := fault.Read(err); e.Kind == fault.Internal {
		return err
	}
	ctx, cancel := after(ctx)
	defer cancel()
	if left := end(ctx); left != nil {
		s.config.Log.Warn("a note of the set-up stays", "error", left) // Finish finds nothing to do
	}
	return err
}

// undo removes what was made before err. The note stays unless that succeeds.
func (s *Setup) undo(ctx context.Context, err error, end, remove func(context.Context) error) error {
	ctx, cancel := after(ctx)
	defer cancel()
	if left := remove(ctx); left != nil && !gone(left) {
		return errors.Join(err, fmt.Errorf("take back what was made: %w", left))
	}
	if left := end(ctx); left != nil {
		s.config.Log.Warn("a note of the set-up stays", "error", left)
	}
	return err
}

// fill makes everything in a tenant that is missing.
func (s *Setup) fill(ctx context.Context, t tenant.Tenant, withDefault bool) (filled, error) {
	out := filled{Created: Created{Tenant: t, Servers: []tenant.Workspace{}, Clients: []client.Client{}, IDPs: []idp.IDP{}}}
	if err := s.config.Schemas.Seed(ctx, t.ID); err != nil {
		return filled{}, err
	}
	list := []string{tenant.Admin, tenant.System}
	if withDefault {
		list = append(list, defaultID)
	}
	for _, id := range list {
		w, err := s.workspace(ctx, tenant.Workspace{TenantID: t.ID, ID: id})
		if err != nil {
			return filled{}, err
		}
		clients, err := s.furnish(ctx, &w, false)
		if err != nil {
			return filled{}, err
		}
		if w.Builtin() {
			api, err := s.apiClient(ctx, &t, &w)
			if err != nil {
				return filled{}, err
			}
			clients = append(clients, api)
			if id == tenant.Admin {
				out.admin = api
			} else {
				out.system = api
			}
		}
		out.Servers = append(out.Servers, w)
		out.Clients = append(out.Clients, clients...)
	}
	return out, nil
}

// apiClient makes the API client of a built-in workspace where it is missing. In
// admin, roles decide what it may do: it holds admin on the tenant. In system,
// scopes do.
func (s *Setup) apiClient(ctx context.Context, t *tenant.Tenant, w *tenant.Workspace) (client.Client, error) {
	want := client.Client{
		ClientID: derived(w, "api"), TenantID: t.ID, WorkspaceID: w.ID, ClientName: "API client",
		Description: "Calls the administration API of this tenant.",
		GrantTypes:  []string{"client_credentials"}, ResponseTypes: []string{}, Trusted: true,
	}
	if w.ID == tenant.System {
		want.Scopes = client.SystemScopes(t.ID)
	}
	c, err := s.client(ctx, want, false)
	if err != nil || w.ID == tenant.System {
		return c, err
	}
	return c, s.config.Roles.Grant(ctx, whole(t), role.Client(t.ID, c.ClientID, c.Epoch), role.Admin)
}

// whole is a tenant as what a role is held on.
func whole(t *tenant.Tenant) role.Resource {
	return role.Resource{Tenant: role.Ref{ID: t.ID, Epoch: t.Epoch}}
}
