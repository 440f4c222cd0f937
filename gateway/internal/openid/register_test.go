package openid_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const registerPath = "/default/default/oauth2/register"

const registration = `{"client_name":"App","redirect_uris":["https://app.example/cb"],"grant_types":["authorization_code"]}`

// machine wants tokens of its own beside those of people.
const machine = `{"client_name":"App","redirect_uris":["https://app.example/cb"],"grant_types":["authorization_code","client_credentials"]}`

// open lets clients register themselves in the demo's workspace.
func open(s *signintest.Site, alter func(*tenant.Workspace)) {
	s.T.Helper()
	w, err := s.Tenants.Workspaces.Get(s.T.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	w.ClientRegistration.Enabled = true
	if alter != nil {
		alter(&w)
	}
	_, err = s.Tenants.Workspaces.Update(s.T.Context(), w)
	s.OK(err)
}

func register(s *signintest.Site, body string, headers ...string) signintest.Answer {
	s.T.Helper()
	return s.Tab().Send(http.MethodPost, registerPath, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// initial returns an initial access token.
func initial(s *signintest.Site) string {
	s.T.Helper()
	demo := s.Demo.Clients.Confidential
	s.ChangeClient(demo.ClientID, func(c *client.Client) {
		if !slices.Contains(c.Scopes, "dcr_register") {
			c.Scopes = append(slices.Clone(c.Scopes), "dcr_register")
		}
	})
	a := s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {"dcr_register"}}, "Authorization", basic(demo.ClientID, demo.ClientSecret))
	return text(object(s.T, a)["access_token"])
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// TestRegistration is the life of a client that registers itself.
func TestRegistration(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	open(s, nil)
	a := register(s, registration)
	made := object(t, a)
	id, token := text(made["client_id"]), text(made["registration_access_token"])
	at := strings.TrimPrefix(text(made["registration_client_uri"]), signintest.SiteBase)
	if a.Status != http.StatusCreated || id == "" || token == "" || text(made["client_secret"]) == "" || at != registerPath+"/"+id ||
		made["client_secret_expires_at"] != float64(0) || made["client_id_issued_at"] == nil || made["token_endpoint_auth_method"] != "client_secret_basic" ||
		a.Header.Get("Cache-Control") != "no-store" || text(made["scope"]) != "openid address email phone profile" {
		t.Fatalf("%d %v", a.Status, made)
	}
	tab := s.Tab()
	use := func(secret string) int {
		return tab.Post("/default/default/oauth2/revoke", url.Values{"token": {"x"}}, "Authorization", basic(id, secret)).Status
	}
	if got := use(text(made["client_secret"])); got != http.StatusOK {
		t.Errorf("its secret: %d", got)
	}
	if c := s.Client(id); c.Trusted || !c.DynamicallyRegistered {
		t.Errorf("%+v", c)
	}

	read := object(t, tab.Get(at, bearer(token)...))
	if read["client_name"] != "App" || read["registration_access_token"] != token || read["client_secret"] != made["client_secret"] {
		t.Errorf("%v", read)
	}
	change := func(body string, token string) signintest.Answer {
		return tab.Send(http.MethodPut, at, body, append(bearer(token), "Content-Type", "application/json")...)
	}
	for body, code := range map[string]string{
		`{"client_id":"other","redirect_uris":["https://app.example/cb"]}`:     "invalid_client_metadata",
		`{"client_secret":"guess","redirect_uris":["https://app.example/cb"]}`: "invalid_client_metadata",
		`{"redirect_uris":["http://evil.example/cb"]}`:                         "invalid_redirect_uri",
	} {
		if a := change(body, token); a.Status != http.StatusBadRequest || object(t, a)["error"] != code {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	b := change(`{"client_id":"`+id+`","client_name":"Renamed","redirect_uris":["https://app.example/new"],"trusted":true,"client_status":"inactive"}`, token)
	next := text(object(t, b)["registration_access_token"])
	if b.Status != http.StatusOK || object(t, b)["client_name"] != "Renamed" || next == "" || next == token {
		t.Fatalf("%d %s", b.Status, b.Body)
	}
	if c := s.Client(id); c.Trusted || !c.Active() || c.RedirectURIs[0] != "https://app.example/new" || c.Grants("client_credentials") {
		t.Errorf("%+v", c)
	}
	if a := tab.Get(at, bearer(token)...); a.Status != http.StatusUnauthorized {
		t.Errorf("the token before: %d", a.Status)
	}
	if a := tab.Send(http.MethodDelete, at, "", bearer(next)...); a.Status != http.StatusNoContent || a.Body != "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := tab.Get(at, bearer(next)...); a.Status != http.StatusUnauthorized {
		t.Errorf("after its end: %d", a.Status)
	}
	if got := use(text(made["client_secret"])); got != http.StatusUnauthorized {
		t.Errorf("its secret after its end: %d", got)
	}
}

// TestRegistrationTokens: a registration belongs to the one token that it came
// with.
func TestRegistrationTokens(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	open(s, nil)
	one, two := object(t, register(s, registration)), object(t, register(s, registration))
	tab := s.Tab()
	own := object(t, register(s, machine, bearer(initial(s))...))
	access := object(t, tab.Post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, basicHeader(own)...))["access_token"]
	at := registerPath + "/" + text(one["client_id"])
	for name, headers := range map[string][]string{
		"nothing": nil, "another's": bearer(text(two["registration_access_token"])), "an access token": bearer(text(access)),
		"its secret": basicHeader(one), "rubbish": bearer("x"), "the hash of nothing": bearer(""),
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			a := tab.Send(method, at, registration, headers...)
			if a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "B") || object(t, a)["error"] != "invalid_token" {
				t.Errorf("%s with %s: %d %s", method, name, a.Status, a.Body)
			}
		}
	}
	for _, path := range []string{registerPath + "/demo-public", registerPath + "/gatepost-proxy", "/default/admin/oauth2/register/" + text(one["client_id"])} {
		if a := tab.Get(path, bearer(text(one["registration_access_token"]))...); a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	s.ChangeClient(text(one["client_id"]), func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	if a := tab.Get(at, bearer(text(one["registration_access_token"]))...); a.Status != http.StatusForbidden {
		t.Errorf("inactive: %d", a.Status)
	}
}

func basicHeader(c map[string]any) []string {
	return []string{"Authorization", basic(text(c["client_id"]), text(c["client_secret"]))}
}

// TestBadRegistrations is RFC 7591, section 3.2.2.
func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	_, err := s.Clients.Scopes.Create(t.Context(), client.Scope{TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, Name: "payments"})
	s.OK(err)
	open(s, func(w *tenant.Workspace) { w.SubjectIdentifierTypes = []string{"public"} })
	before, err := s.Clients.Clients.All(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	with := func(more string) string { return strings.TrimSuffix(registration, "}") + "," + more + "}" }
	for body, code := range map[string]string{
		``: "invalid_client_metadata", `{`: "invalid_client_metadata", `[]`: "invalid_client_metadata", `null`: "invalid_redirect_uri",
		`{}`:                   "invalid_redirect_uri",
		`{"redirect_uris":[]}`: "invalid_redirect_uri",
		`{"redirect_uris":["http://evil.example/cb"]}`:                                             "invalid_redirect_uri",
		`{"redirect_uris":["https://a.example/cb#x"]}`:                                             "invalid_redirect_uri",
		`{"redirect_uris":["javascript:alert(1)"]}`:                                                "invalid_redirect_uri",
		`{"redirect_uris":["myapp://cb"]}`:                                                         "invalid_redirect_uri",
		`{"redirect_uris":["https://*.example/cb"]}`:                                               "invalid_redirect_uri",
		with(`"software_statement":"x.y.z"`):                                                       "invalid_software_statement",
		with(`"token_endpoint_auth_method":"private_key_jwt"`):                                     "invalid_client_metadata",
		with(`"token_endpoint_auth_method":"tls_client_auth"`):                                     "invalid_client_metadata",
		with(`"token_endpoint_auth_method":"magic"`):                                               "invalid_client_metadata",
		with(`"grant_types":["implicit"]`):                                                         "invalid_client_metadata",
		with(`"grant_types":["password"]`):                                                         "invalid_client_metadata",
		with(`"grant_types":["client_credentials"],"response_types":["code"]`):                     "invalid_client_metadata",
		with(`"response_types":["token"]`):                                                         "invalid_client_metadata",
		with(`"id_token_encrypted_response_alg":"RSA-OAEP"`):                                       "invalid_client_metadata",
		with(`"jwks":{"keys":[{"kty":"EC","d":"x"}]}`):                                             "invalid_client_metadata",
		with(`"jwks":{"keys":[]},"jwks_uri":"ftp://a.example"`):                                    "invalid_client_metadata",
		with(`"scope":"openid nothing"`):                                                           "invalid_client_metadata",
		machine:                                                                                    "invalid_client_metadata",
		with(`"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:jwt-bearer"]`): "invalid_client_metadata",
		with(`"scope":"view_sessions"`):                                                            "invalid_client_metadata",
		with(`"scope":"openid payments"`):                                                          "invalid_client_metadata",
		with(`"subject_type":"pairwise"`):                                                          "invalid_client_metadata",
		with(`"scope":"dcr_register"`):                                                             "invalid_client_metadata",
		with(`"scope":"introspect_tokens"`):                                                        "invalid_client_metadata",
		with(`"scope":"openid revoke_tokens"`):                                                     "invalid_client_metadata",
		with(`"scopes":["dcr_manage"]`):                                                            "invalid_client_metadata",
		with(`"client_uri":"javascript:alert(1)"`):                                                 "invalid_client_metadata",
		with(`"client_name":7`):                                                                    "invalid_client_metadata",
	} {
		a := register(s, body)
		if v := object(t, a); a.Status != http.StatusBadRequest || v["error"] != code || text(v["error_description"]) == "" || v["error_code"] != float64(400) {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	after, err := s.Clients.Clients.All(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	if len(after) != len(before) {
		t.Errorf("%d clients were made", len(after)-len(before))
	}
}

// TestRegistrationIsOff: flag, setting and built-in workspaces.
func TestRegistrationIsOff(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	off := func(when, setting string) {
		t.Helper()
		a := register(s, registration)
		if v := object(t, a); a.Status != http.StatusForbidden || v["error"] != "access_denied" || !strings.Contains(text(v["error_description"]), setting) {
			t.Errorf("%s: %d %s", when, a.Status, a.Body)
		}
		if doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration")); doc["registration_endpoint"] != nil {
			t.Errorf("%s: %v", when, doc["registration_endpoint"])
		}
	}
	off("by default", "dynamic_client_registration.enabled")
	open(s, nil)
	if doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration")); doc["registration_endpoint"] != signintest.SiteBase+registerPath {
		t.Errorf("%v", doc["registration_endpoint"])
	}
	s.OK(s.Flags.Set(t.Context(), s.Demo.Tenant, flag.DynamicClientRegistration, false, "test"))
	off("without the flag", "feature flag")
	s.OK(s.Flags.Set(t.Context(), s.Demo.Tenant, flag.DynamicClientRegistration, true, "test"))
	w, err := s.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: tenant.System})
	s.OK(err)
	w.ClientRegistration.Enabled = true
	_, err = s.Tenants.Workspaces.Update(t.Context(), w)
	s.OK(err)
	if a := s.Tab().Send(http.MethodPost, "/default/system/oauth2/register", registration); a.Status != http.StatusForbidden {
		t.Errorf("in the workspace system: %d %s", a.Status, a.Body)
	}
}

// TestInitialAccessToken: where one is required it is good for one registration.
func TestInitialAccessToken(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	open(s, func(w *tenant.Workspace) { w.ClientRegistration.InitialAccessToken.Required = true })
	id, secret := s.Demo.Clients.Confidential.ClientID, s.Demo.Clients.Confidential.ClientSecret
	s.ChangeClient(id, func(c *client.Client) { c.Scopes = append(slices.Clone(c.Scopes), "dcr_register", "view_sessions") })
	get := func(scope string) string {
		a := s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, "Authorization", basic(id, secret))
		return text(object(t, a)["access_token"])
	}
	if a := register(s, registration); a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("without: %d %s", a.Status, a.Body)
	}
	if a := register(s, registration, bearer(get("view_sessions"))...); a.Status != http.StatusForbidden || object(t, a)["error"] != "insufficient_scope" {
		t.Errorf("without the scope: %d %s", a.Status, a.Body)
	}
	token := get("dcr_register")
	if a := register(s, `{}`, bearer(token)...); a.Status != http.StatusBadRequest {
		t.Errorf("a bad registration: %d", a.Status)
	}
	if a := register(s, registration, bearer(token)...); a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := register(s, registration, bearer(token)...); a.Status != http.StatusUnauthorized {
		t.Errorf("again: %d %s", a.Status, a.Body)
	}
	token = get("dcr_register")
	got := make(chan int, 10)
	for range 10 {
		go func() { got <- register(s, registration, bearer(token)...).Status }()
	}
	count := map[int]int{}
	for range 10 {
		count[<-got]++
	}
	if want := map[int]int{http.StatusCreated: 1, http.StatusUnauthorized: 9}; !maps.Equal(count, want) {
		t.Errorf("ten at once: %v", count)
	}
}

// TestRegistrationSettings are those of the workspace.
func TestRegistrationSettings(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	open(s, func(w *tenant.Workspace) {
		set := &w.ClientRegistration
		set.DefaultScopes, set.DisableTokenRotation, set.DisableTokenExpiry = []string{"openid", "introspect_tokens"}, true, true
		w.Advanced.IgnoreUnknownScopesForDCR = true
	})
	if v := object(t, register(s, registration)); v["scope"] != "openid introspect_tokens" {
		t.Errorf("%v", v["scope"])
	}
	made := object(t, register(s, strings.TrimSuffix(registration, "}")+`,"scope":"email nothing view_sessions introspect_tokens"}`))
	if made["scope"] != "email introspect_tokens" {
		t.Errorf("%v", made["scope"])
	}
	token, at := text(made["registration_access_token"]), registerPath+"/"+text(made["client_id"])
	s.Pass(399 * 24 * 60 * 60 * 1e9)
	a := s.Tab().Send(http.MethodPut, at, registration, bearer(token)...)
	if v := object(t, a); a.Status != http.StatusOK || v["registration_access_token"] != token || v["scope"] != "email introspect_tokens" {
		t.Errorf("%d %s", a.Status, a.Body)
	}

	open(s, func(w *tenant.Workspace) { w.ClientRegistration.DisableTokenManagement = true })
	own := object(t, register(s, machine, bearer(initial(s))...))
	if own["registration_access_token"] != nil {
		t.Errorf("%v", own)
	}
	at = registerPath + "/" + text(own["client_id"])
	access := text(object(t, s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, basicHeader(own)...))["access_token"])
	if a := s.Tab().Get(at, bearer(access)...); a.Status != http.StatusOK {
		t.Errorf("its own access token: %d %s", a.Status, a.Body)
	}
	for path, token := range map[string]string{at: token, registerPath + "/" + text(made["client_id"]): access, registerPath + "/demo-public": access} {
		if a := s.Tab().Get(path, bearer(token)...); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	open(s, func(w *tenant.Workspace) {
		w.ClientRegistration.CertificateBoundTokenOnly, w.ClientRegistration.DisableTokenManagement = true, false
	})
	if a := register(s, registration); a.Status != http.StatusBadRequest {
		t.Errorf("without a certificate: %d %s", a.Status, a.Body)
	}
	open(s, func(w *tenant.Workspace) {
		w.ClientRegistration.CertificateBoundTokenOnly = false
		w.ClientRegistration.Payload = json.RawMessage(`{"format":"jws"}`)
	})
	if a := register(s, registration); a.Status != http.StatusForbidden {
		t.Errorf("as JWS: %d %s", a.Status, a.Body)
	}
}

// TestMachineRegistration: grants without a person are for those that came with an
// initial access token, and no change of the registration adds them.
func TestMachineRegistration(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	open(s, nil)
	own := object(t, register(s, machine, bearer(initial(s))...))
	a := s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, basicHeader(own)...)
	if a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := register(s, machine, bearer("x")...); a.Status != http.StatusUnauthorized {
		t.Errorf("a wrong initial access token: %d %s", a.Status, a.Body)
	}
	for _, tc := range []struct {
		made map[string]any
		want int
	}{{own, http.StatusOK}, {object(t, register(s, registration)), http.StatusBadRequest}} {
		at := registerPath + "/" + text(tc.made["client_id"])
		a := s.Tab().Send(http.MethodPut, at, machine, append(bearer(text(tc.made["registration_access_token"])), "Content-Type", "application/json")...)
		if a.Status != tc.want {
			t.Errorf("a change: %d %s", a.Status, a.Body)
		}
	}
}
