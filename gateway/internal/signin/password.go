package signin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
)

// Choose takes the IDP that the person picked. It must be one of the
// workspace's that the chooser drew.
func (s *Service) Choose(ctx context.Context, space *live.Space, l login.Login, id string) (Outcome, error) {
	p, ok := space.IDP(id)
	if !ok || (p.Hidden && p.ID != l.Request.IDPHint) {
		return Outcome{}, fault.At(fault.Invalid, "authentication_id", "is not one of the ways to sign in here")
	}
	if l.User != "" {
		return Outcome{}, login.ErrGone
	}
	l.IDP = p.ID
	value, err := s.Logins.Seal(l)
	if err != nil {
		return Outcome{}, err
	}
	next, err := s.address(space, l)
	return Outcome{Location: next, Cookies: []Cookie{s.loginCookie(l, value)}}, err
}

// ErrWrong is the one answer to a password that does not sign anybody in,
// whoever it was tried for and whatever was wrong.
func ErrWrong(cause error) error {
	return fault.New(fault.Unauthenticated, "The name or the password is not right. Please try again.", cause)
}

// CodeResetRequired is the code of the refusal of a right password that can no
// longer be used: the person must reset it.
const CodeResetRequired = "password_reset_required"

// errReset tells who knows the password that it must be reset.
func errReset(cause error) error {
	e := fault.New(fault.Unauthenticated, "This password can no longer be used. Please choose a new one with “Forgot your password?”.", cause)
	e.Code = CodeResetRequired
	return e
}

// Password tries to prove who the person is. ErrWrong when it does not; then
// the login goes on unchanged.
func (s *Service) Password(ctx context.Context, space *live.Space, l login.Login, identifier, password string, b Browser) (Outcome, error) {
	owner, p, err := s.first(ctx, space, l)
	if err != nil {
		return Outcome{}, err
	}
	if !offers(owner.AuthenticationMechanisms, pool.MechanismPassword) {
		return Outcome{}, errMethod()
	}
	ctx = s.WithOrigin(s.actor(ctx, space, l, p), space.Tenant, b)
	began := s.Now() // a revocation while the password is hashed counts
	known := proof{amr: amrPassword, identifier: identifier, at: began}
	r, forget, err := s.Users.ProvePassword(ctx, space.Tenant, owner.ID, pool.Proof{
		Kind: limit.KindAuthentication, Identifier: identifier, Password: password,
		Admit: func(u *pool.User) error { // the password may be good for one sign-in, which must not be lost
			_, err := s.prove(ctx, space, l, &owner, u, known, b)
			return err
		},
	})
	if err != nil {
		return Outcome{}, err
	}
	if !r.Proven() {
		if err := forget(ctx); err != nil {
			return Outcome{}, err
		}
		cause := fmt.Errorf("%s, password %s, user %s", r.Outcome, r.State, r.User.Status)
		wrong := ErrWrong(cause)
		if known := r.Outcome == pool.PasswordCorrect || r.Outcome == pool.PasswordExpired; known && r.User.Status == pool.StatusActive {
			wrong = errReset(cause)
		}
		return Outcome{}, s.failed(ctx, space, owner.ID, string(r.Outcome), wrong)
	}
	known.changeDue = r.State == pool.StateMustBeChanged
	known.beside = func() error { return forget(ctx) }
	return s.proven(ctx, space, l, &owner, &r.User, known, b)
}

// NewPassword sets the password that must be changed before the login goes on.
func (s *Service) NewPassword(ctx context.Context, space *live.Space, l login.Login, password string, b Browser) (Outcome, error) {
	p, ok := space.IDP(l.IDP)
	if !ok || login.Next(l) != login.NewPassword || l.Pool != p.IdentityPoolID {
		return Outcome{}, login.ErrGone
	}
	owner, u, err := s.half(ctx, space, l) // also refuses when another password was set meanwhile
	if err != nil {
		return Outcome{}, err
	}
	remembered := false
	if l.Second == login.Passed { // in this login: who was remembered before is asked again
		if remembered, err = s.remembered(ctx, space, &owner, &u, b); err != nil {
			return Outcome{}, err
		}
	}
	ctx = s.actor(ctx, space, l, p)
	if err := s.Users.SetPassword(ctx, space.Tenant, l.Pool, l.User, password, pool.SetOptions{Field: "password"}); err != nil {
		return Outcome{}, err
	}
	l.ChangeDue, l.AuthTime = false, s.Now() // setting it ended what came before
	var cookies []Cookie
	if remembered {
		if cookies, err = s.rememberMFA(ctx, &u); err != nil {
			return Outcome{}, err
		}
	}
	out, err := s.proceed(ctx, space, l, b)
	out.Cookies = append(out.Cookies, cookies...)
	return out, err
}

// stillProven refuses to go on with a login whose person has been signed out
// everywhere, or got another password from somebody else, since the proof: who
// knew the old password must not overwrite the new one.
func (s *Service) stillProven(ctx context.Context, space *live.Space, l login.Login) error {
	_, active, err := s.activeUser(ctx, space.Tenant, l.Pool, l.User, l.UserEpoch)
	if err != nil {
		return err
	}
	gone := s.Marks.Dead(grant.Ref{
		Tenant: space.Tenant, Workspace: space.ID, Pool: l.Pool, User: l.User, IDP: l.IDP, Issued: l.AuthTime,
	})
	if !active || gone {
		return login.ErrGone
	}
	return nil
}

// proceed goes on with a login that has just proven something. What is given
// besides is done at the same time as the last of its own writes, and its error
// ends the login.
func (s *Service) proceed(ctx context.Context, space *live.Space, l login.Login, b Browser, beside ...func() error) (Outcome, error) {
	l, err := s.askConsent(ctx, space, l)
	if err != nil {
		return Outcome{}, err
	}
	if login.Next(l) == login.Finish {
		made, err := s.sessionOf(ctx, space, l)
		if err != nil {
			return Outcome{}, err
		}
		return s.finish(ctx, space, l, made, b, beside...)
	}
	if err := s.Logins.Finish(ctx, l); err != nil { // it is kept again, with another cookie
		return Outcome{}, err
	}
	var value string
	err = atOnce(append(beside, func() (err error) { value, err = s.Logins.Keep(ctx, l); return err })...)
	if err != nil {
		return Outcome{}, err
	}
	next, err := s.address(space, l)
	return Outcome{Location: next, Cookies: []Cookie{s.loginCookie(l, value)}}, err
}

// sessionOf builds the authentication context of a proven person and the
// session that carries it.
func (s *Service) sessionOf(ctx context.Context, space *live.Space, l login.Login) (session.Session, error) {
	p, ok := space.IDP(l.IDP)
	if !ok || p.IdentityPoolID != l.Pool {
		return session.Session{}, login.ErrGone
	}
	u, err := s.Users.Get(ctx, space.Tenant, l.Pool, l.User)
	if fault.Is(err, fault.NotFound) || (err == nil && (u.Epoch != l.UserEpoch || u.Status != pool.StatusActive)) {
		return session.Session{}, ErrWrong(err)
	}
	if err != nil {
		return session.Session{}, err
	}
	groups, err := s.Users.Groups(ctx, &u)
	if err != nil {
		return session.Session{}, err
	}
	known, err := idp.Context(p, view(u, groups, l.Identifier), idp.SignIn{
		AMR: l.AMR, ACR: classOf(l.AMR), Time: l.AuthTime, SubjectFormat: space.Workspace.SubjectFormat,
	})
	if err != nil {
		return session.Session{}, err
	}
	raw, err := json.Marshal(known)
	if err != nil {
		return session.Session{}, err
	}
	return session.Session{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Pool: l.Pool, User: u.ID, UserEpoch: u.Epoch, IDP: p.ID,
		Subject: known.Subject(), AuthTime: l.AuthTime, ACR: known.ACR(), AMR: known.AMR(), Proven: l.AMR, Context: raw,
	}, nil
}

// view is a pool user as the IDP reads it.
func view(u pool.User, groups []string, signedInWith string) idp.User {
	v := idp.User{
		Tenant: u.TenantID, Pool: u.PoolID, PoolEpoch: u.PoolEpoch, ID: u.ID, Payload: u.Payload,
		Groups: groups, Updated: u.UpdatedAt, SignedInWith: signedInWith,
	}
	for _, x := range u.Identifiers {
		v.Identifiers = append(v.Identifiers, idp.Identifier{Type: x.Type, Value: x.Value})
	}
	for _, x := range u.Addresses {
		v.Addresses = append(v.Addresses, idp.Address{Type: x.Type, Value: x.Value, Verified: x.Verified, Inactive: x.Status == pool.StatusInactive})
	}
	return v
}

// activeUser tells whether a pool user may still act; an empty epoch is not
// compared.
func (s *Service) activeUser(ctx context.Context, tenant, poolID, id, epoch string) (string, bool, error) {
	u, err := s.Users.Get(ctx, tenant, poolID, id)
	if fault.Is(err, fault.NotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return u.Epoch, u.Status == pool.StatusActive && (epoch == "" || epoch == u.Epoch), nil
}

// actor adds to the audit metadata who is signing in.
func (s *Service) actor(ctx context.Context, space *live.Space, l login.Login, p idp.IDP) context.Context {
	return audit.WithActor(ctx, audit.Actor{
		ClientID: l.Request.Client, SessionID: l.ID, IDPID: p.ID, IDPMethod: p.Method, PoolID: l.Pool, UserID: l.User,
	})
}

// record keeps an audit event of the workspace.
func (s *Service) record(ctx context.Context, space *live.Space, subject, action string, about map[string]any) error {
	payload, err := json.Marshal(map[string]any{subject + "_" + action: about})
	if err != nil {
		return err
	}
	return s.Audit.Record(ctx, audit.Event{
		Tenant: space.Tenant, Workspace: space.ID, Subject: subject, Action: action, Time: s.Now(), Payload: payload,
	})
}
