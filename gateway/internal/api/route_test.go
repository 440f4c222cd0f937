package api_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/route"
)

func TestRouteLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const all = "/servers/default/routes"
	made := w.acme("POST", all, `{"host":"Wiki.Acme.Test","upstream":"http://192.0.2.7:3000/","tenant_id":"other","workspace_id":"admin","source":"file","id":"mine"}`).want(201)
	made.has("host", "wiki.acme.test", "path_prefix", "/", "upstream", "http://192.0.2.7:3000", "policy", "signed_in",
		"tenant_id", "acme", "workspace_id", "default", "source", "api", "id", route.ID("wiki.acme.test", "/"), "workspace_epoch", nil)
	one := all + "/" + made.at("id").(string)
	if d := cmp.Diff(made.json(), w.acme("GET", one, nil).want(200).json()); d != "" {
		t.Errorf("read is not what was created: %s", d)
	}
	put := w.acme("PUT", one, `{"upstream":"http://192.0.2.8","policy":"public"}`).want(200)
	put.has("host", "wiki.acme.test", "policy", "public", "upstream", "http://192.0.2.8", "created_at", made.at("created_at"))
	w.acme("PUT", one, `{"host":"other.acme.test","upstream":"http://192.0.2.8"}`).refused(422, "path_prefix")
	w.acme("POST", all, `{"host":"wiki.acme.test","upstream":"http://192.0.2.9"}`).refused(409, "path_prefix")
	w.acme("POST", all, `{"host":"wiki.acme.test","path_prefix":"/api","upstream":"http://192.0.2.9","api":true}`).want(201)
	if n := len(w.acme("GET", all, nil).want(200).ids("routes")); n != 2 {
		t.Errorf("%d routes", n)
	}
	w.acme("DELETE", one, nil).want(204)
	w.acme("GET", one, nil).refused(404, "")
	w.acme("DELETE", one, nil).refused(404, "")
	w.acme("PUT", one, `{}`).refused(404, "")
	w.acme("GET", "/servers/admin/routes", nil).want(200).has("routes", []any{})
}

func TestRouteRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name, body string
		status     int
		field      string
	}{
		{"no host", `{"upstream":"http://a.test"}`, 422, "host"},
		{"no upstream", `{"host":"a.acme.test"}`, 422, "upstream"},
		{"unknown policy", `{"host":"a.acme.test","upstream":"http://a.test","policy":"maybe"}`, 422, "policy"},
		{"the gateway's path", `{"host":"a.acme.test","upstream":"http://a.test","path_prefix":"/.gatepost"}`, 422, "path_prefix"},
		{"identity header of our own", `{"host":"a.acme.test","upstream":"http://a.test","headers":{"custom":{"Cookie":"sub"}}}`, 422, `headers.custom["Cookie"]`},
		{"host outside the allowance", `{"host":"a.other.test","upstream":"http://a.test"}`, 403, "host"},
		{"wrong duration", `{"host":"a.acme.test","upstream":"http://a.test","timeouts":{"idle":"long"}}`, 400, "timeouts.idle"},
		{"wrong type", `{"host":"a.acme.test","max_body":"much"}`, 400, "max_body"},
		{"broken", `{`, 400, ""},
	} {
		a := w.acme("POST", "/servers/default/routes", c.body)
		a.what = c.name
		a.refused(c.status, c.field)
	}
	w.acme("POST", "/servers/none/routes", `{}`).refused(404, "")
	w.do(w.holder("auditor@default"), "POST", "/api/admin/acme/servers/default/routes", `{}`).refused(403, "")
	w.do(w.holder("auditor@default"), "GET", "/api/admin/acme/servers/default/routes", nil).want(200)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hosts = "/servers/default/hosts"
	w.acme("POST", hosts, `{"host":"B.shared.test:8443"}`).want(201).has("host", "b.shared.test", "tenant_id", "acme", "workspace_id", "default", "workspace_epoch", nil)
	w.acme("POST", hosts, `{"host":"b.shared.test"}`).want(201) // ours already
	w.acme("POST", hosts, `{"host":"a.acme.test"}`).want(201)
	w.acme("POST", "/servers/admin/hosts", `{"host":"c.acme.test"}`).want(201)
	names := func(path string) []string {
		var list []string
		for _, row := range w.acme("GET", path, nil).want(200).json()["hosts"].([]any) {
			list = append(list, row.(map[string]any)["host"].(string))
		}
		return list
	}
	if d := cmp.Diff([]string{"a.acme.test", "b.shared.test"}, names(hosts)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"b.shared.test"}, names(hosts+"?after_host_id=a.acme.test")); d != "" {
		t.Error(d)
	}
	// Claimed twice: by another workspace, by another tenant.
	w.acme("POST", "/servers/admin/hosts", `{"host":"b.shared.test"}`).refused(409, "host")
	w.do(w.theirs, "POST", "/api/admin/other/servers/default/hosts", `{"host":"b.shared.test"}`).refused(409, "host")
	w.do(w.theirs, "POST", "/api/admin/other/servers/default/routes", `{"host":"b.shared.test","upstream":"http://192.0.2.7"}`).refused(409, "host")
	w.do(w.theirs, "DELETE", "/api/admin/other/servers/default/hosts/b.shared.test", nil).refused(404, "")
	w.acme("DELETE", "/servers/admin/hosts/b.shared.test", nil).refused(404, "")
	// Held as long as it has routes.
	id := w.acme("POST", "/servers/default/routes", `{"host":"b.shared.test","upstream":"http://192.0.2.7"}`).want(201).at("id").(string)
	w.acme("DELETE", hosts+"/b.shared.test", nil).refused(409, "host")
	w.acme("DELETE", "/servers/default/routes/"+id, nil).want(204)
	w.acme("DELETE", hosts+"/b.shared.test", nil).want(204)
	w.do(w.theirs, "POST", "/api/admin/other/servers/default/hosts", `{"host":"b.shared.test"}`).want(201)

	w.acme("POST", hosts, `{"host":"a b"}`).refused(422, "host")
	w.acme("POST", hosts, `{}`).refused(422, "host")
	w.acme("POST", hosts, `{"host":"www.google.com"}`).refused(403, "host")
}

// Routes of the configuration file are shown where they belong and cannot be
// changed here.
func TestFileRoutesAreReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range 3 {
		r := route.Route{Tenant: "acme", Workspace: "default", Source: route.FromFile, Host: fmt.Sprintf("f%d.acme.test", i), Upstream: "http://192.0.2.1"}.Normal()
		w.parts.Routes.Static = append(w.parts.Routes.Static, r)
		made := w.acme("POST", "/servers/default/routes", fmt.Sprintf(`{"host":"m%d.acme.test","upstream":"http://192.0.2.1"}`, i)).want(201)
		ids = append(ids, r.ID, made.at("id").(string))
	}
	const all = "/servers/default/routes"
	sorted := w.acme("GET", all, nil).want(200).ids("routes")
	if d := cmp.Diff(len(ids), len(sorted)); d != "" {
		t.Fatal(d)
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"?limit=2", sorted[:2]},
		{"?limit=2&after_route_id=" + sorted[1], sorted[2:4]},
		{"?limit=3&after_route_id=" + sorted[3], sorted[4:]},
		{"?limit=2&before_route_id=" + sorted[4], sorted[2:4]},
		{"?limit=2&order=desc", []string{sorted[5], sorted[4]}},
		{"?limit=2&order=desc&after_route_id=" + sorted[4], []string{sorted[3], sorted[2]}},
	} {
		if d := cmp.Diff(c.want, w.acme("GET", all+c.query, nil).want(200).ids("routes")); d != "" {
			t.Errorf("%s: %s", c.query, d)
		}
	}
	file := route.ID("f0.acme.test", "/")
	w.acme("GET", all+"/"+file, nil).want(200).has("source", "file")
	w.acme("PUT", all+"/"+file, `{"upstream":"http://192.0.2.2"}`).refused(409, "")
	w.acme("DELETE", all+"/"+file, nil).refused(409, "")
	w.acme("GET", "/servers/admin/routes/"+file, nil).refused(404, "")
	w.acme("GET", "/servers/admin/routes", nil).want(200).has("routes", []any{})
	w.do(w.theirs, "GET", "/api/admin/other/servers/default/routes/"+file, nil).refused(404, "")
	w.do(w.theirs, "GET", "/api/admin/other/servers/default/routes", nil).want(200).has("routes", []any{})
}
