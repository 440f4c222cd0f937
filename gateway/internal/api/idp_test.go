package api_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func TestIDPLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.pool("staff")
	const all = "/servers/default/idps"
	made := w.acme("POST", all+"/identity_pool", `{"identity_pool_id":"people","method":"saml","tenant_id":"other","authorization_server_id":"admin",
		"client_id":"stolen","static_amr":["pwd"],"unknown":1}`).want(201)
	made.has("tenant_id", "acme", "authorization_server_id", "default", "method", "identity_pool", "name", "people",
		"client_id", "", "static_amr.0", "pwd", "hidden", false, "post_authn_app_id", nil, "version", 3.0)
	id := made.at("id").(string)
	one := all + "/identity_pool/" + id
	if d := cmp.Diff(made.json(), w.acme("GET", one, nil).want(200).json()); d != "" {
		t.Errorf("read is not what was created: %s", d)
	}
	// A pool has one IDP in a workspace, and may have another one elsewhere.
	w.acme("POST", all+"/identity_pool", `{"identity_pool_id":"people"}`).refused(422, "identity_pool_id")
	w.acme("POST", "/servers/admin/idps/identity_pool", `{"identity_pool_id":"people","name":"People"}`).want(201)
	second := w.acme("POST", all+"/identity_pool", `{"id":"staff","identity_pool_id":"staff","display_order":-1}`).want(201)
	if d := cmp.Diff([]string{"staff", id}, w.acme("GET", all, nil).want(200).ids("idps")); d != "" {
		t.Error(d)
	}
	if n := len(w.acme("GET", "/pools/people/idps", nil).want(200).ids("idps")); n != 2 {
		t.Errorf("%d IDPs of the pool, want those of both workspaces", n)
	}
	put := w.acme("PUT", one, `{"id":"other","name":"All people","hidden":true}`).want(200)
	put.has("id", id, "name", "All people", "hidden", true, "identity_pool_id", "people")
	if n := len(put.json()["static_amr"].([]any)); n != 0 {
		t.Error("an update is a replacement: static_amr stayed")
	}
	w.acme("PUT", one, `{"identity_pool_id":"staff"}`).refused(422, "identity_pool_id")
	w.acme("DELETE", all+"/"+id, nil).want(204)
	w.acme("GET", one, nil).refused(404, "")
	w.acme("DELETE", all+"/"+id, nil).refused(404, "")
	w.acme("GET", all+"/identity_pool/"+second.at("id").(string), nil).want(200)
}

func TestIDPRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no pool", "POST", "/servers/default/idps/identity_pool", `{}`, 422, "identity_pool_id"},
		{"unknown pool", "POST", "/servers/default/idps/identity_pool", `{"identity_pool_id":"none"}`, 422, "identity_pool_id"},
		{"unknown workspace", "POST", "/servers/none/idps/identity_pool", `{"identity_pool_id":"people"}`, 404, ""},
		{"wrong type", "POST", "/servers/default/idps/identity_pool", `{"hidden":"no"}`, 400, "hidden"},
		{"wrong domain", "POST", "/servers/default/idps/identity_pool", `{"identity_pool_id":"people","discovery_settings":{"domains":["a b"]}}`, 422, "discovery_settings.domains[0]"},
		{"broken", "POST", "/servers/default/idps/identity_pool", `[`, 400, ""},
		{"unknown IDP", "GET", "/servers/default/idps/identity_pool/none", ``, 404, ""},
		{"update of nothing", "PUT", "/servers/default/idps/identity_pool/none", `{}`, 404, ""},
		{"list of an unknown workspace", "GET", "/servers/none/idps", ``, 404, ""},
		{"list of an unknown pool", "GET", "/pools/none/idps", ``, 404, ""},
	} {
		a := w.acme(c.method, c.path, c.body)
		a.what = c.name
		a.refused(c.status, c.field)
	}
}

// Deleting an IDP ends what people signed in to by it, there and nowhere else.
func TestDeletedIDPEndsItsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.pool("staff")
	w.user("people", "ann")
	w.user("staff", "bob")
	people, staff := w.connect(tenant.Admin, "people"), w.connect(tenant.Admin, "staff")
	annOn, ann := w.person(people, "ann")
	bobOn, bob := w.person(staff, "bob")
	w.pass()
	w.acme("DELETE", "/servers/admin/idps/"+people.ID, nil).want(204)
	if w.signsIn(ann) {
		t.Error("an access token outlived its IDP")
	}
	if _, err := w.sessions.ByID(t.Context(), "acme", annOn.ID); err == nil {
		t.Error("a session outlived its IDP")
	}
	if !w.signsIn(bob) {
		t.Error("a token of another IDP ended as well")
	}
	if _, err := w.sessions.ByID(t.Context(), "acme", bobOn.ID); err != nil {
		t.Errorf("a session of another IDP ended as well: %v", err)
	}
	// Made again under its old id it revives nothing.
	w.pass()
	w.acme("POST", "/servers/admin/idps/identity_pool", `{"id":"`+people.ID+`","identity_pool_id":"people"}`).want(201)
	if w.signsIn(ann) {
		t.Error("a new IDP revived an old token")
	}
	if _, again := w.person(idp.IDP{ID: people.ID, IdentityPoolID: "people"}, "ann"); !w.signsIn(again) {
		t.Error("nobody can sign in by the new IDP")
	}
}

// The revocation comes before the deletion: one that stops half-way leaves
// nobody signed in.
func TestHalfDeletedIDP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	_, ann := w.person(by, "ann")
	w.pass()
	w.faulty.Fail(storetest.OpDelete, "idps", 1, nil)
	w.acme("DELETE", "/servers/admin/idps/"+by.ID, nil).refused(503, "")
	if w.signsIn(ann) {
		t.Error("an access token outlived the attempt")
	}
	w.acme("DELETE", "/servers/admin/idps/"+by.ID, nil).want(204)
}

func TestOwnIDPCannotBeDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	_, ann := w.person(by, "ann")
	w.acme("POST", "/tenant/roles/grant", `{"type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"ann","role":"admin"}`).want(204)
	w.do(ann, "DELETE", "/api/admin/acme/servers/admin/idps/"+by.ID, nil).refused(422, "")
	if !w.signsIn(ann) {
		t.Error("the refusal ended the caller's token")
	}
	elsewhere := w.connect("default", "people")
	w.do(ann, "DELETE", "/api/admin/acme/servers/default/idps/"+elsewhere.ID, nil).want(204)
}

// Whoever decides what an IDP says of people decides who they are.
func TestIDPThatCarriesRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	by := w.connect(tenant.Admin, "people")
	at := "/servers/admin/idps/identity_pool/" + by.ID
	manager := w.holder("manager@admin")
	w.do(manager, "PUT", "/api/admin/acme"+at, `{"name":"x"}`).want(200)
	w.acme("POST", "/tenant/roles/grant", `{"type":"idp","workspace_id":"admin","idp_id":"`+by.ID+`","role":"auditor"}`).want(204)
	w.do(manager, "PUT", "/api/admin/acme"+at, `{"name":"x"}`).refused(403, "")
	w.acme("PUT", at, `{"name":"y"}`).want(200)
	w.do(w.holder("auditor@admin"), "GET", "/api/admin/acme"+at, nil).want(200)
	w.do(w.holder("auditor@admin"), "PUT", "/api/admin/acme"+at, `{}`).refused(403, "")
}

// A workspace's manager cannot connect a pool that they may not see: its users
// would become known to the workspace. Nor do they learn that it exists.
func TestForeignPoolCannotBeConnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("staff")
	w.pool("shoppers", `,"workspace_id":"default"`)
	manager := w.holder("manager@default")
	try := func(pool string) *answer {
		return w.do(manager, "POST", "/api/admin/acme/servers/default/idps/identity_pool", fmt.Sprintf(`{"identity_pool_id":%q}`, pool))
	}
	foreign, none := try("staff"), try("none")
	foreign.refused(422, "identity_pool_id")
	none.refused(422, "identity_pool_id")
	if d := cmp.Diff(none.at("error"), foreign.at("error")); d != "" {
		t.Errorf("the two can be told apart: %s", d)
	}
	try("shoppers").want(201)
	w.connect("admin", "shoppers")
	got := w.do(manager, "GET", "/api/admin/acme/pools/shoppers/idps", nil).want(200)
	if n := len(got.ids("idps")); n != 1 {
		t.Errorf("%d IDPs, want that of the manager's own workspace: %s", n, got.body)
	}
}
