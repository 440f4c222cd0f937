package web_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// visits returns a server that keeps the last Visit.
func visits(t *testing.T, cfg web.Config) (*harness, chan web.Visit) {
	t.Helper()
	seen := make(chan web.Visit, 1)
	h := start(t, cfg, func(s *web.Server) {
		s.App().Use(func(c *fiber.Ctx) error { seen <- web.Read(c); return nil })
	})
	return h, seen
}

func TestRead(t *testing.T) {
	t.Parallel()
	h, seen := visits(t, web.Config{})
	h.get(t, "/a%20b/?q=%2F&x", "Host", "App.Example:8080", "User-Agent", "ua", "X-Correlation-ID", "c-1", "Accept", "text/html,*/*;q=0.8")
	got := <-seen
	want := web.Visit{
		Method: "GET", Scheme: "http", Host: "app.example:8080", Path: "/a%20b/", RawQuery: "q=%2F&x", UserAgent: "ua",
		ClientIP: netip.MustParseAddr("127.0.0.1"), PeerIP: netip.MustParseAddr("127.0.0.1"), CorrelationID: "c-1", Navigation: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(web.Visit{}, "TraceID"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Origin() != "http://app.example:8080" {
		t.Errorf("origin: %s", got.Origin())
	}
}

func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	inner := netip.MustParsePrefix("10.0.0.0/8")
	for _, tc := range []struct {
		name    string
		trusted []netip.Prefix
		header  []string
		want    string // scheme, host and client
	}{
		{"nobody is trusted", nil, []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example"}, "http app.example 127.0.0.1"},
		{"another peer is trusted", []netip.Prefix{inner}, []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https"}, "http app.example 127.0.0.1"},
		{"trusted peer", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "Shop.Example"}, "https shop.example 1.2.3.4"},
		{"spoofed leftmost", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "6.6.6.6, 1.2.3.4"}, "http app.example 1.2.3.4"},
		{"two proxies", []netip.Prefix{loopback, inner}, []string{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.7"}, "http app.example 1.2.3.4"},
		{"two headers", []netip.Prefix{loopback, inner}, []string{"X-Forwarded-For", "6.6.6.6, 1.2.3.4", "X-Forwarded-For", "10.0.0.7"}, "http app.example 1.2.3.4"},
		{"all are proxies", []netip.Prefix{loopback, inner}, []string{"X-Forwarded-For", "10.0.0.8, 10.0.0.7"}, "http app.example 10.0.0.8"},
		{"unreadable hop", []netip.Prefix{loopback, inner}, []string{"X-Forwarded-For", "1.2.3.4, unknown, 10.0.0.7"}, "http app.example 10.0.0.7"},
		{"empty", []netip.Prefix{loopback}, []string{"X-Forwarded-For", ""}, "http app.example 127.0.0.1"},
		{"with port", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "1.2.3.4:5678"}, "http app.example 1.2.3.4"},
		{"IPv6", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "2001:db8::1"}, "http app.example 2001:db8::1"},
		{"IPv6 with port", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "[2001:db8::1]:99"}, "http app.example 2001:db8::1"},
		{"IPv6 in brackets", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "[2001:db8::1]"}, "http app.example 2001:db8::1"},
		{"mapped", []netip.Prefix{loopback, inner}, []string{"X-Forwarded-For", "1.2.3.4, ::ffff:10.0.0.7"}, "http app.example 1.2.3.4"},
		{"Forwarded never counts", []netip.Prefix{loopback}, []string{"Forwarded", "for=1.2.3.4;proto=https;host=evil.example"}, "http app.example 127.0.0.1"},
		{"underscores never count", []netip.Prefix{loopback}, []string{"X_Forwarded_For", "1.2.3.4"}, "http app.example 127.0.0.1"},
		{"list of schemes", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "https, http"}, "http app.example 127.0.0.1"},
		{"WebSocket scheme", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "wss"}, "https app.example 127.0.0.1"},
		{"unknown scheme", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "gopher"}, "http app.example 127.0.0.1"},
		{"bad host", []netip.Prefix{loopback}, []string{"X-Forwarded-Host", "a/b"}, "http app.example 127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, seen := visits(t, web.Config{Trusted: tc.trusted})
			h.get(t, "/", append(tc.header, "Host", "app.example")...)
			v := <-seen
			if got := v.Scheme + " " + v.Host + " " + v.ClientIP.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestNavigation(t *testing.T) {
	t.Parallel()
	h, seen := visits(t, web.Config{})
	const page = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tc := range []struct {
		name   string
		header []string
		want   bool
	}{
		{"page load", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", page}, true},
		{"frame", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", page}, false},
		{"fetch", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"}, false},
		{"fetch that asks for HTML", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, false},
		{"image", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Accept", "image/*"}, false},
		{"prefetch", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch", "Accept", page}, false},
		{"old browser", []string{"Accept", page}, true},
		{"old XHR", []string{"Accept", page, "X-Requested-With", "XMLHttpRequest"}, false},
		{"upgrade", []string{"Accept", page, "Upgrade", "websocket", "Connection", "Upgrade"}, false},
		{"curl", []string{"Accept", "*/*"}, false},
		{"API client", []string{"Accept", "application/json"}, false},
		{"nothing said", nil, false},
	} {
		h.get(t, "/", tc.header...)
		if v := <-seen; v.Navigation != tc.want {
			t.Errorf("%s: navigation = %v", tc.name, v.Navigation)
		}
	}
}

// TestVisitOutlivesItsHandler keeps values of three requests on one connection.
func TestVisitOutlivesItsHandler(t *testing.T) {
	t.Parallel()
	var kept []web.Visit
	var params, cookies []string
	h := start(t, web.Config{}, func(s *web.Server) {
		s.App().Get("/u/:id", func(c *fiber.Ctx) error {
			id, err := web.Param(c, "id")
			kept, params, cookies = append(kept, web.Read(c)), append(params, id), append(cookies, web.Cookies(c, "s")...)
			return err
		})
	})
	for _, name := range []string{"alice", "bob", "carol%40x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.addr+"/u/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "s="+name)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	var paths []string
	for _, v := range kept {
		paths = append(paths, v.Path)
	}
	if diff := cmp.Diff([][]string{{"/u/alice", "/u/bob", "/u/carol%40x"}, {"alice", "bob", "carol@x"}, {"alice", "bob", "carol%40x"}}, [][]string{paths, params, cookies}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
