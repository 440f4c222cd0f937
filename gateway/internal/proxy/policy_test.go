package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
)

// Only a page load is sent to the sign-in; everything else learns where it is.
func TestWithoutASession(t *testing.T) {
	t.Parallel()
	api := func(r *route.Route) { r.API = true }
	g := open(t, to(app(t, echoHeaders)), to(app(t, echoHeaders), on("api.test"), api), to(app(t, echoHeaders), on("open.test"), public))
	navigate := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	for _, c := range []struct {
		name, method, host string
		headers            []string
		want               string // redirect, json, page, app
	}{
		{"page load", "GET", "app.test", navigate, "redirect"},
		{"page load, HEAD", "HEAD", "app.test", navigate, "redirect"},
		{"old browser", "GET", "app.test", []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}, "redirect"},
		{"fetch", "GET", "app.test", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"}, "json"},
		{"fetch of HTML", "GET", "app.test", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, "json"},
		{"XMLHttpRequest", "GET", "app.test", []string{"X-Requested-With", "XMLHttpRequest", "Accept", "text/html"}, "json"},
		{"image", "GET", "app.test", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, "json"},
		{"prefetch", "GET", "app.test", append([]string{"Sec-Purpose", "prefetch"}, navigate...), "json"},
		{"frame", "GET", "app.test", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, "json"},
		{"curl", "GET", "app.test", []string{"Accept", "*/*"}, "json"},
		{"WebSocket", "GET", "app.test", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Fetch-Mode", "websocket"}, "json"},
		{"form", "POST", "app.test", navigate, "page"},
		{"API call", "POST", "app.test", []string{"Content-Type", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, "json"},
		{"page load of an API", "GET", "api.test", navigate, "json"},
		{"page load with a stale cookie", "GET", "app.test", append([]string{"Cookie", cookieName + "=gone"}, navigate...), "redirect"},
		{"public", "GET", "open.test", navigate, "app"},
		{"public with a stale cookie", "POST", "open.test", []string{"Cookie", cookieName + "=gone"}, "app"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body io.Reader
			if c.method == "POST" {
				body = strings.NewReader("a=1")
			}
			res, text := g.do(g.request(c.method, "http://"+c.host+"/some/page?x=1", body, c.headers...))
			switch c.want {
			case "redirect":
				if res.StatusCode != 302 || res.Header.Get("Location") != "https://id.example/authorize" || len(res.Cookies()) != 1 || res.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s %v", res.Status, res.Header)
				}
			case "json":
				var b struct {
					Error, Login_URL string
					Status_Code      int
				}
				if err := json.Unmarshal([]byte(text), &b); err != nil || res.StatusCode != 401 || b.Error == "" || b.Status_Code != 401 ||
					b.Login_URL != "http://"+c.host+"/.gatepost/sign-in" || res.Header.Get("WWW-Authenticate") == "" || len(res.Cookies()) > 0 {
					t.Errorf("%s %v %s", res.Status, res.Header, text)
				}
			case "page":
				if res.StatusCode != 401 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || !strings.Contains(text, "/.gatepost/sign-in") ||
					res.Header.Get("Content-Security-Policy") == "" {
					t.Errorf("%s %v %s", res.Status, res.Header, text)
				}
			case "app":
				if res.StatusCode != 200 || !strings.Contains(text, "/some/page?x=1") {
					t.Errorf("%s %s", res.Status, text)
				}
			}
		})
	}
	for _, target := range g.door.targets {
		if target != "/some/page?x=1" {
			t.Errorf("comes back to %q", target)
		}
	}
}

// The 401 leads back to the page that the script is on, and nowhere else.
func TestLoginURL(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	const plain = "http://app.test/.gatepost/sign-in"
	for referer, want := range map[string]string{
		"":                              plain,
		"http://app.test/":              plain,
		"http://app.test/list?p=2#x":    plain + "?to=%2Flist%3Fp%3D2",
		"http://evil.test/list":         plain,
		"http://app.test.evil.test/a":   plain,
		"http://app.test@evil.test/a":   plain,
		"http://app.test//evil.test/a":  plain,
		`http://app.test/\evil.test`:    plain,
		"http://app.test/a/../../b":     plain,
		"https://app.test/other-scheme": plain,
	} {
		_, r := g.raw("GET /api HTTP/1.1\r\nHost: app.test\r\nReferer: " + strings.TrimSuffix(referer, "#x") + "\r\n\r\n")
		_, text := answer(t, r)
		var b struct {
			URL string `json:"login_url"`
		}
		if err := json.Unmarshal([]byte(text), &b); err != nil || b.URL != want {
			t.Errorf("from %q: %q, want %q", referer, b.URL, want)
		}
	}
}

func TestSignInPath(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	for query, want := range map[string]string{
		"": "/", "?to=/a%3Fb=1": "/a?b=1", "?to=https://evil.test/": "/", "?to=//evil.test": "/", "?to=/%5Cevil.test": "/", "?to=/a%0d%0ab": "/", "?to=a": "/",
	} {
		res, _ := g.get("http://app.test/.gatepost/sign-in" + query)
		if res.StatusCode != 302 || g.door.targets[len(g.door.targets)-1] != want {
			t.Errorf("%q: %s, target %q, want %q", query, res.Status, g.door.targets[len(g.door.targets)-1], want)
		}
		res, _ = g.get("http://app.test/.gatepost/sign-in"+query, signedIn()...)
		if res.StatusCode != 303 || res.Header.Get("Location") != want {
			t.Errorf("%q with a session: %s to %q", query, res.Status, res.Header.Get("Location"))
		}
	}
}

func TestCallback(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	flow := []string{"Cookie", "app=1; gp-flow-1=sealed"}
	for target, want := range map[string]string{"/page?x=1": "/page?x=1", "https://evil.test/": "/", "//evil.test": "/", "": "/"} {
		res, _ := g.get("http://app.test/.gatepost/callback?code=c&state=s&to="+target, flow...)
		if res.StatusCode != 303 || res.Header.Get("Location") != want || len(res.Cookies()) != 1 || res.Cookies()[0].Name != cookieName {
			t.Errorf("%q: %s to %q, %v", target, res.Status, res.Header.Get("Location"), res.Cookies())
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", res.Header)
		}
	}
	if b := g.door.lastBrowser(); !slices.Equal(b.Names(), []string{"gp-flow-1"}) || !slices.Equal(b.Values("gp-flow-1"), []string{"sealed"}) || b.Host != "app.test" {
		t.Errorf("the door saw %+v", b)
	}
	// A link mailed to a victim carries no flow cookie.
	res, _ := g.get("http://app.test/.gatepost/callback?code=c&state=s")
	if res.StatusCode != 403 || len(res.Cookies()) > 0 {
		t.Errorf("without a flow: %s, %v", res.Status, res.Cookies())
	}
	// The Back button after a sign-in leads on.
	res, _ = g.get("http://app.test/.gatepost/callback?code=c&state=s", signedIn()...)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/" {
		t.Errorf("stale link with a session: %s", res.Status)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	res, text := g.get("http://app.test/.gatepost/sign-out", signedIn()...)
	if res.StatusCode != 200 || !strings.Contains(text, `method="post"`) {
		t.Errorf("GET: %s %s", res.Status, text)
	}
	for _, forged := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.test"}, {"Origin", "null"}} {
		res, _ := g.do(g.request("POST", "http://app.test/.gatepost/sign-out", nil, append(signedIn(), forged...)...))
		if res.StatusCode != 403 || g.door.sessions[aliceValue] == nil {
			t.Errorf("%v: %s", forged, res.Status)
		}
	}
	res, _ = g.do(g.request("POST", "http://app.test/.gatepost/sign-out", nil, append(signedIn(), "Origin", "http://app.test")...))
	if res.StatusCode != 303 || res.Header.Get("Location") != "https://id.example/signed-out" || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("POST: %s %v", res.Status, res.Header)
	}
	if res, _ := g.get("http://app.test/", signedIn()...); res.StatusCode != 401 {
		t.Errorf("afterwards: %s", res.Status)
	}
}

func TestSessionInfo(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	res, text := g.get("http://app.test/.gatepost/session", signedIn()...)
	var b map[string]any
	if err := json.Unmarshal([]byte(text), &b); err != nil || res.StatusCode != 200 || b["sub"] != "sub-alice" || b["email"] != "alice@example.com" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s", res.Status, text)
	}
	res, text = g.get("http://app.test/.gatepost/session")
	if res.StatusCode != 401 || !strings.Contains(text, "login_url") {
		t.Errorf("%s %s", res.Status, text)
	}
}

func TestLoopPage(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	g.door.loop = true
	res, text := g.get("http://app.test/", "Accept", "text/html")
	if res.StatusCode != 400 || !strings.Contains(text, cookieName) || res.Header.Get("Location") != "" {
		t.Errorf("%s %s", res.Status, text)
	}
}

func TestDoorFailures(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	for status, err := range map[int]error{
		503: fault.New(fault.Unavailable, "The gateway has lost touch with its store.", nil), 403: fault.New(fault.Denied, "Not you.", nil), 500: errTest,
	} {
		g.door.err = err
		res, _ := g.get("http://app.test/", append(signedIn(), "Accept", "text/html")...)
		if res.StatusCode != status {
			t.Errorf("%v: %s", err, res.Status)
		}
	}
}

// Nothing below /.gatepost reaches an app, however it is spelt.
func TestOwnPathsAreNeverForwarded(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url, public))
	for _, path := range []string{
		"/.gatepost", "/.gatepost/", "/.gatepost/x", "/.gatepost/callback/x", "/.GATEPOST/x", "/%2egatepost/x", "/.gate%70ost/x", "//.gatepost/x",
		"/.gatepost;x/y", "/.gatepost%2fx", "/%2f.gatepost/x", "/.gatepost//session",
	} {
		_, r := g.raw("POST " + path + " HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n")
		res, _ := answer(t, r)
		if res.StatusCode != 404 && res.StatusCode != 400 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if n := len(up.seen); n > 0 {
		t.Errorf("%d requests reached the app: %s", n, <-up.seen)
	}
	g.get("http://app.test/.gatepostx")
	if n := len(up.seen); n != 1 {
		t.Error("a path that only begins like ours did not reach the app")
	}
}

func TestPathsAreForwardedAsTheyCame(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t,
		to(up.url, public), // one policy on app.test
		to(up.url, on("mixed.test"), public), to(up.url, on("mixed.test"), func(r *route.Route) { r.PathPrefix = "/admin" }),
		to(up.url, on("wide.test"), public, func(r *route.Route) { r.AllowAmbiguousPath = true }), to(up.url, on("wide.test"), func(r *route.Route) { r.PathPrefix = "/admin" }),
		to(up.url+"/base", on("strip.test"), public, func(r *route.Route) { r.PathPrefix, r.StripPrefix = "/wiki", true }),
		to(up.url+"/base", on("keep.test"), public, func(r *route.Route) { r.PathPrefix = "/wiki" }),
	)
	for _, c := range []struct{ host, path, want string }{
		{"app.test", "/a%2Fb", "/a%2Fb"},
		{"app.test", "/a//b", "/a//b"},
		{"app.test", "/a;b", "/a;b"},
		{"app.test", "/%61", "/%61"},
		{"app.test", "/%C3%A4?q=%zz&r", "/%C3%A4?q=%zz&r"},
		{"app.test", "/a?", "/a"},
		{"app.test", "/a/../b", "400"},
		{"app.test", "/a/%2e%2e/b", "400"},
		{"app.test", "/a%5cb", "400"},
		{"app.test", "/a%00", "400"},
		{"app.test", "/a%zz", "400"},
		{"mixed.test", "/a%2Fb", "400"},
		{"mixed.test", "//admin", "400"},
		{"mixed.test", "/admin;x", "400"},
		{"mixed.test", "/%61dmin", "400"},
		{"mixed.test", "/x//admin", "400"},
		{"mixed.test", "/plain", "/plain"},
		{"mixed.test", "/admin", "401"},
		{"mixed.test", "/admin/x", "401"},
		{"mixed.test", "/administrator", "/administrator"},
		{"wide.test", "/a%2Fb", "/a%2Fb"},
		{"strip.test", "/wiki", "/base/"},
		{"strip.test", "/wiki/", "/base/"},
		{"strip.test", "/wiki/a?b", "/base/a?b"},
		{"strip.test", "/wikix", "404"},
		{"strip.test", "/", "404"},
		{"keep.test", "/wiki/a", "/base/wiki/a"},
	} {
		_, r := g.raw("GET " + c.path + " HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n")
		res, _ := answer(t, r)
		got := res.Status[:3]
		if res.StatusCode == 200 {
			_, got, _ = strings.Cut(<-up.seen, " ")
			got, _, _ = strings.Cut(got, " ")
		}
		if got != c.want {
			t.Errorf("%s%s: %s, want %s", c.host, c.path, got, c.want)
		}
	}
	if len(up.seen) > 0 {
		t.Error("a refused request reached the app")
	}
}

func TestHostOfTheUpstream(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url, public), to(up.url, on("kept.test"), public, func(r *route.Route) { r.PreserveHost = true }))
	g.get("http://app.test/")
	if got := fields(<-up.seen)["host"]; !slices.Equal(got, []string{strings.TrimPrefix(up.url, "http://")}) {
		t.Errorf("host %q", got)
	}
	g.get("http://kept.test/")
	if got := fields(<-up.seen)["host"]; !slices.Equal(got, []string{"kept.test"}) {
		t.Errorf("preserved host %q", got)
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	var self string
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(r.URL.Query().Get("l"), "SELF", self))
		w.WriteHeader(302)
	})
	self = url
	g := open(t, to(url+"/base", public, func(r *route.Route) { r.PathPrefix, r.StripPrefix = "/wiki", true }), to(url, on("root.test"), public))
	for _, c := range []struct{ host, location, want string }{
		{"app.test/wiki", "SELF/base/x?y", "http://app.test/wiki/x?y"},
		{"app.test/wiki", "SELF/base", "http://app.test/wiki/"},
		{"app.test/wiki", "SELF/basement", url + "/basement"},
		{"app.test/wiki", "/relative", "/relative"},
		{"root.test/", "SELF/x", "http://root.test/x"},
		{"root.test/", "SELF?x", "http://root.test/?x"},
		{"root.test/", "SELF0/x", url + "0/x"},
		{"root.test/", "https://other.test/", "https://other.test/"},
	} {
		res, _ := g.get("http://" + c.host + "?l=" + strings.ReplaceAll(c.location, "?", "%3F"))
		if got := res.Header.Get("Location"); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.host, c.location, got, c.want)
		}
	}
}

// Expect: the refusal comes before the body does.
func TestExpect(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url, func(r *route.Route) { r.PathPrefix, r.MaxBody = "/app", 10 }))
	for _, c := range []struct {
		name, path, headers string
		status              int
	}{
		{"no session", "/app", "Content-Length: 5\r\n", 401},
		{"too large", "/app", "Content-Length: 11\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n", 413},
		{"no route", "/other", "Content-Length: 5\r\n", 404},
	} {
		_, r := g.raw("POST " + c.path + " HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\n" + c.headers + "\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != c.status || !res.Close {
			t.Errorf("%s: %v, %v", c.name, res, err)
		}
	}
	if len(up.seen) > 0 {
		t.Error("a refused request reached the app")
	}
}

func TestExpectContinues(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte(r.Header.Get("Expect")), b...))
	})))
	c, r := g.raw("POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n")
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatal(line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "hello")
	if res, body := answer(t, r); res.StatusCode != 200 || body != "hello" {
		t.Error(res.Status, body)
	}
}

func TestAppAnswersForItsHostsOnly(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders), public))
	if g.proxy.App("http", "app.test") == nil || g.proxy.App("http", "other.test") != nil {
		t.Error("App does not follow the table")
	}
	if res, _ := g.get("http://other.test/"); res.StatusCode != 421 {
		t.Errorf("unknown host: %s", res.Status)
	}
	if res, _ := g.get("http://APP.test:80/"); res.StatusCode != 200 {
		t.Errorf("default port: %s", res.Status)
	}
}
