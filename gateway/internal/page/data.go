package page

import (
	"errors"
	"html/template"
	"net/netip"
	"net/url"
	"strings"
)

// CSRFField is the name of the form field that carries the token of every form;
// the calls of webauthn.js carry the token of their form in CSRFHeader.
const (
	CSRFField  = "csrf_token"
	CSRFHeader = "X-CSRF-Token"
)

// Page is one of the pages of this package.
type Page interface {
	// spec returns the template's file and how the layout treats it.
	spec() spec
}

type spec struct {
	file    string
	wide    bool // for lists
	post    bool // sends itself
	passkey bool // loads webauthn.js
}

// Field is a name with a value: a hidden form field, or a fact to show.
type Field struct{ Name, Value string }

// FieldError says what is wrong with a form. Field is the name of the input it
// is about; empty means the form as a whole.
type FieldError struct{ Field, Say string }

// Link leads somewhere.
type Link struct {
	Label, URL string
	NewTab     bool
}

// NewPassword asks for a new password twice (published API §30,
// set_new_password_after_authn_view): password, repeatPassword.
type NewPassword struct {
	CSRF, Action string
	Hidden       []Field
	Identifier   string   // shown, for password managers; may be empty
	Why          string   // replaces the sentence under the title
	Rules        []string // of the pool's policy
	Errors       []FieldError
}

// Choice is one way to sign in.
type Choice struct{ ID, Name string }

// Chooser lets the person choose an IDP: authentication_id holds its id.
type Chooser struct {
	CSRF, Action string
	Hidden       []Field
	App          string
	Choices      []Choice
	Errors       []FieldError
}

// SignedOut says that it is done.
type SignedOut struct {
	Ended     string // "session", "all", or empty: says what has ended
	SignInURL string // may be empty
}

// ConfirmSignOut asks before a sign-out that the person did not ask for (OpenID
// Connect RP-Initiated Logout, section 2).
type ConfirmSignOut struct {
	CSRF, Action string
	Hidden       []Field
	App          string // who asks; may be empty
	Who          string
	StayURL      string // may be empty
}

// SetUp asks for the first tenant and operator: token, tenant, identifier,
// password, repeatPassword.
type SetUp struct {
	CSRF, Action string
	Token        string
	Tenant       string
	Identifier   string
	Errors       []FieldError
}

// SetUpDone shows the API clients, once.
type SetUpDone struct {
	Identifier string
	ClientFile string // JSON, to be kept
	NextURL    string // may be empty
}

// Error is any failure.
type Error struct {
	Title    string // may be empty
	Say      string
	RetryURL string // may be empty
	TraceID  string
}

// Denied says that the person may not see a page.
type Denied struct {
	Say       string // replaces the usual sentence
	Who       string // signed in as; may be empty
	SwitchURL string
	HomeURL   string
	TraceID   string
}

// Unavailable says that the app behind the gateway does not answer.
type Unavailable struct {
	App      string // may be empty
	Say      string // replaces the usual sentence
	RetryURL string
	TraceID  string
}

// UnknownHost shows what was asked for, what is served, and what to change.
type UnknownHost struct {
	Host, Scheme string
	SchemeOnly   bool // only the scheme is wrong
	Forwarded    bool // a proxy that is not trusted stands in front
	Peer         netip.Addr
	Configured   []string
	TraceID      string
}

// FormPost sends fields to a client by itself (OAuth 2.0 Form Post Response
// Mode). Its page needs the client's origin in form-action.
type FormPost struct {
	Action string // a registered redirect URI
	Fields []Field
}

// Message is a plain page: a title, sentences and links, the first of which is
// the expected one.
type Message struct {
	Title   string
	Say     []string
	Links   []Link
	TraceID string
}

// To returns the action for the template. html/template knows only web schemes;
// a native app's registered address is as good (RFC 8252, section 7.1).
func (f FormPost) To() (template.URL, error) {
	u, err := url.Parse(f.Action)
	if err != nil || u.Scheme == "" {
		return "", errors.New("form_post needs an absolute address")
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "vbscript", "blob", "file":
		return "", errors.New("form_post cannot lead to " + u.Scheme)
	}
	return template.URL(u.String()), nil // attribute-escaped by the template, scheme checked above
}

func (NewPassword) spec() spec    { return spec{file: "new-password"} }
func (Chooser) spec() spec        { return spec{file: "chooser"} }
func (SignedOut) spec() spec      { return spec{file: "signed-out"} }
func (ConfirmSignOut) spec() spec { return spec{file: "confirm-sign-out"} }
func (SetUp) spec() spec          { return spec{file: "set-up"} }
func (SetUpDone) spec() spec      { return spec{file: "set-up-done", wide: true} }
func (Error) spec() spec          { return spec{file: "error"} }
func (Denied) spec() spec         { return spec{file: "denied"} }
func (Unavailable) spec() spec    { return spec{file: "unavailable"} }
func (UnknownHost) spec() spec    { return spec{file: "unknown-host", wide: true} }
func (FormPost) spec() spec       { return spec{file: "form-post", post: true} }
func (Message) spec() spec        { return spec{file: "message"} }

// all returns an empty page of every kind, to prepare their templates.
func all() []Page {
	return []Page{
		SignIn{},
		SecondFactor{},
		NewPassword{},
		Chooser{},
		SignedOut{},
		ConfirmSignOut{},
		Register{},
		RegistrationClosed{},
		Sent{},
		Activate{},
		VerifyAddress{},
		Forgot{},
		Reset{},
		Done{},
		LinkSpent{},
		EnrolTOTP{},
		RecoveryCodes{},
		Account{},
		Consent{},
		DeviceCode{},
		DeviceConfirm{},
		DeviceDone{},
		SetUp{},
		SetUpDone{},
		Error{},
		Denied{},
		Unavailable{},
		UnknownHost{},
		FormPost{},
		Message{},
	}
}
