package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// The scopes of operations on tenants. The published API asks for none; these
// come with the root tenant's workspace system.
const (
	scopeViewTenants   = "view_tenants"
	scopeManageTenants = "manage_tenants"
)

// tenantOperations are those of published API 27 on tenants.
func (a *API) tenantOperations() []operation {
	const all, one = "/api/system/tenants", "/api/system/tenants/:tid"
	const own = "/api/admin/:tid/tenant"
	return []operation{
		{
			id: "listAdminTenants", method: http.MethodGet, path: "/api/admin/tenants", family: rootAdmin,
			allow: string(role.ReadTenants), ok: http.StatusOK, run: listAdminTenants,
		},
		{id: "listTenants", method: http.MethodGet, path: all, family: rootSystem, allow: scopeViewTenants, ok: http.StatusOK, run: listTenants},
		{
			id: "createTenant", method: http.MethodPost, path: all, family: rootSystem,
			allow: scopeManageTenants, ok: http.StatusCreated, once: true, run: createTenant,
		},
		{id: "getTenant", method: http.MethodGet, path: one, family: rootSystem, allow: scopeViewTenants, ok: http.StatusOK, run: getTenant},
		{id: "updateTenant", method: http.MethodPut, path: one, family: rootSystem, allow: scopeManageTenants, ok: http.StatusOK, run: updateTenant},
		{id: "deleteTenant", method: http.MethodDelete, path: one, family: rootSystem, allow: scopeManageTenants, ok: http.StatusNoContent, run: deleteTenant},
		{
			id: "getAdminTenant", method: http.MethodGet, path: own, family: admin,
			allow: string(role.GetTenant), ok: http.StatusOK, etag: true, run: getTenant,
		},
		{
			id: "updateAdminTenant", method: http.MethodPut, path: own, family: admin,
			allow: string(role.UpdateTenant), ok: http.StatusOK, etag: true, run: updateTenant,
		},
		{
			id: "checkTenantPermissions", method: http.MethodGet, path: own + "/permissions", family: admin,
			allow: anyRole, ok: http.StatusOK, etag: true, run: checkPermissions,
		},
	}
}

func listAdminTenants(x *call) (reply, error) { return x.tenants("") }

func listTenants(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	return x.tenants(q.Get("query"))
}

func (x *call) tenants(filter string) (reply, error) {
	found, err := x.Tenants.Tenants.List(x.ctx, filter)
	for i := range found {
		found[i].JWKS = nil // private keys: one tenant at a time
	}
	return list("tenants", found), err
}

func createTenant(x *call) (reply, error) {
	var t tenant.Tenant
	if err := x.decode(&t); err != nil {
		return reply{}, err
	}
	withDefault, err := x.flag("with_default_workspaces")
	if err != nil {
		return reply{}, err
	}
	made, err := x.Setup.Tenant(x.ctx, t, withDefault)
	if err != nil {
		return reply{}, err
	}
	return reply{body: made, rev: made.Tenant.Rev}, nil
}

func getTenant(x *call) (reply, error) {
	t, err := x.Tenants.Tenants.Get(x.ctx, x.tenant())
	if err != nil {
		return reply{}, err
	}
	keys, err := x.mayUpdateTenant()
	if !keys {
		t.JWKS = nil
	}
	return reply{body: t, rev: t.Rev}, err
}

// mayUpdateTenant tells who sees a tenant's private keys: who could replace them.
func (x *call) mayUpdateTenant() (bool, error) {
	if x.op.roles() {
		return x.can(role.UpdateTenant, x.mine())
	}
	return x.caller.Has(scopeManageTenants), nil
}

func updateTenant(x *call) (reply, error) {
	var t tenant.Tenant
	if err := x.decode(&t); err != nil {
		return reply{}, err
	}
	old, err := x.Tenants.Tenants.Get(x.ctx, x.tenant())
	if err != nil {
		return reply{}, err
	}
	t.ID = old.ID // the path's; whatever the body calls it
	if t.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	t, err = x.Tenants.Tenants.Update(x.ctx, t)
	return reply{body: t, rev: t.Rev}, err
}

func deleteTenant(x *call) (reply, error) {
	return reply{}, x.Tenants.Tenants.Delete(x.ctx, x.tenant(), 0)
}

// checkPermissions tells what the caller may do on the tenant or workspace of
// the path. A workspace on which they may do nothing is none of their business.
func checkPermissions(x *call) (reply, error) {
	allowed, err := x.Roles.Check(x.ctx, x.subjects(), x.on)
	if err != nil {
		return reply{}, err
	}
	nothing := !slices.Contains(slices.Collect(maps.Values(allowed)), true)
	if nothing && x.on.Kind() != role.KindTenant {
		return reply{}, denied("You hold no role here.")
	}
	return body(allowed), nil
}
