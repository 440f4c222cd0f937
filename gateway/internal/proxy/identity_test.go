package proxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
)

func TestPresets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    route.Headers
		want map[string][]string
	}{
		{"auth-request", route.Headers{Preset: route.AuthRequest}, map[string][]string{
			"x-auth-request-user": {"sub-alice"}, "x-auth-request-email": {"alice@example.com"},
			"x-auth-request-preferred-username": {"alice@example.com"}, "x-auth-request-groups": {"staff,ops"},
		}},
		{"remote-user", route.Headers{Preset: route.RemoteUser}, map[string][]string{
			"remote-user": {"alice@example.com"}, "remote-name": {"Alice Ä."}, "remote-email": {"alice@example.com"}, "remote-groups": {"staff,ops"},
		}},
		{"none", route.Headers{Preset: route.NoHeaders}, map[string][]string{}},
		{
			"custom",
			route.Headers{Preset: route.NoHeaders, Custom: map[string]string{"X-Team": "business_metadata.team", "X-Sub": "sub", "X-None": "missing", "X-Mail": "email"}},
			map[string][]string{"x-team": {"red"}, "x-sub": {"sub-alice"}, "x-mail": {"alice@example.com"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := recorder(t)
			g := open(t, to(up.url, func(r *route.Route) { r.Headers, r.Assertion = c.h, false }))
			g.get("http://app.test/", signedIn()...)
			got := map[string][]string{}
			for name, v := range fields(wait(t, "request", up.seen)) {
				if strings.HasPrefix(name, "x-auth") || strings.HasPrefix(name, "remote-") || strings.HasPrefix(name, "x-gatepost") ||
					slices.Contains([]string{"x-team", "x-sub", "x-none", "x-mail"}, name) {
					got[name] = v
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdentityValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"line break", "a\r\nX-Auth-Request-Groups: admins", "a%0D%0AX-Auth-Request-Groups: admins"},
		{"NUL", "ad\x00min", "ad%00min"},
		{"leading space", " admin", "%20admin"},
		{"trailing space", "admin ", "admin%20"},
		{"trailing tab", "admin\t", "admin%09"},
		{"DEL", "a\x7f", "a%7F"},
		{"inner space", "Alice A", "Alice A"},
		{"UTF-8", "Ålice 漢", "Ålice 漢"},
		{"a written escape", "ad%00min", "ad%2500min"},
		{"a written escape of an escape", "%2500", "%252500"},
		{"small digits", "a%2c", "a%252c"},
		{"a lone percent sign", "100%", "100%"},
		{"a percent sign that begins no escape", "5% off, %zz%%4", "5% off, %zz%%4"},
		{"a percent sign before what is escaped", "%4\x00%\x01", "%4%00%%01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := recorder(t)
			g := open(t, to(up.url))
			g.door.sessions["x"] = &proxy.Identity{Subject: c.value, Groups: []string{c.value, "b"}}
			g.get("http://app.test/", "Cookie", cookieName+"=x")
			head := wait(t, "request", up.seen)
			if !strings.Contains(head, "\r\nX-Auth-Request-User: "+c.want+"\r\n") {
				t.Errorf("head:\n%s", head)
			}
			if n := len(fields(head)["x-auth-request-groups"]); n != 1 {
				t.Errorf("%d group lines:\n%s", n, head)
			}
		})
	}
}

// What an app splits at commas and then decodes are the names as they were.
func TestGroups(t *testing.T) {
	t.Parallel()
	groups := []string{"a,admins", "b", " ops ", "x%2Cadmins", "%", "2C"}
	up := recorder(t)
	g := open(t, to(up.url, func(r *route.Route) { r.Headers.Custom = map[string]string{"X-Teams": "groups"} }))
	g.door.sessions["x"] = &proxy.Identity{Subject: "s", Groups: groups}
	g.get("http://app.test/", "Cookie", cookieName+"=x")
	f := fields(wait(t, "request", up.seen))
	const want = "a%2Cadmins,b,%20ops%20,x%252Cadmins,%,2C"
	for _, name := range []string{"x-auth-request-groups", "x-teams"} {
		if !slices.Equal(f[name], []string{want}) {
			t.Errorf("%s: %q, want %q", name, f[name], want)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	both := func(r *route.Route) { r.Credentials = []route.Credential{route.Session, route.Bearer} }
	only := func(r *route.Route) { r.Credentials = []route.Credential{route.Bearer} }
	g := open(t, to(up.url, both), to(up.url, on("api.test"), only), to(up.url, on("web.test")))
	for _, c := range []struct {
		name, host, authorization, cookie string
		status                            int
		passes                            []string
	}{
		{"token", "app.test", "Bearer " + tokenValue, "", 200, nil},
		{"any case", "app.test", "bEARER  " + tokenValue, "", 200, nil},
		{"bad token beside a session", "app.test", "Bearer forged", aliceValue, 401, nil},
		{"session", "app.test", "", aliceValue, 200, nil},
		{"the app's own scheme", "app.test", "Basic eA==", aliceValue, 200, []string{"Basic eA=="}},
		{"session where only tokens count", "api.test", "", aliceValue, 401, nil},
		{"token where only tokens count", "api.test", "Bearer " + tokenValue, "", 200, nil},
		{"token where only sessions count", "web.test", "Bearer " + tokenValue, "", 401, nil},
		{"the app's own token", "web.test", "Bearer apps", aliceValue, 200, []string{"Bearer apps"}},
	} {
		var h []string
		if c.authorization != "" {
			h = append(h, "Authorization", c.authorization)
		}
		if c.cookie != "" {
			h = append(h, "Cookie", cookieName+"="+c.cookie)
		}
		res, _ := g.get("http://"+c.host+"/", h...)
		if res.StatusCode != c.status {
			t.Errorf("%s: %s", c.name, res.Status)
			continue
		}
		if c.status == 200 {
			if got := fields(wait(t, c.name, up.seen))["authorization"]; !slices.Equal(got, c.passes) {
				t.Errorf("%s: the app gets %q", c.name, got)
			}
		} else if !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") && c.host != "web.test" {
			t.Errorf("%s: challenge %q", c.name, res.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestAssertionIsReused(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url), to(up.url, func(r *route.Route) { r.PathPrefix = "/b" }))
	for range 5 {
		g.get("http://app.test/", signedIn()...)
		g.get("http://app.test/b", signedIn()...)
	}
	if n := g.door.assertions.Load(); n != 2 {
		t.Errorf("%d assertions for two routes", n)
	}
	// A route that changed gets lines of its own.
	g.set(to(up.url, func(r *route.Route) { r.Headers.Preset = route.RemoteUser }))
	for len(up.seen) > 0 {
		<-up.seen
	}
	g.get("http://app.test/", signedIn()...)
	if f := fields(<-up.seen); f["remote-user"] == nil || f["x-auth-request-user"] != nil {
		t.Errorf("old lines after a change: %v", f)
	}
}
