package openid_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

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
