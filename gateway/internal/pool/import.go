package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// ImportUser is a user as another system has it, or as an export of this one
// wrote it: NewUser of the published API and what only imports may bring. Status
// is active when it is missing.
type ImportUser struct {
	NewUser
	Identifiers         []ImportIdentifier `json:"identifiers,omitempty"`
	VerifiableAddresses []ImportAddress    `json:"verifiable_addresses,omitempty"`
	Credentials         []ImportCredential `json:"credentials,omitempty"`
	// ExternalID is the id that the other system knows the user by. It becomes an
	// identifier of type external with the source "import", so the names of the pool
	// keep it one user's; nobody signs in by it.
	ExternalID string   `json:"external_id,omitempty"`
	Groups     []string `json:"groups,omitempty"` // names, nested ones joined by slashes; see ImportOptions.Join

	// Zero: now.
	CreatedAt       time.Time `json:"created_at,omitzero"`
	UpdatedAt       time.Time `json:"updated_at,omitzero"`
	StatusUpdatedAt time.Time `json:"status_updated_at,omitzero"`

	Bad error `json:"-"` // why the row cannot be imported, if the caller knows already
}

// ImportIdentifier is an identifier with what only imports may bring.
type ImportIdentifier struct {
	NewUserIdentifier
	ID        string    `json:"id,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// ImportAddress is an address with what only imports may bring.
type ImportAddress struct {
	NewUserVerifiableAddress
	ID         string    `json:"id,omitempty"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"`
}

// ImportCredential is a credential with what only imports may bring.
type ImportCredential struct {
	NewUserCredential
	// HashedPassword is a text such as "$2b$10$..." or an object of the published
	// type Hash; in the place of Password.
	HashedPassword json.RawMessage `json:"hashed_password,omitempty"`
	State          string          `json:"state,omitempty"` // in the place of the two flags
	// ExpiresAt is when a password expires. Missing, or of the year 1900 or before:
	// never. In the past: it must be reset (published API 14).
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	ID        string    `json:"id,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// sourceImport is the source of the external ids that imports bring.
const sourceImport = "import"

// externalName is the place of an external id among the pool's names.
func externalName(id string) name { return name{Source: External + ":" + sourceImport, Key: id} }

// ExternalID is the id that the user was imported by, or "".
func (u *User) ExternalID() string {
	for i := range u.Identifiers {
		if n := u.Identifiers[i].name(); n == externalName(n.Key) {
			return n.Key
		}
	}
	return ""
}

// plain tells whether a password is to be hashed.
func (in *ImportUser) plain() bool {
	return slices.ContainsFunc(in.Credentials, func(c ImportCredential) bool { return c.Password != "" })
}

// incoming checks a user that an import brings and makes a user of it. id is
// that of a row without one; empty: a random one.
func (k *Users) incoming(ctx context.Context, p *Pool, in *ImportUser, id string) (User, error) {
	if in.Bad != nil {
		return User{}, in.Bad
	}
	base := in.NewUser
	base.ID, base.Status = orElse(in.ID, id), orElse(in.Status, StatusActive)
	base.Identifiers, base.VerifiableAddresses, base.Credentials = nil, nil, nil
	for i := range in.Identifiers {
		base.Identifiers = append(base.Identifiers, in.Identifiers[i].NewUserIdentifier)
	}
	for i := range in.VerifiableAddresses {
		base.VerifiableAddresses = append(base.VerifiableAddresses, in.VerifiableAddresses[i].NewUserVerifiableAddress)
	}
	u, err := k.build(ctx, p, base)
	if err != nil {
		return u, err
	}
	now := k.config.Now().UTC()
	if err := u.external(in.ExternalID, p, now); err != nil {
		return u, err
	}
	for i := range in.Identifiers {
		from, to := &in.Identifiers[i], &u.Identifiers[i]
		since(&to.CreatedAt, from.CreatedAt, &to.UpdatedAt, from.UpdatedAt)
		to.ID = entryID(from.ID, to.ID)
	}
	for i := range in.VerifiableAddresses {
		from, to := &in.VerifiableAddresses[i], &u.Addresses[i]
		since(&to.CreatedAt, from.CreatedAt, &to.UpdatedAt, from.UpdatedAt)
		to.ID = entryID(from.ID, to.ID)
		if to.Verified {
			to.VerifiedAt = past1900(from.VerifiedAt, to.VerifiedAt)
		}
	}
	since(&u.CreatedAt, in.CreatedAt, &u.UpdatedAt, in.UpdatedAt)
	u.StatusUpdatedAt = past1900(in.StatusUpdatedAt, u.StatusUpdatedAt)
	return u, k.bring(ctx, p, &u, in.Credentials, now)
}

// external gives a user the identifier for an external id.
func (u *User) external(id string, p *Pool, now time.Time) error {
	if id == "" || u.ExternalID() == id {
		return nil
	}
	if u.ExternalID() != "" {
		return fault.At(fault.Unprocessable, "external_id", "differs from the identifier with the source import")
	}
	in := NewUserIdentifier{Type: External, Identifier: id, Metadata: json.RawMessage(`{"source":"` + sourceImport + `"}`)}
	made, err := in.identifier("", p, now)
	if err != nil {
		if bad, ok := errors.AsType[*fault.Error](err); ok {
			named := *bad
			named.Field = "external_id"
			err = &named
		}
		return err
	}
	u.Identifiers = append(u.Identifiers, made)
	return nil
}

// bring adds the credentials that an import brings. Hashing, which is slow, comes
// last.
func (k *Users) bring(ctx context.Context, p *Pool, u *User, in []ImportCredential, now time.Time) error {
	plain := ""
	for i := range in {
		c, at := &in[i], fmt.Sprintf("credentials[%d].", i)
		if u.Credential(c.Type) != nil {
			return fault.At(fault.Unprocessable, at+"type", "is there twice")
		}
		build := k.bringOther
		if c.Type == TypePassword {
			plain, build = c.Password, k.bringPassword
		}
		made, err := build(p, u, at, c, now)
		if err == nil {
			err = c.settle(at, &made, now)
		}
		if err != nil {
			return err
		}
		u.Credentials = append(u.Credentials, made)
	}
	if plain == "" {
		return nil
	}
	hash, err := k.config.Passwords.Make(ctx, p.TenantID, p.PasswordSettings.HashingMethod, plain)
	if err != nil {
		return err
	}
	c := u.Credential(TypePassword)
	c.Hash = hash
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = p.expiry(now)
	}
	return nil
}

// bringOther makes a credential that is no password.
func (k *Users) bringOther(_ *Pool, u *User, at string, c *ImportCredential, now time.Time) (Credential, error) {
	made, err := c.credential(k.config.Ring, at, u, now)
	if err == nil {
		err = c.relearn(at, u, &made)
	}
	return made, err
}

// bringPassword makes a password's credential, without the hash of one in the
// clear.
func (k *Users) bringPassword(p *Pool, u *User, at string, c *ImportCredential, now time.Time) (Credential, error) {
	made := Credential{ID: vault.NewID(), Type: TypePassword, CreatedAt: now, UpdatedAt: now}
	var err error
	if made.Hash, err = c.stored(at); err == nil && made.Hash == "" {
		err = k.policyAt(p, u, at, c)
	}
	return made, err
}

func (k *Users) policyAt(p *Pool, u *User, at string, c *ImportCredential) error {
	if c.Password == "" {
		return fault.At(fault.Unprocessable, at+"hashed_password", "is required, or a password")
	}
	return k.policy(p, u, at+"password", c.Password)
}

// stored returns the hash that a credential brings, or "".
func (c *ImportCredential) stored(at string) (string, error) {
	raw := bytes.TrimSpace(c.HashedPassword)
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	at += "hashed_password"
	if c.Password != "" {
		return "", fault.At(fault.Unprocessable, at, "cannot stand beside a password")
	}
	var h credential.Hash
	target := any(&h)
	if raw[0] == '"' {
		target = &h.Value
	}
	if err := json.Unmarshal(raw, target); err != nil || h.Value == "" {
		return "", &fault.Error{Kind: fault.Unprocessable, Field: at, Public: "must be a text or an object with value and config", Cause: err}
	}
	stored, err := h.Stored()
	switch {
	case errors.Is(err, credential.ErrCost):
		return "", &fault.Error{Kind: fault.Unprocessable, Field: at, Public: "costs more to check than is allowed", Cause: err}
	case err != nil:
		return "", &fault.Error{Kind: fault.Unprocessable, Field: at, Public: "is no hash of a kind that is known", Cause: err}
	}
	return stored, nil
}

// settle gives a credential its state, its end and its times.
func (c *ImportCredential) settle(at string, to *Credential, now time.Time) error {
	if c.State != "" {
		if err := record.OneOf(at+"state", c.State, states); err != nil {
			return err
		}
	}
	to.ID = entryID(c.ID, to.ID)
	since(&to.CreatedAt, c.CreatedAt, &to.UpdatedAt, c.UpdatedAt)
	to.State = StateValid
	if c.Type != TypePassword {
		return nil
	}
	to.State = orElse(c.State, c.state())
	to.ExpiresAt = past1900(c.ExpiresAt, time.Time{})
	if !to.ExpiresAt.IsZero() && !now.Before(to.ExpiresAt) {
		to.State = StateMustBeReset
	}
	return nil
}

// relearn reads the members of our own that exports put beside the published
// ones of a passkey.
func (c *ImportCredential) relearn(at string, u *User, to *Credential) error {
	for i := range to.Passkeys {
		var own passkeyExtra
		if err := json.Unmarshal(c.WebAuthnCredentials[i], &own); err != nil {
			return &fault.Error{Kind: fault.Unprocessable, Field: fmt.Sprintf("%swebauthn_credentials[%d]", at, i), Public: "is not a passkey", Cause: err}
		}
		p := &to.Passkeys[i]
		if own.Purpose != "" {
			if err := record.OneOf(fmt.Sprintf("%swebauthn_credentials[%d].purpose", at, i), own.Purpose, []string{credential.Passwordless, credential.SecondFactor}); err != nil {
				return err
			}
			p.Purpose = own.Purpose
		}
		if len(own.UserHandle) > 0 && len(own.UserHandle) <= 64 && !bytes.Equal(own.UserHandle, u.Handle()) {
			p.UserHandle = own.UserHandle // an authenticator keeps it for ever
		}
		p.RPID, p.Name, p.UsedAt = orElse(own.RPID, p.RPID), orElse(own.Name, p.Name), own.UsedAt
		p.CreatedAt = past1900(own.CreatedAt, p.CreatedAt)
	}
	return nil
}

// passkeyExtra is what is known of a passkey beside the published members.
type passkeyExtra struct {
	UserHandle []byte    `json:"user_handle,omitempty"`
	RPID       string    `json:"rp_id,omitempty"`
	Name       string    `json:"name,omitempty"`
	Purpose    string    `json:"purpose,omitempty"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	UsedAt     time.Time `json:"used_at,omitzero"`
}

// past1900 is t, or other when t says nothing: dumps of others write the year 1
// or 1900 for that.
func past1900(t, other time.Time) time.Time {
	if t.Year() <= 1900 {
		return other
	}
	return t.UTC()
}

// since gives an entry the times that came with it.
func since(created *time.Time, c time.Time, updated *time.Time, u time.Time) {
	*created, *updated = past1900(c, *created), past1900(u, *updated)
}

// entryID is the id that came with an entry, if it can be one.
func entryID(came, made string) string {
	if came == "" || record.ID("id", came) != nil {
		return made
	}
	return came
}

// lists tells whether the user has all of these names.
func (u *User) lists(names []name) bool {
	have := u.names()
	return !slices.ContainsFunc(names, func(n name) bool { return !slices.Contains(have, n) })
}
