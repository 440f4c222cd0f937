package api

import (
	"net/http"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// catalogueOperations are those of published API 26: what a workspace's clients
// may ask for and what tokens say.
func (a *API) catalogueOperations() []operation {
	const base = "/api/admin/:tid/servers/:wid"
	return slices.Concat(a.claimOperations(), a.scopeOperations(), a.serviceOperations(), []operation{
		{
			id: "listClaims", method: http.MethodGet, path: base + "/claims", family: admin,
			allow: string(role.ReadClaims), on: onWorkspace, ok: http.StatusOK, etag: true, run: listClaims,
		},
		{
			id: "listScopes", method: http.MethodGet, path: base + "/scopes", family: admin,
			allow: string(role.ReadServices), on: onWorkspace, ok: http.StatusOK, etag: true, run: listScopes,
		},
		{
			id: "listServices", method: http.MethodGet, path: base + "/services", family: admin,
			allow: string(role.ReadServices), on: onWorkspace, ok: http.StatusOK, etag: true, run: listServices,
		},
		{
			id: "listScopesSystem", method: http.MethodGet, path: "/api/system/:tid/scopes/:wid", family: system,
			allow: "view_scopes", ok: http.StatusOK, run: listScopes,
		},
	})
}

func listClaims(x *call) (reply, error) {
	found, err := x.Clients.Claims.All(x.ctx, x.key())
	return list("claims", found), err
}

func listScopes(x *call) (reply, error) {
	found, err := x.Clients.Scopes.Views(x.ctx, x.key())
	return list("scopes", found), err
}

// serviceView is the published type ServiceResponse.
type serviceView struct {
	client.Service
	Audience       string `json:"audience"`
	NumberOfScopes int    `json:"number_of_scopes"`
}

func listServices(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	f := client.ServiceFilter{Search: q.Get("search_phrase")}
	if f.Page, err = x.page("service"); err != nil {
		return reply{}, err
	}
	if f.Sort, err = web.ParseSort(x.c, "id", "name"); err != nil {
		return reply{}, err
	}
	f.Types, err = x.csv("service_types",
		client.ServiceUser, client.ServiceOAuth2, client.ServiceOIDC, client.ServiceSystem, client.ServiceOpenbanking)
	if err != nil {
		return reply{}, err
	}
	found, err := x.Clients.Services.List(x.ctx, x.key(), f)
	if err != nil {
		return reply{}, err
	}
	scopes, err := x.Clients.Scopes.All(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	count := map[string]int{}
	for _, s := range scopes {
		count[s.ServiceID]++
	}
	views := make([]serviceView, len(found))
	for i, s := range found {
		views[i] = serviceView{s, s.Audience(), count[s.ID]}
	}
	return list("services", views), nil
}
