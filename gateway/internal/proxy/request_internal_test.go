package proxy

import (
	"bytes"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func testPlan() *plan {
	r := route.Route{
		Tenant: "t", Workspace: "w", Source: route.FromFile, Host: "app.test", PathPrefix: "/", Upstream: "http://10.0.0.1:3000",
		Headers: route.Headers{Custom: map[string]string{"X-Team": "team"}},
	}.Normal()
	r.URL, _ = url.Parse(r.Upstream)
	r.Origin = "http://app.test"
	return &plan{route: &r, cookie: "gp-0a1b2c3d", custom: customNames([]*route.Route{&r})}
}

func testOutbound(p *plan) *outbound {
	return &outbound{
		plan: p, identity: []byte("X-Auth-Request-User: alice\r\nX-Team: red\r\n"),
		visit: &web.Visit{Method: "GET", Scheme: "http", Host: "app.test", Path: "/x", RawQuery: "y", ClientIP: netip.MustParseAddr("2001:db8::1"), TraceID: "0123"},
	}
}

// typical is what a browser sends.
const typical = "Host: app.test\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"140\"\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n" +
	"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n" +
	"Cookie: theme=dark; gp-0a1b2c3d=3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs; lang=en\r\n\r\n"

func TestForwardedOfIPv6(t *testing.T) {
	t.Parallel()
	p := testPlan()
	var in inbound
	if err := in.read([]byte(typical), p.custom); err != nil {
		t.Fatal(err)
	}
	head := string(in.appendHead(nil, testOutbound(p)))
	for _, want := range []string{"Forwarded: for=\"[2001:db8::1]\";host=\"app.test\";proto=http\r\n", "X-Forwarded-For: 2001:db8::1\r\n", "GET /x?y HTTP/1.1\r\nHost: 10.0.0.1:3000\r\n", "Cookie: theme=dark; lang=en\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
}

// Whatever a client sends: what belongs to the proxy stands once and is the
// proxy's, framing is the proxy's, and no line ends early.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		typical, "x_auth_request_user: admin\r\n\r\n", "X!TEAM: a\r\nX-Auth-Request-User:\r\n\r\n", "Cookie: gp-1=2;;gp-\r\nConnection: x-team\r\n\r\n",
		"A: b\nC: d\n\n", "no colon\r\n\r\n", ": empty\r\n\r\n", "Connection: Cookie, Host\r\nCONTENT.LENGTH: 5\r\n\r\n", strings.Repeat("X", 300) + ": y\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	p := testPlan()
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in inbound
		if in.read(raw, p.custom) != nil {
			return
		}
		out := testOutbound(p)
		head := in.appendHead(nil, out)
		if !bytes.HasSuffix(head, []byte("\r\n\r\n")) || bytes.Count(head, []byte("\r\n\r\n")) != 1 {
			t.Fatalf("%q becomes two messages: %q", raw, head)
		}
		seen := map[string][]string{}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n") {
			if strings.ContainsAny(line, "\r\n") {
				t.Fatalf("%q: a line break inside of %q", raw, line)
			}
			name, value, _ := strings.Cut(line, ":")
			folded := string(foldInto(nil, []byte(name)))
			seen[folded] = append(seen[folded], strings.TrimSpace(value))
		}
		for name, want := range map[string]string{
			"host": "10.0.0.1:3000", "x-auth-request-user": "alice", "x-team": "red", "x-forwarded-for": "2001:db8::1", "content-length": "", "transfer-encoding": "",
			"connection": "", "upgrade": "", "remote-user": "", "x-gatepost-assertion": "", "x-forwarded-user": "",
		} {
			got := seen[name]
			if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
				t.Errorf("%q: %s is %q", raw, name, got)
			}
		}
		for _, line := range seen["cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				name, _, _ := strings.Cut(pair, "=")
				if ours([]byte(strings.TrimSpace(name))) {
					t.Errorf("%q: cookie %q passed", raw, pair)
				}
			}
		}
	})
}

func BenchmarkHead(b *testing.B) {
	p := testPlan()
	out := testOutbound(p)
	raw := []byte(typical)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	var in inbound
	for b.Loop() {
		if err := in.read(raw, p.custom); err != nil {
			b.Fatal(err)
		}
		dst = in.appendHead(dst[:0], out)
	}
}

func TestOurs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"gp-1=x": true, "__Host-gp-1=x": true, " gp-1=x": true, "=gp-1=x": true, "gp-1": true, "\tgp-1 =x; Path=/": true,
		"xgp-1=x": false, "GP-1=x": false, "a=gp-1": false, "": false, "__Host-a=1": false, "__Secure-gp-1=x": false,
	} {
		if got := setsOurs([]byte(value)); got != want {
			t.Errorf("Set-Cookie %q: %v", value, got)
		}
	}
}
