package openid_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const tokenPath = "/default/default/oauth2/token"

func object(t testing.TB, a signintest.Answer) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("status %d: %v: %s", a.Status, err, a.Body)
	}
	return v
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// code signs alice in and returns the parameters of the answer.
func code(t testing.TB, tab *signintest.Tab, more url.Values) url.Values {
	t.Helper()
	a := tab.Get(signintest.AuthorizePath(signintest.Ask(more)))
	a = tab.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword)
	if a.Status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d %s", a.Status, a.Body)
	}
	return a.Location().Query()
}

func redeem(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {signintest.Callback},
		"client_id": {"demo-public"}, "code_verifier": {signintest.Verifier},
	}
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// TestDiscovery walks the document: what it advertises works.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	a := tab.Get("/default/default/.well-known/openid-configuration")
	doc := object(t, a)
	if a.Status != http.StatusOK || doc["issuer"] != signintest.SiteBase+"/default/default" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", a.Status, doc)
	}
	if b := tab.Get("/.well-known/oauth-authorization-server/default/default"); b.Body != a.Body {
		t.Error("RFC 8414's address says something else")
	}
	for name, v := range doc {
		if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		method := http.MethodGet
		if got := tab.Send(method, text(v), ""); got.Status == http.StatusMethodNotAllowed {
			method = http.MethodPost
		}
		if got := tab.Send(method, text(v), ""); got.Status == http.StatusNotFound || got.Status == http.StatusMethodNotAllowed || got.Status >= http.StatusInternalServerError {
			t.Errorf("%s answers %d", name, got.Status)
		}
	}
	for _, mode := range texts(doc["response_modes_supported"]) {
		a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"prompt": {"none"}, "response_mode": {mode}})))
		ok := map[string]bool{
			"query":     strings.HasPrefix(a.Header.Get("Location"), signintest.Callback+"?"),
			"fragment":  strings.HasPrefix(a.Header.Get("Location"), signintest.Callback+"#"),
			"form_post": a.Status == http.StatusOK && strings.Contains(a.Body, `name="error" value="login_required"`),
		}[mode]
		if !ok {
			t.Errorf("response_mode %s: %d %s", mode, a.Status, a.Header.Get("Location"))
		}
	}
	for _, p := range texts(doc["prompt_values_supported"]) {
		if a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"prompt": {p}}))); a.Location().Query().Get("error") == "invalid_request" {
			t.Errorf("prompt=%s is refused", p)
		}
	}
	driven(t, doc)
	jwks := object(t, tab.Get(text(doc["jwks_uri"])))
	keys, _ := jwks["keys"].([]any)
	for _, k := range keys {
		key, _ := k.(map[string]any)
		if key["d"] != nil || key["kid"] == "" || key["alg"] != "ES256" {
			t.Errorf("key %v", key)
		}
	}
	if len(keys) < 2 {
		t.Errorf("%d keys: the next one is published too", len(keys))
	}
	if b := tab.Get("/default/default/assertion/jwks.json"); b.Status != http.StatusOK || b.Body == tab.Get(text(doc["jwks_uri"])).Body {
		t.Error("assertions have keys of their own")
	}
}

func TestUnknownWorkspace(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	for _, space := range []string{"/default/nowhere", "/nowhere/default", "/default/..%2fdefault", "/default/default%00"} {
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json", "/oauth2/authorize", "/userinfo", "/app", "/oidc/logout"} {
			if a := tab.Get(space + path); a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
				t.Errorf("GET %s%s: %d", space, path, a.Status)
			}
		}
	}
	a := tab.Post("/default/nowhere/oauth2/token", redeem("x"))
	if v := object(t, a); a.Status != http.StatusNotFound || v["error"] == nil || v["error_code"] != 404.0 {
		t.Errorf("token: %d %v", a.Status, v)
	}
}

// TestAuthorizeErrors: before a redirect URI is checked a page, then a redirect.
func TestAuthorizeErrors(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	for _, tc := range []struct {
		name string
		more url.Values
		want string // "" is a page
	}{
		{"no client", url.Values{"client_id": {""}}, ""},
		{"unknown client", url.Values{"client_id": {"x"}}, ""},
		{"client of another workspace", url.Values{"client_id": {s.Demo.Clients.Admin.ClientID}}, ""},
		{"unregistered redirect URI", url.Values{"redirect_uri": {"https://evil.example/callback"}}, ""},
		{"redirect URI with a fragment", url.Values{"redirect_uri": {signintest.Callback + "#x"}}, ""},
		{"redirect URI of a script", url.Values{"redirect_uri": {"javascript:alert(1)"}}, ""},
		{"no redirect URI of several", url.Values{"redirect_uri": {""}}, ""},
		{"twice", url.Values{"scope": {"openid", "email"}}, ""},
		{"two redirect URIs", url.Values{"redirect_uri": {signintest.Callback, "https://evil.example"}}, ""},
		{"no response type", url.Values{"response_type": {""}}, "invalid_request"},
		{"implicit", url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"unknown scope", url.Values{"scope": {"openid \"x\""}}, "invalid_scope"},
		{"no PKCE", url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "invalid_request"},
		{"plain PKCE", url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		{"method without challenge", url.Values{"code_challenge": {""}}, "invalid_request"},
		{"broken challenge", url.Values{"code_challenge": {"x"}}, "invalid_request"},
		{"unknown prompt", url.Values{"prompt": {"never"}}, "invalid_request"},
		{"none and more", url.Values{"prompt": {"none login"}}, "invalid_request"},
		{"none", url.Values{"prompt": {"none"}}, "login_required"},
		{"max_age", url.Values{"max_age": {"-1"}}, "invalid_request"},
		{"response mode", url.Values{"response_mode": {"jwt"}}, "invalid_request"},
		{"request object", url.Values{"request": {"x"}}, "request_not_supported"},
		{"request_uri", url.Values{"request_uri": {"https://a.example"}}, "request_uri_not_supported"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			tab := s.Tab()
			a := tab.Get(signintest.AuthorizePath(signintest.Ask(tc.more)))
			if method == http.MethodPost {
				a = tab.Post("/default/default/oauth2/authorize", signintest.Ask(tc.more))
			}
			if tc.want == "" {
				if a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.Header.Get("Content-Type"), "text/html") {
					t.Errorf("%s %s: %d to %q", method, tc.name, a.Status, a.Header.Get("Location"))
				}
				continue
			}
			q := a.Location().Query()
			if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), signintest.Callback+"?") ||
				q.Get("error") != tc.want || q.Get("state") != "st" || q.Get("iss") != signintest.SiteBase+"/default/default" ||
				q.Get("trace_id") != a.Header.Get("X-Trace-ID") || strings.ContainsAny(q.Get("error_description"), "\"\\\r\n") {
				t.Errorf("%s %s: %d %v", method, tc.name, a.Status, q)
			}
		}
	}
}

func TestNothingInjectsHeaders(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	evil := "a\r\nSet-Cookie: x=y\r\n"
	for _, name := range []string{"state", "scope", "prompt", "nonce", "max_age", "response_mode", "login_hint"} {
		a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{name: {evil}, "prompt": {"none"}})))
		if strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), ","), "x=y") {
			t.Errorf("%s sets a cookie", name)
		}
	}
}

// A form that another site posts carries no Lax cookies; the browser is sent
// round once more so that they count.
func TestAuthorizePost(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	a := s.Tab().Post("/default/default/oauth2/authorize", signintest.Ask(nil), "Sec-Fetch-Site", "cross-site")
	if a.Status != http.StatusSeeOther || a.Location().Path != "/default/default/oauth2/authorize" {
		t.Fatalf("%d %s", a.Status, a.Location())
	}
	if b := tab.Get(a.Location().String()); b.Location().Query().Get("code") == "" {
		t.Errorf("then: %d %s", b.Status, b.Location())
	}
	if b := tab.Post("/default/default/oauth2/authorize", signintest.Ask(nil)); b.Location().Query().Get("code") == "" {
		t.Errorf("from the same site: %d %s", b.Status, b.Location())
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	q := code(t, s.Tab(), url.Values{"scope": {"openid email offline_access"}})
	tab := s.Tab()
	a := tab.Post(tokenPath, redeem(q.Get("code")))
	set := object(t, a)
	if a.Status != http.StatusOK || !strings.EqualFold(text(set["token_type"]), "bearer") || set["expires_in"] == nil || text(set["refresh_token"]) == "" ||
		a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		t.Fatalf("%d %v %v", a.Status, set, a.Header)
	}
	b := tab.Get("/default/default/userinfo", "Authorization", "Bearer "+text(set["access_token"]))
	if info := object(t, b); b.Status != http.StatusOK || info["email"] != signintest.Alice || b.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("userinfo %d %v", b.Status, info)
	}
	for name, header := range map[string]string{
		"none": "", "ID token": "Bearer " + text(set["id_token"]), "rubbish": "Bearer x", "basic": basic("a", "b"),
		"refresh token": "Bearer " + text(set["refresh_token"]),
	} {
		var headers []string
		if header != "" {
			headers = []string{"Authorization", header}
		}
		b := tab.Get("/default/default/userinfo", headers...)
		challenge := b.Header.Get("WWW-Authenticate")
		if b.Status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") ||
			strings.Contains(challenge, "error=") != strings.HasPrefix(header, "Bearer") {
			t.Errorf("userinfo with %s: %d %q", name, b.Status, challenge)
		}
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(set["refresh_token"])}, "client_id": {"demo-public"}}
	next := object(t, tab.Post(tokenPath, refresh))
	if text(next["access_token"]) == "" || next["refresh_token"] == set["refresh_token"] {
		t.Errorf("refresh %v", next)
	}
	if again := object(t, tab.Post(tokenPath, redeem(q.Get("code")))); again["error"] != "invalid_grant" {
		t.Errorf("the code again: %v", again)
	}
	if dead := tab.Get("/default/default/userinfo", "Authorization", "Bearer "+text(next["access_token"])); dead.Status != http.StatusUnauthorized {
		t.Errorf("after the replay the token still gives %d", dead.Status)
	}
}

func TestInsufficientScope(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	set := object(t, tab.Post(tokenPath, redeem(code(t, tab, url.Values{"scope": {"email"}}).Get("code"))))
	a := tab.Get("/default/default/userinfo", "Authorization", "Bearer "+text(set["access_token"]))
	if a.Status != http.StatusForbidden || !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("%d %q", a.Status, a.Header.Get("WWW-Authenticate"))
	}
}

// TestTokenErrors is RFC 6749, section 5.2, case by case.
func TestTokenErrors(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	id, secret := s.Demo.Clients.Confidential.ClientID, s.Demo.Clients.Confidential.ClientSecret
	cc := func(more url.Values) url.Values {
		f := url.Values{"grant_type": {"client_credentials"}}
		for name, v := range more {
			f[name] = v
		}
		return f
	}
	for _, tc := range []struct {
		name   string
		form   url.Values
		auth   string
		status int
		want   string // "" is success
	}{
		{"basic", cc(nil), basic(id, secret), 200, ""},
		{"wrong secret by basic", cc(nil), basic(id, "x"), 401, "invalid_client"},
		{"wrong secret by post", cc(url.Values{"client_id": {id}, "client_secret": {"x"}}), "", 401, "invalid_client"},
		{"right secret, wrong method", cc(url.Values{"client_id": {id}, "client_secret": {secret}}), "", 401, "invalid_client"},
		{"nobody", cc(nil), "", 401, "invalid_client"},
		{"unknown client", cc(nil), basic("x", secret), 401, "invalid_client"},
		{"confidential without a secret", cc(url.Values{"client_id": {id}}), "", 401, "invalid_client"},
		{"the proxy's client", cc(url.Values{"client_id": {"gatepost-proxy"}}), "", 401, "invalid_client"},
		{"twice", cc(url.Values{"client_secret": {secret}}), basic(id, secret), 400, "invalid_request"},
		{"two names", cc(url.Values{"client_id": {"demo-public"}}), basic(id, secret), 400, "invalid_request"},
		{"not base64", cc(nil), "Basic !", 401, "invalid_client"},
		{"no colon", cc(nil), "Basic eA==", 401, "invalid_client"},
		{"bearer", cc(nil), "Bearer x", 401, "invalid_client"},
		{"assertion", cc(url.Values{"client_assertion": {"x"}}), "", 401, "invalid_client"},
		{"no grant type", url.Values{}, basic(id, secret), 400, "invalid_request"},
		{"unknown grant type", url.Values{"grant_type": {"password"}}, basic(id, secret), 400, "unsupported_grant_type"},
		{"public client_credentials", cc(url.Values{"client_id": {"demo-public"}}), "", 400, "unauthorized_client"},
		{"foreign scope", cc(url.Values{"scope": {"admin"}}), basic(id, secret), 400, "invalid_scope"},
		{"a parameter twice", cc(url.Values{"scope": {"a", "b"}}), basic(id, secret), 400, "invalid_request"},
		{"no code", url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-public"}}, "", 400, "invalid_request"},
		{"unknown code", redeem("x"), "", 400, "invalid_grant"},
		{"no refresh token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"demo-public"}}, "", 400, "invalid_request"},
		{"unknown refresh token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"demo-public"}, "refresh_token": {"x.1.y"}}, "", 400, "invalid_grant"},
	} {
		var headers []string
		if tc.auth != "" {
			headers = []string{"Authorization", tc.auth}
		}
		a := tab.Post(tokenPath, tc.form, headers...)
		v := object(t, a)
		if a.Status != tc.status || text(v["error"]) != tc.want || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", tc.name, a.Status, v)
		}
		if tc.want == "" {
			continue
		}
		if text(v["error_description"]) == "" || text(v["error_hint"]) == "" || v["error_code"] != float64(tc.status) {
			t.Errorf("%s: members %v", tc.name, v)
		}
		if got := a.Header.Get("WWW-Authenticate"); (a.Status == http.StatusUnauthorized) != strings.HasPrefix(got, "Basic") {
			t.Errorf("%s: WWW-Authenticate %q", tc.name, got)
		}
	}
	a := tab.Post(tokenPath+"?client_id="+id+"&client_secret="+url.QueryEscape(secret), cc(nil))
	if a.Status != http.StatusUnauthorized {
		t.Errorf("credentials in the query: %d", a.Status)
	}
	for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x"} {
		a := tab.Send(http.MethodPost, tokenPath, `{"grant_type":"client_credentials"}`, "Content-Type", kind, "Authorization", basic(id, secret))
		if v := object(t, a); a.Status != http.StatusBadRequest || v["error"] != "invalid_request" {
			t.Errorf("%s: %d %v", kind, a.Status, v)
		}
	}
	if a := tab.Get(tokenPath); a.Status != http.StatusMethodNotAllowed && a.Status != http.StatusNotFound {
		t.Errorf("GET: %d", a.Status)
	}
}

// A secret sent by POST works for a client that is registered so.
func TestClientSecretPost(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	c := s.NewClient("client_secret_post", "client_credentials")
	a := s.Tab().Post(tokenPath, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret},
	})
	if a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	q := code(t, tab, nil)
	s.Faulty.Down(nil)
	a := tab.Post(tokenPath, redeem(q.Get("code")))
	if v := object(t, a); a.Status != http.StatusServiceUnavailable || v["error"] != "temporarily_unavailable" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.Status, v)
	}
	s.Faulty.Up()
	if a := tab.Post(tokenPath, redeem(q.Get("code"))); a.Status != http.StatusOK {
		t.Errorf("the code is still good: %d %s", a.Status, a.Body)
	}
}
