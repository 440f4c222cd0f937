package signin

import (
	"context"
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/live"
)

// SpendToken uses an access token up. Of any number of callers exactly one gets
// nil; for the others, and for whatever it was good for, it has ended.
func (s *Service) SpendToken(ctx context.Context, space *live.Space, b *Bearer) error {
	until := b.Expires.Add(behindClocks)
	fresh, err := s.Once.Use(ctx, space.Tenant, "access token", b.ref.Token, until)
	if err == nil && !fresh {
		err = errBearer(errors.New("it was used before"))
	}
	if err != nil {
		return err
	}
	return s.Marks.Append(ctx, changes.Entry{Kind: changes.KindRevokeToken, Tenant: space.Tenant, ID: b.ref.Token, Until: until})
}
