package selfservice

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

// ownerLife is how long the message to the owner of a taken name is worth
// sending.
const ownerLife = time.Hour

// holder finds whose code it is: the person that w names, or that an extended
// code names. Of nobody the user has no id, and the code is one that nobody has.
func (s *Service) holder(ctx context.Context, tenant, poolID string, w Who, typed string) (pool.Pool, pool.User, string, error) {
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return p, pool.User{}, "", err
	}
	if id, short, ok := code.Split(typed); ok {
		u, err := found(s.Users.Get(ctx, tenant, poolID, id))
		if err != nil || w == (Who{}) {
			return p, u, short, err
		}
		if err := w.check(); err != nil {
			return p, pool.User{}, "", err
		}
		named, err := s.resolve(ctx, &p, w)
		if named.ID != u.ID { // somebody else's
			u = pool.User{}
		}
		return p, u, short, err
	}
	if w == (Who{}) { // it should have been an extended code
		return p, pool.User{}, typed, nil
	}
	if err := w.check(); err != nil {
		return p, pool.User{}, "", err
	}
	u, err := s.resolve(ctx, &p, w)
	return p, u, typed, err
}

// refused records that a code was not accepted and takes the time of every
// refusal.
func (s *Service) refused(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type, start time.Time, cause error) error {
	if !fault.Is(cause, fault.Unauthenticated) {
		return cause
	}
	err := s.event(ctx, p, u, audit.SubjectOTP, audit.ActionRejected, map[string]any{"user_id": u.ID, "code_type": string(t)})
	if err != nil {
		return err
	}
	return s.hold(ctx, p, start, cause)
}

func (s *Service) accepted(ctx context.Context, p *pool.Pool, u *pool.User, t code.Type) error {
	return s.event(ctx, p, u, audit.SubjectOTP, audit.ActionAccepted, map[string]any{"user_id": u.ID, "code_type": string(t)})
}

// Verify takes a code of type challenge or authentication and returns whose it
// was. code.ErrWrong for whatever does not hold; TooMany.
func (s *Service) Verify(ctx context.Context, tenant, poolID string, t code.Type, w Who, typed string) (pool.User, code.Code, error) {
	start := s.Now()
	p, u, short, err := s.holder(ctx, tenant, poolID, w, typed)
	if err != nil {
		return pool.User{}, code.Code{}, err
	}
	if u.Status != pool.StatusActive {
		u = pool.User{}
	}
	taken, err := s.Codes.Take(ctx, limit.KindCodeVerify, s.of(&p, &u, w, typed), t, "", short)
	if err != nil {
		return pool.User{}, code.Code{}, s.refused(ctx, &p, &u, t, start, err)
	}
	return u, taken, s.accepted(ctx, &p, &u, t)
}

// of is whose codes are tried: of nobody, tries count for the name that was
// typed, or that the extended code gives.
func (s *Service) of(p *pool.Pool, u *pool.User, w Who, typed string) code.Subject {
	at := subject(p, u)
	if u.ID != "" {
		return at
	}
	name := w.typed()
	if id, _, ok := code.Split(typed); ok && name == "" {
		name = id
	}
	at.User = code.Nobody + p.Spelling(name)
	return at
}

// spend takes a code that a Peek has found right: of several at once one can.
func (s *Service) spend(seen code.Code) func(context.Context) error {
	return func(ctx context.Context) error { return s.Codes.Spend(ctx, seen) }
}

// raced is the error of a completion: when somebody else has taken the code
// meanwhile, what they did is why it failed, and only that is told.
func (s *Service) raced(ctx context.Context, seen code.Code, cause error) error {
	if fault.Is(cause, fault.Unauthenticated) || fault.Is(cause, fault.Internal) {
		return cause
	}
	live, err := s.Codes.Live(ctx, seen)
	switch {
	case err != nil:
		return err
	case !live:
		return code.ErrWrong
	}
	return cause
}

// Inspection is what a code is good for.
type Inspection struct {
	User        pool.User
	Code        code.Code
	PasswordSet bool
	Extended    string
	Carried
}

// Inspect tells what a code is good for, without taking it. An extended code
// says whose it is, so that w may be empty. code.ErrWrong when it is good for
// nothing; TooMany.
func (s *Service) Inspect(ctx context.Context, tenant, poolID string, w Who, typed string) (Inspection, error) {
	start := s.Now()
	p, u, short, err := s.holder(ctx, tenant, poolID, w, typed)
	if err != nil {
		return Inspection{}, err
	}
	seen, err := s.Codes.Find(ctx, limit.KindCodeInspect, s.of(&p, &u, w, typed), short)
	if err != nil {
		return Inspection{}, s.hold(ctx, &p, start, err)
	}
	return Inspection{
		User: u, Code: seen, PasswordSet: u.HasPassword(), Extended: code.Extend(u.ID, digits(short)), Carried: carried(seen),
	}, nil
}

// digits drops what was typed between the digits of a code.
func digits(short string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, short)
}

// completion is one way of ending a request by its code.
type completion struct {
	kind string // of brute force
	code code.Type
	// apply writes what the person asked for. It calls spend last before its
	// write, when nothing can refuse any more.
	apply func(u *pool.User, spend func(context.Context) error) error
}

// complete is the common way of ending a request. Whatever does not hold is
// code.ErrWrong; what the policy refuses is Unprocessable and leaves the code.
func (s *Service) complete(ctx context.Context, tenant, poolID string, w Who, typed string, c completion) (Carried, error) {
	start := s.Now()
	p, u, short, err := s.holder(ctx, tenant, poolID, w, typed)
	if err != nil {
		return Carried{}, err
	}
	if u.Status != pool.StatusActive {
		u = pool.User{}
	}
	at := s.of(&p, &u, w, typed)
	seen, err := s.Codes.Peek(ctx, c.kind, at, c.code, "", short)
	if err == nil && !holds(&u, &seen) {
		err = code.ErrWrong
	}
	if err != nil {
		return Carried{}, s.refused(ctx, &p, &u, c.code, start, err)
	}
	if err := c.apply(&u, s.spend(seen)); err != nil {
		return Carried{}, s.refused(ctx, &p, &u, c.code, start, s.raced(ctx, seen, err))
	}
	return carried(seen), s.accepted(ctx, &p, &u, c.code)
}

// holds tells whether a code is still good for its user: the address that it went
// to is theirs, and no password was set since. Who could read somebody's mailbox
// for a while must not come back when the person has put things in order.
func holds(u *pool.User, seen *code.Code) bool {
	if c := u.Credential(pool.TypePassword); c != nil && c.SetAt.After(seen.Made) {
		return false
	}
	return seen.Address == "" || slices.ContainsFunc(u.Addresses, func(a pool.Address) bool {
		return a.Value == seen.Address && a.Status == pool.StatusActive
	})
}

// ResetPassword sets a new password by a code, in whatever state the old one is,
// and ends what the person is signed in to.
func (s *Service) ResetPassword(ctx context.Context, tenant, poolID string, w Who, typed, password string) (Carried, error) {
	return s.complete(ctx, tenant, poolID, w, typed, completion{
		kind: limit.KindConfirmPassword, code: code.ResetPassword,
		apply: func(u *pool.User, spend func(context.Context) error) error {
			return s.Users.SetPassword(ctx, tenant, poolID, u.ID, password, pool.SetOptions{Spend: spend})
		},
	})
}

// ResetTOTP replaces the secret of an authenticator app by a code.
func (s *Service) ResetTOTP(ctx context.Context, tenant, poolID string, w Who, typed, secret string) (Carried, error) {
	return s.complete(ctx, tenant, poolID, w, typed, completion{
		kind: limit.KindSetCredential, code: code.ResetTOTP,
		apply: func(u *pool.User, spend func(context.Context) error) error {
			return s.Users.SetTOTP(ctx, tenant, poolID, u.ID, secret, pool.CredentialOptions{Field: "new_totp_secret", Spend: spend})
		},
	})
}

// AddPasskey adds a passkey by a code, for somebody whose device is lost.
func (s *Service) AddPasskey(ctx context.Context, tenant, poolID string, w Who, typed string, key credential.Passkey) (Carried, error) {
	return s.complete(ctx, tenant, poolID, w, typed, completion{
		kind: limit.KindSetCredential, code: code.EnrollWebAuthn,
		apply: func(u *pool.User, spend func(context.Context) error) error {
			return s.Users.AddPasskey(ctx, tenant, poolID, u.ID, key, pool.CredentialOptions{Field: "new_web_authn", Spend: spend})
		},
	})
}

// VerifyAddress marks an address of a user verified by a code that went there.
// code.ErrWrong, or Conflict when it was verified by somebody else meanwhile.
func (s *Service) VerifyAddress(ctx context.Context, tenant, poolID, user, address, typed string) error {
	_, err := s.verifyAddress(ctx, tenant, poolID, Who{UserID: user}, address, typed)
	return err
}

// VerifyAddressByCode is VerifyAddress by an extended code, and returns the
// address. An empty address means whichever the code went to.
func (s *Service) VerifyAddressByCode(ctx context.Context, tenant, poolID, address, extended string) (string, error) {
	if address == "" {
		seen, err := s.Inspect(ctx, tenant, poolID, Who{}, extended)
		if err == nil && seen.Code.Type != code.VerifyAddress {
			err = code.ErrWrong
		}
		if err != nil {
			return "", err
		}
		address = seen.Code.Address
	}
	return s.verifyAddress(ctx, tenant, poolID, Who{}, address, extended)
}

func (s *Service) verifyAddress(ctx context.Context, tenant, poolID string, w Who, address, typed string) (string, error) {
	start := s.Now()
	p, u, short, err := s.holder(ctx, tenant, poolID, w, typed)
	if err != nil {
		return "", err
	}
	if u.Status != pool.StatusActive {
		u = pool.User{}
	}
	at := s.of(&p, &u, w, typed)
	taken, err := s.Codes.Take(ctx, limit.KindAddressVerification, at, code.VerifyAddress, kept(&u, address), short)
	if err != nil {
		return "", s.refused(ctx, &p, &u, code.VerifyAddress, start, err)
	}
	if _, err := s.Users.VerifyAddress(ctx, tenant, poolID, u.ID, taken.Address); err != nil {
		return "", err
	}
	return taken.Address, s.accepted(ctx, &p, &u, code.VerifyAddress)
}

// kept is an address in the spelling that the user has it in.
func kept(u *pool.User, address string) string {
	address = pool.Canonical(address)
	var same []string
	for i := range u.Addresses {
		if a := u.Addresses[i].Value; a == address {
			return address
		} else if pool.Spelling(a) == pool.Spelling(address) {
			same = append(same, a)
		}
	}
	if len(same) == 1 {
		return same[0]
	}
	return address
}

// ChangeTOTP replaces the secret of an authenticator app by who can still use
// the old one. Unauthenticated when the code of the old secret is not right.
func (s *Service) ChangeTOTP(ctx context.Context, tenant, poolID, user, typed, secret string) error {
	secret, err := credential.ParseTOTPSecret("new_totp_secret", secret) // before the old one's time step is used up
	if err != nil {
		return err
	}
	ok, err := s.Users.CheckTOTP(ctx, tenant, poolID, user, typed)
	if err == nil && !ok {
		err = fault.At(fault.Unauthenticated, "totp", "The code of the authenticator app is not right.")
	}
	if err != nil {
		return err
	}
	return s.Users.SetTOTP(ctx, tenant, poolID, user, secret, pool.CredentialOptions{Field: "new_totp_secret"})
}
