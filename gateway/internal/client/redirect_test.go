package client_test

import (
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
)

func TestRegisterRedirect(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, tc := range []struct {
		uri         string
		web, native bool
	}{
		{"https://app.example/cb", true, true},
		{"https://app.example:8443/cb?x=1", true, true},
		{"https://app.example", true, true},
		{"http://127.0.0.1:8080/cb", true, true},
		{"http://127.0.0.2/cb", true, true},
		{"http://[::1]/cb", true, true},
		{"http://localhost/cb", true, true},
		{"http://app.localhost:8080/cb", true, true},
		{"com.example.app:/cb", false, true},
		{"myapp://cb", false, true},
		{"http://app.example/cb", false, false},
		{"http://10.0.0.1/cb", false, false},
		{"http://localhost.example/cb", false, false},
		{"http://127.0.0.1.example/cb", false, false},
		{"https://app.example/cb#x", false, false},
		{"https://app.example/cb#", false, false},
		{"https://user@app.example/cb", false, false},
		{"https://user:pw@app.example/cb", false, false},
		{"https://*.example/cb", false, false},
		{"https://app.example\\@evil.example/", false, false},
		{"https://app.example/\ncb", false, false},
		{"https://app.example/ä", false, false},
		{"https://app.example/a b", false, false},
		{"https://app.example:0/", false, false},
		{"https://app.example:99999/", false, false},
		{"https:///cb", false, false},
		{"https:cb", false, false},
		{"//app.example/cb", false, false},
		{"/cb", false, false},
		{"cb", false, false},
		{"", false, false},
		{"javascript:alert(1)", false, false},
		{"JavaScript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"file:///etc/passwd", false, false},
		{"https://app.example/" + strings.Repeat("x", 2048), false, false},
	} {
		for kind, want := range map[string]bool{"web": tc.web, "native": tc.native} {
			_, err := b.Clients.Create(t.Context(), client.Client{
				TenantID: "acme", WorkspaceID: "shop", ApplicationType: kind, RedirectURIs: client.URIs{tc.uri},
			})
			if want && err != nil {
				t.Errorf("%s %q: %v", kind, tc.uri, err)
			}
			if !want {
				wantFault(t, err, fault.Unprocessable, "redirect_uris[0]")
			}
		}
	}
}

func TestAllowsRedirect(t *testing.T) {
	t.Parallel()
	registered := client.URIs{
		"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb?a=1", "http://localhost:3000", "com.example.app:/cb",
		"http://127.0.0.2/cb", "https://127.0.0.1/cb",
	}
	web := client.Client{ApplicationType: "web", TokenEndpointAuthMethod: client.AuthBasic, RedirectURIs: registered}
	native, public := web, web // a single-page application is public and yet has one port
	native.ApplicationType = client.Native
	public.TokenEndpointAuthMethod = client.AuthNone
	for _, tc := range []struct {
		uri         string
		web, native bool
	}{
		{"https://app.example/cb", true, true},
		{"http://127.0.0.1/cb", true, true},
		{"com.example.app:/cb", true, true},
		{"http://127.0.0.1:49152/cb", false, true},
		{"http://127.0.0.1:1/cb", false, true},
		{"http://127.0.0.1:65535/cb", false, true},
		{"http://[::1]:49152/cb?a=1", false, true},
		{"http://[::1]/cb?a=1", false, true},
		{"http://localhost:49152", false, true},
		{"http://localhost", false, true},

		{"", false, false},
		{"https://app.example/cb/", false, false},
		{"https://app.example/CB", false, false},
		{"https://APP.example/cb", false, false},
		{"https://app.example:443/cb", false, false},
		{"https://app.example/cb?x=1", false, false},
		{"https://app.example/cb#", false, false},
		{"https://app.example/cb/../cb", false, false},
		{"https://app.example.evil.example/cb", false, false},
		{"https://app.example@evil.example/cb", false, false},
		{"http://127.0.0.1:8080/cb2", false, false},
		{"http://127.0.0.1:8080/cb?x=1", false, false},
		{"http://127.0.0.1:8080/cb#x", false, false},
		{"http://127.0.0.1:0/cb", false, false},
		{"http://127.0.0.1:65536/cb", false, false},
		{"http://127.0.0.1:000080/cb", false, false},
		{"http://127.0.0.1:/cb", false, false},
		{"http://127.0.0.1:80:80/cb", false, false},
		{"http://127.0.0.1:80@evil.example/cb", false, false},
		{"http://127.0.0.1:80\\@evil.example/cb", false, false},
		{"http://127.0.0.1@evil.example/cb", false, false},
		{"http://127.0.0.1.evil.example/cb", false, false},
		{"http://127.0.0.1:8080.evil.example/cb", false, false},
		{"http://user@127.0.0.1:8080/cb", false, false},
		{"http://127.0.0.2:8080/cb", false, false},
		{"https://127.0.0.1:8080/cb", false, false},
		{"HTTP://127.0.0.1:8080/cb", false, false},
		{"http://[::1]:8080/cb", false, false},
		{"http://[0:0:0:0:0:0:0:1]:8080/cb?a=1", false, false},
		{"http://localhost:49152/", false, false},
		{"http://localhost:49152/x", false, false},
		{"http://localhost.evil.example:49152", false, false},
		{"http://LOCALHOST:49152", false, false},
		{"http://localhost:49152 ", false, false},
		{"http://localhost:49152\n", false, false},
		{"http://localhost:4915２", false, false},
		{"com.example.app:/cb2", false, false},
	} {
		for name, c := range map[string]*client.Client{"web": &web, "native": &native, "public": &public} {
			want := tc.web
			if name == "native" {
				want = tc.native
			}
			if got := c.AllowsRedirect(tc.uri); got != want {
				t.Errorf("%s %q: %v", name, tc.uri, got)
			}
		}
	}
	page := client.Client{TokenEndpointAuthMethod: client.AuthNone, PostLogoutRedirectURIs: client.URIs{"http://localhost:3000/bye"}}
	if !page.AllowsLogoutRedirect("http://localhost:3000/bye") || page.AllowsLogoutRedirect("http://localhost:49152/bye") {
		t.Error("a page's address after a logout may be on another port")
	}
	out := client.Client{PostLogoutRedirectURIs: client.URIs{"https://app.example/bye"}}
	if !out.AllowsLogoutRedirect("https://app.example/bye") || out.AllowsLogoutRedirect("https://app.example/") || out.AllowsRedirect("https://app.example/bye") {
		t.Error("the address after a logout")
	}
}

// FuzzAllowsRedirect: whatever is allowed is one of the registered addresses but
// for the port of a loopback address.
func FuzzAllowsRedirect(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:80/cb", "http://127.0.0.1:80@x/cb", "http://127.0.0.1/cb#", "https://app.example/cb"} {
		f.Add(seed)
	}
	c := client.Client{ApplicationType: client.Native, RedirectURIs: client.URIs{"https://app.example/cb", "http://127.0.0.1/cb"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.AllowsRedirect(uri) || uri == "https://app.example/cb" || uri == "http://127.0.0.1/cb" {
			return
		}
		port, ok := strings.CutPrefix(uri, "http://127.0.0.1:")
		port, tail := strings.CutSuffix(port, "/cb")
		if !ok || !tail || strings.Trim(port, "0123456789") != "" || port == "" {
			t.Errorf("allowed %q", uri)
		}
	})
}
