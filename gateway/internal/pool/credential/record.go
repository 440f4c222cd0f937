package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Record is a passkey in the contract's form, type Credential of section 2. The
// attestation is left out: none is asked for, so none is kept.
type Record struct {
	ID              []byte              `json:"id"`
	PublicKey       []byte              `json:"publicKey"`
	AttestationType string              `json:"attestationType,omitempty"`
	Transport       []string            `json:"transport,omitempty"`
	Flags           *RecordFlags        `json:"flags,omitempty"` // nil: not known
	Authenticator   RecordAuthenticator `json:"authenticator"`
}

// RecordFlags is the contract's type CredentialFlags.
type RecordFlags struct {
	UserPresent    bool `json:"userPresent"`
	UserVerified   bool `json:"userVerified"`
	BackupEligible bool `json:"backupEligible"`
	BackupState    bool `json:"backupState"`
}

// RecordAuthenticator is the contract's type Authenticator.
type RecordAuthenticator struct {
	AAGUID       []byte `json:"AAGUID,omitempty"`
	Attachment   string `json:"attachment,omitempty"`
	CloneWarning bool   `json:"cloneWarning"`
	SignCount    uint32 `json:"signCount"`
}

// Record returns the passkey in the contract's form, which ParsePasskey reads.
func (p *Passkey) Record() Record {
	r := Record{
		ID: p.ID, PublicKey: p.PublicKey, AttestationType: p.AttestationType, Transport: p.Transports,
		Authenticator: RecordAuthenticator{AAGUID: p.AAGUID, Attachment: p.Attachment, CloneWarning: p.CloneWarning, SignCount: p.SignCount},
	}
	if !p.FlagsUnknown {
		r.Flags = &RecordFlags{p.UserPresent, p.UserVerified, p.BackupEligible, p.BackupState}
	}
	return r
}

// What is read of a record at most.
const (
	maxRecord       = 256 << 10 // with an attestation as arrays of numbers
	maxCredentialID = 1023      // Web Authentication Level 3, section 5.1
	maxPublicKey    = 2 << 10
	aaguidLength    = 16
)

// input is a Record as others write it.
type input struct {
	ID              octets   `json:"id"`
	PublicKey       octets   `json:"publicKey"`
	AttestationType string   `json:"attestationType"`
	Transport       []string `json:"transport"`
	Flags           struct {
		UserPresent    bool  `json:"userPresent"`
		UserVerified   bool  `json:"userVerified"`
		BackupEligible *bool `json:"backupEligible"`
		BackupState    bool  `json:"backupState"`
	} `json:"flags"`
	Authenticator struct {
		AAGUID       octets `json:"AAGUID"`
		Attachment   string `json:"attachment"`
		CloneWarning bool   `json:"cloneWarning"`
		SignCount    uint32 `json:"signCount"`
	} `json:"authenticator"`
}

// ParsePasskey reads a passkey in the contract's form. Bytes may be base64 of
// either alphabet, padded or not, or arrays of numbers. Flags that are absent, or
// that deny that the person was present when the passkey was made, were never
// recorded: FlagsUnknown. A passkey that is known to have been made without
// verifying the person is a second factor, any other may sign in alone: Verify
// then demands the verification. The caller sets RPID when it knows it (Verify
// learns it), Name and CreatedAt. Error: Unprocessable, with the member in Field.
func ParsePasskey(raw json.RawMessage) (Passkey, error) {
	var in input
	if len(raw) > maxRecord {
		return Passkey{}, fault.New(fault.Unprocessable, "This passkey record is too long.", nil)
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return Passkey{}, fault.New(fault.Unprocessable, "This is not a passkey record.", err)
	}
	if n := len(in.ID); n == 0 || n > maxCredentialID {
		return Passkey{}, fault.At(fault.Unprocessable, "id", "A passkey's id is 1 to 1023 bytes.")
	}
	if len(in.PublicKey) > maxPublicKey {
		return Passkey{}, fault.At(fault.Unprocessable, "publicKey", "This public key is too long.")
	}
	if _, err := webauthncose.ParsePublicKey(in.PublicKey); err != nil {
		f := fault.At(fault.Unprocessable, "publicKey", "This is not a public key in COSE form.")
		f.Cause = err
		return Passkey{}, f
	}
	p := Passkey{
		ID: in.ID, PublicKey: in.PublicKey, Purpose: Passwordless,
		Transports: known(in.Transport), AttestationType: short(in.AttestationType), Attachment: short(in.Authenticator.Attachment),
		SignCount: in.Authenticator.SignCount, CloneWarning: in.Authenticator.CloneWarning,
	}
	if len(in.Authenticator.AAGUID) == aaguidLength {
		p.AAGUID = in.Authenticator.AAGUID
	}
	if !in.Flags.UserPresent || in.Flags.BackupEligible == nil {
		p.FlagsUnknown = true
		return p, nil
	}
	p.UserPresent, p.UserVerified = true, in.Flags.UserVerified
	p.BackupEligible, p.BackupState = *in.Flags.BackupEligible, in.Flags.BackupState
	if !p.UserVerified {
		p.Purpose = SecondFactor
	}
	return p, nil
}

// octets are bytes in JSON: base64, or an array of numbers.
type octets []byte

// UnmarshalJSON implements json.Unmarshaler.
func (o *octets) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, (*[]byte)(o))
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	b, ok := anyBase64(text)
	if !ok {
		return errors.New("not base64")
	}
	*o = b
	return nil
}

// anyBase64 reads base64 of either alphabet, padded or not.
func anyBase64(s string) ([]byte, bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil
}

// known keeps what transports may be: a few short words (an open list).
func known(transports []string) []string {
	var kept []string
	for _, t := range transports {
		if t != "" && short(t) == t && !slices.Contains(kept, t) && len(kept) < 8 {
			kept = append(kept, t)
		}
	}
	return kept
}

// short returns s when it is a short word of ASCII, else nothing.
func short(s string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(s) > 32 || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}
