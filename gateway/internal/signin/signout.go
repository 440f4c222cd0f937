package signin

import (
	"context"
	"errors"
	"net/url"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Logout is a request to the end_session_endpoint (OpenID Connect RP-Initiated
// Logout 1.0, section 2).
type Logout struct {
	IDTokenHint           string
	Client                string
	PostLogoutRedirectURI string
	State                 string
}

// LogoutPlan is what a logout request will do.
type LogoutPlan struct {
	Session *session.Session // the browser's; nil: nobody is signed in
	Confirm bool             // the person must agree: no ID token proves the request
	Target  string           // where to go afterwards; empty: the signed-out page
}

// PlanLogout checks a logout request. A target that the client did not register
// is refused; it never becomes a redirect.
func (s *Service) PlanLogout(ctx context.Context, space *live.Space, r Logout, b Browser) (LogoutPlan, error) {
	current, err := s.current(ctx, space, b)
	if err != nil {
		return LogoutPlan{}, err
	}
	plan := LogoutPlan{Session: current, Confirm: current != nil}
	clientID := r.Client
	if r.IDTokenHint != "" {
		c, err := s.Tokens.VerifyExpired(ctx, space.Token(), token.ID, r.IDTokenHint)
		if errors.Is(err, token.ErrInvalid) {
			return plan, fault.At(fault.Invalid, "id_token_hint", "is not an ID token of this workspace")
		}
		if err != nil {
			return plan, err
		}
		if aud := c.String("aud"); clientID == "" {
			clientID = aud
		} else if clientID != aud {
			return plan, fault.At(fault.Invalid, "client_id", "is not the client of the id_token_hint")
		}
		plan.Confirm = current != nil && c.String("sid") != current.ID
	}
	if r.PostLogoutRedirectURI == "" {
		return plan, nil
	}
	plan.Target, err = s.logoutTarget(ctx, space, clientID, r)
	return plan, err
}

func (s *Service) logoutTarget(ctx context.Context, space *live.Space, clientID string, r Logout) (string, error) {
	bad := fault.At(fault.Invalid, "post_logout_redirect_uri", "is not registered for the client")
	if clientID == "" {
		return "", fault.At(fault.Invalid, "post_logout_redirect_uri", "needs an id_token_hint or a client_id")
	}
	c, err := s.Client(ctx, space, clientID)
	if fault.Is(err, fault.NotFound) || (err == nil && !c.Active()) {
		return "", bad
	}
	if err != nil {
		return "", err
	}
	if !c.AllowsLogoutRedirect(r.PostLogoutRedirectURI) {
		return "", bad
	}
	target, err := url.Parse(r.PostLogoutRedirectURI)
	if err != nil {
		return "", bad
	}
	if r.State != "" {
		q := target.Query()
		q.Set("state", r.State)
		target.RawQuery = q.Encode()
	}
	return target.String(), nil
}

// SignOut ends the browser's session in the workspace, on all its hosts.
func (s *Service) SignOut(ctx context.Context, space *live.Space, b Browser) (Outcome, error) {
	out := Outcome{
		Location: "/" + space.Tenant + "/" + space.ID + "/signed-out",
		Cookies:  []Cookie{{Name: s.names.Session(space.Tenant, space.ID), Life: -1, Secure: s.names.Secure}},
	}
	current, err := s.current(ctx, space, b)
	if err != nil || current == nil {
		return out, err
	}
	return out, s.Sessions.End(ctx, space.Tenant, current.ID)
}

// EndSession ends one of the person's own sessions; another person's is
// fault.NotFound.
func (s *Service) EndSession(ctx context.Context, mine *session.Session, id string) error {
	other, err := s.Sessions.Look(ctx, mine.Tenant, id)
	if isUnauthenticated(err) || (err == nil && !samePerson(mine, other)) {
		return errNoSession()
	}
	if err != nil {
		return err
	}
	return s.Sessions.End(ctx, mine.Tenant, id)
}

// samePerson tells whether a session on the base host is of whoever mine is of.
func samePerson(mine, other *session.Session) bool {
	return mine.User != "" && other.Pool == mine.Pool && other.User == mine.User && other.Parent == ""
}
