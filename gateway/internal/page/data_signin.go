package page

import (
	"slices"
	"time"
)

// View is which face of a page is shown. Forms of pages with views send it as
// authn_mode; the values are exact (published API §30) where it has them.
type View string

// Views of SignIn and SecondFactor; PasswordView and WebAuthnView are also
// views of Activate.
const (
	PasswordView          View = "password_view"
	OTPSendView           View = "otp_send_view"
	OTPVerifyView         View = "otp_verify_view"
	OTPUseAlternativeView View = "otp_use_alternative_view"
	WebAuthnView          View = "web_authn_view"
	TOTPView              View = "totp_view"          // ours
	RecoveryCodeView      View = "recovery_code_view" // ours
)

// Mode is a means to prove who one is. The values are those of the published
// API's mechanisms, but for recovery codes, which it does not know.
type Mode string

// The modes. ModeCode stands for otp, email_otp and sms_otp.
const (
	ModePassword     Mode = "password"
	ModeCode         Mode = "otp"
	ModePasskey      Mode = "webauthn"
	ModeTOTP         Mode = "totp"
	ModeRecoveryCode Mode = "recovery_code"
)

// Actions: the values of the buttons named "action" (published API §30). A form
// without an action submits the current view.
const (
	ActionSendOTP              = "send_otp" // also: send it again
	ActionChangeToOTP          = "change_to_otp"
	ActionChangeToAlternative  = "change_to_otp_use_alternative"
	ActionChangeToPassword     = "change_to_password"
	ActionChangeToWebAuthn     = "change_to_web_authn"
	ActionChangeToRegister     = "change_to_register"
	ActionSetNewPassword       = "set_new_password_after_authn"
	ActionChangeToTOTP         = "change_to_totp"          // ours
	ActionChangeToRecoveryCode = "change_to_recovery_code" // ours
)

// Alternative is another way to go on from a form; the button named "action"
// sends Action.
type Alternative struct {
	Action, Label string
	Passkey       bool // webauthn.js uses the passkey at once, without a view between
}

// PasskeyCalls are the addresses that webauthn.js calls, of this origin; the
// zero value means that the page has no passkeys and does not load it.
//
// Both calls are POSTs of JSON with CSRFHeader, and 2xx is success; otherwise a
// member "error" of type string is shown to the person. Begin gets
// {"identifier": "..."} (of the form, may be empty) and answers
// {"publicKey": options}, bytes as base64 or base64url. Finish gets the
// credential with bytes as unpadded base64url and keeps the outcome. Then the
// ordinary form is sent: a sign-in with authn_mode=web_authn_view and without an
// action, anything else as if its button had been pressed. When it fails, the
// form's hidden web_authn_error becomes the name of the reason, for the log.
type PasskeyCalls struct{ Begin, Finish string }

// Destination is an address that a code can go to.
type Destination struct {
	ID     string // opaque, sent as destination_address
	Masked string // such as "al•••@example.com"
}

// SignIn asks for a first factor (published API §30, pool login). Its form holds
// authn_mode, identifier, and by view password, otp or destination_address;
// perhaps action, remember_my_sign_in_method ("true") and web_authn_error.
//
// Nobody has proven anything yet, so every field must be the same whether or not
// the person exists: Masked is made from what was typed, never from a user, and
// Destinations are invented for people that do not exist.
type SignIn struct {
	CSRF, Action string
	Hidden       []Field
	App          string // what the person signs in to; may be empty
	View         View   // PasswordView (also when empty), OTPSendView, OTPVerifyView, OTPUseAlternativeView or WebAuthnView
	Modes        []Mode // what the pool takes, the preferred one first; none is password alone
	Identifier   string // as typed before
	Errors       []FieldError
	Notice       string
	Masked       string        // OTPVerifyView: where the code went; may be empty
	CodeLength   int           // OTPVerifyView: digits; 0 is not said
	Alternative  bool          // OTPVerifyView: offer another address of the same person
	Destinations []Destination // OTPUseAlternativeView
	Passkey      PasskeyCalls  // needed for ModePasskey
	Remembered   bool          // remember_my_sign_in_method is ticked; shown where there are several modes
	CanRegister  bool          // a button with change_to_register
	Alternatives []Alternative // after those of Modes
	ForgotURL    string        // these are left out when empty
	LostURL      string        // lost passkey
	RegisterURL  string        // instead of CanRegister
	OthersURL    string        // back to the chooser
}

// Several tells whether there is more than one way to sign in here.
func (p SignIn) Several() bool { return len(p.Modes) > 1 }

// Autocomplete is that of the identifier: browsers offer passkeys there.
func (p SignIn) Autocomplete() string {
	if p.Passkey.Begin != "" {
		return "username webauthn"
	}
	return "username"
}

// Others are the buttons for the modes that are not the current view.
func (p SignIn) Others() []Alternative {
	list := others(p.Modes, p.View, "signin.mode.")
	return append(list, p.Alternatives...)
}

// others lists the ways from one view to those of other modes, in their order.
func others(modes []Mode, now View, key string) (list []Alternative) {
	for _, m := range modes {
		var to Alternative
		var views []View
		switch m {
		case ModePassword:
			to.Action, views = ActionChangeToPassword, []View{PasswordView, ""}
		case ModeCode:
			to.Action, views = ActionChangeToOTP, []View{OTPSendView, OTPVerifyView, OTPUseAlternativeView}
		case ModePasskey:
			to.Action, to.Passkey, views = ActionChangeToWebAuthn, true, []View{WebAuthnView}
		case ModeTOTP:
			to.Action, views = ActionChangeToTOTP, []View{TOTPView}
		case ModeRecoveryCode:
			to.Action, views = ActionChangeToRecoveryCode, []View{RecoveryCodeView}
		}
		if to.Label = texts[key+string(m)]; to.Label != "" && !slices.Contains(views, now) {
			list = append(list, to)
		}
	}
	return list
}

// SecondFactor asks a person who has proven a first factor for another one. It
// belongs to the pool login and posts there: authn_mode, by view totp, otp,
// destination_address or recovery_code; perhaps action, remember_browser
// ("true") and web_authn_error. The person is known here, so Modes and
// Destinations are theirs.
type SecondFactor struct {
	CSRF, Action string
	Hidden       []Field
	App          string
	View         View   // TOTPView, OTPSendView, OTPVerifyView, WebAuthnView or RecoveryCodeView; empty is TOTPView
	Modes        []Mode // what this person has, the preferred one first
	Identifier   string // shown; may be empty
	Errors       []FieldError
	Notice       string
	Destinations []Destination // OTPSendView: one is shown, several are to choose from
	Masked       string        // OTPVerifyView: where the code went
	CodeLength   int           // OTPVerifyView: digits; 0 is not said
	Passkey      PasskeyCalls  // needed for ModePasskey
	Remember     time.Duration // the pool's mfa_session_ttl; 0 leaves the checkbox out
	Remembered   bool          // remember_browser is ticked
	LostURL      string        // lost authenticator app; may be empty
	CancelURL    string        // start again as somebody else; may be empty
}

// Others are the buttons for the modes that are not the current view.
func (p SecondFactor) Others() []Alternative {
	now := p.View
	if now == "" {
		now = TOTPView
	}
	return others(p.Modes, now, "second.mode.")
}

func (p SignIn) spec() spec { return spec{file: "sign-in", passkey: p.Passkey.Begin != ""} }
func (p SecondFactor) spec() spec {
	return spec{file: "second-factor", passkey: p.Passkey.Begin != ""}
}
