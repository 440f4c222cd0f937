package client_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
)

func segment(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// proofBy signs a proof by a key that the header carries, unless alter changes
// the header or the claims.
func proofBy(t testing.TB, alg jose.SignatureAlgorithm, key any, alter func(header, claims map[string]any)) string {
	t.Helper()
	public := jose.JSONWebKey{Key: key}
	public = public.Public()
	header := map[string]any{"typ": "dpop+jwt", "jwk": public}
	claims := map[string]any{"jti": "1", "htm": "POST", "htu": "https://id/token", "iat": time.Now().Unix()}
	if alter != nil {
		alter(header, claims)
	}
	opts := &jose.SignerOptions{}
	for name, v := range header {
		opts.WithHeader(jose.HeaderKey(name), v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOpenProof(t *testing.T) {
	t.Parallel()
	p, err := client.OpenProof(proofBy(t, jose.RS256, rsaKey(t, 2048), nil))
	if err != nil || len(p.Key) != 43 || p.ID != "1" || p.Method != "POST" || p.Target != "https://id/token" || p.Issued.IsZero() || p.Token != "" {
		t.Errorf("%+v %v", p, err)
	}
}

// The proof brings its own key, so every rule about that key is ours to keep.
func TestOpenProofRefuses(t *testing.T) {
	t.Parallel()
	key, other := rsaKey(t, 2048), rsaKey(t, 2048)
	good := proofBy(t, jose.PS256, key, nil)
	if _, err := client.OpenProof(good); err != nil {
		t.Fatal(err)
	}
	_, payload, _ := strings.Cut(good, ".")
	payload, _, _ = strings.Cut(payload, ".")
	public := map[string]any{}
	raw, err := json.Marshal(jose.JSONWebKey{Key: key.Public()})
	if err == nil {
		err = json.Unmarshal(raw, &public)
	}
	if err != nil {
		t.Fatal(err)
	}
	unsigned := segment(t, map[string]any{"typ": "dpop+jwt", "alg": "none", "jwk": public}) + "." + payload + "."
	confused := segment(t, map[string]any{"typ": "dpop+jwt", "alg": "HS256", "jwk": public}) + "." + payload
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(confused))
	confused += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	symmetric := segment(t, map[string]any{"typ": "dpop+jwt", "alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "c2VjcmV0"}}) + "." + payload
	mac = hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(symmetric))
	symmetric += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	set := func(in, name string, v any) func(header, claims map[string]any) {
		return func(header, claims map[string]any) {
			into := map[string]map[string]any{"header": header, "claims": claims}[in]
			if v == nil {
				delete(into, name)
				return
			}
			into[name] = v
		}
	}
	for name, proof := range map[string]string{
		"nothing":               "",
		"rubbish":               "a.b.c",
		"no signature":          unsigned,
		"HMAC by the jwk":       confused,
		"a symmetric jwk":       symmetric,
		"another's signature":   good[:strings.LastIndex(good, ".")] + proofBy(t, jose.PS256, other, nil)[strings.LastIndex(good, "."):],
		"another's key":         proofBy(t, jose.PS256, key, set("header", "jwk", jose.JSONWebKey{Key: other.Public()})),
		"its private key":       proofBy(t, jose.PS256, key, set("header", "jwk", jose.JSONWebKey{Key: key})),
		"no key":                proofBy(t, jose.PS256, key, set("header", "jwk", nil)),
		"a weak key":            proofBy(t, jose.PS256, rsaKey(t, 1024), nil),
		"an access token's typ": proofBy(t, jose.PS256, key, set("header", "typ", "at+jwt")),
		"no typ":                proofBy(t, jose.PS256, key, set("header", "typ", nil)),
		"no jti":                proofBy(t, jose.PS256, key, set("claims", "jti", nil)),
		"an endless jti":        proofBy(t, jose.PS256, key, set("claims", "jti", strings.Repeat("j", 257))),
		"no iat":                proofBy(t, jose.PS256, key, set("claims", "iat", nil)),
		"an iat of text":        proofBy(t, jose.PS256, key, set("claims", "iat", "now")),
		"too long":              proofBy(t, jose.PS256, key, set("claims", "pad", strings.Repeat("x", 8<<10))),
	} {
		_, err := client.OpenProof(proof)
		if f := fault.Read(err); err == nil || f.Kind != fault.Invalid || f.Code != client.CodeBadProof {
			t.Errorf("%s: %v", name, err)
		}
	}
}
