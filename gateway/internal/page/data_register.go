package page

// Views of Register.
const (
	UserEntry       View = "user_entry_view"
	CredentialEntry View = "credential_entry_view"
	PasswordEntry   View = "password_entry_view"
	CodeEntry       View = "verification_code_entry_view"
	PasskeyEntry    View = "passkey_entry_view"
)

// Actions of Register (published API §30).
const (
	ActionCredentialEntry = "change_to_credential_entry"
	ActionPasswordEntry   = "change_to_password_entry"
	ActionCodeEntry       = "change_to_verification_code_entry"
	ActionPasskeyEntry    = "change_to_passkey_entry"
	ActionUserEntry       = "change_to_user" // back
	ActionSubmit          = "submit"
)

// Register makes an account in three steps (published API §30): UserEntry sends
// identifier, perhaps otp_address, and Fields, with change_to_credential_entry;
// CredentialEntry sends the action of what was chosen; the entry views send
// submit, PasswordEntry with password and repeatPassword, PasskeyEntry after
// webauthn.js called Passkey. All send state and authn_mode, and from the second
// step on change_to_user goes back. When there is only one method, the handler
// leaves CredentialEntry out.
type Register struct {
	CSRF, Action string
	Hidden       []Field
	State        string // sealed: what the former steps said
	App          string
	View         View // empty is UserEntry
	Identifier   string
	AllowPhone   bool   // a phone number is an identifier too
	AskAddress   bool   // the identifier may be one that receives nothing: ask for otp_address
	Address      string // as typed before
	Fields       []FormField
	Methods      []Mode   // CredentialEntry: ModePassword, ModeCode, ModePasskey, the preferred one first
	Rules        []string // PasswordEntry: of the pool's policy
	Passkey      PasskeyCalls
	Errors       []FieldError
	SignInURL    string // may be empty
}

// Method is a credential to choose.
type Method struct{ Action, Label, Hint string }

// Offers are the credentials to choose from.
func (p Register) Offers() (list []Method) {
	actions := map[Mode]string{ModePassword: ActionPasswordEntry, ModeCode: ActionCodeEntry, ModePasskey: ActionPasskeyEntry}
	for _, m := range p.Methods {
		if a, ok := actions[m]; ok {
			list = append(list, Method{Action: a, Label: texts["register.method."+string(m)], Hint: texts["register.method."+string(m)+".hint"]})
		}
	}
	return list
}

// RegistrationClosed says that one cannot make an account here.
type RegistrationClosed struct {
	SignInURL string // may be empty
}

// Purpose is what a message with a code is for. The values are the published
// API's types of codes (§1.5).
type Purpose string

// The purposes of messages that lead to a page.
const (
	ForActivation Purpose = "activation"
	ForPassword   Purpose = "reset_password"
	ForPasskey    Purpose = "enroll_webauthn"
	ForTOTP       Purpose = "reset_totp"
	ForAddress    Purpose = "verify_address"
)

// Channels of messages.
const (
	Email = "email"
	SMS   = "sms"
)

// Sent says that a message is on its way if there is reason for one, and takes
// its code: otp, perhaps action=send_otp for another message. It looks the same
// whatever happened.
type Sent struct {
	CSRF, Action string // no Action: only the link in the message goes on
	Hidden       []Field
	For          Purpose // ForActivation when empty
	To           string  // as typed, never from a user; may be empty
	Channel      string  // Email, SMS, or empty when that is not known from what was typed
	CodeLength   int     // digits; 0 is not said
	Errors       []FieldError
	Notice       string
	AgainURL     string // to change what was typed; may be empty
	SignInURL    string // may be empty
}

// ActivateView is the view of Activate without a credential: a button.
const ActivateView View = "activate_view"

// Activate makes a new user active (published API §30): GET shows it and uses
// nothing up, POST sends authn_mode, by view password and repeatPassword, and,
// when asked for, identifier and otp; perhaps change_to_password or
// change_to_web_authn, and web_authn_error. The passkey is made by webauthn.js,
// whose addresses carry the code (…/webauthn/begin?code=) when the URL has one.
type Activate struct {
	CSRF, Action  string
	Hidden        []Field
	View          View   // ActivateView (also when empty), PasswordView or WebAuthnView
	Who           string // whose account, as the person who asked typed it; may be empty
	App           string // may be empty
	Invitation    bool   // an operator asked, not the person
	AskIdentifier bool   // the URL does not say whose code it is
	Identifier    string // as typed before
	AskCode       bool   // there is no code in the URL
	CodeLength    int    // digits; 0 is not said
	Modes         []Mode // ModePassword and ModePasskey, when one may choose
	Rules         []string
	Passkey       PasskeyCalls
	Errors        []FieldError
	Notice        string
}

// Others are the buttons for the credentials that are not the current view.
func (p Activate) Others() []Alternative {
	list := others(p.Modes, p.View, "activate.mode.")
	for i := range list {
		list[i].Passkey = false // one makes a passkey after reading what it is
	}
	return list
}

// VerifyAddress confirms that an address receives messages: a button, or with
// AskCode the field otp; perhaps action=send_otp.
type VerifyAddress struct {
	CSRF, Action string
	Hidden       []Field
	Address      string // may be empty
	AskCode      bool
	CodeLength   int  // digits; 0 is not said
	CanResend    bool // offers send_otp
	Errors       []FieldError
	Notice       string
	BackURL      string // may be empty
}

func (p Register) spec() spec {
	return spec{file: "register", passkey: p.View == PasskeyEntry && p.Passkey.Begin != ""}
}

func (p Activate) spec() spec {
	return spec{file: "activate", passkey: p.View == WebAuthnView && p.Passkey.Begin != ""}
}
func (RegistrationClosed) spec() spec { return spec{file: "registration-closed"} }
func (Sent) spec() spec               { return spec{file: "sent"} }
func (VerifyAddress) spec() spec      { return spec{file: "verify-address"} }
