package idp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const callback = "https://gate.example/acme/main/callback"

// misbehaving is an OpenID provider that does what a test tells it.
type misbehaving struct {
	t      testing.TB
	server *httptest.Server
	now    func() time.Time

	mu       sync.Mutex
	key      *ecdsa.PrivateKey
	kid      string
	rsa      *rsa.PrivateKey
	asked    map[string]int        // calls by path
	codes    map[string]url.Values // what the authorization request said
	form     url.Values            // of the last token request
	header   http.Header
	metadata func(map[string]any)       // alters the metadata
	claims   func(map[string]any)       // alters the ID token
	tokens   func(map[string]any)       // alters the token answer
	sign     func(claims []byte) string // in the place of a right signature
	info     func(map[string]any)       // alters the userinfo answer
	hang     map[string]chan struct{}   // paths that do not answer
	answer   map[string]http.HandlerFunc
}

func newProvider(t testing.TB, now func() time.Time) *misbehaving {
	t.Helper()
	m := &misbehaving{
		t: t, now: now, kid: "one", asked: map[string]int{}, codes: map[string]url.Values{},
		hang: map[string]chan struct{}{}, answer: map[string]http.HandlerFunc{},
	}
	m.key = newKey(t)
	m.server = httptest.NewServer(m)
	t.Cleanup(m.server.Close)
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, c := range m.hang {
			close(c)
		}
		m.hang = nil
	})
	return m
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (m *misbehaving) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *misbehaving) count(path string) (n int) {
	m.do(func() { n = m.asked[path] })
	return n
}

// ServeHTTP implements http.Handler.
func (m *misbehaving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.asked[r.URL.Path]++
	hang, other := m.hang[r.URL.Path], m.answer[r.URL.Path]
	m.mu.Unlock()
	switch {
	case hang != nil:
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return
	case other != nil:
		other(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		m.write(w, m.document())
	case "/jwks":
		keys := []jose.JSONWebKey{{Key: m.key.Public(), KeyID: m.kid, Use: "sig", Algorithm: "ES256"}}
		if m.rsa != nil {
			keys = append(keys, jose.JSONWebKey{Key: m.rsa.Public(), KeyID: "rsa", Use: "sig"})
		}
		m.write(w, jose.JSONWebKeySet{Keys: keys})
	case "/token":
		m.token(w, r)
	case "/userinfo":
		answer := map[string]any{"sub": "ann", "email": "ann@corp.example", "email_verified": "true", "acr": "forged"}
		if r.Header.Get("Authorization") != "Bearer access-of-ann" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if m.info != nil {
			m.info(answer)
		}
		m.write(w, answer)
	default:
		http.NotFound(w, r)
	}
}

func (m *misbehaving) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		m.t.Error(err)
	}
}

func (m *misbehaving) document() map[string]any {
	at := m.server.URL
	doc := map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize?own=1", "token_endpoint": at + "/token", "userinfo_endpoint": at + "/userinfo",
		"jwks_uri": at + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_basic", "private_key_jwt"},
	}
	if m.metadata != nil {
		m.metadata(doc)
	}
	return doc
}

// token redeems a code. PKCE is checked as RFC 7636 wants it.
func (m *misbehaving) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		m.t.Error(err)
	}
	m.form, m.header = r.PostForm, r.Header
	asked, ok := m.codes[r.PostForm.Get("code")]
	delete(m.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if challenge := asked.Get("code_challenge"); !ok || r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") ||
		challenge != "" && challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		m.write(w, map[string]any{"error": "invalid_grant", "error_description": "leaks s3cr3t"})
		return
	}
	claims := map[string]any{
		"iss": m.server.URL, "aud": "gp", "sub": "ann", "exp": m.now().Add(5 * time.Minute).Unix(), "iat": m.now().Unix(), "auth_time": m.now().Unix(),
		"nonce": asked.Get("nonce"), "at_hash": atHash("access-of-ann"), "name": "Ann", "acr": "gold", "amr": []string{"pwd", "hwk"}, "groups": []string{"admins"},
		"updated_at": "2026-01-02T03:04:05.678Z", "sid": "s1",
	}
	if m.claims != nil {
		m.claims(claims)
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		m.t.Error(err)
	}
	sign := m.sign
	if sign == nil {
		sign = func(raw []byte) string { return signed(m.t, jose.ES256, m.key, m.kid, raw) }
	}
	answer := map[string]any{"access_token": "access-of-ann", "token_type": "Bearer", "expires_in": 60, "id_token": sign(raw)}
	if m.tokens != nil {
		m.tokens(answer)
	}
	m.write(w, answer)
}

func atHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func signed(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, raw []byte) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// remoteWorld is a keeper, a remote and a provider.
type remoteWorld struct {
	*world
	remote   *idp.Remote
	provider *misbehaving
	idp      idp.IDP
	lastCode atomic.Int64
}

func newRemoteWorld(t testing.TB, alter func(*idp.IDP)) *remoteWorld {
	t.Helper()
	w := &remoteWorld{world: newWorld(t)}
	w.provider = newProvider(t, w.clock.Now)
	w.remote = w.open(&egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, egress.Limits{Time: 2 * time.Second})
	w.idp = w.connect("corp", w.provider, alter)
	return w
}

func (w *remoteWorld) open(g *egress.Guard, l egress.Limits) *idp.Remote {
	w.t.Helper()
	h := egress.Client(g, l)
	w.t.Cleanup(h.CloseIdleConnections)
	r, err := idp.NewRemote(idp.RemoteConfig{HTTP: h, Ring: w.ring, Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *remoteWorld) connect(id string, at *misbehaving, alter func(*idp.IDP)) idp.IDP {
	w.t.Helper()
	p := idp.IDP{
		TenantID: "acme", WorkspaceID: "main", ID: id, Method: idp.OIDC,
		Settings:    idp.Settings{OIDC: &idp.OIDCSettings{IssuerURL: at.server.URL, ClientID: "gp", SendLoginHint: true}},
		Credentials: &idp.Credentials{OIDC: &idp.OIDCCredentials{ClientSecret: "s3cr3t of +corp"}},
	}
	if alter != nil {
		alter(&p)
	}
	p, err := w.keeper.Create(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// begun is a sign-in whose browser has come back.
type begun struct {
	address *url.URL
	flow    string
	query   url.Values // of the callback
}

func (w *remoteWorld) begin(p idp.IDP, at *misbehaving, b idp.Beginning) begun {
	w.t.Helper()
	b.RedirectURI = callback
	address, flow, err := w.remote.Begin(w.t.Context(), p, b)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	code := fmt.Sprintf("code-%d", w.lastCode.Add(1))
	at.do(func() { at.codes[code] = u.Query() })
	return begun{address: u, flow: flow, query: url.Values{"state": {u.Query().Get("state")}, "code": {code}}}
}

func (w *remoteWorld) finish(b begun) (idp.Person, error) {
	return w.remote.Finish(context.Background(), w.idp, b.flow, maps.Clone(b.query))
}

// signIn is a whole sign-in.
func (w *remoteWorld) signIn() (idp.Person, error) {
	w.t.Helper()
	return w.finish(w.begin(w.idp, w.provider, idp.Beginning{}))
}

// because checks why a sign-in was refused, and that the person learns nothing.
func because(t testing.TB, err error, want idp.Reason) {
	t.Helper()
	if got := idp.ReasonOf(err); got != want {
		t.Errorf("refused because of %q (%v), want %q", got, err, want)
	}
	if err != nil && (strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "access-of-ann")) {
		t.Errorf("the log shows a secret: %v", err)
	}
}

func newRing(t testing.TB) *vault.Ring {
	t.Helper()
	r, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
