package pool

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// The states of a user.
const (
	StatusNew      = "new"      // registered, not activated
	StatusActive   = "active"   // the only one that can sign in
	StatusInactive = "inactive" // blocked
	StatusDeleted  = "deleted"  // a mark; blocked as well
)

var statuses = []string{StatusActive, StatusInactive, StatusDeleted, StatusNew}

// UserTypeJIT is the user_type of users that a sign-in through another identity
// provider created. Any other type counts as standard.
const UserTypeJIT = "jit"

const (
	kindJIT      = "jit"
	kindStandard = "standard"
)

// User is a member of a pool as it is stored. It is not a wire shape: see
// WithData and Extended.
type User struct {
	ID              string    `json:"id"`
	TenantID        string    `json:"tenant_id"`
	PoolID          string    `json:"pool_id"`
	PoolEpoch       string    `json:"pool_epoch"`
	Epoch           string    `json:"epoch"` // of this life of the id
	UserType        string    `json:"user_type,omitempty"`
	Status          string    `json:"status"`
	StatusUpdatedAt time.Time `json:"status_updated_at"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`

	// Registration is a random id of the latest registration of this user by
	// themselves, until they are activated: it tells the browser that registered
	// from others.
	Registration   string `json:"registration,omitempty"`
	SelfRegistered bool   `json:"self_registered,omitempty"`

	Payload                  json.RawMessage `json:"payload,omitempty"`
	PayloadSchemaID          string          `json:"payload_schema_id,omitempty"`
	Metadata                 json.RawMessage `json:"metadata,omitempty"`
	MetadataSchemaID         string          `json:"metadata_schema_id,omitempty"`
	BusinessMetadata         json.RawMessage `json:"business_metadata,omitempty"`
	BusinessMetadataSchemaID string          `json:"business_metadata_schema_id,omitempty"`

	Identifiers []Identifier `json:"identifiers,omitempty"` // oldest first
	Addresses   []Address    `json:"addresses,omitempty"`   // oldest first
	Credentials []Credential `json:"credentials,omitempty"` // at most one of a type

	Grave grave `json:"grave,omitzero"`
	Rev   int64 `json:"-"` // revision in the store, for ETag and If-Match
}

// Identifier is what a user signs in with.
type Identifier struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Value     string          `json:"value"`            // canonical
	Source    string          `json:"source,omitempty"` // with Key: its place among the pool's names
	Key       string          `json:"key"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

func (i *Identifier) name() name { return name{Source: i.Source, Key: i.Key} }

// Address can receive a code. A verified one is a name of the pool as well.
type Address struct {
	ID                     string          `json:"id"`
	Type                   string          `json:"type"` // Email or Mobile
	Value                  string          `json:"value"`
	Key                    string          `json:"key"`
	Status                 string          `json:"status"` // StatusActive or StatusInactive
	PreferredContactMethod string          `json:"preferred_contact_method,omitempty"`
	Verified               bool            `json:"verified"`
	VerifiedAt             time.Time       `json:"verified_at,omitzero"`
	Metadata               json.RawMessage `json:"metadata,omitempty"`
	CreatedAt              time.Time       `json:"created_at"`
	UpdatedAt              time.Time       `json:"updated_at"`
}

func (a *Address) name() name { return name{Key: a.Key} }

// The types of credentials. TypeWebAuthn is the source of passkeys among the
// pool's names as well.
const (
	TypePassword = "password"
	TypeWebAuthn = "webauthn"
	TypeTOTP     = "totp"
	typeRecovery = "recovery" // never on the wire
)

// The states of a credential, enforced for passwords.
const (
	StateValid         = "valid"
	StateMustBeReset   = "must_be_reset"   // does not sign in until it is reset
	StateMustBeChanged = "must_be_changed" // signs in once more
)

var states = []string{StateValid, StateMustBeReset, StateMustBeChanged}

// Credential is a password, a TOTP secret or the passkeys of a user.
type Credential struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	State     string    `json:"state,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never

	Hash        string    `json:"hash,omitempty"`        // of a password
	SetAt       time.Time `json:"set_at,omitzero"`       // when a password took the place of another
	Former      []string  `json:"former,omitempty"`      // hashes of former passwords, newest first
	ChangeUntil time.Time `json:"change_until,omitzero"` // see Users.CheckPassword

	Sealed string   `json:"sealed,omitempty"` // a TOTP secret, sealed
	Step   int64    `json:"step,omitempty"`   // of TOTP: the last time step that was used
	Codes  []string `json:"codes,omitempty"`  // MACs of the recovery codes that are left, in base64

	Passkeys []credential.Passkey `json:"passkeys,omitempty"`
	// Adopt are passkeys of rows of version 1, which nobody has claimed. They become
	// Passkeys when the user is next written; see Users.adopt.
	Adopt []json.RawMessage `json:"webauthn,omitempty"`
}

// names are the user's places among the pool's names.
func (u *User) names() []name {
	var out []name
	for i := range u.Identifiers {
		out = append(out, u.Identifiers[i].name())
	}
	for i := range u.Addresses {
		if u.Addresses[i].Verified {
			out = append(out, u.Addresses[i].name())
		}
	}
	for i := range u.Credentials {
		for j := range u.Credentials[i].Passkeys {
			out = append(out, passkeyName(u.Credentials[i].Passkeys[j].ID))
		}
	}
	return without(out, nil)
}

// clone copies what changes replace: the lists. Raw JSON and other bytes are
// never altered in place.
func (u User) clone() User {
	u.Identifiers = slices.Clone(u.Identifiers)
	u.Addresses = slices.Clone(u.Addresses)
	u.Credentials = slices.Clone(u.Credentials)
	for i := range u.Credentials {
		c := &u.Credentials[i]
		c.Passkeys, c.Codes = slices.Clone(c.Passkeys), slices.Clone(c.Codes)
	}
	return u
}

// Credential returns the user's credential of a type, or nil.
func (u *User) Credential(kind string) *Credential {
	i := slices.IndexFunc(u.Credentials, func(c Credential) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &u.Credentials[i]
}

// HasPassword tells whether the user has a password, in whatever state.
func (u *User) HasPassword() bool { return u.Credential(TypePassword) != nil }

// drop removes the user's credential of a type, if there is one.
func (u *User) drop(kind string) {
	u.Credentials = slices.DeleteFunc(u.Credentials, func(c Credential) bool { return c.Type == kind })
}

// credential returns the user's credential of a type, which is added when there
// is none.
func (u *User) credential(kind string, now time.Time) *Credential {
	if c := u.Credential(kind); c != nil {
		return c
	}
	u.Credentials = append(u.Credentials, Credential{ID: vault.NewID(), Type: kind, State: StateValid, CreatedAt: now})
	return &u.Credentials[len(u.Credentials)-1]
}

// identifier returns the user's identifiers of that value, by their place.
func (u *User) identifier(n name, raw string) []int {
	var at []int
	for i := range u.Identifiers {
		id := &u.Identifiers[i]
		if id.name() == n || id.Source != "" && id.Value == raw {
			at = append(at, i)
		}
	}
	return at
}

// address returns the place of an address, or -1.
func (u *User) address(n name) int {
	return slices.IndexFunc(u.Addresses, func(a Address) bool { return a.name() == n })
}

// about are the words an attacker would try in this user's password.
func (u *User) about() []string {
	var out []string
	for _, i := range u.Identifiers {
		out = append(out, i.Value)
	}
	for _, a := range u.Addresses {
		out = append(out, a.Value)
	}
	var profile map[string]any
	if json.Unmarshal(u.Payload, &profile) == nil {
		for _, member := range []string{"name", "given_name", "family_name", "nickname", "birthdate"} {
			if s, ok := profile[member].(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// Indexes of the table of users.

func (u *User) live() bool { return u.Grave.Until.IsZero() }

func (u *User) byKind() (store.Key, bool) {
	kind := kindStandard
	if u.UserType == UserTypeJIT {
		kind = kindJIT
	}
	return store.Key{Equal: store.ID(u.PoolEpoch, kind), Order: u.ID}, u.live()
}

// bySchema makes an index of users with a schema of their own tenant's making:
// the predefined ones cannot be deleted, so nobody asks who uses them.
func bySchema(of func(*User) string) func(*User) (store.Key, bool) {
	return func(u *User) (store.Key, bool) {
		id := of(u)
		return store.Key{Equal: id}, u.live() && id != "" && id != DefaultPayload && id != DefaultMetadata
	}
}

// lower is the lower-case twin of a value for the wire.
func lower(s string) string { return strings.ToLower(s) }
