package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Outcome is what checking a password found, as on the wire.
type Outcome string

// The outcomes.
const (
	PasswordCorrect   Outcome = "password_correct"
	PasswordIncorrect Outcome = "password_incorrect"
	PasswordExpired   Outcome = "password_expired" // right, but too old
	NoPassword        Outcome = "no_password"
	UserNotFound      Outcome = "user_not_found"
)

// Result is the answer to a check of a password.
type Result struct {
	User    User    // zero when there is none
	Outcome Outcome // pages must not tell apart what is not PasswordCorrect
	State   string  // of the password when it was checked; StateValid when there is none
}

// Proven tells whether the person may be signed in: the password is right and
// may be used, and the user is active. With State StateMustBeChanged the person
// must now choose another one.
func (r Result) Proven() bool {
	return r.Outcome == PasswordCorrect && r.State != StateMustBeReset && r.User.Status == StatusActive
}

// changeTime is how long after its one permitted sign-in a password that must be
// changed can still be changed by who knows it: as long as a login can live.
const changeTime = time.Hour

// CheckPassword checks the password of whoever signs in with identifier. All
// answers but the right one cost the same: one claim, one user, one hash (of a
// dummy when there is nothing to compare), and at least the time of
// credential.Verifier.Floor.
//
// A right password in StateMustBeChanged is good for exactly one check, however
// many run at once: the check that gets through leaves it StateMustBeReset, and
// for an hour ChangePassword still takes it. A right password whose hash was
// made in another way than the pool's is hashed again.
//
// The try counts under a kind of brute force (contract, section 24). Errors:
// NotFound for the pool, TooMany, Unavailable, the store's.
func (k *Users) CheckPassword(ctx context.Context, tenant, pool, kind, identifier, password string) (Result, error) {
	r, forget, err := k.ProvePassword(ctx, tenant, pool, Proof{Kind: kind, Identifier: identifier, Password: password})
	return settled(ctx, r, forget, err)
}

// CheckPasswordOf is CheckPassword for a user known by id.
func (k *Users) CheckPasswordOf(ctx context.Context, tenant, pool, kind, user, password string) (Result, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return Result{}, err
	}
	r, forget, err := k.checkPassword(ctx, &p, try{kind, user}, Proof{Password: password}, func() (User, error) {
		row, err := k.records.get(ctx, at(&p, user))
		return loaded(row), err
	})
	return settled(ctx, r, forget, err)
}

// Proof is what somebody signs in with.
type Proof struct {
	Kind                 string // of brute force
	Identifier, Password string
	// Admit is asked about who is proven to be there, before the one sign-in of a
	// password that must be changed is used up. Its error ends the check. May be nil.
	Admit func(*User) error
}

// ProvePassword is CheckPassword for a sign-in, which writes more. forget, never
// nil without an error, makes the try of a right password count no more: the
// caller calls it beside its own writes, and waits for it before anybody is
// signed in.
func (k *Users) ProvePassword(ctx context.Context, tenant, pool string, in Proof) (r Result, forget func(context.Context) error, err error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return Result{}, nil, err
	}
	n := lookup(in.Identifier, p.IdentifierCaseInsensitive)
	return k.checkPassword(ctx, &p, try{in.Kind, n.Key}, in, func() (User, error) { return k.byName(ctx, &p, n) })
}

// settled is the result of a check once its try is forgotten.
func settled(ctx context.Context, r Result, forget func(context.Context) error, err error) (Result, error) {
	if err == nil {
		err = forget(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return r, nil
}

func nothing(context.Context) error { return nil }

func (k *Users) checkPassword(ctx context.Context, p *Pool, t try, in Proof, find func() (User, error)) (Result, func(context.Context) error, error) {
	start := k.config.Now()
	u, err := find()
	nobody := errors.Is(err, store.ErrNotFound)
	if err != nil && !nobody {
		return Result{}, nil, err
	}
	who := t.who(p, &u)
	if err := k.Guard(ctx, p.TenantID, t.kind, who); err != nil {
		return Result{}, nil, err
	}
	hash := ""
	c := u.Credential(TypePassword)
	if c != nil {
		hash = c.Hash
	}
	right, err := k.config.Passwords.Check(ctx, p.TenantID, p.PasswordSettings.HashingMethod, hash, in.Password)
	if err != nil {
		return Result{}, nil, fmt.Errorf("check the password of user %q: %w", u.ID, err)
	}
	if !right {
		return wrong(&u, nobody), nothing, k.config.Passwords.Hold(ctx, p.TenantID, start)
	}
	forget := func(ctx context.Context) error { return k.clear(ctx, p.TenantID, t.kind, who) }
	if c.State == StateMustBeChanged { // its one sign-in must not be lost because the try could not be forgotten
		if err := forget(ctx); err != nil {
			return Result{}, nil, err
		}
		forget = nothing
	}
	r, err := k.accept(ctx, p, u, in)
	if err != nil { // it was no guess
		return Result{}, nil, errors.Join(err, forget(ctx))
	}
	return r, forget, nil
}

// wrong is the result of a password that is not right.
func wrong(u *User, nobody bool) Result {
	c := u.Credential(TypePassword)
	switch {
	case nobody:
		return Result{Outcome: UserNotFound, State: StateValid}
	case c == nil:
		return Result{User: *u, Outcome: NoPassword, State: StateValid}
	}
	return Result{User: *u, Outcome: PasswordIncorrect, State: c.State}
}

// accept decides what a right password is good for.
func (k *Users) accept(ctx context.Context, p *Pool, u User, in Proof) (Result, error) {
	c := u.Credential(TypePassword)
	out := Result{User: u, Outcome: PasswordCorrect, State: c.State}
	if !c.ExpiresAt.IsZero() && !k.config.Now().Before(c.ExpiresAt) {
		out.Outcome = PasswordExpired
		return out, nil
	}
	if !out.Proven() {
		return out, nil
	}
	if in.Admit != nil {
		if err := in.Admit(&u); err != nil {
			return Result{}, err
		}
	}
	if c.State == StateMustBeChanged {
		return k.spend(ctx, p, out)
	}
	if !credential.Current(p.PasswordSettings.HashingMethod, c.Hash) {
		// The answer stands, whether or not this works out.
		_ = k.rehash(ctx, p, u, in.Password)
	}
	return out, nil
}

// errPassed ends an update that has nothing to do: the password is no longer the
// one that was checked.
var errPassed = errors.New("the password has changed meanwhile")

// spend uses up the one sign-in of a password that must be changed. Of several
// at once one gets it.
func (k *Users) spend(ctx context.Context, p *Pool, r Result) (Result, error) {
	hash := r.User.Credential(TypePassword).Hash
	row, err := k.records.update(ctx, at(p, r.User.ID), 0, func(u *User) error {
		c := u.Credential(TypePassword)
		if c == nil || c.Hash != hash || c.State != StateMustBeChanged {
			return errPassed
		}
		c.State, c.ChangeUntil = StateMustBeReset, k.config.Now().UTC().Add(changeTime)
		return nil
	})
	if errors.Is(err, errPassed) {
		r.State = StateMustBeReset
		return r, nil
	}
	if err != nil {
		return Result{}, userFault(err)
	}
	r.User = loaded(row)
	return r, nil
}

// rehash stores a hash of a right password in the pool's present way.
func (k *Users) rehash(ctx context.Context, p *Pool, u User, password string) error {
	old := u.Credential(TypePassword).Hash
	hash, err := k.config.Passwords.Make(ctx, p.TenantID, p.PasswordSettings.HashingMethod, password)
	if err != nil {
		return err
	}
	_, err = k.records.update(ctx, at(p, u.ID), 0, func(u *User) error {
		c := u.Credential(TypePassword)
		if c == nil || c.Hash != old {
			return errPassed
		}
		c.Hash = hash
		return nil
	})
	return err
}

// SetOptions says how a password is set.
type SetOptions struct {
	State        string // empty: StateValid
	KeepSessions bool   // do not end what the user is signed in to
	First        bool   // refuse, with Unprocessable, when there is one already
	Field        string // the member of the body, for errors; empty: new_password
	Kind         string // of ChangePassword: what tries count under; empty: limit.KindChangePassword
	// Spend is called once, when nothing can refuse any more, before the write: to
	// take the code that permits it. Its error ends the operation. May be nil.
	Spend func(context.Context) error
	known string // the hash of the old password that was proven; empty: none was
}

// SetPassword gives a user a new password, whatever the old one was: for resets
// and for a choice after a sign-in. It becomes valid, may expire by the pool's
// setting, and ends what the user is signed in to and the browsers that need no
// second factor. Errors: Unprocessable when the policy refuses it, NotFound, Unavailable.
func (k *Users) SetPassword(ctx context.Context, tenant, pool, user, password string, o SetOptions) error {
	p, u, err := k.load(ctx, tenant, pool, user)
	if err != nil {
		return err
	}
	o.State, o.Field = orElse(o.State, StateValid), orElse(o.Field, "new_password")
	if err := record.OneOf("state", o.State, states); err != nil {
		return err
	}
	if err := k.policy(&p, &u, o.Field, password); err != nil {
		return err
	}
	if err := k.history(ctx, &p, &u, o.Field, password); err != nil {
		return err
	}
	hash, err := k.config.Passwords.Make(ctx, tenant, p.PasswordSettings.HashingMethod, password)
	if err != nil {
		return err
	}
	write := writing{ends: !o.KeepSessions, forgets: true, spend: o.Spend, subject: audit.SubjectPassword}
	_, err = k.change(ctx, tenant, pool, user, write, func(p *Pool, u *User, now time.Time) error {
		return o.replace(p, u, hash, now)
	})
	return err
}

// replace puts a new hash in the place of the old one, which joins the former
// ones as far as the policy remembers them.
func (o SetOptions) replace(p *Pool, u *User, hash string, now time.Time) error {
	if c := u.Credential(TypePassword); o.known != "" && (c == nil || c.Hash != o.known) {
		return fault.New(fault.Unauthenticated, "The old password is not right.", errPassed)
	}
	if o.First && u.HasPassword() {
		return fault.New(fault.Unprocessable, "There is a password already.", nil)
	}
	c := u.credential(TypePassword, now)
	c.Former = former(c, int(p.PasswordPolicy.NotUsedSince)-1)
	c.Hash, c.State, c.ChangeUntil, c.UpdatedAt, c.SetAt, c.ExpiresAt = hash, o.State, time.Time{}, now, now, p.expiry(now)
	return nil
}

// former returns the present and the former hashes, newest first, at most n.
func former(c *Credential, n int) []string {
	if c.Hash == "" || n <= 0 {
		return nil
	}
	all := append([]string{c.Hash}, c.Former...)
	return all[:min(n, len(all))]
}

// ChangePassword replaces a password by somebody who knows the old one. Errors:
// Unauthenticated for a wrong old password, Denied when it must be reset or the
// user is not active, Unprocessable when there is none or the policy refuses the
// new one, TooMany.
func (k *Users) ChangePassword(ctx context.Context, tenant, pool, user, old, password string, o SetOptions) error {
	p, u, err := k.load(ctx, tenant, pool, user)
	if err != nil {
		return err
	}
	c := u.Credential(TypePassword)
	if c == nil {
		return fault.New(fault.Unprocessable, "The user has no password.", nil)
	}
	kind, who := orElse(o.Kind, limit.KindChangePassword), pool+"/"+user
	if err := k.Guard(ctx, tenant, kind, who); err != nil {
		return err
	}
	right, err := k.config.Passwords.Check(ctx, tenant, p.PasswordSettings.HashingMethod, c.Hash, old)
	if err != nil {
		return fmt.Errorf("check the password of user %q: %w", user, err)
	}
	if !right {
		return fault.At(fault.Unauthenticated, "old_password", "The old password is not right.")
	}
	if err := k.clear(ctx, tenant, kind, who); err != nil {
		return err
	}
	if u.Status != StatusActive {
		return fault.New(fault.Denied, "The user is not active.", nil)
	}
	if c.State == StateMustBeReset && !k.config.Now().Before(c.ChangeUntil) {
		return fault.New(fault.Denied, "This password must be reset.", nil)
	}
	o.known = c.Hash
	return k.SetPassword(ctx, tenant, pool, user, password, o)
}

// SetPasswordState forces a change or a reset, or takes that back. NotFound when
// the user has no password.
func (k *Users) SetPasswordState(ctx context.Context, tenant, pool, user, state string) error {
	if err := record.OneOf("state", state, states); err != nil {
		return err
	}
	write := writing{subject: audit.SubjectPassword}
	_, err := k.change(ctx, tenant, pool, user, write, func(_ *Pool, u *User, now time.Time) error {
		c := u.Credential(TypePassword)
		if c == nil {
			return fault.New(fault.NotFound, "The user has no password.", nil)
		}
		c.State, c.ChangeUntil, c.UpdatedAt = state, time.Time{}, now
		return nil
	})
	return err
}

// policy refuses a password that breaks the pool's policy.
func (k *Users) policy(p *Pool, u *User, field, password string) error {
	problems := k.strength.Problems(*p.PasswordPolicy, password, u.about()...)
	if len(problems) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Unprocessable, Field: field, Code: "password_policy", Public: strings.Join(problems, " ")}
}

// history refuses a password that the user had before.
func (k *Users) history(ctx context.Context, p *Pool, u *User, field, password string) error {
	c := u.Credential(TypePassword)
	if c == nil {
		return nil
	}
	used, err := k.config.Passwords.Used(ctx, p.TenantID, former(c, int(p.PasswordPolicy.NotUsedSince)), password)
	if err == nil && used {
		return &fault.Error{Kind: fault.Unprocessable, Field: field, Code: "password_policy", Public: "The password has been used before."}
	}
	return err
}
