package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
)

// A page can be given to the store as it is.
var _ store.Page = web.Page{}

// on serves fn at every path.
func on(t *testing.T, fn func(c *fiber.Ctx) error) *harness {
	t.Helper()
	return start(t, web.Config{}, func(s *web.Server) { s.App().Use(fn) })
}

func TestTags(t *testing.T) {
	t.Parallel()
	if got := web.Tag(12, 345); got != `"12-345"` {
		t.Errorf("Tag: %s", got)
	}
	for in, want := range map[string]web.Version{`"12-345"`: {Position: 12, Rev: 345}, ` W/"0-0" `: {}, `"18446744073709551615-1"`: {Position: 1<<64 - 1, Rev: 1}} {
		if got, ok := web.ParseTag(in); !ok || got != want {
			t.Errorf("ParseTag(%s) = %+v, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"", `"`, `""`, `12-345`, `"12"`, `"a-1"`, `"1-b"`, `"1--2"`, `"-1-2"`, `"18446744073709551616-1"`, `w/"1-2"`} {
		if got, ok := web.ParseTag(bad); ok {
			t.Errorf("ParseTag(%s) = %+v", bad, got)
		}
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	var m web.Match
	var err error
	h := on(t, func(c *fiber.Ctx) error { m, err = web.IfMatch(c); return nil })
	for _, tc := range []struct {
		header                       string
		refused, reached, rev7, gone bool // against position 10 and revisions 7 and 8
	}{
		{"", false, true, true, true},
		{"*", false, true, true, true},
		{`"10-7"`, false, true, true, false},
		{`"11-7"`, false, false, true, false},
		{`"11-1", W/"3-7"`, false, true, true, false},
		{`"3-0"`, false, true, false, false},
		{`"abc"`, true, true, true, true},
	} {
		h.get(t, "/", "If-Match", tc.header)
		if fault.Is(err, fault.Stale) != tc.refused {
			t.Errorf("%s: %v", tc.header, err)
		}
		got := []bool{m.Reached(10) == nil, m.Holds(7) == nil, m.Holds(8) == nil}
		if diff := cmp.Diff([]bool{tc.reached, tc.rev7, tc.gone}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.header, diff)
		}
	}
}

func TestParsePage(t *testing.T) {
	t.Parallel()
	var p web.Page
	var sort string
	var err error
	h := on(t, func(c *fiber.Ctx) error {
		if p, err = web.ParsePage(c, "user"); err == nil {
			sort, err = web.ParseSort(c, "id", "name")
		}
		return nil
	})
	for _, tc := range []struct {
		query string
		want  web.Page
		sort  string
	}{
		{"", web.Page{Limit: 20}, "id"},
		{"limit=1&order=asc&sort=name", web.Page{Limit: 1}, "name"},
		{"limit=100&order=acs&after_user_id=a%2Fb", web.Page{Limit: 100, After: "a/b"}, "id"},
		{"before_user_id=x&order=DESC&after_pool_id=ignored", web.Page{Limit: 20, Before: "x", Desc: true}, "id"},
	} {
		h.get(t, "/?"+tc.query)
		if err != nil || cmp.Diff(tc.want, p) != "" || sort != tc.sort {
			t.Errorf("%s: %+v, %s, %v", tc.query, p, sort, err)
		}
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=-1": "limit", "limit=ten": "limit", "limit=1e1": "limit",
		"order=up": "order", "sort=age": "sort", "after_user_id=a&before_user_id=b": "before_user_id", "limit=%zz": "",
	} {
		h.get(t, "/?"+query)
		if !fault.Is(err, fault.Invalid) || fault.Read(err).Field != field {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestSafePath(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"/", "/a/b?c=d&e=https://x#f", "/a%20b", "/a//b", "/a?x=//y", "/:80", "/@host"} {
		if got, safe := web.SafePath(ok); !safe || got != ok {
			t.Errorf("SafePath(%q) = %q, %v", ok, got, safe)
		}
	}
	for _, bad := range []string{
		"", "a", "//evil.example", "///evil.example", `/\evil.example`, `/a\b`, "/\tevil", "/\n/evil.example", "/\r\nSet-Cookie: x",
		"https://evil.example", "javascript:alert(1)", "http:/evil.example", " /a", "/a b", "/a/../b", "/.", "/%2e%2e/x", "/%5cevil", "/%00", "/%zz", "/é", "/a#b#c", "/a\x7f",
		"/" + strings.Repeat("a", 4096),
	} {
		if got, safe := web.SafePath(bad); safe || got != "" {
			t.Errorf("SafePath(%q) = %q", bad, got)
		}
	}
}

func FuzzSafePath(f *testing.F) {
	for _, s := range []string{"/", "/a?b#c", "//x", `/\x`, "/\t/x", "/%2f/x", "/..//x", "/a:b@c", "http://x", "/;//x"} {
		f.Add(s)
	}
	base, err := url.Parse("https://app.example/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := web.SafePath(s)
		if !ok {
			return
		}
		// What browsers drop or rewrite before they look at an address.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(got))
		to, err := base.Parse(seen)
		if err != nil || to.Scheme != "https" || to.Host != "app.example" || to.User != nil {
			t.Errorf("%q leads to %v, %v", s, to, err)
		}
	})
}

func TestCookieHeader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cookie web.Cookie
		want   string // empty: refused
	}{
		{web.Cookie{Name: "__Host-gp-1", Value: "abc", Secure: true}, "__Host-gp-1=abc; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{web.Cookie{Name: "gp-1", Value: "abc", MaxAge: 90e9}, "gp-1=abc; Path=/; Max-Age=90; HttpOnly; SameSite=Lax"},
		{web.Cookie{Name: "gp-1", MaxAge: -1}, "gp-1=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"},
		{web.Cookie{Name: "gp-1", Path: "/x", Strict: true}, "gp-1=; Path=/x; HttpOnly; SameSite=Strict"},
		{web.Cookie{Name: "gp-1", None: true, Secure: true}, "gp-1=; Path=/; HttpOnly; Secure; SameSite=None"},
		{web.Cookie{Name: "__Host-gp", Value: "x"}, ""},
		{web.Cookie{Name: "__host-gp", Value: "x"}, ""},
		{web.Cookie{Name: "__Host-gp", Path: "/x", Secure: true}, ""},
		{web.Cookie{Name: "__Secure-gp"}, ""},
		{web.Cookie{Name: "gp", None: true}, ""},
		{web.Cookie{Name: "", Value: "x"}, ""},
		{web.Cookie{Name: "a=b"}, ""},
		{web.Cookie{Name: "gp", Value: "a;b"}, ""},
		{web.Cookie{Name: "gp", Value: "a\r\nb"}, ""},
		{web.Cookie{Name: "gp", Value: "a b"}, ""},
		{web.Cookie{Name: "gp", Path: "x"}, ""},
		{web.Cookie{Name: "gp", Path: "/;x"}, ""},
	} {
		got, err := tc.cookie.Header()
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%+v: %q, %v", tc.cookie, got, err)
		}
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	var got []string
	h := on(t, func(c *fiber.Ctx) error {
		got = web.Cookies(c, "gp")
		return web.SetCookie(c, web.Cookie{Name: "gp", Value: "new"})
	})
	res := h.get(t, "/", "Cookie", "a=1; gp=one;gp=two ; GP=no; xgp=no", "Cookie", "gp=three; gp")
	if diff := cmp.Diff([]string{"one", "two", "three"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c := res.Header.Values("Set-Cookie"); len(c) != 1 || !strings.HasPrefix(c[0], "gp=new; Path=/; HttpOnly") {
		t.Errorf("Set-Cookie: %v", c)
	}
}

func ours(name []byte) bool { return strings.HasPrefix(string(name), "__Host-gp-") }

func TestStripCookies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"a=1", "a=1"},
		{"a=1; b=2", "a=1; b=2"},
		{"__Host-gp-1=x", ""},
		{"__Host-gp-1=x; a=1", "a=1"},
		{"a=1; __Host-gp-1=x; b=2", "a=1; b=2"},
		{"a=1;__Host-gp-1=x;__Host-gp-2=y; b=2;", "a=1; b=2"},
		{"a=1;  __Host-gp-1 =x", "a=1"},
		{"__Host-gp-1", ""},
		{"a=1; __Host-gp-1", "a=1"},
		{`a="1; __Host-gp-1=x; b=2"`, `a="1; b=2"`},
		{"a=__Host-gp-1=x", "a=__Host-gp-1=x"},
		{"; ;a=1; __Host-gp-1=", "; ;a=1"},
	} {
		if got := string(web.StripCookies([]byte(tc.in), ours)); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestStripCookiesAllocatesNothingWhenThereAreNone(t *testing.T) {
	header := []byte("a=1; b=2; session=abcdefghijklmnop")
	if n := testing.AllocsPerRun(100, func() { web.StripCookies(header, ours) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzStripCookies(f *testing.F) {
	for _, s := range []string{"a=1; __Host-gp-1=x; b=2", ";;", "__Host-gp-", "a;__Host-gp-1;b", "\t__Host-gp-1\t=\t1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		before := string(header)
		got := web.StripCookies(header, ours)
		if string(header) != before {
			t.Fatal("the input was changed")
		}
		for pair := range strings.SplitSeq(string(got), ";") {
			name, _, _ := strings.Cut(pair, "=")
			if ours([]byte(strings.Trim(name, " \t"))) {
				t.Errorf("%q keeps %q", before, pair)
			}
		}
		for pair := range strings.SplitSeq(before, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if name, pair = strings.Trim(name, " \t"), strings.Trim(pair, " \t"); !ours([]byte(name)) && !strings.Contains(string(got), pair) {
				t.Errorf("%q lost %q: %q", before, pair, got)
			}
		}
	})
}

func TestSecurityPolicy(t *testing.T) {
	t.Parallel()
	const strict = "default-src 'none'; style-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; script-src 'self'; img-src 'self' data:; form-action 'self'"
	for _, tc := range []struct {
		name string
		in   web.Security
		want string
	}{
		{"strict", web.Security{}, strict},
		{"redirect URI", web.Security{FormAction: []string{"https://app.example:8443/callback?x=1", "https://app.example:8443/other"}}, strict + " https://app.example:8443"},
		{"native app", web.Security{FormAction: []string{"com.example.app:/callback"}}, strict + " com.example.app:"},
		{"injection", web.Security{FormAction: []string{"https://a;script-src 'unsafe-inline'", "javascript:x", "data:x", "/path", "", "https://*"}, Scripts: []string{"'unsafe-inline'", "x; y"}}, strict},
	} {
		if diff := cmp.Diff(tc.want, tc.in.Policy()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	sec := web.Security{}
	h := on(t, func(c *fiber.Ctx) error { sec.Apply(c); return nil })
	res := h.get(t, "/")
	for name, want := range map[string]string{
		"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		"Cache-Control": "no-store", "Strict-Transport-Security": "",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	sec = web.Security{HTTPS: true, KeepOpener: true}
	if res := h.get(t, "/"); res.Header.Get("Strict-Transport-Security") == "" || res.Header.Get("Cross-Origin-Opener-Policy") != "" {
		t.Errorf("headers: %v", res.Header)
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	var err error
	h := on(t, func(c *fiber.Ctx) error { err = web.SameOrigin(c, "https://id.example"); return nil })
	for _, tc := range []struct {
		name, method, site, origin string
		want                       bool
	}{
		{"own form", "POST", "same-origin", "https://id.example", true},
		{"typed by the user", "POST", "none", "", true},
		{"subdomain", "POST", "same-site", "https://x.id.example", false},
		{"other site", "POST", "cross-site", "https://evil.example", false},
		{"other site with our origin", "POST", "cross-site", "https://id.example", false},
		{"unknown value", "POST", "odd", "https://id.example", false},
		{"old browser, own form", "POST", "", "https://ID.example", true},
		{"old browser, other site", "POST", "", "https://evil.example", false},
		{"old browser, other scheme", "POST", "", "http://id.example", false},
		{"old browser, other port", "POST", "", "https://id.example:444", false},
		{"sandboxed frame", "POST", "", "null", false},
		{"no browser", "POST", "", "", true},
		{"link from elsewhere", "GET", "cross-site", "", true},
		{"other method", "DELETE", "cross-site", "", false},
	} {
		req, reqErr := http.NewRequestWithContext(t.Context(), tc.method, "http://"+h.addr+"/", nil)
		if reqErr != nil {
			t.Fatal(reqErr)
		}
		for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Origin": tc.origin} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		h.do(t, req)
		if (err == nil) != tc.want || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
