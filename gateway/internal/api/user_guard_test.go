package api_test

import (
	"fmt"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/role"
)

// Whoever manages users must not become, or remove, one who may do more.
func TestUsersWithRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	h.user("people", "bob")
	u, err := h.pools.Users.Get(t.Context(), "acme", "people", "ann")
	h.ok(err)
	name, on := h.resource("auditor")
	h.ok(h.roles.Grant(t.Context(), on, role.User("acme", "people", "ann", u.Epoch), name))
	manager := h.holder("user_manager@/people")

	for i, tc := range []struct {
		method, path, body string
		ann, bob           int
	}{
		{"POST", "/identifiers/add", `{"type":"uid","identifier":"%s-x"}`, 403, 200},
		{"POST", "/identifiers/add", `{"type":"federated","identifier":"%s","metadata":{"federated_idp_id":"mine"}}`, 403, 200},
		{"POST", "/addresses/add", `{"type":"email","address":"%s@attacker.example","verified":false}`, 403, 200},
		{"POST", "/addresses/update", `{"address":"%s@example.com","status":"active","verified":true}`, 403, 200},
		{"PUT", "", `{"status":"inactive"}`, 403, 200},
		{"PUT", "", `{"status":"deleted"}`, 403, 200},
		{"PUT", "", `{"status":"active","payload":{"given_name":"A","family_name":"B","name":"C"}}`, 200, 200},
		{"PUT", "", `{"business_metadata":{"a":1}}`, 200, 200},
		{"POST", "/addresses/remove", `{"address":"%s@example.com"}`, 403, 204},
		{"POST", "/identifiers/remove", `{"identifier":"%s@example.com"}`, 403, 204},
		{"GET", "", ``, 200, 200},
		{"DELETE", "", ``, 403, 204},
	} {
		for id, want := range map[string]int{"ann": tc.ann, "bob": tc.bob} {
			body := tc.body
			if tc.path != "" {
				body = fmt.Sprintf(tc.body, id)
			}
			if a := h.do(manager, tc.method, adminPath+"/pools/people/users/"+id+tc.path, body); a.status != want {
				t.Errorf("%d: %s %s: status %d, want %d: %s", i, a.what, body, a.status, want, a.body)
			}
		}
	}
	const ann = "/pools/people/users/ann"
	h.asAdmin("PUT", ann, `{"status":"inactive"}`).want(200)
	h.do(manager, "PUT", adminPath+ann, `{"status":"active"}`).refused(403, "") // blocked by who may do more
	h.asAdmin("PUT", ann, `{"status":"active"}`).want(200)
	h.asAdmin("POST", ann+"/identifiers/add", `{"type":"uid","identifier":"y"}`).want(200)
	h.asSystem("POST", ann+"/identifiers/add", `{"type":"uid","identifier":"z"}`).want(200) // a scope decides, no role
	h.asAdmin("DELETE", ann, nil).want(204)
}

// Whoever comes by the pool's IDP has its roles, so nobody who could not grant
// these lets somebody in.
func TestPoolWhoseIDPHasRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	by := h.connect("admin", "people")
	manager := h.holder("user_manager@/people")
	create := func(bearer, id string) *answer {
		return h.do(bearer, "POST", adminPath+"/pools/people/users", `{"id":"`+id+`","status":"active"}`)
	}
	add := func(bearer, id string) *answer {
		return h.do(bearer, "POST", adminPath+"/pools/people/users/ann/identifiers/add", `{"type":"uid","identifier":"`+id+`"}`)
	}
	create(manager, "a").want(201)
	add(manager, "a").want(200)
	name, on := h.resource("admin")
	h.ok(h.roles.Grant(t.Context(), on, role.IDP("acme", "admin", by.ID, by.Epoch), name))
	create(manager, "b").refused(403, "")
	add(manager, "b").refused(403, "")
	create(h.admin, "c").want(201)
	add(h.admin, "c").want(200)
	// One of those who come by it may: they have its roles themselves.
	_, bearer := h.person(by, "ann")
	create(bearer, "d").want(201)
}

// Metadata for administrators is not for managers of users.
func TestMetadataRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	const all, one = adminPath + "/pools/people/users", adminPath + "/pools/people/users/ann"
	h.asAdmin("PUT", "/pools/people/users/ann", `{"metadata":{"level":12345678901234567,"b":[]}}`).want(200)
	manager, auditor := h.holder("user_manager@/people"), h.holder("auditor")

	h.do(manager, "GET", one+"/metadata/admin", nil).want(200)
	h.do(manager, "PUT", one+"/metadata/admin", `{"metadata":{}}`).refused(403, "")
	h.do(manager, "PUT", one, `{"metadata":{}}`).refused(403, "")
	h.do(manager, "PUT", one, `{"metadata":{"level":12345678901234568,"b":[]}}`).refused(403, "")
	h.do(manager, "PUT", one, `{"metadata_schema_id":"default_payload"}`).refused(403, "")
	h.do(manager, "POST", all, `{"status":"new","metadata":{"level":9}}`).refused(403, "")
	// What is sent back as it was is no change.
	h.do(manager, "PUT", one, `{"metadata":{"b":[],"level":12345678901234567},"metadata_schema_id":"default_metadata","business_metadata":{}}`).want(200)
	h.do(manager, "POST", all, `{"status":"new","metadata":{},"metadata_schema_id":"default_metadata","business_metadata":{"a":1}}`).want(201)
	h.do(manager, "PUT", one+"/metadata/business", `{"metadata":{"a":1}}`).want(200)
	h.do(manager, "PUT", one, `{"business_metadata":{"a":2}}`).want(200)

	for path, want := range map[string]int{
		"GET ": 200, "GET /metadata/admin": 200, "GET /metadata/business": 200, "PUT ": 403, "DELETE ": 403, "PUT /metadata/admin": 403,
		"PUT /metadata/business": 403, "POST /identifiers/add": 403, "POST /identifiers/remove": 403, "POST /addresses/add": 403,
		"POST /addresses/update": 403, "POST /addresses/remove": 403,
	} {
		var method, rest string
		if _, err := fmt.Sscanf(path, "%s", &method); err != nil {
			t.Fatal(err)
		}
		rest = path[len(method)+1:]
		if a := h.do(auditor, method, one+rest, `{}`); a.status != want {
			t.Errorf("auditor: %s: status %d, want %d", a.what, a.status, want)
		}
	}
	h.do(auditor, "GET", all, nil).want(200)
	h.do(auditor, "POST", all, `{"status":"new"}`).refused(403, "")
}

// Every published operation succeeds once, as its line says.
func TestEveryIdentityOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.house
	const schema = `{"id":"s","name":"S","schema":{"type":"object"}}`
	for _, f := range []func(string, string, any, ...string) *answer{h.asAdmin, h.asSystem} {
		f("POST", "/schemas", schema).want(201)
		f("GET", "/schemas", nil).want(200)
		f("GET", "/schemas/s", nil).want(200)
		f("PUT", "/schemas/s", schema).want(200)
		f("POST", "/pools", `{"id":"p","name":"P"}`).want(201)
		f("GET", "/pools", nil).want(200)
		f("GET", "/pools/p", nil).want(200)
		f("PUT", "/pools/p", `{"name":"P"}`).want(200)
		f("GET", "/workspace/default/pools", nil).want(200)
		const users, user = "/pools/p/users", "/pools/p/users/u"
		f("POST", users, `{"id":"u","status":"new"}`).want(201)
		f("GET", users, nil).want(200)
		f("GET", user, nil).want(200)
		f("PUT", user, `{"status":"active"}`).want(200)
		f("POST", user+"/identifiers/add", `{"type":"uid","identifier":"i"}`).want(200)
		f("POST", user+"/identifiers/remove", `{"identifier":"i"}`).want(204)
		f("POST", user+"/addresses/add", `{"type":"email","address":"a@example.com","status":"active","verified":false}`).want(200)
		f("POST", user+"/addresses/update", `{"address":"a@example.com","status":"active","verified":true}`).want(200)
		h.asSystem("POST", users+"/by_key", `{"address":"a@example.com"}`).want(200)
		f("POST", user+"/addresses/remove", `{"address":"a@example.com"}`).want(204)
		h.asAdmin("PUT", user+"/metadata/admin", `{"metadata":{}}`).want(200)
		h.asAdmin("GET", user+"/metadata/business", nil).want(200)
		h.asAdmin("GET", "/pools/p/permissions", nil).want(200)
		h.asAdmin("GET", "/workspace/default/schemas", nil).want(200)
		h.asAdmin("GET", "/workspace/default/schemas/s", nil).want(200)
		f("POST", "/pools/p/groups", `{"id":"g","name":"G"}`).want(201)
		f("GET", "/pools/p/groups", nil).want(200)
		f("GET", "/pools/p/groups/g", nil).want(200)
		f("PUT", "/pools/p/groups/g", `{"name":"H"}`).want(200)
		f("PUT", "/pools/p/groups/g/users/u", nil).want(204)
		f("GET", "/pools/p/groups/g/users", nil).want(200)
		f("GET", user+"/groups", nil).want(200)
		f("GET", user+"/groups/g", nil).want(204)
		f("DELETE", "/pools/p/groups/g/users/u", nil).want(204)
		f("DELETE", "/pools/p/groups/g", nil).want(204)
		f("POST", users+"/import?run=r", `{"id":"imported"}`).want(200)
		f("GET", users+"/export", nil).want(200)
		f("DELETE", user, nil).want(204)
		f("DELETE", "/pools/p", nil).want(204)
		f("DELETE", "/schemas/s", nil).want(204)
	}
	h.asAdmin("POST", "/workspace/default/pools", `{"id":"p","name":"P"}`).want(201)
	h.asAdmin("GET", "/workspace/default/user/pools", nil).want(200)
	h.asAdmin("DELETE", "/workspace/default/pools/p", nil).want(204)
	for path, bearer := range map[string]string{"/api/identity/acme/configuration": h.system, "/api/identity/system/configuration": w.rootSystem} {
		h.do(bearer, "GET", path+"?tid=acme", nil).want(200)
		h.do(bearer, "PUT", path, `{}`).want(204)
		h.do(bearer, "PATCH", path+"?tid=acme", `[]`).want(204)
	}
	for _, p := range readTable(t) {
		if !h.seen[p.method+" "+p.path] {
			t.Errorf("%s was never seen to succeed", p.id)
		}
	}
}
