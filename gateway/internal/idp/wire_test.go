package idp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
)

// wire returns an IDP as the API writes it, as plain values.
func wire(t testing.TB, p idp.IDP) map[string]any {
	t.Helper()
	b, err := json.Marshal(&p)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWireDefaults: a minimal body gives every member of published API 16.2.
func TestWireDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"identity_pool_id":"people"}`)
	got := wire(t, p)
	if id, _ := got["id"].(string); len(id) != 32 {
		t.Errorf("id %q is not 32 characters", id)
	}
	delete(got, "id")
	if n := len(p.Attributes); n != len(authctx.Predefined()) {
		t.Errorf("%d attributes", n)
	}
	if n := len(p.Mappings); n != len(authctx.PredefinedMappings()) {
		t.Errorf("%d mappings", n)
	}
	delete(got, "attributes")
	delete(got, "mappings")
	want := map[string]any{
		"tenant_id": "acme", "authorization_server_id": "main", "workspace_id": "", "name": "People", "method": "identity_pool",
		"identity_pool_id": "people", "client_id": "", "hidden": false, "disabled": false, "display_order": 0.0, "logo_uri": "",
		"static_amr": []any{}, "version": 3.0, "jit": map[string]any{"enabled": false}, "post_authn_app_id": nil,
		"discovery_settings": map[string]any{"domains": []any{}, "fallback_provider": false, "identifier_based_matching": false, "instant_redirect": false},
		"sso_settings":       map[string]any{"disabled": false}, "token_exchange_settings": map[string]any{"enabled": false},
		"config": map[string]any{"reload_claims_at_refresh_token": false, "use_embedded": false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.Epoch == "" || p.WorkspaceEpoch != "w1" || p.PoolEpoch != "p1" || p.Rev == 0 {
		t.Errorf("epochs %q %q %q, revision %d", p.Epoch, p.WorkspaceEpoch, p.PoolEpoch, p.Rev)
	}
}

const full = `{"id":"corp","name":"  Corp  ","method":"identity_pool","identity_pool_id":"people","authorization_server_id":"main","tenant_id":"acme",
	"workspace_id":"elsewhere","hidden":true,"disabled":true,"display_order":-7,"logo_uri":"https://x.example/l.png","static_amr":["mfa","hwk"],
	"attributes":[{"name":"city","type":"string","description":"City","labels":["pii"]}],
	"mappings":[{"source":"city","target":"address.locality","type":"string"},{"mode":"static","static":{"a":[1.50]},"target":"x","type":"object","allow_weak_decoding":true}],
	"discovery_settings":{"domains":["Example.COM","example.com"," corp.example "],"instant_redirect":true,"fallback_provider":true,"identifier_based_matching":true},
	"jit":{"enabled":true,"provisioning":{"mode":"whatever","user":{"identifiers":[{"source":"email","type":"email"}]}}},
	"sso_settings":{"disabled":true},"post_authn_app_id":"terms","token_exchange_settings":{"enabled":true},"version":2,
	"config":{"reload_claims_at_refresh_token":true,"use_embedded":true,"enable_stateful_ctx":true,"stateful_ctx_duration":"1h30m0s"},
	"client_id":"stolen","unknown":{"x":1}}`

// TestWireFull: every member comes back from the store as it was written, apart
// from what is the server's.
func TestWireFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create("acme", "main", full)
	read, err := w.keeper.Get(t.Context(), "acme", "main", "corp")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, read); diff != "" {
		t.Errorf("created and read differ:\n%s", diff)
	}
	back := strings.NewReplacer(
		`,"unknown":{"x":1}`, ``, `"client_id":"stolen"`, `"client_id":""`, `"  Corp  "`, `"Corp"`, `"version":2`, `"version":3`,
		`["Example.COM","example.com"," corp.example "]`, `["example.com","corp.example"]`,
		`"target":"address.locality"`, `"target":"address.locality","mode":"dynamic","allow_weak_decoding":false`,
		`"mode":"static"`, `"mode":"static","source":""`,
	)
	var want map[string]any
	if err := json.Unmarshal([]byte(back.Replace(full)), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, wire(t, read)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if read.PostAuthnApp() != "terms" || string(read.Mappings[1].Static) != `{"a":[1.50]}` {
		t.Errorf("app %q, static %s", read.PostAuthnApp(), read.Mappings[1].Static)
	}
}

func TestEmptyListsAreAChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"identity_pool_id":"people","attributes":[],"mappings":[],"post_authn_app_id":"","jit":null}`)
	read, err := w.keeper.Get(t.Context(), "acme", "main", p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Attributes) != 0 || len(read.Mappings) != 0 || read.PostAuthnAppID != nil || string(read.JIT) != `{"enabled":false}` {
		t.Errorf("got %+v", read)
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, field string }{
		{"no pool", `{}`, "identity_pool_id"},
		{"unknown pool", `{"identity_pool_id":"nobody"}`, "identity_pool_id"},
		{"bad id", `{"id":"a/b","identity_pool_id":"people"}`, "id"},
		{"dot id", `{"id":"..","identity_pool_id":"people"}`, "id"},
		{"other method", `{"method":"saml"}`, "method"},
		{"long name", `{"name":"` + strings.Repeat("x", 201) + `","identity_pool_id":"people"}`, "name"},
		{"control in name", `{"name":"a\u0007","identity_pool_id":"people"}`, "name"},
		{"script as logo", `{"logo_uri":"javascript:alert(1)","identity_pool_id":"people"}`, "logo_uri"},
		{"bad app", `{"post_authn_app_id":"a b","identity_pool_id":"people"}`, "post_authn_app_id"},
		{"bad other workspace", `{"workspace_id":"a/b","identity_pool_id":"people"}`, "workspace_id"},
		{"empty amr", `{"static_amr":["mfa",""],"identity_pool_id":"people"}`, "static_amr[1]"},
		{"space in amr", `{"static_amr":["a b"],"identity_pool_id":"people"}`, "static_amr[0]"},
		{"bad domain", `{"discovery_settings":{"domains":["a.example","-x"]},"identity_pool_id":"people"}`, "discovery_settings.domains[1]"},
		{"address as domain", `{"discovery_settings":{"domains":["a@b.example"]},"identity_pool_id":"people"}`, "discovery_settings.domains[0]"},
		{"attribute type", `{"attributes":[{"name":"a","type":"text"}],"identity_pool_id":"people"}`, "attributes[0].type"},
		{"mapping target", `{"mappings":[{"source":"a","target":"b","type":"string"},{"source":"a","type":"string"}],"identity_pool_id":"people"}`, "mappings[1].target"},
		{"mapping mode", `{"mappings":[{"source":"a","target":"b","type":"string","mode":"x"}],"identity_pool_id":"people"}`, "mappings[0].mode"},
		{"static of another type", `{"mappings":[{"mode":"static","static":1,"target":"b","type":"string"}],"identity_pool_id":"people"}`, "mappings[0].static"},
		{"negative duration", `{"config":{"stateful_ctx_duration":"-1s"},"identity_pool_id":"people"}`, "config.stateful_ctx_duration"},
		{"jit list", `{"jit":[],"identity_pool_id":"people"}`, "jit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", c.in))
			want(t, err, fault.Unprocessable, c.field)
			if got := w.ids("acme", "main"); len(got) != 0 {
				t.Errorf("left %v behind", got)
			}
			w.create("acme", "main", `{"identity_pool_id":"people"}`) // and no claim
		})
	}
}
