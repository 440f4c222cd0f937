package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// AddIdentifier gives a user an identifier. Conflict when another user has it,
// or this one.
func (k *Users) AddIdentifier(ctx context.Context, tenant, pool, user string, in NewUserIdentifier) (UserIdentifier, error) {
	var added Identifier
	u, err := k.change(ctx, tenant, pool, user, writing{details: "identifier added"}, func(p *Pool, u *User, now time.Time) error {
		id, err := in.identifier("", p, now)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(u.Identifiers, func(o Identifier) bool { return o.name() == id.name() }) {
			return fault.At(fault.Conflict, "identifier", "The user has this identifier already.")
		}
		if len(u.Identifiers) >= maxEntries {
			return fault.At(fault.Unprocessable, "identifier", fmt.Sprintf("A user has at most %d.", maxEntries))
		}
		u.Identifiers, added = append(u.Identifiers, id), id
		return nil
	})
	return u.identifierView(&added), atMember(err, "identifier")
}

// RemoveIdentifier takes an identifier, as typed, from a user: whatever types it
// has there. NotFound when the user does not have it.
func (k *Users) RemoveIdentifier(ctx context.Context, tenant, pool, user, identifier string) (User, error) {
	return k.change(ctx, tenant, pool, user, writing{details: "identifier removed"}, func(p *Pool, u *User, _ time.Time) error {
		which := u.identifier(lookup(identifier, p.IdentifierCaseInsensitive), identifier)
		if len(which) == 0 {
			return fault.At(fault.NotFound, "identifier", "The user does not have this identifier.")
		}
		for _, i := range slices.Backward(which) {
			u.Identifiers = slices.Delete(u.Identifiers, i, i+1)
		}
		return nil
	})
}

// AddAddress gives a user an address. Conflict when this user has it, or it is
// to be verified and somebody else has it.
func (k *Users) AddAddress(ctx context.Context, tenant, pool, user string, in NewUserVerifiableAddress) (UserVerifiableAddress, error) {
	var added Address
	u, err := k.change(ctx, tenant, pool, user, writing{details: "address added"}, func(p *Pool, u *User, now time.Time) error {
		a, err := in.address("", p, now)
		if err != nil {
			return err
		}
		if u.address(a.name()) >= 0 {
			return fault.At(fault.Conflict, "address", "The user has this address already.")
		}
		if len(u.Addresses) >= maxEntries {
			return fault.At(fault.Unprocessable, "address", fmt.Sprintf("A user has at most %d.", maxEntries))
		}
		u.Addresses, added = append(u.Addresses, a), a
		return nil
	})
	return u.addressView(&added), atMember(err, "address")
}

// UpdateAddress is how a caller changes an address.
type UpdateAddress struct {
	Address                string          `json:"address"` // which, as typed
	Status                 string          `json:"status"`
	PreferredContactMethod string          `json:"preferred_contact_method"`
	Verified               bool            `json:"verified"`
	Metadata               json.RawMessage `json:"metadata"` // missing: as it is
}

// UpdateAddress changes an address of a user. NotFound when the user does not
// have it, Conflict when it is to be verified and somebody else has it.
func (k *Users) UpdateAddress(ctx context.Context, tenant, pool, user string, in UpdateAddress) (UserVerifiableAddress, error) {
	if err := checkAddress("", in.Status, in.PreferredContactMethod); err != nil {
		return UserVerifiableAddress{}, err
	}
	if err := object("metadata", &in.Metadata); err != nil {
		return UserVerifiableAddress{}, err
	}
	var changed Address
	u, err := k.changeAddress(ctx, tenant, pool, user, in.Address, "address updated", func(u *User, i int, now time.Time) {
		a := &u.Addresses[i]
		if in.Verified && !a.Verified {
			a.VerifiedAt = now
		} else if !in.Verified {
			a.VerifiedAt = time.Time{}
		}
		a.Status, a.Verified, a.PreferredContactMethod, a.UpdatedAt = in.Status, in.Verified, in.PreferredContactMethod, now
		if in.Metadata != nil {
			a.Metadata = in.Metadata
		}
		changed = *a
	})
	return u.addressView(&changed), err
}

// RemoveAddress takes an address, as typed, from a user. NotFound when the user
// does not have it.
func (k *Users) RemoveAddress(ctx context.Context, tenant, pool, user, address string) (User, error) {
	return k.changeAddress(ctx, tenant, pool, user, address, "address removed", func(u *User, i int, _ time.Time) {
		u.Addresses = slices.Delete(u.Addresses, i, i+1)
	})
}

// VerifyAddress marks an address, as typed, verified: somebody has shown that
// they receive what goes there. NotFound when the user does not have it,
// Conflict when somebody else has it.
func (k *Users) VerifyAddress(ctx context.Context, tenant, pool, user, address string) (User, error) {
	return k.changeAddress(ctx, tenant, pool, user, address, "address verified", func(u *User, i int, now time.Time) {
		if a := &u.Addresses[i]; !a.Verified {
			a.Verified, a.VerifiedAt, a.UpdatedAt = true, now, now
		}
	})
}

func (k *Users) changeAddress(ctx context.Context, tenant, pool, user, address, details string, alter func(u *User, i int, now time.Time)) (User, error) {
	u, err := k.change(ctx, tenant, pool, user, writing{details: details}, func(p *Pool, u *User, now time.Time) error {
		i := u.address(lookup(address, p.IdentifierCaseInsensitive))
		if i < 0 {
			return fault.At(fault.NotFound, "address", "The user does not have this address.")
		}
		alter(u, i, now)
		return nil
	})
	return u, atMember(err, "address")
}

// atMember makes a conflict name the member of a body with only one.
func atMember(err error, member string) error {
	if err == nil || !fault.Is(err, fault.Conflict) {
		return err
	}
	e := *fault.Read(err)
	e.Field = member
	return &e
}

// The kinds of metadata in paths.
const (
	MetadataAdmin    = "admin"
	MetadataBusiness = "business"
)

// UserMetadata is one of a user's metadata objects on the wire.
type UserMetadata struct {
	Metadata json.RawMessage `json:"metadata"`
	SchemaID string          `json:"schema_id"`
	Rev      int64           `json:"-"` // of the user
}

// Metadata returns the metadata of kind MetadataAdmin or MetadataBusiness;
// NotFound for another kind.
func (k *Users) Metadata(ctx context.Context, tenant, pool, user, kind string) (UserMetadata, error) {
	u, err := k.Get(ctx, tenant, pool, user)
	if err != nil {
		return UserMetadata{}, err
	}
	return u.metadata(kind)
}

// SetMetadata replaces one metadata object, which must fit its schema. Missing
// metadata is Unprocessable.
func (k *Users) SetMetadata(ctx context.Context, tenant, pool, user, kind string, rev int64, raw json.RawMessage) (UserMetadata, error) {
	in := UpdateUser{Documents: Documents{Metadata: raw}}
	if kind == MetadataBusiness {
		in.Documents = Documents{BusinessMetadata: raw}
	} else if kind != MetadataAdmin {
		return UserMetadata{}, noMetadata()
	}
	if err := object("metadata", &raw); err != nil {
		return UserMetadata{}, err
	}
	if raw == nil {
		return UserMetadata{}, fault.At(fault.Unprocessable, "metadata", "is required")
	}
	u, err := k.Update(ctx, tenant, pool, user, rev, in)
	if bad, ok := errors.AsType[*fault.Error](err); ok { // the body has one member, of the same name for both kinds
		named := *bad
		named.Field = strings.TrimPrefix(bad.Field, "business_")
		err = &named
	}
	if err != nil {
		return UserMetadata{}, err
	}
	return u.metadata(kind)
}

func (u *User) metadata(kind string) (UserMetadata, error) {
	switch kind {
	case MetadataAdmin:
		return UserMetadata{orEmpty(u.Metadata), u.MetadataSchemaID, u.Rev}, nil
	case MetadataBusiness:
		return UserMetadata{orEmpty(u.BusinessMetadata), u.BusinessMetadataSchemaID, u.Rev}, nil
	}
	return UserMetadata{}, noMetadata()
}

func noMetadata() error {
	return fault.New(fault.NotFound, "There is metadata of the kinds admin and business.", nil)
}

// ByIdentifier returns the user that signs in with an identifier as typed, or
// NotFound. External and federated identifiers are not typed: see ByLink.
func (k *Users) ByIdentifier(ctx context.Context, tenant, pool, identifier string) (User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return User{}, err
	}
	u, err := k.byName(ctx, &p, lookup(identifier, p.IdentifierCaseInsensitive))
	return u, userFault(err)
}

// byName returns the user that has an identifier of that name.
func (k *Users) byName(ctx context.Context, p *Pool, n name) (User, error) {
	row, err := k.records.find(ctx, p.TenantID, p.Epoch, n)
	if err != nil {
		return User{}, err
	}
	u := loaded(row)
	if !slices.ContainsFunc(u.Identifiers, func(i Identifier) bool { return i.name() == n }) {
		return User{}, store.ErrNotFound
	}
	return u, nil
}

// ByAddress returns the user that has an address, as typed, verified; or
// NotFound.
func (k *Users) ByAddress(ctx context.Context, tenant, pool, address string) (User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return User{}, err
	}
	n := lookup(address, p.IdentifierCaseInsensitive)
	row, err := k.records.find(ctx, tenant, p.Epoch, n)
	if err != nil {
		return User{}, userFault(err)
	}
	u := loaded(row)
	if i := u.address(n); i < 0 || !u.Addresses[i].Verified {
		return User{}, userFault(store.ErrNotFound)
	}
	return u, nil
}

// ByLink returns the user with an external or federated identifier from a
// source, or NotFound; see NewUserIdentifier.
func (k *Users) ByLink(ctx context.Context, tenant, pool, kind, from, value string) (User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return User{}, err
	}
	u, err := k.byName(ctx, &p, name{Source: kind + ":" + from, Key: value})
	return u, userFault(err)
}

// Key names a user: one of its members is given. Address is a verified one.
type Key struct{ UserID, Identifier, Address string }

// Find returns the user that a key names, or NotFound. Unprocessable for a key
// with no member or several.
func (k *Users) Find(ctx context.Context, tenant, pool string, by Key) (User, error) {
	switch {
	case by == Key{UserID: by.UserID} && by.UserID != "":
		return k.Get(ctx, tenant, pool, by.UserID)
	case by == Key{Identifier: by.Identifier} && by.Identifier != "":
		return k.ByIdentifier(ctx, tenant, pool, by.Identifier)
	case by == Key{Address: by.Address} && by.Address != "":
		return k.ByAddress(ctx, tenant, pool, by.Address)
	}
	return User{}, fault.New(fault.Unprocessable, "Give either an identifier or an address.", nil)
}
