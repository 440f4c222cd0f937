package portal

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// visit is one request to a page of a pool for people who are not signed in.
type visit struct {
	p     *Portal
	c     *fiber.Ctx
	ctx   context.Context
	owner pool.Pool
	space *live.Space // that the address names by server_id; nil: none
	query url.Values
	form  url.Values // of a POST
	token string     // of this browser's forms
}

// onVisit runs fn for a page of a pool.
func (p *Portal) onVisit(fn func(*visit) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		x, err := p.visit(ctx, c)
		if err != nil {
			return err
		}
		return fn(x)
	}
}

// onVisitForm runs fn with a form of a page of a pool.
func (p *Portal) onVisitForm(fn func(*visit) error) fiber.Handler {
	return p.onVisit(func(x *visit) (err error) {
		if x.form, err = p.post(x.c, x.token); err != nil {
			return err
		}
		return fn(x)
	})
}

// onVisitCall runs fn for a call of webauthn.js on a page of a pool.
func (p *Portal) onVisitCall(fn func(*visit) error) fiber.Handler {
	return p.onVisit(func(x *visit) error {
		if err := p.called(x.c, x.token); err != nil {
			return err
		}
		return fn(x)
	})
}

func (p *Portal) visit(ctx context.Context, c *fiber.Ctx) (*visit, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return nil, err
	}
	id, err := web.Param(c, "ipID")
	if err != nil {
		return nil, err
	}
	x := &visit{p: p, c: c, ctx: p.Signin.WithOrigin(ctx, tenant, Browser(c))}
	if err := p.withinRate(ctx, c, tenant); err != nil {
		return nil, err
	}
	if x.query, err = web.Query(c); err != nil {
		return nil, err
	}
	if x.owner, err = p.Pools.Get(ctx, tenant, id); err != nil {
		return nil, err
	}
	if x.space, err = p.spaceOf(ctx, tenant, x.query.Get("server_id"), id); err != nil {
		return nil, err
	}
	x.token, err = p.formSecret(c)
	return x, err
}

// spaceOf returns the workspace whose look a page of a pool has: it must have an
// IDP for the pool.
func (p *Portal) spaceOf(ctx context.Context, tenant, workspace, poolID string) (*live.Space, error) {
	if workspace == "" {
		return nil, nil
	}
	space, err := p.Live.Space(ctx, tenant, workspace)
	if err != nil {
		return nil, err
	}
	for _, v := range space.IDPs {
		if v.IdentityPoolID == poolID {
			return space, nil
		}
	}
	return nil, fault.New(fault.NotFound, "There is no such page here.", nil)
}

// formSecret returns the token of a browser's forms and gives the browser the
// cookie that it is made from. Another site can neither read nor set it.
func (p *Portal) formSecret(c *fiber.Ctx) (string, error) {
	name := p.Signin.FormCookie()
	for _, secret := range web.Cookies(c, name) {
		if len(secret) == len(vault.NewSecret()) {
			return p.token("pool forms", secret), nil
		}
	}
	secret := vault.NewSecret()
	return p.token("pool forms", secret), setCookies(c, []signin.Cookie{p.Signin.Cookie(name, secret, 0)})
}

// show renders a page of the pool.
func (x *visit) show(status int, v page.Page) error { return x.p.show(x.c, x.space, status, v) }

// here is the address of another page of the pool with what this one's address
// says of the login that waits.
func (x *visit) here(name string, more ...string) string {
	q := url.Values{}
	for _, k := range []string{"server_id", "login_id", "login_state"} {
		if v := x.query.Get(k); v != "" {
			q.Set(k, v)
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/" + url.PathEscape(x.owner.TenantID) + "/identity/" + url.PathEscape(x.owner.ID) + "/" + name + "?" + q.Encode()
}

// back is where a person signs in: the login that waits in this browser, else
// the account page of the workspace.
func (x *visit) back() string {
	q := x.query
	l, space, err := x.p.Signin.Login(x.ctx, x.owner.TenantID, q.Get("login_id"), q.Get("login_state"), Browser(x.c))
	if err == nil && (x.space == nil || space.ID == x.space.ID) {
		return x.p.Signin.Address(space, l)
	}
	if x.space == nil {
		return ""
	}
	return "/" + url.PathEscape(x.owner.TenantID) + "/" + url.PathEscape(x.space.ID) + "/app"
}

// delivery is how a code of this page travels.
func (x *visit) delivery() selfservice.Delivery {
	d := selfservice.Delivery{Link: true, LoginID: x.query.Get("login_id"), LoginState: x.query.Get("login_state")}
	if x.space != nil {
		d.Workspace = x.space.ID
	}
	return d
}

// brand is what a person makes an account for, or comes back to.
func (x *visit) brand() string {
	if x.space == nil {
		return x.owner.Name
	}
	return x.space.Name
}

// keep seals a value into a cookie of this browser; load reads it. about binds
// it to what it is for.
func (x *visit) keep(name string, v any, about string, life time.Duration) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	value, err := x.p.Ring.Seal(raw, vault.AAD(x.owner.TenantID, "pages", x.owner.Epoch, about))
	if err != nil {
		return err
	}
	return setCookies(x.c, []signin.Cookie{x.p.Signin.Cookie(name, value, life)})
}

func (x *visit) load(name, about string, into any) bool {
	for _, value := range web.Cookies(x.c, name) {
		if raw, err := x.p.Ring.Open(value, vault.AAD(x.owner.TenantID, "pages", x.owner.Epoch, about)); err == nil {
			return json.Unmarshal(raw, into) == nil
		}
	}
	return false
}

// again draws again what the person can mend.
func (x *visit) again(err error, draw func(status int, errs []page.FieldError) error) error {
	status, errs, ok := formErrors(err)
	if !ok {
		return err
	}
	retryAfter(x.c, err)
	return draw(status, errs)
}

// channel is how a message reaches what was typed, as far as that tells.
func channel(typed string) string {
	switch {
	case strings.Contains(typed, "@"):
		return page.Email
	case strings.HasPrefix(strings.TrimSpace(typed), "+"):
		return page.SMS
	}
	return ""
}
