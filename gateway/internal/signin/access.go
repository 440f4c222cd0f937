package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
)

// Access is what a client has from a person.
type Access struct {
	Client *client.Client
	Scopes []string
	Since  time.Time
}

// ClientsWithAccess returns the clients of a workspace that a person has allowed
// something, or that can refresh tokens of theirs, by name.
func (s *Service) ClientsWithAccess(ctx context.Context, space *live.Space, who grant.Person) ([]Access, error) {
	given, err := s.Consents.List(ctx, space.Tenant, space.ID, space.Epoch, who)
	if err != nil {
		return nil, err
	}
	granted, err := s.Grants.List(ctx, space.Tenant, space.ID, space.Epoch, who)
	if err != nil {
		return nil, err
	}
	by := map[string]*Access{}
	for _, c := range given {
		if err := s.addAccess(ctx, space, by, c.Client, c.ClientEpoch, c.Scopes, c.Since); err != nil {
			return nil, err
		}
	}
	for _, g := range granted {
		if err := s.addAccess(ctx, space, by, g.Client, g.ClientEpoch, g.Scopes, g.Created); err != nil {
			return nil, err
		}
	}
	list := make([]Access, 0, len(by))
	for _, a := range by {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b Access) int {
		return strings.Compare(a.Client.ClientName+"\x00"+a.Client.ClientID, b.Client.ClientName+"\x00"+b.Client.ClientID)
	})
	return list, nil
}

// addAccess adds what a client has to by, unless it is another one than the epoch
// says.
func (s *Service) addAccess(ctx context.Context, space *live.Space, by map[string]*Access, id, epoch string, scopes []string, since time.Time) error {
	c, err := s.Client(ctx, space, id)
	if fault.Is(err, fault.NotFound) || (err == nil && c.Epoch != epoch) {
		return nil
	}
	if err != nil {
		return err
	}
	a, ok := by[id]
	if !ok {
		a = &Access{Client: c, Since: since}
		by[id] = a
	}
	if since.Before(a.Since) {
		a.Since = since
	}
	a.Scopes = distinct(append(a.Scopes, scopes...))
	return nil
}

// RevokeClientAccess ends what a person allowed a client: the consent, and all
// codes, grants and tokens that the client has from them, at once on every
// gateway. That there is nothing to end is no error.
func (s *Service) RevokeClientAccess(ctx context.Context, space *live.Space, who grant.Person, clientID string) error {
	list, err := s.ClientsWithAccess(ctx, space, who)
	if err != nil {
		return err
	}
	if err := s.Consents.Withdraw(ctx, space.Tenant, space.ID, clientID, who); err != nil {
		return err
	}
	if err := s.Grants.ClearAccess(ctx, space.Tenant, space.ID, clientID, who); err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(a Access) bool { return a.Client.ClientID == clientID }) {
		return nil
	}
	ctx = audit.WithActor(ctx, audit.Actor{ClientID: clientID, Subject: who.Subject, PoolID: who.Pool, UserID: who.User})
	return s.record(ctx, space, audit.SubjectClientConsents, audit.ActionRevoked, map[string]any{"client_id": clientID, "number_revoked": 1})
}
