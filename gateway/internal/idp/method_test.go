package idp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func oidcIDP(id string, alter func(*idp.IDP)) idp.IDP {
	p := idp.IDP{
		TenantID: "acme", WorkspaceID: "main", ID: id, Method: idp.OIDC,
		Settings:    idp.Settings{OIDC: &idp.OIDCSettings{IssuerURL: "https://login.corp.example", ClientID: "gp"}},
		Credentials: &idp.Credentials{OIDC: &idp.OIDCCredentials{ClientSecret: "s3cr3t"}},
	}
	if alter != nil {
		alter(&p)
	}
	return p
}

func staticIDP(id string, users ...idp.StaticUser) idp.IDP {
	return idp.IDP{
		TenantID: "acme", WorkspaceID: "main", ID: id, Method: idp.Static,
		Credentials: &idp.Credentials{Static: &idp.StaticCredentials{Users: users}},
	}
}

func customIDP(id string) idp.IDP {
	return idp.IDP{
		TenantID: "acme", WorkspaceID: "main", ID: id, Method: idp.Custom,
		Settings: idp.Settings{Custom: &idp.CustomSettings{LoginURL: "https://door.example/in"}},
	}
}

func (w *world) make(p idp.IDP) idp.IDP {
	w.t.Helper()
	p, err := w.keeper.Create(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func privateKey(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestMethodRefusals(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256 := privateKey(t, newKey(t))
	public, err := x509.MarshalPKIXPublicKey(newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(url string) func(*idp.IDP) { return func(p *idp.IDP) { p.Settings.OIDC.IssuerURL = url } }
	key := func(k idp.AssertionKey) func(*idp.IDP) {
		return func(p *idp.IDP) {
			p.Settings.OIDC.AuthenticationMethod = idp.AuthKey
			p.Credentials.OIDC.PrivateKeyJWT = &k
		}
	}
	jit := func(text string) func(*idp.IDP) { return func(p *idp.IDP) { p.JIT = json.RawMessage(text) } }
	users := func(us ...idp.StaticUser) func(*idp.IDP) {
		return func(p *idp.IDP) { *p = staticIDP(p.ID, us...) }
	}
	page := func(url string) func(*idp.IDP) {
		return func(p *idp.IDP) { *p = customIDP(p.ID); p.Settings.Custom.LoginURL = url }
	}
	for _, c := range []struct {
		name, field string
		harm        func(*idp.IDP)
	}{
		{"method", "method", func(p *idp.IDP) { p.Method = "saml" }},
		{"pool", "identity_pool_id", func(p *idp.IDP) { p.IdentityPoolID = "people" }},
		{"no settings", "settings.issuer_url", func(p *idp.IDP) { p.Settings = idp.Settings{} }},
		{"no issuer", "settings.issuer_url", issuer("")},
		{"http issuer", "settings.issuer_url", issuer("http://login.corp.example")},
		{"http of a name like loopback", "settings.issuer_url", issuer("http://localhost.evil.example")},
		{"javascript issuer", "settings.issuer_url", issuer("javascript:alert(1)")},
		{"opaque issuer", "settings.issuer_url", issuer("https:login.corp.example")},
		{"issuer with a query", "settings.issuer_url", issuer("https://login.corp.example?x=1")},
		{"issuer with an empty query", "settings.issuer_url", issuer("https://login.corp.example?")},
		{"issuer with a fragment", "settings.issuer_url", issuer("https://login.corp.example#x")},
		{"issuer with a user", "settings.issuer_url", issuer("https://a:b@login.corp.example")},
		{"issuer without a host", "settings.issuer_url", issuer("https:///x")},
		{"metadata as issuer", "settings.issuer_url", issuer("https://login.corp.example/.well-known/openid-configuration")},
		{"long issuer", "settings.issuer_url", issuer("https://login.corp.example/" + strings.Repeat("x", 2048))},
		{"no client", "settings.client_id", func(p *idp.IDP) { p.Settings.OIDC.ClientID = "" }},
		{"client with a line", "settings.client_id", func(p *idp.IDP) { p.Settings.OIDC.ClientID = "a\r\nX: y" }},
		{"way to authenticate", "settings.authentication_method", func(p *idp.IDP) { p.Settings.OIDC.AuthenticationMethod = "tls" }},
		{"scope", "settings.scopes[1]", func(p *idp.IDP) { p.Settings.OIDC.Scopes = []string{"a", "b c"} }},
		{"scopes", "settings.scopes", func(p *idp.IDP) {
			for i := range 51 {
				p.Settings.OIDC.Scopes = append(p.Settings.OIDC.Scopes, fmt.Sprint(i))
			}
		}},
		{"no secret", "credentials.client_secret", func(p *idp.IDP) { p.Credentials = nil }},
		{"secret with a line", "credentials.client_secret", func(p *idp.IDP) { p.Credentials.OIDC.ClientSecret = "a\nb" }},
		{"no key", "credentials.private_key_jwt.key", key(idp.AssertionKey{})},
		{"no PEM", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: "s3cr3t"})},
		{"two keys", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: p256 + p256})},
		{"public key", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))})},
		{"broken key", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("s3cr3t")}))})},
		{"encrypted key", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))})},
		{"weak key", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: privateKey(t, weak)})},
		{"odd curve", "credentials.private_key_jwt.key", key(idp.AssertionKey{Key: privateKey(t, p224)})},
		{"algorithm of another key", "credentials.private_key_jwt.algorithm", key(idp.AssertionKey{Key: p256, Algorithm: "RS256"})},
		{"shared algorithm", "credentials.private_key_jwt.algorithm", key(idp.AssertionKey{Key: p256, Algorithm: "HS256"})},
		{"long assertion", "credentials.private_key_jwt.exp", key(idp.AssertionKey{Key: p256, Expires: store.Duration(2 * time.Hour)})},
		{"negative assertion", "credentials.private_key_jwt.exp", key(idp.AssertionKey{Key: p256, Expires: -1})},
		{"no page", "settings.login_url", page("")},
		{"javascript page", "settings.login_url", page("javascript:alert(1)//https://x")},
		{"page with a fragment", "settings.login_url", page("https://door.example/#x")},
		{"http page", "settings.login_url", page("http://door.example/")},
		{"user without a name", "credentials.users[0].username", users(idp.StaticUser{Password: "x"})},
		{"user without a password", "credentials.users[1].password", users(idp.StaticUser{Username: "a", Password: "x"}, idp.StaticUser{Username: "b"})},
		{"user twice", "credentials.users[1].username", users(idp.StaticUser{Username: "a", Password: "x"}, idp.StaticUser{Username: "a", Password: "y"})},
		{"context that is a list", "credentials.users[0].authentication_context", users(idp.StaticUser{Username: "a", Password: "x", AuthenticationContext: json.RawMessage(`[]`)})},
		{"large attributes", "credentials.users[0].additional_attributes", users(idp.StaticUser{Username: "a", Password: "x", AdditionalAttributes: json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)})},
		{"many users", "credentials.users", users(make([]idp.StaticUser, 201)...)},
		{"jit without a pool", "jit.provisioning.pool_id", jit(`{"enabled":true}`)},
		{"jit of a wrong type", "jit.enabled", jit(`{"enabled":"yes"}`)},
		{"jit role", "jit.provisioning.admin_role_type", jit(`{"provisioning":{"admin_role_type":"king"}}`)},
		{"jit pool", "jit.provisioning.pool_id", jit(`{"provisioning":{"pool_id":"../x"}}`)},
		{"jit identifier", "jit.provisioning.user.identifiers[0]", jit(`{"provisioning":{"user":{"identifiers":[{"type":"email"}]}}}`)},
		{"jit address", "jit.provisioning.user.addresses[0]", jit(`{"provisioning":{"user":{"addresses":[{"source":"a","type":"pigeon"}]}}}`)},
		{"jit mapping", "jit.provisioning.user.attributes_mapping[0].target", jit(`{"provisioning":{"user":{"attributes_mapping":[{"source":"a","type":"string"}]}}}`)},
		{"large jit", "jit", jit(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := oidcIDP("corp", c.harm)
			_, err := w.keeper.Create(t.Context(), p)
			want(t, err, fault.Unprocessable, c.field)
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error shows a secret: %v", err)
			}
			if w.paired.count() != 0 || len(w.ids("acme", "main")) != 0 {
				t.Error("something was left behind")
			}
		})
	}
}

func TestKeysAndTheirAlgorithms(t *testing.T) {
	t.Parallel()
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string]string{
		"RS256": privateKey(t, strong), "EdDSA": privateKey(t, ed), "ES256": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})),
		"": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(strong)})),
	} {
		w := newWorld(t)
		p := w.make(oidcIDP("corp", func(p *idp.IDP) {
			p.Settings.OIDC.AuthenticationMethod = idp.AuthKey
			p.Credentials.OIDC.PrivateKeyJWT = &idp.AssertionKey{Key: text}
		}))
		if err := w.keeper.Reveal(&p); err != nil {
			t.Fatal(err)
		}
		k := p.Credentials.OIDC.PrivateKeyJWT
		if want == "" {
			want = "RS256"
		}
		if k.Algorithm != want || time.Duration(k.Expires) != 30*time.Second || p.Credentials.OIDC.ClientSecret != "" {
			t.Errorf("%s: algorithm %s, exp %v", want, k.Algorithm, k.Expires)
		}
	}
}

// Secrets stay when an update leaves them out, and stand nowhere in the clear.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.make(oidcIDP("corp", nil))
	if p.Credentials != nil || p.Sealed == "" || strings.Contains(p.Sealed, "s3cr3t") {
		t.Errorf("created %+v", p)
	}
	secret := func(p idp.IDP) string {
		t.Helper()
		if err := w.keeper.Reveal(&p); err != nil {
			t.Fatal(err)
		}
		return p.Credentials.OIDC.ClientSecret
	}
	update := func(alter func(*idp.IDP)) (idp.IDP, error) {
		q := oidcIDP("corp", func(p *idp.IDP) { p.Credentials = nil })
		alter(&q)
		return w.keeper.Update(t.Context(), q)
	}
	for _, c := range []struct {
		alter func(*idp.IDP)
		want  string
	}{
		{func(*idp.IDP) {}, "s3cr3t"},
		{func(p *idp.IDP) { p.Credentials = &idp.Credentials{OIDC: &idp.OIDCCredentials{}} }, "s3cr3t"},
		{func(p *idp.IDP) { p.Credentials = &idp.Credentials{OIDC: &idp.OIDCCredentials{ClientSecret: "new"}} }, "new"},
		{func(p *idp.IDP) { p.Settings.OIDC.AuthenticationMethod = idp.AuthNone }, ""},
	} {
		got, err := update(c.alter)
		if got.Credentials != nil {
			t.Error("an update shows credentials")
		}
		if err != nil || secret(got) != c.want {
			t.Errorf("%v, secret %q, want %q", err, secret(got), c.want)
		}
	}
	_, err := update(func(*idp.IDP) {})
	want(t, err, fault.Unprocessable, "credentials.client_secret") // it was forgotten with the way that used it
	_, err = update(func(p *idp.IDP) { p.Settings.OIDC.IssuerURL = "https://evil.example" })
	want(t, err, fault.Unprocessable, "settings.issuer_url")
	_, err = update(func(p *idp.IDP) { p.Method = idp.Static })
	want(t, err, fault.Unprocessable, "method")

	for _, e := range w.recorded {
		if text := fmt.Sprintf("%s %v", e.Payload, e.Metadata); strings.Contains(text, "s3cr3t") || strings.Contains(text, p.Sealed) {
			t.Errorf("an event has credentials: %s", text)
		}
	}
	list, err := w.keeper.List(t.Context(), "acme", "main")
	if err != nil || len(list) != 1 || list[0].Credentials != nil {
		t.Errorf("list %+v, %v", list, err)
	}
	text, err := json.Marshal(list)
	if err != nil || strings.Contains(string(text), "redentials") || strings.Contains(string(text), "ealed") {
		t.Errorf("%s, %v", text, err)
	}
	// Sealed credentials open in their own place only.
	moved := p
	moved.ID = "other"
	if err := w.keeper.Reveal(&moved); err == nil {
		t.Error("the credentials of one IDP opened as another's")
	}
}

func TestCustomIDP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.make(customIDP("door"))
	made := w.paired.made[p.ClientID]
	if made.TenantID != "acme" || made.WorkspaceID != "system" || !cmp.Equal(made.Scopes, []string{idp.ScopeManageLogins}) || !cmp.Equal(made.GrantTypes, []string{"client_credentials"}) {
		t.Errorf("client %+v", made)
	}
	_, err := w.keeper.Create(t.Context(), customIDP("door"))
	if want(t, err, fault.Unprocessable, "id"); w.paired.count() != 1 {
		t.Errorf("%d clients", w.paired.count())
	}
	q := customIDP("door")
	q.ClientID = "stolen"
	if got, err := w.keeper.Update(t.Context(), q); err != nil || got.ClientID != p.ClientID {
		t.Errorf("client %q, %v", got.ClientID, err)
	}
	if err := w.keeper.Delete(t.Context(), "acme", "main", "door", 0); err != nil || w.paired.count() != 0 {
		t.Errorf("%d clients, %v", w.paired.count(), err)
	}
	w.make(customIDP("door"))
	if err := w.keeper.Purge(t.Context(), "acme", "main"); err != nil || w.paired.count() != 0 {
		t.Errorf("%d clients after the workspace went, %v", w.paired.count(), err)
	}
	w.paired.err = errors.New("down")
	if _, err := w.keeper.Create(t.Context(), customIDP("door")); err == nil || len(w.ids("acme", "main")) != 0 {
		t.Errorf("an IDP without its client: %v", err)
	}
}

// One e-mail domain belongs to one IDP of a workspace, whatever its method.
func TestDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	has := func(domains ...string) func(*idp.IDP) {
		return func(p *idp.IDP) { p.Discovery.Domains = domains }
	}
	w.make(oidcIDP("a", has("one.example", "Two.example")))
	_, err := w.keeper.Create(t.Context(), oidcIDP("b", has("three.example", "TWO.example")))
	want(t, err, fault.Unprocessable, "discovery_settings.domains[1]")
	_, err = w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"p","identity_pool_id":"people","discovery_settings":{"domains":["one.example"]}}`))
	want(t, err, fault.Unprocessable, "discovery_settings.domains[0]")
	w.make(oidcIDP("b", has("three.example"))) // what the refused one had taken is free
	w.create("acme", "main", `{"id":"p","identity_pool_id":"people"}`)
	w.make(oidcIDP("a", func(p *idp.IDP) { has("one.example")(p); p.WorkspaceID = "other" })) // another workspace's
	update := func(id string, domains ...string) error {
		_, err := w.keeper.Update(t.Context(), oidcIDP(id, has(domains...)))
		return err
	}
	want(t, update("b", "three.example", "one.example"), fault.Unprocessable, "discovery_settings.domains[1]")
	if err := update("a", "two.example"); err != nil {
		t.Fatal(err)
	}
	if err := update("b", "three.example", "one.example"); err != nil {
		t.Errorf("a domain that was given up: %v", err)
	}
	w.clock.Advance(2 * time.Minute) // every lease is over
	want(t, update("a", "one.example"), fault.Unprocessable, "discovery_settings.domains[0]")
	if err := w.keeper.Delete(t.Context(), "acme", "main", "b", 0); err != nil {
		t.Fatal(err)
	}
	if err := update("a", "two.example", "one.example", "three.example"); err != nil {
		t.Errorf("domains of one that is gone: %v", err)
	}
}

// Of many that want one domain at once, by creation and by update, one gets it.
func TestRacingForADomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	has := func(p *idp.IDP) { p.Discovery.Domains = []string{"one.example"} }
	for i := range 4 {
		w.make(oidcIDP(fmt.Sprintf("u%d", i), nil))
	}
	for range 20 {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				var err error
				if i < 4 {
					_, err = w.keeper.Update(context.Background(), oidcIDP(fmt.Sprintf("u%d", i), has))
				} else {
					_, err = w.keeper.Create(context.Background(), oidcIDP(fmt.Sprintf("c%d", i), has))
				}
				if err == nil {
					won.Add(1)
				} else if !fault.Is(err, fault.Unprocessable) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, err := w.keeper.List(t.Context(), "acme", "main")
		if err != nil {
			t.Fatal(err)
		}
		holders := 0
		for _, p := range list {
			if len(p.Discovery.Domains) > 0 {
				holders++
			}
			if p.ID[0] == 'c' {
				err = w.keeper.Delete(t.Context(), "acme", "main", p.ID, 0)
			} else {
				_, err = w.keeper.Update(t.Context(), oidcIDP(p.ID, nil))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if won.Load() != 1 || holders != 1 {
			t.Fatalf("%d winners, %d holders", won.Load(), holders)
		}
	}
}

// However far an update or a creation got when its process ended, the domain is
// one IDP's or free, and never stuck.
func TestDomainAfterAnEndHalfway(t *testing.T) {
	t.Parallel()
	has := func(p *idp.IDP) { p.Discovery.Domains = []string{"one.example"} }
	for n := range 14 {
		for _, effect := range []bool{false, true} {
			for _, creating := range []bool{false, true} {
				d := &dying{Driver: storetest.Memory(t), effect: effect}
				d.left.Store(1 << 30)
				w := newWorldOn(t, d)
				w.make(oidcIDP("b", nil))
				if !creating {
					w.make(oidcIDP("a", nil))
				}
				d.left.Store(int64(n + 1))
				if creating {
					_, _ = w.keeper.Create(t.Context(), oidcIDP("a", has))
				} else {
					_, _ = w.keeper.Update(t.Context(), oidcIDP("a", has))
				}
				d.left.Store(1 << 30)
				d.stopped.Store(false)
				w.clock.Advance(2 * time.Minute)
				_, err := w.keeper.Update(t.Context(), oidcIDP("b", has))
				list, listed := w.keeper.List(t.Context(), "acme", "main")
				if listed != nil {
					t.Fatal(listed)
				}
				var holders []string
				for _, p := range list {
					if len(p.Discovery.Domains) > 0 {
						holders = append(holders, p.ID)
					}
				}
				if len(holders) != 1 || (holders[0] == "b") != (err == nil) {
					t.Errorf("%d, effect %v, creating %v: %v have it, %v", n, effect, creating, holders, err)
				}
			}
		}
	}
}
