package pool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The bounds of a user's passkeys.
const (
	maxPasskeys    = 20
	maxPasskey     = 16 << 10 // bytes, as a caller sends it
	maxPasskeyID   = 1023     // bytes (Web Authentication Level 3, section 5.8.3)
	maxPasskeyName = 64       // characters
)

// CredentialOptions says how a credential is set.
type CredentialOptions struct {
	First bool   // refuse, with Unprocessable, when there is one already
	Field string // the member of the body, for errors
	// Spend is called once, when nothing can refuse any more, before the write: to
	// take the code that permits it. Its error ends the operation. May be nil.
	Spend func(context.Context) error
	Step  int64 // of the code that proved a TOTP secret, which is not good again
}

// PasskeyID is the id of a passkey on the wire and in paths: that of its
// credential, in base64url.
func PasskeyID(credentialID []byte) string { return base64.RawURLEncoding.EncodeToString(credentialID) }

// passkeyName is a passkey's place among the pool's names: no two users have the
// same, and a sign-in finds its user by it.
func passkeyName(credentialID []byte) name {
	return name{Source: TypeWebAuthn, Key: PasskeyID(credentialID)}
}

// Handle is the user's handle for authenticators (Web Authentication Level 3,
// section 14.6.1): always the same in one life of the user, and it says nothing
// of the person.
func (u *User) Handle() []byte {
	sum := sha256.Sum256([]byte(store.ID("webauthn user handle", u.TenantID, u.PoolEpoch, u.ID, u.Epoch)))
	return sum[:]
}

// Passkeys returns the user's passkeys, oldest first. The caller may change the
// list.
func (u *User) Passkeys() []credential.Passkey {
	c := u.Credential(TypeWebAuthn)
	if c == nil {
		return nil
	}
	return slices.Clone(c.Passkeys)
}

// passkey returns the user's passkey of that id on the wire, or nil.
func (u *User) passkey(id string) *credential.Passkey {
	c := u.Credential(TypeWebAuthn)
	if c == nil {
		return nil
	}
	i := slices.IndexFunc(c.Passkeys, func(p credential.Passkey) bool { return PasskeyID(p.ID) == id })
	if i < 0 {
		return nil
	}
	return &c.Passkeys[i]
}

// checkPasskeys refuses passkeys that cannot be kept.
func checkPasskeys(field string, list []credential.Passkey) error {
	for i := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		if n := len(list[i].ID); n == 0 || n > maxPasskeyID {
			return fault.At(fault.Unprocessable, at+".id", fmt.Sprintf("must have 1 to %d bytes", maxPasskeyID))
		}
		if slices.ContainsFunc(list[:i], func(p credential.Passkey) bool { return bytes.Equal(p.ID, list[i].ID) }) {
			return fault.At(fault.Unprocessable, at+".id", "is there twice")
		}
	}
	if len(list) > maxPasskeys {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("must have at most %d entries", maxPasskeys))
	}
	return nil
}

// enrol adds a passkey to a user. The same one again changes nothing.
func (u *User) enrol(p credential.Passkey, field string, first bool, now time.Time) error {
	if old := u.passkey(PasskeyID(p.ID)); old != nil && bytes.Equal(old.PublicKey, p.PublicKey) {
		return nil
	} else if old != nil {
		return fault.At(fault.Conflict, field, "The user has another passkey with this id.")
	}
	n := len(u.Passkeys())
	if first && n > 0 {
		return fault.At(fault.Unprocessable, field, "The user has a passkey already.")
	}
	if n >= maxPasskeys {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("A user has at most %d passkeys.", maxPasskeys))
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = now
	}
	p.Purpose = orElse(p.Purpose, credential.Passwordless)
	c := u.credential(TypeWebAuthn, now)
	c.Passkeys, c.UpdatedAt = append(c.Passkeys, p), now
	return nil
}

// AddPasskey gives a user a passkey. One that the user has already changes
// nothing. Errors: Unprocessable when there are too many, Conflict when another
// user of the pool has it.
func (k *Users) AddPasskey(ctx context.Context, tenant, pool, user string, p credential.Passkey, o CredentialOptions) error {
	field := orElse(o.Field, "webauthn")
	if n := len(p.ID); n == 0 || n > maxPasskeyID {
		return fault.At(fault.Unprocessable, field+".id", fmt.Sprintf("must have 1 to %d bytes", maxPasskeyID))
	}
	w := writing{spend: o.Spend, subject: audit.SubjectWebAuthn, action: audit.ActionAddCompleted}
	_, err := k.change(ctx, tenant, pool, user, w, func(_ *Pool, u *User, now time.Time) error {
		return u.enrol(p, field, o.First, now)
	})
	return atMember(err, field)
}

// NamePasskey changes what the user calls a passkey. NotFound when the user does
// not have it.
func (k *Users) NamePasskey(ctx context.Context, tenant, pool, user, id, name string) error {
	if err := record.Text("name", name, maxPasskeyName); err != nil {
		return err
	}
	_, err := k.change(ctx, tenant, pool, user, writing{details: "passkey named"}, func(_ *Pool, u *User, now time.Time) error {
		p := u.passkey(id)
		if p == nil {
			return noPasskey(nil)
		}
		p.Name, u.Credential(TypeWebAuthn).UpdatedAt = name, now
		return nil
	})
	return err
}

// RemovePasskey takes a passkey from a user. Errors: NotFound, and with keepLast
// Unprocessable when it is the only one.
func (k *Users) RemovePasskey(ctx context.Context, tenant, pool, user, id string, keepLast bool) error {
	_, err := k.change(ctx, tenant, pool, user, writing{details: "passkey removed"}, func(_ *Pool, u *User, now time.Time) error {
		if u.passkey(id) == nil {
			return noPasskey(nil)
		}
		c := u.Credential(TypeWebAuthn)
		c.Passkeys = slices.DeleteFunc(c.Passkeys, func(p credential.Passkey) bool { return PasskeyID(p.ID) == id })
		c.UpdatedAt = now
		switch {
		case len(c.Passkeys) > 0:
		case keepLast:
			return fault.New(fault.Unprocessable, "The last passkey cannot be removed.", nil)
		case len(c.Adopt) == 0:
			u.drop(TypeWebAuthn)
		}
		return nil
	})
	return err
}

func noPasskey(cause error) error {
	return fault.New(fault.NotFound, "There is no such passkey.", cause)
}

// UsedPasskey keeps what an authenticator said at a sign-in: its counter and
// flags, and when. NotFound when the passkey is not the user's any more: then the
// sign-in must not go on. A counter that went back, as seen by the caller (cloned)
// or against a sign-in that was faster, is an event and a mark, no refusal.
func (k *Users) UsedPasskey(ctx context.Context, tenant, pool, user string, used credential.Passkey, cloned bool) error {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return err
	}
	var warn, learnt bool
	row, err := k.records.update(ctx, at(&p, user), 0, func(u *User) error {
		old := u.passkey(PasskeyID(used.ID))
		if old == nil || !bytes.Equal(old.PublicKey, used.PublicKey) {
			return noPasskey(errPassed)
		}
		warn = cloned || used.SignCount != 0 && used.SignCount <= old.SignCount
		learnt = old.FlagsUnknown && !used.FlagsUnknown
		old.SignCount = max(old.SignCount, used.SignCount)
		old.CloneWarning = old.CloneWarning || warn
		old.UserPresent, old.UserVerified, old.BackupState = used.UserPresent, used.UserVerified, used.BackupState
		if learnt {
			old.BackupEligible, old.FlagsUnknown = used.BackupEligible, false
		}
		old.UsedAt = k.config.Now().UTC()
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return noPasskey(err)
	}
	if err != nil {
		return err
	}
	u := loaded(row)
	if learnt {
		if err := k.event(ctx, &p, &u, audit.SubjectCredential, audit.ActionUpdated, "flags of an imported passkey learnt"); err != nil {
			return err
		}
	}
	if warn {
		return k.event(ctx, &p, &u, audit.SubjectRisk, audit.ActionCalculated, "the counter of a passkey went back: it may have been cloned")
	}
	return nil
}

// ByPasskey returns the user with a passkey, and the passkey, or NotFound.
func (k *Users) ByPasskey(ctx context.Context, tenant, pool string, credentialID []byte) (User, credential.Passkey, error) {
	none := credential.Passkey{}
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return User{}, none, err
	}
	if len(credentialID) == 0 || len(credentialID) > maxPasskeyID {
		return User{}, none, noPasskey(nil)
	}
	u, err := k.holder(ctx, &p, passkeyName(credentialID))
	if errors.Is(err, store.ErrNotFound) {
		return User{}, none, noPasskey(err)
	}
	if err != nil {
		return User{}, none, err
	}
	return u, *u.passkey(PasskeyID(credentialID)), nil
}

// adopt claims the passkeys that a row of version 1 has kept as they were given,
// as far as they can be read and nobody else has them. What fails waits for the
// next write.
func (k *Users) adopt(ctx context.Context, p *Pool, u User) User {
	drop := false
	for {
		c := u.Credential(TypeWebAuthn)
		if c == nil || len(c.Adopt) == 0 {
			return u
		}
		row, err := k.records.update(ctx, at(p, u.ID), 0, adopting(c.Adopt[0], drop))
		if _, lost := errors.AsType[*takenError](err); lost && !drop {
			drop = true
			continue
		}
		if err != nil {
			return u
		}
		u, drop = loaded(row), false
	}
}

// adopting moves the first passkey to be adopted among the others, or drops it.
func adopting(first json.RawMessage, drop bool) func(*User) error {
	return func(u *User) error {
		c := u.Credential(TypeWebAuthn)
		if c == nil || len(c.Adopt) == 0 || !bytes.Equal(c.Adopt[0], first) {
			return errPassed
		}
		c.Adopt = c.Adopt[1:]
		if p, ok := readable(first); ok && !drop && u.passkey(PasskeyID(p.ID)) == nil {
			p.CreatedAt, p.Purpose = c.CreatedAt, orElse(p.Purpose, credential.Passwordless)
			c.Passkeys = append(c.Passkeys, p)
		}
		return nil
	}
}

func readable(raw json.RawMessage) (credential.Passkey, bool) {
	p, err := credential.ParsePasskey(raw)
	return p, err == nil && checkPasskeys("", []credential.Passkey{p}) == nil
}
