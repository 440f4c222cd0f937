package credential

import (
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
)

// ErrPasskey is in the chain of every refusal.
var ErrPasskey = errors.New("the passkey is refused")

// RelyingParty is what passkeys are good for: a domain and the origins that may
// use it.
type RelyingParty struct {
	ID, Name string
	Origins  []string
}

// PasskeyUser is the person as authenticators show and know them.
type PasskeyUser struct {
	Handle            []byte
	Name, DisplayName string
}

// Assertion is an authenticator's answer to RequestOptions.
type Assertion struct {
	CredentialID, UserHandle, Challenge []byte

	parsed *protocol.ParsedCredentialAssertionData
}

// CreationOptions returns what navigator.credentials.create takes.
func (rp RelyingParty) CreationOptions(u PasskeyUser, exclude []Passkey, challenge []byte) (json.RawMessage, error) {
	return nil, errors.ErrUnsupported
}

// RequestOptions returns what navigator.credentials.get takes.
func (rp RelyingParty) RequestOptions(allow []Passkey, challenge []byte) (json.RawMessage, error) {
	return nil, errors.ErrUnsupported
}

// Create verifies what navigator.credentials.create gave.
func (rp RelyingParty) Create(u PasskeyUser, challenge, response []byte) (Passkey, error) {
	return Passkey{}, errors.ErrUnsupported
}

// Verify verifies an assertion.
func (rp RelyingParty) Verify(u PasskeyUser, p Passkey, challenge []byte, a Assertion) (used Passkey, cloned bool, err error) {
	return p, false, errors.ErrUnsupported
}

// ParseAssertion reads an answer without verifying it, to find the user.
func ParseAssertion(response []byte) (Assertion, error) { return Assertion{}, errors.ErrUnsupported }

// ParseCreation reads the challenge of an answer without verifying it.
func ParseCreation(response []byte) ([]byte, error) { return nil, errors.ErrUnsupported }
