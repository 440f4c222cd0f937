package credential

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ErrPasskey is in the chain of every refusal of an authenticator's answer. The
// fault around it says no more than that; the cause says which check failed.
var ErrPasskey = errors.New("the passkey is refused")

// maxAnswer is the longest answer of a browser that is read: certificates of an
// attestation nobody asked for are a few kilobytes.
const maxAnswer = 64 << 10

// maxCause bounds what of a hostile answer gets into the log.
const maxCause = 256

// Assertion is an authenticator's answer to RequestOptions. Until Verify, its
// members are claims.
type Assertion struct {
	CredentialID []byte
	UserHandle   []byte // nil when the authenticator did not say
	Challenge    []byte

	parsed *protocol.ParsedCredentialAssertionData
}

// ParseAssertion reads an answer without verifying anything, to find the
// challenge that it answers and the user. Error: Unauthenticated.
func ParseAssertion(response []byte) (Assertion, error) {
	if len(response) > maxAnswer {
		return Assertion{}, refuseSignIn(errTooLong)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Assertion{}, refuseSignIn(err)
	}
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return Assertion{}, refuseSignIn(fmt.Errorf("challenge: %w", err))
	}
	return Assertion{CredentialID: parsed.RawID, UserHandle: parsed.Response.UserHandle, Challenge: challenge, parsed: parsed}, nil
}

// ParseCreation reads the challenge that an answer to CreationOptions answers,
// without verifying anything. Error: Unprocessable.
func ParseCreation(response []byte) (challenge []byte, err error) {
	parsed, err := parseCreation(response)
	if err != nil {
		return nil, err
	}
	challenge, err = base64.RawURLEncoding.Strict().DecodeString(parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return nil, refuseNew(fmt.Errorf("challenge: %w", err))
	}
	return challenge, nil
}

func parseCreation(response []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(response) > maxAnswer {
		return nil, refuseNew(errTooLong)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, refuseNew(err)
	}
	return parsed, nil
}

// Create verifies what navigator.credentials.create gave to the user (section
// 7.1) and returns the passkey, good for signing in alone. The caller checks that
// nobody has a passkey of that id yet, and fills in Name and CreatedAt. Errors:
// Unprocessable around ErrPasskey; others mean that the settings are unusable.
func (rp RelyingParty) Create(u PasskeyUser, challenge, response []byte) (Passkey, error) {
	library, err := rp.library()
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := parseCreation(response)
	if err != nil {
		return Passkey{}, err
	}
	if err := rp.checkClient(&parsed.Response.CollectedClientData, challenge); err != nil {
		return Passkey{}, refuseNew(err)
	}
	session := rp.session(u, challenge, protocol.VerificationRequired)
	c, err := library.CreateCredential(person{PasskeyUser: u}, session, parsed)
	if err != nil {
		return Passkey{}, refuseNew(err)
	}
	if err := checkKey(c.PublicKey); err != nil {
		return Passkey{}, refuseNew(err)
	}
	p := Passkey{
		ID: c.ID, PublicKey: c.PublicKey, RPID: rp.ID, Purpose: Passwordless,
		AAGUID: c.Authenticator.AAGUID, SignCount: c.Authenticator.SignCount,
		Attachment: string(c.Authenticator.Attachment), AttestationType: c.AttestationType,
		UserPresent: c.Flags.UserPresent, UserVerified: c.Flags.UserVerified,
		BackupEligible: c.Flags.BackupEligible, BackupState: c.Flags.BackupState,
	}
	for _, t := range c.Transport {
		p.Transports = append(p.Transports, string(t))
	}
	p.Transports = known(p.Transports)
	return p, nil
}

// checkKey holds a key to an algorithm of its own type. The library leaves that
// to the attestation's signature, and there is none.
func checkKey(cose []byte) error {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return err
	}
	fits := false
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		fits = k.Algorithm == int64(webauthncose.AlgES256) && k.Curve == int64(webauthncose.P256)
	case webauthncose.OKPPublicKeyData:
		fits = k.Algorithm == int64(webauthncose.AlgEdDSA) && k.Curve == int64(webauthncose.Ed25519)
	case webauthncose.RSAPublicKeyData:
		fits = k.Algorithm == int64(webauthncose.AlgRS256)
	}
	if !fits {
		return errors.New("the public key is not of its algorithm")
	}
	return nil
}

// Verify verifies an assertion of the user's passkey p (section 7.2) and returns
// the passkey as it is now to be stored, without UsedAt. cloned tells that the
// signature counter did not rise: two copies of the key may be about, which is
// worth an event and no refusal, for counters are unreliable. Who must be
// verified by the authenticator is, unless p is a second factor. The flag BE of
// an imported passkey that came without is learnt now, and never changes after.
// Errors: Unauthenticated around ErrPasskey; others mean unusable settings.
func (rp RelyingParty) Verify(u PasskeyUser, p Passkey, challenge []byte, a Assertion) (used Passkey, cloned bool, err error) {
	if p.UserHandle != nil {
		u.Handle = p.UserHandle
	}
	library, err := rp.library()
	if err != nil {
		return Passkey{}, false, err
	}
	if err := rp.checkAssertion(u, p, challenge, a); err != nil {
		return Passkey{}, false, refuseSignIn(err)
	}
	flags := a.parsed.Response.AuthenticatorData.Flags
	used = p
	if used.FlagsUnknown {
		used.FlagsUnknown, used.BackupEligible = false, flags.HasBackupEligible()
	}
	verification := protocol.VerificationRequired
	if p.Purpose == SecondFactor {
		verification = protocol.VerificationPreferred
	}
	c, err := library.ValidateLogin(person{u, &used}, rp.session(u, challenge, verification), a.parsed)
	if err != nil {
		return Passkey{}, false, refuseSignIn(err)
	}
	cloned = c.Authenticator.CloneWarning // set for this assertion alone: see person
	used.RPID = rp.ID
	used.SignCount = c.Authenticator.SignCount
	used.CloneWarning = p.CloneWarning || cloned
	used.UserPresent = flags.HasUserPresent()
	used.UserVerified = p.UserVerified || flags.HasUserVerified()
	used.BackupState = flags.HasBackupState()
	return used, cloned, nil
}

// checkAssertion checks what the library does not, or less strictly.
func (rp RelyingParty) checkAssertion(u PasskeyUser, p Passkey, challenge []byte, a Assertion) error {
	switch {
	case a.parsed == nil:
		return errors.New("no assertion")
	case p.RPID != "" && p.RPID != rp.ID:
		return fmt.Errorf("the passkey belongs to %q, not to %q", p.RPID, rp.ID)
	case !bytes.Equal(a.parsed.RawID, p.ID):
		return errors.New("the answer is of another passkey")
	case len(a.parsed.Response.UserHandle) > 0 && !bytes.Equal(a.parsed.Response.UserHandle, u.Handle):
		return errors.New("the user handle is another's")
	}
	return rp.checkClient(&a.parsed.Response.CollectedClientData, challenge)
}

// checkClient holds the origin to exactly one of ours, where the library folds
// case, and the challenge to our length.
func (rp RelyingParty) checkClient(c *protocol.CollectedClientData, challenge []byte) error {
	if len(challenge) < leastChallenge {
		return fmt.Errorf("a challenge of %d bytes", len(challenge))
	}
	if !slices.Contains(rp.Origins, c.Origin) {
		return fmt.Errorf("the origin %.100q is not one of %q", c.Origin, rp.Origins)
	}
	return nil
}

func (rp RelyingParty) session(u PasskeyUser, challenge []byte, v protocol.UserVerificationRequirement) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge:        base64.RawURLEncoding.EncodeToString(challenge),
		RelyingPartyID:   rp.ID,
		UserID:           u.Handle,
		UserVerification: v,
		CredParams:       passkeyAlgorithms,
	}
}

// person is a PasskeyUser with at most one passkey, as the library wants users.
type person struct {
	PasskeyUser
	passkey *Passkey
}

var _ webauthn.User = person{}

func (p person) WebAuthnID() []byte          { return p.Handle }
func (p person) WebAuthnName() string        { return p.Name }
func (p person) WebAuthnDisplayName() string { return p.DisplayName }

// WebAuthnCredentials leaves out that the counter once went back, so that the
// library tells whether it does now.
func (p person) WebAuthnCredentials() []webauthn.Credential {
	k := p.passkey
	if k == nil {
		return nil
	}
	return []webauthn.Credential{{
		ID: k.ID, PublicKey: k.PublicKey,
		Flags:         webauthn.CredentialFlags{UserPresent: k.UserPresent, UserVerified: k.UserVerified, BackupEligible: k.BackupEligible, BackupState: k.BackupState},
		Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID, SignCount: k.SignCount},
	}}
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

func refuseSignIn(cause error) error {
	return fault.New(fault.Unauthenticated, "This passkey could not be verified.", refusal(cause))
}

func refuseNew(cause error) error {
	return fault.New(fault.Unprocessable, "This passkey could not be registered.", refusal(cause))
}

// refusal keeps what the library knows, cut off and quoted: parts of it come
// from the browser.
func refusal(cause error) error {
	text := cause.Error()
	var e *protocol.Error
	if errors.As(cause, &e) && e.DevInfo != "" {
		text += ": " + e.DevInfo
	}
	return fmt.Errorf("%w: %q", ErrPasskey, text[:min(len(text), maxCause)])
}
