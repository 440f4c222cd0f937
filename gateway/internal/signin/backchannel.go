package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Back-channel logout (OpenID Connect Back-Channel Logout 1.0): when a session
// ends, each client that got tokens in it and has a backchannel_logout_uri is
// told.
//
//	first tokens ----> Participants.Join: a record
//	revocation in the change log --> Apply --> Tell --> the record is due, and sent
//	Redeliver, a job --------------------------------> what is due still, or again
//
// The record outlives the process, and so does the mark that ended the session:
// Tell begins with the marks of the last two days. Nobody waits for a client that
// is slow: it has a few slots (see slots), and what finds none is due again soon.
const (
	logoutTokenLife = 2 * time.Minute // section 2.4
	tellTimeout     = 5 * time.Second
	rememberEnds    = 48 * time.Hour
	mostEnds        = 10_000 // entries that wait for Tell

	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// RedeliverEvery is how often Redeliver should run.
const RedeliverEvery = 5 * time.Second

// ends are revocations that wait for Tell.
type ends struct {
	mu      sync.Mutex
	waiting []changes.Entry
	missed  bool // entries may have been missed: look at the marks
	wake    chan struct{}
}

func (e *ends) add(entries []changes.Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if entries == nil || len(e.waiting) > mostEnds {
		e.missed, e.waiting = true, nil
	}
	for _, x := range entries {
		if x.Revocation() && !e.missed {
			e.waiting = append(e.waiting, x)
		}
	}
	if e.missed || len(e.waiting) > 0 {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

func (e *ends) take() (entries []changes.Entry, missed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	entries, missed = e.waiting, e.missed
	e.waiting, e.missed = nil, false
	return entries, missed
}

// Apply takes entries of the change log; nil means that some may have been
// missed. It only notes them, for Tell.
func (s *Service) Apply(entries []changes.Entry) { s.ended.add(entries) }

// joins notes that a client got tokens in a session, if it wants to hear of its
// end.
func (s *Service) joins(ctx context.Context, space *live.Space, c *client.Client, t grant.Terms) error {
	if c.BackchannelLogoutURI == "" || t.Session == "" {
		return nil
	}
	on, err := s.Sessions.ByID(ctx, space.Tenant, t.Session)
	if isUnauthenticated(err) { // tokens that outlive it (OpenID Connect Core 1.0, section 11)
		return nil
	}
	if err != nil {
		return err
	}
	return s.Participants.Join(ctx, on, c.ClientID, c.Epoch)
}

// Tell tells clients of sessions that end, until ctx does; it waits for those
// under way and returns nil. What it does not get to is left to Redeliver.
func (s *Service) Tell(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	s.ended.add(nil) // what ended while nobody looked
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ended.wake:
		}
		entries, missed := s.ended.take()
		if missed {
			var err error
			if entries, err = s.Marks.Since(ctx, s.Now().Add(-rememberEnds)); err != nil {
				s.Log.Error("sessions that ended could not be looked up; clients may not be told", "error", err)
			}
		}
		var list []session.Told
		for _, e := range entries {
			found, err := s.Participants.Ended(ctx, e, s.over)
			if err != nil && ctx.Err() == nil {
				s.Log.Error("clients of a session that ended could not be looked up; they may not be told", "tenant", e.Tenant, "kind", e.Kind, "error", err)
			}
			if list = append(list, found...); len(list) >= mostTold {
				s.deliver(ctx, list, &under, s.notStored)
				list = nil
			}
		}
		s.deliver(ctx, list, &under, s.notStored)
	}
}

func (s *Service) notStored(err error) {
	if err == nil {
		return
	}
	s.Log.Error("the outcome of a logout message was not stored", "error", err)
}

// over tells whether the session of a participant has ended.
func (s *Service) over(p session.Told) bool {
	v := p.Value
	return s.Marks.Dead(grant.Ref{
		Tenant: p.Tenant, Workspace: v.Workspace, Pool: v.Pool, User: v.User, Subject: v.Subject, IDP: v.IDP,
		Session: v.Session, Issued: v.Created,
	})
}

// Redeliver tells every client that is due, of all tenants: the job that every
// gateway runs. Those who do not answer are no error here.
func (s *Service) Redeliver(ctx context.Context) error {
	var under sync.WaitGroup
	var failed failures
	for {
		list, err := s.Participants.Due(ctx, mostTold)
		failed.add(err)
		s.deliver(ctx, list, &under, failed.add)
		if err != nil || len(list) == 0 || ctx.Err() != nil {
			break
		}
	}
	under.Wait()
	return failed.all()
}

// tell tries one client and notes what came of it, also when ctx has ended
// meanwhile; told says whether they took it. The error is the store's.
func (s *Service) tell(ctx context.Context, m message) (told bool, _ error) {
	p, v := m.to, m.to.Value
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*tellTimeout)
	defer cancel()
	answer, again, err := s.post(note, m.space, m.client, v)
	about := []any{"tenant", p.Tenant, "workspace", v.Workspace, "client", v.Client, "session", v.Session, "try", v.Tries, "answer", answer}
	next := s.Now().Add(tellPause(v.Tries))
	switch {
	case err == nil:
		s.Log.Info("a client was told of a logout", about...)
		return true, s.Participants.Done(note, p)
	case again && next.Before(v.Ended.Add(session.TellFor)):
		s.Log.Warn("a client could not be told of a logout yet", append(about, "error", err)...)
		return false, s.Participants.Again(note, p, next)
	}
	s.Log.Log(note, slog.LevelError, "a client was not told of a logout", append(about, "error", err)...)
	return false, errors.Join(
		s.record(note, m.space, audit.SubjectTask, audit.ActionFailed, map[string]any{
			"task": "backchannel_logout", "client_id": v.Client, "session_id": v.Session, "tries": v.Tries, "answer": answer,
		}),
		s.Participants.Done(note, p))
}

// tellPause is how long to wait after so many tries, a little more or less.
func tellPause(tries int) time.Duration {
	steps := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute}
	step := steps[min(max(tries, 1), len(steps))-1]
	return time.Duration(float64(step) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter
}

// listener returns the client of a participant as it is now, nil when there is
// nobody to tell.
func (s *Service) listener(ctx context.Context, p session.Told) (*live.Space, *client.Client, error) {
	space, err := s.Live.Space(ctx, p.Tenant, p.Value.Workspace)
	if fault.Is(err, fault.NotFound) || (err == nil && space.Epoch != p.Value.WorkspaceEpoch) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := s.Client(ctx, space, p.Value.Client)
	if fault.Is(err, fault.NotFound) || (err == nil && (!c.Active() || c.Epoch != p.Value.ClientEpoch || c.BackchannelLogoutURI == "")) {
		return space, nil, nil
	}
	return space, c, err
}

// post sends a logout token (section 2.5). again says whether another try may do
// better.
func (s *Service) post(ctx context.Context, space *live.Space, c *client.Client, p session.Participant) (answer string, again bool, _ error) {
	raw, err := s.logoutToken(ctx, space, c, p)
	if err != nil {
		return "", true, err
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackchannelLogoutURI, strings.NewReader(url.Values{"logout_token": {raw}}.Encode()))
	if err != nil {
		return "", false, fmt.Errorf("backchannel_logout_uri: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	caller := *s.Egress
	caller.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := caller.Do(r)
	if err != nil {
		return "", !errors.Is(err, egress.ErrRefused), err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // the status decides; read so that the connection can be used again
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return resp.Status, false, nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		again = true
	}
	return resp.Status, again, fmt.Errorf("the client answered %s", resp.Status)
}

// logoutToken says that a session is over (section 2.4). It has no nonce, so that
// it is no ID token, and the type that makes it no access token.
func (s *Service) logoutToken(ctx context.Context, space *live.Space, c *client.Client, p session.Participant) (string, error) {
	sub, _ := subjectFor(space, c, grant.Terms{User: p.User, Subject: p.Subject})
	return s.Tokens.Sign(ctx, space.Token(), token.Logout, c.IDTokenSignedResponseAlg, token.Claims{
		"aud": c.ClientID, "sub": sub, "sid": p.SID,
		"events": map[string]any{logoutEvent: map[string]any{}},
	}, logoutTokenLife)
}
