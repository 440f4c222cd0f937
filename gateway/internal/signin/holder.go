package signin

import (
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Holder is what a caller has proven about keys, to which tokens are bound. The
// zero Holder has proven nothing.
type Holder struct {
	Key         string // thumbprint of the key of a DPoP proof (RFC 9449, section 6)
	Certificate string // x5t#S256 of the TLS client certificate (RFC 8705, section 3)
	proof       *dpopProof
}

// confirmation is the cnf claim of a token for the holder.
func (h Holder) confirmation() map[string]string {
	cnf := map[string]string{}
	if h.Key != "" {
		cnf["jkt"] = h.Key
	}
	if h.Certificate != "" {
		cnf["x5t#S256"] = h.Certificate
	}
	return cnf
}

// boundTo returns the holder that the cnf claim of a token names.
func boundTo(c token.Claims) Holder {
	cnf, _ := c["cnf"].(map[string]any)
	return Holder{Key: token.Claims(cnf).String("jkt"), Certificate: token.Claims(cnf).String("x5t#S256")}
}

// satisfies tells whether a caller may use a token that is bound to want.
func (h Holder) satisfies(want Holder) bool {
	return (want.Key == "" || want.Key == h.Key) && (want.Certificate == "" || want.Certificate == h.Certificate)
}

// Holds refuses a client whose tokens must be bound to what it did not prove.
func Holds(c *client.Client, by Holder) error {
	switch {
	case c.DPoPBoundAccessTokens && by.Key == "":
		return refuse(client.CodeBadProof,
			"The client's tokens are bound to a key: send a DPoP proof. Its tenant must have the feature flag dpop on.", nil)
	case c.CertificateBoundTokens && by.Certificate == "":
		return refuse("invalid_request", "The client's tokens are bound to its certificate: call by TLS with one.", nil)
	}
	return nil
}

// proves refuses a caller that did not prove the key which a code or a refresh
// token is bound to.
func proves(key string, by Holder, what string) error {
	switch {
	case key == "" || key == by.Key:
		return nil
	case by.Key == "":
		return refuse(client.CodeBadProof,
			"The "+what+" is bound to a key: send a DPoP proof by it. Its tenant must have the feature flag dpop on.", nil)
	}
	return refuse("invalid_grant", "The "+what+" is bound to another key than that of the DPoP proof.", nil)
}
