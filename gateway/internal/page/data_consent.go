package page

import "time"

// Values of the button named "action" on Consent and DeviceConfirm.
const (
	ActionAllow = "allow"
	ActionDeny  = "deny"
)

// Ask is one thing that a client wants.
type Ask struct {
	Name   string // in plain words
	Detail string // may be empty
	Before bool   // it was allowed before
}

// Consent asks a person whether a client may have what it asks for. Its form sends
// action, ActionAllow or ActionDeny, and nothing that says what is allowed.
type Consent struct {
	CSRF, Action     string
	App              string
	AppURL           string // these three may be empty
	PolicyURL        string
	TermsURL         string
	Name, Identifier string // of the person; one of them may be empty
	Asks             []Ask  // none: the client learns only who they are
	Host             string // where the browser goes with the answer; may be empty
}

// New tells whether there is anything that was not allowed before.
func (p Consent) New() bool {
	for _, a := range p.Asks {
		if !a.Before {
			return true
		}
	}
	return len(p.Asks) == 0
}

// DeviceCode asks for the code that a device shows: user_code.
type DeviceCode struct {
	CSRF, Action string
	Code         string // as typed, or from the address
	Errors       []FieldError
}

// DeviceConfirm shows what a device asks for (RFC 8628, section 5.4) and sends
// user_code and action, ActionAllow or ActionDeny.
type DeviceConfirm struct {
	CSRF, Action     string
	Code             string
	App              string
	AppURL           string // these three may be empty
	PolicyURL        string
	TermsURL         string
	Name, Identifier string // of the person; one of them may be empty
	Asks             []Ask
	From             string // the address that the device asked from; may be empty
	At               time.Time
}

// DeviceDone says what became of the device.
type DeviceDone struct {
	App     string
	Allowed bool
}

// AppSection lists the clients that have something from the person. The form sends
// client.
type AppSection struct {
	WithdrawAction string
	List           []ConnectedApp
}

// ConnectedApp is one of them.
type ConnectedApp struct {
	ID, Name string
	Has      []string // in plain words
	Since    time.Time
}

func (Consent) spec() spec       { return spec{file: "consent"} }
func (DeviceCode) spec() spec    { return spec{file: "device-code"} }
func (DeviceConfirm) spec() spec { return spec{file: "device-confirm"} }
func (DeviceDone) spec() spec    { return spec{file: "device-done"} }
