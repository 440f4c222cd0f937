package portal

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/vault"
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

// own is one request of who is signed in to the pages about themselves.
type own struct {
	p       *Portal
	c       *fiber.Ctx
	ctx     context.Context
	space   *live.Space
	current *session.Session
	form    url.Values // of a POST

	// What an identity pool has of the person; both are empty when the session came
	// by an IDP of another kind.
	owner pool.Pool
	user  pool.User
}

// mountAccount adds the user portal. The calls of webauthn.js are answered in
// JSON.
func (p *Portal) mountAccount(r fiber.Router) {
	const at = "/:tid/:wid/app"
	g := r.Group(at, web.With(p.Errors.Page))
	g.Get("", p.account)
	g.Get("/confirm", p.onOwn((*own).confirm))
	g.Post("/end-session", p.onOwnForm((*own).endSession))
	g.Post("/end-others", p.onOwnForm((*own).endOthers))
	g.Post("/end-all", p.onOwnForm((*own).endAll))
	g.Post("/password", p.onOwnForm((*own).password))
	g.Post("/passkeys", p.onOwnForm((*own).addPasskey))
	g.Post("/passkeys/rename", p.onOwnForm((*own).renamePasskey))
	g.Post("/passkeys/remove", p.onOwnForm((*own).removePasskey))
	g.Get("/totp", p.onOwn((*own).totpForm))
	g.Post("/totp", p.onOwnForm((*own).setUpTOTP))
	g.Post("/totp/remove", p.onOwnForm((*own).removeTOTP))
	g.Post("/recovery-codes", p.onOwnForm((*own).recoveryCodes))
	g.Post("/recovery-codes/kept", p.onOwnForm((*own).keptCodes))
	g.Post("/addresses", p.onOwnForm((*own).sendAddressCode))
	g.Get("/address", p.onOwn((*own).addressForm))
	g.Post("/address", p.onOwnForm((*own).verifyAddress))
	g.Post("/remembered", p.onOwnForm((*own).forget))
	g.Post("/apps/withdraw", p.onOwnForm((*own).withdraw))
	calls := web.With(p.Errors.REST)
	r.Post(at+"/passkeys/begin", calls, p.onOwnCall((*own).beginPasskey))
	r.Post(at+"/passkeys/finish", calls, p.onOwnCall((*own).finishPasskey))
}

// own reads who asks. When nobody is signed in the error is
// fault.Unauthenticated and the result has the workspace.
func (p *Portal) own(ctx context.Context, c *fiber.Ctx) (*own, error) {
	space, err := p.space(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := p.withinRate(ctx, c, space.Tenant); err != nil {
		return nil, err
	}
	x := &own{p: p, c: c, ctx: p.Signin.WithOrigin(ctx, space.Tenant, Browser(c)), space: space}
	if x.current, err = p.Signin.Current(ctx, space, Browser(c)); err != nil {
		return x, err
	}
	by, ok := space.IDP(x.current.IDP)
	if !ok || by.Method != idp.IdentityPool || by.IdentityPoolID != x.current.Pool || x.current.User == "" {
		return x, nil
	}
	if x.owner, err = p.Pools.Get(ctx, space.Tenant, x.current.Pool); err != nil {
		return x, err
	}
	if x.user, err = p.Signin.Users.Get(ctx, space.Tenant, x.current.Pool, x.current.User); err != nil {
		return x, err
	}
	if x.user.Epoch != x.current.UserEpoch {
		return x, fault.New(fault.NotFound, "There is no such user.", nil)
	}
	return x, nil
}

// onOwn runs fn for who is signed in; others go to the account page, which asks
// them to.
func (p *Portal) onOwn(fn func(*own) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		x, err := p.own(ctx, c)
		if isSignedOut(err) && web.Read(c).Method == fiber.MethodGet {
			return web.SeeOther(c, x.at(""))
		}
		if err != nil {
			return err
		}
		return fn(x)
	}
}

// onOwnForm runs fn with a form of who is signed in.
func (p *Portal) onOwnForm(fn func(*own) error) fiber.Handler {
	return p.onOwn(func(x *own) (err error) {
		if x.form, err = p.post(x.c, p.formToken(x.current)); err != nil {
			return err
		}
		return fn(x)
	})
}

// onOwnCall runs fn for a call of webauthn.js by who is signed in.
func (p *Portal) onOwnCall(fn func(*own) error) fiber.Handler {
	return p.onOwn(func(x *own) error {
		if err := p.called(x.c, p.formToken(x.current)); err != nil {
			return err
		}
		return fn(x)
	})
}

// at is the address of a page below the account page; "" is that itself.
func (x *own) at(name string) string {
	return "/" + url.PathEscape(x.space.Tenant) + "/" + url.PathEscape(x.space.ID) + "/app" + name
}

// pooled tells whether an identity pool has the person, so that there is
// something to manage.
func (x *own) pooled() bool { return x.user.ID != "" }

// stale tells whether the sign-in is too old for what adds or removes a way to
// sign in.
func (x *own) stale() bool { return x.p.Now().Sub(x.current.AuthTime) > x.p.Signin.Sessions.StepUp }

// tooOld refuses a form because of that, on the page that says what to do.
func (x *own) tooOld() error {
	return x.show(http.StatusForbidden, []page.FieldError{{Say: "Nothing has changed: your sign-in is too long ago. Confirm that it is you, then do it again."}})
}

// nothing is the answer where the pool does not offer what an address is for.
func nothing() error { return fault.New(fault.NotFound, "There is no such page here.", nil) }

// account is the user portal: an OAuth client of the workspace whose redirect
// URI is its own address. Without a session it asks for one.
func (p *Portal) account(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	x, err := p.own(ctx, c)
	if isSignedOut(err) {
		return x.askToSignIn()
	}
	if err != nil {
		return err
	}
	if web.Read(c).RawQuery != "" { // the code of the sign-in has done its work: the session is there
		return web.SeeOther(c, x.at(""))
	}
	return x.show(http.StatusOK, nil)
}

// askToSignIn begins a sign-in that comes back to the account page.
func (x *own) askToSignIn() error {
	q, err := web.Query(x.c)
	if err != nil {
		return err
	}
	if q.Has("code") || q.Has("error") {
		return fault.New(fault.Denied, "The sign-in did not reach this page: does your browser block cookies?", nil)
	}
	return x.authorize(login.Request{})
}

// confirm asks who is signed in to prove again that it is they, and comes back.
func (x *own) confirm() error {
	r := login.Request{Prompt: []string{"login"}, IDPHint: x.current.IDP}
	if len(x.user.Identifiers) > 0 {
		r.LoginHint = x.user.Identifiers[0].Value
	}
	return x.authorize(r)
}

func (x *own) authorize(r login.Request) error {
	r.Client, r.RedirectURI, r.Scopes, r.MaxAge = setup.PortalID(&x.space.Workspace), x.p.Base+x.at(""), []string{"openid"}, -1
	r.Challenge = signin.SealedChallenge() // the session is all that is wanted
	out, err := x.p.Signin.Authorize(x.ctx, x.space, r, Browser(x.c))
	if err != nil {
		return err
	}
	return x.p.Go(x.c, out)
}

// notice is what the account page says once, after something was done.
type notice string

const (
	passwordSet     notice = "Your password is set."
	passwordChanged notice = "Your password is changed. You are signed out everywhere else."
	passkeyAdded    notice = "Your passkey is ready. From now on, you can sign in with it."
	passkeyRenamed  notice = "The passkey has its new name."
	passkeyRemoved  notice = "The passkey is removed. Delete it from your device or password manager, too."
	totpRemoved     notice = "The authenticator app is removed, and your recovery codes with it."
	codesMade       notice = "Your new recovery codes are in force."
	addressVerified notice = "Your address is verified."
	othersEnded     notice = "All other sessions have ended."
	browserForgot   notice = "The browser is forgotten: it will be asked for a second step again."
)

// noticeLife is how long a notice waits for the page that shows it.
const noticeLife = time.Minute

// done goes back to the account page, which says what was done.
func (x *own) done(n notice) error {
	if err := x.keep(x.p.Signin.NoticeCookie(), "notice", string(n), noticeLife); err != nil {
		return err
	}
	return web.SeeOther(x.c, x.at(""))
}

// keep seals text into a cookie of this browser for this session; take reads it
// and drops the cookie.
func (x *own) keep(name, about, text string, life time.Duration) error {
	value, err := x.p.Ring.Seal([]byte(text), x.aad(about))
	if err != nil {
		return err
	}
	return setCookies(x.c, []signin.Cookie{x.p.Signin.Cookie(name, value, life)})
}

func (x *own) take(name, about string) (string, error) {
	for _, value := range web.Cookies(x.c, name) {
		if raw, err := x.p.Ring.Open(value, x.aad(about)); err == nil {
			return string(raw), setCookies(x.c, []signin.Cookie{x.p.Signin.Cookie(name, "", -1)})
		}
	}
	return "", nil
}

// aad binds sealed text to this session.
func (x *own) aad(about string) string {
	return vault.AAD(x.space.Tenant, "pages", x.current.ID, about)
}

// again shows the page with what the person can mend. The input of a form other
// than the password's is not named: fields are those of the password.
func (x *own) again(err error, fields ...string) error {
	status, errs, ok := formErrors(err)
	if fault.Is(err, fault.Unavailable) {
		status, errs, ok = web.Status(err), []page.FieldError{{Say: fault.Read(err).Public}}, true
	}
	if !ok {
		return err
	}
	for i := range errs {
		if !slices.Contains(fields, errs[i].Field) {
			errs[i].Field = ""
		}
	}
	retryAfter(x.c, err)
	return x.show(status, errs)
}

// result ends a form: with a notice, or with what the person can mend.
func (x *own) result(err error, n notice) error {
	if err != nil {
		return x.again(err)
	}
	return x.done(n)
}

// endSession ends one of the person's sessions. One that is over already, or is
// not theirs, changes nothing.
func (x *own) endSession() error {
	if err := x.p.Signin.EndSession(x.ctx, x.current, x.form.Get("session")); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return web.SeeOther(x.c, x.at(""))
}

// endAll signs the person out everywhere, here too.
func (x *own) endAll() error {
	out, err := x.p.Signin.SignOutAll(x.ctx, x.space, x.current, Browser(x.c))
	if err != nil {
		return err
	}
	return x.p.Go(x.c, out)
}

// endOthers signs the person out everywhere but here.
func (x *own) endOthers() error {
	if err := x.p.Signin.EndOthers(x.ctx, x.current); err != nil {
		return err
	}
	return x.done(othersEnded)
}
