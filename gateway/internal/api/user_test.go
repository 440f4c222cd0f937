package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/role"
)

const goodPayload = `"payload":{"given_name":"A","family_name":"B","name":"A B"}`

func TestUser(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people", `,"identifier_case_insensitive":true`)
		const all = "/pools/people/users"
		// The minimal body of the React sample, labelled as what it is not.
		made := do("POST", all, `{"status":"active","identifiers":[{"identifier":"Ann@Example.com","type":"email"}],
			"credentials":[{"type":"password","password":"correct horse battery"}],`+goodPayload+`,"login_id":"x","tenant_id":"other"}`,
			"Content-Type", "application/x-www-form-urlencoded").want(201).has(
			"tenant_id", "acme", "user_pool_id", "people", "status", "active", "payload.name", "A B", "payload_schema_id", "default_payload",
			"metadata", map[string]any{}, "metadata_schema_id", "default_metadata", "identifiers.0.identifier_lc", "ann@example.com",
			"identifiers.0.type", "email", "credentials.0.type", "password", "credentials.0.state", "valid",
			"credentials.0.payload", map[string]any{"hashed_password": "###"}, "verifiable_addresses", []any{})
		if strings.Contains(string(made.body), "correct horse") || strings.Contains(string(made.body), "argon2") {
			t.Errorf("the password is told: %s", made.body)
		}
		one := all + "/" + made.at("id").(string)
		if got := do("GET", one, nil).want(200); string(got.body) != string(made.body) || got.tag() != made.tag() {
			t.Errorf("read %s %s, created %s %s", got.tag(), got.body, made.tag(), made.body)
		}

		// Absent members stay, present ones are replaced as a whole.
		do("PUT", one, `{"metadata":{"a":{"b":1},"c":2}}`).want(200).has("payload.name", "A B", "metadata.a.b", 1.0)
		next := do("PUT", one, `{"metadata":{"a":{"d":3}},"payload":null}`).want(200).has("payload.name", "A B", "metadata", map[string]any{"a": map[string]any{"d": 3.0}})
		do("PUT", one, `{"status":"inactive"}`, "If-Match", made.tag()).refused(412, "")
		do("DELETE", one, nil, "If-Match", made.tag()).refused(412, "")
		do("PUT", one, `{"status":"inactive"}`, "If-Match", next.tag()).want(200).has("status", "inactive", "metadata.a.d", 3.0)
		do("PUT", one, `{"metadata_schema_id":"nowhere"}`).refused(422, "metadata_schema_id")

		do("GET", one, nil, "If-Match", `"99999999-0"`).refused(412, "")

		do("DELETE", one, nil, "If-Match", do("GET", one, nil).tag()).want(204)
		do("GET", one, nil).refused(404, "")
		do("PUT", one, `{}`).refused(404, "")
		do("DELETE", one, nil).refused(404, "")
	})
}

func TestUserWithEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.asAdmin("POST", "/schemas", `{"id":"plan","name":"Plan","schema":{"type":"object","properties":{"plan":{"type":"string"}}}}`).want(201)
	h.pool("people", `,"business_metadata_schema_id":"plan"`)
	h.asSystem("POST", "/pools/people/users", `{"id":"u","status":"new","user_type":"jit","payload_schema_id":"default_payload",`+goodPayload+`,
		"metadata":{"n":12345678901234567890},"business_metadata":{"plan":"gold"},
		"identifiers":[{"identifier":"u-1","type":"uid"},{"identifier":"x","type":"federated","metadata":{"federated_idp_id":"g"}}],
		"verifiable_addresses":[{"address":"+4915112345678","type":"mobile","status":"active","verified":false,"preferred_contact_method":"sms"}],
		"credentials":[{"type":"password","password":"a long enough password","must_be_reset":true,"must_be_changed":true},
			{"type":"totp","totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}]}`).want(201).has(
		"id", "u", "status", "new", "user_type", "jit", "business_metadata_schema_id", "plan", "business_metadata.plan", "gold",
		"identifiers.1.metadata.federated_idp_id", "g", "verifiable_addresses.0.verified", false,
		"verifiable_addresses.0.preferred_contact_method", "sms", "credentials.0.state", "must_be_reset", "credentials.1.type", "totp")
	if a := h.asAdmin("GET", "/pools/people/users/u", nil).want(200); !strings.Contains(string(a.body), "12345678901234567890") {
		t.Errorf("a number was changed: %s", a.body)
	}
	h.asAdmin("GET", "/pools/people", nil).has("number_of_users", 1.0, "number_of_jit_users", 1.0)
	h.asAdmin("GET", "/pools/people/users", nil).want(200).has(
		"users.0.identifiers", []any{"u-1", "x"}, "users.0.verified addresses", []any{},
		"users.0.identifiers_with_details.0", map[string]any{"type": "uid", "value": "u-1"},
		"users.0.addresses.0", map[string]any{"address": "+4915112345678", "verified": false})
}

func TestUserRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.pool("empty")
	h.user("people", "ann")
	h.do(h.other, "POST", "/api/identity/other/admin/pools", `{"id":"theirs","name":"theirs"}`).want(201)
	const all, one = "/pools/people/users", "/pools/people/users/ann"
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no JSON", "POST", all, `{"status":`, 400, ""},
		{"a list", "POST", all, `[]`, 400, ""},
		{"wrong type", "POST", all, `{"status":1}`, 400, "status"},
		{"wrong type in a list", "POST", all, `{"status":"new","identifiers":[{"identifier":"a","type":"uid"},{"identifier":7}]}`, 400, "identifiers[1].identifier"},
		{"list for an object", "POST", all, `{"status":"new","payload":[]}`, 422, "payload"},
		{"no status", "POST", all, `{}`, 422, "status"},
		{"bad status", "POST", all, `{"status":"gone"}`, 422, "status"},
		{"bad id", "POST", all, `{"id":"a/b","status":"new"}`, 422, "id"},
		{"reserved id", "POST", all, `{"id":"by_key","status":"new"}`, 422, "id"},
		{"bad identifier type", "POST", all, `{"status":"new","identifiers":[{"identifier":"a","type":"name"}]}`, 422, "identifiers[0].type"},
		{"bad e-mail", "POST", all, `{"status":"new","identifiers":[{"identifier":"a","type":"email"}]}`, 422, "identifiers[0].identifier"},
		{"bad address", "POST", all, `{"status":"new","verifiable_addresses":[{"address":"12","type":"mobile","status":"active","verified":true}]}`, 422, "verifiable_addresses[0].address"},
		{"breaks its schema", "POST", all, `{"status":"new","payload":{"given_name":"A","family_name":7,"name":"A"}}`, 422, "payload.family_name"},
		{"misses what its schema requires", "POST", all, `{"status":"new","payload":{"given_name":"A","family_name":"B"}}`, 422, "payload.name"},
		{"breaks its schema by an update", "PUT", one, `{"payload":{"given_name":"A","family_name":"B","name":"A","address":{"country":7}}}`, 422, "payload.address.country"},
		{"no schema", "POST", all, `{"status":"new","business_metadata_schema_id":"nowhere"}`, 422, "business_metadata_schema_id"},
		{"short password", "POST", all, `{"status":"new","credentials":[{"type":"password","password":"short"}]}`, 422, "credentials[0].password"},
		{"weak password", "POST", all, `{"status":"new","credentials":[{"type":"password","password":"passwordpassword"}]}`, 422, "credentials[0].password"},
		{"bad credential", "POST", all, `{"status":"new","credentials":[{"type":"key"}]}`, 422, "credentials[0].type"},
		{"bad secret", "POST", all, `{"status":"new","credentials":[{"type":"totp","totp_secret":"!"}]}`, 422, "credentials[0].totp_secret"},
		{"id taken", "POST", all, `{"id":"ann","status":"new"}`, 409, "id"},
		{"identifier taken", "POST", all, `{"status":"new","identifiers":[{"type":"uid","identifier":"u"},{"type":"email","identifier":"ann@example.com"}]}`, 409, "identifiers[1].identifier"},
		{"address taken", "POST", all, `{"status":"new","verifiable_addresses":[{"type":"email","address":"ann@example.com","status":"active","verified":true}]}`, 409, "verifiable_addresses[0].address"},
		{"too large", "POST", all, `{"status":"` + strings.Repeat("x", bodyLimit) + `"}`, 413, ""},
		{"bad status by an update", "PUT", one, `{"status":"gone"}`, 422, "status"},
		{"wrong type by an update", "PUT", one, `{"payload_schema_id":{}}`, 400, "payload_schema_id"},
		{"unknown user", "GET", all + "/bob", ``, 404, ""},
		{"user of another pool", "GET", "/pools/empty/users/ann", ``, 404, ""},
		{"unknown pool", "POST", "/pools/nowhere/users", `{"status":"new"}`, 404, ""},
		{"another tenant's pool", "GET", "/pools/theirs/users", ``, 404, ""},
		{"another tenant's pool, new user", "POST", "/pools/theirs/users", `{"status":"new"}`, 404, ""},

		{"identifier of another", "POST", one + "/identifiers/add", `{"type":"email","identifier":"ann@example.com"}`, 409, "identifier"},
		{"identifier of no type", "POST", one + "/identifiers/add", `{"identifier":"a"}`, 422, "type"},
		{"no identifier", "POST", one + "/identifiers/add", `{"type":"uid"}`, 422, "identifier"},
		{"no such identifier", "POST", one + "/identifiers/remove", `{"identifier":"nobody"}`, 404, "identifier"},
		{"identifier of a wrong type", "POST", one + "/identifiers/remove", `{"identifier":["a"]}`, 400, "identifier"},
		{"identifier of nobody", "POST", all + "/bob/identifiers/add", `{"type":"uid","identifier":"b"}`, 404, ""},
		{"address there", "POST", one + "/addresses/add", `{"type":"email","address":"ann@example.com","verified":false}`, 409, "address"},
		{"address of a bad type", "POST", one + "/addresses/add", `{"type":"uid","address":"a","verified":false}`, 422, "type"},
		{"address of a bad method", "POST", one + "/addresses/add", `{"type":"mobile","address":"+4915112345678","preferred_contact_method":"smoke","verified":false}`, 422, "preferred_contact_method"},
		{"no status of an address", "POST", one + "/addresses/update", `{"address":"ann@example.com","verified":true}`, 422, "status"},
		{"no such address", "POST", one + "/addresses/update", `{"address":"x@example.com","status":"active","verified":true}`, 404, "address"},
		{"verified as a text", "POST", one + "/addresses/update", `{"address":"ann@example.com","status":"active","verified":"yes"}`, 400, "verified"},
		{"no such address to remove", "POST", one + "/addresses/remove", `{"address":"x@example.com"}`, 404, "address"},
		{"removal without a body", "POST", one + "/addresses/remove", ``, 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h.asAdmin(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
			h.asSystem(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
		})
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		h.pool("others")
		for i := range 5 {
			do("POST", "/pools/people/users", fmt.Sprintf(`{"id":"u%d","status":"new","identifiers":[{"type":"uid","identifier":"n%d"}],
				"verifiable_addresses":[{"type":"email","address":"v%d@example.com","status":"active","verified":%v}],
				"payload":{"given_name":"G%d","family_name":"F","name":"N"},"metadata":{"tags":["t%d","all"],"odd":%v}}`,
				i, 9-i, i, i%2 == 0, i, i, i%2 == 1)).want(201)
		}
		do("POST", "/pools/others/users", `{"id":"u9","status":"new"}`).want(201)
		find := func(text string) string { return query("query", text) }
		for q, want := range map[string][]string{
			"":                                       {"u0", "u1", "u2", "u3", "u4"},
			"?order=desc":                            {"u4", "u3", "u2", "u1", "u0"},
			"?limit=2":                               {"u0", "u1"},
			"?after_user_id=u1&limit=2&order=asc":    {"u2", "u3"},
			"?before_user_id=u3&limit=2":             {"u1", "u2"},
			"?before_user_id=u1&order=desc&limit=2":  {"u3", "u2"},
			"?after_user_id=u2&order=desc&limit=100": {"u1", "u0"},
			"?after_user_id=u15&sort=id":             {"u2", "u3", "u4"}, // not there (any more)
			find(`{"user_key":"n8"}`):                {"u1"},
			find(`{"user_key":"u3"}`):                {"u3"},
			find(`{"user_key":"v0@"}`):               {"u0"},
			find(`{"user_key":"v1@"}`):               {}, // not verified
			find(`{"user_key":"@example.com"}`):      {"u0", "u2", "u4"},
			find(`{"payload":{"given_name":"G2"}}`):  {"u2"},
			find(`{"metadata":{"tags":"t4"}}`):       {"u4"},
			find(`{"metadata":{"odd":true},"payload":{"given_name":"G1"}}`):      {"u1"},
			find(`{"metadata":{"tags":["all"]},"user_key":"n"}`) + "&limit=2":    {"u0", "u1"},
			find(`{"metadata":{"odd":true}}`) + "&after_user_id=u1":              {"u3"},
			find(`{"metadata":{"odd":false}}`) + "&order=desc&before_user_id=u0": {"u4", "u2"},
			find(`{"metadata":{"none":1}}`):                                      {},
			find(``):                                                             {"u0", "u1", "u2", "u3", "u4"},
		} {
			if d := cmp.Diff(want, do("GET", "/pools/people/users"+q, nil).want(200).ids("users")); d != "" {
				t.Errorf("%s: %s", q, d)
			}
		}
		for q, field := range map[string]string{
			"?limit=0": "limit", "?limit=101": "limit", "?limit=1.5": "limit", "?order=sideways": "order", "?sort=name": "sort",
			"?after_user_id=u1&before_user_id=u2": "before_user_id", find(`{`): "query", find(`[]`): "query", find(`"a"`): "query",
		} {
			do("GET", "/pools/people/users"+q, nil).refused(400, field)
		}
		for _, text := range []string{`{"name":"a"}`, `{"user_key":7}`, `{"payload":"x"}`} {
			do("GET", "/pools/people/users"+find(text), nil).refused(422, "query")
		}
		do("GET", "/pools/nowhere/users", nil).refused(404, "")
	})
}

func TestUserNames(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		h.user("people", "ann")
		h.user("people", "bob")
		const ann, bob = "/pools/people/users/ann", "/pools/people/users/bob"

		added := do("POST", ann+"/identifiers/add", `{"identifier":"ann1","type":"uid","metadata":{"a":1},"x":1}`).want(200).has(
			"identifier", "ann1", "identifier_lc", "ann1", "type", "uid", "metadata.a", 1.0, "user_id", "ann", "user_pool_id", "people", "tenant_id", "acme")
		do("GET", ann, nil, "If-Match", added.tag()).want(200).has("identifiers.1.identifier", "ann1")
		do("PUT", ann, `{"metadata":{}}`, "If-Match", added.tag()).want(200)
		do("POST", bob+"/identifiers/add", `{"identifier":"ann1","type":"uid"}`).refused(409, "identifier")
		do("POST", ann+"/identifiers/remove", `{"identifier":"ann1"}`).want(204)
		do("POST", bob+"/identifiers/add", `{"identifier":"ann1","type":"uid"}`).want(200)

		// An address that is not verified may be listed by several.
		for _, one := range []string{ann, bob} {
			do("POST", one+"/addresses/add", `{"address":"desk@example.com","type":"email","status":"active","verified":false}`).want(200).has(
				"address", "desk@example.com", "address_lc", "desk@example.com", "verified", false, "status", "active")
		}
		a := do("POST", ann+"/addresses/update", `{"address":"desk@example.com","status":"inactive","verified":true,"metadata":{"m":1}}`).want(200).has(
			"verified", true, "status", "inactive", "metadata.m", 1.0)
		if a.json()["verified_at"] == nil {
			t.Errorf("no verified_at: %s", a.body)
		}
		do("POST", bob+"/addresses/update", `{"address":"desk@example.com","status":"active","verified":true}`).refused(409, "address")
		do("POST", bob+"/addresses/add", `{"address":"ann@example.com","type":"email","verified":true}`).refused(409, "address")
		do("POST", ann+"/addresses/remove", `{"address":"desk@example.com"}`).want(204)
		do("POST", bob+"/addresses/update", `{"address":"desk@example.com","status":"active","verified":true}`).want(200)
	})
}

func TestGetUserByKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	const at = "/pools/people/users/by_key"
	h.asSystem("POST", at, `{"identifier":"ann@example.com"}`).want(200).has("id", "ann")
	h.asSystem("POST", at, `{"address":"ann@example.com"}`).want(200).has("id", "ann")
	h.asSystem("POST", at, `{"address":"bob@example.com"}`).refused(404, "")
	h.asSystem("POST", at, `{"identifier":"bob@example.com"}`).refused(404, "")
	h.asSystem("POST", at, `{}`).refused(422, "")
	h.asSystem("POST", at, `{"identifier":"a","address":"b"}`).refused(422, "")
	h.asSystem("POST", at, `{"identifier":7}`).refused(400, "identifier")
	h.asSystem("POST", "/pools/nowhere/users/by_key", `{"identifier":"a"}`).refused(404, "")
	h.asAdmin("POST", at, `{"identifier":"ann@example.com"}`).refused(404, "")
}

func TestUserMetadata(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.asAdmin("POST", "/schemas", `{"id":"plan","name":"Plan","schema":{"type":"object","properties":{"plan":{"type":"string"}}}}`).want(201)
	h.pool("people", `,"business_metadata_schema_id":"plan"`)
	h.user("people", "ann")
	const at = "/pools/people/users/ann/metadata"
	first := h.asAdmin("GET", at+"/business", nil).want(200).has("metadata", map[string]any{}, "schema_id", "plan")
	h.asAdmin("PUT", at+"/business", `{"metadata":{"plan":"gold","x":{"y":1}}}`, "If-Match", first.tag()).want(200).has("metadata.plan", "gold", "schema_id", "plan")
	h.asAdmin("PUT", at+"/business", `{"metadata":{"plan":"lead"}}`, "If-Match", first.tag()).refused(412, "")
	h.asAdmin("PUT", at+"/business", `{"metadata":{"z":1}}`).want(200).has("metadata", map[string]any{"z": 1.0})
	h.asAdmin("PUT", at+"/admin", `{"metadata":{"a":1}}`).want(200).has("metadata.a", 1.0, "schema_id", "default_metadata")
	h.asAdmin("GET", "/pools/people/users/ann", nil).has("metadata", map[string]any{"a": 1.0}, "business_metadata", map[string]any{"z": 1.0})

	h.asAdmin("PUT", at+"/business", `{"metadata":{"plan":7}}`).refused(422, "metadata.plan")
	h.asAdmin("PUT", at+"/business", `{"metadata":[]}`).refused(422, "metadata")
	h.asAdmin("PUT", at+"/admin", `{}`).refused(422, "metadata")
	h.asAdmin("PUT", at+"/admin", `{"metadata"}`).refused(400, "")
	h.asAdmin("GET", at+"/other", nil).refused(404, "")
	h.asAdmin("PUT", at+"/other", `{"metadata":{}}`).refused(404, "")
	h.asAdmin("GET", "/pools/people/users/bob/metadata/admin", nil).refused(404, "")
}

// A repetition within a minute is answered like the first request, and done once.
func TestIdentityIdempotency(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		const all = "/pools/people/users"
		key := []string{"X-Idempotency-Key", strings.Repeat("k", 32)}
		first := do("POST", all, `{"status":"new"}`, key...).want(201)
		again := do("POST", all, `{"status":"new"}`, key...).want(201)
		if string(first.body) != string(again.body) || first.tag() != again.tag() || again.header.Get("X-Idempotent-Replayed") != "true" {
			t.Errorf("first %s, again %s %v", first.body, again.body, again.header)
		}
		do("POST", all, `{"status":"active"}`, key...).refused(422, "X-Idempotency-Key")
		do("POST", all, `{"status":"new"}`, "X-Idempotency-Key", "short").refused(400, "X-Idempotency-Key")
		do("GET", all, nil).has("users.0.id", first.at("id"))
		if n := len(do("GET", all, nil).ids("users")); n != 1 {
			t.Errorf("%d users", n)
		}
		one := all + "/" + first.at("id").(string)
		do("POST", one+"/identifiers/add", `{"type":"uid","identifier":"a"}`).want(200)
		do("POST", one+"/identifiers/remove", `{"identifier":"a"}`, key...).want(204)
		do("POST", one+"/identifiers/remove", `{"identifier":"a"}`, key...).want(204)
		do("POST", one+"/identifiers/remove", `{"identifier":"a"}`).refused(404, "identifier")
		do("POST", "/pools", `{"id":"people","name":"x"}`, key...).refused(409, "id")
		if a := do("POST", "/pools", `{"id":"people","name":"x"}`, key...).refused(409, "id"); a.header.Get("X-Idempotent-Replayed") != "true" {
			t.Error("the refusal was not replayed")
		}
		h.clock.Advance(61 * time.Second)
		do("POST", all, `{"status":"new"}`, key...).want(201)
		if n := len(do("GET", all, nil).ids("users")); n != 2 {
			t.Errorf("%d users", n)
		}
	})
}

// What ends a user ends what they have signed in to, records included.
func TestUserEndsSessions(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		by := h.connect("admin", "people")
		name, at := h.resource("auditor")
		h.user("people", "bystander")
		other, _ := h.person(by, "bystander")
		for i, tc := range []struct {
			method, body string
			status       int
			ends         bool
		}{
			{"DELETE", ``, 204, true},
			{"PUT", `{"status":"inactive"}`, 200, true},
			{"PUT", `{"status":"deleted"}`, 200, true},
			{"PUT", `{"status":"new"}`, 200, true},
			{"PUT", `{"status":"active"}`, 200, false},
			{"PUT", `{"metadata":{"a":1}}`, 200, false},
			{"PUT", `{"status":"inactive","payload":{}}`, 422, false}, // refused
		} {
			id := fmt.Sprintf("u%d", i)
			h.user("people", id)
			on, bearer := h.person(by, id)
			who := role.User("acme", "people", id, on.UserEpoch)
			h.ok(h.roles.Grant(t.Context(), at, who, name))
			h.do(bearer, "GET", adminPath+"/pools/people", nil).want(200)

			did := do(tc.method, "/pools/people/users/"+id, tc.body).want(tc.status)
			if n := h.kept("sessions", `"user":"`+id+`"`); (n == 0) != tc.ends {
				t.Errorf("%s %s: %d sessions", did.what, tc.body, n)
			}
			if a := h.do(bearer, "GET", adminPath+"/pools/people", nil); (a.status == 401) != tc.ends {
				t.Errorf("%s %s: the token gives %d", did.what, tc.body, a.status)
			}
			held, err := h.roles.Held(t.Context(), who)
			h.ok(err)
			if (len(held) == 0) != (tc.method == "DELETE") {
				t.Errorf("%s: roles %v", did.what, held)
			}
		}
		if _, err := h.sessions.ByID(t.Context(), "acme", other.ID); err != nil {
			t.Errorf("somebody else's session: %v", err)
		}
	})
}
