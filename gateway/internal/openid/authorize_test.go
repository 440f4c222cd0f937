package openid_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// inside reads the claims of a JWT that the gateway has just made.
func inside(t testing.TB, raw string) map[string]any {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", raw)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// ask asks for authorization as demo-public and returns the answer's parameters.
func ask(tab *signintest.Tab, more url.Values) url.Values {
	return tab.Get(signintest.AuthorizePath(signintest.Ask(more))).Location().Query()
}

// Programs get the errors that are pages for people as JSON.
func TestAuthorizeErrorsAsJSON(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	for name, more := range map[string]url.Values{
		"unknown client": {"client_id": {"x"}}, "redirect URI": {"redirect_uri": {"https://evil.example"}}, "twice": {"state": {"a", "b"}},
	} {
		a := tab.Get(signintest.AuthorizePath(signintest.Ask(more)), "Accept", "application/json")
		if v := object(t, a); a.Status != http.StatusBadRequest || v["error"] != "invalid_request" || text(v["error_hint"]) == "" || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v", name, a.Status, v)
		}
	}
	a := tab.Get("/default/nowhere/oauth2/authorize", "Accept", "application/json")
	if a.Status != http.StatusNotFound || object(t, a)["error_code"] != 404.0 {
		t.Errorf("unknown workspace: %d %s", a.Status, a.Body)
	}
}

// TestRequestsRefused: what is wrong with a request goes back to its client, with
// iss and state (RFC 6749, section 4.1.2.1; RFC 9207).
func TestRequestsRefused(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	set := object(t, tab.Post(tokenPath, redeem(code(t, tab, nil).Get("code"))))
	sub := text(inside(t, text(set["id_token"]))["sub"])
	id, err := s.Tokens.Sign(t.Context(), s.Space("admin").Token(), 1, "", map[string]any{"sub": sub, "aud": "demo-public"}, 3600e9)
	s.OK(err)
	other, err := s.Tokens.Sign(t.Context(), s.Home().Token(), 1, "", map[string]any{"sub": sub, "aud": "another"}, 3600e9)
	s.OK(err)
	long := func(n int) []string { return []string{strings.Repeat("x", n)} }
	for _, tc := range []struct {
		name string
		more url.Values
		want string
	}{
		{"nonce", url.Values{"nonce": long(513)}, "invalid_request"},
		{"login_hint", url.Values{"login_hint": long(513)}, "invalid_request"},
		{"claims too long", url.Values{"claims": {`{"id_token":{"` + strings.Repeat("x", 2100) + `":null}}`}}, "invalid_request"},
		{"claims no JSON", url.Values{"claims": {"x"}}, "invalid_request"},
		{"claims null", url.Values{"claims": {"null"}}, "invalid_request"},
		{"claims a list", url.Values{"claims": {"[]"}}, "invalid_request"},
		{"claims with a list", url.Values{"claims": {`{"id_token":["email"]}`}}, "invalid_request"},
		{"a claim that is a number", url.Values{"claims": {`{"userinfo":{"email":1}}`}}, "invalid_request"},
		{"essential is a text", url.Values{"claims": {`{"userinfo":{"email":{"essential":"yes"}}}`}}, "invalid_request"},
		{"hint no token", url.Values{"id_token_hint": {"x"}}, "invalid_request"},
		{"hint an access token", url.Values{"id_token_hint": {text(set["access_token"])}}, "invalid_request"},
		{"hint of another workspace", url.Values{"id_token_hint": {id}}, "invalid_request"},
		{"hint of another client", url.Values{"id_token_hint": {other}}, "invalid_request"},
		{"hint changed", url.Values{"id_token_hint": {text(set["id_token"]) + "x"}}, "invalid_request"},
		{"a class that nobody reaches", url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["9"]}}}`}}, "unmet_authentication_requirements"},
		{"a class that is a number", url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":2}}}`}}, "unmet_authentication_requirements"},
		{"another person, none", url.Values{"prompt": {"none"}, "claims": {`{"id_token":{"sub":{"value":"x"}}}`}}, "login_required"},
		{"another person for userinfo, none", url.Values{"prompt": {"none"}, "claims": {`{"userinfo":{"sub":{"value":"x"}}}`}}, "login_required"},
		{"a second factor, none", url.Values{"prompt": {"none"}, "claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}, "login_required"},
		{"too old, none", url.Values{"prompt": {"none"}, "max_age": {"0"}}, "login_required"},
	} {
		q := ask(tab, tc.more)
		if q.Get("error") != tc.want || q.Get("state") != "st" || q.Get("iss") != signintest.SiteBase+"/default/default" || q.Get("error_description") == "" {
			t.Errorf("%s: %v", tc.name, q)
		}
	}
	if q := ask(tab, url.Values{"state": long(2049)}); q.Get("error") != "invalid_request" || q.Has("state") {
		t.Errorf("state: %v", q)
	}
	for name, more := range map[string]url.Values{
		"its own hint":       {"id_token_hint": {text(set["id_token"])}, "prompt": {"none"}},
		"its own sub":        {"claims": {`{"id_token":{"sub":{"values":["x","` + sub + `"]}}}`}, "prompt": {"none"}},
		"unknown claims":     {"claims": {`{"id_token":{"shoe_size":{"essential":true,"value":43}},"else":7}`}, "prompt": {"none"}},
		"voluntary, unmet":   {"acr_values": {"9 2"}, "prompt": {"none"}},
		"voluntary, nowhere": {"acr_values": {"2"}},
		"ui_locales":         {"ui_locales": {"de fr"}},
	} {
		if q := ask(tab, more); q.Get("code") == "" {
			t.Errorf("%s: %v", name, q)
		}
	}
	s.Pass(2 * 3600e9)
	if q := ask(tab, url.Values{"id_token_hint": {text(set["id_token"])}, "prompt": {"none"}}); q.Get("code") == "" {
		t.Errorf("an expired hint: %v", q)
	}
}

// With prompt=none no answer is a page, whatever happens.
func TestPromptNoneNeverShowsAPage(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	known, nobody := s.Tab(), s.Tab()
	code(t, known, nil)
	s.ChangeClient("demo-public", func(c *client.Client) { c.Trusted = false })
	for name, more := range map[string]url.Values{
		"plain": nil, "max_age": {"max_age": {"0"}}, "acr": {"acr_values": {"2"}}, "hint": {"idp_hint": {"nowhere"}}, "long": {"state": {strings.Repeat("x", 2048)}, "nonce": {strings.Repeat("n", 512)}, "login_hint": {strings.Repeat("l", 512)}},
	} {
		for who, tab := range map[string]*signintest.Tab{"known": known, "nobody": nobody} {
			q := signintest.Ask(more)
			q.Set("prompt", "none")
			a := tab.Get(signintest.AuthorizePath(q))
			if got := a.Location(); !strings.HasPrefix(got.String(), signintest.Callback+"?") || got.Query().Get("code")+got.Query().Get("error") == "" {
				t.Errorf("%s, %s: %d %s", name, who, a.Status, got)
			}
		}
	}
	s.ChangeClient("demo-public", func(c *client.Client) { c.Trusted = true })
	if q := ask(known, url.Values{"prompt": {"none"}}); q.Get("code") == "" {
		t.Fatal(q)
	}
	s.Faulty.Down(nil)
	if q := ask(known, url.Values{"prompt": {"none"}}); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("without a store: %v", q)
	}
}

// TestAskedClaims is OpenID Connect Core 1.0, section 5.5: single claims for the
// ID token and for userinfo, apart, of scopes that were not asked for.
func TestAskedClaims(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	get := func(claims, scope string) (id, info map[string]any) {
		t.Helper()
		q := ask(tab, url.Values{"claims": {claims}, "scope": {scope}})
		set := object(t, tab.Post(tokenPath, redeem(q.Get("code"))))
		if text(set["scope"]) != scope {
			t.Fatalf("%v: %v", q, set)
		}
		return inside(t, text(set["id_token"])), object(t, tab.Get("/default/default/userinfo", "Authorization", "Bearer "+text(set["access_token"])))
	}
	id, info := get(`{"id_token":{"email":{"essential":true}},"userinfo":{"name":null}}`, "openid")
	if id["email"] != signintest.Alice || id["name"] != nil || info["name"] != "Alice Example" || info["email"] != nil || id["auth_time"] == nil {
		t.Errorf("ID token %v, userinfo %v", id, info)
	}
	id, info = get(`{"id_token":{"email":{"value":"bob@example.com"},"name":{"values":["Alice Example","x"]}}}`, "openid")
	if id["email"] != nil || id["name"] != "Alice Example" || info["name"] != nil {
		t.Errorf("with values: ID token %v, userinfo %v", id, info)
	}
	id, info = get(`{"id_token":{"aud":{"value":"x"},"iss":null,"client_id":null,"groups":null,"clm":null,"ID_Token":null,"exp":{"value":1}},"ID_TOKEN":{"email":null}}`, "openid")
	if id["aud"] != "demo-public" || id["email"] != nil || info["email"] != nil || id["clm"] != nil || id["client_id"] != nil {
		t.Errorf("smuggled: ID token %v, userinfo %v", id, info)
	}
	s.ChangeClient("demo-public", func(c *client.Client) { c.Scopes = []string{"openid", "profile"} })
	id, info = get(`{"id_token":{"email":null,"name":null},"userinfo":{"email":null}}`, "openid")
	if id["email"] != nil || info["email"] != nil || id["name"] != "Alice Example" {
		t.Errorf("a scope that the client may not have: ID token %v, userinfo %v", id, info)
	}
}

// What a client asks for claim by claim needs consent as a scope does.
func TestAskedClaimsNeedConsent(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	s.ChangeClient("demo-public", func(c *client.Client) { c.Trusted = false })
	at := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"scope": {"openid"}}))).Location()
	if !strings.HasSuffix(at.Path, "/consent") {
		t.Fatalf("no consent asked: %s", at)
	}
	if a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"email":null}}`}}))); !strings.HasSuffix(a.Location().Path, "/consent") {
		t.Errorf("%d %s", a.Status, a.Location())
	} else if page := tab.Get(a.Location().String()); !strings.Contains(page.Body, "mail") {
		t.Errorf("the page does not name it: %d", page.Status)
	}
}

func TestResponseModesOfAWorkspace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		block   bool
		not     []string
		allowed map[string]bool
	}{
		{"all", false, nil, map[string]bool{"": true, "query": true, "fragment": true, "form_post": true, "jwt": false}},
		{"blocked", true, nil, map[string]bool{"": true, "query": true, "fragment": false, "form_post": false}},
		{"one not", false, []string{"fragment"}, map[string]bool{"": true, "query": true, "fragment": false, "form_post": true}},
		{"no query", true, []string{"query", "form_post"}, map[string]bool{"": false, "query": false, "fragment": true, "form_post": false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := signintest.Serve(t)
			tab := s.Tab()
			code(t, tab, nil)
			changeSpace(s, func(w *tenant.Workspace) {
				w.Advanced.BlockResponseModes, w.Advanced.DisallowedResponseModes = tc.block, tc.not
			})
			for mode, want := range tc.allowed {
				a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"response_mode": {mode}})))
				all := a.Location().String() + a.Body
				if strings.Contains(all, "error=invalid_request") == want || a.Status >= http.StatusBadRequest {
					t.Errorf("%q: %d %s", mode, a.Status, a.Location())
				}
			}
		})
	}
}

// Discovery says of requests what is so (RFC 9126, section 5; OpenID Connect
// Discovery 1.0, section 3).
func TestDescribedRequests(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	describe := func() map[string]any {
		return object(t, tab.Get("/default/default/.well-known/openid-configuration"))
	}
	doc := describe()
	if got := strings.Join(texts(doc["acr_values_supported"]), " "); got != "1" || doc["require_pushed_authorization_requests"] != false ||
		doc["claims_parameter_supported"] != true || doc["pushed_authorization_request_endpoint"] != signintest.SiteBase+pushPath {
		t.Errorf("%v", doc)
	}
	p, err := s.Pools.Pools.Get(t.Context(), s.Demo.Tenant, s.Demo.PoolID)
	s.OK(err)
	p.SecondFactorAuthenticationMechanisms = []string{pool.MechanismTOTP}
	_, err = s.Pools.Pools.Update(t.Context(), s.Demo.Tenant, pool.Input{Pool: p})
	s.OK(err)
	changeSpace(s, func(w *tenant.Workspace) {
		w.RequirePAR, w.Advanced.DisallowedResponseModes = true, []string{"fragment"}
	})
	doc = describe()
	if got := strings.Join(texts(doc["acr_values_supported"]), " "); got != "1 2" || doc["require_pushed_authorization_requests"] != true ||
		strings.Join(texts(doc["response_modes_supported"]), " ") != "query form_post" {
		t.Errorf("%v", doc)
	}
}
