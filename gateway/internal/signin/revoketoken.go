package signin

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
)

// behindClocks is how much longer than a token its revocation is remembered:
// other gateways may think that it is earlier.
const behindClocks = time.Minute

// RevokeToken ends a token (RFC 7009, section 2): an access token alone, a refresh
// token with its grant and all that came of it. Nothing happens, and nothing is
// said, when the token does not hold or is none of the asker's business.
func (s *Service) RevokeToken(ctx context.Context, space *live.Space, who Asker, raw string) error {
	b, err := s.Inspect(ctx, space, raw)
	switch {
	case isUnauthenticated(err):
		return s.revokeRefresh(ctx, space, who, raw)
	case err != nil || !who.may(b.Client, b.Subject):
		return err
	}
	err = s.Marks.Append(ctx, changes.Entry{
		Kind: changes.KindRevokeToken, Tenant: space.Tenant, ID: b.ref.Token, Until: b.Expires.Add(behindClocks),
	})
	if err != nil {
		return err
	}
	return s.record(ctx, space, audit.SubjectAccessToken, audit.ActionRevoked, map[string]any{
		"client_id": b.Client, "subject": b.ref.Subject, "jti": b.ref.Token, "revoked_by": who.Client,
	})
}

// revokeRefresh ends the grant of a refresh token; one that was used before names
// its grant as well.
func (s *Service) revokeRefresh(ctx context.Context, space *live.Space, who Asker, raw string) error {
	g, err := s.Grants.Look(ctx, space.Tenant, raw)
	if errors.Is(err, grant.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	t := g.Terms
	c, err := s.activeClient(ctx, space, t.Client)
	if err != nil || c == nil || t.Workspace != space.ID || t.WorkspaceEpoch != space.Epoch || t.ClientEpoch != c.Epoch {
		return err
	}
	if sub, _ := subjectFor(space, c, t); !who.may(c.ClientID, sub) {
		return nil
	}
	if err := s.Grants.End(ctx, space.Tenant, g.Grant); err != nil {
		return err
	}
	return s.record(ctx, space, audit.SubjectTokens, audit.ActionRevoked, map[string]any{
		"client_id": c.ClientID, "subject": t.Subject, "grant_id": g.Grant, "revoked_by": who.Client,
	})
}
