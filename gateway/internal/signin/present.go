package signin

import (
	"context"
	"errors"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Presentation is how a request to a resource presents its access token.
type Presentation struct {
	Authorization string  // the header
	Request       Request // what a DPoP proof must have been made for; its Token is filled in here
	Certificate   string  // x5t#S256 of the TLS client certificate, or empty
}

// Present returns the access token that a request to a resource of a workspace
// carries: as Bearer (RFC 6750, section 2.1), or as DPoP with a proof that its
// holder made it (RFC 9449, section 7). What does not hold is
// fault.Unauthenticated, in a *web.Challenged that names every scheme that the
// tenant takes.
func (s *Service) Present(ctx context.Context, space *live.Space, p Presentation) (*Bearer, error) {
	on, err := s.DPoP(ctx, space)
	if err != nil {
		return nil, err
	}
	b, err := s.presented(ctx, space, p, on)
	return b, challenged(err, p, on)
}

func (s *Service) presented(ctx context.Context, space *live.Space, p Presentation, on bool) (*Bearer, error) {
	by := Holder{Certificate: p.Certificate}
	if raw := BearerToken(p.Authorization); raw != "" {
		return s.Held(ctx, space, "", raw, by)
	}
	raw, ok := p.proof()
	switch {
	case !on || !ok:
		return nil, invalidToken("Send the access token in the Authorization header.")
	case raw == "" || len(raw) > token.MaxLength:
		return nil, invalidToken("The access token is missing or too long.")
	case len(p.Request.Proofs) == 0:
		return nil, client.WrongProof("is missing: send it in the DPoP header", nil)
	}
	p.Request.Token = raw
	proven, err := s.CheckProof(ctx, space, p.Request)
	if err != nil {
		return nil, err
	}
	proven.Certificate = by.Certificate
	b, err := s.Held(ctx, space, "", raw, proven)
	if err != nil {
		return nil, err
	}
	if b.Bound.Key == "" {
		return nil, invalidToken("The access token is not bound to a key: send it as Bearer.")
	}
	return b, s.SpendProof(ctx, space, proven) // last: strangers write nothing
}

// proof returns the token of an Authorization header of the scheme DPoP.
func (p Presentation) proof() (raw string, ok bool) {
	scheme, raw, _ := strings.Cut(p.Authorization, " ")
	return strings.TrimSpace(raw), strings.EqualFold(scheme, "DPoP")
}

func invalidToken(say string) error {
	e := fault.New(fault.Unauthenticated, say, nil)
	e.Code = "invalid_token"
	return e
}

// challenged gives what is wrong with a token or a proof the challenge of its
// scheme, with the error, and then that of the other one (RFC 6750, section 3; RFC
// 9449, sections 7.1 and 7.2). A request without any token is told no error.
func challenged(err error, p Presentation, on bool) error {
	var f *fault.Error
	if !errors.As(err, &f) || (f.Code != client.CodeBadProof && f.Code != "invalid_token") {
		return err
	}
	known := fault.New(fault.Unauthenticated, f.Public, f.Cause) // a wrong proof is a wrong request only where no token is asked for
	known.Code = f.Code
	said := `error="` + f.Code + `"`
	_, proven := p.proof()
	bearer, proof := `Bearer realm="gatepost"`, `algs="`+strings.Join(client.ProofAlgs(), " ")+`"`
	switch {
	case on && proven:
		return &web.Challenged{Err: known, Challenge: "DPoP " + said + ", " + proof + ", " + bearer}
	case BearerToken(p.Authorization) != "":
		bearer += ", " + said
	}
	if on {
		bearer += ", DPoP " + proof
	}
	return &web.Challenged{Err: known, Challenge: bearer}
}
