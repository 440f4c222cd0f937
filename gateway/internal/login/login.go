package login

import (
	"encoding/json"
	"slices"
	"time"
)

// Request is an authorization request whose client and redirect URI were
// checked (OpenID Connect Core 1.0, section 3.1.2.1).
type Request struct {
	Client       string        `json:"client"`
	RedirectURI  string        `json:"redirect_uri"`
	RedirectSent bool          `json:"redirect_sent,omitempty"` // false: the client's only one, not named in the request
	ResponseMode string        `json:"response_mode,omitempty"` // query (also when empty), fragment or form_post
	Scopes       []string      `json:"scopes,omitempty"`
	State        string        `json:"state,omitempty"`
	Nonce        string        `json:"nonce,omitempty"`
	Challenge    string        `json:"challenge,omitempty"` // PKCE, S256
	Prompt       []string      `json:"prompt,omitempty"`
	MaxAge       time.Duration `json:"max_age,omitempty"` // negative: not asked for
	LoginHint    string        `json:"login_hint,omitempty"`
	IDPHint      string        `json:"idp_hint,omitempty"`

	ACRValues   []string        `json:"acr_values,omitempty"`   // wanted, in the order of preference
	Claims      json.RawMessage `json:"claims,omitempty"`       // the claims parameter (OpenID Connect Core 1.0, section 5.5)
	HintSubject string          `json:"hint_subject,omitempty"` // sub of a verified id_token_hint
	DPoPKey     string          `json:"dpop_jkt,omitempty"`     // thumbprint that the tokens will be bound to (RFC 9449, section 10)
}

// Asks tells whether the request's prompt holds p.
func (r Request) Asks(p string) bool { return slices.Contains(r.Prompt, p) }

// Login is one running sign-in of one browser in one workspace.
type Login struct {
	ID        string    `json:"id"`    // names the login in addresses
	State     string    `json:"state"` // travels with the id; guards against cross-site requests
	Tenant    string    `json:"tenant"`
	Workspace string    `json:"workspace"`
	Epoch     string    `json:"epoch"` // the workspace's
	Request   Request   `json:"request"`
	Started   time.Time `json:"started"`
	Expires   time.Time `json:"expires"`

	IDP string `json:"idp,omitempty"` // chosen

	// What was proven. Set only in stored logins, and in those with a Session.
	Pool       string    `json:"pool,omitempty"`
	User       string    `json:"user,omitempty"`
	UserEpoch  string    `json:"user_epoch,omitempty"`
	Identifier string    `json:"identifier,omitempty"`
	AMR        []string  `json:"amr,omitempty"`
	AuthTime   time.Time `json:"auth_time,omitzero"`
	Second     Second    `json:"second,omitempty"`     // what is to be said of a second factor
	ChangeDue  bool      `json:"change_due,omitempty"` // the password must be changed first

	ConsentDue bool      `json:"consent_due,omitempty"` // the person must say whether the client gets what it asks for
	Consented  time.Time `json:"consented,omitzero"`    // when that was seen to be allowed
	// Session is that of a person who was signed in already and is only asked for
	// consent. Such a login proves nothing and stays a cookie.
	Session string `json:"session,omitempty"`

	Raises string `json:"raises,omitempty"` // id of a session that counts as the first factor; empty: this login proves its own

	Browser string `json:"browser,omitempty"` // SHA-256 of the secret in the browser's cookie
}

// Second is the state of a login's second factor.
type Second string

// The states.
const (
	NotAsked Second = ""      // the pool asks for none, or this browser is remembered
	Due      Second = "due"   // the person has one and must show it
	Enrol    Second = "enrol" // the person has none and must set one up
	Passed   Second = "passed"
)

// Step is what a login waits for.
type Step int

// The steps, in their order.
const (
	Choose Step = iota
	Authenticate
	SecondFactor
	EnrolTOTP
	NewPassword
	Consent
	Finish
)

// Next returns the first step that is due.
func Next(l Login) Step {
	gates := []struct {
		step Step
		due  bool
	}{
		{Choose, l.IDP == ""},
		{Authenticate, l.User == ""},
		{SecondFactor, l.Second == Due},
		{EnrolTOTP, l.Second == Enrol},
		{NewPassword, l.ChangeDue},
		{Consent, l.ConsentDue},
	}
	for _, g := range gates {
		if g.due {
			return g.step
		}
	}
	return Finish
}

// Candidate is an IDP of the workspace that a login may use.
type Candidate struct {
	ID     string
	Hidden bool // not drawn, still reachable by hint
}

// Select returns the IDP that needs no question: the hinted one, or the only
// visible one. "" means that the person chooses; ok is false when there is
// nothing to choose from.
func Select(hint string, candidates []Candidate) (id string, ok bool) {
	visible := 0
	for _, c := range candidates {
		if hint != "" && c.ID == hint {
			return c.ID, true
		}
		if !c.Hidden {
			visible++
			id = c.ID
		}
	}
	switch visible {
	case 0:
		return "", false
	case 1:
		return id, true
	default:
		return "", true
	}
}
