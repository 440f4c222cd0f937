package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// SelfUserWithData is what people see of themselves, on the wire.
type SelfUserWithData struct {
	ID                  string                      `json:"id"`
	Identifiers         []SelfUserIdentifier        `json:"identifiers"`
	VerifiableAddresses []SelfUserVerifiableAddress `json:"verifiable_addresses"`
	Payload             json.RawMessage             `json:"payload"`
	Metadata            json.RawMessage             `json:"metadata"`          // without hidden members
	BusinessMetadata    json.RawMessage             `json:"business_metadata"` // likewise
}

// SelfUserWithDataV2 adds how people sign in.
type SelfUserWithDataV2 struct {
	SelfUserWithData
	AllowedAuthenticationMechanisms              []string              `json:"allowed_authentication_mechanisms"`
	AuthenticationMechanisms                     []string              `json:"authentication_mechanisms"`
	PreferredAuthenticationMechanism             string                `json:"preferred_authentication_mechanism,omitempty"`
	SecondFactorAuthenticationMechanisms         []string              `json:"second_factor_authentication_mechanisms"`
	SecondFactorPreferredAuthenticationMechanism string                `json:"second_factor_preferred_authentication_mechanism,omitempty"`
	Credentials                                  []SelfUserCredentials `json:"credentials"`
	FederatedAccounts                            []FederatedAccount    `json:"federated_accounts"`
	PayloadSchema                                json.RawMessage       `json:"payload_schema"`
}

// SelfUserIdentifier is an identifier as its owner sees it.
type SelfUserIdentifier struct {
	Identifier string    `json:"identifier"`
	Type       string    `json:"type"`
	CreatedAt  time.Time `json:"created_at"`
}

// SelfUserVerifiableAddress is an address as its owner sees it.
type SelfUserVerifiableAddress struct {
	Address                string     `json:"address"`
	Type                   string     `json:"type"`
	Status                 string     `json:"status"`
	PreferredContactMethod string     `json:"preferred_contact_method,omitempty"`
	Verified               bool       `json:"verified"`
	VerifiedAt             *time.Time `json:"verified_at,omitempty"`
	CreatedAt              time.Time  `json:"created_at"`
	UpdatedAt              time.Time  `json:"updated_at"`
}

// SelfUserCredentials is a way to sign in as its owner sees it; each passkey is
// one of its own.
type SelfUserCredentials struct {
	ID           string     `json:"id"`
	Type         string     `json:"type"`
	Name         string     `json:"name,omitempty"`
	State        string     `json:"state,omitempty"`
	ExpiresAfter string     `json:"expires_after,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

// FederatedAccount is an identifier that another provider gave.
type FederatedAccount struct {
	IdentifierID       string `json:"identifier_id"`
	FederatedIDPID     string `json:"federated_idp_id"`
	FederatedIDPMethod string `json:"federated_idp_method"`
	FederatedIDPName   string `json:"federated_idp_name"`
	FederatedSub       string `json:"federated_sub"`
	WorkspaceID        string `json:"workspace_id"`
}

// Self is what a user sees of themselves.
func (k *Users) Self(ctx context.Context, u *User) (SelfUserWithData, error) {
	v := SelfUserWithData{
		ID: u.ID, Payload: orEmpty(u.Payload), Identifiers: []SelfUserIdentifier{}, VerifiableAddresses: []SelfUserVerifiableAddress{},
	}
	for _, i := range u.Identifiers {
		v.Identifiers = append(v.Identifiers, SelfUserIdentifier{Identifier: i.Value, Type: i.Type, CreatedAt: i.CreatedAt})
	}
	for _, a := range u.Addresses {
		v.VerifiableAddresses = append(v.VerifiableAddresses, SelfUserVerifiableAddress{
			Address: a.Value, Type: a.Type, Status: a.Status, PreferredContactMethod: a.PreferredContactMethod,
			Verified: a.Verified, VerifiedAt: moment(a.VerifiedAt), CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
		})
	}
	var err error
	if v.Metadata, err = k.visible(ctx, u.TenantID, u.MetadataSchemaID, u.Metadata); err != nil {
		return v, err
	}
	v.BusinessMetadata, err = k.visible(ctx, u.TenantID, u.BusinessMetadataSchemaID, u.BusinessMetadata)
	return v, err
}

// SelfV2 is Self with how the user signs in.
func (k *Users) SelfV2(ctx context.Context, u *User) (SelfUserWithDataV2, error) {
	base, err := k.Self(ctx, u)
	if err != nil {
		return SelfUserWithDataV2{}, err
	}
	p, err := k.pools.Get(ctx, u.TenantID, u.PoolID)
	if err != nil {
		return SelfUserWithDataV2{}, err
	}
	v := SelfUserWithDataV2{
		SelfUserWithData:                             base,
		AllowedAuthenticationMechanisms:              p.AuthenticationMechanisms,
		AuthenticationMechanisms:                     p.AuthenticationMechanisms,
		PreferredAuthenticationMechanism:             p.PreferredAuthenticationMechanism,
		SecondFactorAuthenticationMechanisms:         p.SecondFactorAuthenticationMechanisms,
		SecondFactorPreferredAuthenticationMechanism: p.SecondFactorPreferredAuthenticationMechanism,
		Credentials: u.ways(&p), FederatedAccounts: u.federated(),
	}
	s, err := k.schemas.Get(ctx, u.TenantID, u.PayloadSchemaID)
	v.PayloadSchema = s.Schema
	return v, err
}

// ways are the user's credentials; recovery codes are not among them.
func (u *User) ways(p *Pool) []SelfUserCredentials {
	out := []SelfUserCredentials{}
	for i := range u.Credentials {
		c := &u.Credentials[i]
		switch c.Type {
		case TypePassword:
			out = append(out, SelfUserCredentials{
				ID: c.ID, Type: c.Type, State: orElse(c.State, StateValid), ExpiresAt: moment(c.ExpiresAt), UpdatedAt: c.UpdatedAt,
				ExpiresAfter: time.Duration(p.PasswordSettings.ExpiresAfter).String(),
			})
		case TypeTOTP:
			out = append(out, SelfUserCredentials{ID: c.ID, Type: c.Type, UpdatedAt: c.UpdatedAt})
		case TypeWebAuthn:
			for _, key := range u.Passkeys() {
				out = append(out, SelfUserCredentials{ID: PasskeyID(key.ID), Type: c.Type, Name: key.Name, UpdatedAt: key.CreatedAt})
			}
		}
	}
	return out
}

func (u *User) federated() []FederatedAccount {
	out := []FederatedAccount{}
	for _, i := range u.Identifiers {
		if i.Type != Federated {
			continue
		}
		a := FederatedAccount{IdentifierID: i.ID, FederatedSub: i.Value}
		_ = json.Unmarshal(i.Metadata, &a) // members of the same names; written by us
		a.IdentifierID, a.FederatedSub = i.ID, i.Value
		out = append(out, a)
	}
	return out
}

// visible drops the members of metadata that its schema marks as hidden
// (published API 2, SupportedJSONSchema).
func (k *Users) visible(ctx context.Context, tenant, schema string, raw json.RawMessage) (json.RawMessage, error) {
	if schema == "" || raw == nil {
		return orEmpty(raw), nil
	}
	s, err := k.schemas.Get(ctx, tenant, schema)
	if err != nil {
		return nil, err
	}
	var shape hiding
	if err := json.Unmarshal(s.Schema, &shape); err != nil {
		return nil, fmt.Errorf("schema %s: %w", schema, err)
	}
	return shape.strip(raw)
}

// hiding is the part of a schema that says what is hidden.
type hiding struct {
	Hidden     bool              `json:"hidden"`
	Properties map[string]hiding `json:"properties"`
}

// hides tells whether anything in the schema is hidden.
func (h hiding) hides() bool {
	if h.Hidden {
		return true
	}
	for _, p := range h.Properties {
		if p.hides() {
			return true
		}
	}
	return false
}

// strip returns an object without its hidden members, the others as they are.
func (h hiding) strip(raw json.RawMessage) (json.RawMessage, error) {
	if !h.hides() || !bytes.HasPrefix(raw, []byte("{")) { // stored without blanks; what is no object has no members
		return raw, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	for name, p := range h.Properties {
		v, ok := all[name]
		if !ok {
			continue
		}
		if p.Hidden {
			delete(all, name)
			continue
		}
		inner, err := p.strip(v)
		if err != nil {
			return nil, err
		}
		all[name] = slices.Clone(inner)
	}
	return json.Marshal(all)
}
