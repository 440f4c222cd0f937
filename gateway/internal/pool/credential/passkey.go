package credential

import "time"

// The purposes of a passkey.
const (
	Passwordless = "passwordless"  // signs in alone; the authenticator verifies the person
	SecondFactor = "second_factor" // only after another factor
)

// Passkey is a WebAuthn credential of a user as it is stored: the credential
// record of Web Authentication Level 3, section 4, in our own shape, so that no
// library's change of its types touches stored data.
type Passkey struct {
	ID              []byte    `json:"id"`                    // of the credential, chosen by the authenticator
	PublicKey       []byte    `json:"public_key"`            // COSE_Key, RFC 9052
	RPID            string    `json:"rp_id"`                 // the domain it is good for
	UserHandle      []byte    `json:"user_handle,omitempty"` // the one it was made for, when that is not its user's own: it was imported
	Name            string    `json:"name,omitempty"`
	Purpose         string    `json:"purpose"`
	AAGUID          []byte    `json:"aaguid,omitempty"` // the authenticator's model
	SignCount       uint32    `json:"sign_count,omitempty"`
	Transports      []string  `json:"transports,omitempty"`
	Attachment      string    `json:"attachment,omitempty"`
	AttestationType string    `json:"attestation_type,omitempty"`
	UserPresent     bool      `json:"user_present"`
	UserVerified    bool      `json:"user_verified"`
	BackupEligible  bool      `json:"backup_eligible"`
	BackupState     bool      `json:"backup_state"`
	FlagsUnknown    bool      `json:"flags_unknown,omitempty"` // imported without flags: learnt at the first assertion
	CloneWarning    bool      `json:"clone_warning,omitempty"` // its counter went back once
	CreatedAt       time.Time `json:"created_at"`
	UsedAt          time.Time `json:"used_at,omitzero"`
}
