package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// first is what the page of the first factor shows.
type first struct {
	view       page.View
	identifier string // as typed
	notice     string
}

// modes are the ways to sign in that a pool offers, the preferred one first.
func modes(p *pool.Pool) []page.Mode {
	var list []page.Mode
	add := func(m string) {
		mode, ok := map[string]page.Mode{
			pool.MechanismPassword: page.ModePassword, pool.MechanismWebAuthn: page.ModePasskey,
			pool.MechanismOTP: page.ModeCode, pool.MechanismEmailOTP: page.ModeCode, pool.MechanismSMSOTP: page.ModeCode,
		}[m]
		if ok && !slices.Contains(list, mode) {
			list = append(list, mode)
		}
	}
	add(p.PreferredAuthenticationMechanism)
	for _, m := range p.AuthenticationMechanisms {
		add(m)
	}
	return list
}

// views are the first faces of the modes.
var views = map[page.Mode]page.View{
	page.ModePassword: page.PasswordView, page.ModeCode: page.OTPSendView, page.ModePasskey: page.WebAuthnView,
}

// pool returns the pool of the login's IDP.
func (x *step) pool() (pool.Pool, error) {
	return x.p.Pools.Get(x.ctx, x.space.Tenant, x.c.Params("ipID"))
}

// methodLife is how long a browser remembers how its person signed in.
const methodLife = 180 * 24 * time.Hour

// preferred is the view that the page begins with: what this browser remembers,
// else what the pool prefers.
func (x *step) preferred() page.View {
	owner, err := x.pool()
	if err != nil {
		return page.PasswordView
	}
	list := modes(&owner)
	for _, value := range web.Cookies(x.c, x.p.Signin.MethodCookie(x.space.Tenant, owner.ID)) {
		if m := page.Mode(value); slices.Contains(list, m) {
			return views[m]
		}
	}
	if len(list) == 0 {
		return page.PasswordView
	}
	return views[list[0]]
}

// showFirst draws the page of the first factor. Nothing on it depends on whether
// there is such a person.
func (x *step) showFirst(v first, status int, errs []page.FieldError) error {
	owner, err := x.pool()
	if err != nil {
		return err
	}
	list := modes(&owner)
	d := page.SignIn{
		CSRF: x.l.State, Action: self(x.c), App: x.app(), View: v.view, Modes: list, Identifier: v.identifier, Errors: errs, Notice: v.notice,
		CodeLength: owner.OTPSettings.Authentication.Length, CanRegister: owner.PublicRegistrationAllowed,
	}
	if v.view == page.OTPVerifyView && strings.ContainsAny(v.identifier, "@+") {
		d.Masked = notify.Mask(v.identifier)
	}
	if slices.Contains(list, page.ModePasskey) {
		d.Passkey = x.passkeyCalls("login")
	}
	if !owner.ResetCredentialsSettings.DoNotAllowUsersToSelfResetCredentials {
		if slices.Contains(list, page.ModePassword) {
			d.ForgotURL = x.pageURL("reset")
		}
		if slices.Contains(list, page.ModePasskey) && len(owner.SecondFactorAuthenticationMechanisms) == 0 {
			d.LostURL = x.pageURL("passkey")
		}
	}
	return x.show(status, d)
}

// passkeyCalls are the addresses of webauthn.js for a page of the pool.
func (x *step) passkeyCalls(at string) page.PasskeyCalls {
	base := x.pageURL(at + "/webauthn/")
	path, query, _ := strings.Cut(base, "?")
	return page.PasskeyCalls{Begin: path + "options?" + query, Finish: path + "finish?" + query}
}

// pageURL is the address of another page of the pool that comes back to this
// login.
func (x *step) pageURL(name string) string {
	q := url.Values{"login_id": {x.l.ID}, "login_state": {x.l.State}, "server_id": {x.space.ID}}
	return "/" + url.PathEscape(x.space.Tenant) + "/identity/" + url.PathEscape(x.c.Params("ipID")) + "/" + name + "?" + q.Encode()
}

// first takes the form of the first factor (published API 30).
func (x *step) first() error {
	f := x.form
	v := first{view: page.View(f.Get("authn_mode")), identifier: f.Get("identifier")}
	again := func(status int, errs []page.FieldError) error { return x.showFirst(v, status, errs) }
	switch f.Get("action") {
	case page.ActionChangeToPassword:
		v.view = page.PasswordView
		return again(http.StatusOK, nil)
	case page.ActionChangeToOTP, page.ActionChangeToAlternative:
		v.view = page.OTPSendView
		return again(http.StatusOK, nil)
	case page.ActionChangeToWebAuthn:
		v.view = page.WebAuthnView
		return again(http.StatusOK, nil)
	case page.ActionChangeToRegister:
		return web.SeeOther(x.c, x.pageURL("register"))
	case page.ActionSendOTP:
		return x.sendCode(v)
	}
	b := Browser(x.c)
	switch v.view {
	case page.OTPSendView:
		return x.sendCode(v)
	case page.OTPVerifyView:
		out, err := x.p.Signin.Code(x.ctx, x.space, x.l, v.identifier, f.Get("otp"), b)
		return x.to(x.remember(out, page.ModeCode), err, atField("otp", again))
	case page.WebAuthnView:
		return again(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Your browser did not show a passkey. Please try again, or sign in another way."}})
	}
	v.view = page.PasswordView
	out, err := x.p.Signin.Password(x.ctx, x.space, x.l, v.identifier, f.Get("password"), b)
	return x.to(x.remember(out, page.ModePassword), err, again)
}

// sendCode sends a code to whom the form names and asks for it.
func (x *step) sendCode(v first) error {
	resent := v.view == page.OTPVerifyView
	if strings.TrimSpace(v.identifier) == "" {
		v.view = page.OTPSendView
		return x.showFirst(v, http.StatusUnprocessableEntity, []page.FieldError{{Field: "identifier", Say: "Enter your email, phone number or user name."}})
	}
	err := x.p.Signin.SendCode(x.ctx, x.space, x.l, v.identifier, "", Browser(x.c))
	if status, errs, ok := formErrors(err); ok {
		v.view = page.OTPSendView
		retryAfter(x.c, err)
		return x.showFirst(v, status, errs)
	}
	if err != nil {
		return err
	}
	v.view = page.OTPVerifyView
	if resent {
		v.notice = "If an account has this name, another code is on its way. Only the newest one works."
	}
	return x.showFirst(v, http.StatusOK, nil)
}

// remember keeps how the person signed in, if they want that.
func (x *step) remember(out signin.Outcome, m page.Mode) signin.Outcome {
	name := x.p.Signin.MethodCookie(x.space.Tenant, x.c.Params("ipID"))
	if x.form.Get("remember_my_sign_in_method") == "true" {
		out.Cookies = append(out.Cookies, x.p.Signin.Cookie(name, string(m), methodLife))
	}
	return out
}

// rememberPasskey keeps what the form that follows a passkey asks to remember:
// that it was the way to sign in, and the browser, where it was a second factor.
func (x *step) rememberPasskey() ([]signin.Cookie, error) {
	if page.View(x.form.Get("authn_mode")) != page.WebAuthnView {
		return nil, nil
	}
	if x.form.Get("remember_browser") == "true" {
		return x.p.Signin.RememberBrowser(x.ctx, x.space, x.l)
	}
	return x.remember(signin.Outcome{}, page.ModePasskey).Cookies, nil
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
