package openid_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

// Tests that testdata/musts.tsv names and that belong to no one endpoint.

const issuer = signintest.SiteBase + "/default/default"

// Parameters that nobody knows are ignored, and empty ones are left out (RFC 6749,
// sections 3.1 and 3.2).
func TestOtherParameters(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	q := signintest.Ask(url.Values{"utm": {"x"}, "display": {"page"}, "ui_locales": {"de fr"}, "claims_locales": {"de"}})
	for _, name := range []string{"prompt", "max_age", "response_mode", "login_hint", "claims", "acr_values", "request", "request_uri", "id_token_hint"} {
		q.Set(name, "")
	}
	got := tab.Get(signintest.AuthorizePath(q)).Location().Query().Get("code")
	f := redeem(got)
	f.Set("unknown", "x")
	for _, name := range []string{"client_secret", "client_assertion", "scope", "resource"} {
		f.Set(name, "")
	}
	if a := tab.Post(tokenPath, f); a.Status != http.StatusOK {
		t.Errorf("code %q: %d %s", got, a.Status, a.Body)
	}
}

// The state comes back byte by byte (RFC 6749, section 4.1.2), in every response
// mode and beside iss (RFC 9207, section 2).
func TestStateAndIssuer(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	const state = "a b+c&d=e#f%20\"<ä>/?"
	for _, more := range []url.Values{{}, {"prompt": {"none"}, "max_age": {"0"}}} {
		more.Set("state", state)
		for _, mode := range []string{"query", "fragment"} {
			more.Set("response_mode", mode)
			at := tab.Get(signintest.AuthorizePath(signintest.Ask(more))).Location()
			q := at.Query()
			if mode == "fragment" {
				v, err := url.ParseQuery(at.EscapedFragment())
				s.OK(err)
				q = v
			}
			if q.Get("state") != state || q.Get("iss") != issuer || q.Get("code")+q.Get("error") == "" {
				t.Errorf("%s: %v", mode, q)
			}
		}
		more.Set("response_mode", "form_post")
		a := tab.Get(signintest.AuthorizePath(signintest.Ask(more)))
		if !strings.Contains(a.Body, `name="iss" value="`+issuer+`"`) || !strings.Contains(a.Body, `value="a b&#43;c&amp;d=e#f%20&#34;&lt;ä&gt;/?"`) {
			t.Errorf("form_post: %d %s", a.Status, a.Body)
		}
	}
}

// TestMetadataForm is RFC 8414, sections 2, 3.1 and 3.2.
func TestMetadataForm(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	for _, path := range []string{"/default/default/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/default/default"} {
		a := s.Tab().Get(path)
		doc := object(t, a)
		if a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") || doc["issuer"] != issuer {
			t.Errorf("%s: %d %v %v", path, a.Status, a.Header, doc["issuer"])
		}
		if u, err := url.Parse(text(doc["issuer"])); err != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("issuer %v", doc["issuer"])
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} {
			if doc[name] == nil {
				t.Errorf("%s: no %s", path, name)
			}
		}
		for name, v := range doc {
			if list, ok := v.([]any); ok && len(list) == 0 {
				t.Errorf("%s: %s is empty", path, name)
			}
		}
		if slices.Contains(texts(doc["token_endpoint_auth_signing_alg_values_supported"]), "none") || slices.Contains(texts(doc["id_token_signing_alg_values_supported"]), "none") {
			t.Errorf("%s: none is advertised", path)
		}
	}
}

// A code that was asked for without a challenge is not redeemed with a verifier,
// and the other way round (RFC 9700, sections 2.1.1 and 4.8.2): who stole one
// cannot pass it off as theirs.
func TestPKCEDowngrade(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	c := s.Demo.Clients.Confidential
	s.ChangeClient(c.ClientID, func(v *client.Client) {
		v.RedirectURIs, v.ResponseTypes, v.Scopes = client.URIs{signintest.Callback}, []string{"code"}, []string{"openid"}
	})
	tab := s.Tab()
	code(t, tab, nil)
	for name, tc := range map[string]struct {
		challenge, verifier string
		ok                  bool
	}{
		"neither": {"", "", true}, "both": {signintest.Challenge, signintest.Verifier, true},
		"verifier alone": {"", signintest.Verifier, false}, "challenge alone": {signintest.Challenge, "", false},
		"a short verifier": {signintest.Challenge, signintest.Verifier[:42], false}, "a long verifier": {signintest.Challenge, strings.Repeat("a", 129), false},
		"the challenge as verifier": {signintest.Challenge, signintest.Challenge, false},
	} {
		more := url.Values{"client_id": {c.ClientID}, "scope": {"openid"}}
		if tc.challenge == "" {
			more["code_challenge"], more["code_challenge_method"] = []string{""}, []string{""}
		}
		f := url.Values{"grant_type": {"authorization_code"}, "code": {ask(tab, more).Get("code")}, "redirect_uri": {signintest.Callback}, "code_verifier": {tc.verifier}}
		a := tab.Post(tokenPath, f, "Authorization", basic(c.ClientID, c.ClientSecret))
		if v := object(t, a); (a.Status == http.StatusOK) != tc.ok || (!tc.ok && v["error"] != "invalid_grant") {
			t.Errorf("%s: %d %v", name, a.Status, v)
		}
	}
}

// The pages of a sign-in are not framed, not kept, and tell no other site where
// they are (RFC 6749, section 10.13; RFC 9700, sections 4.2.4 and 4.16).
func TestPagesOfASignIn(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	a := tab.Get(tab.Begin())
	policy := a.Header.Get("Content-Security-Policy")
	if a.Status != http.StatusOK || !strings.Contains(policy, "frame-ancestors 'none'") || a.Header.Get("X-Frame-Options") != "DENY" ||
		a.Header.Get("Cache-Control") != "no-store" || !slices.Contains([]string{"same-origin", "no-referrer"}, a.Header.Get("Referrer-Policy")) {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	if strings.Contains(a.Body, "<script src=\"http") || strings.Contains(policy, "unsafe-inline") {
		t.Errorf("foreign or inline scripts: %s", policy)
	}
}

// What is sent to clients cannot be guessed (RFC 6749, section 10.10): at least
// 128 random bits, none like another.
func TestUnguessable(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	seen := map[string]bool{}
	for range 20 {
		q := ask(tab, url.Values{"scope": {"openid offline_access"}})
		set := object(t, s.Tab().Post(tokenPath, redeem(q.Get("code"))))
		parts := strings.Split(text(set["refresh_token"]), ".")
		for _, v := range []string{q.Get("code"), text(set["access_token"]), parts[len(parts)-1], push(t, tab, nil)} {
			if len(v) < 22 || seen[v] {
				t.Errorf("%q: short, or seen before", v)
			}
			seen[v] = true
		}
	}
}

// While the store is away nothing is called revoked or inactive that may not be
// (RFC 7009, section 2.2.1; RFC 7662, section 2.2).
func TestStoreAwayFromTokens(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	_, as := asks(s, "introspect_tokens", "revoke_tokens")
	set := tokensOf(t, s, "openid offline_access")
	s.Faulty.Down(nil)
	for _, path := range []string{introspectPath, revokePath} {
		a := s.Tab().Post(path, about(text(set["refresh_token"])), as...)
		if v := object(t, a); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || v["error"] != "temporarily_unavailable" {
			t.Errorf("%s: %d %v", path, a.Status, v)
		}
	}
	s.Faulty.Up()
	if a := s.Tab().Post(introspectPath, about(text(set["refresh_token"])), as...); object(t, a)["active"] != true {
		t.Errorf("it has ended: %s", a.Body)
	}
}

// Ids and secrets of clients are form-urlencoded before they are joined for Basic
// (RFC 6749, section 2.3.1).
func TestBasicIsFormEncoded(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	c := s.Demo.Clients.Confidential
	every := func(v string) string { // each character escaped, as is allowed
		var b strings.Builder
		for _, x := range []byte(v) {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{x})))
		}
		return b.String()
	}
	cc := url.Values{"grant_type": {"client_credentials"}}
	for name, tc := range map[string]struct {
		pair string
		ok   bool
	}{
		"as they are": {c.ClientID + ":" + c.ClientSecret, true}, "encoded": {every(c.ClientID) + ":" + every(c.ClientSecret), true},
		"encoded twice": {every(c.ClientID) + ":" + url.QueryEscape(every(c.ClientSecret)), false}, "broken": {c.ClientID + ":%zz", false},
	} {
		a := s.Tab().Post(tokenPath, cc, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(tc.pair)))
		if (a.Status == http.StatusOK) != tc.ok || (!tc.ok && a.Status != http.StatusUnauthorized) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

// Clients can see that answers carry iss (RFC 9207, section 2.3) and that PKCE is
// there, by S256 alone (RFC 9700, section 2.1.1).
func TestIssuerIsAdvertised(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration"))
	if doc["authorization_response_iss_parameter_supported"] != true || !slices.Equal(texts(doc["code_challenge_methods_supported"]), []string{"S256"}) {
		t.Errorf("%v %v", doc["authorization_response_iss_parameter_supported"], doc["code_challenge_methods_supported"])
	}
}
