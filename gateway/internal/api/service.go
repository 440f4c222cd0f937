package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

func (a *API) serviceOperations() []operation {
	const all, one = "/api/admin/:tid/services", "/api/admin/:tid/services/:sid"
	manage := string(role.ManageServices)
	return []operation{
		{
			id: "createService", method: http.MethodPost, path: all, family: admin,
			allow: manage, on: onBody, ok: http.StatusCreated, etag: true, once: true, run: createService,
		},
		{
			id: "getService", method: http.MethodGet, path: one, family: admin,
			allow: string(role.ReadServices), on: onService, ok: http.StatusOK, etag: true, run: getService,
		},
		{
			id: "updateService", method: http.MethodPut, path: one, family: admin,
			allow: manage, on: onService, ok: http.StatusOK, etag: true, run: updateService,
		},
		{
			id: "deleteService", method: http.MethodDelete, path: one, family: admin,
			allow: manage, on: onService, ok: http.StatusNoContent, run: deleteService,
		},
	}
}

// heardService is the published type ServiceWithAudience.
type heardService struct {
	client.Service
	Audience string `json:"audience"`
}

func serviceReply(s client.Service, err error) (reply, error) {
	return reply{body: heardService{s, s.Audience()}, rev: s.Rev}, err
}

func createService(x *call) (reply, error) {
	var s client.Service
	if err := x.decode(&s); err != nil {
		return reply{}, err
	}
	s.TenantID, s.WorkspaceID = x.owner, x.on.Workspace.ID // what the permission was asked on
	s.System = false
	return serviceReply(x.Clients.Services.Create(x.ctx, s))
}

// getService shows a service with its scopes, the published type
// ServiceWithScopesResponse.
func getService(x *call) (reply, error) {
	s, err := x.Clients.Services.Get(x.ctx, x.owner, x.param("sid"))
	if err != nil {
		return reply{}, err
	}
	scopes, err := x.Clients.Services.Scopes(x.ctx, &s)
	if err != nil {
		return reply{}, err
	}
	if scopes == nil {
		scopes = []client.Scope{}
	}
	return reply{rev: s.Rev, body: struct {
		heardService
		Scopes []client.Scope `json:"scopes"`
	}{heardService{s, s.Audience()}, scopes}}, nil
}

func updateService(x *call) (reply, error) {
	old, err := x.Clients.Services.Get(x.ctx, x.owner, x.param("sid"))
	if err != nil {
		return reply{}, err
	}
	var s client.Service
	if err := x.decode(&s); err != nil {
		return reply{}, err
	}
	s.TenantID, s.WorkspaceID, s.ID = old.TenantID, old.WorkspaceID, old.ID
	if s.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	return serviceReply(x.Clients.Services.Update(x.ctx, s))
}

func deleteService(x *call) (reply, error) {
	old, err := x.Clients.Services.Get(x.ctx, x.owner, x.param("sid"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Clients.Services.Delete(x.ctx, x.owner, old.ID, rev)
}
