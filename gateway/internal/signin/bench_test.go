package signin_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// durable is a world whose writes reach the disk before they are answered.
func durable(b *testing.B) *signintest.World {
	b.Helper()
	driver, err := embedded.Open(embedded.Config{Path: filepath.Join(b.TempDir(), "signin.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = driver.Close() })
	return signintest.On(b, signintest.SiteBase, driver)
}

// BenchmarkClientCredentials is a token for a client that authenticates by a
// secret, many at once: the secret, the signature (ES256) and the audit event.
func BenchmarkClientCredentials(b *testing.B) {
	w := durable(b)
	space := w.Home()
	cr := signin.Credentials{Client: w.Demo.Clients.Confidential.ClientID, Secret: w.Demo.Clients.Confidential.ClientSecret, Method: "client_secret_basic"}
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			c, err := w.Signin.AuthenticateClient(b.Context(), space, cr)
			if err == nil {
				_, err = w.Signin.ClientCredentials(b.Context(), space, c, signin.Holder{}, nil)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRefresh is a chain of refreshes, each written before it is answered.
func BenchmarkRefresh(b *testing.B) {
	w := durable(b)
	space, c := w.Home(), w.Public()
	refresh := w.Agent().Tokens("openid", "offline_access").RefreshToken
	for b.Loop() {
		set, err := w.Signin.Refresh(b.Context(), space, c, signin.Holder{}, refresh, nil)
		if err != nil {
			b.Fatal(err)
		}
		refresh = set.RefreshToken
	}
}

// BenchmarkPassword is what a sign-in costs beside its password hash, every write
// of it durable: counting the try, checking, session, code and audit events. The
// demo's pool hashes with one round of SHA-512 here.
func BenchmarkPassword(b *testing.B) {
	w := durable(b)
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
