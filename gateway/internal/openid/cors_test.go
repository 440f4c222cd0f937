package openid_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const spa = "https://spa.example"

// served returns a site whose public client has a page at spa, and whose other
// clients have pages elsewhere.
func served(t *testing.T) *signintest.Site {
	t.Helper()
	s := signintest.Serve(t)
	s.ChangeClient("demo-public", func(c *client.Client) { c.RedirectURIs = append(c.RedirectURIs, spa+"/callback") })
	for origin, in := range map[string]string{"https://inactive.example": s.Demo.Workspace, "https://admin.example": tenant.Admin} {
		c, err := s.Clients.Clients.Create(t.Context(), client.Client{
			TenantID: s.Demo.Tenant, WorkspaceID: in, ClientName: origin, TokenEndpointAuthMethod: "none", GrantTypes: []string{"authorization_code"},
			ResponseTypes: []string{"code"}, RedirectURIs: []string{origin + "/cb"}, Scopes: []string{"openid"},
		})
		s.OK(err)
		if in == s.Demo.Workspace {
			s.ChangeClient(c.ClientID, func(c *client.Client) { c.ClientStatus = client.StatusInactive })
		}
	}
	return s
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := served(t)
	tab := s.Tab()
	for path, methods := range map[string]string{tokenPath: "POST", revokePath: "POST", userinfoPath: "GET, POST", pushPath: "POST", "/default/default/device/authorization": "POST"} {
		for origin, allowed := range map[string]bool{
			"": false, spa: true, "http://127.0.0.1": true, "http://127.0.0.1:8080": true, "http://[::1]:5173": true, // a native client's, at any port
			"null": false, "http://spa.example": false, "https://spa.example:8443": false, "https://www.spa.example": false, "https://spa.example.evil.example": false,
			"https://evilspa.example": false, "https://SPA.example": false, "https://spa.example/": false, "https://spa.example, https://evil.example": false,
			"https://inactive.example": false, "https://admin.example": false, "http://127.0.0.2:8080": false, "https://127.0.0.1:8080": false, "*": false,
		} {
			var headers []string
			if origin != "" {
				headers = []string{"Origin", origin}
			}
			want := ""
			if allowed {
				want = origin
			}
			method := strings.Fields(methods)[len(strings.Fields(methods))-1]
			a := tab.Send(method, path, "", append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...) // an error, which pages must be able to read
			readable := a.Header.Get("Access-Control-Expose-Headers")
			if a.Status < 400 || a.Header.Get("Access-Control-Allow-Origin") != want || !strings.Contains(a.Header.Get("Vary"), "Origin") ||
				a.Header.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(readable, "WWW-Authenticate") != allowed {
				t.Errorf("%s %s from %q: %d %v", method, path, origin, a.Status, a.Header)
			}
			b := tab.Send(http.MethodOptions, path, "", append([]string{"Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,dpop"}, headers...)...)
			may := b.Header.Get("Access-Control-Allow-Headers")
			if b.Status != http.StatusNoContent || b.Header.Get("Access-Control-Allow-Origin") != want || (b.Header.Get("Access-Control-Allow-Methods") == methods) != allowed ||
				(strings.Contains(may, "Authorization") && strings.Contains(may, "DPoP")) != allowed || b.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("preflight of %s from %q: %d %v", path, origin, b.Status, b.Header)
			}
		}
	}
	if a := tab.Post(introspectPath, url.Values{}, "Origin", spa); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("introspection is for servers")
	}
	if a := tab.Post("/default/nowhere/oauth2/token", url.Values{}, "Origin", spa); a.Status != http.StatusNotFound || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("an unknown workspace: %d %v", a.Status, a.Header)
	}
	if a := tab.Post("/default/admin/oauth2/token", url.Values{}, "Origin", spa); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the origin of another workspace's client")
	}
	for _, path := range []string{"/default/default/.well-known/openid-configuration", "/default/default/.well-known/jwks.json"} {
		if a := tab.Get(path, "Origin", "https://anybody.example"); a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
}

// A page that gets its tokens by itself can read the answer.
func TestCORSOfTokens(t *testing.T) {
	t.Parallel()
	s := served(t)
	q := code(t, s.Tab(), nil)
	a := s.Tab().Post(tokenPath, redeem(q.Get("code")), "Origin", spa)
	if a.Status != http.StatusOK || a.Header.Get("Access-Control-Allow-Origin") != spa {
		t.Fatalf("%d %v", a.Status, a.Header)
	}
	b := s.Tab().Get(userinfoPath, "Origin", spa, "Authorization", "Bearer "+text(object(t, a)["access_token"]))
	if b.Status != http.StatusOK || b.Header.Get("Access-Control-Allow-Origin") != spa {
		t.Errorf("%d %v", b.Status, b.Header)
	}
	s.Faulty.Down(nil)
	if c := s.Tab().Get(userinfoPath, "Origin", spa); c.Status < 400 || c.Header.Get("Access-Control-Allow-Origin") != spa {
		t.Errorf("while the store is away: %d %v", c.Status, c.Header)
	}
}
