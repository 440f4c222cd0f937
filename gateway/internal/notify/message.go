package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Kind is what a message is for.
type Kind string

// The kinds, by the names of the contract (1.6). The last but one is our own: the
// system API verifies addresses by code.
const (
	ActivateWithLink Kind = "activate_account_with_link"
	ActivateWithCode Kind = "activate_account_with_code"
	ResetWithLink    Kind = "reset_credentials_with_link"
	ResetWithCode    Kind = "reset_credentials_with_code"
	OTP              Kind = "otp"
	VerifyWithLink   Kind = "address_verification_with_link"
	VerifyWithCode   Kind = "address_verification_with_code"
	IdentifierUsed   Kind = "identifier_used"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{ActivateWithLink, ActivateWithCode, ResetWithLink, ResetWithCode, OTP, VerifyWithLink, VerifyWithCode, IdentifierUsed}
}

// link tells whether messages of the kind hold a link.
func (k Kind) link() bool { return strings.HasSuffix(string(k), "_with_link") }

// code tells whether messages of the kind hold a code.
func (k Kind) code() bool { return k != IdentifierUsed }

// The channels.
const (
	Email = "email"
	SMS   = "sms"
)

// Message is what somebody is to be told.
type Message struct {
	Tenant, Workspace, Pool, User string

	Kind    Kind
	To      string // an e-mail address, or a phone number in international form
	Channel string // Email or SMS
	Brand   Brand
	Data    Data
	Expires time.Time // of the code: nothing is tried after it
	// Operator says that an administrator or a tenant's own backend asks: the
	// budget of its network does not count, all others do.
	Operator bool
	// Admitted says that Admit has counted the message.
	Admitted bool
}

// Brand is who asks.
type Brand struct {
	Name    string `json:"name"` // empty: Gatepost
	LogoURL string `json:"-"`    // not shown: a message loads nothing
	Accent  string `json:"accent,omitempty"`
}

// Data is what the message says.
type Data struct {
	Name       string        `json:"name,omitempty"`       // of the person
	Identifier string        `json:"identifier,omitempty"` // that the person signs in with
	Code       string        `json:"code,omitempty"`       // of every kind but IdentifierUsed
	Link       string        `json:"link,omitempty"`       // of the kinds with a link; of IdentifierUsed optional: where to sign in
	Life       time.Duration `json:"life,omitempty"`       // of code and link; 0: until Expires
	Invitation bool          `json:"invitation,omitempty"` // activation: the person did not ask for it
}

// problem returns what is wrong with a message by the fault of our own code.
func (m *Message) problem(now time.Time) error {
	link, err := url.Parse(m.Data.Link)
	switch {
	case m.Tenant == "":
		return errors.New("notify: no tenant")
	case !slices.Contains(Kinds(), m.Kind):
		return fmt.Errorf("notify: no messages of kind %q", m.Kind)
	case m.Channel != Email && m.Channel != SMS:
		return fmt.Errorf("notify: no channel %q", m.Channel)
	case m.Kind.code() && m.Data.Code == "":
		return fmt.Errorf("notify: %s without a code", m.Kind)
	case m.Kind.link() && m.Data.Link == "":
		return fmt.Errorf("notify: %s without a link", m.Kind)
	case m.Data.Link != "" && (err != nil || link.Scheme != "https" && link.Scheme != "http" || link.Host == ""):
		return fmt.Errorf("notify: %s with a link that is no web address", m.Kind)
	case !m.Expires.After(now):
		return fmt.Errorf("notify: %s that has expired already", m.Kind)
	}
	return nil
}

// Channel returns the channel that reaches an address: SMS for what begins with
// a plus sign, else Email.
func Channel(address string) string {
	if strings.HasPrefix(address, "+") {
		return SMS
	}
	return Email
}

// address returns the one spelling of an address of a channel.
func address(channel, to string) (string, error) {
	if channel == SMS {
		n, err := phonenumbers.Parse(to, "")
		if err != nil || !phonenumbers.IsPossibleNumber(n) {
			return "", fault.At(fault.Unprocessable, "address", "must be a phone number in international form, such as +48123456789")
		}
		return phonenumbers.Format(n, phonenumbers.E164), nil
	}
	a, err := mail.ParseAddress(to)
	if err != nil || a.Address != to || len(to) > 320 || strings.ContainsFunc(to, unicode.IsControl) {
		return "", fault.At(fault.Unprocessable, "address", "must be an e-mail address")
	}
	return to, nil
}
