package api_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// furnish gives acme one thing of each kind, under ids that no other tenant has,
// and returns them by the names of path parameters.
func (w *world) furnish() map[string]string {
	w.t.Helper()
	w.acme("POST", "/servers", `{"id":"shop","name":"Acme shop"}`).want(201)
	w.pool("people", `,"workspace_id":"shop","description":"Acme people"`)
	w.user("people", "ann")
	for method, body := range idpBodies {
		w.acme("POST", "/servers/shop/idps/"+method, `{"id":"acme-`+method+`","name":"Acme `+method+`",`+body[1:]).want(201)
	}
	w.do(w.admin, "POST", adminPath+"/schemas", `{"id":"card","name":"Acme card","schema":{"type":"object"}}`).want(201)
	w.acme("POST", "/servers/shop/idps/identity_pool", `{"id":"acme-idp","identity_pool_id":"people"}`).want(201)
	w.do(w.admin, "POST", adminPath+"/pools/people/groups", `{"id":"crew","name":"Acme crew"}`).want(201)
	w.do(w.admin, "PUT", adminPath+"/pools/people/groups/crew/users/ann", nil).want(204)
	w.client("shop", `,"client_id":"acme-app","description":"Acme app"`)
	id := w.acme("POST", "/servers/shop/routes", `{"host":"shop.acme.test","upstream":"http://192.0.2.7"}`).want(201).at("id").(string)
	w.acme("POST", "/services", `{"id":"acme-api","name":"Acme API","authorization_server_id":"shop"}`).want(201)
	w.acme("POST", "/scopes", `{"id":"acme-read","name":"read","authorization_server_id":"shop","service_id":"acme-api"}`).want(201)
	w.acme("POST", "/claims", `{"id":"acme-level",`+levelClaim+`,"authorization_server_id":"shop"}`).want(201)
	kid := w.acme("GET", "/servers/shop/keys", nil).want(200).at("current_key.kid").(string)
	w.acme("POST", "/servers/shop/keys/rotate", nil).want(200)
	return map[string]string{
		"claim": "acme-level", "scp": "acme-read", "sid": "acme-api", "kid": kid,
		"tid": "acme", "wid": "shop", "ipID": "people", "userID": "ann", "schID": "card", "metadataType": "admin",
		"iid": "acme-idp", "cid": "acme-app", "id": id, "host": "shop.acme.test", "groupID": "crew",
		"protectedType": "mfa", "module": "oauth2_token",
	}
}

const levelClaim = `"name":"level","type":"access_token","source_type":"authnCtx","source_path":"level"`

// idpBodies make an IDP of each method that stands for no pool.
var idpBodies = map[string]string{
	"oidc":   `{"settings":{"issuer_url":"https://login.acme.test","client_id":"gp"},"credentials":{"client_secret":"x"}}`,
	"custom": `{"settings":{"login_url":"https://login.acme.test/in"}}`,
	"static": `{"credentials":{"users":[{"username":"peter","password":"x"}]}}`,
}

// clientless tells operations on the client of an IDP that has none: only one
// with a login page of its own has.
func clientless(id string) bool {
	return id == "getIdentityPoolIDPClient" || id == "getOIDCIDPClient" || id == "getStaticIDPClient"
}

// fill puts values in the place of a path's parameters. An IDP is found at the
// address of its method only.
func fill(path string, values map[string]string) string {
	if values["iid"] == "acme-idp" {
		for method := range idpBodies {
			path = strings.ReplaceAll(path, "/idps/"+method+"/{iid}", "/idps/"+method+"/acme-"+method)
		}
	}
	for name, v := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", v)
	}
	return path
}

// family tells with whose token an operation is called.
func (p published) family() string {
	switch {
	case strings.HasPrefix(p.path, "/api/admin/tenants"):
		return "root-admin"
	case strings.HasPrefix(p.path, "/api/system/tenants"), p.path == "/api/identity/system/configuration":
		return "root-system"
	case strings.HasPrefix(p.path, "/api/system/"), strings.HasPrefix(p.path, "/api/identity/{tid}/system"),
		p.path == "/api/identity/{tid}/configuration":
		return "system"
	default:
		return "admin"
	}
}

// Every published operation succeeds once, as its line says.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := w.furnish()
	grant := `{"type":"client","client_id":"` + w.client("admin") + `","role":"`
	next := map[string]string{ // bodies
		"setTenantFeature": `{"flag":"custom_apps","value":true}`, "setBetaFeature": `{"flag":"custom_apps","value":true}`,
		"createClient": `{"authorization_server_id":"shop"}`, "createAuthorizationServer": `{"id":"new"}`, "createTenant": `{"id":"new","name":"New"}`,
		"updateTenant": `{"name":"A"}`, "updateAdminTenant": `{"name":"A"}`, "claimHost": `{"host":"new.acme.test"}`,
		"updateRoute": `{"upstream":"http://192.0.2.8"}`, "createRoute": `{"host":"new.acme.test","path_prefix":"/new","upstream":"http://192.0.2.8"}`,
		"createIdentityPoolIDP": `{"identity_pool_id":"people"}`,
		"createOIDCIDP":         idpBodies["oidc"], "updateOIDCIDP": idpBodies["oidc"], "createCustomIDP": idpBodies["custom"],
		"updateCustomIDP": idpBodies["custom"], "createStaticIDP": idpBodies["static"], "updateStaticIDP": idpBodies["static"],
		"createService": `{"name":"New","authorization_server_id":"shop"}`, "updateService": `{"name":"Newer"}`,
		"createScope": `{"name":"new","authorization_server_id":"shop"}`, "updateScope": `{"name":"newer"}`,
		"createClaim": `{"name":"new","type":"id_token","source_type":"authnCtx","source_path":"new","authorization_server_id":"shop"}`,
		"updateClaim": `{` + levelClaim + `}`, "setAutomaticKeyRotation": `{"enabled":false,"cron":"0 3 1 * *"}`,
		"grantTenantRole": grant + `member"}`, "revokeTenantRole": grant + `member"}`,
		"grantWorkspaceRole": grant + `member"}`, "revokeWorkspaceRole": grant + `member"}`,
		"grantIdentityPoolRole": grant + `user_manager"}`, "revokeIdentityPoolRole": grant + `user_manager"}`,
		"setBruteForceLimit": `{"protected_type":"mfa","max_attempts":3,"block_duration":"1m0s"}`, "setRateLimit": `{"rate":5,"burst":10}`,
		"revokeTokens": `{"subjects":["s"]}`, "revokeTokensByPool": `{"users":["u"]}`,
	}
	tokens := map[string]string{"root-admin": w.root, "root-system": w.rootSystem, "system": w.system, "admin": w.admin}
	call := func(p published) {
		t.Helper()
		if clientless(p.id) {
			w.do(w.admin, p.method, fill(p.path, values), nil).want(404)
			w.seen[p.method+" "+p.path] = true
			return
		}
		payload, ok := next[p.id]
		if !ok {
			payload = `{}`
		}
		switch path := fill(p.path, values); p.id {
		case "createIdentityPoolIDP":
			w.do(tokens[p.family()], p.method, fill(p.path, map[string]string{"tid": "acme", "wid": "admin"}), payload).want(201)
		case "deleteAuthorizationServer", "deleteTenant", "releaseHost": // of something that is not needed
			id := "old-" + p.family() + "-" + p.id
			w.acme("POST", "/servers", `{"id":"`+id+`"}`).want(201)
			w.do(w.rootSystem, "POST", "/api/system/tenants", `{"id":"`+id+`","name":"x"}`)
			w.acme("POST", "/servers/shop/hosts", `{"host":"old.acme.test"}`)
			path = strings.NewReplacer("/tenants/acme", "/tenants/"+id, "/servers/shop/hosts/shop", "/servers/shop/hosts/old").Replace(path)
			if p.id == "deleteAuthorizationServer" {
				path = strings.ReplaceAll(path, "/shop", "/"+id)
			}
			w.do(tokens[p.family()], p.method, path, payload).want(204)
		default:
			if a := w.do(tokens[p.family()], p.method, path, payload); a.status >= 300 {
				t.Errorf("%s: %s: %d %s", p.id, a.what, a.status, a.body)
			}
		}
	}
	all := readOperations(t)
	for _, deleting := range []bool{false, true} {
		for _, p := range all {
			if strings.HasPrefix(p.id, "delete") == deleting {
				call(p)
			}
		}
	}
	for _, p := range all {
		if !w.seen[p.method+" "+p.path] {
			t.Errorf("%s %s was never seen to succeed", p.method, p.path)
		}
	}
}

// snapshot is what acme's administrator and backend see of acme.
func (w *world) snapshot(values map[string]string) map[string]string {
	w.t.Helper()
	seen := map[string]string{}
	for _, p := range w.table {
		raw := map[string]string{"admin": w.admin, "system": w.system}[p.family()]
		if p.method == "GET" && raw != "" && p.status == "200" && !clientless(p.id) {
			path := fill(p.path, values)
			seen[path] = string(w.do(raw, "GET", path, nil).want(200).body)
		}
	}
	return seen
}

// Nobody without the right token gets anything of acme or changes anything in
// it: whatever the operation, whatever the token.
func TestNoOperationForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := w.furnish()
	strangers := w.strangers()
	before := w.snapshot(values)
	for name, raw := range strangers {
		for _, p := range w.table {
			if root := name == rootAdmin || name == rootBackend; root && strings.HasPrefix(p.family(), "root") {
				continue
			}
			a := w.do(raw, p.method, fill(p.path, values), `{}`)
			if a.status != 401 && a.status != 403 {
				t.Errorf("%s with %s: status %d: %s", p.id, name, a.status, a.body)
			}
			if strings.Contains(string(a.body), "Acme") {
				t.Errorf("%s with %s tells: %s", p.id, name, a.body)
			}
		}
	}
	if d := cmp.Diff(before, w.snapshot(values)); d != "" {
		t.Errorf("acme has changed: %s", d)
	}
}

// In their own tenant callers do not reach what is acme's, by whatever id, and
// are not told of it: an id of acme's is answered like one that nobody has.
func TestNoForeignIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := w.furnish()
	before := w.snapshot(values)
	theirs, nobodys := maps.Clone(values), maps.Clone(values)
	for name, v := range nobodys {
		nobodys[name] = strings.Map(func(r rune) rune { return map[bool]rune{true: r, false: 'q'}[r == '.'] }, v)
	}
	theirs["tid"], nobodys["tid"], nobodys["metadataType"] = "other", "other", "admin"
	tokens := map[string]string{"admin": w.theirs, "system": w.theirsSys}
	for _, p := range w.table {
		raw := tokens[p.family()]
		if raw == "" || strings.Count(p.path, "{") < 2 {
			continue
		}
		for _, payload := range []string{`{}`, `{"subjects":["ann"],"users":["ann"],"role":"user_manager","status":"active","name":"x","authorization_server_id":"shop"}`} {
			a, like := w.do(raw, p.method, fill(p.path, theirs), payload), w.do(raw, p.method, fill(p.path, nobodys), payload)
			if a.status != 404 && a.status != 422 || a.status != like.status || a.at("error") != like.at("error") {
				t.Errorf("%s: %s: status %d: %s; an id that nobody has: status %d: %s", p.id, a.what, a.status, a.body, like.status, like.body)
			}
		}
	}
	w.do(w.theirs, "POST", "/api/admin/other/clients", `{"authorization_server_id":"shop"}`).refused(404, "")
	w.do(w.theirs, "POST", "/api/admin/other/servers/default/idps/identity_pool", `{"identity_pool_id":"people"}`).refused(422, "identity_pool_id")
	// Ids are each tenant's own: what acme has taken is free here.
	w.do(w.theirs, "POST", "/api/admin/other/servers", `{"id":"shop"}`).want(201)
	w.do(w.theirs, "POST", "/api/admin/other/clients", `{"authorization_server_id":"shop","client_id":"acme-app"}`).want(201)
	if d := cmp.Diff(before, w.snapshot(values)); d != "" {
		t.Errorf("acme has changed: %s", d)
	}
}

// Roles on one workspace open nothing of another one.
func TestNoOtherWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := w.furnish()
	before := w.snapshot(values)
	for _, name := range []string{"admin@default", "manager@default", "user_manager@default"} {
		raw := w.holder(name)
		for _, p := range readOperations(t) {
			if p.family() != "admin" || p.id == "listUserWorkspaces" || p.id == "checkTenantPermissions" {
				continue
			}
			if a := w.do(raw, p.method, fill(p.path, values), `{"authorization_server_id":"shop","role":"member"}`); a.status != 403 {
				t.Errorf("%s as %s: status %d: %s", p.id, name, a.status, a.body)
			}
		}
	}
	after := w.snapshot(values)
	delete(before, "/api/admin/acme/tenant/roles") // the three callers' own are not acme's before
	delete(after, "/api/admin/acme/tenant/roles")
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("acme has changed: %s", d)
	}
}

// The tokens that open operations on all tenants, and nothing inside one.
const rootAdmin, rootBackend = "the root tenant's administrator", "the root tenant's backend"

// strangers are tokens that open nothing of acme, and none at all.
func (w *world) strangers() map[string]string {
	w.t.Helper()
	ctx := w.t.Context()
	_, roleless := w.caller(tenant.Admin)
	_, scopeless := w.caller(tenant.System)
	w.pool("visitors")
	w.user("visitors", "bob")
	_, person := w.person(w.connect(tenant.Admin, "visitors"), "bob")
	app, err := w.clients.Clients.Create(ctx, client.Client{
		TenantID: "acme", WorkspaceID: "default", GrantTypes: []string{"client_credentials"}, Audience: []string{w.signin.APIAudience()},
	})
	w.ok(err)
	_, on := w.resource("admin")
	w.ok(w.roles.Grant(ctx, on, role.Client("acme", app.ClientID, app.Epoch), role.Admin)) // a role does not make it an API client
	return map[string]string{
		"nothing": "", "garbage": "x.y.z", rootAdmin: w.root, rootBackend: w.rootSystem,
		"other's administrator": w.theirs, "other's backend": w.theirsSys,
		"a member of the root tenant": w.rootRole(role.Member), "a root backend without scopes": w.rootClient(tenant.System),
		"a client without a role": roleless, "a client without scopes": scopeless, "a person without a role": person,
		"a regular workspace's client": w.token(app),
	}
}
