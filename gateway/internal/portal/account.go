package portal

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func isSignedOut(err error) bool { return fault.Is(err, fault.Unauthenticated) }

// known reads the authentication context of a session.
func known(s *session.Session) authctx.Context {
	var c authctx.Context
	if s != nil {
		_ = json.Unmarshal(s.Context, &c) // written by us; unreadable means that nothing is known
	}
	return c
}

func personName(s *session.Session) string {
	c := known(s)
	if name := c.String("name"); name != "" {
		return name
	}
	return c.String("preferred_username")
}

// account is the user portal: an OAuth client of the workspace whose redirect
// URI is its own address. Without a session it asks for one.
func (p *Portal) account(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := p.space(ctx, c)
	if err != nil {
		return err
	}
	home := "/" + space.Tenant + "/" + space.ID + "/app"
	current, err := p.Signin.Current(ctx, space, Browser(c))
	if isSignedOut(err) {
		return p.askToSignIn(c, space, home)
	}
	if err != nil {
		return err
	}
	if web.Read(c).RawQuery != "" { // the code of the sign-in has done its work: the session is there
		return web.SeeOther(c, home)
	}
	v, err := p.accountPage(c, space, current)
	if err != nil {
		return err
	}
	return p.show(c, space, http.StatusOK, v)
}

// askToSignIn begins a sign-in that comes back to the account page.
func (p *Portal) askToSignIn(c *fiber.Ctx, space *live.Space, home string) error {
	q, err := web.Query(c)
	if err != nil {
		return err
	}
	if q.Has("code") || q.Has("error") {
		return fault.New(fault.Denied, "The sign-in did not reach this page: does your browser block cookies?", nil)
	}
	ctx, cancel := audited(c)
	defer cancel()
	out, err := p.Signin.Authorize(ctx, space, login.Request{
		Client: setup.PortalID(&space.Workspace), RedirectURI: p.Base + home, Scopes: []string{"openid"}, MaxAge: -1,
		Challenge: signin.SealedChallenge(), // the session is all that is wanted
	}, Browser(c))
	if err != nil {
		return err
	}
	return p.Go(c, out)
}

func (p *Portal) accountPage(c *fiber.Ctx, space *live.Space, current *session.Session) (page.Account, error) {
	ctx, cancel := audited(c)
	defer cancel()
	home := "/" + space.Tenant + "/" + space.ID + "/app"
	about := known(current)
	v := page.Account{
		CSRF: p.formToken(current), EndAction: home + "/end-session", EndAllAction: home + "/end-all",
		Name: about.String("name"), Identifier: about.String("preferred_username"),
	}
	u, err := p.Signin.Users.Get(ctx, space.Tenant, current.Pool, current.User)
	if err != nil {
		return v, err
	}
	for _, x := range u.Identifiers {
		v.Identifiers = append(v.Identifiers, identifierOf(u, x))
	}
	list, err := p.Signin.Sessions.List(ctx, space.Tenant, current.Pool, current.User)
	if err != nil {
		return v, err
	}
	for _, s := range list {
		v.Sessions = append(v.Sessions, page.Session{
			ID: s.ID, Device: page.Device(s.UserAgent), IP: s.IP, LastSeen: s.Touched, Current: s.ID == current.ID,
		})
	}
	return v, nil
}

func identifierOf(u pool.User, x pool.Identifier) page.Identifier {
	out := page.Identifier{Value: x.Value, Kind: x.Type, Verifiable: x.Type == "email" || x.Type == "mobile"}
	for _, a := range u.Addresses {
		if a.Type == x.Type && strings.EqualFold(a.Value, x.Value) {
			out.Verified = a.Verified
		}
	}
	return out
}

// mine reads a form of the account page.
func (p *Portal) mine(c *fiber.Ctx) (*live.Space, *session.Session, url.Values, error) {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := p.space(ctx, c)
	if err != nil {
		return nil, nil, nil, err
	}
	current, err := p.Signin.Current(ctx, space, Browser(c))
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := p.post(c, p.formToken(current))
	return space, current, f, err
}

func (p *Portal) endSession(c *fiber.Ctx) error {
	space, current, f, err := p.mine(c)
	if err != nil {
		return err
	}
	ctx, cancel := audited(c)
	defer cancel()
	if err := p.Signin.EndSession(ctx, current, f.Get("session")); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return web.SeeOther(c, "/"+space.Tenant+"/"+space.ID+"/app")
}

// endAll signs the person out everywhere, here too.
func (p *Portal) endAll(c *fiber.Ctx) error {
	space, current, _, err := p.mine(c)
	if err != nil {
		return err
	}
	ctx, cancel := audited(c)
	defer cancel()
	if err := p.Signin.EndUser(ctx, space.Tenant, current.Pool, current.User); err != nil {
		return err
	}
	out, err := p.Signin.SignOut(ctx, space, Browser(c)) // for the cookie; the session is over
	if err != nil {
		return err
	}
	return p.Go(c, out)
}
