package credential

import (
	"encoding/json"
	"errors"
)

// Record is a passkey in the contract's form, type Credential.
type Record struct {
	ID              []byte              `json:"id"`
	PublicKey       []byte              `json:"publicKey"`
	AttestationType string              `json:"attestationType,omitempty"`
	Transport       []string            `json:"transport,omitempty"`
	Flags           *RecordFlags        `json:"flags,omitempty"`
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

// ParsePasskey reads a Record.
func ParsePasskey(raw json.RawMessage) (Passkey, error) { return Passkey{}, errors.ErrUnsupported }

// Record returns the contract's form.
func (p *Passkey) Record() Record { return Record{ID: p.ID} }
