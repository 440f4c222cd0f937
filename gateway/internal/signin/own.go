package signin

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Person verifies an access token of a workspace that a person got through any
// client, for what people do to themselves. Errors: those of Present, also when the
// person is no longer active. The result has no User when the token is a client's
// own.
func (s *Service) Person(ctx context.Context, space *live.Space, p Presentation) (Caller, error) {
	on, err := s.DPoP(ctx, space)
	if err != nil {
		return Caller{}, err
	}
	b, err := s.presented(ctx, space, p, on)
	if err != nil {
		return Caller{}, challenged(err, p, on)
	}
	who := Caller{Bearer: b, Space: space}
	if b.User == "" || b.Pool == "" {
		return who, nil
	}
	epoch, ok, err := s.activeUser(ctx, space.Tenant, b.Pool, b.User, "")
	if err == nil && !ok {
		err = errBearer(fmt.Errorf("user %s is gone or inactive", b.User))
	}
	who.UserEpoch = epoch
	return who, challenged(err, p, on)
}

// Own is a person who changes something of their own, and what they do it with.
type Own struct {
	Pool, User string
	Session    string // the sign-in, if there is one
	Grant      string // of the token, if it has one
}

// ChangePassword replaces a person's password by one who knows the old one. All
// their sessions and refresh tokens end, the present ones included, unless the
// pool's password_settings.keep_current_session keeps these. Errors as of
// pool.Users.ChangePassword.
func (s *Service) ChangePassword(ctx context.Context, tenant string, me Own, old, password string) error {
	owner, err := s.Pools.Get(ctx, tenant, me.Pool)
	if err != nil {
		return err
	}
	keep := owner.PasswordSettings.KeepCurrentSession && (me.Session != "" || me.Grant != "")
	o := pool.SetOptions{KeepSessions: keep, Kind: limit.KindSelfChangePassword}
	if err := s.Users.ChangePassword(ctx, tenant, me.Pool, me.User, old, password, o); err != nil {
		return err
	}
	if !keep {
		return s.EndUser(ctx, tenant, me.Pool, me.User)
	}
	return s.endUser(ctx, tenant, me.Pool, me.User, kept(me.Session, me.Grant)...)
}

// AllowsTarget tells whether a person may be sent to an address after something
// that a message asked them to do: it lies on a protected host of the workspace,
// or on an origin to which one of its clients may redirect.
func (s *Service) AllowsTarget(ctx context.Context, tenantID, workspace, address string) bool {
	origin, ok := originOf(address)
	if !ok || workspace == "" {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	if t, w, ok := s.HostSpace(host); ok && s.Origin(host) == origin {
		return t == tenantID && w == workspace
	}
	all, err := s.ClientsOf(ctx, tenant.Key{Tenant: tenantID, Workspace: workspace})
	if err != nil {
		return false
	}
	for i := range all {
		for _, uri := range all[i].RedirectURIs {
			if o, ok := originOf(uri); ok && o == origin && all[i].Active() {
				return true
			}
		}
	}
	return false
}

// originOf returns the origin of an absolute http or https address.
func originOf(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return "", false
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), true
}
