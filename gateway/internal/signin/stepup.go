package signin

import (
	"context"
	"errors"
	"slices"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
)

// The authentication context classes that the gateway's own factors give.
const (
	ACROne = authctx.DefaultACR // one factor
	ACRTwo = "2"                // two factors, or a passkey that verified its user
)

// ladder are the classes, each of which is worth what stands before it as well.
func ladder() []string { return []string{ACROne, ACRTwo} }

// classOf returns the class of what was proven.
func classOf(amr []string) string {
	if offers(amr, amrMulti) || offers(amr, amrPasskey) {
		return ACRTwo
	}
	return ACROne
}

// CodeUnmet is the error of a request whose demand for an authentication context
// class cannot be met (OpenID Connect Core Error Code
// unmet_authentication_requirements 1.0).
const CodeUnmet = "unmet_authentication_requirements"

// demand is what a request wants of the authentication context class.
type demand struct {
	classes   []string // any of them, the preferred one first; none: all the same
	essential bool
}

// demandOf reads what a request wants: by its claims parameter, else by
// acr_values, which openid fills from the client's defaults, else what the
// workspace asks for (OpenID Connect Core 1.0, sections 2, 3.1.2.1 and 5.5.1.1).
// enforce_acr_values makes any of these essential.
func demandOf(space *live.Space, r login.Request) demand {
	adv := &space.Workspace.Advanced
	d := demand{classes: r.ACRValues, essential: adv.EnforceACRValues}
	if w := askedOf(r.Claims).IDToken["acr"]; len(w.Values) > 0 {
		d.classes, d.essential = w.texts(), d.essential || w.Essential
		if len(d.classes) == 0 { // no class is a number
			d.classes = []string{""}
		}
	} else if len(d.classes) == 0 {
		d.classes = adv.ACRValues
	}
	return d
}

// met returns the class to answer a demand with for a session of class have. A
// class that is worth more answers for a lesser one, which the client gets to see
// then: it is owed one of those it named.
func (d demand) met(have string) (string, bool) {
	if len(d.classes) == 0 || slices.Contains(d.classes, have) {
		return have, true
	}
	for i := slices.Index(ladder(), have) - 1; i >= 0; i-- {
		if class := ladder()[i]; slices.Contains(d.classes, class) {
			return class, true
		}
	}
	return have, false
}

// possible tells whether any sign-in could meet the demand.
func (d demand) possible() bool {
	_, ok := d.met(ACRTwo)
	return ok
}

// two tells whether the demand is for more than one factor.
func (d demand) two() bool {
	_, one := d.met(ACROne)
	return !one && d.possible()
}

// raise makes the person of a session prove a second factor, for a request that
// wants more than the session is worth. ok is false when they have none and no
// other sign-in would do better.
func (s *Service) raise(ctx context.Context, space *live.Space, r login.Request, on *session.Session, b Browser) (out Outcome, ok bool, err error) {
	p, known := space.IDP(on.IDP)
	if !known || p.Method != idp.IdentityPool || !demandOf(space, r).two() {
		return Outcome{}, false, nil
	}
	l := s.Logins.Begin(space.Tenant, space.ID, space.Epoch, r)
	l.IDP, l.Pool, l.User, l.UserEpoch = on.IDP, on.Pool, on.User, on.UserEpoch
	l.AMR, l.AuthTime, l.Raises, l.Second = proven(on), on.AuthTime, on.ID, login.Due
	owner, u, err := s.half(ctx, space, l)
	if errors.Is(err, login.ErrGone) { // such as after a change of the password, which may keep its session
		out, err = s.begin(ctx, space, r, b)
		return out, true, err
	}
	if err != nil {
		return Outcome{}, false, err
	}
	if len(meansAfter(&owner, &u, firstOf(l))) == 0 {
		if !reaches(&owner, &u) {
			return Outcome{}, false, nil
		}
		out, err = s.begin(ctx, space, r, b) // nobody sets up a factor on the strength of an old session
		return out, true, err
	}
	if len(u.Identifiers) > 0 {
		l.Identifier = u.Identifiers[0].Value
	}
	value, err := s.Logins.Keep(ctx, l)
	if err != nil {
		return Outcome{}, false, err
	}
	next, err := s.address(space, l)
	return Outcome{Location: next, Cookies: append(s.oldLogins(b), s.loginCookie(l, value))}, true, err
}

// raised is Authorize for a session that is worth less than the request wants.
func (s *Service) raised(ctx context.Context, space *live.Space, r login.Request, on *session.Session, b Browser) (Outcome, error) {
	out, ok, err := s.raise(ctx, space, r, on, b)
	switch {
	case err != nil || ok:
		return out, err
	case demandOf(space, r).essential:
		return s.Deny(ctx, space, r, CodeUnmet, "The person has no second factor here."), nil
	}
	return s.signedOn(ctx, space, r, on, b)
}

// reaches tells whether a fresh sign-in of a person can be worth two factors
// although none of the pool's second factors is theirs: they set one up in it, or
// they come by a passkey.
func reaches(owner *pool.Pool, u *pool.User) bool {
	return offers(owner.SecondFactorAuthenticationMechanisms, pool.MechanismTOTP) ||
		(offers(owner.AuthenticationMechanisms, pool.MechanismWebAuthn) && len(u.Passkeys()) > 0)
}

// proven are the methods behind a session, as the gateway saw them: its amr may be
// what the IDP was told to say. A session that does not tell counts as one that
// began with a code, after which the least will do as a second factor.
func proven(on *session.Session) []string {
	if len(on.Proven) > 0 {
		return on.Proven
	}
	return []string{amrCode}
}

// raising refuses to go on with a login that raises a session which is no longer
// this browser's: whoever signed out, or in as somebody else, in another tab has
// taken the first factor away.
func raising(l login.Login, current *session.Session) error {
	if l.Raises != "" && (current == nil || current.ID != l.Raises) {
		return login.ErrGone
	}
	return nil
}

// stillRaises is raising without the browser at hand: the session lives.
func (s *Service) stillRaises(ctx context.Context, space *live.Space, l login.Login) error {
	if l.Raises == "" {
		return nil
	}
	_, err := s.Sessions.ByID(ctx, space.Tenant, l.Raises)
	return unless(err, login.ErrGone)
}

// ACRValues are the authentication context classes that people can reach in a
// workspace.
func (s *Service) ACRValues(ctx context.Context, space *live.Space) ([]string, error) {
	for _, p := range space.IDPs {
		if p.Method != idp.IdentityPool {
			continue
		}
		owner, err := s.Pools.Get(ctx, space.Tenant, p.IdentityPoolID)
		if err != nil {
			return nil, err
		}
		if len(owner.SecondFactorAuthenticationMechanisms) > 0 || offers(owner.AuthenticationMechanisms, pool.MechanismWebAuthn) {
			return ladder(), nil
		}
	}
	return []string{ACROne}, nil
}
