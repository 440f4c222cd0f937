package signin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// listener is a client's backchannel_logout_uri.
type listener struct {
	*httptest.Server
	came chan http.Header // one for each message, after its token was kept

	mu     sync.Mutex
	status int
	tokens []string
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{came: make(chan http.Header, 100), status: http.StatusOK}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.tokens = append(l.tokens, r.PostFormValue("logout_token"))
		status := l.status
		l.mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", l.URL+"/elsewhere")
		}
		w.WriteHeader(status)
		l.came <- r.Header
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

// next waits for a message and returns its token.
func (l *listener) next(t *testing.T) string {
	t.Helper()
	select {
	case h := <-l.came:
		if got := h.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
			t.Errorf("Content-Type: %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens[len(l.tokens)-1]
}

func (l *listener) none(t *testing.T, what string) {
	t.Helper()
	select {
	case <-l.came:
		t.Errorf("%s: told", what)
	default:
	}
}

// hears lets the demo's public client listen.
func hears(w *signintest.World, l *listener) {
	w.T.Helper()
	w.ChangeClient("demo-public", func(c *client.Client) { c.BackchannelLogoutURI = l.URL + "/bye" })
}

// tell runs Tell until the test ends, or stop is called.
func tell(t *testing.T, w *signintest.World) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Signin.Tell(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func claims(t *testing.T, raw string) (map[string]any, string) {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256})
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		t.Fatal(err)
	}
	typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	return c, typ
}

func TestClientsHearOfTheEnd(t *testing.T) {
	t.Parallel()
	key := tenant.Key{Tenant: "default", Workspace: "default"}
	for name, end := range map[string]func(w *signintest.World, on *session.Session) error{
		"sign-out": func(w *signintest.World, on *session.Session) error {
			return w.Sessions.End(t.Context(), on.Tenant, on.ID)
		},
		"user": func(w *signintest.World, on *session.Session) error {
			return w.Signin.EndUser(t.Context(), on.Tenant, on.Pool, on.User)
		},
		"subject": func(w *signintest.World, on *session.Session) error {
			return w.Signin.EndSubject(t.Context(), key, on.Subject)
		},
		"IDP": func(w *signintest.World, on *session.Session) error { return w.Signin.EndIDP(t.Context(), key, on.IDP) },
		"pool": func(w *signintest.World, on *session.Session) error {
			return w.Marks.Append(t.Context(), changes.Entry{Kind: changes.KindRevokeUser, Tenant: on.Tenant, ID: on.Pool + "/"})
		},
		"user switched off": func(w *signintest.World, _ *session.Session) error {
			w.SetStatus(signintest.Alice, "inactive")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, l := newWorld(t), listen(t)
			hears(w, l)
			a := w.Agent()
			set := a.Tokens("openid")
			on := a.Session()
			tell(t, w)
			w.OK(end(w, on))
			raw := l.next(t)
			got, typ := claims(t, raw)
			for _, member := range []string{"iat", "exp", "jti"} {
				if got[member] == nil {
					t.Errorf("no %s", member)
				}
			}
			if life := got["exp"].(float64) - got["iat"].(float64); life != 120 {
				t.Errorf("it lives %v s", life)
			}
			delete(got, "iat")
			delete(got, "exp")
			delete(got, "jti")
			want := map[string]any{
				"iss": base + "/default/default", "aud": "demo-public", "sub": on.Subject, "sid": on.ID,
				"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			}
			if diff := cmp.Diff(want, got); diff != "" || typ != "logout+jwt" {
				t.Errorf("typ %s (-want +got):\n%s", typ, diff)
			}
			if idToken, _ := claims(t, set.IDToken); idToken["sid"] != on.ID {
				t.Error("the sid is not that of the ID token")
			}
			for kind, k := range map[string]token.Kind{"an ID token": token.ID, "an access token": token.Access} {
				if _, err := w.Tokens.Verify(t.Context(), w.Home().Token(), k, "", raw); err == nil {
					t.Errorf("it is accepted as %s", kind)
				}
			}
			_, err := w.Signin.Bearer(t.Context(), w.Home(), "", raw)
			wantKind(t, err, fault.Unauthenticated, "as a bearer")
			_, err = w.Signin.PlanLogout(t.Context(), w.Home(), signin.Logout{IDTokenHint: raw}, a.Browser())
			wantKind(t, err, fault.Invalid, "as an id_token_hint")
		})
	}
}

// Who does not ask is not noted, and whose session goes on is not told.
func TestOnlyThoseConcernedHear(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), listen(t)
	w.Agent().Tokens("openid")
	if n := participants(w); n != 0 {
		t.Errorf("%d participants without a backchannel_logout_uri", n)
	}
	hears(w, l)
	mine, other := w.Agent(), w.Agent()
	mine.Tokens("openid")
	other.Tokens("openid")
	stop := tell(t, w)
	w.OK(w.Signin.EndOthers(t.Context(), mine.Session()))
	if got, _ := claims(t, l.next(t)); got["sid"] == mine.Session().ID {
		t.Error("told of the session that goes on")
	}
	stop() // after what came of it was written
	w.OK(w.Signin.Redeliver(t.Context()))
	l.none(t, "a second time")
	if n := participants(w); n != 1 {
		t.Errorf("%d participants are left", n)
	}
}

func participants(w *signintest.World) int {
	w.T.Helper()
	indexes := map[string]func(*json.RawMessage) (store.Key, bool){}
	for _, name := range []string{"session", "pool", "user", "subject", "idp"} {
		indexes[name] = func(*json.RawMessage) (store.Key, bool) { return store.Key{}, false }
	}
	table, err := store.Declare(w.T.Context(), w.Store, store.Spec[json.RawMessage]{Name: "participants", Indexes: indexes})
	w.OK(err)
	n, err := table.Count(w.T.Context(), "default", store.Query{})
	w.OK(err)
	return n
}

// A message survives the process: the session ended while nobody told anyone.
func TestLogoutMessagesSurvive(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), listen(t)
	hears(w, l)
	a := w.Agent()
	a.Tokens("openid")
	w.OK(w.Sessions.End(t.Context(), "default", a.Session().ID))
	l.none(t, "before anybody looked")
	w.Pass(time.Hour)
	tell(t, w) // begins with the marks
	l.next(t)
}

func TestLogoutMessagesAreRepeated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		tries  int // within two hours
	}{
		"server error": {http.StatusInternalServerError, 9}, "too many": {http.StatusTooManyRequests, 9}, "time-out": {http.StatusRequestTimeout, 9},
		"refused": {http.StatusBadRequest, 1}, "gone": {http.StatusNotFound, 1}, "redirect": {http.StatusFound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, l := newWorld(t), listen(t)
			hears(w, l)
			l.answer(tc.status)
			a := w.Agent()
			a.Tokens("openid")
			stop := tell(t, w)
			w.OK(w.Sessions.End(t.Context(), "default", a.Session().ID))
			l.next(t)
			stop()
			tries := 1
			for range 7200 / 5 {
				w.Pass(5 * time.Second)
				w.OK(w.Signin.Redeliver(t.Context()))
				for len(l.came) > 0 {
					<-l.came
					tries++
				}
			}
			if tries < min(tc.tries, 2) || tries > tc.tries {
				t.Errorf("%d tries, want at most %d", tries, tc.tries)
			}
			if n := participants(w); n != 0 {
				t.Errorf("%d are left", n)
			}
			events, err := w.Audit.List(t.Context(), "default", "default", audit.Page{Limit: 100})
			w.OK(err)
			if !slices.ContainsFunc(events, func(e audit.Event) bool {
				return e.Subject == audit.SubjectTask && e.Action == audit.ActionFailed
			}) {
				t.Error("no audit event")
			}
		})
	}
}

// A second factor gives a session another id. To clients it is the one that it
// was: they hear nothing of the change, and of the end under the sid they know.
func TestStepUpTellsNobody(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), listen(t)
	hears(w, l)
	a := w.Agent()
	a.Tokens("openid")
	known := a.Session().ID
	secret := app(w, signintest.Alice)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	tell(t, w)
	running, space := raise(a, insist())
	out, err := w.Signin.Second(t.Context(), space, running, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
	w.OK(err)
	a.Keep(out)
	raised := a.Session()
	if raised.ID == known {
		t.Fatal("the session has its old id")
	}
	w.OK(w.Sessions.End(t.Context(), raised.Tenant, raised.ID))
	if got, _ := claims(t, l.next(t)); got["sid"] != known {
		t.Errorf("sid %v, want %s", got["sid"], known)
	}
	l.none(t, "of the change")
}
