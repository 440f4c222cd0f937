package openid_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
