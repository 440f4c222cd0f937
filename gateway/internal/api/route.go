package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// routeOperations are ours: the protected apps of a workspace and the hosts that
// it holds for them. The published permissions on gateways fit.
func (a *API) routeOperations() []operation {
	const routes, hosts = "/api/admin/:tid/servers/:wid/routes", "/api/admin/:tid/servers/:wid/hosts"
	read, manage := string(role.ReadGateways), string(role.ManageGateways)
	return []operation{
		{
			id: "listRoutes", method: http.MethodGet, path: routes, family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: listRoutes,
		},
		{
			id: "createRoute", method: http.MethodPost, path: routes, family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusCreated, etag: true, once: true, run: createRoute,
		},
		{
			id: "getRoute", method: http.MethodGet, path: routes + "/:id", family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: getRoute,
		},
		{
			id: "updateRoute", method: http.MethodPut, path: routes + "/:id", family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusOK, etag: true, run: updateRoute,
		},
		{
			id: "deleteRoute", method: http.MethodDelete, path: routes + "/:id", family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusNoContent, run: deleteRoute,
		},
		{
			id: "listHosts", method: http.MethodGet, path: hosts, family: admin,
			allow: read, on: onWorkspace, ok: http.StatusOK, etag: true, run: listHosts,
		},
		{
			id: "claimHost", method: http.MethodPost, path: hosts, family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusCreated, etag: true, once: true, run: claimHost,
		},
		{
			id: "releaseHost", method: http.MethodDelete, path: hosts + "/:host", family: admin,
			allow: manage, on: onWorkspace, ok: http.StatusNoContent, run: releaseHost,
		},
	}
}

// routeReply shows a route without what is the gateway's own affair.
func routeReply(row store.Row[route.Route], err error) (reply, error) {
	return reply{body: routeView(row), rev: row.Rev}, err
}

func routeView(row store.Row[route.Route]) route.Route {
	r := row.Value
	r.Epoch = ""
	return r
}

// fileRoutes are the routes of the configuration file within a page's cursors.
func fileRoutes(x *call, p store.Page) []route.Route {
	var list []route.Route
	before := func(a, b string) bool { return (a < b) != p.Desc && a != b } // in the order of the list
	for _, r := range x.Routes.Static {
		mine := r.Tenant == x.owner && r.Workspace == x.param("wid")
		if mine && (p.After == "" || before(p.After, r.ID)) && (p.Before == "" || before(r.ID, p.Before)) {
			r.Epoch = ""
			list = append(list, r)
		}
	}
	return list
}

// listRoutes merges the routes of the API with those of the configuration file,
// by id.
func listRoutes(x *call) (reply, error) {
	p, err := x.page("route")
	if err != nil {
		return reply{}, err
	}
	rows, err := x.Routes.List(x.ctx, x.owner, x.param("wid"), p)
	if err != nil {
		return reply{}, err
	}
	routes := make([]route.Route, 0, len(rows))
	for _, row := range rows {
		routes = append(routes, routeView(row))
	}
	routes = append(routes, fileRoutes(x, p)...)
	slices.SortFunc(routes, func(a, b route.Route) int {
		if p.Desc {
			a, b = b, a
		}
		return cmp.Compare(a.ID, b.ID)
	})
	if over := len(routes) - p.Limit; over > 0 && p.Before != "" {
		routes = routes[over:]
	} else if over > 0 {
		routes = routes[:p.Limit]
	}
	return list("routes", routes), nil
}

func createRoute(x *call) (reply, error) {
	var r route.Route
	if err := x.decode(&r); err != nil {
		return reply{}, err
	}
	r.Tenant, r.Workspace = x.owner, x.param("wid") // the path's; whatever the body says
	return routeReply(x.Routes.Create(x.ctx, r))
}

func (x *call) route() (store.Row[route.Route], error) {
	return x.Routes.Get(x.ctx, x.owner, x.param("wid"), x.param("id"))
}

func getRoute(x *call) (reply, error) { return routeReply(x.route()) }

func updateRoute(x *call) (reply, error) {
	var r route.Route
	if err := x.decode(&r); err != nil {
		return reply{}, err
	}
	old, err := x.route()
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	r.Tenant, r.Workspace = x.owner, x.param("wid")
	r.Host, r.PathPrefix = cmp.Or(r.Host, old.Value.Host), cmp.Or(r.PathPrefix, old.Value.PathPrefix)
	return routeReply(x.Routes.Update(x.ctx, old.Value.ID, r, rev))
}

func deleteRoute(x *call) (reply, error) {
	old, err := x.route()
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Routes.Delete(x.ctx, x.owner, x.param("wid"), old.Value.ID, rev)
}

func hostView(h route.Host) route.Host {
	h.Epoch = ""
	return h
}

func listHosts(x *call) (reply, error) {
	p, err := x.page("host")
	if err != nil {
		return reply{}, err
	}
	held := func(row *store.Row[route.Host]) (bool, error) {
		return row.Value.Workspace == x.param("wid") && row.Value.Purpose == route.ForApps, nil
	}
	rows, err := pick(p, func(row *store.Row[route.Host]) string { return row.Value.Name }, held,
		func(p store.Page) ([]store.Row[route.Host], error) { return x.Routes.Hosts(x.ctx, x.owner, p) })
	if err != nil {
		return reply{}, err
	}
	hosts := make([]route.Host, len(rows))
	for i, row := range rows {
		hosts[i] = hostView(row.Value)
	}
	return list("hosts", hosts), nil
}

func claimHost(x *call) (reply, error) {
	var in struct {
		Host string `json:"host"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Host == "" {
		return reply{}, fault.At(fault.Unprocessable, "host", "is required")
	}
	h, err := x.Routes.Claim(x.ctx, in.Host, x.owner, x.param("wid"))
	return body(hostView(h)), err
}

func releaseHost(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	return reply{}, x.Routes.Release(x.ctx, x.param("host"), x.owner, x.param("wid"))
}
