package web_test

import (
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

func fold(name string) string { return string(web.AppendFold(nil, []byte(name))) }

func TestFold(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-Auth-Request-User", "x_auth_request_user", "X-AUTH_Request.User", "x-auth-request-user"} {
		if got := fold(name); got != "x-auth-request-user" {
			t.Errorf("fold(%q) = %q", name, got)
		}
	}
	if got := fold("X-Other"); got != "x-other" {
		t.Errorf("got %q", got)
	}
}

func TestAppendFoldAllocatesNothing(t *testing.T) {
	buf, name := make([]byte, 0, 64), []byte("X-AUTH_Request.User")
	if n := testing.AllocsPerRun(100, func() { _ = web.AppendFold(buf[:0], name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "X-Auth-Request-User", "x_auth.request_USER", "\x00\xff_", "Ünder_score"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		folded := fold(name)
		if again := fold(folded); again != folded {
			t.Errorf("fold is not idempotent: %q, then %q", folded, again)
		}
		if strings.ContainsAny(folded, "_.ABCDEFGHIJKLMNOPQRSTUVWXYZ") || len(folded) != len(name) {
			t.Errorf("fold(%q) = %q", name, folded)
		}
		if got := string(web.AppendFold([]byte("pre"), []byte(name))); got != "pre"+folded {
			t.Errorf("AppendFold(%q) = %q, fold says %q", name, got, folded)
		}
	})
}

func BenchmarkAppendFold(b *testing.B) {
	buf, name := make([]byte, 0, 64), []byte("X-Auth-Request-Preferred-Username")
	for b.Loop() {
		buf = web.AppendFold(buf[:0], name)
	}
}
