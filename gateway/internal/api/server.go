package api

import (
	"encoding/json"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// serverOperations are those of published API 15 on workspaces, which the published
// API calls servers where it shows all of them and workspaces where it does not.
func (a *API) serverOperations() []operation {
	const all, one = "/api/admin/:tid/servers", "/api/admin/:tid/servers/:wid"
	const light = "/api/admin/:tid/workspaces"
	return []operation{
		{
			id: "listAuthorizationServers", method: http.MethodGet, path: all, family: admin,
			allow: string(role.ListWorkspaces), ok: http.StatusOK, etag: true, run: listServers,
		},
		{
			id: "createAuthorizationServer", method: http.MethodPost, path: all, family: admin,
			allow: string(role.CreateWorkspace), ok: http.StatusCreated, etag: true, once: true, run: createServer,
		},
		{
			id: "getAuthorizationServer", method: http.MethodGet, path: one, family: admin,
			allow: string(role.GetWorkspace), on: onWorkspace, ok: http.StatusOK, etag: true, run: getServer,
		},
		{
			id: "updateAuthorizationServer", method: http.MethodPut, path: one, family: admin,
			allow: string(role.UpdateWorkspace), on: onWorkspace, ok: http.StatusOK, etag: true, run: updateServer,
		},
		{
			id: "deleteAuthorizationServer", method: http.MethodDelete, path: one, family: admin,
			allow: string(role.DeleteWorkspace), on: onWorkspace, ok: http.StatusNoContent, run: deleteServer,
		},
		{
			id: "deleteAuthorizationServer", method: http.MethodDelete, path: "/api/system/:tid/servers/:wid", family: system,
			allow: "manage_servers", ok: http.StatusNoContent, run: deleteServer,
		},
		{
			id: "listWorkspaces", method: http.MethodGet, path: light, family: admin,
			allow: string(role.ListWorkspaces), ok: http.StatusOK, etag: true, run: listWorkspaces,
		},
		{
			id: "getWorkspace", method: http.MethodGet, path: light + "/:wid", family: admin,
			allow: string(role.GetWorkspace), on: onWorkspace, ok: http.StatusOK, etag: true, run: getServer,
		},
		{
			id: "updateWorkspaceMetadata", method: http.MethodPut, path: light + "/:wid/metadata", family: admin,
			allow: string(role.UpdateWorkspaceMetadata), on: onWorkspace, ok: http.StatusOK, etag: true, run: updateWorkspaceMetadata,
		},
		{
			id: "listUserWorkspaces", method: http.MethodGet, path: "/api/admin/:tid/user/workspaces", family: admin,
			allow: anyRole, ok: http.StatusOK, etag: true, run: listUserWorkspaces,
		},
	}
}

// server is the published type ServerResponse. Secret and salt are for those
// who could replace them.
func (x *call) server(w tenant.Workspace) (json.RawMessage, error) {
	secret, err := x.can(role.UpdateWorkspace, x.workspaceOf(&w))
	if err != nil {
		return nil, err
	}
	if !secret {
		w = w.Public()
	}
	raw, err := json.Marshal(map[string]any{
		"issuer_url":                     x.Signin.Tokens.Issuer(w.TenantID, w.ID),
		"supported_application_purposes": []string{"single_page", "server_web", "mobile_desktop", "service", "legacy", "custom"},
	})
	if err != nil {
		return nil, err
	}
	return record.Join(w, raw)
}

// workspaceOf is a workspace as a resource.
func (x *call) workspaceOf(w *tenant.Workspace) role.Resource {
	on := x.mine()
	on.Workspace = role.Ref{ID: w.ID, Epoch: w.Epoch}
	return on
}

func (x *call) serverReply(w tenant.Workspace) (reply, error) {
	view, err := x.server(w)
	return reply{body: view, rev: w.Rev}, err
}

// visible tells whether the caller may see all of a workspace.
func (x *call) visible(w *tenant.Workspace) (bool, error) {
	return x.can(role.GetWorkspace, x.workspaceOf(w))
}

// listServers leaves out the workspaces that the caller may see only the outline
// of.
func listServers(x *call) (reply, error) {
	f, err := x.workspaceFilter("server_types", "server")
	if err != nil {
		return reply{}, err
	}
	found, err := x.workspaces(f, x.visible)
	if err != nil {
		return reply{}, err
	}
	views := make([]json.RawMessage, len(found))
	for i, w := range found {
		if views[i], err = x.server(w); err != nil {
			return reply{}, err
		}
	}
	return list("servers", views), nil
}

// workspaceFilter reads the query of a list of workspaces under one of its two
// names.
func (x *call) workspaceFilter(types, noun string) (tenant.Filter, error) {
	var f tenant.Filter
	q, err := x.query()
	if err != nil {
		return f, err
	}
	if f.Page, err = x.page(noun); err != nil {
		return f, err
	}
	if f.Sort, err = web.ParseSort(x.c, "id", "name"); err != nil {
		return f, err
	}
	f.Search = q.Get("search_phrase")
	f.Types, err = x.csv(types,
		tenant.TypeAdmin, tenant.TypeDeveloper, tenant.TypeSystem, tenant.TypeRegular, tenant.TypeOrganization)
	return f, err
}

// workspaces returns a page of those workspaces that keep accepts.
func (x *call) workspaces(f tenant.Filter, keep func(*tenant.Workspace) (bool, error)) ([]tenant.Workspace, error) {
	return pick(f.Page, func(w *tenant.Workspace) string { return w.ID }, keep, func(p store.Page) ([]tenant.Workspace, error) {
		f.Page = p
		return x.Tenants.Workspaces.List(x.ctx, x.owner, f)
	})
}

func createServer(x *call) (reply, error) {
	var w tenant.Workspace
	if err := x.decode(&w); err != nil {
		return reply{}, err
	}
	demo, err := x.flag("with_demo_client")
	if err != nil {
		return reply{}, err
	}
	if w.JWKS != nil {
		return reply{}, fault.At(fault.Unprocessable, "jwks", "cannot be brought along: a workspace makes its own keys")
	}
	w.TenantID = x.owner
	made, err := x.Setup.Workspace(x.ctx, w, demo)
	if err != nil {
		return reply{}, err
	}
	return x.serverReply(made)
}

func getServer(x *call) (reply, error) {
	w, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	return x.serverReply(w)
}

func updateServer(x *call) (reply, error) {
	var w tenant.Workspace
	if err := x.decode(&w); err != nil {
		return reply{}, err
	}
	old, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	w.TenantID, w.ID = old.TenantID, old.ID // the path's; whatever the body says
	if w.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	if w, err = x.Tenants.Workspaces.Update(x.ctx, w); err != nil {
		return reply{}, err
	}
	return x.serverReply(w)
}

func deleteServer(x *call) (reply, error) {
	old, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Tenants.Workspaces.Delete(x.ctx, x.key(), rev)
}
