package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func TestServerLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.acme("POST", "/servers", `{"id":"shop","name":"Shop","tenant_id":"","unknown":1,"access_token_ttl":"5m0s","obbr":{"kept":[1.50]}}`).want(201)
	made.has("id", "shop", "tenant_id", "acme", "type", "regular", "access_token_ttl", "5m0s", "id_token_ttl", "1h0m0s",
		"key_type", "ecdsa", "issuer_url", houseBase+"/acme/shop", "obbr.kept.0", 1.5)
	if secret, _ := made.at("secret").(string); len(secret) < tenant.MinSecret {
		t.Errorf("no secret was made: %q", secret)
	}
	if n := len(w.acme("GET", "/servers/shop/scopes", nil).want(200).json()["scopes"].([]any)); n == 0 {
		t.Error("the workspace came without scopes")
	}
	for _, path := range []string{"/servers/shop", "/workspaces/shop"} {
		got := w.acme("GET", path, nil).want(200)
		if d := cmp.Diff(made.json(), got.json()); d != "" {
			t.Errorf("%s is not what was created: %s", path, d)
		}
	}

	// What is missing goes back to its default, but not the secrets.
	put := w.acme("PUT", "/servers/shop", `{"id":"bank","name":"Shop 2"}`).want(200)
	put.has("id", "shop", "name", "Shop 2", "access_token_ttl", "1h0m0s", "obbr", nil,
		"secret", made.at("secret"), "subject_identifier_algorithm_salt", made.at("subject_identifier_algorithm_salt"))
	back := w.acme("PUT", "/servers/shop", string(made.body)).want(200)
	if d := cmp.Diff(made.json(), back.json()); d != "" {
		t.Errorf("what was read and sent back is something else: %s", d)
	}
	w.acme("DELETE", "/servers/shop", nil).want(204)
	w.acme("GET", "/servers/shop", nil).refused(404, "")
	w.acme("DELETE", "/servers/shop", nil).refused(404, "")

	w.acme("POST", "/servers", `{"id":"shop"}`).want(201)
	w.backend("DELETE", "/servers/shop", nil).want(204)
	w.backend("DELETE", "/servers/shop", nil).refused(404, "")
}

func TestServerWithDemoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for demo, want := range map[string]int{"true": 2, "false": 1} { // the portal's client is always there
		w.acme("POST", "/servers?with_demo_client="+demo, `{"id":"`+demo+`"}`).want(201)
		got := w.acme("GET", "/servers/"+demo+"/clients", nil).want(200)
		if n := len(got.json()["clients"].([]any)); n != want {
			t.Errorf("with_demo_client=%s: %d clients: %s", demo, n, got.body)
		}
	}
	w.acme("POST", "/servers?with_demo_client=maybe", `{}`).refused(400, "with_demo_client")
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"taken id", "POST", "/servers", `{"id":"default"}`, 409, "id"},
		{"reserved id", "POST", "/servers", `{"id":"identity"}`, 422, "id"},
		{"bad id", "POST", "/servers", `{"id":"a b"}`, 422, "id"},
		{"built-in type", "POST", "/servers", `{"type":"admin"}`, 422, "type"},
		{"short secret", "POST", "/servers", `{"secret":"short"}`, 422, "secret"},
		{"unknown grant", "POST", "/servers", `{"grant_types":["magic"]}`, 422, "grant_types[0]"},
		{"keys", "POST", "/servers", `{"jwks":{"keys":[]}}`, 422, "jwks"},
		{"no duration", "POST", "/servers", `{"access_token_ttl":"soon"}`, 400, "access_token_ttl"},
		{"wrong type", "POST", "/servers", `{"name":[]}`, 400, "name"},
		{"broken", "POST", "/servers", `{`, 400, ""},
		{"empty", "POST", "/servers", ``, 400, ""},
		{"update of nothing", "PUT", "/servers/none", `{}`, 404, ""},
		{"another type", "PUT", "/servers/default", `{"type":"organization"}`, 422, "type"},
		{"issuer of a built-in one", "PUT", "/servers/admin", `{"custom_issuer_url":"https://x.test"}`, 422, "custom_issuer_url"},
		{"admin deleted", "DELETE", "/servers/admin", ``, 403, ""},
		{"system deleted", "DELETE", "/servers/system", ``, 403, ""},
		{"bad metadata", "PUT", "/workspaces/default/metadata", `{"payload":[]}`, 422, "payload"},
	} {
		a := w.acme(c.method, c.path, c.body)
		a.what = c.name
		a.refused(c.status, c.field)
	}
	w.backend("DELETE", "/servers/admin", nil).refused(403, "")
	_, scopeless := w.caller(tenant.System, "view_clients")
	w.do(scopeless, "DELETE", "/api/system/acme/servers/default", nil).refused(403, "")
}

func TestServerSecretsAreForThoseWhoMaySetThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for caller, sees := range map[string]bool{"admin": true, "manager@default": true, "auditor": false, "auditor@default": false} {
		got := w.do(w.holder(caller), "GET", "/api/admin/acme/servers/default", nil).want(200).json()
		for _, member := range []string{"secret", "subject_identifier_algorithm_salt"} {
			if has := got[member] != nil; has != sees {
				t.Errorf("%s sees %s: %v", caller, member, has)
			}
		}
	}
	got := w.do(w.holder("auditor"), "GET", "/api/admin/acme/servers", nil).want(200)
	for _, row := range got.json()["servers"].([]any) {
		if s := row.(map[string]any); s["secret"] != nil {
			t.Errorf("an auditor lists the secret of %v", s["id"])
		}
	}
}

func TestServerLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		w.acme("POST", "/servers", fmt.Sprintf(`{"id":%q,"name":"Name %s","type":"organization","template":%v}`, id, id, id == "b")).want(201)
	}
	for _, c := range []struct {
		path, plural string
		want         []string
	}{
		{"/servers", "servers", []string{"a", "admin", "b", "c", "default", "system"}},
		{"/servers?server_types=admin,system", "servers", []string{"admin", "system"}},
		{"/servers?server_types=organization&limit=2", "servers", []string{"a", "b"}},
		{"/servers?server_types=organization&after_server_id=b", "servers", []string{"c"}},
		{"/servers?before_server_id=c&limit=2", "servers", []string{"admin", "b"}},
		{"/servers?order=desc&limit=2", "servers", []string{"system", "default"}},
		{"/servers?sort=name&limit=3&order=acs", "servers", []string{"admin", "default", "a"}},
		{"/servers?search_phrase=NAME+c", "servers", []string{"c"}},
		{"/workspaces?limit=1", "workspaces", []string{"a"}},
		{"/workspaces?template=true", "workspaces", []string{"b"}},
		{"/workspaces?template=false&workspace_types=organization", "workspaces", []string{"a", "c"}},
		{"/workspaces?theme_id=dark", "workspaces", []string{}},
		{"/workspaces?after_workspace_id=default", "workspaces", []string{"system"}},
	} {
		if d := cmp.Diff(c.want, w.acme("GET", c.path, nil).want(200).ids(c.plural)); d != "" {
			t.Errorf("%s: %s", c.path, d)
		}
	}
	for path, field := range map[string]string{
		"/servers?server_types=planet": "server_types", "/servers?limit=101": "limit", "/servers?sort=color": "sort",
		"/servers?order=up": "order", "/servers?after_server_id=a&before_server_id=b": "before_server_id",
		"/workspaces?template=7": "template", "/workspaces?workspace_types=planet": "workspace_types",
	} {
		w.acme("GET", path, nil).refused(400, field)
	}
	light := w.acme("GET", "/workspaces", nil).want(200).json()["workspaces"].([]any)[0].(map[string]any)
	if light["secret"] != nil || light["access_token_ttl"] != nil || light["issuer_url"] != houseBase+"/acme/a" {
		t.Errorf("not the light projection: %v", light)
	}
}

// Who may only see which workspaces there are does not see how they are set up.
func TestMembersSeeOutlines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := w.holder("member")
	if got := w.do(member, "GET", "/api/admin/acme/workspaces", nil).want(200).ids("workspaces"); len(got) != 3 {
		t.Errorf("workspaces: %v", got)
	}
	if got := w.do(member, "GET", "/api/admin/acme/servers", nil).want(200).ids("servers"); len(got) != 0 {
		t.Errorf("servers: %v", got)
	}
	w.do(w.holder("admin@default"), "GET", "/api/admin/acme/servers", nil).refused(403, "")
}

func TestUserWorkspaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.acme("POST", "/servers", fmt.Sprintf(`{"id":"w%d"}`, i)).want(201)
	}
	walk := func(raw, limit string) [][]string {
		var pages [][]string
		for cursor := ""; ; {
			got := w.do(raw, "GET", "/api/admin/acme/user/workspaces"+query("limit", limit, "cursor", cursor), nil).want(200)
			pages = append(pages, got.ids("workspaces"))
			if cursor = got.at("cursor").(string); cursor == "" {
				return pages
			}
		}
	}
	all := [][]string{{"admin", "default", "system"}, {"w0", "w1", "w2"}, {"w3", "w4"}}
	if d := cmp.Diff(all, walk(w.admin, "3")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]string{{"admin", "default", "system", "w0", "w1", "w2", "w3", "w4"}}, walk(w.admin, "8")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]string{{"w3"}}, walk(w.holder("member@w3"), "20")); d != "" {
		t.Error(d)
	}
	w.acme("GET", "/user/workspaces?cursor=!", nil).refused(400, "cursor")
	w.acme("GET", "/user/workspaces?limit=0", nil).refused(400, "limit")
	_, roleless := w.caller(tenant.Admin)
	w.do(roleless, "GET", "/api/admin/acme/user/workspaces", nil).refused(403, "")
}

func TestWorkspaceMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acme("PUT", "/servers/default", `{"name":"Default","metadata":{"schema":{"type":"object"},"payload":{"a":1}}}`).want(200)
	got := w.acme("PUT", "/workspaces/default/metadata", `{"payload":{"price":1.50}}`).want(200)
	if string(got.body) != `{"payload":{"price":1.50}}` {
		t.Errorf("numbers are kept as they are written: %s", got.body)
	}
	now := w.acme("GET", "/servers/default", nil).want(200).has("metadata.schema.type", "object", "name", "Default")
	var meta struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	w.ok(json.Unmarshal(now.body, &meta))
	if d := cmp.Diff(`{"payload":{"price":1.50},"schema":{"type":"object"}}`, string(meta.Metadata)); d != "" {
		t.Error(d)
	}
	w.do(w.holder("auditor@default"), "PUT", "/api/admin/acme/workspaces/default/metadata", `{}`).refused(403, "")
}
