package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Apply writes the plan: schemas, pools, users. What could be known was checked,
// so an error means that somebody changed something since, or that the store did
// not answer; then the rest is not written, and the same import may be sent again.
func (p *Plan) Apply(ctx context.Context) error {
	k := p.keeper
	for _, s := range p.schemas {
		_, err := k.Schemas.Update(ctx, p.tenant, s)
		if fault.Is(err, fault.NotFound) {
			_, err = k.Schemas.Create(ctx, p.tenant, s)
		}
		if err != nil {
			return err
		}
	}
	for _, in := range p.pools {
		_, err := k.Pools.Update(ctx, p.tenant, in)
		if fault.Is(err, fault.NotFound) {
			_, err = k.Pools.Create(ctx, p.tenant, in)
		}
		if err != nil {
			return err
		}
	}
	for i := range p.users {
		if err := p.user(ctx, &p.users[i]); err != nil {
			return err
		}
	}
	return nil
}

// Ended returns the users whose sign-ins Apply has ended.
func (p *Plan) Ended() []DumpUser { return p.ended }

// user creates or replaces a user.
func (p *Plan) user(ctx context.Context, in *DumpUser) error {
	k := p.keeper.Users
	at0, err := k.pools.Get(ctx, p.tenant, in.PoolID)
	if err != nil {
		return err
	}
	u, err := k.incoming(ctx, &at0, &in.ImportUser, "")
	if err != nil {
		return err
	}
	row, err := k.records.get(ctx, at(&at0, u.ID))
	if errors.Is(err, store.ErrNotFound) {
		_, err = k.insert(ctx, &at0, u)
		return err
	}
	if err != nil {
		return err
	}
	if p.mode != ModeUpdate {
		return fault.At(fault.Conflict, "users", "One of the users was created meanwhile; try again.")
	}
	ended, err := k.replace(ctx, &at0, &row.Value, u, in)
	if ended {
		p.ended = append(p.ended, *in)
	}
	return err
}

// replace puts what an import brings in the place of a user. Who they are to the
// rest stays: their epoch, so their sessions, roles and groups, unless the import
// blocks them or brings another password, which ends what they are signed in to.
// What no dump holds stays as well: former passwords, and recovery codes as long
// as there is a TOTP secret.
func (k *Users) replace(ctx context.Context, p *Pool, was *User, u User, in *DumpUser) (ended bool, err error) {
	secret, err := k.TOTPSecret(&u)
	if err != nil {
		return false, err
	}
	had, err := k.TOTPSecret(was)
	if err != nil {
		return false, err
	}
	w := writing{rev: in.Rev, details: "imported", ends: u.Status != StatusActive || hashOf(was) != hashOf(&u)}
	w.forgets = secret != had
	_, err = k.change(ctx, p.TenantID, p.ID, u.ID, w, func(_ *Pool, to *User, _ time.Time) error {
		next := u.clone()
		next.Epoch, next.PoolEpoch, next.SelfRegistered = to.Epoch, to.PoolEpoch, to.SelfRegistered
		if next.Status == StatusNew {
			next.Registration = to.Registration
		}
		if in.CreatedAt.IsZero() {
			next.CreatedAt = to.CreatedAt
		}
		next.keep(p, to, secret != "" && secret == had)
		*to = next
		return nil
	})
	return w.ends, err
}

// hashOf is the hash of a user's password, or "".
func hashOf(u *User) string {
	if c := u.Credential(TypePassword); c != nil {
		return c.Hash
	}
	return ""
}

// keep takes over what no dump holds.
func (u *User) keep(p *Pool, old *User, sameTOTP bool) {
	if c, o := u.Credential(TypePassword), old.Credential(TypePassword); c != nil && o != nil {
		c.Former = slices.Clone(o.Former)
		if c.Hash != o.Hash && o.Hash != "" {
			c.Former = former(o, int(p.PasswordPolicy.NotUsedSince)-1)
		}
	}
	if c, o := u.Credential(TypeTOTP), old.Credential(TypeTOTP); c != nil && o != nil && sameTOTP {
		c.Step = o.Step
	}
	if o := old.Credential(typeRecovery); o != nil && u.Credential(TypeTOTP) != nil {
		u.Credentials = append(u.Credentials, *o)
	}
}
