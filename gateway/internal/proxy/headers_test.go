package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/route"
)

// heads is an upstream that keeps the heads of requests as they came over the

// wire, and answers 200, or 101 to an upgrade.

type heads struct {
	url  string
	seen chan string
}

func recorder(t *testing.T) *heads {
	t.Helper()
	h := &heads{seen: make(chan string, 1000)}
	h.url = rawApp(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			h.seen <- head
			if err := skipBody(head, r); err != nil {
				return
			}
			if strings.Contains(strings.ToLower(head), "\r\nupgrade: websocket\r\n") {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
				_, _ = io.Copy(io.Discard, r)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	return h
}

// skipBody reads the body that a head announces.

func skipBody(head string, r *bufio.Reader) error {
	f := fields(head)
	if f["transfer-encoding"] != nil {
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(r)); err != nil {
			return err
		}
		_, err := r.Discard(2)
		return err
	}
	if f["content-length"] != nil {
		n, err := strconv.ParseInt(f["content-length"][0], 10, 64)
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, r, n)
		return err
	}
	return nil
}

// readHead reads a message head with its empty line.

func readHead(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// fields returns a head's lines by folded name.

func fields(head string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if ok {
			folded := strings.Map(func(r rune) rune {
				switch {
				case r >= 'A' && r <= 'Z':
					return r + 32
				case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
					return r
				}
				return '-'
			}, name)
			out[folded] = append(out[folded], strings.TrimSpace(value))
		}
	}
	return out
}

// spellings are ways to write the header of somebody else's name.

func spellings() []string {
	return []string{
		"X-Auth-Request-User: admin", "x-auth-request-user: admin", "X-AUTH-REQUEST-USER: admin", "x_auth_request_user: admin",
		"X-AUTH_Request-User: admin", "X.Auth.Request.User: admin", "X-Auth_Request.User: admin", "x!auth~request*user: admin",
		"X-Auth-Request-User:admin", "X-Auth-Request-User: \tadmin ", "X-Auth-Request-User: admin\r\nX-Auth-Request-User: root",
		"X-Auth-Request-Email: admin@example.com", "X_Auth_Request_Preferred_Username: admin", "X-Auth-Request-Groups: admins",
		"X-Auth-Request-Access-Token: t", "Remote-User: admin", "REMOTE_USER: admin", "remote.user: admin", "Remote-Groups: admins", "Remote_Email: a@b",
		"Remote-Name: admin", "X-Remote-User: admin", "X-Forwarded-User: admin", "x_forwarded_email: a@b", "X-Forwarded-Preferred-Username: admin",
		"X-Forwarded-Groups: admins", "X-Gatepost-Assertion: forged", "x_gatepost_assertion: forged", "X-Gatepost-Anything: x",
		"X-Team: blue", "x_team: blue", "X.TEAM: blue",
	}
}

// The owner of each name that an attack may reach, with the value that an app

// may see: the proxy's own or none.

func stolen(f map[string][]string, signedIn bool) []string {
	want := map[string]string{
		"x-auth-request-user": "sub-alice", "x-auth-request-email": "alice@example.com", "x-auth-request-preferred-username": "alice@example.com",
		"x-auth-request-groups": "staff,ops", "x-team": "red", "x-gatepost-assertion": "assertion-of-sub-alice-for-http://app.test",
	}
	var bad []string
	for name, values := range f {
		owned := slices.ContainsFunc([]string{"x-auth-request-", "remote-", "x-remote-", "x-gatepost-"}, func(p string) bool { return strings.HasPrefix(name, p) }) ||
			name == "x-team" || strings.HasPrefix(name, "x-forwarded-") && !slices.Contains([]string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}, name)
		if owned && (!signedIn || len(values) != 1 || values[0] != want[name]) {
			bad = append(bad, fmt.Sprintf("%s: %q", name, values))
		}
	}
	return bad
}

func TestIdentityHeadersCannotBeForged(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	team := func(r *route.Route) { r.Headers.Custom = map[string]string{"X-Team": "business_metadata.team"} }
	open := open(t, to(up.url, team), to(up.url, team, on("open.test"), public))
	for _, attack := range spellings() {
		for _, c := range []struct {
			name, host, more string
			status           int
			signedIn         bool
		}{
			{"public", "open.test", "", 200, false},
			{"protected", "app.test", "Cookie: " + cookieName + "=" + aliceValue + "\r\n", 200, true},
			{"public upgrade", "open.test", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 101, false},
			{"protected upgrade", "app.test", "Connection: Upgrade\r\nUpgrade: websocket\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n", 101, true},
			{"public, session of another host", "open.test", "Cookie: " + cookieName + "=" + aliceValue + "\r\n", 200, false},
		} {
			t.Run(c.name+"/"+attack, func(t *testing.T) {
				conn, r := open.raw("GET / HTTP/1.1\r\nHost: " + c.host + "\r\n" + attack + "\r\n" + c.more + "\r\n")
				defer conn.Close()
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != c.status {
					t.Fatalf("status %d", res.StatusCode)
				}
				head := wait(t, "request upstream", up.seen)
				if bad := stolen(fields(head), c.signedIn); len(bad) > 0 {
					t.Errorf("the app sees %s in\n%s", bad, head)
				}
			})
		}
	}
}

// What a retry sends is built by the same function.

func TestForgedHeadersOnRetry(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	var conns atomic.Int32
	url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		// The first connection answers once and resets when it is asked again.
		once := conns.Add(1) == 1
		for i := 0; ; i++ {
			head, err := readHead(r)
			if err != nil {
				return
			}
			if once && i == 1 {
				_ = c.(*net.TCPConn).SetLinger(0)
				return
			}
			seen <- head
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	g := open(t, to(url))
	for range 2 {
		res, body := g.get("http://app.test/", append(signedIn(), "x_auth_request_user", "admin")...)
		if res.StatusCode != 200 || body != "ok" {
			t.Fatal(res.Status, body)
		}
		if bad := stolen(fields(wait(t, "request", seen)), true); len(bad) > 0 {
			t.Error(bad)
		}
	}
}

// Values cannot break out of their line, and two identities never look alike.

func TestForwardingHeadersAreRebuilt(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url))
	g.get("http://app.test/", append(signedIn(), "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.test", "X-Forwarded-Port", "1",
		"Forwarded", "for=1.2.3.4", "X-Real-IP", "1.2.3.4", "X-Client-IP", "1.2.3.4", "True-Client-IP", "1.2.3.4", "X-Original-URL", "/admin",
		"X-Rewrite-URL", "/admin", "X_Forwarded_For", "1.2.3.4", "CF-Connecting-IP", "1.2.3.4", "X-Trace-ID", "forged")...)
	f := fields(wait(t, "request", up.seen))
	for name, values := range f {
		if slices.ContainsFunc(values, func(v string) bool {
			return strings.Contains(v, "1.2.3.4") || strings.Contains(v, "evil") || v == "forged" || v == "/admin"
		}) {
			t.Errorf("%s: %q passed", name, values)
		}
	}
	want := map[string][]string{
		"x-forwarded-for": {"127.0.0.1"}, "x-forwarded-proto": {"http"}, "x-forwarded-host": {"app.test"}, "forwarded": {`for=127.0.0.1;host="app.test";proto=http`},
	}
	for name, values := range want {
		if !slices.Equal(f[name], values) {
			t.Errorf("%s: %q, want %q", name, f[name], values)
		}
	}
}

func TestHopByHopRequestHeaders(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url))
	_, r := g.raw("GET /p?q HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\nConnection: keep-alive, X-Drop-Me, close\r\nX-Drop-Me: 1\r\n" +
		"X-Keep-Me: 2\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: X-Sum\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nProxy: http://evil\r\n" +
		"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nAuthorization: Basic app\r\naccept: text/plain\r\n\r\n")
	if res, _ := answer(t, r); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	head := wait(t, "request", up.seen)
	f := fields(head)
	for _, gone := range []string{"connection", "x-drop-me", "keep-alive", "te", "trailer", "proxy-authorization", "proxy-connection", "proxy", "upgrade", "http2-settings", "content-length", "transfer-encoding"} {
		if f[gone] != nil {
			t.Errorf("%s: %q passed", gone, f[gone])
		}
	}
	if !slices.Equal(f["x-keep-me"], []string{"2"}) || !slices.Equal(f["authorization"], []string{"Basic app"}) || !strings.Contains(head, "\r\naccept: text/plain\r\n") {
		t.Errorf("something was lost:\n%s", head)
	}
	if !strings.HasPrefix(head, "GET /p?q HTTP/1.1\r\nHost: ") {
		t.Errorf("request line:\n%s", head)
	}
}

// A client that names our header in Connection does not get it dropped.

func TestConnectionCannotNameIdentityHeaders(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url))
	_, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\nConnection: X-Auth-Request-User, X-Gatepost-Assertion, Cookie, Host\r\n\r\n")
	answer(t, r)
	f := fields(wait(t, "request", up.seen))
	if f["x-auth-request-user"] == nil || f["x-gatepost-assertion"] == nil || f["host"] == nil || f["connection"] != nil {
		t.Errorf("fields: %v", f)
	}
}

// An upstream cannot give a browser a cookie that comes back under our name.

func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 207 Multi\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: Basic\r\n"+
				"Trailer: X\r\nX-Multi: a\r\nX-Multi: b\r\nContent-Type: text/x\r\nETag: \"e\"\r\nVary: A\r\nServer: app/1\r\nX-Trace-Id: forged\r\n"+
				"WWW-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	g := open(t, to(url))
	res, body := g.get("http://app.test/", signedIn()...)
	if res.StatusCode != 207 || body != "ok" {
		t.Error(res.Status, body)
	}
	for _, gone := range []string{"X-Hop", "Keep-Alive", "Upgrade", "Proxy-Authenticate", "Trailer"} {
		if v := res.Header.Values(gone); v != nil {
			t.Errorf("%s: %q passed", gone, v)
		}
	}
	want := map[string][]string{
		"X-Multi": {"a", "b"}, "Content-Type": {"text/x"}, "Etag": {`"e"`}, "Vary": {"A"}, "Server": {"app/1"}, "Www-Authenticate": {"Basic realm=x"},
	}
	for name, v := range want {
		if !slices.Equal(res.Header.Values(name), v) {
			t.Errorf("%s: %q, want %q", name, res.Header.Values(name), v)
		}
	}
	if ids := res.Header.Values("X-Trace-Id"); len(ids) != 1 || ids[0] == "forged" {
		t.Errorf("trace id %q", ids)
	}
	if res.Header.Get("Content-Type") == "" {
		t.Error("no content type")
	}
}

// Identity lines and assertions are made once for a session and route, not for

// every request.
