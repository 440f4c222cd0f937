package selfservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

// The purposes of challenges.
const (
	creating = "create"
	getting  = "get"
)

// RelyingParty is who a pool's passkeys are made for: what its setting says,
// else the gateway's own host and origin.
func (s *Service) RelyingParty(p *pool.Pool) credential.RelyingParty {
	rp := credential.RelyingParty{Name: p.Name}
	if p.WebAuthn != nil {
		rp.ID, rp.Origins = p.WebAuthn.RPID, p.WebAuthn.Origins
	}
	if base, err := url.Parse(s.Base); err == nil && rp.ID == "" {
		rp.ID = base.Hostname()
	}
	if len(rp.Origins) == 0 {
		rp.Origins = []string{s.Base}
	}
	return rp
}

// owner is a user as authenticators keep it.
func owner(u *pool.User) credential.PasskeyUser {
	name := u.ID
	if len(u.Identifiers) > 0 {
		name = u.Identifiers[0].Value
	}
	shown := displayName(u)
	if shown == "" {
		shown = name
	}
	return credential.PasskeyUser{Handle: u.Handle(), Name: name, DisplayName: shown}
}

// BeginPasskey returns the options with which a browser makes a passkey for a
// user who is active or new (Web Authentication Level 3, section 5.4). They are
// good for five minutes.
func (s *Service) BeginPasskey(ctx context.Context, tenant, poolID, user string) (json.RawMessage, error) {
	p, u, err := s.enrolling(ctx, tenant, poolID, user)
	if err != nil {
		return nil, err
	}
	challenge := s.Challenge(tenant, creating, p.Epoch, u.ID, u.Epoch)
	return s.RelyingParty(&p).CreationOptions(owner(&u), u.Passkeys(), challenge)
}

// FinishPasskey checks what the browser made and stores it. Errors:
// Unprocessable when it does not hold, Unauthenticated when it came too late or
// twice.
func (s *Service) FinishPasskey(ctx context.Context, tenant, poolID, user string, response []byte) (credential.Passkey, error) {
	p, key, err := s.made(ctx, tenant, poolID, user, response)
	if err != nil {
		return key, err
	}
	return key, s.Users.AddPasskey(ctx, tenant, p.ID, user, key, pool.CredentialOptions{Field: "response"})
}

// MadePasskey is FinishPasskey without storing, for a completion that stores it
// together with something else.
func (s *Service) MadePasskey(ctx context.Context, tenant, poolID, user string, response []byte) (credential.Passkey, error) {
	_, key, err := s.made(ctx, tenant, poolID, user, response)
	return key, err
}

func (s *Service) made(ctx context.Context, tenant, poolID, user string, response []byte) (pool.Pool, credential.Passkey, error) {
	p, u, err := s.enrolling(ctx, tenant, poolID, user)
	if err != nil {
		return p, credential.Passkey{}, err
	}
	challenge, err := credential.ParseCreation(response)
	if err != nil {
		return p, credential.Passkey{}, err
	}
	if _, err := s.given(challenge, tenant, creating, p.Epoch, u.ID, u.Epoch); err != nil {
		return p, credential.Passkey{}, err
	}
	key, err := s.RelyingParty(&p).Create(owner(&u), challenge, response)
	if err == nil {
		err = s.Spend(ctx, challenge, tenant, creating, p.Epoch, u.ID, u.Epoch)
	}
	key.CreatedAt = s.Now().UTC().Truncate(time.Second)
	return p, key, err
}

func (s *Service) enrolling(ctx context.Context, tenant, poolID, user string) (pool.Pool, pool.User, error) {
	p, err := s.Pools.Get(ctx, tenant, poolID)
	if err != nil {
		return p, pool.User{}, err
	}
	u, err := s.Users.Get(ctx, tenant, poolID, user)
	if err == nil && u.Status != pool.StatusActive && u.Status != pool.StatusNew {
		err = fault.New(fault.Unprocessable, "The user is not active.", nil)
	}
	return p, u, err
}

// AskPasskey returns the options with which a browser signs somebody in: anybody
// with a passkey of the pool, or one of the given ones. place is where the answer
// must come back to, such as a login.
func (s *Service) AskPasskey(p *pool.Pool, place string, allow []credential.Passkey) (json.RawMessage, error) {
	return s.RelyingParty(p).RequestOptions(allow, s.Challenge(p.TenantID, getting, p.Epoch, place))
}

// ProvePasskey checks the answer to AskPasskey and returns whose it is and the
// passkey. whose is the user that it must be of, or "" for anybody: then it must
// be one that is good for signing in alone. Of one challenge one right answer is
// taken; a wrong one leaves it and writes nothing.
// A counter that went back is an event, not a refusal. Everything that does not
// hold is ErrPasskey.
func (s *Service) ProvePasskey(ctx context.Context, p *pool.Pool, place, whose string, response []byte) (pool.User, credential.Passkey, error) {
	u, used, err := s.prove(ctx, p, place, whose, response)
	if err == nil {
		return u, used, nil
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		err = ErrPasskey(err)
	}
	return pool.User{}, credential.Passkey{}, err
}

// ErrPasskey is the one answer to a passkey that does not sign anybody in.
func ErrPasskey(cause error) error {
	return fault.New(fault.Unauthenticated, "This passkey could not be verified. Please try again.", cause)
}

func (s *Service) prove(ctx context.Context, p *pool.Pool, place, whose string, response []byte) (pool.User, credential.Passkey, error) {
	none := credential.Passkey{}
	a, err := credential.ParseAssertion(response)
	if err != nil {
		return pool.User{}, none, err
	}
	if _, err := s.given(a.Challenge, p.TenantID, getting, p.Epoch, place); err != nil {
		return pool.User{}, none, err
	}
	u, key, err := s.Users.ByPasskey(ctx, p.TenantID, p.ID, a.CredentialID)
	if err != nil {
		return pool.User{}, none, err
	}
	switch {
	case u.Status != pool.StatusActive:
		return pool.User{}, none, ErrPasskey(fmt.Errorf("user %s is %s", u.ID, u.Status))
	case whose != "" && u.ID != whose:
		return pool.User{}, none, ErrPasskey(fmt.Errorf("a passkey of user %s, not of %s", u.ID, whose))
	case whose == "" && key.Purpose == credential.SecondFactor: // it does not tell who holds it
		return pool.User{}, none, ErrPasskey(errors.New("a passkey that is a second factor alone"))
	}
	used, cloned, err := s.RelyingParty(p).Verify(owner(&u), key, a.Challenge, a)
	if err != nil {
		return pool.User{}, none, err
	}
	if err := s.Spend(ctx, a.Challenge, p.TenantID, getting, p.Epoch, place); err != nil { // a replay, or a race
		return pool.User{}, none, err
	}
	used.UsedAt = s.Now().UTC().Truncate(time.Second)
	return u, used, s.Users.UsedPasskey(ctx, p.TenantID, p.ID, u.ID, used, cloned)
}
