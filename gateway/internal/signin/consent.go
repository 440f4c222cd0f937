package signin

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/session"
)

// PersonOf names whose session it is.
func PersonOf(on *session.Session) grant.Person {
	return grant.Person{Pool: on.Pool, User: on.User, UserEpoch: on.UserEpoch, Subject: on.Subject}
}

// consent is what who would allow a client of the workspace.
func consent(space *live.Space, c *client.Client, who grant.Person) grant.Consent {
	return grant.Consent{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch,
		Pool: who.Pool, User: who.User, UserEpoch: who.UserEpoch, Subject: who.Subject,
	}
}

// WantedScope is one scope that a client asks a person for.
type WantedScope struct {
	client.Scope
	Before bool // the person has allowed it before
}

// wantedScopes returns the scopes that who must allow a client, and whether they must
// be asked: a trusted client asks for nothing, a scope with an implicit grant is
// given, a transient one is asked for each time. Who has never allowed a client
// anything is asked even when it wants no scope: it learns who they are.
func (s *Service) wantedScopes(ctx context.Context, space *live.Space, c *client.Client, scopes []string, who grant.Person) ([]WantedScope, bool, error) {
	if c.Trusted {
		return nil, false, nil
	}
	allowed, before, err := s.Consents.Allowed(ctx, space.Tenant, consent(space, c, who))
	if err != nil {
		return nil, false, err
	}
	var list []WantedScope
	ask := len(scopes) == 0 && !before
	for _, name := range scopes {
		w := WantedScope{Scope: space.Scopes[name], Before: slices.Contains(allowed, name)}
		w.Name = name // also of one that the workspace no longer has
		if w.ImplicitGrant {
			continue
		}
		if w.Transient {
			w.Before = false
		}
		list = append(list, w)
		ask = ask || !w.Before
	}
	return list, ask, nil
}

// mustAsk tells whether a person must be asked before the client of a request
// gets what it asks for. prompt=consent asks whatever they allowed (OpenID Connect
// Core 1.0, section 3.1.2.1), but for a trusted client.
func (s *Service) mustAsk(ctx context.Context, space *live.Space, r login.Request, who grant.Person) (bool, error) {
	c, err := s.recheck(ctx, space, r)
	if err != nil || c.Trusted {
		return false, err
	}
	if r.Asks("consent") {
		return true, nil
	}
	_, ask, err := s.wantedScopes(ctx, space, c, consentScopes(space, c, r), who)
	return ask, err
}

// grantTo answers the client of a request for a session whose person allowed it
// at a time: unless they withdrew that since.
func (s *Service) grantTo(ctx context.Context, space *live.Space, r login.Request, on *session.Session, at time.Time) (Outcome, error) {
	out, err := s.respond(ctx, space, r, on)
	if err != nil {
		return Outcome{}, err
	}
	ref := Ref(on)
	ref.Client, ref.Issued = r.Client, at
	if !at.IsZero() && s.Marks.Dead(ref) {
		return Outcome{}, login.ErrGone
	}
	return out, nil
}

// signedOn answers a request for who is signed in: at once, or after the page
// that asks them whether the client may have what it wants.
func (s *Service) signedOn(ctx context.Context, space *live.Space, r login.Request, on *session.Session, b Browser) (Outcome, error) {
	at := s.Now()
	ask, err := s.mustAsk(ctx, space, r, PersonOf(on))
	switch {
	case err != nil:
		return Outcome{}, err
	case !ask:
		return s.grantTo(ctx, space, r, on, at)
	case r.Asks("none"):
		return s.Deny(ctx, space, r, "consent_required", "The person must be asked for consent, and prompt=none forbids asking."), nil
	}
	l := s.Logins.Begin(space.Tenant, space.ID, space.Epoch, r)
	l.IDP, l.Pool, l.User, l.UserEpoch, l.AuthTime, l.AMR = on.IDP, on.Pool, on.User, on.UserEpoch, on.AuthTime, on.AMR
	if l.User == "" {
		l.User = on.Subject // somebody has proven who they are
	}
	l.ConsentDue, l.Session = true, on.ID
	value, err := s.Logins.Seal(l)
	if err != nil {
		return Outcome{}, err
	}
	next, err := s.address(space, l)
	return Outcome{Location: next, Cookies: append(s.oldLogins(b), s.loginCookie(l, value))}, err
}

// askConsent finds out, for a login that is about to finish, whether the person
// must be asked.
func (s *Service) askConsent(ctx context.Context, space *live.Space, l login.Login) (login.Login, error) {
	if login.Next(l) != login.Finish || !l.Consented.IsZero() {
		return l, nil
	}
	at := s.Now()
	ask, err := s.mustAsk(ctx, space, l.Request, grant.Person{Pool: l.Pool, User: l.User, UserEpoch: l.UserEpoch})
	if err != nil {
		return l, err
	}
	if l.ConsentDue = ask; !ask {
		l.Consented = at
	}
	return l, nil
}

// Question is what a client asks of a person.
type Question struct {
	Client     *client.Client
	Name       string // of the person; may be empty
	Identifier string
	Scopes     []WantedScope
}

// Question returns what the login's person is asked, or login.ErrGone.
func (s *Service) Question(ctx context.Context, space *live.Space, l login.Login, b Browser) (Question, error) {
	who, about, err := s.questioned(ctx, space, l, b)
	if err != nil {
		return Question{}, err
	}
	c, err := s.recheck(ctx, space, l.Request)
	if err != nil {
		return Question{}, err
	}
	q := Question{Client: c, Name: about.String("name"), Identifier: about.String("preferred_username")}
	if q.Identifier == "" {
		q.Identifier = l.Identifier
	}
	q.Scopes, _, err = s.wantedScopes(ctx, space, c, consentScopes(space, c, l.Request), who)
	return q, err
}

// questioned returns whom a login asks for consent, and what is known of them. Of who
// was signed in already it is the session that counts: when it has ended, or is
// not this browser's any more, the login is gone.
func (s *Service) questioned(ctx context.Context, space *live.Space, l login.Login, b Browser) (grant.Person, authctx.Context, error) {
	var about authctx.Context
	if login.Next(l) != login.Consent {
		return grant.Person{}, about, login.ErrGone
	}
	if l.Session == "" {
		if _, _, err := s.half(ctx, space, l); err != nil {
			return grant.Person{}, about, err
		}
		return grant.Person{Pool: l.Pool, User: l.User, UserEpoch: l.UserEpoch}, about, nil
	}
	on, err := s.consenting(ctx, space, l, b)
	if err != nil {
		return grant.Person{}, about, err
	}
	_ = json.Unmarshal(on.Context, &about) // written by us; unreadable means that nothing is known
	return PersonOf(on), about, nil
}

// consenting returns the session of a login that began in one.
func (s *Service) consenting(ctx context.Context, space *live.Space, l login.Login, b Browser) (*session.Session, error) {
	on, err := s.current(ctx, space, b)
	if err == nil && (on == nil || on.ID != l.Session) {
		err = login.ErrGone
	}
	return on, err
}

// Allow takes the consent of a login's person to all that its client asks for,
// and goes on.
func (s *Service) Allow(ctx context.Context, space *live.Space, l login.Login, b Browser) (Outcome, error) {
	who, _, err := s.questioned(ctx, space, l, b)
	if err != nil {
		return Outcome{}, err
	}
	c, err := s.recheck(ctx, space, l.Request)
	if err != nil {
		return Outcome{}, err
	}
	at := s.Now()
	if l.Session != "" {
		on, err := s.consenting(ctx, space, l, b)
		if err != nil {
			return Outcome{}, err
		}
		if err := s.allow(ctx, space, c, consentScopes(space, c, l.Request), who, on.IDP); err != nil {
			return Outcome{}, err
		}
		out, err := s.grantTo(ctx, space, l.Request, on, at)
		out.Cookies = append(out.Cookies, s.dropLogin(l))
		return out, err
	}
	made, err := s.sessionOf(ctx, space, l)
	if err != nil {
		return Outcome{}, err
	}
	who.Subject = made.Subject
	if err := s.allow(ctx, space, c, consentScopes(space, c, l.Request), who, made.IDP); err != nil {
		return Outcome{}, err
	}
	l.ConsentDue, l.Consented = false, at
	return s.finish(ctx, space, l, made, b)
}

// allow keeps a consent. Scopes that need none, and transient ones, are not kept.
func (s *Service) allow(ctx context.Context, space *live.Space, c *client.Client, scopes []string, who grant.Person, idp string) error {
	if c.Trusted {
		return nil
	}
	given := consent(space, c, who)
	given.IDP = idp
	for _, name := range scopes {
		if x := space.Scopes[name]; !x.Transient && !x.ImplicitGrant {
			given.Scopes = append(given.Scopes, name)
		}
	}
	id, err := s.Consents.Give(ctx, space.Tenant, given)
	if err != nil {
		return err
	}
	grants := make([]map[string]any, len(scopes))
	for i, name := range scopes {
		grants[i] = map[string]any{"scope_name": name, "client_id": c.ClientID, "subject": who.Subject}
	}
	return s.record(s.asActor(ctx, c, who, idp), space, audit.SubjectScopes, audit.ActionGranted,
		map[string]any{"consent_id": id, "new_scope_grants": grants})
}

// asActor adds to the audit metadata who answers a client.
func (s *Service) asActor(ctx context.Context, c *client.Client, who grant.Person, idp string) context.Context {
	return audit.WithActor(ctx, audit.Actor{ClientID: c.ClientID, Subject: who.Subject, PoolID: who.Pool, UserID: who.User, IDPID: idp})
}

// Refuse ends a login whose person does not allow the client what it asks for.
func (s *Service) Refuse(ctx context.Context, space *live.Space, l login.Login, b Browser) (Outcome, error) {
	who, _, err := s.questioned(ctx, space, l, b)
	if err != nil {
		return Outcome{}, err
	}
	c, err := s.recheck(ctx, space, l.Request)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.Logins.Finish(ctx, l); err != nil {
		return Outcome{}, err
	}
	if err := s.rejected(ctx, space, c, consentScopes(space, c, l.Request), who, l.IDP); err != nil {
		return Outcome{}, err
	}
	out := s.Deny(ctx, space, l.Request, "access_denied", "The person did not allow it.")
	out.Cookies = append(out.Cookies, s.dropLogin(l))
	return out, nil
}

func (s *Service) rejected(ctx context.Context, space *live.Space, c *client.Client, scopes []string, who grant.Person, idp string) error {
	return s.record(s.asActor(ctx, c, who, idp), space, audit.SubjectConsent, audit.ActionRejected,
		map[string]any{"client_id": c.ClientID, "scopes": scopes})
}

func (s *Service) dropLogin(l login.Login) Cookie {
	return Cookie{Name: s.names.Login(l.ID), Life: -1, Secure: s.names.Secure}
}
