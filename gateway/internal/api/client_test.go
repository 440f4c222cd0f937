package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// proves tells whether a secret authenticates a client of acme.
func (w *world) proves(id, secret string) bool {
	w.t.Helper()
	c, err := w.clients.Clients.Get(w.t.Context(), "acme", id)
	w.ok(err)
	return c.Check(secret, w.clock.Now())
}

func TestClientLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.acme("POST", "/clients", `{"client_name":"App","authorization_server_id":"default","tenant_id":"other","redirect_uris":"https://app.test/cb",
		"scope":"openid email","fdx":{"a":1},"unknown":true}`).want(201)
	made.has("tenant_id", "acme", "client_type", "oauth2", "grant_types.0", "authorization_code", "response_types.0", "code",
		"token_endpoint_auth_method", "client_secret_basic", "redirect_uris.0", "https://app.test/cb", "scopes.1", "email",
		"client_status", "active", "server_issuer_url", houseBase+"/acme/default", "fdx.a", 1.0)
	id, secret := made.at("client_id").(string), made.at("client_secret").(string)
	if len(secret) < 32 || !w.proves(id, secret) {
		t.Errorf("the secret %q does not prove the client", secret)
	}
	if d := cmp.Diff(made.json(), w.acme("GET", "/clients/"+id, nil).want(200).json()); d != "" {
		t.Errorf("read is not what was created: %s", d)
	}
	put := w.acme("PUT", "/clients/"+id, `{"client_id":"other","client_name":"App 2","redirect_uris":["https://app.test/cb"]}`).want(200)
	put.has("client_id", id, "client_name", "App 2", "authorization_server_id", "default", "client_secret", secret, "fdx", nil)
	w.acme("PUT", "/clients/"+id, `{"client_name":"App","redirect_uris":["https://app.test/cb"],"client_status":"inactive"}`).want(200).has("client_status", "inactive")
	w.acme("DELETE", "/clients/"+id, nil).want(204)
	w.acme("GET", "/clients/"+id, nil).refused(404, "")
	w.acme("DELETE", "/clients/"+id, nil).refused(404, "")
}

func TestClientPurposes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for purpose, want := range map[string][]any{
		"single_page":    {"token_endpoint_auth_method", "none", "application_types.0", "single_page"},
		"mobile_desktop": {"token_endpoint_auth_method", "none", "application_type", "native", "application_types.0", "mobile_desktop"},
		"server_web":     {"token_endpoint_auth_method", "client_secret_basic", "application_types.0", "server_web", "grant_types.1", "refresh_token"},
		"service":        {"grant_types.0", "client_credentials", "application_types.0", "service"},
		"legacy":         {"grant_types.0", "authorization_code"},
	} {
		w.acme("POST", "/clients?application_purpose="+purpose, `{"authorization_server_id":"default"}`).want(201).has(want...)
	}
	w.acme("POST", "/clients?application_purpose=saml", `{"authorization_server_id":"default"}`).refused(422, "application_purpose")
	w.acme("POST", "/clients?application_purpose=service", `{"authorization_server_id":"default","grant_types":["authorization_code"]}`).want(201).
		has("grant_types.0", "authorization_code")
}

func TestClientRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.client("default", `,"client_id":"mine"`)
	const at = `"authorization_server_id":"default"`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no workspace", "POST", "/clients", `{"client_name":"a"}`, 422, "authorization_server_id"},
		{"unknown workspace", "POST", "/clients", `{"authorization_server_id":"none"}`, 404, ""},
		{"workspace of a wrong type", "POST", "/clients", `{"authorization_server_id":7}`, 400, "authorization_server_id"},
		{"broken", "POST", "/clients", `{`, 400, ""},
		{"taken id", "POST", "/clients", `{` + at + `,"client_id":"mine"}`, 409, "client_id"},
		{"short secret", "POST", "/clients", `{` + at + `,"client_secret":"short"}`, 422, "client_secret"},
		{"unknown scope", "POST", "/clients", `{` + at + `,"scopes":["magic"]}`, 422, "scopes[0]"},
		{"unknown method", "POST", "/clients", `{` + at + `,"token_endpoint_auth_method":"magic"}`, 422, "token_endpoint_auth_method"},
		{"redirect to a script", "POST", "/clients", `{` + at + `,"redirect_uris":["javascript:alert(1)"]}`, 422, "redirect_uris[0]"},
		{"list of a wrong type", "POST", "/clients", `{` + at + `,"grant_types":"code"}`, 400, "grant_types"},
		{"unknown client", "GET", "/clients/none", ``, 404, ""},
		{"update of nothing", "PUT", "/clients/none", `{}`, 404, ""},
		{"moved to another workspace", "PUT", "/clients/" + id, `{"authorization_server_id":"admin"}`, 422, "authorization_server_id"},
		{"rotate nothing", "POST", "/clients/none/rotateSecret", ``, 404, ""},
		{"bad duration", "POST", "/clients/" + id + "/rotateSecret?auto_revoke_after=soon", ``, 400, "auto_revoke_after"},
		{"negative duration", "POST", "/clients/" + id + "/rotateSecret?auto_revoke_after=-1s", ``, 400, "auto_revoke_after"},
		{"revoke of nothing", "POST", "/clients/none/revokeRotatedSecrets", ``, 404, ""},
		{"list of an unknown workspace", "GET", "/servers/none/clients", ``, 404, ""},
		{"unknown type", "GET", "/servers/default/clients?type=foreign", ``, 400, "type"},
		{"unknown application type", "GET", "/servers/default/clients?application_types=web", ``, 400, "application_types"},
		{"unknown client type", "GET", "/servers/default/clients?client_types=kerberos", ``, 400, "client_types"},
		{"unknown order", "GET", "/servers/default/clients?sort=color", ``, 400, "sort"},
	} {
		a := w.acme(c.method, c.path, c.body)
		a.what = c.name
		a.refused(c.status, c.field)
	}
	for _, path := range []string{"/client/none", "/clients/none"} {
		w.backend("GET", path, nil).refused(404, "")
	}
	w.backend("POST", "/client/none/rotateSecret", nil).refused(404, "")
	w.backend("POST", "/client/none/revokeRotatedSecrets", nil).refused(404, "")
}

func TestClientSecretRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for family, send := range map[string]func(method, path string) *answer{
		"admin":  func(method, path string) *answer { return w.acme(method, "/clients/"+path, nil) },
		"system": func(method, path string) *answer { return w.backend(method, "/client/"+path, nil) },
	} {
		id := w.client("default", `,"client_id":"of-`+family+`"`)
		secrets := []string{w.acme("GET", "/clients/"+id, nil).want(200).at("client_secret").(string)}
		for range 3 {
			got := send("POST", id+"/rotateSecret").want(200)
			if d := cmp.Diff([]string{"secret"}, members(got.json())); d != "" {
				t.Error(d)
			}
			secrets = append(secrets, got.at("secret").(string))
		}
		for i, want := range []bool{false, true, true, true} { // two older ones stay
			if got := w.proves(id, secrets[i]); got != want {
				t.Errorf("%s: secret %d of 4 proves: %v", family, i+1, got)
			}
		}
		send("POST", id+"/revokeRotatedSecrets").want(204)
		for i, want := range []bool{false, false, false, true} {
			if got := w.proves(id, secrets[i]); got != want {
				t.Errorf("%s: after the revocation secret %d of 4 proves: %v", family, i+1, got)
			}
		}
		next := send("POST", id+"/rotateSecret?auto_revoke_after=1h").want(200).at("secret").(string)
		w.clock.Advance(59 * time.Minute)
		if !w.proves(id, secrets[3]) {
			t.Error("the old secret ended early")
		}
		w.clock.Advance(2 * time.Minute)
		if w.proves(id, secrets[3]) || !w.proves(id, next) {
			t.Error("auto_revoke_after did not end the old secret, or ended the new one")
		}
		w.admin, w.system = w.again()
	}
}

// again returns fresh tokens of acme's API clients: an hour has passed.
func (w *world) again() (adminToken, systemToken string) {
	w.t.Helper()
	return w.holder("admin"), w.scoped(client.SystemScopes("acme")...)
}

// scoped returns the token of a new client of acme's workspace system.
func (w *world) scoped(scopes ...string) string {
	w.t.Helper()
	_, raw := w.caller(tenant.System, scopes...)
	return raw
}

func TestClientLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acme("POST", "/servers", `{"id":"shop"}`).want(201)
	portal := w.acme("GET", "/servers/shop/clients", nil).want(200).json()["clients"].([]any)[0].(map[string]any)["client_id"].(string)
	for i, name := range []string{"Zebra", "Ant", "Mole"} {
		w.clock.Advance(time.Second)
		w.client("shop", fmt.Sprintf(`,"client_id":"zz%d","client_name":%q,"developer_id":%q,"grant_types":["client_credentials"]`,
			i, name, map[bool]string{true: "dev", false: ""}[i == 1]))
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"?application_types=service", []string{"zz0", "zz1", "zz2"}},
		{"?application_types=service&limit=2", []string{"zz0", "zz1"}},
		{"?after_client_id=zz0", []string{"zz1", "zz2"}},
		{"?before_client_id=zz2&limit=1", []string{"zz1"}},
		{"?application_types=service&sort=name", []string{"zz1", "zz2", "zz0"}},
		{"?application_types=service&sort=issued_at&order=desc", []string{"zz2", "zz1", "zz0"}},
		{"?search_phrase=zeb", []string{"zz0"}},
		{"?type=third_party", []string{"zz1"}},
		{"?type=internal&application_types=service", []string{"zz0", "zz2"}},
		{"?client_types=saml", []string{}},
	} {
		got := w.acme("GET", "/servers/shop/clients"+c.query, nil).want(200)
		ids := []string{}
		for _, row := range got.json()["clients"].([]any) {
			ids = append(ids, row.(map[string]any)["client_id"].(string))
		}
		if d := cmp.Diff(c.want, ids); d != "" {
			t.Errorf("%s: %s", c.query, d)
		}
	}
	all := map[string]string{}
	for _, row := range w.backend("GET", "/clients/shop", nil).want(200).json()["clients"].([]any) {
		r := row.(map[string]any)
		all[r["client_id"].(string)] = r["client_secret"].(string)
	}
	if len(all) != 4 || all["zz0"] == "" || all["zz1"] != "" || all[portal] != "" {
		t.Errorf("all clients with the secrets of those that are not a developer's: %v", all)
	}
}

// Who reads a secret can be the client. So it is shown to those who may manage
// the client and could grant what it holds.
func TestClientSecretsAreShownToWhomTheyGiveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := w.client("default")
	own := w.client("default", `,"developer_id":"dev"`)
	inAdmin := w.client("admin")
	powerful, _ := w.caller(tenant.System, "identity")
	for _, c := range []struct {
		caller, id string
		sees       bool
	}{
		{"admin", plain, true},
		{"admin", own, false},
		{"admin", inAdmin, true},
		{"admin", powerful.ClientID, true},
		{"admin@default", plain, true},
		{"manager@default", plain, true},
		{"auditor", plain, false},
		{"auditor@default", plain, false},
		{"business_admin", plain, true},
		{"business_admin", inAdmin, false},
		{"business_admin", powerful.ClientID, false},
		{"manager@admin", inAdmin, false},
		{"admin@admin", inAdmin, false},
		{"admin@system", powerful.ClientID, false},
	} {
		raw := w.holder(c.caller)
		got := w.do(raw, "GET", "/api/admin/acme/clients/"+c.id, nil).want(200)
		if sees := got.at("client_secret") != ""; sees != c.sees {
			t.Errorf("%s sees the secret of %s: %v", c.caller, got.at("client_name"), sees)
		}
		space := got.at("authorization_server_id").(string)
		for _, row := range w.do(raw, "GET", "/api/admin/acme/servers/"+space+"/clients", nil).want(200).json()["clients"].([]any) {
			r := row.(map[string]any)
			if sees := r["client_secret"] != ""; r["client_id"] == c.id && sees != c.sees {
				t.Errorf("%s lists the secret of %s: %v", c.caller, r["client_name"], sees)
			}
		}
	}
}

func TestClientsOfBuiltInWorkspacesAreTheAdministrators(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inAdmin, inSystem := w.client("admin"), w.client("system", `,"scopes":["identity"],"grant_types":["client_credentials"]`)
	for _, caller := range []string{"business_admin", "manager@admin", "manager@system", "admin@system", "admin@admin"} {
		raw := w.holder(caller)
		for _, workspace := range []string{"admin", "system"} {
			w.do(raw, "POST", "/api/admin/acme/clients", `{"authorization_server_id":"`+workspace+`"}`).refused(403, "")
		}
		for _, id := range []string{inAdmin, inSystem} {
			at := "/api/admin/acme/clients/" + id
			w.do(raw, "PUT", at, `{"redirect_uris":["https://evil.test"]}`).refused(403, "")
			w.do(raw, "POST", at+"/rotateSecret", nil).refused(403, "")
			w.do(raw, "POST", at+"/revokeRotatedSecrets", nil).refused(403, "")
			w.do(raw, "DELETE", at, nil).refused(403, "")
		}
	}
}

// A client that holds roles cannot be taken over by who could not grant them.
func TestClientWithRolesCannotBeTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.clients.Clients.Create(t.Context(), client.Client{TenantID: "acme", WorkspaceID: "default"})
	w.ok(err)
	_, on := w.resource("admin")
	w.ok(w.roles.Grant(t.Context(), on, role.Client("acme", c.ClientID, c.Epoch), role.Admin))
	manager, at := w.holder("manager@default"), "/api/admin/acme/clients/"+c.ClientID
	w.do(manager, "GET", at, nil).want(200).has("client_secret", "")
	w.do(manager, "PUT", at, `{}`).refused(403, "")
	w.do(manager, "POST", at+"/rotateSecret", nil).refused(403, "")
	w.acme("POST", "/clients/"+c.ClientID+"/rotateSecret", nil).want(200)

	// Its deletion ends its roles.
	w.acme("DELETE", "/clients/"+c.ClientID, nil).want(204)
	held, err := w.roles.Held(t.Context(), role.Client("acme", c.ClientID, c.Epoch))
	if w.ok(err); len(held) > 0 {
		t.Errorf("a deleted client holds %v", held)
	}
}

// A backend's token gets no further by way of another client than it reaches
// itself.
func TestBackendsGetNoMoreByOtherClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := w.client("default")
	me, raw := w.caller(tenant.System, "view_clients", "manage_clients")
	same, _ := w.caller(tenant.System, "view_clients")
	more, _ := w.caller(tenant.System, "view_clients", "identity")
	boss, _ := w.caller(tenant.Admin)
	_, on := w.resource("admin")
	w.ok(w.roles.Grant(t.Context(), on, role.Client("acme", boss.ClientID, boss.Epoch), role.Auditor))
	for id, may := range map[string]bool{plain: true, me.ClientID: true, same.ClientID: true, more.ClientID: false, boss.ClientID: false} {
		got := w.do(raw, "GET", "/api/system/acme/client/"+id, nil).want(200)
		if sees := got.at("client_secret") != ""; sees != may {
			t.Errorf("sees the secret of %v: %v", got.at("scope"), sees)
		}
		status := w.do(raw, "POST", "/api/system/acme/client/"+id+"/rotateSecret", nil).status
		if may && status != 200 || !may && status != 403 {
			t.Errorf("rotates the secret of %v: %d", got.at("scope"), status)
		}
	}
	viewer := w.scoped("view_clients")
	w.do(viewer, "POST", "/api/system/acme/client/"+plain+"/rotateSecret", nil).refused(403, "")
	w.do(w.scoped("view_scopes"), "GET", "/api/system/acme/client/"+plain, nil).refused(403, "")
}

// An inactive client is refused everywhere, also with the token it has.
func TestInactiveClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, raw := w.caller(tenant.System, "view_clients")
	w.do(raw, "GET", "/api/system/acme/clients/default", nil).want(200)
	w.pass()
	w.acme("PUT", "/clients/"+c.ClientID, `{"client_status":"inactive","grant_types":["client_credentials"],"scopes":["view_clients"]}`).want(200)
	w.do(raw, "GET", "/api/system/acme/clients/default", nil).refused(401, "")
	if _, err := w.clients.Clients.Get(t.Context(), "acme", c.ClientID); fault.Is(err, fault.NotFound) {
		t.Error("the client is gone")
	}
}
