package api

import (
	"net/http"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// roleOperations are those of published API 27 on roles.
func (a *API) roleOperations() []operation {
	const base = "/api/admin/:tid"
	all := []operation{
		{
			id: "checkWorkspacePermissions", method: http.MethodGet, path: base + "/servers/:wid/permissions", family: admin,
			allow: anyRole, on: onWorkspace, ok: http.StatusOK, etag: true, run: checkPermissions,
		},
		{
			id: "listUserRoles", method: http.MethodGet, path: base + "/pools/:ipID/users/:userID/roles", family: admin,
			allow: string(role.ReadRoles), on: onPool, ok: http.StatusOK, etag: true, run: listUserRoles,
		},
	}
	for _, at := range []struct {
		noun, path, kind string
		on               target
	}{
		{"Tenant", base + "/tenant/roles", role.KindTenant, onTenant},
		{"Workspace", base + "/servers/:wid/roles", role.KindWorkspace, onWorkspace},
		{"IdentityPool", base + "/pools/:ipID/roles", role.KindPool, onPool},
	} {
		all = append(all,
			operation{
				id: "list" + at.noun + "Roles", method: http.MethodGet, path: at.path, family: admin,
				allow: string(role.ReadRoles), on: at.on, ok: http.StatusOK, etag: true, run: listRoles,
			},
			operation{
				id: "grant" + at.noun + "Role", method: http.MethodPost, path: at.path + "/grant", family: admin,
				permission: managing(at.kind), on: at.on, ok: http.StatusNoContent, etag: true, once: true, run: grantRole,
			},
			operation{
				id: "revoke" + at.noun + "Role", method: http.MethodDelete, path: at.path + "/revoke", family: admin,
				permission: managing(at.kind), on: at.on, ok: http.StatusNoContent, etag: true, run: revokeRole,
			})
	}
	return all
}

// managing returns the permission that granting or revoking the role of the body
// needs.
func managing(kind string) func(*call) (role.Permission, error) {
	return func(x *call) (role.Permission, error) {
		var in role.Assignment
		if err := x.decode(&in); err != nil {
			return "", err
		}
		if err := record.OneOf("role", in.Role, role.Grantable(kind)); err != nil {
			return "", err
		}
		return role.ManageRole(in.Role), nil
	}
}

// listRoles lists people and IDPs in the published member, API clients in one of
// our own.
func listRoles(x *call) (reply, error) {
	subjects, err := x.Roles.List(x.ctx, x.on)
	if err != nil {
		return reply{}, err
	}
	clients, err := x.Roles.Clients(x.ctx, x.on)
	return body(map[string]any{"subjects": subjects, "clients": clients}), err
}

func grantRole(x *call) (reply, error) {
	var in role.Assignment
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	who, err := x.subject(in.Subject)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Roles.Grant(x.ctx, x.on, who, in.Role)
}

// revokeRole takes a role away, also from a subject that is gone.
func revokeRole(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	var in role.Assignment
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	people, err := x.Roles.List(x.ctx, x.on)
	if err != nil {
		return reply{}, err
	}
	clients, err := x.Roles.Clients(x.ctx, x.on)
	if err != nil {
		return reply{}, err
	}
	who, err := x.named(in.Subject)
	if err != nil {
		return reply{}, err
	}
	held := slices.Concat(people, clients)
	i := slices.IndexFunc(held, func(a role.Assignment) bool {
		holder := a.Subject
		holder.Epoch = ""
		return a.Role == in.Role && holder == who
	})
	if i < 0 {
		return reply{}, fault.New(fault.NotFound, "The subject does not hold this role here.", nil)
	}
	return reply{}, x.Roles.Revoke(x.ctx, x.on, held[i].Subject, in.Role)
}

// named reads whom a body names, without what its type does not need. Clients
// are ours: those of the workspace admin call this API and may hold roles.
func (x *call) named(in role.Subject) (role.Subject, error) {
	switch in.Type {
	case role.SubjectUser:
		return role.User(x.owner, in.PoolID, in.UserID, ""), nil
	case role.SubjectIDP:
		return role.IDP(x.owner, in.WorkspaceID, in.IDPID, ""), nil
	case role.SubjectClient:
		return role.Client(x.owner, in.ClientID, ""), nil
	default:
		return in, fault.At(fault.Unprocessable, "type", `must be "identity_pool_user", "idp" or "client"`)
	}
}

// subject looks up whom a body names.
func (x *call) subject(in role.Subject) (role.Subject, error) {
	who, err := x.named(in)
	if err != nil {
		return who, err
	}
	switch who.Type {
	case role.SubjectUser:
		if _, err := x.Pools.Get(x.ctx, x.owner, who.PoolID); err != nil {
			return who, missing(err, "identity_pool_id", "names no identity pool")
		}
		u, err := x.Users.Get(x.ctx, x.owner, who.PoolID, who.UserID)
		who.Epoch = u.Epoch
		return who, missing(err, "identity_pool_user_id", "names no user of the pool")
	case role.SubjectIDP:
		p, err := x.IDPs.Get(x.ctx, x.owner, who.WorkspaceID, who.IDPID)
		who.Epoch = p.Epoch
		return who, missing(err, "idp_id", "names no IDP of the workspace in workspace_id")
	default:
		c, err := x.Clients.Clients.Find(x.ctx, tenant.Key{Tenant: x.owner, Workspace: tenant.Admin}, who.ClientID)
		who.Epoch = c.Epoch
		return who, missing(err, "client_id", "names no client of the workspace admin")
	}
}

// missing turns what a body refers to and is not there into a broken reference
// (published API 1.2).
func missing(err error, field, say string) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return &fault.Error{Kind: fault.Unprocessable, Field: field, Public: say, Cause: err}
}

// listUserRoles shows the roles of a user that the caller could list one by one.
func listUserRoles(x *call) (reply, error) {
	u, err := x.Users.Get(x.ctx, x.owner, x.param("ipID"), x.param("userID"))
	if err != nil {
		return reply{}, err
	}
	held, err := x.Roles.Held(x.ctx, role.User(x.owner, u.PoolID, u.ID, u.Epoch))
	if err != nil {
		return reply{}, err
	}
	seen := []role.Held{}
	for _, h := range held {
		on, err := x.where(h)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return reply{}, err
		}
		ok, err := x.can(role.ReadRoles, on)
		if err != nil {
			return reply{}, err
		}
		if ok {
			seen = append(seen, h)
		}
	}
	return list("resources", seen), nil
}

// where is the resource that a role is held on.
func (x *call) where(h role.Held) (role.Resource, error) {
	switch h.Type {
	case role.KindWorkspace:
		return x.inside(x.mine(), h.WorkspaceID)
	case role.KindPool:
		return x.poolOf(x.mine(), h.PoolID)
	default:
		return x.mine(), nil
	}
}
