package proxy

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Paths on every app host that the proxy answers itself.
const (
	CallbackPath = route.Reserved + "/callback" // where a sign-in comes back to
	SignInPath   = route.Reserved + "/sign-in"  // starts a sign-in; ?to= is a path to come back to
	SignOutPath  = route.Reserved + "/sign-out" // GET asks, POST does
	SessionPath  = route.Reserved + "/session"  // who is signed in, as JSON
)

// doorTime bounds the work behind one of the paths above.
const doorTime = 15 * time.Second

// ownPath tells whether a path belongs to the gateway, in any spelling that an
// upstream might read so: nothing below /.gatepost is ever forwarded.
func ownPath(v *web.Visit) bool {
	path := v.Path
	if v.Ambiguous || strings.IndexByte(path, '%') >= 0 {
		if plain, err := url.PathUnescape(path); err == nil {
			path = plain
		}
		path = "/" + strings.TrimLeft(path, "/;")
	}
	if len(path) < len(route.Reserved) || !strings.EqualFold(path[:len(route.Reserved)], route.Reserved) {
		return false
	}
	rest := path[len(route.Reserved):]
	return rest == "" || rest[0] == '/' || rest[0] == ';'
}

// own answers a path of ours. All routes of a host are of one workspace, so any
// of them says whose sign-in it is.
func (p *Proxy) own(c *fiber.Ctx, x *exchange) error {
	ps := p.plans()
	on := ps.table.On(web.Authority(x.visit.Scheme, x.visit.Host))
	if len(on) == 0 {
		return fault.New(fault.NotFound, "There is nothing at this address.", nil)
	}
	x.plan = ps.by[on[0].Index]
	if err := x.in.read(x.ctx.Request.Header.RawHeaders(), nil); err != nil {
		return err
	}
	ctx, cancel := web.Context(c, doorTime)
	defer cancel()
	c.Set(fiber.HeaderCacheControl, "no-store")
	get := x.visit.Method == fasthttp.MethodGet || x.visit.Method == fasthttp.MethodHead
	switch {
	case x.visit.Path == CallbackPath && get:
		return p.callback(ctx, c, x)
	case x.visit.Path == SignInPath && get:
		return p.signIn(ctx, c, x)
	case x.visit.Path == SessionPath && get:
		return p.sessionInfo(ctx, c, x)
	case x.visit.Path == SignOutPath && get:
		return p.notice(c, x, signOutNotice(x))
	case x.visit.Path == SignOutPath && x.visit.Method == fasthttp.MethodPost:
		return p.signOut(ctx, c, x)
	}
	return fault.New(fault.NotFound, "There is nothing at this address.", nil)
}

// browser returns the visitor with our cookies.
func (x *exchange) browser() Browser {
	return Browser{Visit: x.visit, Own: ownCookies(x.in.all(cookie))}
}

// someone returns who is signed in on the host, whichever of its routes was
// asked for, or nil.
func (p *Proxy) someone(ctx context.Context, x *exchange) (*Identity, error) {
	id, err := p.session(ctx, x.plan, &x.in)
	if fault.Is(err, fault.Unauthenticated) {
		return nil, nil
	}
	return id, err
}

// callback ends a sign-in. With a session at hand a link that no longer holds,
// as after the Back button, leads on into the app.
func (p *Proxy) callback(ctx context.Context, c *fiber.Ctx, x *exchange) error {
	query, err := web.Query(c)
	if err != nil {
		return err
	}
	to, err := p.cfg.Door.Callback(ctx, x.plan.route, query, x.browser())
	if set := setCookies(c, to.Cookies); set != nil {
		return set
	}
	if fault.Is(err, fault.Denied) {
		if id, _ := p.someone(ctx, x); id != nil {
			return web.SeeOther(c, "/")
		}
	}
	if err != nil {
		return err
	}
	target, ok := web.SafePath(to.Location)
	if !ok {
		target = "/"
	}
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer") // the code was in the address
	return web.SeeOther(c, target)
}

// signIn starts a sign-in for an app that asks for it: login_url of a 401.
func (p *Proxy) signIn(ctx context.Context, c *fiber.Ctx, x *exchange) error {
	query, err := web.Query(c)
	if err != nil {
		return err
	}
	target, ok := web.SafePath(query.Get("to"))
	if !ok {
		target = "/"
	}
	id, err := p.someone(ctx, x)
	if err != nil {
		return err
	}
	if id != nil {
		return web.SeeOther(c, target)
	}
	return p.begin(ctx, c, x, target)
}

// begin sends a browser to the sign-in.
func (p *Proxy) begin(ctx context.Context, c *fiber.Ctx, x *exchange, target string) error {
	to, err := p.cfg.Door.Begin(ctx, x.plan.route, target, x.browser())
	var loop *LoopError
	if errors.As(err, &loop) {
		return p.notice(c, x, loopNotice(loop, &x.visit))
	}
	if err != nil {
		return err
	}
	if err := setCookies(c, to.Cookies); err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Redirect(to.Location, fiber.StatusFound)
}

func (p *Proxy) signOut(ctx context.Context, c *fiber.Ctx, x *exchange) error {
	if err := web.SameOrigin(c, x.plan.route.Origin); err != nil {
		return err
	}
	id, err := p.someone(ctx, x)
	if err != nil {
		return err
	}
	to, err := p.cfg.Door.SignOut(ctx, x.plan.route, id, x.browser())
	if set := setCookies(c, to.Cookies); set != nil {
		return set
	}
	if err != nil {
		return err
	}
	return web.SeeOther(c, to.Location)
}

// info is the body of SessionPath.
type info struct {
	Subject  string    `json:"sub"`
	Username string    `json:"preferred_username,omitempty"`
	Name     string    `json:"name,omitempty"`
	Email    string    `json:"email,omitempty"`
	Groups   []string  `json:"groups,omitempty"`
	Expires  time.Time `json:"expires_at"`
	SignOut  string    `json:"sign_out_url"`
}

func (p *Proxy) sessionInfo(ctx context.Context, c *fiber.Ctx, x *exchange) error {
	id, err := p.someone(ctx, x)
	if err != nil {
		return err
	}
	if id == nil {
		return p.unauthorized(c, x)
	}
	return c.JSON(info{
		Subject: id.Subject, Username: id.Username, Name: id.Name, Email: id.Email, Groups: id.Groups, Expires: id.Expires.UTC(),
		SignOut: x.plan.route.Origin + SignOutPath,
	})
}

func setCookies(c *fiber.Ctx, cookies []web.Cookie) error {
	for _, k := range cookies {
		if err := web.SetCookie(c, k); err != nil {
			return err
		}
	}
	return nil
}
