package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// proofWindow is how far the iat of a DPoP proof may be from now: clocks of
// clients differ.
const proofWindow = time.Minute

// Request is what a DPoP proof must have been made for (RFC 9449, section 4.2).
type Request struct {
	Proofs []string // the values of all its DPoP headers
	Method string
	URL    string // of the endpoint, made from the configured base URL and never from what the request says
	Token  string // the access token that it carries; empty at the token endpoint
}

// DPoP tells whether the tenant of a workspace takes DPoP proofs. Where it does
// not they are ignored, as by a server that knows nothing of RFC 9449.
func (s *Service) DPoP(ctx context.Context, space *live.Space) (bool, error) {
	return s.Flags.On(ctx, space.Tenant, flag.DPoP)
}

// ProveKey checks the DPoP proof of a request, spends it, and returns the
// thumbprint of the key that it proves, or "" when there is none or the tenant takes
// none. Errors have client.CodeBadProof.
func (s *Service) ProveKey(ctx context.Context, space *live.Space, r Request) (string, error) {
	by, err := s.CheckProof(ctx, space, r)
	if err != nil {
		return "", err
	}
	return by.Key, s.SpendProof(ctx, space, by)
}

// dpopProof is a DPoP proof that was checked and must be spent.
type dpopProof struct {
	name  string
	until time.Time
	spent bool // by this request, which may ask twice
}

// CheckProof is ProveKey without spending, which is a write: SpendProof does that
// once the rest of the request was found right, so that strangers write nothing.
func (s *Service) CheckProof(ctx context.Context, space *live.Space, r Request) (Holder, error) {
	if len(r.Proofs) == 0 {
		return Holder{}, nil
	}
	on, err := s.DPoP(ctx, space)
	if err != nil || !on {
		return Holder{}, err
	}
	p, err := s.openProof(r)
	if err != nil {
		return Holder{}, err
	}
	// The key is part of the name, so nobody can use up the proofs of others.
	return Holder{Key: p.Key, proof: &dpopProof{name: store.ID(space.ID, p.Key, p.ID), until: p.Issued.Add(2 * proofWindow)}}, nil
}

// SpendProof uses up the proof of a holder, if there is one: a proof holds once (RFC
// 9449, section 11.1). Errors have client.CodeBadProof.
func (s *Service) SpendProof(ctx context.Context, space *live.Space, by Holder) error {
	if by.proof == nil || by.proof.spent {
		return nil
	}
	fresh, err := s.Once.Use(ctx, space.Tenant, "dpop", by.proof.name, by.proof.until)
	if err == nil && !fresh {
		err = client.WrongProof("was used before: each request needs one of its own", nil)
	}
	by.proof.spent = err == nil
	return err
}

// openProof reads the DPoP proof of a request (RFC 9449, section 4.3).
func (s *Service) openProof(r Request) (client.Proof, error) {
	if len(r.Proofs) > 1 {
		return client.Proof{}, client.WrongProof("must come in one DPoP header", nil)
	}
	p, err := client.OpenProof(r.Proofs[0])
	if err != nil {
		return client.Proof{}, err
	}
	age := s.Now().Sub(p.Issued)
	switch {
	case p.Method != r.Method:
		return client.Proof{}, client.WrongProof("must have htm "+r.Method, nil)
	case !sameTarget(p.Target, r.URL):
		return client.Proof{}, client.WrongProof("must have htu "+r.URL, nil)
	case age > proofWindow || age < -proofWindow:
		return client.Proof{}, client.WrongProof("must have an iat of the last minute: compare the clocks", nil)
	case r.Token != "" && p.Token != tokenHash(r.Token):
		return client.Proof{}, client.WrongProof("must have the hash of the access token as ath", nil)
	}
	return p, nil
}

// sameTarget compares an htu with the address of an endpoint as RFC 9449, section
// 4.3, and RFC 3986, sections 6.2.2 and 6.2.3, want: without query and fragment,
// the case of scheme and host aside, a default port as none.
func sameTarget(htu, endpoint string) bool {
	a, err := url.Parse(htu)
	if err != nil || a.User != nil {
		return false
	}
	b, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && bareHost(a) == bareHost(b) &&
		a.Path == b.Path && !strings.Contains(strings.ToLower(a.RawPath), "%2f")
}

// bareHost returns a host in lower case, without the default port of its scheme.
func bareHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// tokenHash is the ath of an access token (RFC 9449, section 4.2).
func tokenHash(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
