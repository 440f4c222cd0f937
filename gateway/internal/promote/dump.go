package promote

import (
	"encoding/json"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

// TenantDump is the published type of that name: what of a tenant belongs to
// identity. It is a secret as a whole.
type TenantDump struct {
	Schemas         []pool.Schema        `json:"schemas"`
	Pools           []json.RawMessage    `json:"pools"` // the published type Pool
	Users           []User               `json:"users"`
	UserIdentifiers []Identifier         `json:"user_identifiers"`
	UserAddresses   []Address            `json:"user_verifiable_addresses"`
	UserCredentials []Credential         `json:"user_credentials"`
	Groups          []pool.InternalGroup `json:"groups"`
	GroupMembers    []pool.GroupMember   `json:"group_members"`
	Codes           []Code               `json:"codes"`
	userRevs        map[string]int64     // of an export: by pool and id
}

// of is where an entry of a user belongs.
type of struct {
	TenantID   string `json:"tenant_id"`
	UserPoolID string `json:"user_pool_id"`
	UserID     string `json:"user_id"`
}

func (o of) user() string { return o.UserPoolID + "/" + o.UserID }

// times are those of an entry.
type times struct {
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// User is the published type of that name.
type User struct {
	ID         string `json:"id"`
	TenantID   string `json:"tenant_id"`
	UserPoolID string `json:"user_pool_id"`
	UserType   any    `json:"user_type,omitempty"`
	Status     string `json:"status"`
	pool.Documents
	times
	StatusUpdatedAt time.Time `json:"status_updated_at,omitzero"`
}

// Identifier is the published type UserIdentifier.
type Identifier struct {
	ID string `json:"id,omitempty"`
	of
	Identifier   string          `json:"identifier"`
	IdentifierLC string          `json:"identifier_lc"`
	Type         string          `json:"type"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	times
}

// Address is the published type UserVerifiableAddress.
type Address struct {
	ID string `json:"id,omitempty"`
	of
	Address                string          `json:"address"`
	AddressLC              string          `json:"address_lc"`
	Type                   string          `json:"type"`
	Status                 string          `json:"status"`
	PreferredContactMethod string          `json:"preferred_contact_method,omitempty"`
	Verified               bool            `json:"verified"`
	VerifiedAt             time.Time       `json:"verified_at,omitzero"`
	Metadata               json.RawMessage `json:"metadata,omitempty"`
	times
}

// Credential is the published type UserCredential.
type Credential struct {
	ID string `json:"id,omitempty"`
	of
	Type      string    `json:"type"`
	State     string    `json:"state,omitempty"`
	Payload   Payload   `json:"payload"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	times
}

// Payload is what a Credential holds, by its type.
type Payload struct {
	HashedPassword      json.RawMessage   `json:"hashed_password,omitempty"` // the published type Hash, or a text
	TOTPSecret          string            `json:"totp_secret,omitempty"`
	WebAuthnCredentials []json.RawMessage `json:"webauthn_credentials,omitempty"`
}

// Code is the published type of that name.
type Code struct {
	ID string `json:"id,omitempty"`
	of
	Type      string          `json:"type"`
	Code      CodeValue       `json:"code"`
	AddressID string          `json:"verifiable_address_id,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	CreatedAt time.Time       `json:"created_at,omitzero"`
	IssuedAt  time.Time       `json:"issued_at,omitzero"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	// Our own: where it was sent, which need not be an address of the user by now,
	// and what the gateway itself keeps with it.
	Address string          `json:"address,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// CodeValue is the published type of that name. The hash is an HMAC under the key
// ring: its method is "hmac", which is none of the published ones, and it is good
// only where the ring holds the same key.
type CodeValue struct {
	HashedCode credential.Hash `json:"hashed_code"`
}

const methodHMAC = "hmac"
