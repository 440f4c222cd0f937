package pool

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// sealedAt is the one place where the user's TOTP secret opens.
func (u *User) sealedAt() string {
	return vault.AAD(u.TenantID, "users", store.ID(u.PoolEpoch, u.ID), "totp")
}

// TOTPSecret returns the user's TOTP secret in base32, or "".
func (k *Users) TOTPSecret(u *User) (string, error) {
	c := u.Credential(TypeTOTP)
	if c == nil {
		return "", nil
	}
	secret, err := k.config.Ring.Open(c.Sealed, u.sealedAt())
	return string(secret), err
}

// seal puts a TOTP secret in the place of the former one.
func (k *Users) seal(u *User, secret string, now time.Time) error {
	sealed, err := k.config.Ring.Seal([]byte(secret), u.sealedAt())
	if err != nil {
		return err
	}
	c := u.credential(TypeTOTP, now)
	c.Sealed, c.Step, c.UpdatedAt = sealed, 0, now
	return nil
}

// SetTOTP gives a user a TOTP secret in base32, in the place of the former one.
// Browsers that needed no second factor need one again; recovery codes and
// sessions stay. Unprocessable when it is no secret.
func (k *Users) SetTOTP(ctx context.Context, tenant, pool, user, secret string, o CredentialOptions) error {
	field := orElse(o.Field, "new_totp_secret")
	secret, err := credential.ParseTOTPSecret(field, secret)
	if err != nil {
		return err
	}
	w := writing{forgets: true, spend: o.Spend, subject: audit.SubjectTOTP, action: audit.ActionResetCompleted}
	_, err = k.change(ctx, tenant, pool, user, w, func(_ *Pool, u *User, now time.Time) error {
		if o.First && u.Credential(TypeTOTP) != nil {
			return fault.At(fault.Unprocessable, field, "The user has a TOTP secret already.")
		}
		if err := k.seal(u, secret, now); err != nil {
			return err
		}
		u.Credential(TypeTOTP).Step = o.Step
		return nil
	})
	return err
}

// RemoveTOTP takes the TOTP secret from a user, and the recovery codes with it;
// browsers that needed no second factor need one again. NotFound when there is
// none.
func (k *Users) RemoveTOTP(ctx context.Context, tenant, pool, user string) error {
	_, err := k.change(ctx, tenant, pool, user, writing{forgets: true, details: "totp removed"}, func(_ *Pool, u *User, _ time.Time) error {
		if u.Credential(TypeTOTP) == nil {
			return fault.New(fault.NotFound, "The user has no TOTP secret.", nil)
		}
		u.drop(TypeTOTP)
		u.drop(typeRecovery)
		return nil
	})
	return err
}

// CheckTOTP tells whether code is what the user's authenticator app shows. A time
// step is good once, however many try at the same moment (RFC 6238, section 5.2).
// It does not look at the user's status. Errors: NotFound for the pool, TooMany,
// the store's.
func (k *Users) CheckTOTP(ctx context.Context, tenant, pool, user, code string) (bool, error) {
	return k.second(ctx, tenant, pool, user, TypeTOTP, func(u *User) error {
		c := u.Credential(TypeTOTP)
		if c == nil {
			return errPassed
		}
		secret, err := k.TOTPSecret(u)
		if err != nil {
			return err
		}
		step, ok := credential.CheckTOTP(secret, code, k.config.Now(), c.Step)
		if !ok {
			return errPassed
		}
		c.Step = step
		return nil
	})
}

// second checks a second factor: spend uses the code up, or returns errPassed
// when it is not right (any more). A refusal takes the time of every refusal.
func (k *Users) second(ctx context.Context, tenant, pool, user, kind string, spend func(*User) error) (bool, error) {
	start := k.config.Now()
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return false, err
	}
	row, err := k.records.get(ctx, at(&p, user))
	nobody := errors.Is(err, store.ErrNotFound)
	if err != nil && !nobody {
		return false, err
	}
	u := loaded(row)
	who := try{limit.KindMFA, user}.who(&p, &u)
	if err := k.Guard(ctx, tenant, limit.KindMFA, who); err != nil {
		return false, err
	}
	if !nobody {
		_, err = k.records.update(ctx, at(&p, user), 0, spend)
		nobody = errors.Is(err, store.ErrNotFound)
	}
	switch {
	case nobody:
		return false, k.config.Passwords.Hold(ctx, tenant, start)
	case errors.Is(err, errPassed):
		if err := k.proof(ctx, &p, &u, audit.ActionRejected, kind); err != nil {
			return false, err
		}
		return false, k.config.Passwords.Hold(ctx, tenant, start)
	case err != nil:
		return false, err
	}
	if err := k.clear(ctx, tenant, limit.KindMFA, who); err != nil {
		return false, err
	}
	return true, k.proof(ctx, &p, &u, audit.ActionAccepted, kind)
}

// proof records that a second factor was accepted or rejected.
func (k *Users) proof(ctx context.Context, p *Pool, u *User, action, kind string) error {
	return k.config.record(ctx, p.TenantID, p, u.ID, audit.SubjectOTP, action, map[string]any{"user_id": u.ID, "type": kind})
}
