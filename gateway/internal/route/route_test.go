package route_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// app returns a route that holds.
func app(host, prefix string, change ...func(*route.Route)) route.Route {
	r := route.Route{Tenant: "acme", Workspace: "web", Host: host, PathPrefix: prefix, Upstream: "http://192.0.2.1:3000", Source: route.FromFile}
	for _, f := range change {
		f(&r)
	}
	return r.Normal()
}

func TestNormal(t *testing.T) {
	t.Parallel()
	r := app("Wiki.Example.COM.", "/docs/")
	if r.Host != "wiki.example.com" || r.PathPrefix != "/docs" || r.ID != route.ID("wiki.example.com", "/docs") {
		t.Errorf("place %q %q %q", r.Host, r.PathPrefix, r.ID)
	}
	if r.Policy != route.SignedIn || r.Headers.Preset != route.AuthRequest || r.WhenStale != route.Refuse || !r.Accepts(route.Session) || r.Accepts(route.Bearer) {
		t.Errorf("defaults: %+v", r)
	}
	if got := app("h.example", "").PathPrefix; got != "/" {
		t.Errorf("empty prefix became %q", got)
	}
	if bad := r.Problems(); len(bad) > 0 {
		t.Errorf("a normal route has problems: %v", bad)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	custom := func(name, path string) func(*route.Route) {
		return func(r *route.Route) { r.Headers.Custom = map[string]string{name: path} }
	}
	origins := func(list ...string) func(*route.Route) {
		return func(r *route.Route) { r.AllowedOrigins = list }
	}
	for _, c := range []struct {
		name   string
		change func(*route.Route)
		field  string
	}{
		{"no host", func(r *route.Route) { r.Host = "" }, "host"},
		{"host with scheme", func(r *route.Route) { r.Host = "http://a.example" }, "host"},
		{"host with path", func(r *route.Route) { r.Host = "a.example/x" }, "host"},
		{"host with user", func(r *route.Route) { r.Host = "u@a.example" }, "host"},
		{"port zero", func(r *route.Route) { r.Host = "a.example:0" }, "host"},
		{"port with zeros", func(r *route.Route) { r.Host = "a.example:0080" }, "host"},
		{"wildcard", func(r *route.Route) { r.Host = "*.example" }, "host"},
		{"relative prefix", func(r *route.Route) { r.PathPrefix = "wiki" }, "path_prefix"},
		{"dot-segment", func(r *route.Route) { r.PathPrefix = "/a/../b" }, "path_prefix"},
		{"escape", func(r *route.Route) { r.PathPrefix = "/a%2fb" }, "path_prefix"},
		{"double slash", func(r *route.Route) { r.PathPrefix = "/a//b" }, "path_prefix"},
		{"parameter", func(r *route.Route) { r.PathPrefix = "/a;b" }, "path_prefix"},
		{"ours", func(r *route.Route) { r.PathPrefix = "/.gatepost" }, "path_prefix"},
		{"ours below", func(r *route.Route) { r.PathPrefix = "/.GATEPOST/x" }, "path_prefix"},
		{"no upstream", func(r *route.Route) { r.Upstream = "" }, "upstream"},
		{"upstream scheme", func(r *route.Route) { r.Upstream = "ftp://a" }, "upstream"},
		{"upstream user", func(r *route.Route) { r.Upstream = "http://u:p@a" }, "upstream"},
		{"upstream query", func(r *route.Route) { r.Upstream = "http://a/?x=1" }, "upstream"},
		{"upstream dots", func(r *route.Route) { r.Upstream = "http://a/x/../y" }, "upstream"},
		{"policy", func(r *route.Route) { r.Policy = "everyone" }, "policy"},
		{"preset", func(r *route.Route) { r.Headers.Preset = "x" }, "headers.preset"},
		{"credential", func(r *route.Route) { r.Credentials = []route.Credential{"session", "basic"} }, "credentials[1]"},
		{"when stale", func(r *route.Route) { r.WhenStale = "x" }, "when_stale"},
		{"underscore header", custom("X_Team", "team"), `headers.custom["X_Team"]`},
		{"framing header", custom("Content-Length", "team"), `headers.custom["Content-Length"]`},
		{"host header", custom("Host", "team"), `headers.custom["Host"]`},
		{"credential header", custom("Authorization", "team"), `headers.custom["Authorization"]`},
		{"forwarded header", custom("X-Forwarded-For", "team"), `headers.custom["X-Forwarded-For"]`},
		{"our header", custom("X-Gatepost-Assertion", "team"), `headers.custom["X-Gatepost-Assertion"]`},
		{"preset header", custom("x-auth-request-USER", "team"), `headers.custom["x-auth-request-USER"]`},
		{"no attribute", custom("X-Team", ""), `headers.custom["X-Team"]`},
		{"h2c", func(r *route.Route) { r.Upgrades = []string{"websocket", "h2c"} }, "upgrades[1]"},
		{"http in a tunnel", func(r *route.Route) { r.Upgrades = []string{"http/2.0"} }, "upgrades[0]"},
		{"negative time", func(r *route.Route) { r.Timeouts.Idle = -1 }, "timeouts.idle"},
		{"a nanosecond", func(r *route.Route) { r.Timeouts.Response = 1 }, "timeouts.response"},
		{"just too short", func(r *route.Route) { r.Timeouts.Tunnel = store.Duration(route.MinTimeout) - 1 }, "timeouts.tunnel"},
		{"too short to connect", func(r *route.Route) { r.Timeouts.Connect = store.Duration(time.Millisecond) }, "timeouts.connect"},
		{"origin without scheme", origins("a.example"), "allowed_origins[0]"},
		{"origin with a slash", origins("https://a.example", "https://b.example/"), "allowed_origins[1]"},
		{"origin with a path", origins("https://a.example/x"), "allowed_origins[0]"},
		{"origin in capitals", origins("https://A.example"), "allowed_origins[0]"},
		{"origin with the default port", origins("https://a.example:443"), "allowed_origins[0]"},
		{"origin with port zero", origins("https://a.example:0"), "allowed_origins[0]"},
		{"origin with an empty port", origins("https://a.example:"), "allowed_origins[0]"},
		{"origin with user", origins("https://u@a.example"), "allowed_origins[0]"},
		{"origin with query", origins("https://a.example?x"), "allowed_origins[0]"},
		{"any origin", origins("*"), "allowed_origins[0]"},
		{"origins below", origins("https://*.example"), "allowed_origins[0]"},
		{"no origin in particular", origins("null"), "allowed_origins[0]"},
		{"empty origin", origins(""), "allowed_origins[0]"},
		{"negative body", func(r *route.Route) { r.MaxBody = -2 }, "max_body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := app("a.example", "/", c.change)
			bad := r.Problems()
			if len(bad) != 1 {
				t.Fatalf("problems: %v", bad)
			}
			var f *fault.Error
			if !errors.As(bad[0], &f) || f.Kind != fault.Unprocessable || f.Field != c.field || f.Public == "" {
				t.Errorf("got %#v, want field %s", bad[0], c.field)
			}
		})
	}
}

func TestProblemsAllowsWhatAppsUse(t *testing.T) {
	t.Parallel()
	const least = store.Duration(route.MinTimeout)
	r := app("[2001:db8::1]:8443", "/a.b/c_d~e", func(r *route.Route) {
		r.Headers.Custom = map[string]string{"X-Forwarded-User": "sub", "X-WEBAUTH-USER": "preferred_username", "Ssl-Client-Cert": "x.y"}
		r.Upgrades = []string{"websocket", "spdy/3.1"}
		r.Upstream = "https://app.internal:8443/base/"
		r.AllowedOrigins = []string{"https://a.example", "http://a.example:8080", "https://[2001:db8::1]:8443", "chrome-extension://abcdefghijklmnop", "app://notes"}
		r.Timeouts = route.Timeouts{Connect: least, Response: least, Idle: least, Tunnel: least}
	})
	if bad := r.Problems(); len(bad) > 0 {
		t.Error(bad)
	}
}

func compile(t *testing.T, rs ...route.Route) *route.Table {
	t.Helper()
	table, bad := route.Compile(route.Source{Scheme: "https", Routes: rs})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	return table
}

func TestMatch(t *testing.T) {
	t.Parallel()
	table := compile(t, app("a.example", "/"), app("a.example", "/admin"), app("a.example", "/admin/api"), app("b.example:8080", "/only"))
	for _, c := range []struct{ host, path, want string }{
		{"a.example", "/", "/"},
		{"a.example", "/admin", "/admin"},
		{"a.example", "/admin/", "/admin"},
		{"a.example", "/admin/x", "/admin"},
		{"a.example", "/admin/api", "/admin/api"},
		{"a.example", "/admin/apix", "/admin"},
		{"a.example", "/administrator", "/"},
		{"a.example", "/admin;x", "/"},
		{"a.example", "/Admin", "/"},
		{"a.example", "/x/admin", "/"},
		{"b.example:8080", "/only/x", "/only"},
		{"b.example:8080", "/other", ""},
		{"b.example:8080", "/", ""},
		{"b.example", "/only", ""},
		{"A.example", "/", ""},
		{"", "/", ""},
	} {
		got := ""
		if m := table.Match(c.host, c.path); m.Route != nil {
			got = m.Route.PathPrefix
		}
		if got != c.want {
			t.Errorf("Match(%q, %q) = %q, want %q", c.host, c.path, got, c.want)
		}
	}
	if table.Match("b.example", "/").Known || !table.Match("b.example:8080", "/").Known {
		t.Error("known hosts are wrong")
	}
	if diff := cmp.Diff([]string{"a.example", "b.example:8080"}, table.Hosts()); diff != "" {
		t.Error(diff)
	}
	for i, r := range table.Routes() {
		if r.Index != i || !strings.HasPrefix(r.Origin, "https://") || r.URL == nil {
			t.Errorf("route %d is not compiled: %+v", i, r)
		}
	}
}

func TestUniform(t *testing.T) {
	t.Parallel()
	public := func(r *route.Route) { r.Policy = route.Public }
	bearer := func(r *route.Route) { r.Credentials = []route.Credential{route.Session, route.Bearer} }
	for _, c := range []struct {
		name   string
		routes []route.Route
		want   bool
	}{
		{"one catch-all", []route.Route{app("h.example", "/")}, true},
		{"two with one policy", []route.Route{app("h.example", "/"), app("h.example", "/a")}, true},
		{"two policies", []route.Route{app("h.example", "/", public), app("h.example", "/a")}, false},
		{"two ways to prove", []route.Route{app("h.example", "/"), app("h.example", "/a", bearer)}, false},
		{"the rest is refused", []route.Route{app("h.example", "/a")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := compile(t, c.routes...).Match("h.example", "/a").Uniform; got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestCompileLeavesBadRoutesOut(t *testing.T) {
	t.Parallel()
	other := app("a.example", "/x", func(r *route.Route) { r.Workspace = "two" })
	table, bad := route.Compile(route.Source{Scheme: "http", Routes: []route.Route{
		app("a.example", "/x"), other, app("b.example", "/", func(r *route.Route) { r.Policy = "none" }),
	}})
	if len(bad) != 2 || len(table.Routes()) != 1 || table.Routes()[0].Workspace != "web" {
		t.Errorf("kept %d, reported %v", len(table.Routes()), bad)
	}
}

func TestCompileNetworks(t *testing.T) {
	t.Parallel()
	api := func(r *route.Route) { r.Source = route.FromAPI }
	table, _ := route.Compile(route.Source{
		Scheme: "https",
		Routes: []route.Route{
			app("file.example", "/"), app("api.example", "/", api),
			app("root.example", "/", api, func(r *route.Route) { r.Tenant = route.Root }),
		},
		Allowances: map[string]*route.Allowance{"acme": {UpstreamNetworks: []string{"10.1.2.3/8", "nonsense"}}},
	})
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if r := table.Match("api.example", "/").Route; r.AnyNetwork || !cmp.Equal(r.Networks, want, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
		t.Errorf("API route: any %v, %v", r.AnyNetwork, r.Networks)
	}
	if !table.Match("file.example", "/").Route.AnyNetwork || !table.Match("root.example", "/").Route.AnyNetwork {
		t.Error("routes of root and of the file may be anywhere")
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table := compile(t, app("a.example", "/"), app("a.example", "/admin"))
	if n := testing.AllocsPerRun(100, func() { table.Match("a.example", "/admin/x") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCovers(f *testing.F) {
	for _, s := range []string{"/", "/admin", "/admin/", "/admin/x", "/adminx", "//admin", "/admin;x", "/admin%2f"} {
		f.Add(s)
	}
	r := app("h.example", "/admin")
	f.Fuzz(func(t *testing.T, path string) {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		want := strings.HasPrefix(path, "/") && first == "admin"
		if got := r.Covers(path); got != want {
			t.Errorf("Covers(%q) = %v", path, got)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	var rs []route.Route
	for i := range 500 {
		host := strings.Repeat("x", i%40+1) + ".example"
		rs = append(rs, app(host, "/"+strings.Repeat("p", i/40+1)))
	}
	rs = append(rs, app("wiki.example", "/"), app("wiki.example", "/admin"), app("wiki.example", "/api/v1"))
	table, _ := route.Compile(route.Source{Scheme: "https", Routes: rs})
	b.ReportAllocs()
	for b.Loop() {
		if table.Match("wiki.example", "/pages/2026/start").Route == nil {
			b.Fatal("no match")
		}
	}
}
