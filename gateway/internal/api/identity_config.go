package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/promote"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// The scopes of operations on the configuration. Whoever may change it may read
// it: see needScope.
const (
	scopeReadConfiguration   = "read_configuration"
	scopeManageConfiguration = "manage_configuration"
)

// identityConfigOperations are those of published API 14. What they hand out holds
// password hashes and TOTP secrets.
func (a *API) identityConfigOperations() []operation {
	const one, root = "/api/identity/:tid/configuration", "/api/identity/system/configuration"
	read, manage := scopeReadConfiguration, scopeManageConfiguration
	return []operation{
		{id: "exportTenantConfiguration", method: http.MethodGet, path: one, family: system, allow: read, ok: http.StatusOK, run: exportIdentity},
		{id: "importTenantConfiguration", method: http.MethodPut, path: one, family: system, allow: manage, ok: http.StatusNoContent, run: importIdentity},
		{id: "patchTenantConfiguration", method: http.MethodPatch, path: one, family: system, allow: manage, ok: http.StatusNoContent, run: patchIdentity},
		{id: "exportConfiguration", method: http.MethodGet, path: root, family: rootSystem, allow: read, ok: http.StatusOK, run: exportIdentity},
		{id: "importConfiguration", method: http.MethodPut, path: root, family: rootSystem, allow: manage, ok: http.StatusNoContent, run: importIdentity},
		{id: "patchConfiguration", method: http.MethodPatch, path: root, family: rootSystem, allow: manage, ok: http.StatusNoContent, run: patchIdentity},
	}
}

// configured is the tenant whose configuration an operation is about: that of the
// path, and of root operations the one in the query.
func (x *call) configured() (string, error) {
	if !x.op.root() {
		return x.owner, nil
	}
	q, err := x.query()
	if err != nil {
		return "", err
	}
	id := q.Get("tid")
	if id == "" {
		id = "default"
	}
	_, err = x.Tenants.Tenants.Get(x.ctx, id)
	return id, err
}

func (x *call) identity() *promote.Identity {
	return &promote.Identity{
		Keeper: &pool.Keeper{Schemas: x.Schemas, Pools: x.Pools, Users: x.Users, Groups: x.Groups},
		Codes:  x.Codes,
		Workspace: func(ctx context.Context, tid, id string) error {
			_, err := x.Tenants.Workspaces.Get(ctx, tenant.Key{Tenant: tid, Workspace: id})
			return err
		},
		End: x.Signin.EndUser,
		Delete: func(ctx context.Context, tid, poolID, userID string, rev int64) error {
			u, err := x.Users.Get(ctx, tid, poolID, userID)
			if err != nil {
				return err
			}
			if err := x.Users.Delete(ctx, tid, poolID, userID, rev); err != nil {
				return err
			}
			if err := x.Signin.EndUser(ctx, tid, poolID, userID); err != nil {
				return err
			}
			return x.Roles.Forget(ctx, role.User(tid, poolID, userID, u.Epoch))
		},
	}
}

func exportIdentity(x *call) (reply, error) {
	id, err := x.configured()
	if err != nil {
		return reply{}, err
	}
	d, err := x.identity().Export(x.ctx, id)
	if err != nil {
		return reply{}, err
	}
	doc, err := json.Marshal(d)
	return reply{body: raw{"application/json", doc}}, err
}

// mode reads the insert mode: update when it is missing, as the published
// operations say.
func (x *call) mode() (pool.Mode, error) {
	q, err := x.query()
	if err != nil || q.Get("mode") == "" {
		return pool.ModeUpdate, err
	}
	if !slices.Contains(promote.Modes(), q.Get("mode")) {
		return "", fault.At(fault.Invalid, "mode", "must be one of "+strings.Join(promote.Modes(), ", "))
	}
	return pool.Mode(q.Get("mode")), nil
}

func importIdentity(x *call) (reply, error) {
	m, err := x.mode()
	if err != nil {
		return reply{}, err
	}
	var d promote.TenantDump
	if err := x.decode(&d); err != nil {
		return reply{}, err
	}
	if x.op.root() {
		return reply{}, x.identity().ImportAll(x.ctx, &d, m)
	}
	return reply{}, x.identity().Import(x.ctx, x.owner, &d, m)
}

func patchIdentity(x *call) (reply, error) {
	m, err := x.mode()
	if err != nil {
		return reply{}, err
	}
	id, err := x.configured()
	if err != nil {
		return reply{}, err
	}
	patch, err := web.Body(x.c, x.MaxBody)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.identity().Patch(x.ctx, id, patch, m)
}
