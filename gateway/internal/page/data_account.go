package page

import (
	"slices"
	"time"
)

// Identifier is a name that one signs in with.
type Identifier struct {
	Value, Kind string
	Verifiable  bool // an address, so that it is worth saying whether it is verified
	Verified    bool
}

// Session is a place where a person is signed in.
type Session struct {
	ID       string // sent as session
	Device   string // see Device
	Place    string // the workspace, when it is another
	IP       string
	Methods  string // see Methods
	SignedIn time.Time
	LastSeen time.Time
	Current  bool // the one that shows this page
}

// Account shows a person who they are, how they sign in and where they are
// signed in. Each change is a form of its own to its own address, with the token;
// what has no address is not offered. Errors of a form come back in Errors: those
// of the password name their field, the others none.
type Account struct {
	CSRF                    string
	EndAction, EndAllAction string // the first sends session
	EndOthersAction         string // empty: there are no others
	Name, Identifier        string // one of them may be empty
	Facts                   []Field
	Identifiers             []Identifier
	Sessions                []Session
	Errors                  []FieldError
	Notice                  string

	// FreshURL is set when the sign-in is too old (more than 5 minutes) to add
	// or remove a credential: these forms give way to a link to it.
	FreshURL   string
	Password   PasswordSection
	Passkeys   PasskeySection
	TOTP       TOTPSection
	Recovery   RecoverySection
	Addresses  AddressSection
	Remembered RememberedSection
	Apps       AppSection
}

// PasswordSection changes the password (old_password, password, repeatPassword)
// or sets the first one (without old_password).
type PasswordSection struct {
	Action string
	Set    bool // there is one
	Rules  []string
}

// PasskeySection manages passkeys. Renaming sends id and name, removing id;
// adding sends name after webauthn.js called Calls.
type PasskeySection struct {
	AddAction, RenameAction, RemoveAction string
	Calls                                 PasskeyCalls // for AddAction
	List                                  []Passkey
}

// Passkey is one that a person has.
type Passkey struct {
	ID, Name          string
	Created, LastUsed time.Time // the latter is zero when never used
	Synced            bool      // kept by a password manager
	Kept              bool      // cannot be removed: it is the last way in
}

// TOTPSection is about the authenticator app: a link to EnrolTOTP, or a form
// that removes it and sends only the token.
type TOTPSection struct {
	Set          bool
	SetUpURL     string
	RemoveAction string
}

// RecoverySection makes new recovery codes; the form sends only the token.
type RecoverySection struct {
	Action string
	Left   int // unused ones
}

// AddressSection lists addresses that receive messages. The form sends address.
type AddressSection struct {
	VerifyAction string
	List         []Identifier
}

// RememberedSection lists browsers that are not asked for a second factor. The
// form sends id.
type RememberedSection struct {
	ForgetAction string
	List         []RememberedBrowser
}

// RememberedBrowser is an MFA session.
type RememberedBrowser struct {
	ID, Device, IP string
	Since          time.Time
}

// Stale tells whether the person must sign in again before certain changes.
func (p Account) Stale() bool { return p.FreshURL != "" }

// WaysIn tells whether there is anything to say on ways to sign in.
func (p Account) WaysIn() bool {
	return p.Password.Action != "" || p.HasPasskeys() || p.HasTOTP() || p.Recovery.Action != ""
}

// HasPasskeys tells whether there are passkeys or could be.
func (p Account) HasPasskeys() bool { return p.Passkeys.AddAction != "" || len(p.Passkeys.List) > 0 }

// HasTOTP tells whether there is an authenticator app or could be.
func (p Account) HasTOTP() bool { return p.TOTP.Set || p.TOTP.SetUpURL != "" }

// Wrong tells whether one of the fields is to be corrected, so that its form is
// shown open.
func (p Account) Wrong(fields ...string) bool {
	return slices.ContainsFunc(p.Errors, func(e FieldError) bool { return slices.Contains(fields, e.Field) })
}

func (p Account) spec() spec {
	return spec{file: "account", wide: true, passkey: p.Passkeys.AddAction != "" && p.Passkeys.Calls.Begin != "" && !p.Stale()}
}
