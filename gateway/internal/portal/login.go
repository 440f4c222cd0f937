package portal

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// step is one request to the pages of a running login.
type step struct {
	p     *Portal
	c     *fiber.Ctx
	ctx   context.Context
	l     login.Login
	space *live.Space
	form  url.Values // of a POST
}

// running returns the login of the address if this browser began it.
func (p *Portal) running(ctx context.Context, c *fiber.Ctx) (*step, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return nil, err
	}
	if err := p.withinRate(ctx, c, tenant); err != nil {
		return nil, err
	}
	q, err := web.Query(c)
	if err != nil {
		return nil, err
	}
	l, space, err := p.Signin.Login(ctx, tenant, q.Get("login_id"), q.Get("login_state"), Browser(c))
	if err == nil && !at(c, space, l) {
		err = login.ErrGone
	}
	return &step{p: p, c: c, ctx: ctx, l: l, space: space}, err
}

// at tells whether a page's address is one of the login's: its workspace's
// chooser, or the pool of the IDP that was chosen.
func at(c *fiber.Ctx, space *live.Space, l login.Login) bool {
	if id := c.Params("ipID"); id != "" {
		p, ok := space.IDP(l.IDP)
		return ok && p.IdentityPoolID == id
	}
	return c.Params("wid") == space.ID
}

// onStep runs fn for a login of this browser.
func (p *Portal) onStep(fn func(*step) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		x, err := p.running(ctx, c)
		if err != nil {
			return err
		}
		return fn(x)
	}
}

// onForm runs fn with the form that was sent in a login of this browser.
func (p *Portal) onForm(fn func(*step) error) fiber.Handler {
	return p.onStep(func(x *step) (err error) {
		if x.form, err = p.post(x.c, x.l.State); err != nil {
			return err
		}
		return fn(x)
	})
}

// self is the address of this page with its login.
func self(c *fiber.Ctx) string {
	v := web.Read(c)
	return v.Path + "?" + v.RawQuery
}

// show renders a page of the login.
func (x *step) show(status int, v page.Page) error {
	return x.p.show(x.c, x.space, status, v, x.l.Request.RedirectURI)
}

// to goes on with what signin decided, or shows again what the person can mend.
func (x *step) to(out signin.Outcome, err error, again func(status int, errs []page.FieldError) error) error {
	if status, errs, ok := formErrors(err); ok {
		retryAfter(x.c, err)
		return again(status, errs)
	}
	if err != nil {
		return err
	}
	return x.p.Go(x.c, out)
}

func retryAfter(c *fiber.Ctx, err error) {
	if wait := fault.Read(err).RetryAfter; wait > 0 {
		c.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
}

func (x *step) chooser() error { return x.showChooser(http.StatusOK, nil) }

func (x *step) showChooser(status int, errs []page.FieldError) error {
	v := page.Chooser{CSRF: x.l.State, Action: self(x.c), App: x.app(), Errors: errs}
	for _, p := range x.space.IDPs {
		if !p.Hidden {
			v.Choices = append(v.Choices, page.Choice{ID: p.ID, Name: p.Name})
		}
	}
	return x.show(status, v)
}

func (x *step) choose() error {
	out, err := x.p.Signin.Choose(x.ctx, x.space, x.l, x.form.Get("authentication_id"))
	if fault.Is(err, fault.Invalid) {
		return x.showChooser(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Choose one of these ways to sign in."}})
	}
	if err != nil {
		return err
	}
	return x.p.Go(x.c, out)
}

// page draws the step that the login waits for.
func (x *step) page() error {
	switch login.Next(x.l) {
	case login.Authenticate:
		return x.showFirst(first{view: x.preferred(), identifier: x.l.Request.LoginHint}, http.StatusOK, nil)
	case login.SecondFactor:
		return x.showSecond(second{}, http.StatusOK, nil)
	case login.EnrolTOTP:
		return x.showEnrol("", http.StatusOK, nil)
	case login.NewPassword:
		return x.showNewPassword(http.StatusOK, nil)
	case login.Consent:
		return x.toConsent()
	case login.Finish:
		return x.finish()
	case login.Choose:
	}
	return login.ErrGone
}

// submit takes the form of the step that the login waits for.
func (x *step) submit() error {
	switch login.Next(x.l) {
	case login.Authenticate:
		return x.first()
	case login.SecondFactor:
		return x.second()
	case login.EnrolTOTP:
		return x.enrol()
	case login.NewPassword:
		return x.newPassword()
	case login.Consent:
		return x.toConsent()
	case login.Finish:
		return x.finish()
	case login.Choose:
	}
	return login.ErrGone
}

// finish goes on with a login whose person has proven all that is asked. There
// is no form to mend any more: of who may not go on, the login is gone.
func (x *step) finish() error {
	cookies, err := x.rememberPasskey()
	if err != nil {
		return err
	}
	out, err := x.p.Signin.Continue(x.ctx, x.space, x.l, Browser(x.c))
	if fault.Is(err, fault.Unauthenticated) {
		return login.ErrGone
	}
	if err != nil {
		return err
	}
	out.Cookies = append(out.Cookies, cookies...)
	return x.p.Go(x.c, out)
}

func (x *step) showNewPassword(status int, errs []page.FieldError) error {
	owner, err := x.p.Pools.Get(x.ctx, x.space.Tenant, x.l.Pool)
	if err != nil {
		return err
	}
	return x.show(status, page.NewPassword{
		CSRF: x.l.State, Action: self(x.c), Identifier: x.l.Identifier, Rules: rules(owner.PasswordPolicy), Errors: errs,
	})
}

func (x *step) newPassword() error {
	if errs := repeated(x.form); errs != nil {
		return x.showNewPassword(http.StatusUnprocessableEntity, errs)
	}
	out, err := x.p.Signin.NewPassword(x.ctx, x.space, x.l, x.form.Get("password"), Browser(x.c))
	return x.to(out, err, x.showNewPassword)
}

// repeated tells when a new password was not typed twice alike.
func repeated(form url.Values) []page.FieldError {
	if form.Get("password") == form.Get("repeatPassword") {
		return nil
	}
	return []page.FieldError{{Field: "repeatPassword", Say: "The two passwords differ."}}
}

// chosen is repeated, and tells when nothing was typed.
func chosen(form url.Values) []page.FieldError {
	if form.Get("password") == "" {
		return []page.FieldError{{Field: "password", Say: "Choose a password."}}
	}
	return repeated(form)
}

// formErrors turns what a person can mend into messages for the same page.
func formErrors(err error) (int, []page.FieldError, bool) {
	var f *fault.Error
	if !errors.As(err, &f) {
		return 0, nil, false
	}
	switch f.Kind {
	case fault.Unauthenticated, fault.Unprocessable, fault.TooMany:
		return web.Status(err), []page.FieldError{{Field: f.Field, Say: sentence(f.Public)}}, true
	case fault.Internal, fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict, fault.Stale, fault.TooLarge, fault.Unavailable, fault.BadGateway:
	}
	return 0, nil, false
}

// sentence makes one of what the API says of a member, such as "must be a number".
func sentence(say string) string {
	if say == "" || !unicode.IsLower([]rune(say)[0]) {
		return say
	}
	return "This " + strings.TrimSuffix(say, ".") + "."
}

// atField makes an error of the whole form one of an input.
func atField(field string, again func(int, []page.FieldError) error) func(int, []page.FieldError) error {
	return func(status int, errs []page.FieldError) error {
		for i := range errs {
			errs[i].Field = field
		}
		return again(status, errs)
	}
}

// app is what a person signs in to.
func (x *step) app() string {
	c, err := x.p.Signin.Client(x.ctx, x.space, x.l.Request.Client)
	if err != nil || c.ClientID == signin.ProxyClient {
		return x.space.Name
	}
	return c.ClientName
}
