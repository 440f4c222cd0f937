package pool

import (
	"encoding/json"
	"time"
)

// UserWithData is the full view of a user on the wire.
type UserWithData struct {
	ID              string    `json:"id"`
	TenantID        string    `json:"tenant_id"`
	UserPoolID      string    `json:"user_pool_id"`
	UserType        string    `json:"user_type,omitempty"`
	Status          string    `json:"status"`
	StatusUpdatedAt time.Time `json:"status_updated_at"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`

	Payload                  json.RawMessage `json:"payload"`
	PayloadSchemaID          string          `json:"payload_schema_id"`
	Metadata                 json.RawMessage `json:"metadata"`
	MetadataSchemaID         string          `json:"metadata_schema_id"`
	BusinessMetadata         json.RawMessage `json:"business_metadata"`
	BusinessMetadataSchemaID string          `json:"business_metadata_schema_id"`

	Identifiers         []UserIdentifier        `json:"identifiers"`
	VerifiableAddresses []UserVerifiableAddress `json:"verifiable_addresses"`
	Credentials         []UserCredential        `json:"credentials"`
}

// UserIdentifier is an identifier on the wire.
type UserIdentifier struct {
	ID           string          `json:"id"`
	TenantID     string          `json:"tenant_id"`
	UserPoolID   string          `json:"user_pool_id"`
	UserID       string          `json:"user_id"`
	Identifier   string          `json:"identifier"`
	IdentifierLC string          `json:"identifier_lc"`
	Type         string          `json:"type"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	CreatedAt    time.Time       `json:"created_at"`
	UpdatedAt    time.Time       `json:"updated_at"`
}

// UserVerifiableAddress is an address on the wire.
type UserVerifiableAddress struct {
	ID                     string          `json:"id"`
	TenantID               string          `json:"tenant_id"`
	UserPoolID             string          `json:"user_pool_id"`
	UserID                 string          `json:"user_id"`
	Address                string          `json:"address"`
	AddressLC              string          `json:"address_lc"`
	Type                   string          `json:"type"`
	Status                 string          `json:"status"`
	PreferredContactMethod string          `json:"preferred_contact_method,omitempty"`
	Verified               bool            `json:"verified"`
	VerifiedAt             *time.Time      `json:"verified_at,omitempty"`
	Metadata               json.RawMessage `json:"metadata,omitempty"`
	CreatedAt              time.Time       `json:"created_at"`
	UpdatedAt              time.Time       `json:"updated_at"`
}

// UserCredential is a credential on the wire; its payload shows which members
// there are and none of their values.
type UserCredential struct {
	ID         string            `json:"id"`
	TenantID   string            `json:"tenant_id"`
	UserPoolID string            `json:"user_pool_id"`
	UserID     string            `json:"user_id"`
	Type       string            `json:"type"`
	State      string            `json:"state"`
	Payload    map[string]string `json:"payload"`
	ExpiresAt  *time.Time        `json:"expires_at,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
}

// ExtendedUser is a user as a row of a list on the wire: identifiers are plain
// strings here, and one key has a space.
type ExtendedUser struct {
	ID              string    `json:"id"`
	TenantID        string    `json:"tenant_id"`
	UserPoolID      string    `json:"user_pool_id"`
	UserType        string    `json:"user_type,omitempty"`
	Status          string    `json:"status"`
	StatusUpdatedAt time.Time `json:"status_updated_at"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`

	Payload                  json.RawMessage `json:"payload"`
	PayloadSchemaID          string          `json:"payload_schema_id"`
	Metadata                 json.RawMessage `json:"metadata"`
	MetadataSchemaID         string          `json:"metadata_schema_id"`
	BusinessMetadata         json.RawMessage `json:"business_metadata"`
	BusinessMetadataSchemaID string          `json:"business_metadata_schema_id"`

	Addresses              []AddressSummary    `json:"addresses"`
	Identifiers            []string            `json:"identifiers"`
	IdentifiersWithDetails []IdentifierDetails `json:"identifiers_with_details"`
	VerifiedAddresses      []string            `json:"verified addresses"`
}

// AddressSummary is Address on the wire, inside ExtendedUser.
type AddressSummary struct {
	Address  string `json:"address"`
	Verified bool   `json:"verified"`
}

// IdentifierDetails is an identifier inside ExtendedUser.
type IdentifierDetails struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// WithData is the full view of the user.
func (u *User) WithData() UserWithData {
	v := UserWithData{
		ID: u.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, UserType: u.UserType,
		Status: u.Status, StatusUpdatedAt: u.StatusUpdatedAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		Payload: orEmpty(u.Payload), PayloadSchemaID: u.PayloadSchemaID,
		Metadata: orEmpty(u.Metadata), MetadataSchemaID: u.MetadataSchemaID,
		BusinessMetadata: orEmpty(u.BusinessMetadata), BusinessMetadataSchemaID: u.BusinessMetadataSchemaID,
		Identifiers: []UserIdentifier{}, VerifiableAddresses: []UserVerifiableAddress{}, Credentials: []UserCredential{},
	}
	for i := range u.Identifiers {
		v.Identifiers = append(v.Identifiers, u.identifierView(&u.Identifiers[i]))
	}
	for i := range u.Addresses {
		v.VerifiableAddresses = append(v.VerifiableAddresses, u.addressView(&u.Addresses[i]))
	}
	for i := range u.Credentials {
		if u.Credentials[i].Type == typeRecovery {
			continue
		}
		v.Credentials = append(v.Credentials, u.credentialView(&u.Credentials[i]))
	}
	return v
}

// Extended is the user as a row of a list.
func (u *User) Extended() ExtendedUser {
	v := ExtendedUser{
		ID: u.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, UserType: u.UserType,
		Status: u.Status, StatusUpdatedAt: u.StatusUpdatedAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		Payload: orEmpty(u.Payload), PayloadSchemaID: u.PayloadSchemaID,
		Metadata: orEmpty(u.Metadata), MetadataSchemaID: u.MetadataSchemaID,
		BusinessMetadata: orEmpty(u.BusinessMetadata), BusinessMetadataSchemaID: u.BusinessMetadataSchemaID,
		Addresses: []AddressSummary{}, Identifiers: []string{}, IdentifiersWithDetails: []IdentifierDetails{}, VerifiedAddresses: []string{},
	}
	for _, i := range u.Identifiers {
		v.Identifiers = append(v.Identifiers, i.Value)
		v.IdentifiersWithDetails = append(v.IdentifiersWithDetails, IdentifierDetails{Type: i.Type, Value: i.Value})
	}
	for _, a := range u.Addresses {
		v.Addresses = append(v.Addresses, AddressSummary{Address: a.Value, Verified: a.Verified})
		if a.Verified {
			v.VerifiedAddresses = append(v.VerifiedAddresses, a.Value)
		}
	}
	return v
}

func (u *User) identifierView(i *Identifier) UserIdentifier {
	return UserIdentifier{
		ID: i.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, UserID: u.ID,
		Identifier: i.Value, IdentifierLC: lower(i.Value), Type: i.Type, Metadata: i.Metadata,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
}

func (u *User) addressView(a *Address) UserVerifiableAddress {
	return UserVerifiableAddress{
		ID: a.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, UserID: u.ID,
		Address: a.Value, AddressLC: lower(a.Value), Type: a.Type, Status: a.Status,
		PreferredContactMethod: a.PreferredContactMethod, Verified: a.Verified, VerifiedAt: moment(a.VerifiedAt),
		Metadata: a.Metadata, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}

func (u *User) credentialView(c *Credential) UserCredential {
	v := UserCredential{
		ID: c.ID, TenantID: u.TenantID, UserPoolID: u.PoolID, UserID: u.ID,
		Type: c.Type, State: orElse(c.State, StateValid), ExpiresAt: moment(c.ExpiresAt), CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	member := map[string]string{TypePassword: "hashed_password", TypeTOTP: "totp_secret", TypeWebAuthn: "webauthn_credentials"}[c.Type]
	v.Payload = map[string]string{member: "###"}
	return v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage(`{}`)
	}
	return raw
}
