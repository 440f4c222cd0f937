package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// families runs a test for both callers.
func families(t *testing.T, test func(t *testing.T, h *house, do func(method, path string, payload any, header ...string) *answer)) {
	t.Helper()
	t.Run("admin", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		test(t, h, h.asAdmin)
	})
	t.Run("system", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		test(t, h, h.asSystem)
	})
}

func TestPool(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, _ *house, do func(string, string, any, ...string) *answer) {
		// A minimal body; unknown members and those of the path are ignored.
		made := do("POST", "/pools", `{"name":"Our People","tenant_id":"other","number_of_users":7,"nonsense":{"a":[1]}}`).want(201).has(
			"id", "our-people", "tenant_id", "acme", "name", "Our People", "payload_schema_id", "default_payload",
			"metadata_schema_id", "default_metadata", "authentication_mechanisms", []any{"password"}, "mfa_session_ttl", "0s",
			"password_settings.hashing_method", "argon2", "otp_settings.activation.ttl", "1h0m0s", "number_of_users", 0.0)
		if got := do("GET", "/pools/our-people", nil).want(200); string(got.body) != string(made.body) || got.tag() != made.tag() {
			t.Errorf("read %s %s, created %s %s", got.tag(), got.body, made.tag(), made.body)
		}

		// An update replaces the settings as a whole.
		first := made.tag()
		changed := do("PUT", "/pools/our-people", `{"id":"elsewhere","tenant_id":"other","name":"People","description":"d","metadata":{"a":1.50},
			"password_policy":{"min_length":12,"strength":"strong"},"badge_color":"#fff"}`, "If-Match", first).want(200).has(
			"id", "our-people", "tenant_id", "acme", "name", "People", "description", "d", "password_policy.min_length", 12.0)
		if !strings.Contains(string(changed.body), `"metadata":{"a":1.50}`) {
			t.Errorf("free-form JSON was changed: %s", changed.body)
		}
		again := do("PUT", "/pools/our-people", `{"name":"People"}`, "If-Match", changed.tag()).want(200).has(
			"description", "", "badge_color", "", "password_policy.min_length", 10.0)
		if _, ok := again.json()["metadata"]; ok {
			t.Errorf("metadata stayed: %s", again.body)
		}

		for name, a := range map[string]*answer{
			"update":        do("PUT", "/pools/our-people", `{"name":"People"}`, "If-Match", first),
			"deletion":      do("DELETE", "/pools/our-people", nil, "If-Match", first),
			"not our tag":   do("PUT", "/pools/our-people", `{"name":"People"}`, "If-Match", `"abc"`),
			"not yet":       do("GET", "/pools/our-people", nil, "If-Match", `"999999999-1"`),
			"not yet, list": do("GET", "/pools", nil, "If-Match", `"999999999-1"`),
			"not yet, POST": do("POST", "/pools", `{"name":"n"}`, "If-Match", `"999999999-1"`),
		} {
			t.Log(name)
			a.refused(412, "")
		}
		do("GET", "/pools/our-people", nil, "If-Match", first).want(200) // a read only waits
		do("PUT", "/pools/our-people", `{"name":"People"}`, "If-Match", "*").want(200)

		do("DELETE", "/pools/our-people", nil, "If-Match", do("GET", "/pools/our-people", nil).tag()).want(204)
		do("GET", "/pools/our-people", nil).refused(404, "")
		do("DELETE", "/pools/our-people", nil).refused(404, "")
		do("PUT", "/pools/our-people", `{"name":"x"}`).refused(404, "")
	})
}

func TestPoolRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.pool("others")
	h.do(h.other, "POST", "/api/identity/other/admin/pools", `{"id":"theirs","name":"theirs"}`).want(201)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no JSON", "POST", "/pools", `{"name":`, 400, ""},
		{"no body", "POST", "/pools", ``, 400, ""},
		{"no object", "POST", "/pools", `["name"]`, 400, ""},
		{"wrong type", "POST", "/pools", `{"name":7}`, 400, "name"},
		{"wrong inner type", "POST", "/pools", `{"name":"a","password_policy":{"min_length":"many"}}`, 400, "password_policy.min_length"},
		{"no duration", "POST", "/pools", `{"name":"a","otp_settings":{"activation":{"ttl":"soon"}}}`, 400, "otp_settings.activation.ttl"},
		{"wrong type in a list", "POST", "/pools", `{"name":"a","authentication_mechanisms":["otp",1]}`, 400, "authentication_mechanisms[1]"},
		{"no name", "POST", "/pools", `{}`, 422, "name"},
		{"bad name", "POST", "/pools", `{"name":"<b>"}`, 422, "name"},
		{"bad id", "POST", "/pools", `{"name":"a","id":"../a"}`, 422, "id"},
		{"bad mechanism", "POST", "/pools", `{"name":"a","authentication_mechanisms":["magic"]}`, 422, "authentication_mechanisms[0]"},
		{"bad method", "PUT", "/pools/people", `{"name":"a","password_settings":{"hashing_method":"md5"}}`, 422, "password_settings.hashing_method"},
		{"bad strength", "PUT", "/pools/people", `{"name":"a","password_policy":{"strength":"iron"}}`, 422, "password_policy.strength"},
		{"unknown schema", "POST", "/pools", `{"name":"a","payload_schema_id":"nowhere"}`, 422, "payload_schema_id"},
		{"unknown workspace", "POST", "/pools", `{"name":"a","workspace_id":"nowhere"}`, 422, "workspace_id"},
		{"name taken", "POST", "/pools", `{"name":"People"}`, 409, "name"},
		{"name taken by an update", "PUT", "/pools/people", `{"name":"others"}`, 409, "name"},
		{"id taken", "POST", "/pools", `{"name":"a","id":"people"}`, 409, "id"},
		{"too large", "POST", "/pools", `{"name":"a","description":"` + strings.Repeat("x", bodyLimit) + `"}`, 413, ""},
		{"unknown id", "GET", "/pools/nobody", ``, 404, ""},
		{"id with an escape", "GET", "/pools/people%20", ``, 404, ""},
		{"another tenant's", "GET", "/pools/theirs", ``, 404, ""},
		{"another tenant's, update", "PUT", "/pools/theirs", `{"name":"mine"}`, 404, ""},
		{"another tenant's, deletion", "DELETE", "/pools/theirs", ``, 404, ""},
		{"bad with_idp", "DELETE", "/pools/people?with_idp=maybe", ``, 400, "with_idp"},
		{"unknown operation", "POST", "/pools/people/explode", `{}`, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h.asAdmin(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
			h.asSystem(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
		})
	}
}

// Who calls: the token of another tenant, family or audience is none.
func TestIdentityCallers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	_, noRole := h.caller("admin")
	_, noScope := h.caller("system", "view_clients")
	_, app := h.caller("default")
	for _, p := range h.table {
		path := p.path
		for name, v := range map[string]string{"tid": "acme", "ipID": "people", "userID": "u", "schID": "s", "wid": "default", "metadataType": "admin", "groupID": "g"} {
			path = strings.ReplaceAll(path, "{"+name+"}", v)
		}
		right, wrong, powerless := h.admin, h.system, noRole
		if p.family() == "root-system" {
			continue // its tokens are not acme's: see TestNoOperationForOthers
		}
		if p.family() == "system" {
			right, wrong, powerless = h.system, h.admin, noScope
		}
		for _, bearer := range []string{"", "nonsense", right + "x", wrong, h.other, app} {
			if a := h.do(bearer, p.method, path, `{}`).refused(401, ""); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: no challenge", a.what)
			}
		}
		h.do(powerless, p.method, path, `{}`).refused(403, "")
	}
}

func TestListPools(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		// Names run against ids.
		for i := range 5 {
			do("POST", "/pools", fmt.Sprintf(`{"id":"p%d","name":"n%d"}`, i, 9-i)).want(201)
		}
		h.do(h.other, "POST", "/api/identity/other/admin/pools", `{"id":"p9","name":"theirs"}`).want(201)
		for q, want := range map[string][]string{
			"":                                      {"p0", "p1", "p2", "p3", "p4"},
			"?order=desc":                           {"p4", "p3", "p2", "p1", "p0"},
			"?order=acs&limit=2":                    {"p0", "p1"},
			"?after_pool_id=p1&limit=2":             {"p2", "p3"},
			"?before_pool_id=p3&limit=2":            {"p1", "p2"},
			"?before_pool_id=p3&limit=2&order=desc": {"p4"},
			"?after_pool_id=p3&order=desc":          {"p2", "p1", "p0"},
			"?after_pool_id=p4":                     {},
			"?sort=name":                            {"p4", "p3", "p2", "p1", "p0"},
			"?sort=name&after_pool_id=p3&limit=2":   {"p2", "p1"},
			"?sort=id&limit=100":                    {"p0", "p1", "p2", "p3", "p4"},
			"?search_phrase=N8":                     {"p1"},
			"?search_phrase=p2":                     {"p2"},
			"?search_phrase=zzz":                    {},
			"?unknown=1&search_phrase=":             {"p0", "p1", "p2", "p3", "p4"},
		} {
			if d := cmp.Diff(want, do("GET", "/pools"+q, nil).want(200).ids("pools")); d != "" {
				t.Errorf("%s: %s", q, d)
			}
		}
		for q, field := range map[string]string{
			"?limit=0": "limit", "?limit=101": "limit", "?limit=x": "limit", "?limit=-1": "limit", "?order=up": "order", "?sort=color": "sort",
			"?after_pool_id=p1&before_pool_id=p3": "before_pool_id", "?search_phrase=%zz": "",
		} {
			do("GET", "/pools"+q, nil).refused(400, field)
		}
		h.user("p0", "u")
		do("GET", "/pools?limit=1", nil).has("pools.0.number_of_users", 1.0, "pools.0.number_of_standard_users", 1.0, "pools.0.number_of_jit_users", 0.0)
	})
}

func TestPoolsOfWorkspace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("shared")
	h.asAdmin("POST", "/workspace/default/pools", `{"id":"mine","name":"mine","workspace_id":"admin"}`).want(201).has("workspace_id", "default")
	h.asAdmin("POST", "/workspace/admin/pools", `{"id":"theirs","name":"theirs"}`).want(201).has("workspace_id", "admin")
	h.asAdmin("POST", "/pools", `{"id":"too","name":"too","workspace_id":"default"}`).want(201).has("workspace_id", "default")
	h.asAdmin("PUT", "/pools/mine", `{"name":"mine","workspace_id":"admin"}`).want(200).has("workspace_id", "default")
	for _, do := range []func(string, string, any, ...string) *answer{h.asAdmin, h.asSystem} {
		if d := cmp.Diff([]string{"mine", "too"}, do("GET", "/workspace/default/pools", nil).want(200).ids("pools")); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"too"}, do("GET", "/workspace/default/pools?after_pool_id=mine", nil).want(200).ids("pools")); d != "" {
			t.Error(d)
		}
		do("GET", "/workspace/nowhere/pools", nil).refused(404, "")
		do("GET", "/workspace/default/pools?limit=0", nil).refused(400, "limit")
	}
	h.asAdmin("POST", "/workspace/nowhere/pools", `{"name":"x"}`).refused(404, "")
	h.asAdmin("DELETE", "/workspace/default/pools/theirs", nil).refused(404, "")
	h.asAdmin("DELETE", "/workspace/default/pools/shared", nil).refused(404, "")
	h.asAdmin("GET", "/pools/theirs", nil).want(200)
	h.asAdmin("DELETE", "/workspace/admin/pools/theirs", nil).want(204)
	h.asAdmin("GET", "/pools/theirs", nil).refused(404, "")
}

func TestUserWorkspacePools(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 5 {
		h.asAdmin("POST", "/workspace/default/pools", fmt.Sprintf(`{"id":"p%d","name":"n%d"}`, i, i)).want(201)
	}
	h.pool("p2-of-nobody")
	const at = "/workspace/default/user/pools"
	var got []string
	cursor := ""
	for page := 0; ; page++ {
		a := h.asAdmin("GET", at+query("limit", "2", "cursor", cursor), nil).want(200)
		got = append(got, a.ids("pools")...)
		cursor = a.json()["cursor"].(string)
		if page == 0 { // what a cursor names may go meanwhile
			h.asAdmin("DELETE", "/pools/p1", nil).want(204)
		}
		if cursor == "" {
			break
		}
		if page > 3 {
			t.Fatal("no end")
		}
	}
	if d := cmp.Diff([]string{"p0", "p1", "p2", "p3", "p4"}, got); d != "" {
		t.Error(d)
	}
	h.asAdmin("GET", at+"?cursor=!!", nil).refused(400, "cursor")
	h.asAdmin("GET", at+"?cursor=Li4", nil).refused(400, "cursor") // ".."
	h.asAdmin("GET", at+"?limit=0", nil).refused(400, "limit")
	h.asAdmin("GET", "/workspace/nowhere/user/pools", nil).refused(404, "")

	one := h.do(h.holder("user_manager@default/p3"), "GET", adminPath+at, nil).want(200)
	if d := cmp.Diff([]string{"p3"}, one.ids("pools")); d != "" {
		t.Error(d)
	}
	one.has("cursor", "")
}

func TestPoolWithIDP(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const at = "/workspace/default/pools"
	linked := func(id string) int {
		list, err := h.idps.ListByPool(t.Context(), "acme", id)
		h.ok(err)
		return len(list)
	}
	h.asAdmin("POST", at+"?with_idp=true", `{"id":"p","name":"P"}`).want(201)
	h.asAdmin("POST", at+"?with_idp=false", `{"id":"q","name":"Q"}`).want(201)
	h.asAdmin("POST", at+"?with_idp=2", `{"name":"R"}`).refused(400, "with_idp")
	if linked("p") != 1 || linked("q") != 0 {
		t.Errorf("%d and %d IDPs", linked("p"), linked("q"))
	}
	h.connect("admin", "p")
	h.user("p", "alice")

	for _, do := range []func(string, string, any, ...string) *answer{h.asAdmin, h.asSystem} {
		do("DELETE", "/pools/p", nil).refused(409, "")
		do("DELETE", "/pools/p?with_idp=false", nil).refused(409, "")
		do("DELETE", "/pools/p?with_idp=true", nil, "If-Match", `"1-77"`).refused(412, "")
	}
	h.asAdmin("DELETE", at+"/p", nil).refused(409, "")
	// Half a permission is none: the IDP of another workspace would go as well.
	h.do(h.holder("admin@default"), "DELETE", adminPath+"/pools/p?with_idp=true", nil).refused(403, "")
	if linked("p") != 2 {
		t.Fatal("a refused deletion took an IDP")
	}
	h.asAdmin("DELETE", at+"/p?with_idp=true", nil).want(204)
	if linked("p") != 0 {
		t.Error("IDPs stayed")
	}
	h.connect("admin", "q")
	h.asSystem("DELETE", "/pools/q?with_idp=true", nil).want(204)

	// Both or neither.
	h.faulty.Fail(storetest.OpInsert, "idps", 1, nil)
	h.asAdmin("POST", at+"?with_idp=true", `{"id":"r","name":"R"}`).refused(503, "")
	h.asAdmin("GET", "/pools/r", nil).refused(404, "")
	h.asAdmin("POST", at+"?with_idp=true", `{"id":"r","name":"R"}`).want(201)
}

// A pool that must stay keeps its IDPs, too.
func TestSystemPool(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people", `,"system":true`)
	h.connect("default", "people")
	for _, do := range []func(string, string, any, ...string) *answer{h.asAdmin, h.asSystem} {
		do("DELETE", "/pools/people?with_idp=true", nil).refused(403, "")
	}
	if list, err := h.idps.ListByPool(t.Context(), "acme", "people"); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

// Whoever signed in by a pool is signed out by its deletion, and may not saw
// off the branch they sit on.
func TestDeletePoolEndsSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "alice")
	by := h.connect("admin", "people")
	on, bearer := h.person(by, "alice")
	name, at := h.resource("admin")
	h.ok(h.roles.Grant(t.Context(), at, role.User("acme", "people", "alice", on.UserEpoch), name))
	h.do(bearer, "GET", adminPath+"/pools/people", nil).want(200)
	h.do(bearer, "DELETE", adminPath+"/pools/people?with_idp=true", nil).refused(422, "")
	h.asAdmin("DELETE", "/pools/people?with_idp=true", nil).want(204)
	h.do(bearer, "GET", adminPath+"/pools", nil).refused(401, "")
	if _, err := h.sessions.ByID(t.Context(), "acme", on.ID); err == nil {
		t.Error("the session goes on")
	}
}

func TestIdentityStoreDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.faulty.Down(nil)
	for _, do := range []func(string, string, any, ...string) *answer{h.asAdmin, h.asSystem} {
		if a := do("PUT", "/pools/people", `{"name":"x"}`).refused(503, ""); a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	h.faulty.Up()
	h.asAdmin("GET", "/pools/people", nil).want(200).has("name", "people")
}
