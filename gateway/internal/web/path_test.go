package web_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/google/go-cmp/cmp"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in string
		want     web.Path
	}{
		{"plain", "/a/b?x=1&y=/..", web.Path{Path: "/a/b", RawQuery: "x=1&y=/.."}},
		{"root", "/", web.Path{Path: "/"}},
		{"trailing slash", "/a/", web.Path{Path: "/a/"}},
		{"escapes stay", "/a%20b/%C3%A9/x%40y", web.Path{Path: "/a%20b/%C3%A9/x%40y"}},
		{"escaped percent", "/%252e%252e/", web.Path{Path: "/%252e%252e/"}},
		{"sub-delimiters", "/a:b@c!$&'()*+,=", web.Path{Path: "/a:b@c!$&'()*+,="}},
		{"three dots", "/.../a", web.Path{Path: "/.../a"}},
		{"hidden file", "/.well-known/..x", web.Path{Path: "/.well-known/..x"}},
		{"absolute form", "http://app.example/a?b", web.Path{Path: "/a", RawQuery: "b"}},
		{"absolute form without path", "http://app.example", web.Path{Path: "/"}},
		{"absolute form with query only", "http://app.example?q", web.Path{Path: "/", RawQuery: "q"}},
		{"second question mark", "/a?b?c", web.Path{Path: "/a", RawQuery: "b?c"}},

		{"encoded slash", "/a%2Fb", web.Path{Path: "/a%2Fb", Ambiguous: true}},
		{"double slash", "//admin", web.Path{Path: "//admin", Ambiguous: true}},
		{"double slash inside", "/a//b", web.Path{Path: "/a//b", Ambiguous: true}},
		{"parameter", "/admin;x/y", web.Path{Path: "/admin;x/y", Ambiguous: true}},
		{"encoded letter", "/%61dmin", web.Path{Path: "/%61dmin", Ambiguous: true}},
		{"encoded dot in a name", "/a%2ehtml", web.Path{Path: "/a%2ehtml", Ambiguous: true}},
		{"encoded tilde", "/%7Eme", web.Path{Path: "/%7Eme", Ambiguous: true}},
		{"raw UTF-8", "/\xc3\xa9", web.Path{Path: "/\xc3\xa9", Ambiguous: true}},
		{"should be escaped", "/a|b", web.Path{Path: "/a|b", Ambiguous: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := web.Canonical([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "*", "a/b", "host:443",
		"/.", "/..", "/./a", "/a/..", "/a/../b", "/x/../admin", "/./admin", "/a/.",
		"/%2e", "/%2E%2e/admin", "/x/%2e%2e/admin", "/.%2e/", "/a/%2e",
		"/a%2f..%2fb", "/a%2f%2e%2e", "/..%2fadmin",
		"/..;/admin", "/a/..;x=1/b", "/.;a", "/%2e%2e;/admin", "/..%3b/admin",
		"/a%", "/a%2", "/a%zz", "/a%u0041",
		"/a%00b", "/%5cadmin", "/a%5Cb", `/a\b`, `/\evil`,
		"/a b", "/a\tb", "/a\x00", "/a\x7f", "/a#b", "/a?b#c", "/a?b c",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			if got, err := web.Canonical([]byte(in)); !fault.Is(err, fault.Invalid) {
				t.Errorf("Canonical(%q) = %+v, %v", in, got, err)
			}
		})
	}
}

func TestPlainPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"/": true, "/admin": true, "/a-b/c.d/_e~/": true, "/.well-known": true,
		"": false, "admin": false, "/a%20b": false, "/a!": false, "//": false, "/a/../b": false, "/a;b": false, "/é": false, "/.": false,
	} {
		if got := web.PlainPath(in); got != want {
			t.Errorf("PlainPath(%q) = %v", in, got)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		"/", "/a/b?c", "//admin", "/%61dmin", "/a%2f..%2fb", "/..;/x", "/.%2e/", "http://h/a", "/a\\b", "/%", "/%e9", "/a;b=../c", "/%2e%2f", "*",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, uri []byte) {
		got, err := web.Canonical(uri)
		if err != nil {
			return
		}
		again, err := web.Canonical([]byte(got.Path + query(got)))
		if err != nil || again != got {
			t.Fatalf("%q: not stable: %+v, then %+v, %v", uri, got, again, err)
		}
		plain, err := url.PathUnescape(got.Path)
		if err != nil {
			t.Fatalf("%q: %v", uri, err)
		}
		if strings.ContainsAny(plain, "\x00\\") {
			t.Fatalf("%q passes as %q", uri, plain)
		}
		for seg := range strings.SplitSeq(plain, "/") {
			if name, _, _ := strings.Cut(seg, ";"); name == "." || name == ".." {
				t.Fatalf("%q passes with the dot-segment %q", uri, seg)
			}
		}
		if got.Ambiguous {
			return
		}
		// One reading only: neither cleaning nor decoding and encoding again
		// leads to another place.
		if clean := path.Clean(plain); clean != strings.TrimSuffix(plain, "/") && plain != "/" {
			t.Fatalf("%q cleans to %q", plain, clean)
		}
		if web.PlainPath(plain) && plain != got.Path {
			t.Fatalf("%q is another spelling of the plain path %q", got.Path, plain)
		}
	})
}

func query(p web.Path) string {
	if p.RawQuery == "" {
		return ""
	}
	return "?" + p.RawQuery
}

func BenchmarkCanonical(b *testing.B) {
	uri := []byte("/api/identity/default/admin/pools/people/users?limit=20&order=asc")
	for b.Loop() {
		if _, err := web.Canonical(uri); err != nil {
			b.Fatal(err)
		}
	}
}
