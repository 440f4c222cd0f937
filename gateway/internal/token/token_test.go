package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

type fixture struct {
	*token.Tokens
	store *store.Store
	ring  *vault.Ring
	mu    sync.Mutex
	now   time.Time
}

func (f *fixture) clock() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now }

func (f *fixture) pass(d time.Duration) { f.mu.Lock(); defer f.mu.Unlock(); f.now = f.now.Add(d) }

func build(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{now: time.Now()}
	f.store = storetest.NewAt(t, f.clock)
	var err error
	if f.ring, err = vault.New([]vault.Key{vault.GenerateKey()}); err != nil {
		t.Fatal(err)
	}
	f.Tokens = f.open(t)
	return f
}

func (f *fixture) open(t testing.TB) *token.Tokens {
	t.Helper()
	tokens, err := token.Open(t.Context(), f.store, token.Config{Base: "https://id.example", Ring: f.ring, Now: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

var home = token.Workspace{Tenant: "t", ID: "w", Epoch: "e"}

func (f *fixture) sign(t testing.TB, w token.Workspace, k token.Kind) string {
	t.Helper()
	raw, err := f.Sign(t.Context(), w, k, "", token.Claims{"sub": "s", "aud": []string{"a", "b"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	for _, keyType := range []string{"ecdsa", "rsa", "ps"} {
		f := build(t)
		w := token.Workspace{Tenant: "t", ID: keyType, Epoch: "e", KeyType: keyType}
		for _, k := range []token.Kind{token.Access, token.ID, token.Assertion} {
			c, err := f.Verify(t.Context(), w, k, "b", f.sign(t, w, k))
			if err != nil || c.String("sub") != "s" || c.String("iss") != "https://id.example/t/"+keyType {
				t.Errorf("%s, kind %d: %v %v", keyType, k, c, err)
			}
			if d := f.clock().Sub(c.Issued()); d < 0 || d > time.Minute || c.Issued().Equal(c.Time("iat")) {
				t.Errorf("%s: issued %v, want the clock to the nanosecond", keyType, c.Issued())
			}
		}
	}
}

func TestNoKindIsTakenForAnother(t *testing.T) {
	t.Parallel()
	f := build(t)
	kinds := []token.Kind{token.Access, token.ID, token.Assertion}
	for _, made := range kinds {
		raw := f.sign(t, home, made)
		for _, wanted := range kinds {
			if _, err := f.Verify(t.Context(), home, wanted, "", raw); (err == nil) != (made == wanted) {
				t.Errorf("kind %d taken as %d: %v", made, wanted, err)
			}
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	f := build(t)
	good := f.sign(t, home, token.Access)
	parts := strings.Split(good, ".")
	other := token.Workspace{Tenant: "t2", ID: "w", Epoch: "e"}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."
	jwks, err := f.JWKS(t.Context(), home, token.UseSig)
	if err != nil {
		t.Fatal(err)
	}
	hmacHead := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt","kid":` + firstKID(t, jwks) + `}`))
	for name, try := range map[string]struct {
		w   token.Workspace
		aud string
		raw string
	}{
		"another audience":             {home, "c", good},
		"another tenant's workspace":   {other, "", good},
		"a recreated workspace":        {token.Workspace{Tenant: "t", ID: "w", Epoch: "e2"}, "", good},
		"alg none":                     {home, "", none},
		"HMAC with the public key":     {home, "", hmacHead + "." + parts[1] + "." + parts[2]},
		"changed payload":              {home, "", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`)) + "." + parts[2]},
		"no signature":                 {home, "", parts[0] + "." + parts[1] + "."},
		"not a token":                  {home, "", "x"},
		"empty":                        {home, "", ""},
		"longer than anything we sign": {home, "", strings.Repeat("a", token.MaxLength+1)},
	} {
		if _, err := f.Verify(t.Context(), try.w, token.Access, try.aud, try.raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	f.pass(time.Minute)
	if _, err := f.Verify(t.Context(), home, token.Access, "a", good); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("expired: %v", err)
	}
	if _, err := f.VerifyExpired(t.Context(), home, token.Access, good); err != nil {
		t.Errorf("expired where that is allowed: %v", err)
	}
	f.pass(-10 * time.Minute)
	if _, err := f.Verify(t.Context(), home, token.Access, "a", good); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("issued in the future: %v", err)
	}
}

func firstKID(t *testing.T, jwks []byte) string {
	t.Helper()
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("want a current and a next key: %s %v", jwks, err)
	}
	for _, k := range set.Keys {
		if _, private := k["d"]; private {
			t.Fatalf("the JWKS holds a private key: %s", jwks)
		}
	}
	return string(set.Keys[0]["kid"])
}

// Two gateways that meet a new workspace at once agree on its keys.
func TestKeysAreMadeOnce(t *testing.T) {
	t.Parallel()
	f := build(t)
	const gateways = 8
	docs := make(chan string, gateways)
	for range gateways {
		g := f.open(t)
		go func() {
			doc, err := g.JWKS(context.Background(), home, token.UseSig)
			if err != nil {
				t.Error(err)
			}
			docs <- string(doc)
		}()
	}
	seen := map[string]bool{}
	for range gateways {
		seen[<-docs] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d different key sets", len(seen))
	}
}

func TestPrivateKeysAreSealed(t *testing.T) {
	t.Parallel()
	f := build(t)
	f.sign(t, home, token.Access)
	var err error
	if f.ring, err = vault.New([]vault.Key{vault.GenerateKey()}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(t).Sign(t.Context(), home, token.Access, "", token.Claims{}, time.Minute); err == nil {
		t.Error("another key ring opened the private keys")
	}
}

func BenchmarkSign(b *testing.B) {
	f := build(b)
	b.ReportAllocs()
	for b.Loop() {
		f.sign(b, home, token.Access)
	}
}

func BenchmarkVerify(b *testing.B) {
	f := build(b)
	raw := f.sign(b, home, token.Access)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Verify(b.Context(), home, token.Access, "a", raw); err != nil {
			b.Fatal(err)
		}
	}
}
