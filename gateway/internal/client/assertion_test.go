package client_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/client"
)

const audience = "https://id.example/acme/shop"

var clock = time.Unix(1_800_000_000, 0)

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

// claims are those of a right assertion, with what more replaces; nil leaves out.
func claims(more map[string]any) map[string]any {
	c := map[string]any{
		"iss": "robot", "sub": "robot", "aud": audience, "exp": clock.Add(time.Minute).Unix(), "iat": clock.Unix(), "jti": "j1",
	}
	for name, v := range more {
		c[name] = v
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, c map[string]any, typ string) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	if typ != "" {
		opts = opts.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func parseAssertion(t *testing.T, raw string) *client.Assertion {
	t.Helper()
	a, err := client.ParseAssertion(raw)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAssertionClaims is RFC 7523, section 3, claim by claim.
func TestAssertionClaims(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	for name, tc := range map[string]struct {
		more map[string]any
		want string // in the error; "" is right
	}{
		"right":               {nil, ""},
		"one of several":      {map[string]any{"aud": []string{"https://other.example", audience}}, ""},
		"issued a bit later":  {map[string]any{"iat": clock.Add(25 * time.Second).Unix()}, ""},
		"no iat":              {map[string]any{"iat": nil}, ""},
		"just expired":        {map[string]any{"exp": clock.Add(-20 * time.Second).Unix()}, ""},
		"no iss":              {map[string]any{"iss": nil}, "iss"},
		"no sub":              {map[string]any{"sub": nil}, "iss"},
		"another sub":         {map[string]any{"sub": "other"}, "iss"},
		"no aud":              {map[string]any{"aud": nil}, "aud"},
		"another aud":         {map[string]any{"aud": "https://id.example/acme/other"}, "aud"},
		"a longer aud":        {map[string]any{"aud": audience + "/"}, "aud"},
		"no exp":              {map[string]any{"exp": nil}, "exp"},
		"expired":             {map[string]any{"exp": clock.Add(-31 * time.Second).Unix()}, "expired"},
		"too long":            {map[string]any{"exp": clock.Add(2 * time.Hour).Unix()}, "an hour"},
		"for ever":            {map[string]any{"exp": 1 << 50}, "an hour"},
		"before 1970":         {map[string]any{"exp": -1}, "expired"},
		"not yet":             {map[string]any{"nbf": clock.Add(time.Minute).Unix()}, "not valid yet"},
		"issued in future":    {map[string]any{"iat": clock.Add(time.Minute).Unix()}, "not valid yet"},
		"no jti":              {map[string]any{"jti": nil}, "jti"},
		"a jti without end":   {map[string]any{"jti": strings.Repeat("x", 1025)}, "jti"},
		"exp beyond all time": {map[string]any{"exp": 1e300}, "cannot be read"},
		"a number as sub":     {map[string]any{"sub": 7}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := client.ParseAssertion(sign(t, jose.ES256, key, "", claims(tc.more), ""))
			if err == nil {
				err = a.Check([]string{audience}, clock)
			}
			if (tc.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAssertionForms are texts that are no assertions.
func TestAssertionForms(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	b64 := base64.RawURLEncoding.EncodeToString
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	right := sign(t, jose.ES256, key, "", claims(nil), "JWT")
	head, rest, _ := strings.Cut(right, ".")
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"nothing":       "",
		"no dots":       "x",
		"none":          b64([]byte(`{"alg":"none"}`)) + "." + b64(payload) + ".",
		"None":          b64([]byte(`{"alg":"None"}`)) + "." + b64(payload) + ".",
		"no signature":  right[:strings.LastIndex(right, ".")+1],
		"unsecured":     head + "." + strings.Split(rest, ".")[0],
		"ES384":         sign(t, jose.ES384, big, "", claims(nil), ""),
		"HS512":         sign(t, jose.HS512, []byte(strings.Repeat("k", 64)), "", claims(nil), ""),
		"critical":      b64([]byte(`{"alg":"ES256","crit":["x"],"x":1}`)) + "." + b64(payload) + "." + b64(make([]byte, 64)),
		"access token":  sign(t, jose.ES256, key, "", claims(nil), "at+jwt"),
		"DPoP proof":    sign(t, jose.ES256, key, "", claims(nil), "dpop+jwt"),
		"too long":      sign(t, jose.ES256, key, "", claims(map[string]any{"x": strings.Repeat("x", 16<<10)}), ""),
		"general JSON":  `{"payload":"` + b64(payload) + `","signatures":[]}`,
		"not an object": b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(`"x"`)) + "." + b64(make([]byte, 64)),
	} {
		if a, err := client.ParseAssertion(raw); err == nil {
			if err := newKeys(t, nil).Verify(t.Context(), &client.Client{JWKS: keySet(t, public("", key))}, a); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
	}
	for _, typ := range []string{"", "JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"} {
		if _, err := client.ParseAssertion(sign(t, jose.ES256, key, "", claims(nil), typ)); err != nil {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
}

func newKeys(t *testing.T, now func() time.Time) *client.Keys {
	t.Helper()
	k, err := client.NewKeys(http.DefaultClient, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestWhoseSignature: only the client's own key that fits the algorithm counts.
func TestWhoseSignature(t *testing.T) {
	t.Parallel()
	ec, other, big, small := ecKey(t), ecKey(t), rsaKey(t, 2048), rsaKey(t, 1024)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	enc, es := public("enc", ec), public("es", ec)
	enc.Use = "enc"
	ps := public("ps", big)
	ps.Algorithm = "PS256"
	for name, tc := range map[string]struct {
		keys  []jose.JSONWebKey
		alg   jose.SignatureAlgorithm
		key   any
		kid   string
		right bool
	}{
		"ES256":                {[]jose.JSONWebKey{es}, jose.ES256, ec, "es", true},
		"without a kid":        {[]jose.JSONWebKey{public("a", other), es}, jose.ES256, ec, "", true},
		"RS256":                {[]jose.JSONWebKey{public("r", big)}, jose.RS256, big, "r", true},
		"PS256":                {[]jose.JSONWebKey{ps}, jose.PS256, big, "ps", true},
		"another key":          {[]jose.JSONWebKey{es}, jose.ES256, other, "es", false},
		"another kid":          {[]jose.JSONWebKey{es}, jose.ES256, ec, "x", false},
		"a key for PS256 only": {[]jose.JSONWebKey{ps}, jose.RS256, big, "ps", false},
		"for encryption":       {[]jose.JSONWebKey{enc}, jose.ES256, ec, "enc", false},
		"a weak key":           {[]jose.JSONWebKey{public("w", small)}, jose.RS256, small, "w", false},
		"another curve":        {[]jose.JSONWebKey{public("p", p384)}, jose.ES256, ec, "p", false},
		"no keys":              {nil, jose.ES256, ec, "", false},
		"the sixth of many": {
			[]jose.JSONWebKey{public("", ecKey(t)), public("", ecKey(t)), public("", ecKey(t)), public("", ecKey(t)), public("", ecKey(t)), es},
			jose.ES256, ec, "", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &client.Client{ClientID: "robot", JWKS: keySet(t, tc.keys...)}
			err := newKeys(t, nil).Verify(t.Context(), c, parseAssertion(t, sign(t, tc.alg, tc.key, tc.kid, claims(nil), "")))
			if (err == nil) != tc.right {
				t.Error(err)
			}
		})
	}
}

// TestKeyConfusion: a public key is no secret, and a secret no public key.
func TestKeyConfusion(t *testing.T) {
	t.Parallel()
	key := rsaKey(t, 2048)
	set := keySet(t, public("r", key))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := &client.Client{ClientID: "robot", JWKS: set}
	for name, secret := range map[string][]byte{
		"the key in PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "in DER": der, "the set": set,
		"the modulus": key.N.Bytes(),
	} {
		a := parseAssertion(t, sign(t, jose.HS256, secret, "r", claims(nil), ""))
		if a.Method() != client.AuthSecretJWT {
			t.Errorf("%s: %s", name, a.Method())
		}
		if newKeys(t, nil).Verify(t.Context(), c, a) == nil {
			t.Errorf("HS256 by %s is taken for the client's", name)
		}
	}
	secret := strings.Repeat("s", 43)
	if err := parseAssertion(t, sign(t, jose.HS256, []byte(secret), "", claims(nil), "")).VerifySecret([]string{"old", secret}); err != nil {
		t.Error(err)
	}
	if parseAssertion(t, sign(t, jose.HS256, []byte(secret), "", claims(nil), "")).VerifySecret([]string{secret + "x", ""}) == nil {
		t.Error("another secret is taken")
	}
	if parseAssertion(t, sign(t, jose.RS256, key, "", claims(nil), "")).VerifySecret([]string{string(der), secret}) == nil {
		t.Error("RS256 is proven by a secret")
	}
}

// address is a jwks_uri that counts and fails when it is told to.
type address struct {
	*httptest.Server
	calls  atomic.Int64
	mu     sync.Mutex
	answer []byte
	status int
}

func newAddress(t *testing.T, answer []byte) *address {
	t.Helper()
	a := &address{answer: answer, status: http.StatusOK}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.calls.Add(1)
		a.mu.Lock()
		defer a.mu.Unlock()
		w.WriteHeader(a.status)
		_, _ = w.Write(a.answer)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *address) set(status int, answer []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.answer = status, answer
}

func (a *address) called(t *testing.T, want int64, when string) {
	t.Helper()
	if got := a.calls.Load(); got != want {
		t.Errorf("%s: fetched %d times, not %d", when, got, want)
	}
}

func TestKeysAtAnAddress(t *testing.T) {
	t.Parallel()
	first, second := ecKey(t), ecKey(t)
	at := newAddress(t, keySet(t, public("1", first)))
	now := clock
	keys := newKeys(t, func() time.Time { return now })
	c := &client.Client{TenantID: "acme", ClientID: "robot", JWKSURI: at.URL}
	try := func(key *ecdsa.PrivateKey, kid string) error {
		return keys.Verify(t.Context(), c, parseAssertion(t, sign(t, jose.ES256, key, kid, claims(nil), "")))
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := try(first, "1"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	at.called(t, 1, "twenty at once")

	// A flood of unknown ids costs one fetch a minute.
	at.set(http.StatusOK, keySet(t, public("1", first), public("2", second)))
	for i := range 50 {
		if try(second, fmt.Sprint("x", i)) == nil {
			t.Fatal("an unknown id is taken")
		}
	}
	at.called(t, 1, "unknown ids within a minute")
	now = now.Add(time.Minute)
	if err := try(second, "2"); err != nil {
		t.Error("a new key:", err)
	}
	at.called(t, 2, "an unknown id after a minute")

	// A revoked key holds no longer than five minutes.
	at.set(http.StatusOK, keySet(t, public("2", second)))
	now = now.Add(5 * time.Minute)
	if try(first, "1") == nil {
		t.Error("a key that was taken away is taken")
	}
	at.called(t, 3, "after five minutes")

	// While the address is away the last keys serve, for a day.
	at.set(http.StatusInternalServerError, nil)
	now = now.Add(6 * time.Minute)
	for range 10 {
		if err := try(second, "2"); err != nil {
			t.Error("during an outage:", err)
		}
	}
	at.called(t, 4, "an outage")
	now = now.Add(11 * time.Second)
	_ = try(second, "2")
	at.called(t, 5, "an outage, ten seconds later")
	now = now.Add(24 * time.Hour)
	if try(second, "2") == nil {
		t.Error("keys of yesterday are taken")
	}
}

// TestBadAddresses: what is no key set proves nothing, and is not asked for again
// at once.
func TestBadAddresses(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string][]byte{
		"nothing": nil, "HTML": []byte("<html>"), "a list": []byte("[]"), "private keys": private,
		"too much": []byte(`{"x":"` + strings.Repeat("x", 300<<10) + `","keys":[]}`), "symmetric": []byte(`{"keys":[{"kty":"oct","k":"eHh4","kid":"1"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := newAddress(t, answer)
			keys := newKeys(t, func() time.Time { return clock })
			c := &client.Client{TenantID: "acme", JWKSURI: at.URL}
			for range 3 {
				if keys.Verify(t.Context(), c, parseAssertion(t, sign(t, jose.ES256, key, "1", claims(nil), ""))) == nil {
					t.Error("it is taken")
				}
			}
			at.called(t, 1, name)
		})
	}
}
