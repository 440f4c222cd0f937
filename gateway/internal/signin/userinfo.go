package signin

import (
	"context"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// UserInfo returns the claims about the person behind an access token (OpenID
// Connect Core 1.0, section 5.3.2), from their session's context, and the client
// that the token was issued to. use is that of termsOf. Errors:
// fault.Unauthenticated, also when the person or the client may no longer do
// anything; fault.Denied when the token lacks the scope openid.
func (s *Service) UserInfo(ctx context.Context, space *live.Space, b *Bearer, use bool) (token.Claims, *client.Client, error) {
	if b.User == "" || !b.Has("openid") {
		return nil, nil, errScope("openid")
	}
	c, err := s.owned(ctx, space, b)
	if err != nil {
		return nil, nil, err
	}
	t, err := s.termsOf(ctx, space, b, use)
	if err != nil {
		return nil, nil, err
	}
	claims, err := customClaims(space, c, client.ClaimIDToken, true, t)
	if err != nil {
		return nil, nil, err
	}
	set(claims, token.Claims{"sub": b.Subject, "aud": []string{c.ClientID}, "tid": space.Tenant, "aid": space.ID})
	through(claims, space, b.Claims.String("idp"))
	return claims, c, nil
}

// SignUserInfo returns the claims of UserInfo as a JWT, signed as the client
// registered it (OpenID Connect Core 1.0, section 5.3.2).
func (s *Service) SignUserInfo(ctx context.Context, space *live.Space, c *client.Client, claims token.Claims) (string, error) {
	claims["aud"] = c.ClientID
	return s.Tokens.Sign(ctx, space.Token(), token.UserInfo, c.UserinfoSignedResponseAlg, claims, 0)
}

// termsOf returns the context that a token came from: that of its session, or
// of its grant when the session is over. use says that this is a use of the
// session, which goes on longer for it; a token that was granted beyond the
// session's end says nothing about that.
func (s *Service) termsOf(ctx context.Context, space *live.Space, b *Bearer, use bool) (grant.Terms, error) {
	find := s.Sessions.Peek
	if use && !b.Has(ScopeOffline) {
		find = s.Sessions.ByID
	}
	if on, err := find(ctx, space.Tenant, b.Session); err == nil {
		return grant.Terms{Scopes: b.Scopes, Context: on.Context, Claims: askedAgain(b.Claims.Strings(claimAsked))}, nil
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

// MissingScope is the cause of a fault.Denied: the scope that a token lacks.
type MissingScope string

// Error names the scope, for logs.
func (m MissingScope) Error() string { return "scope " + string(m) + " is missing" }

// errScope means that a token lacks a scope (RFC 6750, section 3.1). Its code is
// insufficient_scope, its cause a MissingScope.
func errScope(scope string) error {
	e := fault.New(fault.Denied, "The access token lacks the scope "+scope+".", MissingScope(scope))
	e.Code = "insufficient_scope"
	return e
}
