package signin

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// Methods of authentication, as amr has them (RFC 8176, section 2).
const (
	amrPassword = "pwd"
	amrCode     = "otp"
	amrPasskey  = "pop"
	amrMulti    = "mfa"
)

// first returns the pool that a login asks for a first factor, and its IDP.
func (s *Service) first(ctx context.Context, space *live.Space, l login.Login) (pool.Pool, idp.IDP, error) {
	p, ok := space.IDP(l.IDP)
	if !ok || login.Next(l) != login.Authenticate || p.Method != idp.IdentityPool {
		return pool.Pool{}, p, login.ErrGone
	}
	found, err := s.Pools.Get(ctx, space.Tenant, p.IdentityPoolID)
	if fault.Is(err, fault.NotFound) || (err == nil && found.Epoch != p.PoolEpoch) {
		err = login.ErrGone
	}
	return found, p, err
}

// errMethod refuses a way to sign in that the pool does not have.
func errMethod() error {
	return fault.New(fault.Unprocessable, "This way to sign in is not offered here.", nil)
}

// SendCode sends a code for signing in to the person with an identifier; address
// may name another of their verified addresses. The answer is the same for
// anybody, after the same time.
func (s *Service) SendCode(ctx context.Context, space *live.Space, l login.Login, identifier, address string, b Browser) error {
	owner, p, err := s.first(ctx, space, l)
	if err != nil {
		return err
	}
	if !takesCodes(owner.AuthenticationMechanisms) {
		return errMethod()
	}
	ctx = s.WithOrigin(s.actor(ctx, space, l, p), space.Tenant, b)
	return s.SelfService.Request(ctx, space.Tenant, owner.ID, code.Authentication,
		selfservice.Who{Identifier: identifier, Address: address},
		selfservice.Delivery{Workspace: space.ID, Mechanisms: owner.AuthenticationMechanisms})
}

func takesCodes(mechanisms []string) bool {
	return offers(mechanisms, pool.MechanismOTP) || offers(mechanisms, pool.MechanismEmailOTP) || offers(mechanisms, pool.MechanismSMSOTP)
}

// Code tries to prove who the person is by a code that reached them.
func (s *Service) Code(ctx context.Context, space *live.Space, l login.Login, identifier, typed string, b Browser) (Outcome, error) {
	owner, p, err := s.first(ctx, space, l)
	if err != nil {
		return Outcome{}, err
	}
	if !takesCodes(owner.AuthenticationMechanisms) {
		return Outcome{}, errMethod()
	}
	ctx = s.WithOrigin(s.actor(ctx, space, l, p), space.Tenant, b)
	began := s.Now()
	u, taken, err := s.SelfService.Verify(ctx, space.Tenant, owner.ID, code.Authentication, selfservice.Who{Identifier: identifier}, typed)
	if err == nil && !reached(selfservice.Destinations(&u, owner.AuthenticationMechanisms), taken) {
		err = code.ErrWrong
	}
	if err != nil {
		return Outcome{}, s.failed(ctx, space, owner.ID, "code", err)
	}
	return s.proven(ctx, space, l, &owner, &u, proof{amr: amrCode, identifier: identifier, at: began}, b)
}

// reached tells whether a code went to one of the destinations: what was sent
// for another purpose, or to an address that is no longer theirs, proves nothing
// here.
func reached(list []selfservice.Destination, taken code.Code) bool {
	return slices.ContainsFunc(list, func(d selfservice.Destination) bool { return d.Address == taken.Address })
}

// AskPasskey returns the options with which a browser may answer by a passkey:
// for the first factor any of the pool, for the second the person's.
func (s *Service) AskPasskey(ctx context.Context, space *live.Space, l login.Login) (json.RawMessage, error) {
	if login.Next(l) == login.SecondFactor {
		owner, u, err := s.half(ctx, space, l)
		if err != nil {
			return nil, err
		}
		if !offers(meansAfter(&owner, &u, firstOf(l)), pool.MechanismWebAuthn) {
			return nil, errMethod()
		}
		return s.SelfService.AskPasskey(&owner, l.ID, u.Passkeys())
	}
	owner, _, err := s.first(ctx, space, l)
	if err != nil {
		return nil, err
	}
	if !offers(owner.AuthenticationMechanisms, pool.MechanismWebAuthn) {
		return nil, errMethod()
	}
	return s.SelfService.AskPasskey(&owner, l.ID, nil)
}

// Passkey takes the answer of a passkey and keeps what it proved: the form that
// the page sends next goes on with the login. It returns the login's new cookie.
func (s *Service) Passkey(ctx context.Context, space *live.Space, l login.Login, response []byte, b Browser) ([]Cookie, error) {
	if login.Next(l) == login.SecondFactor {
		return s.secondPasskey(ctx, space, l, response, b)
	}
	owner, p, err := s.first(ctx, space, l)
	if err != nil {
		return nil, err
	}
	if !offers(owner.AuthenticationMechanisms, pool.MechanismWebAuthn) {
		return nil, errMethod()
	}
	ctx = s.WithOrigin(s.actor(ctx, space, l, p), space.Tenant, b)
	began := s.Now()
	u, _, err := s.SelfService.ProvePasskey(ctx, &owner, l.ID, "", response)
	if err != nil {
		return nil, s.failed(ctx, space, owner.ID, "passkey", err)
	}
	next, err := s.prove(ctx, space, l, &owner, &u, proof{amr: amrPasskey, at: began}, b)
	if err != nil {
		return nil, err
	}
	value, err := s.Logins.Keep(ctx, next)
	if err != nil {
		return nil, twice(err)
	}
	return []Cookie{s.loginCookie(next, value)}, nil
}

// Continue goes on with a login whose person has proven all that is asked: after
// a passkey, whose answer came outside a form.
func (s *Service) Continue(ctx context.Context, space *live.Space, l login.Login, b Browser) (Outcome, error) {
	if login.Next(l) != login.Finish {
		next, err := s.address(space, l)
		return Outcome{Location: next}, err
	}
	if _, _, err := s.half(ctx, space, l); err != nil {
		return Outcome{}, err
	}
	return s.proceed(ctx, space, l, b)
}
