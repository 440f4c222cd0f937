package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		if d := cmp.Diff([]string{"default_metadata", "default_payload"}, do("GET", "/schemas", nil).want(200).ids("schemas")); d != "" {
			t.Error(d)
		}
		do("GET", "/schemas/default_payload", nil).want(200).has("name", "user_v0", "system", true, "tenant_id", "acme",
			"schema.required", []any{"given_name", "family_name", "name"})

		made := do("POST", "/schemas", `{"id":"badge","name":"Badge","tenant_id":"other","created_at":"never","description":"d",
			"schema":{"type":"object","properties":{"n":{"type":"integer","hidden":true}},"x-own":1}}`).want(201).has(
			"id", "badge", "tenant_id", "acme", "system", false, "description", "d", "schema.properties.n.hidden", true)
		if id := do("POST", "/schemas", `{"name":"No id","schema":{"type":"object"}}`).want(201).at("id").(string); len(id) != 32 {
			t.Errorf("id %q", id)
		}
		got := do("GET", "/schemas/badge", nil).want(200)
		if string(got.body) != string(made.body) {
			t.Errorf("read %s, created %s", got.body, made.body)
		}
		do("PUT", "/schemas/badge", `{"id":"elsewhere","name":"Badge 2","schema":{"type":"object"}}`, "If-Match", got.tag()).want(200).has(
			"id", "badge", "name", "Badge 2", "description", "")
		do("PUT", "/schemas/badge", `{"name":"Badge","schema":{"type":"object"}}`, "If-Match", got.tag()).refused(412, "")
		do("DELETE", "/schemas/badge", nil, "If-Match", got.tag()).refused(412, "")

		// In use, it stays.
		do("POST", "/pools", `{"id":"p","name":"P","payload_schema_id":"badge"}`).want(201)
		do("DELETE", "/schemas/badge", nil).refused(409, "")
		do("PUT", "/pools/p", `{"name":"P"}`).want(200)
		do("POST", "/pools/p/users", `{"id":"u","status":"new","payload_schema_id":"badge"}`).want(201)
		do("DELETE", "/schemas/badge", nil).refused(409, "")
		do("DELETE", "/pools/p/users/u", nil).want(204)
		do("DELETE", "/schemas/badge", nil, "If-Match", do("GET", "/schemas/badge", nil).tag()).want(204)
		do("GET", "/schemas/badge", nil).refused(404, "")
		do("PUT", "/schemas/badge", `{"name":"Badge","schema":{"type":"object"}}`).refused(404, "")
		do("DELETE", "/schemas/badge", nil).refused(404, "")
	})
}

func TestSchemaRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.asAdmin("POST", "/schemas", `{"id":"mine","name":"Mine","schema":{"type":"object"}}`).want(201)
	h.do(h.other, "POST", "/api/identity/other/admin/schemas", `{"id":"theirs","name":"Theirs","schema":{"type":"object"}}`).want(201)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no JSON", "POST", "/schemas", `{"name"}`, 400, ""},
		{"wrong type", "POST", "/schemas", `{"name":{},"schema":{}}`, 400, "name"},
		{"no schema", "POST", "/schemas", `{"name":"a"}`, 422, "schema"},
		{"no schema but a list", "POST", "/schemas", `{"name":"a","schema":[]}`, 422, "schema"},
		{"bad keyword", "POST", "/schemas", `{"name":"a","schema":{"type":"object","properties":{"n":{"minimum":"low"}}}}`, 422, "schema.properties.n.minimum"},
		{"bad inner schema", "PUT", "/schemas/mine", `{"name":"a","schema":{"properties":{"n":7}}}`, 422, "schema.properties.n"},
		{"id taken", "POST", "/schemas", `{"id":"mine","name":"a","schema":{"type":"object"}}`, 409, "id"},
		{"bad id", "POST", "/schemas", `{"id":"a b","name":"a","schema":{"type":"object"}}`, 422, "id"},
		{"too large", "PUT", "/schemas/mine", `{"name":"` + strings.Repeat("a", bodyLimit) + `","schema":{}}`, 413, ""},
		{"system schema", "PUT", "/schemas/default_payload", `{"name":"a","schema":{"type":"object"}}`, 403, ""},
		{"end of a system schema", "DELETE", "/schemas/default_payload", ``, 403, ""},
		{"another tenant's", "GET", "/schemas/theirs", ``, 404, ""},
		{"another tenant's, update", "PUT", "/schemas/theirs", `{"name":"a","schema":{"type":"object"}}`, 404, ""},
		{"another tenant's, deletion", "DELETE", "/schemas/theirs", ``, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h.asAdmin(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
			h.asSystem(tc.method, tc.path, tc.body).refused(tc.status, tc.field)
		})
	}
}

func TestSchemaRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.asAdmin("POST", "/schemas", `{"id":"mine","name":"Mine","schema":{"type":"object"}}`).want(201)
	for holds, want := range map[string][4]int{ // read, read in the workspace, change, delete a system one
		"admin":           {200, 200, 200, 403},
		"business_admin":  {200, 200, 200, 403},
		"auditor":         {200, 200, 403, 403},
		"member":          {200, 403, 403, 403},
		"manager@default": {403, 200, 403, 403},
		"member@default":  {403, 200, 403, 403},
		"admin@admin":     {403, 403, 403, 403},
	} {
		bearer := h.holder(holds)
		got := [4]int{
			h.do(bearer, "GET", adminPath+"/schemas/mine", nil).status,
			h.do(bearer, "GET", adminPath+"/workspace/default/schemas/mine", nil).status,
			h.do(bearer, "PUT", adminPath+"/schemas/mine", `{"name":"Mine","schema":{"type":"object"}}`).status,
			h.do(bearer, "DELETE", adminPath+"/schemas/default_payload", nil).status,
		}
		if got != want {
			t.Errorf("%s: %v, want %v", holds, got, want)
		}
	}
	if d := cmp.Diff([]string{"default_metadata", "default_payload", "mine"}, h.asAdmin("GET", "/workspace/default/schemas", nil).want(200).ids("schemas")); d != "" {
		t.Error(d)
	}
	h.asAdmin("GET", "/workspace/default/schemas/nowhere", nil).refused(404, "")
	h.asAdmin("GET", "/workspace/nowhere/schemas", nil).refused(404, "")
	h.asAdmin("GET", "/workspace/nowhere/schemas/mine", nil).refused(404, "")
}
