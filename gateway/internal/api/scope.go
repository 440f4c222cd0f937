package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

func (a *API) scopeOperations() []operation {
	const all, one = "/api/admin/:tid/scopes", "/api/admin/:tid/scopes/:scp"
	manage := string(role.ManageServices)
	return []operation{
		{
			id: "createScope", method: http.MethodPost, path: all, family: admin,
			allow: manage, on: onBody, ok: http.StatusCreated, etag: true, once: true, run: createScope,
		},
		{
			id: "getScope", method: http.MethodGet, path: one, family: admin,
			allow: string(role.ReadServices), on: onScope, ok: http.StatusOK, etag: true, run: getScope,
		},
		{
			id: "updateScope", method: http.MethodPut, path: one, family: admin,
			allow: manage, on: onScope, ok: http.StatusOK, etag: true, run: updateScope,
		},
		{
			id: "deleteScope", method: http.MethodDelete, path: one, family: admin,
			allow: manage, on: onScope, ok: http.StatusNoContent, run: deleteScope,
		},
	}
}

func scopeReply(s client.Scope, err error) (reply, error) { return reply{body: s, rev: s.Rev}, err }

func createScope(x *call) (reply, error) {
	var s client.Scope
	if err := x.decode(&s); err != nil {
		return reply{}, err
	}
	s.TenantID, s.WorkspaceID = x.owner, x.on.Workspace.ID // what the permission was asked on
	return scopeReply(x.Clients.Scopes.Create(x.ctx, s))
}

func getScope(x *call) (reply, error) {
	found, err := x.Clients.Scopes.View(x.ctx, x.owner, x.param("scp"))
	return reply{body: found, rev: found.Rev}, err
}

func updateScope(x *call) (reply, error) {
	old, err := x.Clients.Scopes.Get(x.ctx, x.owner, x.param("scp"))
	if err != nil {
		return reply{}, err
	}
	var s client.Scope
	if err := x.decode(&s); err != nil {
		return reply{}, err
	}
	s.TenantID, s.WorkspaceID, s.ID = old.TenantID, old.WorkspaceID, old.ID
	if s.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	return scopeReply(x.Clients.Scopes.Update(x.ctx, s))
}

func deleteScope(x *call) (reply, error) {
	old, err := x.Clients.Scopes.Get(x.ctx, x.owner, x.param("scp"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Clients.Scopes.Delete(x.ctx, x.owner, old.ID, rev)
}
