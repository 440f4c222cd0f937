package signin

import (
	"context"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// lifetimes gives a new session the ages of its workspace, where that has any;
// the others are the gateway's own.
func (s *Service) lifetimes(space *live.Space, made *session.Session) {
	sso := space.Workspace.SSO
	made.Idle = time.Duration(sso.MaxIdle)
	if age := time.Duration(sso.MaxAge); age > 0 {
		made.Expires = s.Now().Add(min(age, live.MaxLife))
	}
}

// Mine are the live sessions of the person behind an access token in its
// workspace, oldest first, at most 100.
func (s *Service) Mine(ctx context.Context, space *live.Space, b *Bearer) ([]*session.Session, error) {
	list, err := s.Sessions.ListSubject(ctx, space.Tenant, space.ID, b.ref.Subject)
	mine := list[:0]
	for _, on := range list {
		if on.WorkspaceEpoch == space.Epoch {
			mine = append(mine, on)
		}
	}
	return mine, err
}

// EndMine ends one of these sessions; any other is fault.NotFound.
func (s *Service) EndMine(ctx context.Context, space *live.Space, b *Bearer, id string) error {
	on, err := s.Sessions.Peek(ctx, space.Tenant, id)
	if err == nil && (on.Parent != "" || on.Workspace != space.ID || on.WorkspaceEpoch != space.Epoch || on.Subject != b.ref.Subject) {
		err = errNoSession()
	}
	if isUnauthenticated(err) {
		err = errNoSession()
	}
	if err != nil {
		return err
	}
	return s.Sessions.End(ctx, space.Tenant, id)
}

func errNoSession() error { return fault.New(fault.NotFound, "There is no such session.", nil) }

// SignOutEverywhere ends all sessions, codes, grants and tokens of the person
// behind an access token in its workspace: this token, its refresh token and its
// session, too, or all but these.
func (s *Service) SignOutEverywhere(ctx context.Context, space *live.Space, b *Bearer, current bool) error {
	var keep []string
	if !current {
		keep = kept(b.Session, b.ref.Grant, b.ref.Token)
	}
	key := tenant.Key{Tenant: space.Tenant, Workspace: space.ID}
	if err := s.endSubject(ctx, key, b.ref.Subject, keep...); err != nil {
		return err
	}
	return s.Revoked(ctx, key, map[string]any{"subjects": []string{b.ref.Subject}, "by": "the person", "current": current})
}

// Person is the person who calls, as consents and grants know them.
func (c Caller) Person() grant.Person {
	return grant.Person{Pool: c.Pool, User: c.User, UserEpoch: c.UserEpoch, Subject: c.ref.Subject}
}
