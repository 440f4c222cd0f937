package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const configPath = "/api/identity/acme/configuration"

// peopled is a house with a pool of two users, a schema, groups and credentials.
func peopled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.do(w.system, "PUT", configPath, `{
		"schemas":[{"id":"card","name":"Card","schema":{"type":"object","required":["n"]}}],
		"pools":[{"id":"people","name":"People","metadata_schema_id":"card"}],
		"users":[
			{"id":"ann","user_pool_id":"people","status":"active","metadata":{"n":1},"payload":{"given_name":"Ann","family_name":"A","name":"Ann A"}},
			{"id":"bob","user_pool_id":"people","status":"inactive"}],
		"user_identifiers":[
			{"user_pool_id":"people","user_id":"bob","identifier":"bob","type":"uid"},
			{"user_pool_id":"people","user_id":"ann","identifier":"Ann@Example.com","type":"email","metadata":{"k":"v"}}],
		"user_verifiable_addresses":[{"user_pool_id":"people","user_id":"ann","address":"ann@example.com","type":"email","status":"active","verified":false}],
		"user_credentials":[
			{"user_pool_id":"people","user_id":"ann","type":"totp","payload":{"totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}},
			{"user_pool_id":"people","user_id":"bob","type":"password","payload":{"hashed_password":{"value":"2ngxbxgJz5tAhDaVZCPnZ1QrR9sw0RcYQVFVpCZJr10=","config":{"method":"sha","sha":{"function":"SHA256","salt":"c2FsdA==","salt_length":4}}}},"expires_at":"1900-01-01T00:00:00Z"},
			{"user_pool_id":"people","user_id":"ann","type":"password","state":"must_be_changed","payload":{"hashed_password":"$2b$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"},"expires_at":"2020-01-01T00:00:00Z"}],
		"groups":[{"id":"crew","name":"Crew","path":"crew","user_pool_id":"people"},{"id":"night","name":"Night","path":"crew/night","user_pool_id":"people"}],
		"group_members":[{"group_id":"night","user_id":"ann","user_pool_id":"people"}]}`).want(204)
	return w
}

// dump is an export without what differs from place to place.
func (w *world) dump(bearer, path, tenantID string) string {
	w.t.Helper()
	text := string(w.do(bearer, "GET", path, nil).want(200).body)
	return strings.ReplaceAll(text, `"tenant_id":"`+tenantID+`"`, `"tenant_id":"T"`)
}

// What is exported is what was imported, and makes the same in another tenant.
func TestConfigurationMoves(t *testing.T) {
	t.Parallel()
	w := peopled(t)
	was := w.dump(w.system, configPath, "acme")
	for _, want := range []string{
		`"identifier_lc":"ann@example.com"`, `"totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"`, `"method":"bcrypt"`,
		`"state":"must_be_reset"`, `"expires_at":"2020-01-01T00:00:00Z"`, `"path":"crew/night"`, `"codes":[]`,
	} {
		if !strings.Contains(was, want) {
			t.Errorf("%s is not in %s", want, was)
		}
	}
	if strings.Contains(was, "1900-01-01") || strings.Contains(was, "epoch") {
		t.Error(was)
	}
	w.do(w.theirsSys, "PUT", "/api/identity/other/configuration", was).want(204)
	if d := cmp.Diff(was, w.dump(w.theirsSys, "/api/identity/other/configuration", "other")); d != "" {
		t.Error(d)
	}
	w.do(w.system, "PUT", configPath, was).want(204) // again changes nothing but when
	var a, b map[string]json.RawMessage
	w.ok(json.Unmarshal([]byte(was), &a))
	w.ok(json.Unmarshal([]byte(w.dump(w.system, configPath, "acme")), &b))
	for _, list := range []string{"user_identifiers", "user_credentials", "groups", "group_members", "schemas"} {
		if d := cmp.Diff(string(a[list]), string(b[list])); d != "" {
			t.Errorf("%s: %s", list, d)
		}
	}
	root := w.dump(w.rootSystem, "/api/identity/system/configuration?tid=acme", "acme")
	if d := cmp.Diff(w.dump(w.system, configPath, "acme"), root); d != "" {
		t.Error(d)
	}
}

// Whatever is wrong anywhere, nothing is written.
func TestConfigurationIsCheckedWhole(t *testing.T) {
	t.Parallel()
	w := peopled(t)
	was := w.dump(w.system, configPath, "acme")
	const eve = `"pools":[{"id":"new","name":"New"}],"users":[{"id":"eve","user_pool_id":"new","status":"active"}%s]`
	many := strings.Repeat(`,{"id":"x","user_pool_id":"new","status":"active"}`, 100)
	for _, tc := range []struct {
		name, body, field string
		status            int
	}{
		{"schema", `{"schemas":[{"id":"x","schema":{"type":"object"}},{"id":"y","schema":{"type":"nothing"}}]}`, "schemas[1].schema.type", 422},
		{"system schema", `{"schemas":[{"id":"default_payload","name":"mine","schema":{"type":"object"}}]}`, "schemas[0].id", 403},
		{"pool", `{"pools":[{"id":"new","name":"New"},{"id":"newer","name":"Newer","metadata_schema_id":"nothing"}]}`, "pools[1].metadata_schema_id", 422},
		{"name of another pool", `{"pools":[{"id":"new","name":"people"}]}`, "pools[0].name", 409},
		{"workspace", `{"pools":[{"id":"new","name":"New","workspace_id":"nothing"}]}`, "pools[0].workspace_id", 422},
		{"no pool", `{"users":[{"id":"eve","user_pool_id":"nothing","status":"active"}]}`, "users[0].user_pool_id", 422},
		{"payload", `{` + fmt.Sprintf(eve, `,{"id":"f","user_pool_id":"people","status":"active","metadata":{}}`) + `}`, "users[1].metadata.n", 422},
		{"too many", `{` + fmt.Sprintf(eve, many) + `}`, "users", 422},
		{"twice", `{` + fmt.Sprintf(eve, `,{"id":"eve","user_pool_id":"new","status":"active"}`) + `}`, "users[1].id", 422},
		{"entry of nobody", `{` + fmt.Sprintf(eve, ``) + `,"user_identifiers":[{"user_pool_id":"people","user_id":"ann","identifier":"x","type":"uid"}]}`, "user_identifiers[0].user_id", 422},
		{"hash", `{` + fmt.Sprintf(eve, ``) + `,"user_credentials":[{"user_pool_id":"new","user_id":"eve","type":"password","payload":{"hashed_password":"###"}}]}`, "user_credentials[0].hashed_password", 422},
		{"cost", `{` + fmt.Sprintf(eve, ``) + `,"user_credentials":[{"user_pool_id":"new","user_id":"eve","type":"password","payload":{"hashed_password":"$2b$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}}]}`, "user_credentials[0].hashed_password", 422},
		{"name of another user", `{"users":[{"id":"eve","user_pool_id":"people","status":"active"}],"user_identifiers":[{"user_pool_id":"people","user_id":"eve","identifier":"bob","type":"uid"}]}`, "user_identifiers[0].identifier", 409},
		{"group", `{` + fmt.Sprintf(eve, ``) + `,"groups":[{"id":"g","name":"G","path":"nothing/g","user_pool_id":"people"}]}`, "groups[0].path", 422},
		{"member", `{` + fmt.Sprintf(eve, ``) + `,"group_members":[{"group_id":"crew","user_id":"nobody","user_pool_id":"people"}]}`, "group_members[0].user_id", 422},
		{"code", `{` + fmt.Sprintf(eve, ``) + `,"codes":[{"user_id":"ann","user_pool_id":"people","type":"activation","code":{"hashed_code":{"value":"x","config":{"method":"bcrypt"}}}}]}`, "codes[0]", 422},
	} {
		t.Run(tc.name, func(t *testing.T) { // one after the other: they share a tenant
			w.do(w.system, "PUT", configPath, tc.body).refused(tc.status, tc.field)
		})
	}
	w.do(w.system, "PUT", configPath+"?mode=fail", `{"users":[{"id":"ann","user_pool_id":"people","status":"new"}]}`).refused(409, "users[0].id")
	w.do(w.system, "PUT", configPath+"?mode=ignore", `{"users":[{"id":"ann","user_pool_id":"people","status":"new"}]}`).want(204)
	w.do(w.system, "PUT", configPath+"?mode=maybe", `{}`).refused(400, "mode")
	if d := cmp.Diff(was, w.dump(w.system, configPath, "acme")); d != "" {
		t.Error(d)
	}
}

func TestPatchConfiguration(t *testing.T) {
	t.Parallel()
	w := peopled(t)
	patch := func(ops string) *answer { return w.do(w.system, "PATCH", configPath, ops) }
	patch(`[{"op":"test","path":"/users/0/id","value":"ann"},{"op":"replace","path":"/users/0/metadata/n","value":2},
		{"op":"replace","path":"/pools/0/description","value":"All of them"},{"op":"remove","path":"/groups/1"},{"op":"remove","path":"/group_members/0"}]`).want(204)
	w.asAdmin("GET", "/pools/people/users/ann", nil).want(200).has("metadata.n", 2.0, "status", "active")
	w.asAdmin("GET", "/pools/people", nil).want(200).has("description", "All of them")
	w.asAdmin("GET", "/pools/people/groups/night", nil).refused(404, "")
	w.asAdmin("GET", "/pools/people/groups/crew", nil).want(200)
	// A user goes with all entries; the entries of others stay.
	patch(`[{"op":"remove","path":"/users/1"},{"op":"remove","path":"/user_identifiers/1"},{"op":"remove","path":"/user_credentials/2"}]`).want(204)
	w.asAdmin("GET", "/pools/people/users/bob", nil).refused(404, "")
	w.asAdmin("GET", "/pools/people/users/ann", nil).want(200)

	was := w.dump(w.system, configPath, "acme")
	patch(`{"op":"add"}`).refused(400, "")
	patch(`[{"op":"test","path":"/users/0/id","value":"bob"}]`).refused(422, "")
	patch(`[{"op":"replace","path":"/users/7/status","value":"new"}]`).refused(422, "")
	patch(`[{"op":"replace","path":"/users","value":7}]`).refused(422, "")
	patch(`[{"op":"remove","path":"/users/0"}]`).refused(422, "user_identifiers[0].user_id")
	patch(`[{"op":"replace","path":"/users/0/metadata","value":{}}]`).refused(422, "users[0].metadata.n")
	w.do(w.rootSystem, "PATCH", "/api/identity/system/configuration?tid=nothing", `[]`).refused(404, "")
	if d := cmp.Diff(was, w.dump(w.system, configPath, "acme")); d != "" {
		t.Error(d)
	}
}

// The root tenant's backend writes several tenants at once, or none.
func TestRootConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const root = "/api/identity/system/configuration"
	w.do(w.rootSystem, "PUT", root, `{"pools":[{"id":"a","name":"A","tenant_id":"acme"},{"id":"a","name":"A","tenant_id":"other"}],
		"users":[{"id":"u","user_pool_id":"a","status":"active","tenant_id":"other"}]}`).want(204)
	w.asAdmin("GET", "/pools/a", nil).want(200).has("number_of_users", 0.0)
	w.do(w.other, "GET", "/api/identity/other/admin/pools/a", nil).want(200).has("number_of_users", 1.0)
	w.do(w.rootSystem, "PUT", root, `{"pools":[{"id":"b","name":"B","tenant_id":"acme"},{"id":"b","name":"a","tenant_id":"other"}]}`).refused(409, "pools[0].name")
	w.do(w.rootSystem, "PUT", root, `{"pools":[{"id":"b","name":"B"}]}`).refused(422, "pools[0].tenant_id")
	w.asAdmin("GET", "/pools/b", nil).refused(404, "")
}

// Scopes: reading needs one of two, changing the greater.
func TestConfigurationScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, reads := w.caller("system", "read_configuration")
	_, manages := w.caller("system", "manage_configuration")
	_, identity := w.caller("system", "identity")
	w.do(reads, "GET", configPath, nil).want(200)
	w.do(manages, "GET", configPath, nil).want(200)
	w.do(identity, "GET", configPath, nil).refused(403, "")
	w.do(reads, "PUT", configPath, `{}`).refused(403, "")
	w.do(reads, "PATCH", configPath, `[]`).refused(403, "")
	w.do(manages, "PUT", configPath, `{}`).want(204)
}
