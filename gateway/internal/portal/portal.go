package portal

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Portal serves the pages. Its fields are set before Mount.
type Portal struct {
	Base        string // the gateway's base URL without a trailing slash
	Signin      *signin.Service
	Live        *live.Cache
	Pools       *pool.Pools
	Schemas     *pool.Schemas
	SelfService *selfservice.Service
	Rates       *limit.Rates // nil: requests are not limited
	Setup       *setup.Setup
	Pages       *page.Pages
	Errors      *web.Errors
	Ring        *vault.Ring
	Now         func() time.Time
	// RelatedOrigins may use passkeys of Base's host besides Base.
	RelatedOrigins []string
}

// requestLimit bounds the work for one request; it includes a password hash
// that waits for its turn.
const requestLimit = 15 * time.Second

// Mount adds the pages.
func (p *Portal) Mount(r fiber.Router) {
	g := r.Group("", web.With(p.Errors.Page))
	g.Get("/setup", p.setUpForm)
	g.Post("/setup", p.setUp)
	g.Get("/.well-known/webauthn", p.relatedOrigins)
	p.mountPool(r)
	g.Get("/:tid/:wid/login", p.onStep((*step).chooser))
	g.Post("/:tid/:wid/login", p.onForm((*step).choose))
	g.Get("/:tid/:wid/oidc/logout", p.logoutRequest)
	g.Post("/:tid/:wid/oidc/logout", p.logoutRequest)
	g.Post("/:tid/:wid/sign-out", p.signOut)
	g.Get("/:tid/:wid/signed-out", p.signedOut)
	p.mountConsent(g)
	p.mountDevice(g)
	p.mountAccount(r)
}

// withinRate refuses a network that asks for pages more often than people do.
func (p *Portal) withinRate(ctx context.Context, c *fiber.Ctx, tenant string) error {
	if p.Rates == nil {
		return nil
	}
	return p.Rates.Take(ctx, tenant, limit.ModuleIdentityPublic, limit.Network(web.Read(c).ClientIP))
}

// relatedOrigins lists the origins that may use passkeys of this host (Web
// Authentication Level 3, section 5.11.1).
func (p *Portal) relatedOrigins(c *fiber.Ctx) error {
	return c.JSON(map[string][]string{"origins": append([]string{p.Base}, p.RelatedOrigins...)})
}

// mountPool adds the pages of identity pools. The calls of webauthn.js are answered
// in JSON.
func (p *Portal) mountPool(r fiber.Router) {
	const at = "/:tid/identity/:ipID"
	g := r.Group(at, web.With(p.Errors.Page))
	g.Get("/login", p.onStep((*step).page))
	g.Post("/login", p.onForm((*step).submit))
	g.Get("/register", p.onVisit((*visit).registerForm))
	g.Post("/register", p.onVisitForm((*visit).register))
	g.Get("/activate", p.onVisit((*visit).activateForm))
	g.Post("/activate", p.onVisitForm((*visit).activate))
	g.Get("/verify-address", p.onVisit((*visit).verifyAddressForm))
	g.Post("/verify-address", p.onVisitForm((*visit).verifyAddress))
	for _, l := range []lost{lostPassword, lostPasskey, lostTOTP} {
		g.Get("/"+l.page, p.onVisit(l.form))
		g.Post("/"+l.page, p.onVisitForm(l.submit))
	}
	calls := web.With(p.Errors.REST)
	r.Post(at+"/login/webauthn/options", calls, p.onCall((*step).passkeyOptions))
	r.Post(at+"/login/webauthn/finish", calls, p.onCall((*step).passkeyFinish))
	for _, page := range []string{"activate", lostPasskey.page} {
		r.Post(at+"/"+page+"/webauthn/begin", calls, p.onVisitCall((*visit).beginPasskey))
		r.Post(at+"/"+page+"/webauthn/finish", calls, p.onVisitCall((*visit).finishPasskey))
	}
}

// Browser reads what signin wants to know of the browser.
func Browser(c *fiber.Ctx) signin.Browser {
	v := web.Read(c)
	return signin.Browser{
		Cookies:   func(name string) []string { return web.Cookies(c, name) },
		Names:     func() []string { return web.CookieNames(c) },
		IP:        v.ClientIP,
		UserAgent: v.UserAgent,
	}
}

// Go answers with what signin decided: cookies first, then a redirect, or a
// form that posts itself to the client.
func (p *Portal) Go(c *fiber.Ctx, out signin.Outcome) error {
	if err := setCookies(c, out.Cookies); err != nil {
		return err
	}
	if out.Form == nil {
		return web.SeeOther(c, out.Location)
	}
	f := page.FormPost{Action: out.Location}
	for name, value := range out.Form {
		f.Fields = append(f.Fields, page.Field{Name: name, Value: value})
	}
	return p.show(c, nil, fiber.StatusOK, f, out.Location)
}

func setCookies(c *fiber.Ctx, list []signin.Cookie) error {
	for _, k := range list {
		if err := web.SetCookie(c, web.Cookie{Name: k.Name, Value: k.Value, MaxAge: k.Life, Secure: k.Secure}); err != nil {
			return err
		}
	}
	return nil
}

// show renders a page; forms may lead to this origin and to the addresses given.
func (p *Portal) show(c *fiber.Ctx, space *live.Space, status int, v page.Page, formAction ...string) error {
	var b bytes.Buffer
	if err := p.Pages.Render(&b, theme(space), v); err != nil {
		return err
	}
	web.Security{FormAction: formAction, KeepOpener: true, Images: images(space)}.Apply(c)
	c.Set("Content-Type", "text/html; charset=utf-8")
	return c.Status(status).Send(b.Bytes())
}

func theme(space *live.Space) page.Theme {
	if space == nil {
		return page.Theme{}
	}
	return page.Theme{Name: space.Name, LogoURL: space.Workspace.LogoURI, Accent: space.Workspace.Color}
}

func images(space *live.Space) []string {
	if space == nil || space.Workspace.LogoURI == "" {
		return nil
	}
	return []string{space.Workspace.LogoURI}
}

// space returns the workspace of the address, or fault.NotFound.
func (p *Portal) space(ctx context.Context, c *fiber.Ctx) (*live.Space, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return nil, err
	}
	workspace, err := web.Param(c, "wid")
	if err != nil {
		return nil, err
	}
	return p.Live.Space(ctx, tenant, workspace)
}

// post reads a form and refuses one that another site sent, or that lacks the
// token.
func (p *Portal) post(c *fiber.Ctx, token string) (url.Values, error) {
	if err := web.SameOrigin(c, p.Base); err != nil {
		return nil, err
	}
	f, err := web.Form(c)
	if err != nil {
		return nil, err
	}
	if !same(f.Get(page.CSRFField), token) {
		return nil, fault.New(fault.Denied, "This form is out of date. Go back, reload the page and try again.", nil)
	}
	return f, nil
}

// token is text that nobody without our keys can make for these parts.
func (p *Portal) token(purpose string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(p.Ring.MAC(purpose, parts...))
}

// audited returns the request's context with what audit events say about it.
func audited(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	ctx, cancel := web.Context(c, requestLimit)
	v := web.Read(c)
	return audit.With(ctx, audit.Meta{
		IP: v.ClientIP.String(), UserAgent: v.UserAgent, TraceID: v.TraceID, CorrelationID: v.CorrelationID,
	}), cancel
}
