package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
)

func TestSignInAtProvider(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, func(p *idp.IDP) { p.Settings.OIDC.GetUserInfo = true })
	age := 60
	b := w.begin(w.idp, w.provider, idp.Beginning{
		Login: "login.7", LoginHint: "ann@corp.example", Prompt: "login", MaxAge: &age, ACRValues: []string{"gold", "2"}, UILocales: []string{"de"},
	})
	q := b.address.Query()
	for name, want := range map[string]string{
		"own": "1", "response_type": "code", "client_id": "gp", "redirect_uri": callback, "scope": "openid email profile", "login_hint": "ann@corp.example",
		"prompt": "login", "max_age": "60", "acr_values": "gold 2", "ui_locales": "de", "code_challenge_method": "S256",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if idp.LoginOf(q.Get("state")) != "login.7" || len(q.Get("nonce")) < 40 || strings.Contains(b.flow, q.Get("nonce")) {
		t.Errorf("state %q, nonce %q, flow %q", q.Get("state"), q.Get("nonce"), b.flow)
	}
	who, err := w.finish(b)
	if err != nil {
		t.Fatal(err)
	}
	if who.Subject != "ann" || who.ACR != "gold" || who.SessionID != "s1" || !who.AuthTime.Equal(start) || !cmp.Equal(who.AMR, []string{"pwd", "hwk"}) {
		t.Errorf("person %+v", who)
	}
	c, err := idp.External(w.idp, who, idp.SubjectHash, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"sub": idp.Subject("", "corp", "ann"), "idp_sub": "ann", "tenant": "acme", "auth_time": json.Number("1772366400"), "acr": "gold", "amr": []any{"pwd", "hwk"},
		"name": "Ann", "email": "ann@corp.example", "email_verified": true, "updated_at": json.Number("1767323045"),
	}
	if d := cmp.Diff(want, c.View()); d != "" {
		t.Errorf("context (-want +got):\n%s", d)
	}
	user, password, _ := (&http.Request{Header: w.provider.header}).BasicAuth()
	if got, _ := url.QueryUnescape(password); user != "gp" || got != "s3cr3t of +corp" || w.provider.form.Has("client_secret") {
		t.Errorf("credentials %q %q", user, password)
	}
}

// Each check broken on purpose: nobody is signed in, and the log says which.
func TestEveryCheck(t *testing.T) {
	t.Parallel()
	set := func(name string, v any) func(*remoteWorld, *begun) {
		return func(w *remoteWorld, _ *begun) { w.provider.claims = func(c map[string]any) { c[name] = v } }
	}
	drop := func(name string) func(*remoteWorld, *begun) {
		return func(w *remoteWorld, _ *begun) { w.provider.claims = func(c map[string]any) { delete(c, name) } }
	}
	sign := func(f func(w *remoteWorld, raw []byte) string) func(*remoteWorld, *begun) {
		return func(w *remoteWorld, _ *begun) { w.provider.sign = func(raw []byte) string { return f(w, raw) } }
	}
	query := func(name string, values ...string) func(*remoteWorld, *begun) {
		return func(_ *remoteWorld, b *begun) { b.query[name] = values }
	}
	meta := func(name string, v any) func(*remoteWorld, *begun) {
		return func(w *remoteWorld, _ *begun) {
			w.provider.metadata = func(m map[string]any) { m[name] = v }
			w.clock.Advance(25 * time.Hour)
		}
	}
	tokens := func(name string, v any) func(*remoteWorld, *begun) {
		return func(w *remoteWorld, _ *begun) { w.provider.tokens = func(m map[string]any) { m[name] = v } }
	}
	unix := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, c := range []struct {
		name string
		harm func(*remoteWorld, *begun)
		want idp.Reason
	}{
		{"nothing", func(*remoteWorld, *begun) {}, ""},
		{"flow of nobody", func(_ *remoteWorld, b *begun) { b.flow = "x" }, idp.ReasonFlow},
		{"flow too old", func(w *remoteWorld, _ *begun) { w.clock.Advance(61 * time.Minute) }, idp.ReasonFlow},
		{"state missing", query("state"), idp.ReasonState},
		{"state empty", query("state", ""), idp.ReasonState},
		{"state of another", query("state", "other"), idp.ReasonState},
		{"state twice", func(_ *remoteWorld, b *begun) { b.query["state"] = append(b.query["state"], "x") }, idp.ReasonState},
		{"answer of another issuer", query("iss", "https://evil.example"), idp.ReasonAnswerISS},
		{"answer of two issuers", func(w *remoteWorld, b *begun) { b.query["iss"] = []string{w.provider.server.URL, "x"} }, idp.ReasonAnswerISS},
		{"answer of this issuer", func(w *remoteWorld, b *begun) { b.query.Set("iss", w.provider.server.URL) }, ""},
		{"error of another issuer", func(_ *remoteWorld, b *begun) {
			b.query = url.Values{"state": b.query["state"], "error": {"access_denied"}, "iss": {"x"}}
		}, idp.ReasonAnswerISS},
		{"error", query("error", "access_denied"), idp.ReasonRefused},
		{"error that is none", query("error", "<script>"), idp.ReasonRefused},
		{"no code", query("code"), idp.ReasonCode},
		{"two codes", func(_ *remoteWorld, b *begun) { b.query.Add("code", "x") }, idp.ReasonCode},
		{"code of another", query("code", "code-99"), idp.ReasonExchange},
		{"PKCE of another", func(w *remoteWorld, b *begun) {
			w.provider.do(func() { w.provider.codes[b.query.Get("code")].Set("code_challenge", atHash("x")) })
		}, idp.ReasonExchange},
		{"no ID token", tokens("id_token", ""), idp.ReasonNoIDToken},
		{"ID token of another type", tokens("id_token", 5), idp.ReasonExchange},
		{"no JWT", tokens("id_token", "a.b.c"), idp.ReasonMalformed},
		{"five parts", tokens("id_token", "a.b.c.d.e"), idp.ReasonMalformed},
		{"alg none", sign(func(_ *remoteWorld, raw []byte) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw) + "."
		}), idp.ReasonAlg},
		{"HS256 by the client secret", sign(func(w *remoteWorld, raw []byte) string {
			return signed(w.t, jose.HS256, []byte("s3cr3t of +corp, longer than that"), "one", raw)
		}), idp.ReasonAlg},
		{"HS256 by the public key", sign(func(w *remoteWorld, raw []byte) string {
			der, _ := x509.MarshalPKIXPublicKey(w.provider.key.Public())
			return signed(w.t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "one", raw)
		}), idp.ReasonAlg},
		{"unknown kid", sign(func(w *remoteWorld, raw []byte) string { return signed(w.t, jose.ES256, w.provider.key, "two", raw) }), idp.ReasonKey},
		{"another key under the kid", sign(func(w *remoteWorld, raw []byte) string { return signed(w.t, jose.ES256, newKey(w.t), "one", raw) }), idp.ReasonSignature},
		{"another key without a kid", sign(func(w *remoteWorld, raw []byte) string { return signed(w.t, jose.ES256, newKey(w.t), "", raw) }), idp.ReasonSignature},
		{"key in the header", sign(func(w *remoteWorld, raw []byte) string {
			key := newKey(w.t)
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				w.t.Fatal(err)
			}
			jws, _ := s.Sign(raw)
			text, _ := jws.CompactSerialize()
			return text
		}), idp.ReasonSignature},
		{"right key without a kid", sign(func(w *remoteWorld, raw []byte) string { return signed(w.t, jose.ES256, w.provider.key, "", raw) }), ""},
		{"payload that is no object", sign(func(w *remoteWorld, _ []byte) string {
			return signed(w.t, jose.ES256, w.provider.key, "one", []byte(`[]`))
		}), idp.ReasonMalformed},
		{"iss", set("iss", "https://evil.example"), idp.ReasonIssuer},
		{"iss missing", drop("iss"), idp.ReasonIssuer},
		{"aud", set("aud", "other"), idp.ReasonAudience},
		{"aud missing", drop("aud"), idp.ReasonAudience},
		{"aud list", set("aud", []string{"gp"}), ""},
		{"azp", set("azp", "other"), idp.ReasonAuthorized},
		{"two audiences without azp", set("aud", []string{"gp", "other"}), idp.ReasonAuthorized},
		{"two audiences with azp", func(w *remoteWorld, _ *begun) {
			w.provider.claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"gp", "other"}, "gp" }
		}, ""},
		{"exp", set("exp", unix(-61*time.Second)), idp.ReasonExpired},
		{"exp within the skew", set("exp", unix(-30*time.Second)), ""},
		{"exp missing", drop("exp"), idp.ReasonExpired},
		{"nbf", set("nbf", unix(10*time.Minute)), idp.ReasonNotYet},
		{"iat to come", set("iat", unix(2*time.Minute)), idp.ReasonIssued},
		{"iat missing", drop("iat"), idp.ReasonIssued},
		{"nonce", set("nonce", "other"), idp.ReasonNonce},
		{"nonce missing", drop("nonce"), idp.ReasonNonce},
		{"at_hash", set("at_hash", atHash("other")), idp.ReasonAtHash},
		{"at_hash empty", set("at_hash", ""), idp.ReasonAtHash},
		{"at_hash missing", drop("at_hash"), ""},
		{"another access token", tokens("access_token", "stolen"), idp.ReasonAtHash},
		{"sub missing", drop("sub"), idp.ReasonSubject},
		{"sub empty", set("sub", ""), idp.ReasonSubject},
		{"sub long", set("sub", strings.Repeat("x", 256)), idp.ReasonSubject},
		{"auth_time missing", drop("auth_time"), idp.ReasonAuthTime},
		{"auth_time too old", set("auth_time", unix(-10*time.Minute)), idp.ReasonAuthTime},
		{"userinfo of another", func(w *remoteWorld, _ *begun) { w.provider.info = func(m map[string]any) { m["sub"] = "bob" } }, idp.ReasonUserinfo},
		{"userinfo of nobody", func(w *remoteWorld, _ *begun) { w.provider.info = func(m map[string]any) { delete(m, "sub") } }, idp.ReasonUserinfo},
		{"metadata of another issuer", meta("issuer", "https://evil.example"), idp.ReasonFlow},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newRemoteWorld(t, func(p *idp.IDP) { p.Settings.OIDC.GetUserInfo = true })
			age := 60
			b := w.begin(w.idp, w.provider, idp.Beginning{MaxAge: &age})
			c.harm(w, &b)
			who, err := w.finish(b)
			because(t, err, c.want)
			if err != nil && who.Subject != "" {
				t.Errorf("refused, and yet somebody: %+v", who)
			}
			if err != nil && fault.Read(err).Kind == fault.Internal {
				t.Errorf("reads as our own defect: %v", err)
			}
		})
	}
}

// A flow is good for one IDP of one workspace as it is, and a code for one flow.
func TestFlowIsBound(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	b := w.begin(w.idp, w.provider, idp.Beginning{})
	for name, alter := range map[string]func(*idp.IDP){
		"IDP": func(p *idp.IDP) { p.ID = "other" }, "workspace": func(p *idp.IDP) { p.WorkspaceID = "other" },
		"tenant": func(p *idp.IDP) { p.TenantID = "beta" }, "epoch": func(p *idp.IDP) { p.Epoch = "made again" },
		"issuer": func(p *idp.IDP) {
			p.Settings = idp.Settings{OIDC: &idp.OIDCSettings{IssuerURL: "https://other.example", ClientID: "gp"}}
		},
	} {
		p := w.idp
		alter(&p)
		if _, err := w.remote.Finish(t.Context(), p, b.flow, b.query); idp.ReasonOf(err) != idp.ReasonFlow {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The browser of an attacker brings the victim's code and its own flow.
	other := w.begin(w.idp, w.provider, idp.Beginning{})
	other.query.Set("code", b.query.Get("code"))
	_, err := w.finish(other)
	because(t, err, idp.ReasonExchange)
}

// Two providers: the answer of one is not taken for the other's, even when the
// wicked one sends the browser with the honest one's code (mix-up, RFC 9700, 4.4).
func TestMixUp(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	evil := newProvider(t, w.clock.Now)
	evil.metadata = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
	p := w.connect("evil", evil, nil)
	b := w.begin(p, evil, idp.Beginning{})
	honest := w.begin(w.idp, w.provider, idp.Beginning{})
	b.query.Set("code", honest.query.Get("code"))
	for _, iss := range []string{"", w.provider.server.URL} {
		if b.query.Del("iss"); iss != "" {
			b.query.Set("iss", iss)
		}
		_, err := w.remote.Finish(t.Context(), p, b.flow, b.query)
		because(t, err, idp.ReasonAnswerISS)
	}
	if evil.count("/token") != 0 {
		t.Error("the wicked provider got the code")
	}
}

func TestWaysToAuthenticate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	t.Run("private_key_jwt", func(t *testing.T) {
		t.Parallel()
		w := newRemoteWorld(t, func(p *idp.IDP) {
			p.Settings.OIDC.AuthenticationMethod = idp.AuthKey
			p.Credentials.OIDC.PrivateKeyJWT = &idp.AssertionKey{Key: text}
		})
		if _, err := w.signIn(); err != nil {
			t.Fatal(err)
		}
		f := w.provider.form
		tok, err := jwt.ParseSigned(f.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES384})
		if err != nil {
			t.Fatal(err)
		}
		var c jwt.Claims
		if err := tok.Claims(key.Public(), &c); err != nil {
			t.Fatal(err)
		}
		if c.Issuer != "gp" || c.Subject != "gp" || !c.Audience.Contains(w.provider.server.URL+"/token") || c.ID == "" || c.Expiry.Time().Sub(c.IssuedAt.Time()) != 30*time.Second {
			t.Errorf("assertion %+v", c)
		}
		if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Has("client_secret") || w.provider.header.Get("Authorization") != "" {
			t.Errorf("form %v", f)
		}
	})
	t.Run("client_secret_post", func(t *testing.T) {
		t.Parallel()
		w := newRemoteWorld(t, nil)
		w.provider.metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }
		if _, err := w.signIn(); err != nil {
			t.Fatal(err)
		}
		if w.provider.form.Get("client_secret") != "s3cr3t of +corp" || w.provider.header.Get("Authorization") != "" {
			t.Errorf("form %v", w.provider.form)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		w := newRemoteWorld(t, func(p *idp.IDP) { p.Settings.OIDC.AuthenticationMethod = idp.AuthNone })
		w.provider.metadata = func(m map[string]any) { delete(m, "code_challenge_methods_supported") }
		if _, err := w.signIn(); err != nil {
			t.Fatal(err)
		}
		f := w.provider.form
		if f.Get("client_id") != "gp" || f.Get("code_verifier") == "" || f.Has("client_secret") || w.provider.header.Get("Authorization") != "" {
			t.Errorf("form %v", f)
		}
	})
}

// PKCE is used where it is offered, and always where the settings say so.
func TestProofKeyOnlyWhereItMayBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ offered, set, want bool }{{false, false, false}, {false, true, true}, {true, false, true}} {
		w := newRemoteWorld(t, func(p *idp.IDP) { p.Settings.OIDC.UsePKCE = c.set })
		if !c.offered {
			w.provider.metadata = func(m map[string]any) { delete(m, "code_challenge_methods_supported") }
		}
		if _, err := w.signIn(); err != nil || w.provider.form.Has("code_verifier") != c.want {
			t.Errorf("%+v: %v, form %v", c, err, w.provider.form)
		}
	}
}

// The words of a provider go into the log, shortened, and never to the person.
func TestRefusedByProvider(t *testing.T) {
	t.Parallel()
	w := newRemoteWorld(t, nil)
	for code, kind := range map[string]fault.Kind{
		"access_denied": fault.Denied, "login_required": fault.Denied, "server_error": fault.Unavailable, "invalid_scope": fault.BadGateway,
		"<b>\n": fault.BadGateway, strings.Repeat("x", 65): fault.BadGateway,
	} {
		b := w.begin(w.idp, w.provider, idp.Beginning{})
		b.query.Set("error", code)
		b.query.Set("error_description", strings.Repeat("<script>", 1000))
		_, err := w.finish(b)
		f := fault.Read(err)
		if f == nil || f.Kind != kind || strings.Contains(f.Public, "<") || len(err.Error()) > 600 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", code, err)
		}
	}
}

// Whatever a provider answers as an ID token: nobody is signed in by it unless
// the provider's key made it, and nothing panics.
func FuzzIDToken(f *testing.F) {
	w := newRemoteWorld(f, nil)
	right := signed(f, jose.ES256, w.provider.key, "one", []byte(`{"iss":"x","aud":["gp"],"sub":"ann"}`))
	head, rest, _ := strings.Cut(right, ".")
	for _, seed := range []string{
		"", ".", "..", "...", right, head + ".", head + ".e30." + strings.Repeat("A", 86), "eyJhbGciOiJub25lIn0." + rest, "{}", "e30.e30.e30",
		"eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSIsImNyaXQiOlsiYiJdfQ." + rest, "eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2V9." + rest,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		w.t, w.provider.t = t, t
		w.provider.do(func() { w.provider.sign = func([]byte) string { return token } })
		who, err := w.signIn()
		if err == nil || who.Subject != "" {
			t.Errorf("%q signed %q in", token, who.Subject)
		}
		if err != nil && idp.ReasonOf(err) == "" {
			t.Errorf("no reason: %v", err)
		}
	})
}
