package portal

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// second is what the page of the second factor shows.
type second struct {
	view   page.View // empty: that of the person's first means
	place  int       // where the last code went
	notice string
}

// mechanisms are the modes of a second factor as signin names them.
var mechanisms = map[string]page.Mode{
	pool.MechanismTOTP: page.ModeTOTP, pool.MechanismWebAuthn: page.ModePasskey, pool.MechanismOTP: page.ModeCode,
	signin.RecoveryCode: page.ModeRecoveryCode,
}

var secondViews = map[page.Mode]page.View{
	page.ModeTOTP: page.TOTPView, page.ModePasskey: page.WebAuthnView, page.ModeCode: page.OTPSendView, page.ModeRecoveryCode: page.RecoveryCodeView,
}

func (x *step) showSecond(v second, status int, errs []page.FieldError) error {
	have, err := x.p.Signin.Factors(x.ctx, x.space, x.l)
	if err != nil {
		return err
	}
	d := page.SecondFactor{
		CSRF: x.l.State, Action: self(x.c), App: x.app(), View: v.view, Identifier: have.Identifier, Errors: errs, Notice: v.notice,
		CodeLength: have.CodeLength, Remember: have.Remember, Remembered: x.form.Get("remember_browser") == "true",
	}
	for _, m := range have.Mechanisms {
		d.Modes = append(d.Modes, mechanisms[m])
	}
	if d.View == "" && len(d.Modes) > 0 {
		d.View = secondViews[d.Modes[0]]
	}
	for i, to := range have.Destinations {
		d.Destinations = append(d.Destinations, page.Destination{ID: strconv.Itoa(i), Masked: to.Masked})
	}
	if d.View == page.OTPVerifyView && v.place < len(have.Destinations) {
		d.Masked = have.Destinations[v.place].Masked
		d.Hidden = []page.Field{{Name: "destination_address", Value: strconv.Itoa(v.place)}}
	}
	if slices.Contains(d.Modes, page.ModePasskey) {
		d.Passkey = x.passkeyCalls("login")
	}
	return x.show(status, d)
}

// second takes the form of the second factor.
func (x *step) second() error {
	f := x.form
	v := second{view: page.View(f.Get("authn_mode"))}
	v.place, _ = strconv.Atoi(f.Get("destination_address")) // 0 when nothing was chosen
	again := func(status int, errs []page.FieldError) error { return x.showSecond(v, status, errs) }
	to, ok := map[string]page.View{
		page.ActionChangeToTOTP: page.TOTPView, page.ActionChangeToOTP: page.OTPSendView,
		page.ActionChangeToWebAuthn: page.WebAuthnView, page.ActionChangeToRecoveryCode: page.RecoveryCodeView,
	}[f.Get("action")]
	if ok {
		v.view = to
		return again(http.StatusOK, nil)
	}
	if v.view == page.OTPSendView || f.Get("action") == page.ActionSendOTP {
		return x.sendSecond(v)
	}
	mechanism, field := pool.MechanismTOTP, "totp"
	switch v.view {
	case page.OTPVerifyView:
		mechanism, field = pool.MechanismOTP, "otp"
	case page.RecoveryCodeView:
		mechanism, field = signin.RecoveryCode, "recovery_code"
	case page.WebAuthnView:
		return again(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Your browser did not show a passkey. Please try again, or use another way."}})
	}
	out, err := x.p.Signin.Second(x.ctx, x.space, x.l, mechanism, strings.TrimSpace(f.Get(field)), f.Get("remember_browser") == "true", Browser(x.c))
	return x.to(out, err, atField(field, again))
}

// sendSecond sends a code to one of the person's addresses.
func (x *step) sendSecond(v second) error {
	err := x.p.Signin.SendSecond(x.ctx, x.space, x.l, v.place, Browser(x.c))
	if status, errs, ok := formErrors(err); ok {
		if v.view != page.OTPVerifyView {
			v.view = page.OTPSendView
		}
		retryAfter(x.c, err)
		return x.showSecond(v, status, errs)
	}
	if err != nil {
		return err
	}
	if v.view == page.OTPVerifyView {
		v.notice = "Another code is on its way. Only the newest one works."
	}
	v.view = page.OTPVerifyView
	return x.showSecond(v, http.StatusOK, nil)
}

// showEnrol draws the page on which an authenticator app is set up.
func (x *step) showEnrol(sealed string, status int, errs []page.FieldError) error {
	e, err := x.p.Signin.BeginTOTP(x.ctx, x.space, x.l, sealed)
	if err != nil {
		return err
	}
	png, err := credential.TOTPImage(e.URI)
	if err != nil {
		return err
	}
	return x.show(status, page.EnrolTOTP{
		CSRF: x.l.State, Action: self(x.c), Hidden: []page.Field{{Name: "secret", Value: e.Sealed}},
		PNG: png, URI: e.URI, Secret: e.Secret, Account: e.Identifier, Required: true, Errors: errs,
	})
}

// enrol takes the first code of a new authenticator app and shows recovery codes
// once. Their form goes on with the login.
func (x *step) enrol() error {
	sealed := x.form.Get("secret")
	codes, cookies, err := x.p.Signin.EnrolTOTP(x.ctx, x.space, x.l, sealed, x.form.Get("totp"), Browser(x.c))
	if status, errs, ok := formErrors(err); ok {
		for i := range errs {
			errs[i].Field = "totp"
		}
		return x.showEnrol(sealed, status, errs)
	}
	if err != nil {
		return err
	}
	if err := setCookies(x.c, cookies); err != nil {
		return err
	}
	return x.show(http.StatusOK, page.RecoveryCodes{CSRF: x.l.State, Action: self(x.c), Codes: codes, Account: x.l.Identifier})
}

// passkeyOptions and passkeyFinish are the calls of webauthn.js on the sign-in
// pages (published API 30).
func (x *step) passkeyOptions() error {
	options, err := x.p.Signin.AskPasskey(x.ctx, x.space, x.l)
	if err != nil {
		return err
	}
	x.c.Set("Content-Type", "application/json")
	return x.c.Send(options)
}

func (x *step) passkeyFinish() error {
	cookies, err := x.p.Signin.Passkey(x.ctx, x.space, x.l, slices.Clone(x.c.Body()), Browser(x.c))
	if err != nil {
		return err
	}
	if err := setCookies(x.c, cookies); err != nil {
		return err
	}
	return x.c.Status(http.StatusOK).JSON(struct{}{})
}

// onCall runs fn for a call of webauthn.js in a login of this browser.
func (p *Portal) onCall(fn func(*step) error) fiber.Handler {
	return p.onStep(func(x *step) error {
		if err := p.called(x.c, x.l.State); err != nil {
			return err
		}
		return fn(x)
	})
}

// called refuses a call that another site sent, or that lacks the token of its
// form.
func (p *Portal) called(c *fiber.Ctx, token string) error {
	if err := web.SameOrigin(c, p.Base); err != nil {
		return err
	}
	if !same(web.Header(c, page.CSRFHeader), token) {
		return fault.New(fault.Denied, "This page is out of date. Reload it and try again.", nil)
	}
	return nil
}
