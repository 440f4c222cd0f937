package api_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const keys = `{"keys":[{"kty":"EC","d":"secret"}]}`

func TestTenantLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.do(w.rootSystem, "POST", "/api/system/tenants?with_default_workspaces=true",
		`{"id":"initech","name":"Initech","metadata":{"plan":{"tier":"gold"}},"jwks":`+keys+`}`).want(201)
	made.has("tenant.id", "initech", "tenant.settings.default_workspace_id", "default",
		"servers.0.id", "admin", "servers.1.id", "system", "servers.2.id", "default")
	for _, member := range []string{"clients", "idps"} {
		if _, ok := made.json()[member].([]any); !ok {
			t.Errorf("no list of %s: %s", member, made.body)
		}
	}
	// The secrets that it tells are the ones that open the tenant's API.
	for _, row := range made.json()["clients"].([]any) {
		c := row.(map[string]any)
		if c["client_name"] != "API client" || c["authorization_server_id"] != tenant.Admin {
			continue
		}
		token := w.token(client.Client{
			TenantID: "initech", WorkspaceID: tenant.Admin, ClientID: c["client_id"].(string), ClientSecret: c["client_secret"].(string),
			TokenEndpointAuthMethod: c["token_endpoint_auth_method"].(string),
		})
		w.do(token, "GET", "/api/admin/initech/tenant", nil).want(200).has("name", "Initech")
	}
	w.do(w.rootSystem, "GET", "/api/system/tenants/initech", nil).want(200).has("id", "initech", "metadata.plan.tier", "gold")
	w.do(w.rootSystem, "PUT", "/api/system/tenants/initech", `{"id":"another","name":"Initech Inc."}`).want(200).has("id", "initech", "name", "Initech Inc.")
	w.do(w.rootSystem, "GET", "/api/system/tenants/initech", nil).want(200).has("name", "Initech Inc.", "metadata", nil)
	w.do(w.rootSystem, "DELETE", "/api/system/tenants/initech", nil).want(204)
	w.do(w.rootSystem, "GET", "/api/system/tenants/initech", nil).refused(404, "")
	w.do(w.rootSystem, "DELETE", "/api/system/tenants/initech", nil).refused(404, "")
}

func TestTenantLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(w.rootSystem, "POST", "/api/system/tenants", `{"id":"gold","name":"Gold","metadata":{"tier":"gold"},"jwks":`+keys+`}`).want(201)
	all := []string{"acme", "gold", "other", "system"}
	for path, raw := range map[string]string{"/api/admin/tenants": w.root, "/api/system/tenants": w.rootSystem} {
		got := w.do(raw, "GET", path, nil).want(200)
		if d := cmp.Diff(all, got.ids("tenants")); d != "" {
			t.Errorf("%s: %s", path, d)
		}
		got.has("tenants.1.jwks", nil) // nobody lists private keys
	}
	found := w.do(w.rootSystem, "GET", "/api/system/tenants?query="+url.QueryEscape(`{"metadata":{"tier":"gold"}}`), nil).want(200)
	if d := cmp.Diff([]string{"gold"}, found.ids("tenants")); d != "" {
		t.Error(d)
	}
	w.do(w.rootSystem, "GET", "/api/system/tenants?query=%7B", nil).refused(400, "query")
}

func TestTenantRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no name", "POST", "", `{}`, 422, "name"},
		{"taken id", "POST", "", `{"id":"acme","name":"A"}`, 409, "id"},
		{"reserved id", "POST", "", `{"id":"tenants","name":"A"}`, 422, "id"},
		{"the root tenant's id", "POST", "", `{"id":"system","name":"A"}`, 409, "id"},
		{"bad id", "POST", "", `{"id":"a/b","name":"A"}`, 422, "id"},
		{"wrong type", "POST", "", `{"name":7}`, 400, "name"},
		{"broken", "POST", "", `{"name":`, 400, ""},
		{"bad flag", "POST", "?with_default_workspaces=perhaps", `{"name":"A"}`, 400, "with_default_workspaces"},
		{"update without a name", "PUT", "/acme", `{}`, 422, "name"},
		{"update of nobody", "PUT", "/nobody", `{"name":"A"}`, 404, ""},
		{"nobody", "GET", "/nobody", ``, 404, ""},
		{"the root tenant deleted", "DELETE", "/system", ``, 403, ""},
	} {
		a := w.do(w.rootSystem, c.method, "/api/system/tenants"+c.path, c.body)
		a.what = c.name
		a.refused(c.status, c.field)
	}
}

// The scopes of tenants are not the published API's, but without them every
// client of the root tenant's workspace system would rule over all tenants.
func TestTenantScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	viewer := w.rootClient(tenant.System, "view_tenants")
	nobody := w.rootClient(tenant.System, "view_clients")
	w.do(viewer, "GET", "/api/system/tenants/acme", nil).want(200)
	w.do(viewer, "POST", "/api/system/tenants", `{"name":"A"}`).refused(403, "")
	w.do(viewer, "PUT", "/api/system/tenants/acme", `{"name":"A"}`).refused(403, "")
	w.do(viewer, "DELETE", "/api/system/tenants/acme", nil).refused(403, "")
	w.do(nobody, "GET", "/api/system/tenants", nil).refused(403, "")
}

func TestOwnTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.acme("GET", "/tenant", nil).want(200).has("id", "acme", "name", "acme")
	w.acme("PUT", "/tenant", `{"id":"other","name":"Acme Corp.","metadata":{"a":1},"jwks":`+keys+`}`, "If-Match", got.tag()).want(200).
		has("id", "acme", "name", "Acme Corp.", "metadata.a", 1.0)
	w.acme("PUT", "/tenant", `{"name":"again"}`, "If-Match", got.tag()).refused(412, "")
	w.acme("GET", "/tenant", nil).want(200).has("name", "Acme Corp.", "jwks.keys.0.d", "secret")
	w.do(w.theirs, "GET", "/api/admin/other/tenant", nil).want(200).has("name", "other")

	// Who may look but not change does not see private keys.
	auditor := w.holder("auditor")
	w.do(auditor, "GET", "/api/admin/acme/tenant", nil).want(200).has("name", "Acme Corp.", "jwks", nil)
	w.do(auditor, "PUT", "/api/admin/acme/tenant", `{"name":"x"}`).refused(403, "")
	w.do(w.rootClient(tenant.System, "view_tenants"), "GET", "/api/system/tenants/acme", nil).want(200).has("jwks", nil)
	w.do(w.rootSystem, "GET", "/api/system/tenants/acme", nil).want(200).has("jwks.keys.0.d", "secret")
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		caller, path string
		many         int
		want         map[string]bool // some of the list
	}{
		{"admin", "/tenant/permissions", 33, map[string]bool{"update_tenant": true, "manage_admin_role": true}},
		{"auditor", "/tenant/permissions", 33, map[string]bool{"update_tenant": false, "read_roles": true}},
		{"manager@default", "/tenant/permissions", 33, map[string]bool{"get_tenant": false}},
		{"manager@default", "/servers/default/permissions", 46, map[string]bool{"manage_clients": true, "manage_admin_role": false}},
		{"admin", "/servers/default/permissions", 46, map[string]bool{"delete_workspace": true}},
	} {
		got := w.do(w.holder(c.caller), "GET", "/api/admin/acme"+c.path, nil).want(200)
		all := got.json()
		if len(all) != c.many {
			t.Errorf("%s of %s: %d permissions, want %d", c.path, c.caller, len(all), c.many)
		}
		for name, want := range c.want {
			if all[name] != want {
				t.Errorf("%s of %s: %s is %v", c.path, c.caller, name, all[name])
			}
		}
	}
	// Without a role on it a workspace is not told from none.
	manager := w.holder("manager@default")
	w.do(manager, "GET", "/api/admin/acme/servers/admin/permissions", nil).refused(403, "")
	w.do(manager, "GET", "/api/admin/acme/servers/none/permissions", nil).refused(403, "")
	w.acme("GET", "/servers/none/permissions", nil).refused(404, "")
	_, roleless := w.caller(tenant.Admin)
	w.do(roleless, "GET", "/api/admin/acme/tenant/permissions", nil).refused(403, "")
}
