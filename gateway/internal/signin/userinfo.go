package signin

import (
	"context"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// UserInfo returns the claims about the person behind an access token (OpenID
// Connect Core 1.0, section 5.3.2), from their session's context.
func (s *Service) UserInfo(ctx context.Context, space *live.Space, b *Bearer) (token.Claims, error) {
	if b.User == "" || !b.Has("openid") {
		return nil, errScope("openid")
	}
	t, err := s.termsOf(ctx, space, b)
	if err != nil {
		return nil, err
	}
	claims, err := customClaims(space, "id_token", true, t)
	if err != nil {
		return nil, err
	}
	claims["sub"] = b.Subject
	claims["tid"], claims["aid"] = space.Tenant, space.ID
	optional(claims, "idp", b.Claims.String("idp"))
	return claims, nil
}

// termsOf returns the context that a token came from: that of its session, or
// of its grant when the session is over.
func (s *Service) termsOf(ctx context.Context, space *live.Space, b *Bearer) (grant.Terms, error) {
	if on, err := s.Sessions.ByID(ctx, space.Tenant, b.Session); err == nil {
		return grant.Terms{Scopes: b.Scopes, Context: on.Context}, nil
	} else if !isUnauthenticated(err) {
		return grant.Terms{}, err
	}
	t, err := s.Grants.Find(ctx, space.Tenant, b.Claims.String("grant_id"))
	if err != nil {
		return t, errBearer(err)
	}
	t.Scopes = b.Scopes
	return t, nil
}

// errScope means that a token lacks a scope (RFC 6750, section 3.1).
func errScope(scope string) error {
	e := fault.New(fault.Denied, "The access token lacks the scope "+scope+".", nil)
	e.Code = "insufficient_scope"
	return e
}
