package openid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// driven fails for what the document advertises and no test drives: each value
// has the name of its test, here or in package signin.
func driven(t *testing.T, doc map[string]any) {
	t.Helper()
	tests := declared(t)
	for member, values := range map[string]map[string]string{
		"grant_types_supported": {
			"authorization_code": "TestTokens", "refresh_token": "TestTokens", "client_credentials": "TestTokenErrors",
			"urn:ietf:params:oauth:grant-type:jwt-bearer": "TestJWTBearer", "urn:ietf:params:oauth:grant-type:token-exchange": "TestExchange",
			"urn:ietf:params:oauth:grant-type:device_code": "TestDevice",
		},
		"userinfo_signing_alg_values_supported": {"ES256": "TestSignedUserInfo", "RS256": "TestSignedUserInfo", "none": "TestUserInfo"},
		"subject_types_supported":               {"public": "TestUserInfo", "pairwise": "TestPairwiseAnswers"},
	} {
		for _, v := range texts(doc[member]) {
			name := values[v]
			if name == "" || !slices.ContainsFunc(tests, func(x string) bool { return strings.HasPrefix(x, name) }) {
				t.Errorf("%s: %s is advertised; the test %q that drives it is not there", member, v, name)
			}
		}
	}
}

// declared are the names of the tests here and in package signin.
func declared(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*_test.go", "../signin/*_test.go", "../client/*_test.go", "../portal/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(raw)) {
				if rest, ok := strings.CutPrefix(line, "func Test"); ok {
					name, _, _ := strings.Cut(rest, "(")
					names = append(names, "Test"+name)
				}
			}
		}
	}
	return names
}

// TestJWTBearer is the grant of RFC 7523, section 2.1: an assertion by the client's
// own key gives a token once, and one about a person gives none.
func TestJWTBearer(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.OK(err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	s.OK(err)
	c := s.NewClient("client_secret_basic", "urn:ietf:params:oauth:grant-type:jwt-bearer")
	s.ChangeClient(c.ClientID, func(v *client.Client) { v.JWKS = set })
	assertion := func(subject, audience, id string) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
		s.OK(err)
		raw, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": c.ClientID, "sub": subject, "aud": audience, "exp": s.Now().Add(time.Minute).Unix(), "jti": id,
		}).Serialize()
		s.OK(err)
		return raw
	}
	here := signintest.SiteBase + "/default/default"
	for _, tc := range []struct{ name, assertion, want string }{
		{"right", assertion(c.ClientID, here, "one"), ""},
		{"used", assertion(c.ClientID, here, "one"), "invalid_grant"},
		{"a person", assertion(s.User(signintest.Alice).ID, here, "two"), "invalid_grant"},
		{"for somebody else", assertion(c.ClientID, "https://elsewhere.example", "three"), "invalid_grant"},
		{"rubbish", "x", "invalid_grant"},
	} {
		f := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {tc.assertion}}
		v := object(t, s.Tab().Post(tokenPath, f, "Authorization", basic(c.ClientID, c.ClientSecret)))
		if text(v["error"]) != tc.want || (text(v["access_token"]) != "") != (tc.want == "") || v["refresh_token"] != nil {
			t.Errorf("%s: %v", tc.name, v)
		}
	}
}

// A workspace advertises what its settings leave.
func TestDiscoveryOfSettings(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	w, err := s.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	w.GrantTypes = []string{"authorization_code", "implicit", "password"}
	w.Advanced.DisablePAR = true
	_, err = s.Tenants.Workspaces.Update(t.Context(), w)
	s.OK(err)
	doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration"))
	if got := texts(doc["grant_types_supported"]); !slices.Equal(got, []string{"authorization_code"}) {
		t.Errorf("grant types %v", got)
	}
	for _, name := range []string{"device_authorization_endpoint", "pushed_authorization_request_endpoint", "registration_endpoint"} {
		if doc[name] != nil {
			t.Errorf("%s: %v", name, doc[name])
		}
	}
	if slices.Contains(texts(doc["introspection_endpoint_auth_methods_supported"]), "none") {
		t.Error("public clients cannot introspect")
	}
}
