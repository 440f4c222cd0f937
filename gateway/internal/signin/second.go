package signin

import (
	"context"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// RecoveryCode is the means of a second factor beside the pool's mechanisms:
// codes that the person keeps on paper.
const RecoveryCode = "recovery_code"

// Factors are the second factors that a person can use now.
type Factors struct {
	Identifier   string
	Mechanisms   []string // totp, otp, webauthn, RecoveryCode; the preferred one first
	Destinations []selfservice.Destination
	Remember     time.Duration // 0: browsers are not remembered
	CodeLength   int
}

// half returns the pool and the person of a login that has proven its first
// factor alone.
func (s *Service) half(ctx context.Context, space *live.Space, l login.Login) (pool.Pool, pool.User, error) {
	p, ok := space.IDP(l.IDP)
	if !ok || l.Pool != p.IdentityPoolID || p.Method != idp.IdentityPool {
		return pool.Pool{}, pool.User{}, login.ErrGone
	}
	if err := s.stillProven(ctx, space, l); err != nil {
		return pool.Pool{}, pool.User{}, err
	}
	if err := s.stillRaises(ctx, space, l); err != nil {
		return pool.Pool{}, pool.User{}, err
	}
	owner, err := s.Pools.Get(ctx, space.Tenant, l.Pool)
	if err != nil {
		return owner, pool.User{}, err
	}
	u, err := s.Users.Get(ctx, space.Tenant, l.Pool, l.User)
	if err == nil && (u.Epoch != l.UserEpoch || outdated(&u, l)) {
		err = login.ErrGone
	}
	return owner, u, err
}

// outdated tells whether the password that a login has proven was replaced since,
// where that does not end what the person is signed in to.
func outdated(u *pool.User, l login.Login) bool {
	c := u.Credential(pool.TypePassword)
	return firstOf(l) == amrPassword && (c == nil || c.UpdatedAt.After(l.AuthTime))
}

// means are the second factors of the pool that a person has, the preferred one
// first. A password counts only for who came without one, which no page asks.
func means(owner *pool.Pool, u *pool.User) []string { return meansAfter(owner, u, "") }

// haveSecond tells whether a person can pass one of the pool's second factors.
func haveSecond(owner *pool.Pool, u *pool.User) bool { return len(means(owner, u)) > 0 }

// meansAfter are those of means that are another factor than the first, which is
// a method of authentication.
func meansAfter(owner *pool.Pool, u *pool.User, first string) []string {
	all, preferred := owner.SecondFactorAuthenticationMechanisms, owner.SecondFactorPreferredAuthenticationMechanism
	if preferred == pool.MechanismEmailOTP || preferred == pool.MechanismSMSOTP {
		preferred = pool.MechanismOTP
	}
	var out []string
	add := func(m string, ok bool) {
		switch {
		case !ok:
		case m == preferred:
			out = append([]string{m}, out...)
		default:
			out = append(out, m)
		}
	}
	add(pool.MechanismTOTP, offers(all, pool.MechanismTOTP) && u.Credential(pool.TypeTOTP) != nil)
	add(pool.MechanismWebAuthn, offers(all, pool.MechanismWebAuthn) && len(u.Passkeys()) > 0)
	add(pool.MechanismOTP, len(destinations(owner, u, first)) > 0)
	return out
}

// destinations are where a code that is a second factor may go. For who came by a
// code it is another one only where no code of the first factor goes.
func destinations(owner *pool.Pool, u *pool.User, first string) []selfservice.Destination {
	list := selfservice.Destinations(u, owner.SecondFactorAuthenticationMechanisms)
	if first != amrCode {
		return list
	}
	used := selfservice.Destinations(u, owner.AuthenticationMechanisms)
	return slices.DeleteFunc(list, func(d selfservice.Destination) bool { return slices.Contains(used, d) })
}

// Factors returns the second factors of a login's person.
func (s *Service) Factors(ctx context.Context, space *live.Space, l login.Login) (Factors, error) {
	owner, u, err := s.half(ctx, space, l)
	if err != nil {
		return Factors{}, err
	}
	f := Factors{
		Identifier: l.Identifier, Mechanisms: meansAfter(&owner, &u, firstOf(l)), Remember: time.Duration(owner.MFASessionTTL),
		Destinations: destinations(&owner, &u, firstOf(l)),
		CodeLength:   owner.OTPSettings.Authentication.Length,
	}
	if u.RecoveryCodes() > 0 {
		f.Mechanisms = append(f.Mechanisms, RecoveryCode)
	}
	return f, nil
}

// SendSecond sends a code to one of the person's destinations, by its place in
// Factors.Destinations.
func (s *Service) SendSecond(ctx context.Context, space *live.Space, l login.Login, place int, b Browser) error {
	if login.Next(l) != login.SecondFactor {
		return login.ErrGone
	}
	owner, u, err := s.half(ctx, space, l)
	if err != nil {
		return err
	}
	list := destinations(&owner, &u, firstOf(l))
	if place < 0 || place >= len(list) {
		return fault.At(fault.Unprocessable, "destination_address", "Choose where the code goes.")
	}
	ctx = s.WithOrigin(ctx, space.Tenant, b)
	return s.SelfService.RequestFor(ctx, space.Tenant, owner.ID, u.ID, code.Authentication, list[place].Address,
		selfservice.Delivery{Workspace: space.ID})
}

// ErrSecond is the one answer to a second factor that does not hold.
func ErrSecond() error {
	return fault.New(fault.Unauthenticated, "This code is not right. Please try again.", nil)
}

// Second tries a second factor of a login: a code of the authenticator app, of a
// message, or of the recovery codes, as mechanism says. With remember the
// browser is not asked again for as long as the pool says.
func (s *Service) Second(ctx context.Context, space *live.Space, l login.Login, mechanism, typed string, remember bool, b Browser) (Outcome, error) {
	if login.Next(l) != login.SecondFactor {
		return Outcome{}, login.ErrGone
	}
	owner, u, err := s.half(ctx, space, l)
	if err != nil {
		return Outcome{}, err
	}
	ctx = s.WithOrigin(ctx, space.Tenant, b)
	allowed := offers(meansAfter(&owner, &u, firstOf(l)), mechanism) || mechanism == RecoveryCode
	var ok bool
	switch {
	case !allowed:
		return Outcome{}, errMethod()
	case mechanism == pool.MechanismTOTP:
		ok, err = s.Users.CheckTOTP(ctx, space.Tenant, owner.ID, u.ID, typed)
	case mechanism == RecoveryCode:
		ok, err = s.Users.UseRecoveryCode(ctx, space.Tenant, owner.ID, u.ID, typed)
	case mechanism == pool.MechanismOTP:
		var taken code.Code
		_, taken, err = s.SelfService.Verify(ctx, space.Tenant, owner.ID, code.Authentication, selfservice.Who{UserID: u.ID}, typed)
		if ok = err == nil && reached(destinations(&owner, &u, firstOf(l)), taken); fault.Is(err, fault.Unauthenticated) {
			err = nil
		}
	default:
		return Outcome{}, errMethod()
	}
	if err == nil && !ok {
		err = s.failed(ctx, space, owner.ID, "second factor", ErrSecond())
	}
	if err != nil {
		return Outcome{}, err
	}
	return s.passed(ctx, space, l, &owner, &u, amrCode, remember, b)
}

// passed goes on with a login whose second factor held.
func (s *Service) passed(ctx context.Context, space *live.Space, l login.Login, owner *pool.Pool, u *pool.User, amr string, remember bool, b Browser) (Outcome, error) {
	next, cookies, err := s.complete(ctx, space, l, owner, u, amr, remember)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.proceed(ctx, space, next, b)
	out.Cookies = append(out.Cookies, cookies...)
	return out, err
}

// complete takes the stored login away, so that one proof goes on once, and
// returns it with the second factor.
func (s *Service) complete(ctx context.Context, space *live.Space, l login.Login, owner *pool.Pool, u *pool.User, amr string, remember bool) (login.Login, []Cookie, error) {
	if err := s.Logins.Finish(ctx, l); err != nil {
		return l, nil, err
	}
	l.Browser, l.Second = "", login.Passed
	for _, m := range []string{amr, amrMulti} {
		if !offers(l.AMR, m) {
			l.AMR = append(l.AMR, m)
		}
	}
	if !remember {
		return l, nil, nil
	}
	cookies, err := s.rememberMFA(ctx, u)
	return l, cookies, err
}

// rememberMFA returns the cookie of a browser that is not asked for a second
// factor of a user again for as long as the pool says; none when it says never.
func (s *Service) rememberMFA(ctx context.Context, u *pool.User) ([]Cookie, error) {
	secret, m, err := s.MFASessions.Begin(ctx, u)
	if err != nil || secret == "" {
		return nil, err
	}
	return []Cookie{s.Cookie(s.names.MFA(u.TenantID, u.PoolID), secret, m.Expires.Sub(s.Now()))}, nil
}

// RememberBrowser is remember of Second for a passkey, which is taken before its
// form is sent.
func (s *Service) RememberBrowser(ctx context.Context, space *live.Space, l login.Login) ([]Cookie, error) {
	if login.Next(l) != login.Finish || l.Second != login.Passed {
		return nil, nil
	}
	_, u, err := s.half(ctx, space, l)
	if err != nil {
		return nil, err
	}
	return s.rememberMFA(ctx, &u)
}

// secondPasskey takes a passkey as the second factor; see Passkey.
func (s *Service) secondPasskey(ctx context.Context, space *live.Space, l login.Login, response []byte, b Browser) ([]Cookie, error) {
	owner, u, err := s.half(ctx, space, l)
	if err != nil {
		return nil, err
	}
	if !offers(meansAfter(&owner, &u, firstOf(l)), pool.MechanismWebAuthn) {
		return nil, errMethod()
	}
	ctx = s.WithOrigin(ctx, space.Tenant, b)
	if _, _, err := s.SelfService.ProvePasskey(ctx, &owner, l.ID, u.ID, response); err != nil {
		return nil, s.failed(ctx, space, owner.ID, "second factor", err)
	}
	next, cookies, err := s.complete(ctx, space, l, &owner, &u, amrPasskey, false)
	if err != nil {
		return nil, err
	}
	value, err := s.Logins.Keep(ctx, next)
	return append(cookies, s.loginCookie(next, value)), err
}

// Enrolment is an authenticator app that is about to be set up.
type Enrolment struct {
	Identifier string
	Secret     string // base32
	URI        string
	Sealed     string // comes back with the first code
}

// enrolAAD binds a sealed secret to one login.
func enrolAAD(tenant, loginID string) string { return vault.AAD(tenant, "logins", loginID, "totp") }

// BeginTOTP returns a new secret for the person of a login who must set up an
// authenticator app.
func (s *Service) BeginTOTP(ctx context.Context, space *live.Space, l login.Login, sealed string) (Enrolment, error) {
	if login.Next(l) != login.EnrolTOTP {
		return Enrolment{}, login.ErrGone
	}
	e := Enrolment{Identifier: l.Identifier, Sealed: sealed}
	if raw, err := s.Ring.Open(sealed, enrolAAD(space.Tenant, l.ID)); err == nil {
		e.Secret = string(raw)
	} else {
		e.Secret = credential.NewTOTPSecret()
		if e.Sealed, err = s.Ring.Seal([]byte(e.Secret), enrolAAD(space.Tenant, l.ID)); err != nil {
			return e, err
		}
	}
	e.URI = credential.TOTPURI(space.Name, l.Identifier, e.Secret)
	return e, nil
}

// EnrolTOTP sets the authenticator app up when the first code is right, which is
// the second factor then. It returns recovery codes to show once, and the login's
// new cookie: the form of the page that shows them goes on with the login.
func (s *Service) EnrolTOTP(ctx context.Context, space *live.Space, l login.Login, sealed, typed string, b Browser) ([]string, []Cookie, error) {
	if login.Next(l) != login.EnrolTOTP {
		return nil, nil, login.ErrGone
	}
	owner, u, err := s.half(ctx, space, l)
	if err != nil {
		return nil, nil, err
	}
	if len(meansAfter(&owner, &u, firstOf(l))) > 0 { // they have set one up meanwhile: it is that which must be shown
		return nil, nil, login.ErrGone
	}
	secret, err := s.Ring.Open(sealed, enrolAAD(space.Tenant, l.ID))
	if err != nil {
		return nil, nil, login.ErrGone
	}
	ctx = s.WithOrigin(ctx, space.Tenant, b)
	step, ok := credential.CheckTOTP(string(secret), typed, s.Now(), 0)
	if !ok {
		return nil, nil, ErrSecond()
	}
	if err := s.Users.SetTOTP(ctx, space.Tenant, owner.ID, u.ID, string(secret), pool.CredentialOptions{First: true, Step: step}); err != nil {
		return nil, nil, err
	}
	codes, err := s.Users.NewRecoveryCodes(ctx, space.Tenant, owner.ID, u.ID)
	if err != nil {
		return nil, nil, err
	}
	next, cookies, err := s.complete(ctx, space, l, &owner, &u, amrCode, false)
	if err != nil {
		return nil, nil, err
	}
	value, err := s.Logins.Keep(ctx, next)
	return codes, append(cookies, s.loginCookie(next, value)), err
}
