package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Documents are the free-form objects of a user as a caller sends them. Members
// that are missing or null are left as they are; one that is there replaces the
// old object as a whole.
type Documents struct {
	Payload                  json.RawMessage `json:"payload"`
	PayloadSchemaID          string          `json:"payload_schema_id"`
	Metadata                 json.RawMessage `json:"metadata"`
	MetadataSchemaID         string          `json:"metadata_schema_id"`
	BusinessMetadata         json.RawMessage `json:"business_metadata"`
	BusinessMetadataSchemaID string          `json:"business_metadata_schema_id"`
}

// NewUser is a user as a caller sends it.
type NewUser struct {
	Documents
	ID                  string                     `json:"id"`
	Status              string                     `json:"status"`
	UserType            any                        `json:"user_type"` // a text, or ignored
	Identifiers         []NewUserIdentifier        `json:"identifiers"`
	VerifiableAddresses []NewUserVerifiableAddress `json:"verifiable_addresses"`
	Credentials         []NewUserCredential        `json:"credentials"`
}

// UpdateUser changes a user; see Documents for what is missing.
type UpdateUser struct {
	Documents
	Status string `json:"status"` // empty: as it is
}

// NewUserIdentifier is an identifier as a caller sends it. The metadata member
// federated_idp_id (or source) says where an external or federated one is from.
type NewUserIdentifier struct {
	Identifier string          `json:"identifier"`
	Type       string          `json:"type"`
	Metadata   json.RawMessage `json:"metadata"`
}

// NewUserVerifiableAddress is an address as a caller sends it.
type NewUserVerifiableAddress struct {
	Address                string          `json:"address"`
	Type                   string          `json:"type"`
	Status                 string          `json:"status"` // empty: active
	PreferredContactMethod string          `json:"preferred_contact_method"`
	Verified               bool            `json:"verified"`
	Metadata               json.RawMessage `json:"metadata"`
}

// NewUserCredential is a credential as a caller sends it. must_be_reset wins
// over must_be_changed; both are for passwords.
type NewUserCredential struct {
	Type                string            `json:"type"`
	Password            string            `json:"password"`
	MustBeChanged       bool              `json:"must_be_changed"`
	MustBeReset         bool              `json:"must_be_reset"`
	TOTPSecret          string            `json:"totp_secret"`
	WebAuthnCredentials []json.RawMessage `json:"webauthn_credentials"`
}

// maxEntries is the most entries of a user's lists.
const maxEntries = 50

// apply changes the user's objects and validates those that are new, or whose
// schema is, against the schema in force afterwards.
func (d *Documents) apply(ctx context.Context, k *Schemas, u *User) error {
	for _, m := range []struct {
		field string
		in    json.RawMessage
		inID  string
		raw   *json.RawMessage
		id    *string
	}{
		{"payload", d.Payload, d.PayloadSchemaID, &u.Payload, &u.PayloadSchemaID},
		{"metadata", d.Metadata, d.MetadataSchemaID, &u.Metadata, &u.MetadataSchemaID},
		{"business_metadata", d.BusinessMetadata, d.BusinessMetadataSchemaID, &u.BusinessMetadata, &u.BusinessMetadataSchemaID},
	} {
		if err := record.Object(m.field, &m.in); err != nil {
			return err
		}
		if m.inID != "" && m.inID != *m.id {
			if err := k.exists(ctx, u.TenantID, m.field+"_schema_id", m.inID); err != nil {
				return err
			}
			*m.id = m.inID
		} else if m.in == nil {
			continue
		}
		if m.in != nil {
			*m.raw = compact(m.in)
		}
		if err := k.validate(ctx, u.TenantID, *m.id, m.field, *m.raw); err != nil {
			return err
		}
	}
	return nil
}

// identifier checks an identifier and gives it its name. at is its path.
func (n *NewUserIdentifier) identifier(at string, p *Pool, now time.Time) (Identifier, error) {
	if err := record.OneOf(at+"type", n.Type, identifierTypes); err != nil {
		return Identifier{}, err
	}
	if err := object(at+"metadata", &n.Metadata); err != nil {
		return Identifier{}, err
	}
	value, nm, err := spell(at+"identifier", n.Type, n.Identifier, n.Metadata, p.IdentifierCaseInsensitive)
	return Identifier{
		ID: vault.NewID(), Type: n.Type, Value: value, Source: nm.Source, Key: nm.Key, Metadata: n.Metadata, CreatedAt: now, UpdatedAt: now,
	}, err
}

// address checks an address and gives it its name. at is its path.
func (n *NewUserVerifiableAddress) address(at string, p *Pool, now time.Time) (Address, error) {
	if err := record.OneOf(at+"type", n.Type, addressTypes); err != nil {
		return Address{}, err
	}
	n.Status = orElse(n.Status, StatusActive)
	if err := checkAddress(at, n.Status, n.PreferredContactMethod); err != nil {
		return Address{}, err
	}
	if err := object(at+"metadata", &n.Metadata); err != nil {
		return Address{}, err
	}
	value, nm, err := spell(at+"address", n.Type, n.Address, nil, p.IdentifierCaseInsensitive)
	a := Address{
		ID: vault.NewID(), Type: n.Type, Value: value, Key: nm.Key, Status: n.Status, PreferredContactMethod: n.PreferredContactMethod,
		Verified: n.Verified, Metadata: n.Metadata, CreatedAt: now, UpdatedAt: now,
	}
	if a.Verified {
		a.VerifiedAt = now
	}
	return a, err
}

func checkAddress(at, status, method string) error {
	if err := record.OneOf(at+"status", status, []string{StatusActive, StatusInactive}); err != nil {
		return err
	}
	if method == "" {
		return nil
	}
	return record.OneOf(at+"preferred_contact_method", method, []string{"sms", "voice"})
}

// object checks a small free-form object and drops its blanks.
func object(field string, raw *json.RawMessage) error {
	if err := record.Object(field, raw); err != nil || *raw == nil {
		return err
	}
	_, err := parse(field, *raw, maxObject)
	*raw = compact(*raw)
	return err
}

// credential checks a credential that is not a password. at is its path.
func (n *NewUserCredential) credential(ring *vault.Ring, at string, u *User, now time.Time) (Credential, error) {
	c := Credential{ID: vault.NewID(), Type: n.Type, State: StateValid, CreatedAt: now, UpdatedAt: now}
	switch n.Type {
	case TypeTOTP:
		secret, err := credential.ParseTOTPSecret(at+"totp_secret", n.TOTPSecret)
		if err != nil {
			return c, err
		}
		c.Sealed, err = ring.Seal([]byte(secret), u.sealedAt())
		return c, err
	case TypeWebAuthn:
		list, err := passkeys(at+"webauthn_credentials", n.WebAuthnCredentials)
		for i := range list {
			list[i].Purpose = orElse(list[i].Purpose, credential.Passwordless)
			if list[i].CreatedAt.IsZero() {
				list[i].CreatedAt = now
			}
		}
		c.Passkeys = list
		return c, err
	case TypePassword:
		if n.Password == "" {
			return c, fault.At(fault.Unprocessable, at+"password", "is required")
		}
		c.State = n.state()
		return c, nil
	}
	return c, record.OneOf(at+"type", n.Type, []string{TypePassword, TypeWebAuthn, TypeTOTP})
}

func (n *NewUserCredential) state() string {
	switch {
	case n.MustBeReset:
		return StateMustBeReset
	case n.MustBeChanged:
		return StateMustBeChanged
	}
	return StateValid
}

func passkeys(field string, list []json.RawMessage) ([]credential.Passkey, error) {
	if len(list) == 0 || len(list) > maxPasskeys {
		return nil, fault.At(fault.Unprocessable, field, fmt.Sprintf("must have 1 to %d entries", maxPasskeys))
	}
	out := make([]credential.Passkey, len(list))
	for i, raw := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if _, err := parse(at, raw, maxPasskey); err != nil {
			return nil, err
		}
		p, err := credential.ParsePasskey(raw)
		if err != nil {
			return nil, within(at, err)
		}
		out[i] = p
	}
	return out, checkPasskeys(field, out)
}

// within puts a path before the member that an error names.
func within(path string, err error) error {
	bad, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return &fault.Error{Kind: fault.Unprocessable, Field: path, Public: "is not a passkey", Cause: err}
	}
	named := *bad
	named.Field = strings.TrimSuffix(path+"."+bad.Field, ".")
	return &named
}
