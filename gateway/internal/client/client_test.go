package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// TestDefaults holds a client that was made of nothing against the table of
// published API, section 17.
func TestDefaults(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"authorization_server_id":"shop"}`)
	if !regexp.MustCompile(`^[0-9a-v]{20}$`).MatchString(made.ClientID) || len(made.ClientSecret) < 32 || len(made.Epoch) != 32 {
		t.Errorf("id %q, secret %q, epoch %q", made.ClientID, made.ClientSecret, made.Epoch)
	}
	want := map[string]any{
		"client_id": made.ClientID, "client_secret": made.ClientSecret, "tenant_id": "acme", "authorization_server_id": "shop",
		"client_name": "", "description": "", "client_type": "oauth2", "client_status": "active",
		"application_type": "web", "application_types": []any{"server_web"}, "trusted": false, "system": false,
		"developer_id": "", "dynamically_registered": false, "redirect_uris": []any{}, "post_logout_redirect_uris": []any{},
		"grant_types": []any{"authorization_code"}, "response_types": []any{"code"}, "scope": "", "scopes": []any{},
		"audience": []any{}, "default_acr_values": []any{}, "token_endpoint_auth_method": "client_secret_basic",
		"token_endpoint_auth_signing_alg": "ES256", "jwks_uri": "", "subject_type": "public", "sector_identifier_uri": "",
		"id_token_signed_response_alg": "", "userinfo_signed_response_alg": "none", "request_object_signing_alg": "any",
		"require_pushed_authorization_requests": false, "dpop_bound_access_tokens": false,
		"tls_client_certificate_bound_access_tokens": false, "backchannel_logout_uri": "",
		"backchannel_logout_session_required": false, "app_url": "", "client_uri": "", "logo_uri": "", "policy_uri": "",
		"tos_uri": "", "use_custom_token_ttls": false, "client_secret_expires_at": 0.0, "client_id_issued_at": 1.8e9,
		"token_ttls": map[string]any{"access_token_ttl": "0s", "authorization_code_ttl": "0s", "id_token_ttl": "0s", "refresh_token_ttl": "0s"},
		"created_at": "2027-01-15T08:00:00.123Z", "updated_at": "2027-01-15T08:00:00.123Z",
	}
	if d := cmp.Diff(want, wire(t, made)); d != "" {
		t.Error(d)
	}
	read := b.get(t, made.ClientID)
	if read.ClientSecret != "" {
		t.Error("a client that was read has its secret in the clear")
	}
	made.ClientSecret = ""
	if d := cmp.Diff(made, read, cmpopts.IgnoreUnexported(client.Client{})); d != "" {
		t.Error(d)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, tc := range []struct {
		body, member string
		want         any
	}{
		{`"redirect_uris":"https://a.example/cb"`, "redirect_uris", []any{"https://a.example/cb"}},
		{`"redirect_uris":["https://a.example/cb","https://b.example"]`, "redirect_uris", []any{"https://a.example/cb", "https://b.example"}},
		{`"redirect_uris":null`, "redirect_uris", []any{}},
		{`"scope":"openid  email openid"`, "scopes", []any{"openid", "email"}},
		{`"scope":"openid email"`, "scope", "openid email"},
		{`"scopes":["email"],"scope":"openid"`, "scope", "email"},
		{`"scopes":[],"scope":"openid"`, "scopes", []any{}},
		{`"scopes":null,"scope":"openid"`, "scopes", []any{"openid"}},
		{`"token_endpoint_auth_signing_alg":""`, "token_endpoint_auth_signing_alg", ""},
		{`"token_endpoint_auth_method":"client_secret_jwt"`, "token_endpoint_auth_signing_alg", "HS256"},
		{`"token_endpoint_auth_method":"none"`, "client_secret", ""},
		{`"token_endpoint_auth_method":"private_key_jwt"`, "client_secret", ""},
		{`"client_secret":"` + secret("s") + `"`, "client_secret", secret("s")},
		{`"grant_types":["client_credentials"]`, "application_types", []any{"service"}},
		{`"token_endpoint_auth_method":"none"`, "application_types", []any{"single_page"}},
		{`"application_type":"native"`, "application_types", []any{"mobile_desktop"}},
		{`"grant_types":["password"]`, "application_types", []any{"legacy"}},
		{`"dynamically_registered":true`, "application_types", []any{"server_web", "dcr"}},
		{`"application_types":["service"]`, "application_types", []any{"service"}},
		{`"grant_types":[]`, "grant_types", []any{}},
		{`"token_ttls":{"access_token_ttl":"5m"}`, "token_ttls", map[string]any{
			"access_token_ttl": "5m0s", "authorization_code_ttl": "0s", "id_token_ttl": "0s", "refresh_token_ttl": "0s",
		}},
		{`"certificate":"PEM","privacy":{"scopes":{}},"junk":1`, "certificate", "PEM"},
		{`"certificate":"PEM","privacy":{"scopes":{}},"junk":1`, "privacy", map[string]any{"scopes": map[string]any{}}},
		{`"certificate":"PEM","privacy":{"scopes":{}},"junk":1`, "junk", nil},
		{`"metadata":{"n":12345678901234567890}`, "metadata", map[string]any{"n": 12345678901234567890.0}},
		{`"created_at":"2001-01-01T00:00:00Z","client_id_issued_at":5,"updated_at":"2001-01-01T00:00:00Z"`, "client_id_issued_at", 1.8e9},
	} {
		made := b.client(t, "{"+tc.body+"}")
		if d := cmp.Diff(tc.want, wire(t, made)[tc.member]); d != "" {
			t.Errorf("%s, made: %s", tc.body, d)
		}
		if tc.member == "client_secret" {
			continue
		}
		if d := cmp.Diff(tc.want, wire(t, b.get(t, made.ClientID))[tc.member]); d != "" {
			t.Errorf("%s, read: %s", tc.body, d)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.client(t, `{"client_id":"taken"}`)
	for _, tc := range []struct {
		body, field string
		kind        fault.Kind
	}{
		{`"client_id":"taken"`, "client_id", fault.Conflict},
		{`"client_id":"a/b"`, "client_id", fault.Unprocessable},
		{`"authorization_server_id":"nowhere"`, "", fault.NotFound},
		{`"client_type":"openid"`, "client_type", fault.Unprocessable},
		{`"client_status":"paused"`, "client_status", fault.Unprocessable},
		{`"application_types":["spa"]`, "application_types[0]", fault.Unprocessable},
		{`"grant_types":["authorization_code","magic"]`, "grant_types[1]", fault.Unprocessable},
		{`"response_types":["codes"]`, "response_types[0]", fault.Unprocessable},
		{`"token_endpoint_auth_method":"basic"`, "token_endpoint_auth_method", fault.Unprocessable},
		{`"token_endpoint_auth_signing_alg":"none"`, "token_endpoint_auth_signing_alg", fault.Unprocessable},
		{`"subject_type":"private"`, "subject_type", fault.Unprocessable},
		{`"id_token_signed_response_alg":"none"`, "id_token_signed_response_alg", fault.Unprocessable},
		{`"id_token_signed_response_alg":"HS256"`, "id_token_signed_response_alg", fault.Unprocessable},
		{`"userinfo_signed_response_alg":"PS256"`, "userinfo_signed_response_alg", fault.Unprocessable},
		{`"request_object_signing_alg":"HS256"`, "request_object_signing_alg", fault.Unprocessable},
		{`"client_secret":"short"`, "client_secret", fault.Unprocessable},
		{`"rotated_secrets":["short"]`, "rotated_secrets[0]", fault.Unprocessable},
		{`"hashed_secret":"$2a$10$abc"`, "hashed_secret", fault.Unprocessable},
		{`"client_secret_expires_at":-1`, "client_secret_expires_at", fault.Unprocessable},
		{`"client_name":"` + strings.Repeat("n", 201) + `"`, "client_name", fault.Unprocessable},
		{`"logo_uri":"javascript:alert(1)"`, "logo_uri", fault.Unprocessable},
		{`"tos_uri":"/tos"`, "tos_uri", fault.Unprocessable},
		{`"app_url":"ftp://x"`, "app_url", fault.Unprocessable},
		{`"backchannel_logout_uri":"https://a.example/x#y"`, "backchannel_logout_uri", fault.Unprocessable},
		{`"redirect_uris":["https://a.example","/cb"]`, "redirect_uris[1]", fault.Unprocessable},
		{`"post_logout_redirect_uris":["http://a.example"]`, "post_logout_redirect_uris[0]", fault.Unprocessable},
		{`"scopes":["openid","no\"quote"]`, "scopes[1]", fault.Unprocessable},
		{`"scopes":["openid","nothing_here"]`, "scopes[1]", fault.Unprocessable},
		{`"audience":["https://api.example",""]`, "audience[1]", fault.Unprocessable},
		{`"metadata":[]`, "metadata", fault.Unprocessable},
		{`"jwks":{"keys":[{"kty":"EC","d":"x"}]}`, "jwks.keys[0].d", fault.Unprocessable},
		{`"jwks":{"keys":[{"kty":"oct","k":"x"}]}`, "jwks.keys[0].k", fault.Unprocessable},
		{`"jwks":{"keys":7}`, "jwks", fault.Unprocessable},
		{`"jwks":{"keys":[{"kty":"EC"}]},"jwks_uri":"https://a.example/keys"`, "jwks_uri", fault.Unprocessable},
		{`"token_ttls":{"id_token_ttl":"-1s"}`, "token_ttls.id_token_ttl", fault.Unprocessable},
		{`"subject_type":"pairwise","redirect_uris":["https://a.example","https://b.example"]`, "sector_identifier_uri", fault.Unprocessable},
		{`"subject_type":"pairwise","redirect_uris":["https://a.example/1","https://A.example/2"]`, "", 0},
		{`"subject_type":"pairwise","sector_identifier_uri":"https://a.example/s","redirect_uris":["https://a.example","https://b.example"]`, "", 0},
		{`"jwks":{"keys":[{"kty":"EC","x":"1"}]}`, "", 0},
		{`"scopes":["openid","offline_access","view_ss_profile"]`, "", 0},
	} {
		t.Run(tc.body[:min(len(tc.body), 70)], func(t *testing.T) {
			t.Parallel()
			_, err := b.Clients.Create(t.Context(), parse(t, "{"+tc.body+"}"))
			if tc.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, tc.kind, tc.field)
		})
	}
	_, err := b.Clients.Create(t.Context(), client.Client{TenantID: "acme"})
	wantFault(t, err, fault.Unprocessable, "authorization_server_id")
	for body, field := range map[string]string{
		`{"redirect_uris":7}`:                        "redirect_uris",
		`{"redirect_uris":[7]}`:                      "redirect_uris",
		`{"trusted":"yes"}`:                          "trusted",
		`{"token_ttls":{"access_token_ttl":"soon"}}`: "token_ttls",
		`{"scopes":"openid"}`:                        "scopes",
	} {
		var c client.Client
		wantFault(t, json.Unmarshal([]byte(body), &c), fault.Invalid, field)
	}
}

// TestAcrossTenants: an id is the tenant's, and nobody sees another tenant's.
func TestAcrossTenants(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.workspace(t, "other")
	made := b.client(t, `{"client_id":"app"}`)
	_, err := b.Clients.Create(t.Context(), parse(t, `{"client_id":"app","authorization_server_id":"other"}`))
	wantFault(t, err, fault.Conflict, "client_id")
	_, err = b.Clients.Get(t.Context(), "nobody", made.ClientID)
	wantFault(t, err, fault.NotFound, "")
	if _, err := b.Clients.Find(t.Context(), shop, "app"); err != nil {
		t.Error(err)
	}
	_, err = b.Clients.Find(t.Context(), tenant.Key{Tenant: "acme", Workspace: "other"}, "app")
	wantFault(t, err, fault.NotFound, "")
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app","rotated_secrets":["`+secret("r")+`","`+secret("q")+`","`+secret("p")+`"]}`)
	c := b.get(t, "app")
	for _, tc := range []struct {
		name, secret string
		want         bool
	}{
		{"current", made.ClientSecret, true},
		{"rotated", secret("r"), true},
		{"second rotated", secret("q"), true},
		{"one too many", secret("p"), false},
		{"wrong", made.ClientSecret + "x", false},
		{"cut", made.ClientSecret[:len(made.ClientSecret)-1], false},
		{"empty", "", false},
	} {
		err := client.Prove(&c, tc.secret, b.now)
		if (err == nil) != tc.want {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if err := b.Clients.Reveal(t.Context(), &c); err != nil || c.ClientSecret != made.ClientSecret {
		t.Errorf("%q %v", c.ClientSecret, err)
	}
	if d := cmp.Diff([]string{secret("r"), secret("q")}, c.RotatedSecrets); d != "" {
		t.Error(d)
	}
}

// TestSameRefusal: unknown, inactive and wrong look the same.
func TestSameRefusal(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	active := b.client(t, `{}`)
	inactive := b.client(t, `{"client_status":"inactive"}`)
	public := b.client(t, `{"token_endpoint_auth_method":"none"}`)
	a, i, p := b.get(t, active.ClientID), b.get(t, inactive.ClientID), b.get(t, public.ClientID)
	want := client.Prove(nil, active.ClientSecret, b.now)
	if f := fault.Read(want); f.Kind != fault.Unauthenticated || f.Code != "invalid_client" {
		t.Fatalf("%+v", f)
	}
	for name, got := range map[string]error{
		"wrong":                client.Prove(&a, secret("x"), b.now),
		"inactive":             client.Prove(&i, inactive.ClientSecret, b.now),
		"unknown, empty":       client.Prove(nil, "", b.now),
		"public, empty":        client.Prove(&p, "", b.now),
		"zero client, no hash": client.Prove(&client.Client{ClientStatus: client.StatusActive}, "", b.now),
	} {
		if d := cmp.Diff(fault.Read(want), fault.Read(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if err := client.Prove(&a, active.ClientSecret, b.now); err != nil {
		t.Error(err)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	end := b.now.Add(time.Hour).Truncate(time.Second)
	made := b.client(t, fmt.Sprintf(`{"client_secret_expires_at":%d}`, end.Unix()))
	c := b.get(t, made.ClientID)
	if !c.Check(made.ClientSecret, end.Add(-time.Millisecond)) || c.Check(made.ClientSecret, end) {
		t.Error("the secret does not end when it says")
	}
	if _, _, err := b.Clients.Rotate(t.Context(), "acme", made.ClientID, 0, 0); err != nil {
		t.Fatal(err)
	}
	if c = b.get(t, made.ClientID); c.Check(made.ClientSecret, end) || c.ClientSecretExpiresAt != 0 {
		t.Error("rotation gave a secret more time than it had")
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app"}`)
	secrets := []string{made.ClientSecret}
	rotate := func(after time.Duration) {
		t.Helper()
		next, c, err := b.Clients.Rotate(t.Context(), "acme", "app", after, 0)
		if err != nil || len(next) < 32 || !c.Check(next, b.now) {
			t.Fatal(next, err)
		}
		secrets = append(secrets, next)
	}
	valid := func(want ...bool) {
		t.Helper()
		c := b.get(t, "app")
		got := make([]bool, len(secrets))
		for i, s := range secrets {
			got[i] = c.Check(s, b.now)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	rotate(0)
	if d := cmp.Diff([]string{"client acme/shop app", "event acme/shop client_updated"}, b.taken()); d != "" {
		t.Error(d)
	}
	valid(true, true)
	rotate(time.Hour)
	valid(true, true, true)
	rotate(0)
	valid(false, true, true, true) // at most two rotated ones
	b.now = b.now.Add(time.Hour)
	valid(false, false, true, true) // the second was given an hour
	rotate(0)
	valid(false, false, true, true, true)
	if c := b.get(t, "app"); b.Clients.Reveal(t.Context(), &c) != nil || !cmp.Equal(c.RotatedSecrets, []string{secrets[3], secrets[2]}) {
		t.Errorf("revealed %d", len(c.RotatedSecrets))
	}
	if _, err := b.Clients.RevokeRotated(t.Context(), "acme", "app", 0); err != nil {
		t.Fatal(err)
	}
	valid(false, false, false, false, true)
	_, _, err := b.Clients.Rotate(t.Context(), "acme", "app", -1, 0)
	wantFault(t, err, fault.Invalid, "auto_revoke_after")
	_, _, err = b.Clients.Rotate(t.Context(), "acme", "nobody", 0, 0)
	wantFault(t, err, fault.NotFound, "")
	_, _, err = b.Clients.Rotate(t.Context(), "acme", "app", 0, made.Rev)
	wantFault(t, err, fault.Stale, "")
	_, err = b.Clients.RevokeRotated(t.Context(), "acme", "nobody", 0)
	wantFault(t, err, fault.NotFound, "")
}

// TestOneWay: a tenant that keeps hashes only shows a secret once.
func TestOneWay(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	before := b.client(t, `{}`)
	b.oneWay = true
	after := b.client(t, `{}`)
	for _, made := range []client.Client{before, after} {
		c := b.get(t, made.ClientID)
		if err := b.Clients.Reveal(t.Context(), &c); err != nil || c.ClientSecret != "" || made.ClientSecret == "" {
			t.Errorf("revealed %q, made with %q, %v", c.ClientSecret, made.ClientSecret, err)
		}
		if !c.Check(made.ClientSecret, b.now) {
			t.Error("the secret is no longer right")
		}
	}
	b.oneWay = false
	if err := b.Clients.DropSealed(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	c := b.get(t, before.ClientID)
	if err := b.Clients.Reveal(t.Context(), &c); err != nil || c.ClientSecret != "" || !c.Check(before.ClientSecret, b.now) {
		t.Errorf("revealed %q after the sealed copies were dropped: %v", c.ClientSecret, err)
	}
	moved := b.client(t, `{"hashed_secret":"`+vault.Hash(secret("m"))+`"}`)
	if c := b.get(t, moved.ClientID); moved.ClientSecret != "" || !c.Check(secret("m"), b.now) {
		t.Error("a secret that came as a hash")
	}
}

func TestDeveloper(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app","developer_id":"dev","client_name":"Old","scopes":["openid"]}`)
	c := b.get(t, "app")
	if err := b.Clients.Reveal(t.Context(), &c); err != nil || c.ClientSecret != "" {
		t.Errorf("a developer's secret: %q %v", c.ClientSecret, err)
	}
	next, err := b.Clients.Update(t.Context(), parse(t, `{"client_id":"app","client_name":"New","trusted":true,"metadata":{"a":1},"client_status":"inactive"}`))
	if err != nil {
		t.Fatal(err)
	}
	if next.ClientName != "Old" || !next.Trusted || string(next.Metadata) != `{"a":1}` || !next.Active() || next.Scope != "openid" || !next.Check(made.ClientSecret, b.now) {
		t.Errorf("%+v", next)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app","client_name":"App","scopes":["openid"],"trusted":true,"certificate":"PEM","redirect_uris":"https://a.example"}`)
	same := b.get(t, "app")
	if err := b.Clients.Reveal(t.Context(), &same); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(same)
	if err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	back, err := b.Clients.Update(t.Context(), parse(t, string(raw)))
	if err != nil || !back.Check(made.ClientSecret, b.now) {
		t.Fatal(err)
	}
	want := same
	want.ClientSecret, want.Rev, want.UpdatedAt = "", back.Rev, back.UpdatedAt
	if d := cmp.Diff(want, back, cmpopts.IgnoreUnexported(client.Client{})); d != "" {
		t.Errorf("sending back what was read changed it: %s", d)
	}
	if !back.UpdatedAt.Equal(b.now.UTC()) {
		t.Errorf("updated at %v", back.UpdatedAt)
	}
	b.taken()
	next, err := b.Clients.Update(t.Context(), parse(t, `{"client_id":"app"}`))
	if err != nil {
		t.Fatal(err)
	}
	if next.ClientName != "" || next.Trusted || next.Extra != nil || len(next.RedirectURIs)+len(next.Scopes) != 0 ||
		!next.Check(made.ClientSecret, b.now) || next.Epoch != made.Epoch || !next.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("%+v", next)
	}
	if d := cmp.Diff([]string{"client acme/shop app", "event acme/shop client_updated"}, b.taken()); d != "" {
		t.Error(d)
	}
	stale := parse(t, `{"client_id":"app","client_status":"inactive"}`)
	stale.Rev = made.Rev
	_, err = b.Clients.Update(t.Context(), stale)
	wantFault(t, err, fault.Stale, "")
	if log := b.taken(); len(log) != 0 {
		t.Errorf("a stale update did %q", log)
	}
	_, err = b.Clients.Update(t.Context(), parse(t, `{"client_id":"app","authorization_server_id":"system"}`))
	wantFault(t, err, fault.Unprocessable, "authorization_server_id")
	_, err = b.Clients.Update(t.Context(), parse(t, `{"client_id":"nobody"}`))
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Clients.Update(t.Context(), parse(t, `{"client_id":"app","scopes":["nothing"]}`))
	wantFault(t, err, fault.Unprocessable, "scopes[0]")
}

func TestUpdateSecret(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app"}`)
	body := func(s string) client.Client { return parse(t, `{"client_id":"app","client_secret":"`+s+`"}`) }
	c, err := b.Clients.Update(t.Context(), body(secret("n")))
	if err != nil || !c.Check(secret("n"), b.now) || c.Check(made.ClientSecret, b.now) {
		t.Errorf("a new secret: %v", err)
	}
	fresh, _, err := b.Clients.Rotate(t.Context(), "acme", "app", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err = b.Clients.Update(t.Context(), body(secret("n"))) // what was read before the rotation
	if err != nil || !c.Check(fresh, b.now) {
		t.Errorf("an update undid a rotation: %v", err)
	}
	// A public client that becomes confidential gets a secret.
	b.client(t, `{"client_id":"spa","token_endpoint_auth_method":"none"}`)
	c, err = b.Clients.Update(t.Context(), parse(t, `{"client_id":"spa"}`))
	if err != nil || b.Clients.Reveal(t.Context(), &c) != nil || len(c.ClientSecret) < 32 {
		t.Errorf("%q %v", c.ClientSecret, err)
	}
}

// TestDeactivate: what the client holds ends before it is switched off, and again
// after.
func TestDeactivate(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.client(t, `{"client_id":"app"}`)
	off := parse(t, `{"client_id":"app","client_status":"inactive"}`)
	c, err := b.Clients.Update(t.Context(), off)
	if err != nil || c.Active() {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"revoke.client acme/shop app", "client acme/shop app", "event acme/shop client_updated", "revoke.client acme/shop app"}, b.taken()); d != "" {
		t.Error(d)
	}
	if _, err := b.Clients.Update(t.Context(), off); err != nil {
		t.Fatal(err)
	}
	if log := b.taken(); len(log) != 2 {
		t.Errorf("switched off twice: %q", log)
	}
	b.client(t, `{"client_id":"app2"}`)
	b.fail["revoke.client acme/shop app2"] = errors.New("away")
	if _, err := b.Clients.Update(t.Context(), parse(t, `{"client_id":"app2","client_status":"inactive"}`)); err == nil || !ptr(b.get(t, "app2")).Active() {
		t.Errorf("switched off without a revocation: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestDelete(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app"}`)
	wantFault(t, b.Clients.Delete(t.Context(), "acme", "app", made.Rev+1), fault.Stale, "")
	b.fail["revoke.client acme/shop app"] = errors.New("away")
	if err := b.Clients.Delete(t.Context(), "acme", "app", 0); err == nil {
		t.Error("deleted without a revocation")
	}
	b.get(t, "app")
	delete(b.fail, "revoke.client acme/shop app")
	b.taken()
	if err := b.Clients.Delete(t.Context(), "acme", "app", made.Rev); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"revoke.client acme/shop app", "client acme/shop app", "revoke.client acme/shop app", "event acme/shop client_deleted"}, b.taken()); d != "" {
		t.Error(d)
	}
	wantFault(t, b.Clients.Delete(t.Context(), "acme", "app", 0), fault.NotFound, "")
	again := b.client(t, `{"client_id":"app"}`)
	if again.Epoch == made.Epoch {
		t.Error("a new client has the epoch of the old one")
	}
	b.client(t, `{"client_id":"core","system":true}`)
	wantFault(t, b.Clients.Delete(t.Context(), "acme", "core", 0), fault.Denied, "")
}

func TestList(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.workspace(t, "other")
	for _, body := range []string{
		`{"client_id":"c1","client_name":"Zoo","grant_types":["client_credentials"]}`,
		`{"client_id":"c2","client_name":"ant","token_endpoint_auth_method":"none"}`,
		`{"client_id":"c3","client_name":"Bee","developer_id":"dev"}`,
		`{"client_id":"c4","client_name":"cat","dynamically_registered":true,"client_type":"saml"}`,
		`{"client_id":"a0","client_name":"elsewhere","authorization_server_id":"other"}`,
	} {
		b.client(t, body)
		b.now = b.now.Add(-time.Minute)
	}
	for _, tc := range []struct {
		name   string
		filter client.Filter
		want   string
	}{
		{"by id", client.Filter{}, "c1 c2 c3 c4"},
		{"by name", client.Filter{Sort: "name"}, "c2 c3 c4 c1"},
		{"by issue", client.Filter{Sort: "issued_at"}, "c4 c3 c2 c1"},
		{"down after", client.Filter{Page: store.Page{Desc: true, After: "c3", Limit: 1}}, "c2"},
		{"before", client.Filter{Sort: "name", Page: store.Page{Before: "c1", Limit: 2}}, "c3 c4"},
		{"phrase", client.Filter{Search: "A"}, "c2 c4"},
		{"phrase in id", client.Filter{Search: "C3"}, "c3"},
		{"internal", client.Filter{Type: "internal"}, "c1 c2"},
		{"third party", client.Filter{Type: "third_party"}, "c3 c4"},
		{"application types", client.Filter{ApplicationTypes: []string{"service", "dcr"}}, "c1 c4"},
		{"client types", client.Filter{ClientTypes: []string{"saml"}}, "c4"},
		{"a cursor of another workspace", client.Filter{Page: store.Page{After: "a0"}}, ""},
	} {
		list, err := b.Clients.List(t.Context(), shop, tc.filter)
		var ids []string
		for _, c := range list {
			ids = append(ids, c.ClientID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tc.want {
			t.Errorf("%s: got %q (%v), want %q", tc.name, got, err, tc.want)
		}
	}
	for field, f := range map[string]client.Filter{
		"type": {Type: "x"}, "sort": {Sort: "x"}, "application_types": {ApplicationTypes: []string{"x"}}, "client_types": {ClientTypes: []string{"x"}},
	} {
		_, err := b.Clients.List(t.Context(), shop, f)
		wantFault(t, err, fault.Unprocessable, field)
	}
	_, err := b.Clients.List(t.Context(), tenant.Key{Tenant: "acme", Workspace: "nowhere"}, client.Filter{})
	wantFault(t, err, fault.NotFound, "")
	all, err := b.Clients.All(t.Context(), shop)
	if err != nil || len(all) != 4 {
		t.Error(len(all), err)
	}
}

// TestWorkspaceGone: with its workspace everything of it goes, and what would
// be left over is not found under a new one of that name.
func TestWorkspaceGone(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.client(t, `{"client_id":"app"}`)
	index := func(r *json.RawMessage) (store.Key, bool) { // one for all, it is only about being found
		var v struct {
			Value struct {
				Workspace string `json:"authorization_server_id"`
			}
		}
		return store.Key{Equal: "shop"}, json.Unmarshal(*r, &v) == nil && v.Value.Workspace == "shop"
	}
	left, err := store.Declare(t.Context(), b.store, store.Spec[json.RawMessage]{
		Name:    "clients",
		Indexes: map[string]func(*json.RawMessage) (store.Key, bool){"client_id": index, "name": index, "issued_at": index},
	})
	if err != nil {
		t.Fatal(err)
	}
	row, err := left.Get(t.Context(), "acme", "app")
	if err != nil {
		t.Fatal(err)
	}
	scope, err := b.Scopes.Create(t.Context(), client.Scope{TenantID: "acme", WorkspaceID: "shop", Name: "old"})
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := store.Declare(t.Context(), b.store, store.Spec[json.RawMessage]{
		Name: "scopes", Indexes: map[string]func(*json.RawMessage) (store.Key, bool){"id": index, "name": index},
	})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := scopes.Get(t.Context(), "acme", scope.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.tenants.Workspaces.Delete(t.Context(), shop, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := left.Get(t.Context(), "acme", "app"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the client's record is still there: %v", err)
	}
	_, err = left.Create(t.Context(), "acme", "app", row.Value) // as if somebody had been faster
	if _, err2 := scopes.Create(t.Context(), "acme", scope.ID, kept.Value); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	_, err = b.Clients.Get(t.Context(), "acme", "app")
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Scopes.All(t.Context(), shop)
	wantFault(t, err, fault.NotFound, "")
	b.workspace(t, "shop")
	_, err = b.Clients.Get(t.Context(), "acme", "app")
	wantFault(t, err, fault.NotFound, "")
	if list, err := b.Clients.All(t.Context(), shop); err != nil || len(list) != 0 {
		t.Errorf("%d clients of the old workspace: %v", len(list), err)
	}
	if scopes, err := b.Scopes.All(t.Context(), shop); err != nil || len(scopes) != 20 {
		t.Errorf("%d scopes: %v", len(scopes), err)
	}
	_, err = b.Scopes.Get(t.Context(), "acme", scope.ID)
	wantFault(t, err, fault.NotFound, "")
}

// TestWorkspaceGoes: a workspace that is deleted while something is created in
// it keeps nothing of it.
func TestWorkspaceGoes(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	w, err := b.tenants.Workspaces.Get(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	k, err := client.Open(t.Context(), b.store, client.Config{Ring: ring, Workspace: func(context.Context, tenant.Key) (tenant.Workspace, error) {
		asked++
		if asked%2 == 0 {
			return tenant.Workspace{}, fault.New(fault.NotFound, "gone", nil)
		}
		return w, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Clients.Create(t.Context(), client.Client{TenantID: "acme", WorkspaceID: "shop", ClientID: "late"})
	wantFault(t, err, fault.NotFound, "")
	_, err = k.Services.Create(t.Context(), client.Service{TenantID: "acme", WorkspaceID: "shop", ID: "late", Name: "late"})
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Clients.Get(t.Context(), "acme", "late")
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Services.Get(t.Context(), "acme", "late")
	wantFault(t, err, fault.NotFound, "")
}

func TestStoredSealed(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"app","rotated_secrets":["`+secret("r")+`"]}`)
	raw, err := store.Declare(t.Context(), b.store, store.Spec[json.RawMessage]{Name: "clients"})
	if err != nil {
		t.Fatal(err)
	}
	row, err := raw.Get(t.Context(), "acme", "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{made.ClientSecret, secret("r")} {
		if strings.Contains(string(row.Value), s) {
			t.Errorf("a secret in the clear: %s", row.Value)
		}
		for _, e := range b.events {
			if strings.Contains(string(e.Payload), s) {
				t.Errorf("a secret in an event: %s", e.Payload)
			}
		}
	}
	if len(b.events) == 0 || !strings.HasPrefix(string(b.events[0].Payload), `{"client_created":{"client_id":"app"`) {
		t.Errorf("%d events", len(b.events))
	}
}

func TestOpenNeeds(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	if _, err := client.Open(t.Context(), b.store, client.Config{}); err == nil {
		t.Error("opened without a key ring")
	}
	b.fail["client acme/shop app"] = errors.New("away")
	if _, err := b.Clients.Create(t.Context(), parse(t, `{"client_id":"app"}`)); err == nil {
		t.Error("the change log failed, but not the creation")
	}
}
