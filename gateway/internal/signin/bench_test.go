package signin_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// BenchmarkPassword is what a sign-in costs beside its password hash, every write
// of it durable: counting the try, checking, session, code and audit events. The
// demo's pool hashes with one round of SHA-512 here.
func BenchmarkPassword(b *testing.B) {
	driver, err := embedded.Open(embedded.Config{Path: filepath.Join(b.TempDir(), "signin.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = driver.Close() })
	w := signintest.On(b, signintest.SiteBase, driver)
	first := w.Agent()
	first.SignIn(signintest.Request())
	for b.Loop() {
		a := w.Agent()
		for name, value := range first.Jar { // a browser that was here before; others would be slowed after a hundred
			if strings.Contains(name, "device") {
				a.Jar[name] = value
			}
		}
		l, space := a.Begin(signintest.Request())
		if _, err := w.Signin.Password(b.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser()); err != nil {
			b.Fatal(err)
		}
	}
}
