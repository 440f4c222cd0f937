package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// What an activation asks for beside the code, as the registration chose.
const (
	promptPassword = "password"
	promptPasskey  = "webauthn"
	promptNothing  = "nothing"
)

// activating is what the page of an activation shows.
type activating struct {
	code       string // extended, of the address or made from what was typed
	view       page.View
	askCode    bool
	identifier string
	prompt     string
	invited    bool
}

// activateForm shows what the code of the address is good for and uses nothing
// up: mail scanners follow links.
func (x *visit) activateForm() error {
	a := activating{code: x.query.Get("code"), askCode: x.query.Get("code") == ""}
	if !a.askCode {
		if err := x.inspect(&a); err != nil {
			return x.spent(err, page.ForActivation)
		}
	}
	return x.showActivate(a, http.StatusOK, nil)
}

// inspect decides what the page asks for.
func (x *visit) inspect(a *activating) error {
	w, typed := x.holder()
	seen, err := x.p.SelfService.Inspect(x.ctx, x.owner.TenantID, x.owner.ID, w, typed)
	if err != nil {
		return err
	}
	if seen.Code.Type != code.Activation {
		return code.ErrWrong
	}
	a.code, a.prompt, a.invited = seen.Extended, seen.Prompt, seen.Invitation
	if a.identifier == "" && len(seen.User.Identifiers) > 0 {
		a.identifier = seen.User.Identifiers[0].Value
	}
	if a.view == "" {
		a.view = x.activationView(&seen)
	}
	return nil
}

// activationView is the first face of the page. A password that was chosen in
// another browser is not trusted: whoever registered somebody else's address
// would know it.
func (x *visit) activationView(seen *selfservice.Inspection) page.View {
	have := modes(&x.owner)
	switch {
	case seen.Prompt == promptPasskey && slices.Contains(have, page.ModePasskey):
		return page.WebAuthnView
	case seen.Prompt == promptNothing:
		return page.ActivateView
	case seen.PasswordSet && (!seen.User.SelfRegistered || x.registered().Registration == seen.User.Registration):
		return page.ActivateView
	case slices.Contains(have, page.ModePassword):
		return page.PasswordView
	case slices.Contains(have, page.ModePasskey):
		return page.WebAuthnView
	}
	return page.ActivateView
}

// registered is the registration that this browser made.
func (x *visit) registered() registered {
	var r registered
	x.load(x.p.Signin.RegisteredCookie(), "registered", &r)
	return r
}

func (x *visit) showActivate(a activating, status int, errs []page.FieldError) error {
	v := page.Activate{
		CSRF: x.token, Action: x.here("activate", "code", a.code), View: a.view, Who: a.identifier, App: x.brand(), Invitation: a.invited,
		AskCode: a.askCode, AskIdentifier: a.askCode, Identifier: a.identifier, CodeLength: x.owner.OTPSettings.Activation.Length,
		Rules: rules(x.owner.PasswordPolicy), Errors: errs,
	}
	if a.askCode {
		v.Action, v.View = x.here("activate"), page.ActivateView
	}
	for _, m := range modes(&x.owner) {
		if m != page.ModeCode && a.view != page.ActivateView && !a.askCode {
			v.Modes = append(v.Modes, m)
		}
	}
	if a.view == page.WebAuthnView {
		v.Passkey = x.calls("activate", a.code)
	}
	return x.show(status, v)
}

// calls are the addresses of webauthn.js on a page that takes a code.
func (x *visit) calls(at, extended string) page.PasskeyCalls {
	return page.PasskeyCalls{Begin: x.here(at+"/webauthn/begin", "code", extended), Finish: x.here(at+"/webauthn/finish", "code", extended)}
}

// holder is whose code a form has: nobody needs to be named with the code of the
// address, which says it.
func (x *visit) holder() (selfservice.Who, string) {
	if c := x.query.Get("code"); c != "" {
		return selfservice.Who{}, c
	}
	return selfservice.Who{Identifier: strings.TrimSpace(x.form.Get("identifier"))}, x.form.Get("otp")
}

// activate takes the form. A typed code that needs more than the button leads to
// the page that asks for it.
func (x *visit) activate() error {
	a := activating{view: page.View(x.form.Get("authn_mode")), identifier: x.form.Get("identifier")}
	if x.form.Get("action") == page.ActionSendOTP {
		return x.resend(code.Activation, page.ForActivation, "activate")
	}
	a.code = x.query.Get("code")
	switch x.form.Get("action") {
	case page.ActionChangeToPassword:
		a.view = page.PasswordView
	case page.ActionChangeToWebAuthn:
		a.view = page.WebAuthnView
	default:
		if x.query.Get("code") == "" {
			a.view = ""
			break
		}
		return x.activateNow(a)
	}
	if err := x.inspect(&a); err != nil {
		return x.wrongCode(err, &a)
	}
	if a.view == page.ActivateView && x.query.Get("code") == "" { // nothing more to ask
		return x.activateNow(a)
	}
	return x.showActivate(a, http.StatusOK, nil)
}

// wrongCode asks again for a typed code that is not right.
func (x *visit) wrongCode(err error, a *activating) error {
	if x.query.Get("code") != "" {
		return x.spent(err, page.ForActivation)
	}
	return x.again(err, atField("otp", func(status int, errs []page.FieldError) error {
		v := x.sentPage(code.Activation, page.ForActivation, "activate", a.identifier)
		v.Errors = errs
		return x.show(status, v)
	}))
}

func (x *visit) activateNow(a activating) error {
	in := selfservice.Activation{Code: a.code, Kind: limit.KindSelfActivation, Activation: pool.Activation{Registration: x.registered().Registration}}
	again := func(status int, errs []page.FieldError) error {
		if err := x.inspect(&a); err != nil {
			return x.wrongCode(err, &a)
		}
		return x.showActivate(a, status, errs)
	}
	switch a.view {
	case page.PasswordView:
		if errs := chosen(x.form); errs != nil {
			return again(http.StatusUnprocessableEntity, errs)
		}
		in.Password = x.form.Get("password")
	case page.WebAuthnView:
		var key credential.Passkey
		if !x.load(x.p.Signin.PasskeyCookie(), "passkey "+a.code, &key) {
			return again(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Your browser did not make a passkey. Please try again, or choose a password."}})
		}
		in.Passkeys = []credential.Passkey{key}
	}
	done, err := x.p.SelfService.Activate(x.ctx, x.owner.TenantID, x.owner.ID, in)
	if fault.Is(err, fault.Unauthenticated) {
		return x.wrongCode(err, &a)
	}
	if err != nil {
		return x.again(err, again)
	}
	next := done.Next
	if next == "" {
		next = x.back()
	}
	return x.show(http.StatusOK, page.Done{For: page.ForActivation, Who: a.identifier, App: x.brand(), NextURL: next})
}

// spent says that a link is no longer good; other errors stay what they are.
func (x *visit) spent(err error, f page.Purpose) error {
	if !fault.Is(err, fault.Unauthenticated) {
		return err
	}
	v := page.LinkSpent{For: f, SignInURL: x.back()}
	switch f {
	case page.ForPassword:
		v.AgainURL = x.here("reset")
	case page.ForPasskey:
		v.AgainURL = x.here("passkey")
	case page.ForTOTP:
		v.AgainURL = x.here("reset-totp")
	case page.ForActivation, page.ForAddress:
	}
	return x.show(http.StatusNotFound, v)
}

// passkeyLife is how long a passkey that was made waits for its form.
const passkeyLife = 10 * time.Minute

// beginPasskey and finishPasskey are the calls of webauthn.js on pages that take
// a code: only who has the code may make a passkey for its user.
func (x *visit) beginPasskey() error {
	seen, err := x.p.SelfService.Inspect(x.ctx, x.owner.TenantID, x.owner.ID, selfservice.Who{}, x.query.Get("code"))
	if err != nil {
		return err
	}
	options, err := x.p.SelfService.BeginPasskey(x.ctx, x.owner.TenantID, x.owner.ID, seen.User.ID)
	if err != nil {
		return err
	}
	x.c.Set("Content-Type", "application/json")
	return x.c.Send(options)
}

func (x *visit) finishPasskey() error {
	extended := x.query.Get("code")
	seen, err := x.p.SelfService.Inspect(x.ctx, x.owner.TenantID, x.owner.ID, selfservice.Who{}, extended)
	if err != nil {
		return err
	}
	key, err := x.p.SelfService.MadePasskey(x.ctx, x.owner.TenantID, x.owner.ID, seen.User.ID, slices.Clone(x.c.Body()))
	if err != nil {
		return err
	}
	if err := x.keep(x.p.Signin.PasskeyCookie(), key, "passkey "+extended, passkeyLife); err != nil {
		return err
	}
	return x.c.Status(http.StatusOK).JSON(struct{}{})
}
