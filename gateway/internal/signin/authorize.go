package signin

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// maxLogins is how many sign-ins one browser may run at once; the oldest ends.
const maxLogins = 5

// Authorize goes on with a checked authorization request: with a session that
// satisfies it a code, else the first step of a login. With prompt=none every
// outcome goes back to the client (OpenID Connect Core 1.0, section 3.1.2.1).
func (s *Service) Authorize(ctx context.Context, space *live.Space, r login.Request, b Browser) (Outcome, error) {
	out, err := s.authorize(ctx, space, r, b)
	if err == nil || !r.Asks("none") {
		return out, err
	}
	if _, err := s.recheck(ctx, space, r); err != nil { // the address may no longer be the client's
		return Outcome{}, err
	}
	s.Log.Warn("authorization without a page failed", "tenant", space.Tenant, "client", r.Client, "error", err)
	code, say := "server_error", "The sign-in failed for a reason of ours."
	switch {
	case errors.Is(err, login.ErrGone):
		code, say = "login_required", "The session has just ended."
	case fault.Is(err, fault.Unavailable) || errors.Is(err, store.ErrUnavailable):
		code, say = "temporarily_unavailable", "A part of this service is away for a moment. Try again shortly."
	}
	return s.Deny(ctx, space, r, code, say), nil
}

func (s *Service) authorize(ctx context.Context, space *live.Space, r login.Request, b Browser) (Outcome, error) {
	d := demandOf(space, r)
	if d.essential && !d.possible() {
		return s.Deny(ctx, space, r, CodeUnmet, "No sign-in here reaches any of the wanted authentication context classes."), nil
	}
	current, err := s.current(ctx, space, b)
	if err != nil {
		return Outcome{}, err
	}
	c, err := s.recheck(ctx, space, r)
	if err != nil {
		return Outcome{}, err
	}
	if current != nil && s.satisfies(space, current, r) && wanted(space, c, r, current) {
		_, met := d.met(current.ACR)
		if met || (r.Asks("none") && !d.essential) {
			return s.signedOn(ctx, space, r, current, b)
		}
		if !r.Asks("none") {
			return s.raised(ctx, space, r, current, b)
		}
	}
	if r.Asks("none") {
		return s.Deny(ctx, space, r, "login_required", "Nobody is signed in as the request wants it, and prompt=none forbids asking."), nil
	}
	return s.begin(ctx, space, r, b)
}

// current returns the browser's live session in the workspace, or nil.
func (s *Service) current(ctx context.Context, space *live.Space, b Browser) (*session.Session, error) {
	for _, secret := range b.Cookies(s.names.Session(space.Tenant, space.ID)) {
		found, err := s.Sessions.Find(ctx, space.Tenant, secret)
		if fault.Is(err, fault.Unauthenticated) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found.Parent == "" && found.Workspace == space.ID && found.WorkspaceEpoch == space.Epoch {
			return found, nil
		}
	}
	return nil, nil
}

// Current returns the browser's session in the workspace, or
// fault.Unauthenticated.
func (s *Service) Current(ctx context.Context, space *live.Space, b Browser) (*session.Session, error) {
	current, err := s.current(ctx, space, b)
	if err == nil && current == nil {
		return nil, fault.New(fault.Unauthenticated, "You are not signed in.", nil)
	}
	return current, err
}

// satisfies tells whether a session answers the request without asking again
// (OpenID Connect Core 1.0, section 3.1.2.3). One that came by an IDP which was
// removed, disabled or taken out of single sign-on does not.
func (s *Service) satisfies(space *live.Space, current *session.Session, r login.Request) bool {
	p, ok := space.IDP(current.IDP)
	if !ok || p.SSO.Disabled || r.Asks("login") || r.Asks("select_account") {
		return false
	}
	return r.MaxAge < 0 || s.Now().Sub(current.AuthTime) <= r.MaxAge
}

func (s *Service) begin(ctx context.Context, space *live.Space, r login.Request, b Browser) (Outcome, error) {
	l := s.Logins.Begin(space.Tenant, space.ID, space.Epoch, r)
	id, ok := login.Select(r.IDPHint, candidates(space))
	if !ok {
		return Outcome{}, fault.New(fault.Unavailable, "No way to sign in is set up here yet. Please tell the operator: the workspace has no identity provider.", nil)
	}
	l.IDP = id
	value, err := s.Logins.Seal(l)
	if fault.Is(err, fault.Invalid) { // too long for a cookie
		return s.Deny(ctx, space, r, "invalid_request", fault.Read(err).Public), nil
	}
	if err != nil {
		return Outcome{}, err
	}
	next, err := s.address(space, l)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Location: next, Cookies: append(s.oldLogins(b), s.loginCookie(l, value))}, nil
}

func candidates(space *live.Space) []login.Candidate {
	list := make([]login.Candidate, 0, len(space.IDPs))
	for _, p := range space.IDPs {
		list = append(list, login.Candidate{ID: p.ID, Hidden: p.Hidden})
	}
	return list
}

func (s *Service) loginCookie(l login.Login, value string) Cookie {
	return Cookie{Name: s.names.Login(l.ID), Value: value, Life: l.Expires.Sub(s.Now()), Secure: s.names.Secure}
}

// oldLogins keeps a browser from collecting login cookies until its requests
// are refused for their size.
func (s *Service) oldLogins(b Browser) []Cookie {
	var held []string
	for _, name := range b.Names() {
		if s.names.IsLogin(name) {
			held = append(held, name)
		}
	}
	return s.drop(held, maxLogins)
}

// address is the page of the step that a login waits for.
func (s *Service) address(space *live.Space, l login.Login) (string, error) {
	q := url.Values{"login_id": {l.ID}, "login_state": {l.State}}
	switch login.Next(l) {
	case login.Choose:
		return "/" + space.Tenant + "/" + space.ID + "/login?" + q.Encode(), nil
	case login.Consent:
		return "/" + space.Tenant + "/" + space.ID + "/consent?" + q.Encode(), nil
	case login.Authenticate, login.SecondFactor, login.EnrolTOTP, login.NewPassword, login.Finish:
	}
	p, ok := space.IDP(l.IDP)
	if !ok {
		return "", login.ErrGone
	}
	q.Set("server_id", space.ID)
	return "/" + space.Tenant + "/identity/" + p.IdentityPoolID + "/login?" + q.Encode(), nil
}

// Address is the page of the step that a login waits for; empty when its IDP is
// gone.
func (s *Service) Address(space *live.Space, l login.Login) string {
	at, err := s.address(space, l)
	if err != nil {
		return ""
	}
	return at
}

// Login returns the running login that the browser may go on with, and its
// workspace; login.ErrGone when there is none.
func (s *Service) Login(ctx context.Context, tenant, id, state string, b Browser) (login.Login, *live.Space, error) {
	l, err := s.Logins.Resolve(ctx, tenant, id, state, b.Cookies(s.names.Login(id)))
	if err != nil {
		return l, nil, err
	}
	space, err := s.Live.Space(ctx, l.Tenant, l.Workspace)
	if fault.Is(err, fault.NotFound) || (err == nil && space.Epoch != l.Epoch) {
		return l, nil, login.ErrGone
	}
	return l, space, err
}

// respond issues a code for the session and returns the authorization response
// (RFC 6749, section 4.1.2, with the issuer by RFC 9207). A session of another
// person than the request is about, or of less than it insists on, gets none,
// however the browser came here.
func (s *Service) respond(ctx context.Context, space *live.Space, r login.Request, on *session.Session) (Outcome, error) {
	c, err := s.recheck(ctx, space, r)
	if err != nil {
		return Outcome{}, err
	}
	if !wanted(space, c, r, on) {
		return s.Deny(ctx, space, r, "login_required", "Another person signed in than the request is about."), nil
	}
	d := demandOf(space, r)
	acr, ok := d.met(on.ACR)
	if !ok && d.essential {
		return s.Deny(ctx, space, r, CodeUnmet, "The person could not sign in as strongly as the request insists on."), nil
	}
	claims, err := release(space, c, r, on.Context)
	if err != nil {
		return Outcome{}, err
	}
	code, err := s.Codes.Issue(ctx, space.Tenant, grant.Code{
		RedirectURI: r.RedirectURI, Named: r.RedirectSent, Challenge: r.Challenge,
		Terms: grant.Terms{
			Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: r.Client, ClientEpoch: c.Epoch,
			Pool: on.Pool, User: on.User, UserEpoch: on.UserEpoch, IDP: on.IDP, Subject: on.Subject,
			Session: on.ID, Scopes: r.Scopes, Nonce: r.Nonce,
			AuthTime: on.AuthTime, ACR: acr, AMR: on.AMR, Context: on.Context, Claims: claims, DPoPKey: r.DPoPKey,
		},
	}, space.CodeTTL(c))
	if err != nil {
		return Outcome{}, err
	}
	if s.Marks.Dead(Ref(on)) { // it ended while the code was made, which is therefore younger than the end
		return Outcome{}, login.ErrGone
	}
	return s.answer(space, r, url.Values{"code": {code}}), nil
}

// recheck looks again at what the request was checked for when it came: a login
// may take half an hour, in which its client can change or go. Its errors are
// for a page, because the address may no longer be the client's.
func (s *Service) recheck(ctx context.Context, space *live.Space, r login.Request) (*client.Client, error) {
	c, err := s.Client(ctx, space, r.Client)
	if fault.Is(err, fault.NotFound) || (err == nil && !c.Active()) {
		return nil, fault.At(fault.Invalid, "client_id", "is no longer an active client of this workspace")
	}
	if err != nil {
		return nil, err
	}
	if !s.AllowsRedirect(space, c, r.RedirectURI) {
		return nil, fault.At(fault.Invalid, "redirect_uri", "is no longer registered for this client")
	}
	if len(merge(r.Scopes, c.Scopes)) != len(r.Scopes) {
		return nil, fault.At(fault.Invalid, "scope", "asks for more than the client is now subscribed to")
	}
	return c, nil
}

// Deny returns the error response to an authorization request whose redirect
// URI was checked (RFC 6749, section 4.1.2.1; trace_id by the contract).
func (s *Service) Deny(ctx context.Context, space *live.Space, r login.Request, code, description string) Outcome {
	v := url.Values{"error": {code}, "error_description": {description}}
	if id := audit.From(ctx).TraceID; id != "" {
		v.Set("trace_id", id)
	}
	return s.answer(space, r, v)
}

func (s *Service) answer(space *live.Space, r login.Request, v url.Values) Outcome {
	v.Set("iss", s.Tokens.Issuer(space.Tenant, space.ID))
	if r.State != "" {
		v.Set("state", r.State)
	}
	switch r.ResponseMode {
	case "form_post":
		form := make(map[string]string, len(v))
		for name := range v {
			form[name] = v.Get(name)
		}
		return Outcome{Location: r.RedirectURI, Form: form}
	case "fragment":
		return Outcome{Location: r.RedirectURI + "#" + v.Encode()}
	default:
		glue := "?"
		if strings.Contains(r.RedirectURI, "?") {
			glue = "&"
		}
		return Outcome{Location: r.RedirectURI + glue + v.Encode()}
	}
}

// finish makes the session of a login that has proven everything, ends the one
// it replaces, and answers the client. For beside see proceed.
func (s *Service) finish(ctx context.Context, space *live.Space, l login.Login, made session.Session, b Browser, beside ...func() error) (Outcome, error) {
	if err := s.Logins.Finish(ctx, l); err != nil {
		return Outcome{}, err
	}
	previous, err := s.current(ctx, space, b)
	if err == nil {
		err = raising(l, previous)
	}
	if err != nil {
		return Outcome{}, err
	}
	made.IP, made.UserAgent = b.IP.String(), clip(b.UserAgent, 512)
	s.lifetimes(space, &made)
	if l.Raises != "" {
		made.Expires = previous.Expires // a second factor makes it stronger, not longer
	}
	secret, started := s.Sessions.Draft(space.Tenant, made)
	var out Outcome
	err = atOnce(append(beside, // one wait for the disk rather than several
		func() error { return s.Sessions.Keep(ctx, started) },
		func() error { return s.succeeded(ctx, space, l, started) },
		func() (err error) { out, err = s.hand(ctx, space, l, started, previous); return err })...)
	if err != nil { // nobody will ever hold its cookie
		return Outcome{}, errors.Join(err, s.Sessions.End(ctx, space.Tenant, started.ID))
	}
	known, err := s.known(space.Tenant, l.Pool, l.User, b)
	if err != nil {
		return Outcome{}, err
	}
	out.Cookies = append(out.Cookies, known,
		Cookie{Name: s.names.Session(space.Tenant, space.ID), Value: secret, Secure: s.names.Secure},
		Cookie{Name: s.names.Login(l.ID), Life: -1, Secure: s.names.Secure})
	return out, nil
}

// atOnce does several things, each of which may wait for the disk, at the same
// time, and returns when all are done.
func atOnce(work ...func() error) error {
	done := make(chan error, len(work))
	for _, do := range work {
		go func() { done <- do() }()
	}
	var err error
	for range work {
		err = errors.Join(err, <-done)
	}
	return err
}

// succeeded records a sign-in.
func (s *Service) succeeded(ctx context.Context, space *live.Space, l login.Login, on *session.Session) error {
	ctx = audit.WithActor(ctx, audit.Actor{
		ClientID: l.Request.Client, Subject: on.Subject, SessionID: on.ID, IDPID: on.IDP, PoolID: on.Pool, UserID: on.User,
	})
	return s.record(ctx, space, audit.SubjectLogin, audit.ActionSucceeded, map[string]any{
		"identity_pool_id": on.Pool, "user_id": on.User, "amr": on.AMR, "client_id": l.Request.Client,
	})
}

// hand ends the session that a new one replaces and answers the client.
func (s *Service) hand(ctx context.Context, space *live.Space, l login.Login, started, previous *session.Session) (Outcome, error) {
	proof := Ref(started)
	proof.Issued = l.AuthTime
	if l.Raises != "" {
		proof = Ref(previous)
	}
	if s.Marks.Dead(proof) { // the person was signed out everywhere after the proof
		return Outcome{}, login.ErrGone
	}
	if l.Raises != "" { // to the clients it is the session that it was
		if err := s.Participants.Move(ctx, previous, started); err != nil {
			return Outcome{}, err
		}
	}
	if previous != nil {
		if err := s.Sessions.End(ctx, space.Tenant, previous.ID); err != nil {
			return Outcome{}, err
		}
	}
	return s.grantTo(ctx, space, l.Request, started, l.Consented)
}

// Ref names what a session hangs on.
func Ref(on *session.Session) grant.Ref {
	return grant.Ref{
		Tenant: on.Tenant, Workspace: on.Workspace, Pool: on.Pool, User: on.User, Subject: on.Subject, IDP: on.IDP,
		Session: on.Root(), Issued: on.Created,
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// merge returns the scopes of want that are in have, in the order of want.
func merge(want, have []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(x string) bool { return !slices.Contains(have, x) })
}
