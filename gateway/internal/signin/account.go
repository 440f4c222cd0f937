package signin

import (
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// NoticeCookie names the cookie that tells the account page what was just done.
func (s *Service) NoticeCookie() string { return s.names.prefix() + "notice" }

// NeedsPasskey tells whether a person could no longer sign in without a passkey:
// the pool lets them use nothing else that they have as the first factor, or
// asks for a second one that they neither have nor could set up.
func NeedsPasskey(owner *pool.Pool, u *pool.User) bool {
	c := u.Credential(pool.TypePassword)
	first := offers(owner.AuthenticationMechanisms, pool.MechanismPassword) && c != nil && c.State != pool.StateMustBeReset
	if !first && len(selfservice.Destinations(u, owner.AuthenticationMechanisms)) == 0 {
		return true
	}
	all := owner.SecondFactorAuthenticationMechanisms
	if len(all) == 0 || offers(all, pool.MechanismTOTP) {
		return false
	}
	return !slices.ContainsFunc(means(owner, u), func(m string) bool { return m != pool.MechanismWebAuthn })
}

// HasSecond tells whether a person can pass one of the pool's second factors, so
// that recovery codes are of use.
func HasSecond(owner *pool.Pool, u *pool.User) bool { return haveSecond(owner, u) }
