package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

const (
	idpsAt   = "/servers/default/idps"
	oidcBody = `{"id":"corp","settings":{"issuer_url":"HTTPS://Login.Corp.example:443/t","client_id":"gp","scopes":["email"]},"credentials":{"client_secret":"s3cr3t-of-corp"}}`
)

// Members of each method come back as the published types have them; what is
// left out has its default, and what is another's is not taken.
func TestIDPMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.acme("POST", idpsAt+"/oidc", oidcBody).want(201)
	made.has("method", "oidc", "name", "login.corp.example", "client_id", "", "identity_pool_id", "", "jit.enabled", false, "version", 3.0,
		"settings.issuer_url", "https://login.corp.example/t", "settings.authentication_method", "client_secret", "settings.client_id", "gp",
		"settings.get_user_info", false, "settings.send_login_hint", false, "settings.use_pkce", false, "settings.scopes.0", "email",
		"credentials.client_secret", "s3cr3t-of-corp")
	if d := cmp.Diff(made.json(), w.acme("GET", idpsAt+"/oidc/corp", nil).want(200).json()); d != "" {
		t.Errorf("read is not what was created: %s", d)
	}
	put := w.acme("PUT", idpsAt+"/oidc/corp", `{"name":"Corp","method":"static","client_id":"stolen","settings":{"issuer_url":"https://login.corp.example/t/","client_id":"gp2"}}`)
	put.want(200).has("method", "oidc", "client_id", "", "settings.client_id", "gp2", "credentials.client_secret", "s3cr3t-of-corp")

	static := w.acme("POST", idpsAt+"/static", `{"id":"box","settings":{"hint":true},"credentials":{"users":[
		{"username":"peter","password":"pw-of-peter","email":"p@x.example","email_verified":true,"authentication_context":{"a":{"b":[1.50]}}}]}}`).want(201)
	static.has("method", "static", "name", "Sandbox", "settings.hint", true, "credentials.users.0.username", "peter", "credentials.users.0.password", "pw-of-peter",
		"credentials.users.0.authentication_context.a.b.0", 1.5, "mappings.0.source", ".")
	w.acme("PUT", idpsAt+"/static/box", `{"credentials":{"users":[{"username":"peter"}]}}`).want(200).has("credentials.users.0.password", "pw-of-peter", "settings.hint", false)

	for _, at := range []string{"/custom/corp", "/static/corp", "/identity_pool/corp", "/oidc/box", "/oidc/none"} {
		w.acme("GET", idpsAt+at, nil).refused(404, "")
		w.acme("GET", idpsAt+at+"/client", nil).refused(404, "")
		if at != "/identity_pool/corp" {
			w.acme("PUT", idpsAt+at, strings.Replace(oidcBody, `"settings":{`, `"settings":{"login_url":"https://x.example",`, 1)).refused(404, "")
		}
	}
}

// A custom IDP comes with a confidential client of the workspace system that can
// do one thing, and takes it along when it goes.
func TestCustomIDPHasItsClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.acme("POST", idpsAt+"/custom", `{"id":"door","name":"Door","client_id":"chosen","settings":{"login_url":"https://door.example/in?x=1"}}`).want(201)
	id, _ := made.at("client_id").(string)
	if id == "" || id == "chosen" {
		t.Fatalf("client %q", id)
	}
	made.has("settings.login_url", "https://door.example/in?x=1", "settings.type", "generic")
	got := w.acme("GET", idpsAt+"/custom/door/client", nil).want(200)
	got.has("client_id", id, "authorization_server_id", "system", "token_endpoint_auth_method", "client_secret_basic", "scopes.0", "manage_logins", "grant_types.0", "client_credentials")
	if n := len(got.json()["scopes"].([]any)); n != 1 {
		t.Errorf("%d scopes", n)
	}
	if s, _ := got.at("client_secret").(string); len(s) < 40 {
		t.Error("the login page gets no secret")
	}
	w.acme("PUT", idpsAt+"/custom/door", `{"settings":{"login_url":"https://door.example/other"}}`).want(200).has("client_id", id)
	w.acme("DELETE", idpsAt+"/door", nil).want(204)
	if _, err := w.clients.Clients.Get(t.Context(), "acme", id); !fault.Is(err, fault.NotFound) {
		t.Errorf("the client outlived its IDP: %v", err)
	}
	// A creation that fails leaves none behind.
	before := len(w.acme("GET", "/servers/system/clients?limit=100", nil).want(200).json()["clients"].([]any))
	w.acme("POST", idpsAt+"/oidc", oidcBody).want(201)
	w.acme("POST", idpsAt+"/custom", `{"id":"corp","settings":{"login_url":"https://door.example/in"}}`).refused(422, "id")
	if after := len(w.acme("GET", "/servers/system/clients?limit=100", nil).want(200).json()["clients"].([]any)); after != before {
		t.Errorf("%d clients, %d before", after, before)
	}
}

// Who reads the configuration does not read its secrets, and lists and events
// show them to nobody.
func TestSecretsOfIDPs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acme("POST", idpsAt+"/oidc", oidcBody).want(201)
	w.acme("POST", idpsAt+"/static", `{"id":"box","credentials":{"users":[{"username":"peter","password":"s3cr3t-of-peter"}]}}`).want(201)
	w.acme("POST", idpsAt+"/custom", `{"id":"door","settings":{"login_url":"https://door.example/in"}}`).want(201)
	auditor, manager := w.holder("auditor@default"), w.holder("manager@default")
	for _, c := range []struct {
		who   string
		at    string
		shown bool
	}{
		{auditor, "/oidc/corp", false},
		{auditor, "/static/box", false},
		{manager, "/oidc/corp", true},
		{manager, "/static/box", true},
		{manager, "", false},
		{w.admin, "", false},
	} {
		got := w.do(c.who, "GET", "/api/admin/acme"+idpsAt+c.at, nil).want(200)
		if strings.Contains(string(got.body), "s3cr3t") != c.shown {
			t.Errorf("%s: %s", c.at, got.body)
		}
		if c.at == "" && (strings.Contains(string(got.body), `"settings"`) || strings.Contains(string(got.body), "credentials")) {
			t.Errorf("a list shows more than IDPBase: %s", got.body)
		}
	}
	secret := func(who string) any {
		return w.do(who, "GET", "/api/admin/acme"+idpsAt+"/custom/door/client", nil).want(200).at("client_secret")
	}
	if s, _ := secret(manager).(string); s == "" {
		t.Error("who manages the login page does not get its secret")
	}
	if s, _ := secret(auditor).(string); s != "" {
		t.Error("an auditor got the secret of the login page")
	}
	paired := w.acme("GET", idpsAt+"/custom/door", nil).at("client_id").(string)
	c, err := w.clients.Clients.Get(t.Context(), "acme", paired)
	w.ok(err)
	name, on := w.resource("admin@")
	w.ok(w.roles.Grant(t.Context(), on, role.Client("acme", paired, c.Epoch), name))
	if s, _ := secret(manager).(string); s != "" {
		t.Error("a manager got the secret of a client with roles")
	}
	for _, table := range []string{"audit", "idps"} {
		if w.kept(table, "corp") == 0 || w.kept(table, "s3cr3t") > 0 {
			t.Errorf("table %s: %d rows with the secret, %d of the IDP", table, w.kept(table, "s3cr3t"), w.kept(table, "corp"))
		}
	}
}

// Ids of another tenant or workspace lead nowhere, and nobody connects what they
// could not make by hand.
func TestIDPAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acme("POST", idpsAt+"/oidc", oidcBody).want(201)
	w.acme("POST", idpsAt+"/custom", `{"id":"door","settings":{"login_url":"https://door.example/in"}}`).want(201)
	for _, at := range []string{"/oidc/corp", "/oidc/corp/client", "/custom/door", "/custom/door/client"} {
		w.acme("GET", "/servers/admin/idps"+at, nil).refused(404, "")
		w.do(w.theirs, "GET", "/api/admin/other/servers/admin/idps"+at, nil).refused(404, "")
		if got := w.do(w.theirs, "GET", "/api/admin/acme"+idpsAt+at, nil); got.status < 400 {
			t.Errorf("%s: another tenant's token got %d", at, got.status)
		}
	}
	for name, c := range map[string]struct{ at, body, field string }{
		"javascript login page": {"/custom", `{"settings":{"login_url":"javascript:alert(1)"}}`, "settings.login_url"},
		"data login page":       {"/custom", `{"settings":{"login_url":"data:text/html,x"}}`, "settings.login_url"},
		"user in the address":   {"/custom", `{"settings":{"login_url":"https://corp.example@evil.example/"}}`, "settings.login_url"},
		"plain login page":      {"/custom", `{"settings":{"login_url":"http://door.example/"}}`, "settings.login_url"},
		"file issuer":           {"/oidc", `{"settings":{"client_id":"a","issuer_url":"file:///etc/passwd"},"credentials":{"client_secret":"x"}}`, "settings.issuer_url"},
		"private http issuer":   {"/oidc", `{"settings":{"client_id":"a","issuer_url":"http://10.0.0.1"},"credentials":{"client_secret":"x"}}`, "settings.issuer_url"},
		"metadata issuer":       {"/oidc", `{"settings":{"client_id":"a","issuer_url":"http://169.254.169.254"},"credentials":{"client_secret":"x"}}`, "settings.issuer_url"},
		"unknown pool":          {"/oidc", strings.Replace(oidcBody, `"id":"corp"`, `"jit":{"enabled":true,"provisioning":{"pool_id":"none"}}`, 1), "jit.provisioning.pool_id"},
	} {
		got := w.acme("POST", idpsAt+c.at, c.body)
		got.what = name
		got.refused(422, c.field)
	}
}

// A manager of a workspace cannot have people put into a pool, or made
// administrators, by provisioning.
func TestProvisioningNeedsTheRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("staff")
	w.pool("shoppers", `,"workspace_id":"default"`)
	manager := w.holder("manager@default")
	try := func(who, more string) *answer {
		body := strings.Replace(oidcBody, `"id":"corp"`, `"jit":{"enabled":true,"provisioning":{`+more+`}}`, 1)
		return w.do(who, "POST", "/api/admin/acme"+idpsAt+"/oidc", body)
	}
	try(manager, `"pool_id":"staff"`).refused(422, "jit.provisioning.pool_id")
	try(manager, `"pool_id":"shoppers","admin_role_type":"admin"`).refused(403, "")
	try(manager, `"pool_id":"shoppers"`).want(201)
	try(w.admin, `"pool_id":"staff","admin_role_type":"member"`).want(201)
	try(w.admin, `"pool_id":"staff","admin_role_type":"king"`).refused(422, "jit.provisioning.admin_role_type")
}
