package setup

import (
	"context"
	"errors"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Purge is for tenant.Config.Purge. Of a workspace it removes routes and hosts,
// IDPs, clients, services, scopes, claims, signing keys and roles. Of a whole
// tenant, whose own records go with it, it removes what others hold for it: its
// hosts and what it was allowed. It may be repeated after a failure.
func (s *Setup) Purge(ctx context.Context, k tenant.Key) error {
	if k.Workspace == "" {
		return s.purgeTenant(ctx, k.Tenant)
	}
	err := errors.Join(
		s.config.Routes.DropWorkspace(ctx, k.Tenant, k.Workspace),
		s.config.IDPs.Purge(ctx, k.Tenant, k.Workspace),
		s.config.Clients.Purge(ctx, k),
		s.config.Roles.ForgetResource(ctx, role.Resource{Tenant: role.Ref{ID: k.Tenant}, Workspace: role.Ref{ID: k.Workspace}}),
	)
	if s.config.Keys != nil {
		err = errors.Join(err, s.config.Keys(ctx, k.Tenant, k.Workspace))
	}
	return err
}

func (s *Setup) purgeTenant(ctx context.Context, id string) error {
	var spaces []string
	page := store.Page{Limit: 200}
	for {
		rows, err := s.config.Routes.Hosts(ctx, id, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if w := row.Value.Workspace; !slices.Contains(spaces, w) {
				spaces = append(spaces, w)
			}
		}
		if len(rows) < page.Limit {
			break
		}
		page.After = rows[len(rows)-1].Value.Name
	}
	for _, w := range spaces {
		if err := s.config.Routes.DropWorkspace(ctx, id, w); err != nil {
			return err
		}
	}
	return s.config.Routes.Allow(ctx, route.Allowance{Tenant: id})
}
