package page

import (
	"encoding/base64"
	"html/template"
	"strings"
)

// Forgot asks who has lost a password, passkey or authenticator app: identifier.
// The answer is Sent, whoever it is.
type Forgot struct {
	CSRF, Action string
	Hidden       []Field
	For          Purpose // ForPassword (also when empty), ForPasskey or ForTOTP
	Identifier   string  // as typed before
	Errors       []FieldError
	SignInURL    string // may be empty
}

// Reset replaces a lost password or passkey: identifier and otp when asked for;
// ForPassword also password and repeatPassword, ForPasskey after webauthn.js
// called Passkey. A lost authenticator app is EnrolTOTP. GET uses nothing up.
type Reset struct {
	CSRF, Action  string
	Hidden        []Field
	For           Purpose // ForPassword (also when empty) or ForPasskey
	Who           string  // shown, for password managers; may be empty
	AskIdentifier bool    // the URL does not say whose code it is
	Identifier    string  // as typed before
	AskCode       bool    // there is no code in the URL
	CodeLength    int     // digits; 0 is not said
	Rules         []string
	Passkey       PasskeyCalls
	Errors        []FieldError
	SignInURL     string // may be empty
}

// Done says that what a message was for has been done.
type Done struct {
	For     Purpose // ForActivation when empty
	Who     string  // identifier, or with ForAddress the address; may be empty
	App     string  // where NextURL leads; empty is the sign-in
	NextURL string  // may be empty
}

// LinkSpent says that a link or code is used, too old or incomplete, without
// saying which.
type LinkSpent struct {
	For       Purpose
	AgainURL  string // asks for another message; may be empty
	SignInURL string // may be empty
}

// EnrolTOTP sets up an authenticator app: totp, a code of the new secret, and
// when asked for otp. The secret itself stays in Hidden, sealed. The picture is
// a data: address, which web.Security allows on every page.
type EnrolTOTP struct {
	CSRF, Action string
	Hidden       []Field
	PNG          []byte // the QR code; none shows the text alone
	URI          string // otpauth://totp/…, a link for people who read this on their phone; may be empty
	Secret       string // base32
	Account      string // as the app will show it; may be empty
	Required     bool   // the sign-in goes on only with it
	AskCode      bool   // ForTOTP: there is no code in the URL
	CodeLength   int    // of otp
	Errors       []FieldError
	CancelURL    string // may be empty
}

// Image is the address of the picture.
func (p EnrolTOTP) Image() template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.PNG)) // base64 only
}

// Link is URI if it is one for an authenticator app.
func (p EnrolTOTP) Link() template.URL {
	if !strings.HasPrefix(p.URI, "otpauth://totp/") {
		return ""
	}
	return template.URL(p.URI) // attribute-escaped by the template, scheme checked above
}

// Groups are the letters of the secret, four by four.
func (p EnrolTOTP) Groups() string {
	var b strings.Builder
	for i, r := range []rune(p.Secret) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// RecoveryCodes shows new recovery codes, once; the form sends saved ("true").
type RecoveryCodes struct {
	CSRF, Action string
	Hidden       []Field
	Account      string // goes into the file; may be empty
	Codes        []string
	Errors       []FieldError
}

func (Forgot) spec() spec { return spec{file: "forgot"} }
func (p Reset) spec() spec {
	return spec{file: "reset", passkey: p.For == ForPasskey && p.Passkey.Begin != ""}
}
func (Done) spec() spec          { return spec{file: "done"} }
func (LinkSpent) spec() spec     { return spec{file: "link-spent"} }
func (EnrolTOTP) spec() spec     { return spec{file: "enrol-totp"} }
func (RecoveryCodes) spec() spec { return spec{file: "recovery-codes"} }
