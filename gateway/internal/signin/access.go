package signin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
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
// gateway. That there is nothing to end is no error, and leaves nothing behind:
// anybody may call, with any id.
func (s *Service) RevokeClientAccess(ctx context.Context, space *live.Space, who grant.Person, clientID string) error {
	c, err := s.Client(ctx, space, clientID)
	if fault.Is(err, fault.NotFound) || clientID == ProxyClient {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := s.ClientsWithAccess(ctx, space, who)
	if err != nil {
		return err
	}
	has := slices.ContainsFunc(list, func(a Access) bool { return a.Client.ClientID == clientID })
	if !has && !forPeople(c) {
		return nil
	}
	if err := s.withdraw(ctx, tenant.Key{Tenant: space.Tenant, Workspace: space.ID}, clientID, who); err != nil {
		return err
	}
	if !has {
		return nil
	}
	ctx = audit.WithActor(ctx, audit.Actor{ClientID: clientID, Subject: who.Subject, PoolID: who.Pool, UserID: who.User})
	return s.record(ctx, space, audit.SubjectClientConsents, audit.ActionRevoked, map[string]any{"client_id": clientID, "number_revoked": 1})
}

// forPeople tells whether a client may hold tokens of people that leave no trace:
// without a consent, when it is trusted, and without a refresh token.
func forPeople(c *client.Client) bool {
	return c.Grants("authorization_code") || c.Grants(GrantDevice) || c.Grants("urn:ietf:params:oauth:grant-type:token-exchange")
}

// EndConsent ends what a person allowed a client, by the id of the consent, as
// RevokeClientAccess does; fault.NotFound when there is none.
func (s *Service) EndConsent(ctx context.Context, key tenant.Key, epoch, id string) error {
	c, err := s.Consents.ByID(ctx, key.Tenant, key.Workspace, epoch, id)
	if errors.Is(err, grant.ErrInvalid) {
		return fault.At(fault.NotFound, "consent_id", "names no consent")
	}
	if err != nil {
		return err
	}
	if err := s.withdraw(ctx, key, c.Client, c.Person()); err != nil {
		return err
	}
	return s.Revoked(ctx, key, map[string]any{"consent_id": id, "type": "consent"})
}

// withdraw ends the consent of a person to a client, and all that came of it.
func (s *Service) withdraw(ctx context.Context, key tenant.Key, clientID string, who grant.Person) error {
	if err := s.Consents.Withdraw(ctx, key.Tenant, key.Workspace, clientID, who); err != nil {
		return err
	}
	return s.Grants.ClearAccess(ctx, key.Tenant, key.Workspace, clientID, who)
}
