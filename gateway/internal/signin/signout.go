package signin

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Logout is a request to the end_session_endpoint (OpenID Connect RP-Initiated
// Logout 1.0, section 2).
type Logout struct {
	IDTokenHint           string
	Hint                  string // logout_hint: the subject, the session or the name of who is to be signed out
	Client                string
	PostLogoutRedirectURI string
	State                 string
	RedirectTo            string // an address on one of the workspace's sso.logout_redirect_domains
}

// LogoutPlan is what a logout request will do.
type LogoutPlan struct {
	Session *session.Session // the browser's; nil: nobody is signed in
	Confirm bool             // the person must agree: no ID token proves the request
	Asks    string           // the name of the client that asks, if any
	Target  string           // where to go afterwards; empty: where the workspace says
}

// PlanLogout checks a logout request. A target that neither the client nor the
// workspace allows is refused; it never becomes a redirect.
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
		plan.Confirm = current != nil && (c.String("sid") != current.ID || !hinted(current, r.Hint))
	}
	return plan, s.aim(ctx, space, &plan, clientID, r)
}

// hinted tells whether a logout_hint is of who is signed in; none is.
func hinted(on *session.Session, hint string) bool {
	if hint == "" || hint == on.Subject || hint == on.ID {
		return true
	}
	var known authctx.Context
	_ = json.Unmarshal(on.Context, &known) // written by us; unreadable means that nothing is known
	return strings.EqualFold(hint, known.String("preferred_username")) || strings.EqualFold(hint, known.String("email"))
}

// aim finds out who asks, and where to go afterwards.
func (s *Service) aim(ctx context.Context, space *live.Space, plan *LogoutPlan, clientID string, r Logout) error {
	c, err := s.asking(ctx, space, clientID)
	if err != nil {
		return err
	}
	if c != nil {
		plan.Asks = c.ClientName
	}
	switch {
	case r.PostLogoutRedirectURI != "":
		plan.Target, err = logoutTarget(c, clientID, r)
	case r.RedirectTo != "" && !ssoTarget(space, r.RedirectTo):
		err = fault.At(fault.Invalid, "redirect_to", "is not on one of the workspace's sso.logout_redirect_domains")
	default:
		plan.Target = r.RedirectTo
	}
	return err
}

// asking returns the active client of an id, nil when there is none.
func (s *Service) asking(ctx context.Context, space *live.Space, id string) (*client.Client, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // nobody asks, and that is no fault
	}
	c, err := s.Client(ctx, space, id)
	if fault.Is(err, fault.NotFound) || (err == nil && !c.Active()) {
		return nil, nil //nolint:nilnil // likewise
	}
	return c, err
}

// logoutTarget is a post_logout_redirect_uri that the client registered, with the
// state (RP-Initiated Logout 1.0, section 3).
func logoutTarget(c *client.Client, clientID string, r Logout) (string, error) {
	if clientID == "" {
		return "", fault.At(fault.Invalid, "post_logout_redirect_uri", "needs an id_token_hint or a client_id")
	}
	target, err := url.Parse(r.PostLogoutRedirectURI)
	if err != nil || c == nil || !c.AllowsLogoutRedirect(r.PostLogoutRedirectURI) {
		return "", fault.At(fault.Invalid, "post_logout_redirect_uri", "is not registered for the client")
	}
	if r.State != "" {
		q := target.Query()
		q.Set("state", r.State)
		target.RawQuery = q.Encode()
	}
	return target.String(), nil
}

// ssoTarget tells whether a person may be sent to an address after the end of
// their session: its host is one of the workspace's domains, character by
// character, and it is https, or http to this machine.
func ssoTarget(space *live.Space, address string) bool {
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return false // browsers read these differently
	}
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Hostname() == "" || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		return false
	}
	return slices.ContainsFunc(space.Workspace.SSO.LogoutRedirectDomains, func(domain string) bool {
		return domain != "" && (strings.EqualFold(domain, u.Hostname()) || strings.EqualFold(domain, u.Host))
	})
}

func loopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, section 6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// What a signed-out page says has ended.
const (
	EndedSession = "session" // of this browser
	EndedAll     = "all"     // of the person
)

// afterwards is where a browser goes whose session has ended and that nobody
// wants elsewhere; ended may be empty.
func afterwards(space *live.Space, base, ended string) string {
	if to := space.Workspace.SSO.PostLogoutURL; to != "" {
		return to
	}
	to := base + "/signed-out"
	if ended != "" {
		to += "?ended=" + ended
	}
	return to
}

// SignOut ends the browser's session in the workspace, on all its hosts.
func (s *Service) SignOut(ctx context.Context, space *live.Space, b Browser) (Outcome, error) {
	base := "/" + space.Tenant + "/" + space.ID
	out := Outcome{
		Location: afterwards(space, base, ""),
		Cookies:  []Cookie{{Name: s.names.Session(space.Tenant, space.ID), Life: -1, Secure: s.names.Secure}},
	}
	current, err := s.current(ctx, space, b)
	if err != nil || current == nil {
		return out, err
	}
	out.Location = afterwards(space, base, EndedSession)
	return out, s.Sessions.End(ctx, space.Tenant, current.ID)
}

// SignOutAll ends everything that the person of a session has signed in to in the
// tenant, in all browsers, and takes the cookie of this one.
func (s *Service) SignOutAll(ctx context.Context, space *live.Space, mine *session.Session, b Browser) (Outcome, error) {
	if err := s.EndUser(ctx, space.Tenant, mine.Pool, mine.User); err != nil {
		return Outcome{}, err
	}
	out, err := s.SignOut(ctx, space, b) // for the cookie; the session is over
	out.Location = afterwards(space, "/"+space.Tenant+"/"+space.ID, EndedAll)
	return out, err
}

// EndOthers ends everything that the person of a session has signed in to in the
// tenant but for this session.
func (s *Service) EndOthers(ctx context.Context, mine *session.Session) error {
	return s.endUser(ctx, mine.Tenant, mine.Pool, mine.User, mine.ID)
}

// EndSession ends one of the person's own sessions; another person's is
// fault.NotFound.
func (s *Service) EndSession(ctx context.Context, mine *session.Session, id string) error {
	other, err := s.Sessions.Peek(ctx, mine.Tenant, id)
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
