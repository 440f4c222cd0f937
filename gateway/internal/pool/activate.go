package pool

import (
	"context"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Activation is how a new user becomes active.
type Activation struct {
	Address    string // one of the user's, as typed: where the code went
	Password   string // this and the following may be missing
	TOTPSecret string
	Passkeys   []credential.Passkey
	// Registration is the one that the caller comes from. When it is not the user's,
	// the credentials of the registration are dropped, as somebody else may have
	// set them; those given here take their place. A trusted backend gives the
	// user's own.
	Registration string
	// Spend is called once, when nothing can refuse any more, before the write: to
	// take the code that proves the address. Its error ends the activation. May be
	// nil.
	Spend func(context.Context) error
}

// activation is an Activation that was checked.
type activation struct {
	Activation
	users  *Users
	secret string // of TOTP; empty: none
	hash   string // of the password, once it was made
}

// Activate makes a new user active, in one write: the address is verified and,
// when the user has no identifier of its type, becomes one; the credentials are
// set. Errors: Unprocessable when the user is not new, a credential is there
// already or breaks a rule, NotFound for an address that is not the user's,
// Conflict when somebody else has it verified or has the passkey, and what Spend
// returns.
func (k *Users) Activate(ctx context.Context, tenant, pool, user string, in Activation) (User, error) {
	p, u, err := k.load(ctx, tenant, pool, user)
	if err != nil {
		return User{}, err
	}
	a, err := k.activation(ctx, &p, &u, in)
	if err != nil {
		return User{}, err
	}
	if in.Password != "" {
		if a.hash, err = k.config.Passwords.Make(ctx, tenant, p.PasswordSettings.HashingMethod, in.Password); err != nil {
			return User{}, err
		}
	}
	u, err = k.change(ctx, tenant, pool, user, writing{spend: in.Spend, details: "activated"}, a.apply)
	if err != nil {
		return User{}, atAddress(err)
	}
	for _, e := range []struct {
		done            bool
		subject, action string
	}{
		{in.Password != "", audit.SubjectPassword, audit.ActionUpdated},
		{in.TOTPSecret != "", audit.SubjectTOTP, audit.ActionResetCompleted},
		{len(in.Passkeys) > 0, audit.SubjectWebAuthn, audit.ActionAddCompleted},
	} {
		if !e.done {
			continue
		}
		if err := k.event(ctx, &p, &u, e.subject, e.action, ""); err != nil {
			return u, err
		}
	}
	return u, nil
}

// activation checks all that can be checked before the password is hashed.
func (k *Users) activation(ctx context.Context, p *Pool, u *User, in Activation) (*activation, error) {
	a := &activation{Activation: in, users: k}
	var err error
	if in.TOTPSecret != "" {
		if a.secret, err = credential.ParseTOTPSecret("totp_secret", in.TOTPSecret); err != nil {
			return nil, err
		}
	}
	if err := checkPasskeys("webauthn", in.Passkeys); err != nil {
		return nil, err
	}
	next := u.clone()
	if err := a.apply(p, &next, k.config.Now().UTC()); err != nil {
		return nil, err
	}
	if err := k.contested(ctx, p, u, &next); err != nil {
		return nil, atAddress(err)
	}
	if in.Password == "" {
		return a, nil
	}
	return a, k.policy(p, &next, "password", in.Password)
}

// atAddress makes a conflict about the address name the member of the body.
func atAddress(err error) error {
	if e := fault.Read(err); e == nil || e.Field == "" { // or it is about a passkey
		return err
	}
	return atMember(err, "otp_address")
}

// apply makes the user active.
func (a *activation) apply(p *Pool, u *User, now time.Time) error {
	if u.Status != StatusNew {
		return fault.New(fault.Unprocessable, "The status of the user is "+u.Status+"; it must be "+StatusNew+".", nil)
	}
	i := u.address(lookup(a.Address, p.IdentifierCaseInsensitive))
	if i < 0 {
		return fault.At(fault.NotFound, "otp_address", "The user does not have this address.")
	}
	if u.Registration != "" && a.Registration != u.Registration {
		u.Credentials = nil
	}
	if err := a.arm(p, u, now); err != nil {
		return err
	}
	at := &u.Addresses[i]
	if !at.Verified {
		at.Verified, at.VerifiedAt, at.UpdatedAt = true, now, now
	}
	same := func(id Identifier) bool { return id.Type == at.Type || id.name() == at.name() }
	if !slices.ContainsFunc(u.Identifiers, same) && len(u.Identifiers) < maxEntries {
		u.Identifiers = append(u.Identifiers, Identifier{
			ID: vault.NewID(), Type: at.Type, Value: at.Value, Key: at.Key, CreatedAt: now, UpdatedAt: now,
		})
	}
	u.Status, u.StatusUpdatedAt, u.Registration = StatusActive, now, ""
	return nil
}

// arm gives the user the credentials of the activation.
func (a *activation) arm(p *Pool, u *User, now time.Time) error {
	if a.Password != "" {
		if u.HasPassword() {
			return fault.At(fault.Unprocessable, "password", "The user has a password already.")
		}
		c := u.credential(TypePassword, now)
		c.Hash, c.UpdatedAt, c.ExpiresAt = a.hash, now, p.expiry(now)
	}
	for _, key := range a.Passkeys {
		if err := u.enrol(key, "webauthn", false, now); err != nil {
			return err
		}
	}
	if a.secret == "" {
		return nil
	}
	if u.Credential(TypeTOTP) != nil {
		return fault.At(fault.Unprocessable, "totp_secret", "The user has a TOTP secret already.")
	}
	return a.users.seal(u, a.secret, now)
}
