package proxy_test

import (
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/route"
)

// A browser sends the session's cookie even for a page of a sibling host, so a
// session alone opens no WebSocket to pages of strangers.
func TestOriginOfAnUpgrade(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	both := func(r *route.Route) { r.Credentials = []route.Credential{route.Session, route.Bearer} }
	allow := func(r *route.Route) { r.AllowedOrigins = []string{"https://admin.test", "http://other.test:8080"} }
	g := open(t, to(up.url, both), to(up.url, on("open.test"), public), to(up.url, on("wide.test"), allow))
	const session, bearer = "Cookie: " + cookieName + "=" + aliceValue + "\r\n", "Authorization: Bearer " + tokenValue + "\r\n"
	for _, c := range []struct{ name, host, headers, want string }{
		{"its own", "app.test", session + "Origin: http://app.test\r\n", "101"},
		{"no page", "app.test", session, "101"},
		{"a sibling", "app.test", session + "Origin: http://evil.test\r\n", "403"},
		{"another scheme", "app.test", session + "Origin: https://app.test\r\n", "403"},
		{"another port", "app.test", session + "Origin: http://app.test:8080\r\n", "403"},
		{"a sandbox", "app.test", session + "Origin: null\r\n", "403"},
		{"empty", "app.test", session + "Origin:\r\n", "403"},
		{"one of two", "app.test", session + "Origin: http://app.test\r\norigin: http://evil.test\r\n", "403"},
		{"a token", "app.test", bearer + "Origin: http://evil.test\r\n", "101"},
		{"public", "open.test", session + "Origin: http://evil.test\r\n", "101"},
		{"allowed", "wide.test", session + "Origin: https://admin.test\r\n", "101"},
		{"allowed, with a port", "wide.test", session + "Origin: http://other.test:8080\r\n", "101"},
		{"its own, others allowed", "wide.test", session + "Origin: http://wide.test\r\n", "101"},
		{"like one that is allowed", "wide.test", session + "Origin: https://admin.test.evil.test\r\n", "403"},
	} {
		_, r := g.raw("GET / HTTP/1.1\r\nHost: " + c.host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + c.headers + "\r\n")
		head, err := readHead(r)
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 "+c.want+" ") {
			t.Errorf("%s: want %s, got %q, %v", c.name, c.want, head, err)
		}
		if n := len(up.seen); (n == 1) != (c.want == "101") {
			t.Errorf("%s: %d requests reached the app", c.name, n)
		}
		for len(up.seen) > 0 {
			<-up.seen
		}
	}
	// Apps judge the origin of ordinary requests themselves.
	if res, _ := g.get("http://app.test/", append(signedIn(), "Origin", "http://evil.test")...); res.StatusCode != 200 {
		t.Errorf("an ordinary request: %s", res.Status)
	}
}
