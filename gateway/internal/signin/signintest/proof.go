package signintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// Prover makes DPoP proofs by a key of its own, P-256. It signs by hand, so that
// it can make wrong ones as well.
type Prover struct {
	t   testing.TB
	key *ecdsa.PrivateKey
}

// NewProver returns a prover with a new key.
func NewProver(t testing.TB) *Prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Prover{t, key}
}

// JWK is the public key.
func (p *Prover) JWK() map[string]any {
	raw, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": encode(raw[1:33]), "y": encode(raw[33:])}
}

// Thumbprint is that of the key (RFC 7638).
func (p *Prover) Thumbprint() string {
	sum := sha256.Sum256(p.json(p.JWK())) // encoding/json sorts the members, as the RFC wants
	return encode(sum[:])
}

// Proof is a proof for a request; token is the access token that goes with it, if
// any. more are claims over those.
func (p *Prover) Proof(method, url, token string, now time.Time, more map[string]any) string {
	p.t.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": now.Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = encode(sum[:])
	}
	maps.Copy(claims, more)
	return p.Sign(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.JWK()}, claims)
}

// Sign makes a JWT of any header and claims, signed by ES256 whatever they say.
func (p *Prover) Sign(header, claims map[string]any) string {
	p.t.Helper()
	signed := encode(p.json(header)) + "." + encode(p.json(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return signed + "." + encode(raw[:])
}

func (p *Prover) json(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
