package tenant_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// vault2 reads a workspace with another key ring.
func vault2(t *testing.T, b *bench) (tenant.Workspace, error) {
	t.Helper()
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	k, err := tenant.Open(t.Context(), b.store, tenant.Config{Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	return k.Workspaces.Get(t.Context(), tenant.Key{Tenant: "acme", Workspace: "w"})
}

// TestWorkspaceDefaults holds a workspace that was made of nothing against the
// table of published API, section 15.
func TestWorkspaceDefaults(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	made := b.workspace(t, `{"id":"w"}`)
	got := wire(t, made)
	want := map[string]any{
		"id": "w", "tenant_id": "acme", "name": "w", "type": "regular", "profile": "default", "key_type": "ecdsa",
		"version": 3.0, "color": "#007FFF", "template": false,
		"grant_types":      []any{"authorization_code", "implicit", "client_credentials", "refresh_token"},
		"response_types":   []any{"code", "token", "id_token", "code id_token", "token id_token", "token code", "token id_token code"},
		"access_token_ttl": "1h0m0s", "id_token_ttl": "1h0m0s", "refresh_token_ttl": "720h0m0s",
		"authorization_code_ttl": "10m0s", "pushed_authorization_request_ttl": "1m0s", "cookie_max_age": "0s",
		"access_token_strategy": "jwt", "subject_format": "hash", "dynamic_scope_separator": ".",
		"subject_identifier_types": []any{"public", "pairwise"}, "scope_claim_formats": []any{"scp_array"},
		"token_endpoint_auth_methods": []any{
			"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
			"self_signed_tls_client_auth", "tls_client_auth", "none",
		},
		"token_endpoint_auth_signing_alg_values": []any{"RS256", "ES256", "PS256", "HS256"},
		"authentication_mechanisms":              []any{"totp", "password", "otp", "email_otp", "sms_otp", "webauthn"},
		"require_pushed_authorization_requests":  false, "enforce_pkce": false, "enforce_pkce_for_public_clients": false,
		"enable_idp_discovery": false, "idp_discovery": map[string]any{"enabled": false}, "settings": map[string]any{},
		"sso": map[string]any{"enabled": false, "max_age": "0s", "max_idle": "0s"},
		"dynamic_client_registration": map[string]any{
			"enabled": false, "registration_access_token_ttl": "720h0m0s", "disable_registration_access_token_expiry": false,
			"initial_access_token": map[string]any{"required": false},
		},
		"device_authorization": map[string]any{"request_ttl": "30m0s", "user_code_length": 8.0, "user_code_character_set": "base20"},
		"advanced":             map[string]any{"disable_refresh_token_cycling": false},
	}
	if n := len(made.Secret); n < tenant.MinSecret || got["secret"] != made.Secret {
		t.Errorf("secret has %d characters, on the wire %v", n, got["secret"])
	}
	if n := len(made.SubjectIdentifierSalt); n < 32 || got["subject_identifier_algorithm_salt"] != made.SubjectIdentifierSalt {
		t.Errorf("salt has %d characters", n)
	}
	if n := len(made.AuthenticationContext.Attributes); n != 29 || got["authentication_context_settings"] == nil {
		t.Errorf("%d attributes, want 29", n)
	}
	for _, generated := range []string{"secret", "subject_identifier_algorithm_salt", "authentication_context_settings"} {
		delete(got, generated)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	read, err := b.Workspaces.Get(t.Context(), made.Key())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, read); d != "" {
		t.Error(d)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	types := map[string]string{}
	for _, a := range tenant.Attributes() {
		types[a.Name] = a.Type
	}
	for name, want := range map[string]string{
		"sub": "string", "scp": "string_array", "groups": "string_array", "email_verified": "bool",
		"phone_number_verified": "bool", "updated_at": "number", "address.postal_code": "string", "idp_sub": "string",
	} {
		if types[name] != want {
			t.Errorf("%s: %q, want %q", name, types[name], want)
		}
	}
}

// TestWorkspaceRules tries every enumeration and limit of section 15.
func TestWorkspaceRules(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	long := strings.Repeat("n", 201)
	for i, tc := range []struct{ body, field, say string }{
		{`"type":"other"`, "type", `"developer"`},
		{`"type":"admin"`, "type", "built in"},
		{`"type":"system"`, "type", "built in"},
		{`"type":"organization"`, "", ""},
		{`"profile":"fapi"`, "profile", `"fapi_rw"`},
		{`"profile":"fapi_20_security"`, "", ""},
		{`"key_type":"ed25519"`, "key_type", `"ecdsa"`},
		{`"access_token_strategy":"paseto"`, "access_token_strategy", `"jwt", "opaque"`},
		{`"subject_format":"plain"`, "subject_format", `"legacy"`},
		{`"grant_types":["authorization_code","magic"]`, "grant_types[1]", `"magic" is not one of`},
		{`"grant_types":[]`, "", ""},
		{`"grant_types":["urn:ietf:params:oauth:grant-type:token-exchange"]`, "", ""},
		{`"response_types":["code","token id_token code"]`, "", ""},
		{`"response_types":["id_token code"]`, "response_types[0]", ""},
		{`"token_endpoint_auth_methods":["basic"]`, "token_endpoint_auth_methods[0]", ""},
		{`"token_endpoint_auth_signing_alg_values":["none"]`, "token_endpoint_auth_signing_alg_values[0]", ""},
		{`"subject_identifier_types":["private"]`, "subject_identifier_types[0]", ""},
		{`"authentication_mechanisms":["password","fingerprint"]`, "authentication_mechanisms[1]", ""},
		{`"authentication_mechanisms":["password","password"]`, "authentication_mechanisms[1]", "twice"},
		{`"idp_discovery":{"enabled":true,"discovery_mode":"guess"}`, "idp_discovery.discovery_mode", `"domain_matching"`},
		{`"advanced":{"disallowed_response_modes":["post"]}`, "advanced.disallowed_response_modes[0]", ""},
		{`"scope_claim_formats":["whatever"]`, "", ""},
		{`"name":"` + long + `"`, "name", "200"},
		{`"name":"a\u001b[2J"`, "name", "control"},
		{`"color":"red"`, "color", ""},
		{`"logo_uri":"javascript:alert(1)"`, "logo_uri", ""},
		{`"sso":{"post_logout_url":"/x"}`, "sso.post_logout_url", ""},
		{`"access_token_ttl":"-1s"`, "access_token_ttl", "negative"},
		{`"sso":{"max_idle":"-1h"}`, "sso.max_idle", ""},
		{`"dynamic_client_registration":{"registration_access_token_ttl":"23h"}`, "dynamic_client_registration.registration_access_token_ttl", "24h"},
		{`"device_authorization":{"user_code_length":4}`, "device_authorization.user_code_length", ""},
		{`"secret":"short"`, "secret", "32"},
		{`"rotated_secrets":["short"]`, "rotated_secrets[0]", "32"},
		{`"metadata":"text"`, "metadata", "object"},
		{`"jwks":[]`, "jwks", "object"},
		{`"authentication_context_settings":{"attributes":[{"name":"a","type":"text"}]}`, "authentication_context_settings.attributes[0].type", `"string"`},
		{`"authentication_context_settings":{"attributes":[{"name":"","type":"string"}]}`, "authentication_context_settings.attributes[0].name", ""},
		{`"authentication_context_settings":{"attributes":[{"name":"a","type":"string"},{"name":"a","type":"any"}]}`, "authentication_context_settings.attributes[1].name", "twice"},
		{`"custom_issuer_url":"https://id.example/x"`, "", ""},
		{`"custom_issuer_url":"https://id.example/x?y"`, "custom_issuer_url", "query"},
		{`"custom_issuer_url":"id.example"`, "custom_issuer_url", ""},
	} {
		t.Run(tc.body[:min(len(tc.body), 60)], func(t *testing.T) {
			t.Parallel()
			_, err := b.Workspaces.Create(t.Context(), parse(t, fmt.Sprintf(`{"id":"w%d",%s}`, i, tc.body)))
			if tc.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, fault.Unprocessable, tc.field)
			if !strings.Contains(fault.Read(err).Public, tc.say) {
				t.Errorf("%q does not say %q", fault.Read(err).Public, tc.say)
			}
		})
	}
}

func TestWorkspaceWrongTypes(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"grant_types":"code"}`:          "grant_types",
		`{"access_token_ttl":"soon"}`:     "access_token_ttl",
		`{"sso":{"enabled":"yes"}}`:       "sso.enabled",
		`{"enforce_pkce":1}`:              "enforce_pkce",
		`{"saml":1,"name":{}}`:            "name",
		`{"device_authorization":"none"}`: "device_authorization",
	} {
		var w tenant.Workspace
		wantFault(t, json.Unmarshal([]byte(body), &w), fault.Invalid, field)
	}
}

func TestWorkspaceIDs(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	for _, id := range []string{"admin", "system", "developer", "Admin", "identity", "api", "console", ".well-known", ".gatepost", "..", "a/b", "a b"} {
		_, err := b.Workspaces.Create(t.Context(), tenant.Workspace{TenantID: "acme", ID: id})
		wantFault(t, err, fault.Unprocessable, "id")
	}
	made := b.workspace(t, `{"name":"My Shop"}`)
	again := b.workspace(t, `{"name":"My Shop"}`)
	random := b.workspace(t, `{}`)
	if made.ID != "my-shop" || !strings.HasPrefix(again.ID, "my-shop-") || len(random.ID) != 32 || random.Name != random.ID {
		t.Errorf("%q %q %q %q", made.ID, again.ID, random.ID, random.Name)
	}
	_, err := b.Workspaces.Create(t.Context(), tenant.Workspace{TenantID: "acme", ID: "my-shop"})
	wantFault(t, err, fault.Conflict, "id")
	_, err = b.Workspaces.Create(t.Context(), tenant.Workspace{TenantID: "nobody", ID: "x"})
	wantFault(t, err, fault.NotFound, "")
	b.tenant(t, "other") // the same id in another tenant is another workspace
	if _, err := b.Workspaces.Create(t.Context(), tenant.Workspace{TenantID: "other", ID: "my-shop"}); err != nil {
		t.Error(err)
	}
	if _, err := b.Workspaces.Get(t.Context(), tenant.Key{Tenant: "other", Workspace: again.ID}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant's workspace: %v", err)
	}
}

func TestBuiltin(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	acme := b.tenant(t, "acme")
	for id, want := range map[string]string{tenant.Admin: tenant.TypeAdmin, tenant.System: tenant.TypeSystem} {
		made, err := b.Workspaces.CreateBuiltin(t.Context(), tenant.Workspace{TenantID: "acme", ID: id})
		if err != nil || made.Type != want || made.TenantEpoch != acme.Epoch {
			t.Fatalf("%+v %v", made, err)
		}
		_, err = b.Workspaces.CreateBuiltin(t.Context(), tenant.Workspace{TenantID: "acme", ID: id})
		wantFault(t, err, fault.Conflict, "id")
		wantFault(t, b.Workspaces.Delete(t.Context(), made.Key(), 0), fault.Denied, "")
		_, err = b.Workspaces.Update(t.Context(), tenant.Workspace{TenantID: "acme", ID: id, CustomIssuerURL: "https://x.example"})
		wantFault(t, err, fault.Unprocessable, "custom_issuer_url")
		_, err = b.Workspaces.Update(t.Context(), tenant.Workspace{TenantID: "acme", ID: id, Type: tenant.TypeRegular})
		wantFault(t, err, fault.Unprocessable, "type")
	}
	if _, err := b.Workspaces.CreateBuiltin(t.Context(), tenant.Workspace{TenantID: "acme", ID: "developer"}); err == nil {
		t.Error("developer is not created")
	}
}

// TestEcho stores and gives back what Gatepost does not use, and forgets what
// nobody knows.
func TestEcho(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	body := `{"id":"w","tenant_id":"","description":"d","cdr":{"a":1.0},"saml":{"x":[]},"root_cas":"PEM","parent_id":"p","legal_entity":null,
		"styling":{"logo_url":"u"},"metadata":{"payload":{"n":12345678901234567890}},"backchannel_token_delivery_modes_supported":["poll"],
		"enforce_id_token_encryption":true,"junk":1,"login_id":"x","sso":{"enabled":true,"loa_threshold":0.5,"max_age":"1h","unknown":1}}`
	made := b.workspace(t, body)
	got := wire(t, made)
	for name, want := range map[string]any{
		"description": "d", "cdr": map[string]any{"a": 1.0}, "saml": map[string]any{"x": []any{}}, "root_cas": "PEM", "parent_id": "p",
		"styling": map[string]any{"logo_url": "u"}, "enforce_id_token_encryption": true, "tenant_id": "acme",
		"backchannel_token_delivery_modes_supported": []any{"poll"},
		"sso":  map[string]any{"enabled": true, "loa_threshold": 0.5, "max_age": "1h0m0s", "max_idle": "0s"},
		"junk": nil, "login_id": nil, "legal_entity": nil,
	} {
		if d := cmp.Diff(want, got[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if raw := string(made.Metadata); raw != `{"payload":{"n":12345678901234567890}}` {
		t.Errorf("metadata changed: %s", raw)
	}
	next, err := b.Workspaces.Update(t.Context(), parse(t, `{"id":"w"}`))
	if err != nil || next.Extra != nil || next.Description != "" {
		t.Errorf("a replacement keeps nothing of it: %s %v", next.Extra, err)
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	for i, tc := range []struct {
		body    string
		enabled bool
		methods int
	}{
		{`"enable_idp_discovery":true`, true, 7},
		{`"enable_idp_discovery":true,"idp_discovery":{"enabled":false}`, false, 7},
		{`"idp_discovery":{"enabled":true}`, true, 7},
		{`"token_endpoint_authn_methods":["none"]`, false, 1},
		{`"token_endpoint_authn_methods":["none"],"token_endpoint_auth_methods":["none","client_secret_post"]`, false, 2},
	} {
		w := b.workspace(t, fmt.Sprintf(`{"id":"w%d",%s}`, i, tc.body))
		if w.IDPDiscovery.Enabled != tc.enabled || w.EnableIDPDiscovery != tc.enabled || len(w.TokenEndpointAuthMethods) != tc.methods {
			t.Errorf("%s: %+v %v", tc.body, w.IDPDiscovery, w.TokenEndpointAuthMethods)
		}
	}
}

// TestUpdateWorkspace: a PUT sets what is missing back to its default, except
// what was generated and what is fixed.
func TestUpdateWorkspace(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	made := b.workspace(t, `{"id":"w","name":"W","key_type":"rsa","access_token_ttl":"5m","enforce_pkce":true,"grant_types":["refresh_token"]}`)

	var same tenant.Workspace // send back what was read
	raw, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &same); err != nil {
		t.Fatal(err)
	}
	back, err := b.Workspaces.Update(t.Context(), same)
	if err != nil {
		t.Fatal(err)
	}
	back.Rev = made.Rev
	if d := cmp.Diff(made, back); d != "" {
		t.Errorf("sending back what was read changed it: %s", d)
	}

	b.taken()
	next, err := b.Workspaces.Update(t.Context(), parse(t, `{"id":"w","key_type":"ps"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := made
	want.Name, want.AccessTokenTTL, want.EnforcePKCE, want.Rev = "w", store.Duration(3600e9), false, next.Rev
	want.GrantTypes = []string{"authorization_code", "implicit", "client_credentials", "refresh_token"}
	if d := cmp.Diff(want, next); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"workspace acme/w w", "event acme/w server_updated"}, b.taken()); d != "" {
		t.Error(d)
	}
	stale := next
	stale.Rev = made.Rev
	_, err = b.Workspaces.Update(t.Context(), stale)
	wantFault(t, err, fault.Stale, "")
	_, err = b.Workspaces.Update(t.Context(), parse(t, `{"id":"w","profile":"x"}`))
	wantFault(t, err, fault.Unprocessable, "profile")
	_, err = b.Workspaces.Update(t.Context(), parse(t, `{"id":"nothing"}`))
	wantFault(t, err, fault.NotFound, "")
	secret := strings.Repeat("x", 40)
	next, err = b.Workspaces.Update(t.Context(), parse(t, `{"id":"w","secret":"`+secret+`"}`))
	if err != nil || next.Secret != secret || next.SubjectIdentifierSalt != made.SubjectIdentifierSalt {
		t.Errorf("%q %v", next.Secret, err)
	}
}

func TestUpdateMetadata(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	b.workspace(t, `{"id":"w","metadata":{"schema":{"type":"object"},"payload":{"a":1}}}`)
	key := tenant.Key{Tenant: "acme", Workspace: "w"}
	for _, tc := range []struct{ payload, want string }{
		{`{"b":2}`, `{"payload":{"b":2},"schema":{"type":"object"}}`},
		{`null`, `{"schema":{"type":"object"}}`},
	} {
		w, err := b.Workspaces.UpdateMetadata(t.Context(), key, json.RawMessage(tc.payload))
		if err != nil || string(w.Metadata) != tc.want {
			t.Errorf("%s: %s %v", tc.payload, w.Metadata, err)
		}
	}
	_, err := b.Workspaces.UpdateMetadata(t.Context(), key, json.RawMessage(`[]`))
	wantFault(t, err, fault.Unprocessable, "payload")
	_, err = b.Workspaces.UpdateMetadata(t.Context(), tenant.Key{Tenant: "acme", Workspace: "no"}, nil)
	wantFault(t, err, fault.NotFound, "")
}

// TestDeleteWorkspace: sessions end before the records go; a failure leaves
// nothing readable and Finish completes it.
func TestDeleteWorkspace(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	made := b.workspace(t, `{"id":"w"}`)
	wantFault(t, b.Workspaces.Delete(t.Context(), made.Key(), made.Rev+1), fault.Stale, "")
	b.fail["purge acme/w"] = errors.New("disk")
	if err := b.Workspaces.Delete(t.Context(), made.Key(), made.Rev); err == nil {
		t.Fatal("no error")
	}
	got := b.taken()
	if len(got) != 3 || !strings.HasPrefix(got[0], "revoke") || got[1] != "workspace acme/w w" || got[2] != "purge acme/w" {
		t.Errorf("log: %q", got)
	}
	_, err := b.Workspaces.Get(t.Context(), made.Key())
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Workspaces.Update(t.Context(), made)
	wantFault(t, err, fault.Stale, "")
	if list, err := b.Workspaces.List(t.Context(), "acme", tenant.Filter{}); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	_, err = b.Workspaces.Create(t.Context(), parse(t, `{"id":"w"}`))
	wantFault(t, err, fault.Conflict, "id")
	delete(b.fail, "purge acme/w")
	if err := b.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := b.workspace(t, `{"id":"w"}`); again.Epoch == made.Epoch || again.SubjectIdentifierSalt == made.SubjectIdentifierSalt {
		t.Error("a new workspace shares epoch or salt with the old one")
	}
	wantFault(t, b.Workspaces.Delete(t.Context(), tenant.Key{Tenant: "acme", Workspace: "no"}, 0), fault.NotFound, "")
}

func TestListWorkspaces(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	if _, err := b.Workspaces.CreateBuiltin(t.Context(), tenant.Workspace{TenantID: "acme", ID: tenant.Admin}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"id":"a","name":"Zebra"}`, `{"id":"b","name":"yak","template":true}`, `{"id":"c","name":"Xerus","type":"organization"}`,
	} {
		b.workspace(t, body)
	}
	yes := true
	for _, tc := range []struct {
		name   string
		filter tenant.Filter
		want   string
	}{
		{"all by id", tenant.Filter{}, "a admin b c"},
		{"down", tenant.Filter{Page: store.Page{Desc: true, Limit: 2}}, "c b"},
		{"by name", tenant.Filter{Sort: "name"}, "admin c b a"},
		{"by name after", tenant.Filter{Sort: "name", Page: store.Page{After: "c", Limit: 1}}, "b"},
		{"before", tenant.Filter{Page: store.Page{Before: "c", Limit: 1}}, "b"},
		{"types", tenant.Filter{Types: []string{"admin", "organization"}}, "admin c"},
		{"template", tenant.Filter{Template: &yes}, "b"},
		{"phrase in name", tenant.Filter{Search: "E"}, "a c"},
		{"phrase in id", tenant.Filter{Search: "ADM"}, "admin"},
		{"after a gone one", tenant.Filter{Sort: "name", Page: store.Page{After: "gone"}}, ""},
	} {
		list, err := b.Workspaces.List(t.Context(), "acme", tc.filter)
		ids := []string{}
		for _, w := range list {
			ids = append(ids, w.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tc.want {
			t.Errorf("%s: got %q (%v), want %q", tc.name, got, err, tc.want)
		}
	}
	_, err := b.Workspaces.List(t.Context(), "acme", tenant.Filter{Sort: "colour"})
	wantFault(t, err, fault.Unprocessable, "sort")
	_, err = b.Workspaces.List(t.Context(), "acme", tenant.Filter{Types: []string{"x"}})
	wantFault(t, err, fault.Unprocessable, "types")
	all, err := b.Workspaces.All(t.Context(), "acme")
	if err != nil || len(all) != 4 || all[1].Secret == "" {
		t.Errorf("%d %v", len(all), err)
	}
}

// TestEvents: an event shows what was written and no secret.
func TestEvents(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	made := b.workspace(t, `{"id":"w","jwks":{"keys":[{"d":"unspeakable"}]}}`)
	if len(b.events) != 1 || b.events[0].Tenant != "acme" || b.events[0].Workspace != "w" {
		t.Fatalf("%+v", b.events)
	}
	raw := string(b.events[0].Payload)
	for _, hidden := range []string{made.Secret, made.SubjectIdentifierSalt, "unspeakable"} {
		if strings.Contains(raw, hidden) {
			t.Errorf("%q in %s", hidden, raw)
		}
	}
	if !strings.HasPrefix(raw, `{"server_created":{"id":"w"`) {
		t.Error(raw)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.tenant(t, "acme")
	made := b.workspace(t, `{"id":"w","description":"d"}`)
	got, all := wire(t, made.Summary()), wire(t, made)
	for name := range got {
		if want, ok := all[name]; ok && !cmp.Equal(want, got[name]) {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	if got["secret"] != nil || got["subject_identifier_algorithm_salt"] != nil || got["description"] != "d" {
		t.Errorf("%v", got)
	}
}
