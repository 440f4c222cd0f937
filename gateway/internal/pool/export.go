package pool

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// ExportUser is a user as exports write it and imports read it (ImportUser).
type ExportUser struct {
	ID                       string          `json:"id"`
	ExternalID               string          `json:"external_id,omitempty"`
	Status                   string          `json:"status"`
	UserType                 string          `json:"user_type,omitempty"`
	Payload                  json.RawMessage `json:"payload,omitempty"`
	PayloadSchemaID          string          `json:"payload_schema_id,omitempty"`
	Metadata                 json.RawMessage `json:"metadata,omitempty"`
	MetadataSchemaID         string          `json:"metadata_schema_id,omitempty"`
	BusinessMetadata         json.RawMessage `json:"business_metadata,omitempty"`
	BusinessMetadataSchemaID string          `json:"business_metadata_schema_id,omitempty"`

	Identifiers         []ExportIdentifier `json:"identifiers"`
	VerifiableAddresses []ExportAddress    `json:"verifiable_addresses"`
	Credentials         []ExportCredential `json:"credentials,omitempty"`
	Groups              []string           `json:"groups,omitempty"`

	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	StatusUpdatedAt time.Time `json:"status_updated_at"`
}

// ExportIdentifier is an identifier of an ExportUser.
type ExportIdentifier struct {
	Identifier string          `json:"identifier"`
	Type       string          `json:"type"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	CreatedAt  time.Time       `json:"created_at"`
}

// ExportAddress is an address of an ExportUser.
type ExportAddress struct {
	Address                string          `json:"address"`
	Type                   string          `json:"type"`
	Status                 string          `json:"status"`
	PreferredContactMethod string          `json:"preferred_contact_method,omitempty"`
	Verified               bool            `json:"verified"`
	VerifiedAt             time.Time       `json:"verified_at,omitzero"`
	Metadata               json.RawMessage `json:"metadata,omitempty"`
	CreatedAt              time.Time       `json:"created_at"`
}

// ExportCredential is a credential of an ExportUser. It is a secret.
type ExportCredential struct {
	ID                  string          `json:"-"`
	Type                string          `json:"type"`
	HashedPassword      string          `json:"hashed_password,omitempty"`
	State               string          `json:"state,omitempty"`
	ExpiresAt           time.Time       `json:"expires_at,omitzero"`
	TOTPSecret          string          `json:"totp_secret,omitempty"`
	WebAuthnCredentials []PasskeyRecord `json:"webauthn_credentials,omitempty"`
	CreatedAt           time.Time       `json:"created_at"`
	UpdatedAt           time.Time       `json:"updated_at"`
}

// PasskeyRecord is a passkey in the published form with what we know beside it.
type PasskeyRecord struct {
	credential.Record
	passkeyExtra
}

func passkeyRecord(p *credential.Passkey, u *User) PasskeyRecord {
	handle := p.UserHandle
	if handle == nil {
		handle = u.Handle()
	}
	return PasskeyRecord{p.Record(), passkeyExtra{UserHandle: handle, RPID: p.RPID, Name: p.Name, Purpose: p.Purpose, CreatedAt: p.CreatedAt, UsedAt: p.UsedAt}}
}

// Export returns the next users of a pool behind an id, in the order of ids. With
// secrets each has its password hash, its TOTP secret in the clear and its
// passkeys: whoever reads that can sign in as these people where a second factor
// or nothing but a guessable password stands between. Recovery codes and former
// passwords stay behind.
func (k *Users) Export(ctx context.Context, tenant, pool, after string, limit int, secrets bool) ([]ExportUser, error) {
	found, err := k.List(ctx, tenant, pool, Query{}, store.Page{After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]ExportUser, len(found))
	for i := range found {
		out[i] = found[i].export()
		if !secrets {
			continue
		}
		if out[i].Credentials, err = k.Secrets(&found[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (u *User) export() ExportUser {
	x := ExportUser{
		ID: u.ID, ExternalID: u.ExternalID(), Status: u.Status, UserType: u.UserType,
		Payload: u.Payload, PayloadSchemaID: u.PayloadSchemaID, Metadata: u.Metadata, MetadataSchemaID: u.MetadataSchemaID,
		BusinessMetadata: u.BusinessMetadata, BusinessMetadataSchemaID: u.BusinessMetadataSchemaID,
		Identifiers: []ExportIdentifier{}, VerifiableAddresses: []ExportAddress{},
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, StatusUpdatedAt: u.StatusUpdatedAt,
	}
	for i := range u.Identifiers {
		id := &u.Identifiers[i]
		if id.name() == externalName(id.Key) {
			continue
		}
		x.Identifiers = append(x.Identifiers, ExportIdentifier{Identifier: id.Value, Type: id.Type, Metadata: id.Metadata, CreatedAt: id.CreatedAt})
	}
	for i := range u.Addresses {
		a := &u.Addresses[i]
		x.VerifiableAddresses = append(x.VerifiableAddresses, ExportAddress{
			Address: a.Value, Type: a.Type, Status: a.Status, PreferredContactMethod: a.PreferredContactMethod,
			Verified: a.Verified, VerifiedAt: a.VerifiedAt, Metadata: a.Metadata, CreatedAt: a.CreatedAt,
		})
	}
	return x
}

// Secrets returns a user's credentials with what they hold: see Export.
func (k *Users) Secrets(u *User) ([]ExportCredential, error) {
	var out []ExportCredential
	for i := range u.Credentials {
		c := &u.Credentials[i]
		x := ExportCredential{ID: c.ID, Type: c.Type, State: c.State, ExpiresAt: c.ExpiresAt, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt}
		switch c.Type {
		case TypePassword:
			x.HashedPassword = c.Hash
		case TypeTOTP:
			secret, err := k.TOTPSecret(u)
			if err != nil {
				return nil, err
			}
			x.TOTPSecret = secret
		case TypeWebAuthn:
			for j := range c.Passkeys {
				x.WebAuthnCredentials = append(x.WebAuthnCredentials, passkeyRecord(&c.Passkeys[j], u))
			}
		default:
			continue
		}
		out = append(out, x)
	}
	return out, nil
}
