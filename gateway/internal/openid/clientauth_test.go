package openid_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// TestClientAssertion: a client with keys at an address of its own gets a token
// (RFC 7523, section 2.2), and mixing ways of authentication gets nothing.
func TestClientAssertion(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.OK(err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	s.OK(err)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(keys.Close)
	c, err := s.Clients.Clients.Create(t.Context(), client.Client{
		TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, TokenEndpointAuthMethod: client.AuthKeyJWT, JWKSURI: keys.URL,
		GrantTypes: []string{"client_credentials"}, ResponseTypes: []string{},
	})
	s.OK(err)
	n := 0
	assertion := func() string {
		n++
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
		s.OK(err)
		raw, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": c.ClientID, "sub": c.ClientID, "aud": signintest.SiteBase + tokenPath, "exp": s.Now().Add(time.Minute).Unix(), "jti": strings.Repeat("j", n),
		}).Serialize()
		s.OK(err)
		return raw
	}
	id, secret := s.Demo.Clients.Confidential.ClientID, s.Demo.Clients.Confidential.ClientSecret
	used := assertion()
	for _, tc := range []struct {
		name, want string
		status     int
		more       url.Values
		auth       string
	}{
		{"right", "", 200, url.Values{"client_assertion": {used}}, ""},
		{"with client_id", "", 200, url.Values{"client_id": {c.ClientID}}, ""},
		{"used", "invalid_client", 401, url.Values{"client_assertion": {used}}, ""},
		{"another client_id", "invalid_client", 401, url.Values{"client_id": {id}}, ""},
		{"another type", "invalid_client", 401, url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}, ""},
		{"no type", "invalid_client", 401, url.Values{"client_assertion_type": {""}}, ""},
		{"no assertion", "invalid_client", 401, url.Values{"client_assertion": {""}}, ""},
		{"with Basic", "invalid_request", 400, nil, basic(id, secret)},
		{"with a secret", "invalid_request", 400, url.Values{"client_id": {id}, "client_secret": {secret}}, ""},
		{"17 KiB", "invalid_client", 401, url.Values{"client_assertion": {strings.Repeat("x", 17<<10)}}, ""},
	} {
		f := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion()}}
		for name, v := range tc.more {
			f[name] = v
		}
		var headers []string
		if tc.auth != "" {
			headers = []string{"Authorization", tc.auth}
		}
		a := s.Tab().Post(tokenPath, f, headers...)
		v := object(t, a)
		if a.Status != tc.status || text(v["error"]) != tc.want {
			t.Errorf("%s: %d %v", tc.name, a.Status, v)
		}
		if (a.Status == http.StatusUnauthorized) != strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `Basic realm="`) {
			t.Errorf("%s: WWW-Authenticate %q", tc.name, a.Header.Get("WWW-Authenticate"))
		}
	}
	doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration"))
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		methods, algs := list(doc[endpoint+"_endpoint_auth_methods_supported"]), list(doc[endpoint+"_endpoint_auth_signing_alg_values_supported"])
		want := []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"}
		if endpoint == "introspection" { // a public client has nothing to ask with
			want = want[:4]
		}
		if !slices.Equal(methods, want) || !slices.Equal(algs, []string{"ES256", "PS256", "RS256", "HS256"}) {
			t.Errorf("%s: %v %v", endpoint, methods, algs)
		}
	}
}

func list(v any) []string {
	var out []string
	all, _ := v.([]any)
	for _, x := range all {
		out = append(out, text(x))
	}
	return out
}

// TestGuessedSecrets: a network has so many tries at a client's secret, whether or
// not there is such a client, and beyond them the right one is refused as well; of
// another network it is not, and a right one costs no try.
func TestGuessedSecrets(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	demo := s.Demo.Clients.Confidential
	try := func(id, secret string) signintest.Answer {
		return s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic(id, secret))
	}
	for _, id := range []string{demo.ClientID, "nobody"} {
		for i := range 20 {
			want := http.StatusUnauthorized
			if i >= 5 {
				want = http.StatusTooManyRequests
			}
			if a := try(id, "guess"); a.Status != want || (i >= 5) != (a.Header.Get("Retry-After") != "") {
				t.Errorf("%s, guess %d: %d %s", id, i, a.Status, a.Body)
			}
			if i == 3 && id != "nobody" {
				for range 10 {
					if a := try(id, demo.ClientSecret); a.Status != http.StatusOK {
						t.Errorf("the right one between: %d %s", a.Status, a.Body)
					}
				}
			}
		}
	}
	if a := try(demo.ClientID, demo.ClientSecret); a.Status != http.StatusTooManyRequests {
		t.Errorf("guessed in the end: %d", a.Status)
	}
	cr := signin.Credentials{Client: demo.ClientID, Secret: demo.ClientSecret, Method: client.AuthBasic}
	elsewhere := limit.WithOrigin(t.Context(), limit.Origin{Network: "192.0.2.7"})
	if _, err := s.Signin.AuthenticateClient(elsewhere, s.Home(), cr); err != nil {
		t.Errorf("another network: %v", err)
	}
	s.Pass(3 * time.Minute)
	if a := try(demo.ClientID, demo.ClientSecret); a.Status != http.StatusOK {
		t.Errorf("after a while: %d", a.Status)
	}
}

// TestAssertionAlgorithms: the workspace's list is enforced and told.
func TestAssertionAlgorithms(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	changeSpace(s, func(w *tenant.Workspace) {
		w.TokenEndpointAuthSigningAlgs, w.SubjectIdentifierTypes = []string{"PS256"}, []string{"pairwise"}
	})
	doc := object(t, s.Tab().Get("/default/default/.well-known/openid-configuration"))
	if got := texts(doc["token_endpoint_auth_signing_alg_values_supported"]); !slices.Equal(got, []string{"PS256"}) {
		t.Errorf("advertised: %v", got)
	}
	if got := texts(doc["subject_types_supported"]); !slices.Equal(got, []string{"pairwise"}) || !slices.Contains(texts(doc["claims_supported"]), "idp_method") {
		t.Errorf("advertised: %v, %v", got, doc["claims_supported"])
	}
}
