package openid_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

// Tests that testdata/musts.tsv names and that belong to no one endpoint.

const issuer = signintest.SiteBase + "/default/default"

// signed verifies a JWT by the published keys, as anybody else would, and returns
// its header and its claims.
func signed(t testing.TB, s *signintest.Site, raw string) (header jose.Header, claims map[string]any) {
	t.Helper()
	var keys jose.JSONWebKeySet
	s.OK(json.Unmarshal([]byte(s.Tab().Get("/default/default/.well-known/jwks.json").Body), &keys))
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256})
	s.OK(err)
	found := keys.Key(jws.Signatures[0].Header.KeyID)
	if len(found) != 1 {
		t.Fatalf("%d published keys have the kid %q", len(found), jws.Signatures[0].Header.KeyID)
	}
	body, err := jws.Verify(found[0])
	s.OK(err)
	s.OK(json.Unmarshal(body, &claims))
	return jws.Signatures[0].Header, claims
}

func seconds(v any) int64 {
	n, _ := v.(float64)
	return int64(n)
}

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

// TestAccessTokenProfile is RFC 9068, sections 2.1 and 2.2, for a person and for a
// client alone.
func TestAccessTokenProfile(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	c, _ := asks(s, "introspect_tokens")
	seen := map[string]bool{}
	for name, raw := range map[string]string{
		"person": text(tokensOf(t, s, "openid email")["access_token"]), "again": text(tokensOf(t, s, "openid email")["access_token"]), "client": ownToken(t, s, c, ""),
	} {
		header, v := signed(t, s, raw)
		id, scope := "demo-public", "email openid"
		if name == "client" {
			id, scope = c.ClientID, "introspect_tokens"
		}
		if header.ExtraHeaders["typ"] != "at+jwt" || header.Algorithm != "ES256" || header.KeyID == "" {
			t.Errorf("%s: header %+v", name, header)
		}
		if v["iss"] != issuer || v["client_id"] != id || v["scope"] != scope || text(v["sub"]) == "" || !slices.Contains(texts(v["aud"]), id) ||
			seconds(v["exp"]) <= seconds(v["iat"]) || seconds(v["exp"]) > s.Now().Add(24*time.Hour).Unix() || text(v["jti"]) == "" || seen[text(v["jti"])] {
			t.Errorf("%s: %v", name, v)
		}
		seen[text(v["jti"])] = true
		if person := name != "client"; person != (v["auth_time"] != nil) || person == (v["sub"] == id) {
			t.Errorf("%s: sub %v, auth_time %v", name, v["sub"], v["auth_time"])
		}
	}
}

// TestIDTokenProfile is OpenID Connect Core 1.0, sections 2 and 3.1.3.6.
func TestIDTokenProfile(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	signedIn := s.Now().Unix()
	tab := s.Tab()
	code(t, tab, nil)
	s.Pass(time.Minute)
	q := ask(tab, url.Values{"nonce": {"N-0s6_WzA2Mj+&"}, "max_age": {"3600"}})
	set := object(t, tab.Post(tokenPath, redeem(q.Get("code"))))
	header, v := signed(t, s, text(set["id_token"]))
	sub := text(v["sub"])
	if header.Algorithm == "none" || header.KeyID == "" || header.JSONWebKey != nil || header.ExtraHeaders["x5u"] != nil || header.ExtraHeaders["jku"] != nil {
		t.Errorf("header %+v", header)
	}
	if v["iss"] != issuer || v["aud"] != "demo-public" || v["nonce"] != "N-0s6_WzA2Mj+&" || seconds(v["auth_time"]) != signedIn || seconds(v["iat"]) != s.Now().Unix() ||
		seconds(v["exp"]) <= seconds(v["iat"]) || sub == "" || len(sub) > 255 || strings.ContainsFunc(sub, func(r rune) bool { return r > '~' }) {
		t.Errorf("claims %v", v)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(text(v["at_hash"])); err != nil || len(raw) != 16 {
		t.Errorf("at_hash %v", v["at_hash"])
	}
	if amr, ok := v["amr"].([]any); !ok || len(texts(amr)) == 0 {
		t.Errorf("amr %v", v["amr"])
	}
}

// A renewed ID token is about the same sign-in (OpenID Connect Core 1.0, section
// 12.2), and so is a renewed access token (RFC 9068, section 2.2.1).
func TestRenewedTokens(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	set := tokensOf(t, s, "openid offline_access")
	s.Pass(time.Minute)
	next := object(t, s.Tab().Post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(set["refresh_token"])}, "client_id": {"demo-public"}}))
	for kind, same := range map[string][]string{
		"id_token":     {"iss", "sub", "aud", "auth_time", "azp", "acr", "amr", "sid"},
		"access_token": {"iss", "sub", "aud", "auth_time", "client_id", "acr", "amr", "scope"},
	} {
		_, old := signed(t, s, text(set[kind]))
		_, v := signed(t, s, text(next[kind]))
		for _, name := range same {
			if diff := cmp.Diff(old[name], v[name]); diff != "" {
				t.Errorf("%s: %s (-old +new):\n%s", kind, name, diff)
			}
		}
		if seconds(v["iat"]) != s.Now().Unix() || v["nonce"] != nil || v["auth_time"] == nil {
			t.Errorf("%s: iat %v, nonce %v, auth_time %v", kind, v["iat"], v["nonce"], v["auth_time"])
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

// A client gets no more than its registration and the person's grant hold, and
// learns what it got (RFC 6749, sections 3.3 and 6; RFC 9700, section 2.3).
func TestGrantedScope(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	set := tokensOf(t, s, "openid email offline_access")
	if text(set["scope"]) != "email offline_access openid" {
		t.Errorf("scope %v", set["scope"])
	}
	refresh := func(scope string) map[string]any {
		return object(t, s.Tab().Post(tokenPath, url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {text(set["refresh_token"])}, "client_id": {"demo-public"}, "scope": {scope},
		}))
	}
	if v := refresh("openid profile"); v["error"] != "invalid_scope" {
		t.Errorf("wider: %v", v)
	}
	if v := refresh("email"); v["scope"] != "email" || v["id_token"] != nil {
		t.Errorf("narrower: %v", v)
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

// What a token is bound to is in it and in its introspection (RFC 9449, section 6),
// and discovery says by which algorithms (section 5.1).
func TestBoundTokenIsSaid(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	s.OK(s.Flags.Set(t.Context(), s.Demo.Tenant, flag.DPoP, true, "test"))
	p := signintest.NewProver(t)
	tab := s.Tab()
	proof := p.Proof(http.MethodPost, signintest.SiteBase+tokenPath, "", s.Now(), nil)
	set := object(t, tab.Post(tokenPath, redeem(code(t, tab, nil).Get("code")), "DPoP", proof))
	_, as := asks(s, "introspect_tokens")
	_, claims := signed(t, s, text(set["access_token"]))
	said := object(t, tab.Post(introspectPath, about(text(set["access_token"])), as...))
	for name, v := range map[string]any{"claims": claims["cnf"], "introspection": said["cnf"]} {
		if cnf, _ := v.(map[string]any); cnf["jkt"] != p.Thumbprint() {
			t.Errorf("%s: cnf is %v, want %s", name, v, p.Thumbprint())
		}
	}
	if said["token_type"] != "DPoP" || said["active"] != true {
		t.Errorf("introspection: %v", said)
	}
	doc := object(t, tab.Get("/default/default/.well-known/openid-configuration"))
	if algs := texts(doc["dpop_signing_alg_values_supported"]); !slices.Contains(algs, "ES256") || slices.Contains(algs, "none") {
		t.Errorf("discovery: %v", algs)
	}
}

// A refresh token that comes again after the grace ends the family with its access
// tokens; one that was forged ends nothing (RFC 9700, section 4.14.2).
func TestRefreshTokenReuse(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	refresh := func(token any) map[string]any {
		return object(t, s.Tab().Post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(token)}, "client_id": {"demo-public"}}))
	}
	first := tokensOf(t, s, "openid offline_access")
	second := refresh(first["refresh_token"])
	third := refresh(second["refresh_token"])
	s.Pass(time.Minute)
	mac := strings.LastIndex(text(first["refresh_token"]), ".")
	for _, forged := range []string{text(first["refresh_token"])[:mac+1] + strings.Repeat("A", 43), text(first["refresh_token"])[:mac+1], "x"} {
		if v := refresh(forged); v["error"] != "invalid_grant" {
			t.Errorf("forged: %v", v)
		}
	}
	fourth := refresh(third["refresh_token"])
	if text(fourth["refresh_token"]) == "" {
		t.Fatalf("what is forged ends nothing: %v", fourth)
	}
	for _, set := range []map[string]any{first, fourth} {
		if v := refresh(set["refresh_token"]); v["error"] != "invalid_grant" {
			t.Errorf("%v", v)
		}
	}
	if a := s.Tab().Get(userinfoPath, "Authorization", "Bearer "+text(fourth["access_token"])); a.Status != http.StatusUnauthorized {
		t.Errorf("the access token of the family: %d", a.Status)
	}
}
