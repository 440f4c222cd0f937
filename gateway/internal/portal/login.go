package portal

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// running returns the login of the address if this browser began it.
func (p *Portal) running(ctx context.Context, c *fiber.Ctx) (login.Login, *live.Space, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return login.Login{}, nil, err
	}
	q, err := web.Query(c)
	if err != nil {
		return login.Login{}, nil, err
	}
	l, space, err := p.Signin.Login(ctx, tenant, q.Get("login_id"), q.Get("login_state"), Browser(c))
	if err == nil && !at(c, space, l) {
		err = login.ErrGone
	}
	return l, space, err
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

// self is the address of this page with its login.
func self(c *fiber.Ctx) string {
	v := web.Read(c)
	return v.Path + "?" + v.RawQuery
}

func (p *Portal) chooserForm(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	l, space, err := p.running(ctx, c)
	if err != nil {
		return err
	}
	return p.showChooser(ctx, c, space, l, http.StatusOK, nil)
}

func (p *Portal) showChooser(ctx context.Context, c *fiber.Ctx, space *live.Space, l login.Login, status int, errs []page.FieldError) error {
	v := page.Chooser{CSRF: l.State, Action: self(c), App: p.appName(ctx, space, l), Errors: errs}
	for _, x := range space.IDPs {
		if !x.Hidden {
			v.Choices = append(v.Choices, page.Choice{ID: x.ID, Name: x.Name})
		}
	}
	return p.show(c, space, status, v, l.Request.RedirectURI)
}

func (p *Portal) choose(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	l, space, err := p.running(ctx, c)
	if err != nil {
		return err
	}
	f, err := p.post(c, l.State)
	if err != nil {
		return err
	}
	out, err := p.Signin.Choose(ctx, space, l, f.Get("authentication_id"))
	if fault.Is(err, fault.Invalid) {
		return p.showChooser(ctx, c, space, l, http.StatusUnprocessableEntity, []page.FieldError{{Say: "Choose one of these ways to sign in."}})
	}
	if err != nil {
		return err
	}
	return p.Go(c, out)
}

func (p *Portal) loginForm(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	l, space, err := p.running(ctx, c)
	if err != nil {
		return err
	}
	return p.showLogin(ctx, c, space, l, http.StatusOK, l.Request.LoginHint, nil)
}

// showLogin draws the step that the login waits for.
func (p *Portal) showLogin(ctx context.Context, c *fiber.Ctx, space *live.Space, l login.Login, status int, identifier string, errs []page.FieldError) error {
	switch login.Next(l) {
	case login.Authenticate:
		return p.show(c, space, status, page.SignIn{
			CSRF: l.State, Action: self(c), App: p.appName(ctx, space, l), Identifier: identifier, Errors: errs,
		}, l.Request.RedirectURI)
	case login.NewPassword:
		owner, err := p.Pools.Get(ctx, space.Tenant, l.Pool)
		if err != nil {
			return err
		}
		return p.show(c, space, status, page.NewPassword{
			CSRF: l.State, Action: self(c), Identifier: l.Identifier, Rules: rules(owner.PasswordPolicy), Errors: errs,
		}, l.Request.RedirectURI)
	default:
		return login.ErrGone
	}
}

// rules says what a pool asks of a password.
func rules(p *credential.Policy) []string {
	if p == nil {
		return nil
	}
	var list []string
	add := func(n uint, one, many string) {
		switch {
		case n == 1:
			list = append(list, one)
		case n > 1:
			list = append(list, fmt.Sprintf(many, n))
		}
	}
	add(p.MinLength, "At least 1 character", "At least %d characters")
	add(p.LowercaseLetters, "A lower-case letter", "%d lower-case letters")
	add(p.CapitalLetters, "A capital letter", "%d capital letters")
	add(p.Digits, "A digit", "%d digits")
	add(p.SpecialCharacters, "A character that is neither letter nor digit", "%d characters that are neither letter nor digit")
	return list
}

func (p *Portal) login(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	l, space, err := p.running(ctx, c)
	if err != nil {
		return err
	}
	f, err := p.post(c, l.State)
	if err != nil {
		return err
	}
	var out signin.Outcome
	identifier := f.Get("identifier")
	if login.Next(l) == login.NewPassword {
		if f.Get("password") != f.Get("repeatPassword") {
			return p.showLogin(ctx, c, space, l, http.StatusUnprocessableEntity, "",
				[]page.FieldError{{Field: "repeatPassword", Say: "The two passwords differ."}})
		}
		out, err = p.Signin.NewPassword(ctx, space, l, f.Get("password"), Browser(c))
	} else {
		out, err = p.Signin.Password(ctx, space, l, identifier, f.Get("password"), Browser(c))
	}
	if status, errs, ok := formErrors(err); ok {
		if wait := fault.Read(err).RetryAfter; wait > 0 {
			c.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
		return p.showLogin(ctx, c, space, l, status, identifier, errs)
	}
	if err != nil {
		return err
	}
	return p.Go(c, out)
}

// formErrors turns what a person can mend into messages for the same page.
func formErrors(err error) (int, []page.FieldError, bool) {
	var f *fault.Error
	if !errors.As(err, &f) {
		return 0, nil, false
	}
	switch f.Kind {
	case fault.Unauthenticated, fault.Unprocessable, fault.TooMany:
		return web.Status(err), []page.FieldError{{Field: f.Field, Say: f.Public}}, true
	case fault.Internal, fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict, fault.Stale, fault.TooLarge, fault.Unavailable, fault.BadGateway:
	}
	return 0, nil, false
}

// appName is what a person signs in to.
func (p *Portal) appName(ctx context.Context, space *live.Space, l login.Login) string {
	c, err := p.Signin.Client(ctx, space, l.Request.Client)
	if err != nil || c.ClientID == signin.ProxyClient {
		return space.Name
	}
	return c.ClientName
}
