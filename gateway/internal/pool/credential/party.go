package credential

import (
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// What browsers are told.
const (
	passkeyTimeout = 5 * 60 * 1000 // milliseconds
	leastChallenge = 32            // bytes
)

// passkeyAlgorithms are the signatures that are accepted of new passkeys, the
// best liked first: all authenticators have one of them.
var passkeyAlgorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// RelyingParty is what passkeys are good for (Web Authentication Level 3,
// section 4). Its challenges are the caller's: at least 32 random bytes, bound
// to the browser, good for one answer within five minutes.
//
//	browser                        caller                       here
//	  <------ options -------------  keep challenge  <----------  CreationOptions, RequestOptions
//	  ------- answer ------------->  spend challenge -----------> ParseCreation, ParseAssertion
//	                                 find the user   -----------> Create, Verify
type RelyingParty struct {
	ID      string   // a domain, without scheme and port
	Name    string   // shown by authenticators; empty: ID
	Origins []string // scheme, host and port of every page that may ask, as browsers write them
}

// PasskeyUser is the person as authenticators know them.
type PasskeyUser struct {
	Handle            []byte // 1 to 64 bytes that say nothing of the person
	Name, DisplayName string // shown when one of several passkeys is chosen
}

// CreationOptions returns what navigator.credentials.create takes, as
// PublicKeyCredential.parseCreationOptionsFromJSON reads it, in a member
// publicKey. A passkey is asked for that the authenticator finds by itself and
// verifies the person for; authenticators holding one of exclude refuse.
func (rp RelyingParty) CreationOptions(u PasskeyUser, exclude []Passkey, challenge []byte) (json.RawMessage, error) {
	if _, err := rp.library(); err != nil {
		return nil, err
	}
	if len(challenge) < leastChallenge || len(u.Handle) == 0 || len(u.Handle) > 64 {
		return nil, fmt.Errorf("passkey options: a challenge of %d bytes and a handle of %d", len(challenge), len(u.Handle))
	}
	required := true
	o := protocol.PublicKeyCredentialCreationOptions{
		User:                  protocol.UserEntity{ID: protocol.URLEncodedBase64(u.Handle), DisplayName: u.DisplayName},
		Challenge:             challenge,
		Parameters:            passkeyAlgorithms,
		Timeout:               passkeyTimeout,
		CredentialExcludeList: descriptors(exclude),
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required, // what Level 1 browsers read
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Attestation: protocol.PreferNoAttestation,
	}
	o.User.Name = u.Name
	o.RelyingParty.ID, o.RelyingParty.Name = rp.ID, orElse(rp.Name, rp.ID)
	return json.Marshal(protocol.CredentialCreation{Response: o})
}

// RequestOptions returns what navigator.credentials.get takes, in a member
// publicKey. Without allow the browser offers whatever passkeys it finds.
func (rp RelyingParty) RequestOptions(allow []Passkey, challenge []byte) (json.RawMessage, error) {
	if _, err := rp.library(); err != nil {
		return nil, err
	}
	if len(challenge) < leastChallenge {
		return nil, fmt.Errorf("passkey options: a challenge of %d bytes", len(challenge))
	}
	return json.Marshal(protocol.CredentialAssertion{Response: protocol.PublicKeyCredentialRequestOptions{
		Challenge:          challenge,
		Timeout:            passkeyTimeout,
		RelyingPartyID:     rp.ID,
		AllowedCredentials: descriptors(allow),
		UserVerification:   protocol.VerificationRequired,
	}})
}

// library returns go-webauthn for this relying party. It is made anew each time:
// that is cheap and leaves nothing to go stale.
func (rp RelyingParty) library() (*webauthn.WebAuthn, error) {
	w, err := webauthn.New(&webauthn.Config{
		RPID:          rp.ID,
		RPDisplayName: orElse(rp.Name, rp.ID),
		RPOrigins:     rp.Origins,
		// No extension is asked for and no answer of one is used; some password
		// managers answer all the same.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("relying party %q: %w", rp.ID, err)
	}
	if rp.ID == "" {
		return nil, fmt.Errorf("a relying party without an id")
	}
	return w, nil
}

func descriptors(ps []Passkey) []protocol.CredentialDescriptor {
	ds := make([]protocol.CredentialDescriptor, len(ps))
	for i, p := range ps {
		ds[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: p.ID, Transport: transports(p.Transports)}
	}
	return ds
}

func transports(names []string) []protocol.AuthenticatorTransport {
	var ts []protocol.AuthenticatorTransport
	for _, n := range names {
		ts = append(ts, protocol.AuthenticatorTransport(n))
	}
	return ts
}

// orElse returns v unless it is zero.
func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
