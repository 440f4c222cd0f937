package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func pages(t *testing.T) *page.Pages {
	t.Helper()
	p, err := page.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, theme page.Theme, p page.Page) (string, *html.Node) {
	t.Helper()
	var b bytes.Buffer
	if err := pages(t).Render(&b, theme, p); err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), doc
}

// nodes yields all elements of a document, in order.
func nodes(doc *html.Node) (list []*html.Node) {
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			list = append(list, n)
		}
	}
	return list
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func TestHostileValuesStayText(t *testing.T) {
	t.Parallel()
	for name, p := range every(hostile) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, doc := render(t, page.Theme{Name: hostile, LogoURL: hostile, Accent: hostile}, p)
			if !strings.Contains(src, "alert(1)") && name != "RegistrationClosed" {
				t.Fatal("the page shows none of its values")
			}
			for _, n := range nodes(doc) {
				switch n.Data {
				case "script":
					if s, _ := attr(n, "src"); !strings.HasPrefix(s, web.AssetPrefix) || n.FirstChild != nil {
						t.Errorf("a script got in: %v", n.Attr)
					}
				case "img":
					if s, _ := attr(n, "src"); !strings.HasPrefix(s, "data:image/png;base64,") || name != "EnrolTOTP" {
						t.Errorf("<%s> got in: %v", n.Data, n.Attr)
					}
				case "style", "iframe", "base", "object":
					t.Errorf("<%s> got in: %v", n.Data, n.Attr)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
					if (a.Key == "href" || a.Key == "action" || a.Key == "src") && strings.HasPrefix(a.Val, "javascript:") {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
				}
			}
		})
	}
}

// TestStructure holds what every page needs for people who do not see it.
func TestStructure(t *testing.T) {
	t.Parallel()
	for name, p := range every("value") {
		_, doc := render(t, page.Theme{}, p)
		count := map[string]int{}
		for _, n := range nodes(doc) {
			count[n.Data]++
			if lang, _ := attr(n, "lang"); n.Data == "html" && lang != "en" {
				t.Errorf("%s: lang %q", name, lang)
			}
			if n.Data == "title" && !strings.HasSuffix(textOf(n), " – Gatepost") {
				t.Errorf("%s: title %q", name, textOf(n))
			}
		}
		if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 {
			t.Errorf("%s: %v", name, count)
		}
	}
}

func TestSignInFields(t *testing.T) {
	t.Parallel()
	_, doc := render(t, page.Theme{}, page.SignIn{
		CSRF: "tok", Action: "/default/identity/people/login?login_id=1&login_state=2", Identifier: "alice", Hidden: []page.Field{{Name: "a", Value: "b"}},
		Errors: []page.FieldError{{Say: "Wrong name or password."}}, Alternatives: []page.Alternative{{Action: "change_to_otp", Label: "Code"}},
	})
	got := map[string]string{}
	for _, n := range nodes(doc) {
		if n.Data == "form" {
			got["form"], _ = attr(n, "action")
		}
		if name, ok := attr(n, "name"); ok && (n.Data == "input" || n.Data == "button") {
			got[name], _ = attr(n, "value")
		}
		if role, _ := attr(n, "role"); role == "alert" {
			got["alert"] = strings.TrimSpace(textOf(n))
		}
		if _, ok := attr(n, "autofocus"); ok {
			id, _ := attr(n, "id")
			by, _ := attr(n, "aria-describedby")
			got["focus"] = id + " described by " + by
		}
	}
	want := map[string]string{
		"form": "/default/identity/people/login?login_id=1&login_state=2", "csrf_token": "tok", "a": "b", "authn_mode": "password_view",
		"identifier": "alice", "password": "", "action": "change_to_otp", "alert": "Wrong name or password.", "focus": "password described by errors",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChooserSendsTheID(t *testing.T) {
	t.Parallel()
	src, _ := render(t, page.Theme{}, page.Chooser{Choices: []page.Choice{{ID: "iid-1", Name: "People"}}})
	if !strings.Contains(src, `<button name="authentication_id" value="iid-1">People</button>`) {
		t.Error(src)
	}
}

func TestFormPostTargets(t *testing.T) {
	t.Parallel()
	p := pages(t)
	for _, ok := range []string{"https://app.example/cb", "com.example.app:/cb", "http://127.0.0.1:5555/cb"} {
		src, _ := render(t, page.Theme{}, page.FormPost{Action: ok})
		if !strings.Contains(src, `action="`+ok+`"`) || !strings.Contains(src, p.AssetURL("form-post.js")) {
			t.Errorf("%s: %s", ok, src)
		}
	}
	for _, bad := range []string{"", "/cb", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//x"} {
		var b bytes.Buffer
		if err := p.Render(&b, page.Theme{}, page.FormPost{Action: bad}); err == nil || b.Len() > 0 {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestGolden shows what a page looks like to a reader of the source. go test
// -update rewrites the files.
func TestGolden(t *testing.T) {
	t.Parallel()
	versions := regexp.MustCompile(`assets/[0-9a-f]{16}/`)
	for name, p := range map[string]page.Page{
		"sign-in": page.SignIn{CSRF: "token", Action: "/login?login_id=1", App: "Demo app", ForgotURL: "/reset"},
		"set-up":  page.SetUp{CSRF: "token", Action: "/setup", Token: "once", Tenant: "Example", Errors: []page.FieldError{{Field: "password", Say: "Too short."}, {Field: "repeatPassword", Say: "Differs."}}},
		"account": page.Account{
			CSRF: "token", EndAction: "/end", EndAllAction: "/end-all", Name: "Alice", Identifier: "alice@example.com",
			Identifiers: []page.Identifier{{Value: "alice@example.com", Kind: "Email", Verifiable: true, Verified: true}},
			Sessions:    []page.Session{{ID: "s1", Device: "Firefox on Linux", IP: "203.0.113.7", Methods: "password", SignedIn: time.Date(2026, 11, 23, 9, 4, 5, 0, time.UTC), LastSeen: time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC), Current: true}},
		},
	} {
		src, _ := render(t, page.Theme{Name: "Example"}, p)
		got := versions.ReplaceAllString(src, "assets/VERSION/")
		file := filepath.Join("testdata", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	p := pages(t)
	for name, kind := range map[string]string{"gatepost.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "form-post.js": "text/javascript; charset=utf-8", "webauthn.js": "text/javascript; charset=utf-8", "favicon.svg": "image/svg+xml"} {
		a, ok := p.Asset(p.AssetURL(name))
		if !ok || a.Type != kind || len(a.Body) == 0 {
			t.Errorf("%s at %s: %v, %s", name, p.AssetURL(name), ok, a.Type)
		}
	}
	for _, bad := range []string{"", "/", web.AssetPrefix, web.AssetPrefix + "gatepost.css", web.AssetPrefix + "../pages.go", "/x" + p.AssetURL("page.js"), web.AssetPrefix + "theme/12345.css", web.AssetPrefix + "theme/ABCDEF.css", web.AssetPrefix + "theme/1234g6.css"} {
		if _, ok := p.Asset(bad); ok {
			t.Errorf("%q is served", bad)
		}
	}
	// Every page links to what is there.
	for name, pg := range every("value") {
		_, doc := render(t, page.Theme{Accent: "#e0af00"}, pg)
		linked, passkeys, module := 0, false, false
		for _, n := range nodes(doc) {
			url, ok := attr(n, "href")
			if _, is := attr(n, "data-passkey"); is {
				passkeys = true
			}
			if n.Data == "script" {
				url, ok = attr(n, "src")
			}
			if !ok || n.Data != "link" && n.Data != "script" {
				continue
			}
			linked++
			module = module || url == p.AssetURL("webauthn.js")
			if _, served := p.Asset(url); !served {
				t.Errorf("%s links to %s", name, url)
			}
		}
		want := 4
		if passkeys {
			want = 5
		}
		if linked != want || module != passkeys {
			t.Errorf("%s links to %d files, passkeys %v, webauthn.js %v", name, linked, passkeys, module)
		}
	}
}

func TestHeadersTooLarge(t *testing.T) {
	t.Parallel()
	body, csp := pages(t).HeadersTooLarge()
	_, rest, _ := strings.Cut(string(body), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; style == "" || !strings.Contains(csp, want) {
		t.Errorf("the policy %q does not allow the page's style (%s)", csp, want)
	}
	if s := string(body); strings.Contains(s, "href=") || strings.Contains(s, "src=") || !strings.Contains(s, "Too many cookies") {
		t.Errorf("the page loads something or says nothing: %s", s)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   web.Problem
		want []string
	}{
		{"error", web.Problem{Status: 500, Say: "Something went wrong on our side.", TraceID: "t-1"}, []string{"<h1>Something went wrong</h1>", "t-1"}},
		{"field", web.Problem{Status: 400, Field: "limit", Say: "must be a number"}, []string{"limit: must be a number"}},
		{"not found", web.Problem{Status: 404, Say: "There is nothing at this address."}, []string{"<h1>Page not found</h1>"}},
		{"denied", web.Problem{Status: 403, Say: "Not for you.", TraceID: "t-1"}, []string{"<h1>You have no access</h1>", "Not for you.", "t-1"}},
		{"unavailable", web.Problem{Status: 502, Say: "No answer.", TraceID: "t-1"}, []string{"Not available right now", "No answer.", "t-1"}},
		{
			"unknown host",
			web.Problem{Status: 421, TraceID: "t-1", UnknownHost: &web.UnknownHost{Host: "h.example", Scheme: "http", SchemeOnly: true, Forwarded: true, Peer: netip.MustParseAddr("10.1.2.3"), Configured: []string{"https://id.example"}}},
			[]string{"http://h.example", "https://id.example", "10.1.2.3", "base_url", "trusted_proxies", "t-1"},
		},
		{"no host at all", web.Problem{Status: 421, UnknownHost: &web.UnknownHost{Scheme: "http"}}, []string{"http://(no host)", "nothing yet"}},
	} {
		var b strings.Builder
		if err := pages(t).Problem(&b, tc.in); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, want := range tc.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: lacks %q: %s", tc.name, want, b.String())
			}
		}
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	for ua, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"curl/8.11.0": "curl",
		"":            "Unknown browser",
		hostile:       "Unknown browser",
	} {
		if got := page.Device(ua); got != want {
			t.Errorf("%s: %q", ua, got)
		}
	}
}
