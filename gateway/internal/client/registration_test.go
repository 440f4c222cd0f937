package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// attempt reads and registers a client of the workspace shop.
func (b *bench) attempt(t *testing.T, body string, how client.Registering) (client.Client, string, error) {
	t.Helper()
	c, err := client.ReadRegistration([]byte(body))
	if err != nil {
		return c, "", err
	}
	c.TenantID, c.WorkspaceID = "acme", "shop"
	return b.Clients.Register(t.Context(), c, how)
}

// TestRegister: what a client says of itself gives it no power.
func TestRegister(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	c, token, err := b.attempt(t, `{"client_name":"Mine","redirect_uris":["https://a.example/cb"],"client_id":"admin","client_secret":"`+strings.Repeat("s", 40)+`",
		"hashed_secret":"`+strings.Repeat("0", 64)+`","trusted":true,"system":true,"developer_id":"me","audience":["https://id/api"],"tenant_id":"other",
		"authorization_server_id":"system","client_status":"inactive","token_ttls":{"access_token_ttl":"9999h0m0s"},"use_custom_token_ttls":true,
		"metadata":{"a":1},"dynamically_registered":false,"client_secret_expires_at":1,"tos_uri":"https://a.example/tos"}`, client.Registering{Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if c.ClientID == "admin" || c.Trusted || c.System || c.DeveloperID != "" || !c.DynamicallyRegistered || len(c.Audience) > 0 || c.TenantID != "acme" ||
		c.WorkspaceID != "shop" || !c.Active() || c.UseCustomTokenTTLs || c.Metadata != nil || c.ClientSecretExpiresAt != 0 || c.ClientName != "Mine" ||
		len(c.ClientSecret) != 43 || len(token) != 43 || c.ApplicationTypes[1] != "dcr" {
		t.Errorf("%+v", c)
	}
	other, otherToken, err := b.attempt(t, `{"redirect_uris":["https://b.example/cb"]}`, client.Registering{Thumbprint: "x"})
	if err != nil {
		t.Fatal(err)
	}
	made := b.client(t, `{"client_id":"made","authorization_server_id":"shop"}`)
	for name, tc := range map[string]struct{ id, token, thumbprint string }{
		"no token":          {c.ClientID, "", ""},
		"another's token":   {c.ClientID, otherToken, "x"},
		"the secret":        {c.ClientID, c.ClientSecret, ""},
		"no certificate":    {other.ClientID, otherToken, ""},
		"another's":         {other.ClientID, otherToken, "y"},
		"nobody":            {"nobody", token, ""},
		"not self-made":     {made.ClientID, token, ""},
		"not self-made (2)": {made.ClientID, "", ""},
	} {
		_, err := b.Clients.Registered(t.Context(), "acme", tc.id, tc.token, tc.thumbprint)
		if f := fault.Read(err); f.Kind != fault.Unauthenticated || f.Code != "invalid_token" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Clients.Registered(t.Context(), "acme", other.ClientID, otherToken, "x"); err != nil {
		t.Error(err)
	}
	if _, err := b.Clients.Registered(t.Context(), "acme", c.ClientID, token, ""); err != nil {
		t.Error(err)
	}
	b.now = b.now.Add(time.Hour)
	if _, err := b.Clients.Registered(t.Context(), "acme", c.ClientID, token, ""); err == nil {
		t.Error("an expired token is taken")
	}
}

// TestReregister: a client changes what it said, not what administrators did.
func TestReregister(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	c, token, err := b.attempt(t, `{"client_name":"Mine","redirect_uris":["https://a.example/cb"]}`, client.Registering{})
	if err != nil {
		t.Fatal(err)
	}
	c.Trusted, c.Audience, c.Metadata = true, []string{"https://api.example"}, json.RawMessage(`{"a":1}`)
	old, err := b.Clients.Update(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	same, err := client.ReadRegistration([]byte(`{"client_name":"Again","redirect_uris":["https://a.example/cb"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if old, _, err = b.Clients.Reregister(t.Context(), same, old, nil); err != nil || !old.Trusted || old.ClientName != "Again" {
		t.Fatalf("another name: %+v %v", old, err)
	}
	next, err := client.ReadRegistration([]byte(`{"client_name":"Renamed","redirect_uris":["https://b.example/cb"],"trusted":true,"audience":["x"],"software_id":"y"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, fresh, err := b.Clients.Reregister(t.Context(), next, old, &client.Registering{})
	if err != nil || got.ClientName != "Renamed" || got.RedirectURIs[0] != "https://b.example/cb" || got.Trusted || got.Audience[0] != "https://api.example" ||
		string(got.Metadata) != `{"a":1}` || got.SoftwareID != "" || !got.DynamicallyRegistered || !got.Check(c.ClientSecret, b.now) || fresh == token {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := b.Clients.Registered(t.Context(), "acme", c.ClientID, token, ""); err == nil {
		t.Error("the old token still holds")
	}
	if _, err := b.Clients.Registered(t.Context(), "acme", c.ClientID, fresh, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := b.Clients.Reregister(t.Context(), next, old, nil); !fault.Is(err, fault.Stale) {
		t.Errorf("a change to what has changed: %v", err)
	}
	if _, err := b.Clients.Update(t.Context(), got); err != nil {
		t.Error(err)
	}
	if _, err := b.Clients.Registered(t.Context(), "acme", c.ClientID, fresh, ""); err != nil {
		t.Error("an administrator's change ended the token:", err)
	}
}

// TestReregisterPower: a trusted client cannot turn the trust to something else,
// nor loosen what an administrator tightened.
func TestReregisterPower(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	const body = `"redirect_uris":["https://a.example/cb"],"grant_types":["authorization_code"],"scope":"openid","jwks":{"keys":[]}`
	for name, change := range map[string]string{
		"redirect URIs": `"redirect_uris":["https://a.example/cb","https://evil.example/cb"]`,
		"after logout":  `"post_logout_redirect_uris":["https://evil.example"]`,
		"scopes":        `"scope":"openid email"`,
		"grant types":   `"grant_types":["authorization_code","refresh_token"]`,
		"keys":          `"jwks":{"keys":[{"kty":"EC"}]}`,
		"address":       `"jwks":null,"jwks_uri":"https://evil.example/jwks"`,
		"method":        `"token_endpoint_auth_method":"none"`,
		"native":        `"application_type":"native"`,
		"nothing":       `"client_name":"x"`,
	} {
		c, _, err := b.attempt(t, "{"+body+"}", client.Registering{})
		if err != nil {
			t.Fatal(err)
		}
		c.Trusted, c.DPoPBoundAccessTokens, c.RequirePAR, c.CertificateBoundTokens = true, true, true, true
		old, err := b.Clients.Update(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		next, err := client.ReadRegistration([]byte("{" + body + "," + change + "}"))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := b.Clients.Reregister(t.Context(), next, old, nil)
		if err != nil || got.Trusted != (name == "nothing") || !got.DPoPBoundAccessTokens || !got.RequirePAR || !got.CertificateBoundTokens {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// TestSubjectTypes: a workspace's subject_identifier_types bind its clients.
func TestSubjectTypes(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"before","authorization_server_id":"shop"}`)
	b.types = []string{client.Pairwise}
	try := func(body string) (client.Client, error) {
		c := parse(t, body)
		c.TenantID = "acme"
		return b.Clients.Create(t.Context(), c)
	}
	_, err := try(`{"authorization_server_id":"shop","subject_type":"public"}`)
	wantFault(t, err, fault.Unprocessable, "subject_type")
	c, err := try(`{"authorization_server_id":"shop"}`)
	if err != nil || c.SubjectType != client.Pairwise {
		t.Errorf("%q %v", c.SubjectType, err)
	}
	c.SubjectType = "public"
	_, err = b.Clients.Update(t.Context(), c)
	wantFault(t, err, fault.Unprocessable, "subject_type")
	if _, err := try(`{"authorization_server_id":"shop","system":true}`); err != nil {
		t.Error("a system client:", err)
	}
	if made, err = b.Clients.Update(t.Context(), made); err != nil || made.SubjectType != "public" {
		t.Errorf("as it was before: %q %v", made.SubjectType, err)
	}
}

func TestRegisterLimits(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	no := errors.New("no")
	asked := false
	admit := client.Registering{Admit: func(context.Context) error { asked = true; return no }}
	if _, _, err := b.attempt(t, `{"redirect_uris":["http://a.example"]}`, admit); !fault.Is(err, fault.Unprocessable) || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
	if _, _, err := b.attempt(t, `{}`, admit); !errors.Is(err, no) {
		t.Error(err)
	}
	if all, err := b.Clients.All(t.Context(), shop); err != nil || len(all) > 0 {
		t.Errorf("%d clients, %v", len(all), err)
	}
	for _, body := range []string{
		`{"jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"","d":"x"}]}}`, `{"jwks":{"keys":[{"kty":"oct","k":"eA"}]}}`, `{"redirect_uris":["javascript:alert(1)"]}`,
		`{"redirect_uris":["https://a.example/#x"]}`, `{"jwks_uri":"http://a.example/jwks"}`, `{"sector_identifier_uri":"http://a.example"}`,
		`{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"HS256"}`, `{"logo_uri":"javascript:alert(1)"}`,
		`{"redirect_uris":7}`, `{"scope":["a"]}`, `{"token_endpoint_auth_signing_alg":"none"}`, `[]`, `7`, `{"jwks":{},"jwks_uri":7}`,
	} {
		if _, _, err := b.attempt(t, body, client.Registering{}); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}

func TestRegisteredAreCounted(t *testing.T) {
	t.Parallel()
	b := setUp(t, func(c *client.Config) { c.MaxRegistered = 2 })
	for range 2 {
		if _, _, err := b.attempt(t, `{}`, client.Registering{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.attempt(t, `{}`, client.Registering{}); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "2 clients") {
		t.Error(err)
	}
	b.client(t, `{"authorization_server_id":"shop"}`) // administrators go on
	other := client.Client{TenantID: "acme", WorkspaceID: "system"}
	if _, _, err := b.Clients.Register(t.Context(), other, client.Registering{}); err != nil {
		t.Error("another workspace:", err)
	}
}

// TestSector is OpenID Connect Core 1.0, section 8.1.
func TestSector(t *testing.T) {
	t.Parallel()
	at := newAddress(t, []byte(`["https://a.example/cb","https://b.example/cb"]`))
	b := setUp(t, func(c *client.Config) { c.Egress = http.DefaultClient })
	body := func(uris string) client.Client {
		c := parse(t, `{"client_id":"p","authorization_server_id":"shop","subject_type":"pairwise","sector_identifier_uri":"`+at.URL+`/s","redirect_uris":`+uris+`}`)
		c.TenantID = "acme"
		return c
	}
	for name, uris := range map[string]string{"not in it": `["https://evil.example/cb"]`, "one not in it": `["https://a.example/cb","https://evil.example/cb"]`} {
		_, err := b.Clients.Create(t.Context(), body(uris))
		wantFault(t, err, fault.Unprocessable, "sector_identifier_uri")
		if err == nil {
			t.Error(name)
		}
	}
	made, err := b.Clients.Create(t.Context(), body(`["https://a.example/cb","https://b.example/cb"]`))
	if err != nil || made.Sector() != "127.0.0.1" {
		t.Fatalf("%q %v", made.Sector(), err)
	}
	made.RedirectURIs = client.URIs{"https://evil.example/cb"}
	_, err = b.Clients.Update(t.Context(), made)
	wantFault(t, err, fault.Unprocessable, "sector_identifier_uri")
	calls := at.calls.Load()
	at.set(http.StatusInternalServerError, nil)
	made.RedirectURIs, made.ClientName = client.URIs{"https://a.example/cb", "https://b.example/cb"}, "renamed"
	if _, err := b.Clients.Update(t.Context(), made); err != nil {
		t.Error(err)
	}
	at.called(t, calls, "a change of something else")
	for _, answer := range []string{``, `{}`, `<html>`, `[1]`, `"https://a.example/cb"`} {
		at.set(http.StatusOK, []byte(answer))
		c := body(`["https://a.example/cb"]`)
		c.ClientID = ""
		_, err := b.Clients.Create(t.Context(), c)
		wantFault(t, err, fault.Unprocessable, "sector_identifier_uri")
	}
}

func TestPairwiseSubject(t *testing.T) {
	t.Parallel()
	c := client.Client{ClientID: "c", RedirectURIs: client.URIs{"https://A.example:8443/cb"}}
	if c.Sector() != "a.example" {
		t.Error(c.Sector())
	}
	if c.RedirectURIs = nil; c.Sector() != "c" {
		t.Error(c.Sector())
	}
	one := client.PairwiseSubject("salt", "a.example", "ann")
	if len(one) != 43 || one != client.PairwiseSubject("salt", "a.example", "ann") {
		t.Error(one)
	}
	for _, other := range [][3]string{{"salt2", "a.example", "ann"}, {"salt", "b.example", "ann"}, {"salt", "a.example", "bob"}, {"salt", "a.exampl", "eann"}} {
		if client.PairwiseSubject(other[0], other[1], other[2]) == one {
			t.Errorf("%v", other)
		}
	}
}

// TestSecretAsAKey: client_secret_jwt needs the secret, of which hashes keep
// nothing.
func TestSecretAsAKey(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.client(t, `{"client_id":"jwt","authorization_server_id":"shop","token_endpoint_auth_method":"client_secret_jwt"}`)
	secrets, err := b.Clients.Secrets(t.Context(), &made)
	if err != nil || len(secrets) != 1 || secrets[0] != made.ClientSecret {
		t.Errorf("%q %v", secrets, err)
	}
	next, c, err := b.Clients.Rotate(t.Context(), "acme", "jwt", time.Hour, 0)
	if err != nil {
		t.Fatal(err)
	}
	if secrets, err = b.Clients.Secrets(t.Context(), &c); err != nil || len(secrets) != 2 || secrets[0] != next {
		t.Errorf("after a rotation: %q %v", secrets, err)
	}
	b.now = b.now.Add(time.Hour)
	if secrets, err = b.Clients.Secrets(t.Context(), &c); err != nil || len(secrets) != 1 || secrets[0] != next {
		t.Errorf("after the old one's end: %q %v", secrets, err)
	}
	c.Epoch = "other"
	if secrets, err = b.Clients.Secrets(t.Context(), &c); err != nil || len(secrets) > 0 {
		t.Errorf("of a client that has gone: %q %v", secrets, err)
	}
	b.oneWay = true
	for _, body := range []string{
		`{"authorization_server_id":"shop","token_endpoint_auth_method":"client_secret_jwt"}`,
		`{"authorization_server_id":"shop","token_endpoint_auth_method":"client_secret_jwt","hashed_secret":"` + strings.Repeat("0", 64) + `"}`,
	} {
		c := parse(t, body)
		c.TenantID = "acme"
		_, err := b.Clients.Create(t.Context(), c)
		wantFault(t, err, fault.Unprocessable, "token_endpoint_auth_method")
		b.oneWay = false
	}
}
