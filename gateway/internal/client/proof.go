package client

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

const (
	maxProof   = 8 << 10 // bytes of a DPoP proof that is parsed at all
	maxProofID = 256     // bytes of its jti
)

// CodeBadProof is the OAuth error for a DPoP proof that does not hold (RFC 9449,
// section 5).
const CodeBadProof = "invalid_dpop_proof"

// Proof is what a DPoP proof says, its signature checked.
type Proof struct {
	Key    string    // SHA-256 thumbprint of the key that it proves (RFC 7638)
	ID     string    // jti
	Method string    // htm
	Target string    // htu
	Issued time.Time // iat
	Token  string    // ath: the hash of an access token, or empty
}

// ProofAlgs are the algorithms by which a DPoP proof may be signed.
func ProofAlgs() []string { return []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} }

// OpenProof reads a DPoP proof and checks its signature by the key that it
// carries, which must be a public one: whoever takes a symmetric or a private key
// from there proves nothing (RFC 9449, section 4.3). Errors are fault.Invalid with
// CodeBadProof.
func OpenProof(raw string) (Proof, error) {
	if len(raw) > maxProof {
		return Proof{}, WrongProof(fmt.Sprintf("is longer than %d bytes", maxProof), nil)
	}
	algs := make([]jose.SignatureAlgorithm, 0, len(ProofAlgs()))
	for _, alg := range ProofAlgs() {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return Proof{}, WrongProof("must be a JWT with a public jwk in its header, signed by "+strings.Join(ProofAlgs(), ", "), err)
	}
	head := jws.Signatures[0].Protected
	if typ, _ := head.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, "dpop+jwt") {
		return Proof{}, WrongProof("must have the typ dpop+jwt", nil)
	}
	jwk := head.JSONWebKey
	if jwk == nil || !jwk.IsPublic() || !jwk.Valid() || !strong(jwk.Key) {
		return Proof{}, WrongProof("must have its public key as jwk in its header; RSA keys have 2048 to 4096 bits", nil)
	}
	payload, err := jws.Verify(jwk)
	if err != nil {
		return Proof{}, WrongProof("is not signed by its jwk", err)
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return Proof{}, WrongProof("has a jwk that cannot be used", err)
	}
	return readProof(payload, base64.RawURLEncoding.EncodeToString(sum))
}

func readProof(payload []byte, key string) (Proof, error) {
	var c struct {
		ID     string   `json:"jti"`
		Method string   `json:"htm"`
		Target string   `json:"htu"`
		Issued *float64 `json:"iat"`
		Token  string   `json:"ath"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return Proof{}, WrongProof("has claims that cannot be read", err)
	}
	switch {
	case c.ID == "" || len(c.ID) > maxProofID:
		return Proof{}, WrongProof(fmt.Sprintf("must have a jti of at most %d bytes", maxProofID), nil)
	case c.Issued == nil || *c.Issued < 0 || *c.Issued > 1e12:
		return Proof{}, WrongProof("must have iat, a number of seconds", nil)
	}
	return Proof{
		Key: key, ID: c.ID, Method: c.Method, Target: c.Target, Issued: time.Unix(int64(*c.Issued), 0), Token: c.Token,
	}, nil
}

// strong bounds RSA keys: below for their strength, above for what checking them
// costs.
func strong(key any) bool {
	r, ok := key.(*rsa.PublicKey)
	return !ok || (r.N.BitLen() >= 2048 && r.N.BitLen() <= 4096)
}

// WrongProof says what is wrong with a DPoP proof.
func WrongProof(say string, cause error) error {
	e := fault.New(fault.Invalid, "The DPoP proof "+say+".", cause)
	e.Code = CodeBadProof
	return e
}
