package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

const (
	maxAssertion  = 16 << 10  // bytes of an assertion that is parsed at all
	assertionLife = time.Hour // how far ahead its exp may be
	// AssertionLeeway is how far the clocks of a client and a gateway may be
	// apart.
	AssertionLeeway = 30 * time.Second
)

// Assertion is a JWT that a client signed (RFC 7523, section 3). Nothing of it is
// proven until Verify or VerifySecret has returned nil.
type Assertion struct {
	Issuer  string
	Subject string
	ID      string // jti
	Expires time.Time

	token  *jwt.JSONWebToken
	claims jwt.Claims
	alg    jose.SignatureAlgorithm
	kid    string
}

// AssertionAlgs are the algorithms by which a client may sign an assertion.
func AssertionAlgs() []string { return []string{"ES256", "PS256", "RS256", "HS256"} }

// ParseAssertion reads an assertion without proving it. Errors are
// fault.Unauthenticated with a sentence for a developer.
func ParseAssertion(raw string) (*Assertion, error) {
	if len(raw) > maxAssertion {
		return nil, wrongAssertion(fmt.Sprintf("is longer than %d bytes", maxAssertion), nil)
	}
	var algs []jose.SignatureAlgorithm
	for _, alg := range AssertionAlgs() {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	token, err := jwt.ParseSigned(raw, algs)
	if err != nil {
		return nil, wrongAssertion("must be a JWT signed by "+strings.Join(AssertionAlgs(), ", "), err)
	}
	a := &Assertion{token: token, alg: jose.SignatureAlgorithm(token.Headers[0].Algorithm), kid: token.Headers[0].KeyID}
	typ, _ := token.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if !slices.Contains([]string{"", "jwt", "client-authentication+jwt"}, typ) {
		return nil, wrongAssertion("is a JWT of another kind: its typ must be JWT", nil)
	}
	if err := token.UnsafeClaimsWithoutVerification(&a.claims); err != nil {
		return nil, wrongAssertion("has claims that cannot be read", err)
	}
	a.Issuer, a.Subject, a.ID, a.Expires = a.claims.Issuer, a.claims.Subject, a.claims.ID, a.claims.Expiry.Time()
	return a, nil
}

func wrongAssertion(say string, cause error) *fault.Error {
	return fault.New(fault.Unauthenticated, "The assertion "+say+".", cause)
}

// Method is the way of authentication that the assertion's algorithm means.
func (a *Assertion) Method() string {
	if a.alg == jose.HS256 {
		return AuthSecretJWT
	}
	return AuthKeyJWT
}

// Algorithm is how the assertion is signed.
func (a *Assertion) Algorithm() string { return string(a.alg) }

// Check judges the claims: iss and sub one client, aud one of audiences, exp in
// the future and at most an hour ahead, iat and nbf not in the future, a jti (RFC
// 7523, section 3; OpenID Connect Core 1.0, section 9). Errors are as of
// ParseAssertion.
func (a *Assertion) Check(audiences []string, now time.Time) error {
	c := &a.claims
	early := now.Add(AssertionLeeway)
	switch {
	case c.Issuer == "" || c.Issuer != c.Subject:
		return wrongAssertion("must have iss and sub, both the client_id", nil)
	case !slices.ContainsFunc(audiences, c.Audience.Contains):
		return wrongAssertion("must have aud "+audiences[0], nil)
	case c.Expiry == nil:
		return wrongAssertion("must have exp", nil)
	case !now.Before(a.Expires.Add(AssertionLeeway)):
		return wrongAssertion("has expired", nil)
	case a.Expires.After(early.Add(assertionLife)):
		return wrongAssertion("must have an exp at most an hour ahead", nil)
	case c.NotBefore != nil && c.NotBefore.Time().After(early), c.IssuedAt != nil && c.IssuedAt.Time().After(early):
		return wrongAssertion("is not valid yet: compare the clocks", nil)
	case c.ID == "" || len(c.ID) > 1024:
		return wrongAssertion("must have a jti of at most 1024 characters", nil)
	}
	return nil
}

var errSignature = errors.New("no key of the client made the signature")

// Verify proves an assertion by the client's registered public keys, and never by
// a secret. The error is for the log.
func (k *Keys) Verify(ctx context.Context, c *Client, a *Assertion) error {
	if a.alg == jose.HS256 {
		return fmt.Errorf("%w: %s needs a secret", errSignature, a.alg)
	}
	keys, err := k.fitting(ctx, c, a.alg, a.kid)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if a.token.Claims(key.Key) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %d keys fit %s and kid %q", errSignature, len(keys), a.alg, a.kid)
}

// VerifySecret proves an assertion by one of a client's secrets (OpenID Connect
// Core 1.0, section 10.1), and never by a public key.
func (a *Assertion) VerifySecret(secrets []string) error {
	if a.alg != jose.HS256 {
		return fmt.Errorf("%w: %s needs a public key", errSignature, a.alg)
	}
	for _, secret := range secrets {
		if a.token.Claims([]byte(secret)) == nil {
			return nil
		}
	}
	return errSignature
}

// Secrets returns the secrets of a client that hold now, in the clear. There are
// none where only hashes are kept. It is what proves a client_secret_jwt.
func (k *Clients) Secrets(ctx context.Context, c *Client) ([]string, error) {
	row, err := k.table.Get(ctx, c.TenantID, c.ClientID)
	if err != nil {
		return nil, err
	}
	if row.Value.Epoch != c.Epoch {
		return nil, nil
	}
	current := row.Value.Secret
	current.Ends = row.Value.Value.ClientSecretExpiresAt * 1000
	var list []string
	for _, r := range append([]secretRecord{current}, row.Value.Rotated...) {
		secret, err := k.recall(c.TenantID, c.ClientID, r)
		if err != nil {
			return nil, err
		}
		if secret != "" && !r.over(k.config.Now()) {
			list = append(list, secret)
		}
	}
	return list, nil
}
