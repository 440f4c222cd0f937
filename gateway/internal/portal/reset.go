package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// lost is one of the three things that a person can replace by a code.
type lost struct {
	code code.Type
	For  page.Purpose
	page string
}

var (
	lostPassword = lost{code.ResetPassword, page.ForPassword, "reset"}
	lostPasskey  = lost{code.EnrollWebAuthn, page.ForPasskey, "passkey"}
	lostTOTP     = lost{code.ResetTOTP, page.ForTOTP, "reset-totp"}
)

// allowed refuses where people may not replace this themselves: the pool says so,
// does not have it, or asks for a second factor. What a mailbox alone can replace
// is no second factor.
func (l lost) allowed(x *visit) error {
	p := &x.owner
	switch {
	case p.ResetCredentialsSettings.DoNotAllowUsersToSelfResetCredentials:
		return fault.New(fault.Denied, "Ask whoever runs this service to reset your credentials.", nil)
	case l.code == code.EnrollWebAuthn && !slices.Contains(modes(p), page.ModePasskey):
		return fault.New(fault.NotFound, "There is no such page here.", nil)
	case l.code != code.ResetPassword && len(p.SecondFactorAuthenticationMechanisms) > 0:
		return fault.New(fault.Denied, "This cannot be replaced by a message alone here. Sign in with a recovery code, or ask whoever runs this service.", nil)
	}
	return nil
}

// lostForm shows, without a code, who has lost something; with one, what
// replaces it. It uses nothing up.
func (l lost) form(x *visit) error {
	if err := l.allowed(x); err != nil {
		return err
	}
	if c := x.query.Get("code"); c != "" {
		return l.showReset(x, resetting{code: c}, http.StatusOK, nil)
	}
	return l.showForgot(x, "", http.StatusOK, nil)
}

func (l lost) showForgot(x *visit, identifier string, status int, errs []page.FieldError) error {
	return x.show(status, page.Forgot{
		CSRF: x.token, Action: x.here(l.page), For: l.For, Identifier: identifier, Errors: errs, SignInURL: x.back(),
	})
}

// resetting is what the page that replaces a credential shows.
type resetting struct {
	code   string // extended
	sealed string // secret of an authenticator app
}

// inspect tells whose credential a code replaces, for password managers, and the
// code in its extended form.
func (l lost) inspect(x *visit, w selfservice.Who, typed string) (who, extended string, err error) {
	seen, err := x.p.SelfService.Inspect(x.ctx, x.owner.TenantID, x.owner.ID, w, typed)
	if err == nil && seen.Code.Type != l.code {
		err = code.ErrWrong
	}
	if err == nil && len(seen.User.Identifiers) > 0 {
		who = seen.User.Identifiers[0].Value
	}
	return who, seen.Extended, err
}

func (l lost) showReset(x *visit, r resetting, status int, errs []page.FieldError) error {
	who, _, err := l.inspect(x, selfservice.Who{}, r.code)
	if err != nil {
		return x.spent(err, l.For)
	}
	action := x.here(l.page, "code", r.code)
	if l.For == page.ForTOTP {
		return x.showNewTOTP(r, who, action, status, errs)
	}
	v := page.Reset{
		CSRF: x.token, Action: action, For: l.For, Who: who, Rules: rules(x.owner.PasswordPolicy), Errors: errs, SignInURL: x.back(),
	}
	if l.For == page.ForPasskey {
		v.Passkey = x.calls(l.page, r.code)
	}
	return x.show(status, v)
}

// submit takes the form: of who has lost something, of the code that came, or of
// what replaces it.
func (l lost) submit(x *visit) error {
	if err := l.allowed(x); err != nil {
		return err
	}
	if x.query.Get("code") != "" {
		return l.replace(x, x.query.Get("code"))
	}
	if x.form.Has("otp") && x.form.Get("action") != page.ActionSendOTP {
		return l.typed(x)
	}
	if strings.TrimSpace(x.form.Get("identifier")) == "" {
		return l.showForgot(x, "", http.StatusUnprocessableEntity, []page.FieldError{{Field: "identifier", Say: "Enter your email, phone number or user name."}})
	}
	return x.resend(l.code, l.For, l.page)
}

// resend sends a code to whom the form names and asks for it: the same page
// whoever that is.
func (x *visit) resend(t code.Type, f page.Purpose, at string) error {
	identifier := strings.TrimSpace(x.form.Get("identifier"))
	d := x.delivery()
	if t == code.Activation { // the page asks for what this browser chose before
		d.Prompt = x.registered().Prompt
	}
	err := x.p.SelfService.Request(x.ctx, x.owner.TenantID, x.owner.ID, t, selfservice.Who{Identifier: identifier}, d)
	if err != nil {
		return err
	}
	v := x.sentPage(t, f, at, identifier)
	if x.form.Get("action") == page.ActionSendOTP {
		v.Notice = "If there is an account with this name, another message is on its way. Only the newest one works."
	}
	return x.show(http.StatusOK, v)
}

func (x *visit) sentPage(t code.Type, f page.Purpose, at, identifier string) page.Sent {
	again := at
	if t == code.Activation && x.owner.PublicRegistrationAllowed {
		again = "register"
	}
	return page.Sent{
		CSRF: x.token, Action: x.here(at), Hidden: []page.Field{{Name: "identifier", Value: identifier}}, For: f, To: identifier,
		Channel: channel(identifier), CodeLength: selfservice.Setting(&x.owner, t).Length, AgainURL: x.here(again), SignInURL: x.back(),
	}
}

// typed goes on with a code that was typed, to the page that replaces the
// credential.
func (l lost) typed(x *visit) error {
	w, code := x.holder()
	_, extended, err := l.inspect(x, w, code)
	if err != nil {
		identifier := strings.TrimSpace(x.form.Get("identifier"))
		return x.again(err, atField("otp", func(status int, errs []page.FieldError) error {
			v := x.sentPage(l.code, l.For, l.page, identifier)
			v.Errors = errs
			return x.show(status, v)
		}))
	}
	return l.showReset(x, resetting{code: extended}, http.StatusOK, nil)
}

// replace writes what replaces the lost credential.
func (l lost) replace(x *visit, extended string) error {
	r := resetting{code: extended, sealed: x.form.Get("secret")}
	again := func(status int, errs []page.FieldError) error { return l.showReset(x, r, status, errs) }
	var err error
	none := selfservice.Who{}
	switch l.For {
	case page.ForPasskey:
		var key credential.Passkey
		if !x.load(x.p.Signin.PasskeyCookie(), "passkey "+extended, &key) {
			return again(http.StatusUnprocessableEntity, []page.FieldError{{Say: "Your browser did not make a passkey. Please try again."}})
		}
		_, err = x.p.SelfService.AddPasskey(x.ctx, x.owner.TenantID, x.owner.ID, none, extended, key)
	case page.ForTOTP:
		secret, problem := x.newTOTP(r)
		if problem != nil {
			return again(http.StatusUnprocessableEntity, problem)
		}
		_, err = x.p.SelfService.ResetTOTP(x.ctx, x.owner.TenantID, x.owner.ID, none, extended, secret)
	default:
		if errs := chosen(x.form); errs != nil {
			return again(http.StatusUnprocessableEntity, errs)
		}
		_, err = x.p.SelfService.ResetPassword(x.ctx, x.owner.TenantID, x.owner.ID, none, extended, x.form.Get("password"))
		err = renamed(err, "new_password", "password")
	}
	if fault.Is(err, fault.Unauthenticated) {
		return x.spent(err, l.For)
	}
	if err != nil {
		return x.again(err, again)
	}
	return x.show(http.StatusOK, page.Done{For: l.For, App: "", NextURL: x.back()})
}

// renamed makes an error about a member name the form's input.
func renamed(err error, from, to string) error {
	if err == nil || fault.Read(err).Field != from {
		return err
	}
	e := *fault.Read(err)
	e.Field = to
	return &e
}

func totpAAD(x *visit, extended string) string {
	return vault.AAD(x.owner.TenantID, "pages", x.owner.Epoch, "totp "+extended)
}

// showNewTOTP draws the page with a new secret, or the one that is being set up.
func (x *visit) showNewTOTP(r resetting, who, action string, status int, errs []page.FieldError) error {
	raw, err := x.p.Ring.Open(r.sealed, totpAAD(x, r.code))
	secret := string(raw)
	if err != nil {
		secret = credential.NewTOTPSecret()
		if r.sealed, err = x.p.Ring.Seal([]byte(secret), totpAAD(x, r.code)); err != nil {
			return err
		}
	}
	uri := credential.TOTPURI(x.brand(), who, secret)
	png, err := credential.TOTPImage(uri)
	if err != nil {
		return err
	}
	return x.show(status, page.EnrolTOTP{
		CSRF: x.token, Action: action, Hidden: []page.Field{{Name: "secret", Value: r.sealed}}, PNG: png, URI: uri, Secret: secret,
		Account: who, Errors: errs, CancelURL: x.back(),
	})
}

// newTOTP returns the secret of the form when its first code is right.
func (x *visit) newTOTP(r resetting) (string, []page.FieldError) {
	raw, err := x.p.Ring.Open(r.sealed, totpAAD(x, r.code))
	if err == nil {
		if _, ok := credential.CheckTOTP(string(raw), x.form.Get("totp"), x.p.Now(), 0); ok {
			return string(raw), nil
		}
	}
	return "", []page.FieldError{{Field: "totp", Say: "This code is not right. Is the clock of your phone right?"}}
}

// verifyAddressForm shows a button: following the link proves nothing yet.
func (x *visit) verifyAddressForm() error { return x.showVerify(http.StatusOK, nil) }

func (x *visit) showVerify(status int, errs []page.FieldError) error {
	seen, err := x.p.SelfService.Inspect(x.ctx, x.owner.TenantID, x.owner.ID, selfservice.Who{}, x.query.Get("code"))
	if err == nil && seen.Code.Type != code.VerifyAddress {
		err = code.ErrWrong
	}
	if err != nil {
		return x.spent(err, page.ForAddress)
	}
	return x.show(status, page.VerifyAddress{
		CSRF: x.token, Action: x.here("verify-address", "code", x.query.Get("code")), Address: seen.Code.Address, Errors: errs, BackURL: x.back(),
	})
}

func (x *visit) verifyAddress() error {
	address, err := x.p.SelfService.VerifyAddressByCode(x.ctx, x.owner.TenantID, x.owner.ID, "", x.query.Get("code"))
	switch {
	case fault.Is(err, fault.Unauthenticated):
		return x.spent(err, page.ForAddress)
	case fault.Is(err, fault.Conflict):
		return x.showVerify(http.StatusConflict, []page.FieldError{{Say: "Somebody else has confirmed this address meanwhile."}})
	case err != nil:
		return x.again(err, x.showVerify)
	}
	return x.show(http.StatusOK, page.Done{For: page.ForAddress, Who: address, NextURL: x.back()})
}
