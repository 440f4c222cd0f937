package signin_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// marks counts the stored revocations.
func marks(t *testing.T, m *grant.Marks) int {
	t.Helper()
	list, err := m.Since(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Whoever is signed in can name clients without end: what is not there leaves no
// mark, and what is there one that goes away.
func TestRevokingAccessOfNobodyLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.Tokens("openid")
	who, before := signin.PersonOf(a.Session()), marks(t, w.Marks)
	for _, id := range []string{"none", "none2", signin.ProxyClient, "", "a/b"} {
		w.OK(w.Signin.RevokeClientAccess(t.Context(), w.Home(), who, id))
	}
	if n := marks(t, w.Marks); n != before {
		t.Errorf("%d marks of clients that are not there", n-before)
	}
	for range 3 {
		w.OK(w.Signin.RevokeClientAccess(t.Context(), w.Home(), who, "demo-public"))
	}
	list, err := w.Marks.Since(t.Context(), time.Time{})
	w.OK(err)
	list = slices.DeleteFunc(list, func(e changes.Entry) bool { return e.Kind != changes.KindRevokeAccess })
	if len(list) != 1 || list[0].Until.IsZero() {
		t.Errorf("marks: %+v", list)
	}
}

// Of a stream that a bearer token opened, whatever ends the token is its end: with
// and without a session.
func TestStreamsOfTokensEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *signintest.World, b *signin.Bearer, raw string) error{
		"token": func(w *signintest.World, b *signin.Bearer, raw string) error {
			return w.Signin.RevokeToken(t.Context(), w.Home(), signin.Asker{Client: b.Client}, raw)
		},
		"grant": func(w *signintest.World, b *signin.Bearer, _ string) error {
			return w.Grants.End(t.Context(), w.Demo.Tenant, b.Claims.String("grant_id"))
		},
		"client": func(w *signintest.World, b *signin.Bearer, _ string) error {
			return w.Clients.Clients.Delete(t.Context(), w.Demo.Tenant, b.Client, 0)
		},
		"access": func(w *signintest.World, b *signin.Bearer, _ string) error {
			who := grant.Person{Pool: b.Pool, User: b.User, Subject: b.Subject}
			return w.Signin.RevokeClientAccess(t.Context(), w.Home(), who, b.Client)
		},
		"user": func(w *signintest.World, b *signin.Bearer, _ string) error {
			return w.Signin.EndUser(t.Context(), w.Demo.Tenant, b.Pool, b.User)
		},
	} {
		for _, scopes := range [][]string{{"openid"}, {"openid", signin.ScopeOffline}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				raw := w.Agent().Tokens(scopes...).AccessToken
				b, err := w.Signin.Bearer(t.Context(), w.Home(), "", raw)
				w.OK(err)
				ended := make(chan struct{})
				defer w.Sessions.WatchToken(w.Demo.Tenant, func() bool { return w.Signin.Ended(b) }, func() { close(ended) })()
				w.Sessions.Apply([]changes.Entry{{Kind: changes.KindRevokeToken, Tenant: w.Demo.Tenant, ID: "another"}})
				select {
				case <-ended:
					t.Fatal("cut for another token")
				default:
				}
				w.OK(end(w, b, raw))
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Error("it goes on")
				}
			})
		}
	}
}

// An address that never answers holds up nobody else, however many messages are
// for it, and its own come when it answers.
func TestSlowListenerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), listen(t)
	open, held := make(chan struct{}), make(chan struct{}, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		held <- struct{}{}
		select {
		case <-open:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	w.ChangeClient("demo-public", func(c *client.Client) { c.BackchannelLogoutURI = slow.URL })
	for range 40 {
		w.Agent().Tokens("openid")
	}
	tell(t, w)
	mine := w.Agent()
	mine.Tokens("openid")
	key := tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace}
	subject := mine.Session().Subject
	w.OK(w.Signin.EndSubject(t.Context(), key, subject))
	<-held
	<-held // both of its slots
	w.ChangeClient("demo-public", func(c *client.Client) { c.BackchannelLogoutURI = l.URL })
	other := w.Agent()
	other.Tokens("openid")
	began := time.Now()
	w.OK(w.Sessions.End(t.Context(), w.Demo.Tenant, other.Session().ID))
	l.next(t)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it waited %v for the slow one", took)
	}
	close(open)
}

// What a person allowed goes with their tokens, and by its own id.
func TestConsentsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *signintest.World, c grant.Consent, id string) error{
		"user": func(w *signintest.World, c grant.Consent, _ string) error {
			return w.Signin.EndUser(t.Context(), w.Demo.Tenant, c.Pool, c.User)
		},
		"subject": func(w *signintest.World, c grant.Consent, _ string) error {
			return w.Signin.EndSubject(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: c.Workspace}, c.Subject)
		},
		"IDP": func(w *signintest.World, c grant.Consent, _ string) error {
			return w.Signin.EndIDP(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: c.Workspace}, c.IDP)
		},
		"id": func(w *signintest.World, c grant.Consent, id string) error {
			return w.Signin.EndConsent(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: c.Workspace}, c.WorkspaceEpoch, id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.Agent()
			raw := a.Tokens("openid").AccessToken
			on, space, of := a.Session(), w.Home(), w.Public()
			c := grant.Consent{
				Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: of.ClientID, ClientEpoch: of.Epoch,
				Pool: on.Pool, User: on.User, UserEpoch: on.UserEpoch, IDP: on.IDP, Subject: on.Subject, Scopes: []string{"email"},
			}
			id, err := w.Signin.Consents.Give(t.Context(), w.Demo.Tenant, c)
			w.OK(err)
			again, err := w.Signin.Consents.Give(t.Context(), w.Demo.Tenant, c)
			if w.OK(err); again != id {
				t.Errorf("adding to %s made it %s", id, again)
			}
			key := tenant.Key{Tenant: w.Demo.Tenant, Workspace: tenant.Admin}
			wantKind(t, w.Signin.EndConsent(t.Context(), key, space.Epoch, id), fault.NotFound, "from another workspace")
			w.OK(end(w, c, id))
			if _, ok, err := w.Signin.Consents.Allowed(t.Context(), w.Demo.Tenant, c); ok || err != nil {
				t.Errorf("it is still there: %v", err)
			}
			_, err = w.Signin.Bearer(t.Context(), space, "", raw)
			wantKind(t, err, fault.Unauthenticated, "its token")
			key.Workspace = space.ID
			wantKind(t, w.Signin.EndConsent(t.Context(), key, space.Epoch, id), fault.NotFound, "once more")
			if name == "id" {
				events, err := w.Audit.List(t.Context(), w.Demo.Tenant, space.ID, audit.Page{Subjects: []string{audit.SubjectTokens}})
				if w.OK(err); len(events) != 1 {
					t.Errorf("%d audit events", len(events))
				}
			}
		})
	}
}

// A token that was being signed while its client was deleted or switched off does
// not outlive that.
func TestTokensSignedDuringTheEndOfTheirClient(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *signintest.World, id string) error{
		"deleted": func(w *signintest.World, id string) error {
			return w.Clients.Clients.Delete(t.Context(), w.Demo.Tenant, id, 0)
		},
		"switched off": func(w *signintest.World, id string) error {
			w.ChangeClient(id, func(c *client.Client) { c.ClientStatus = "inactive" })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.Confidential() // as whoever authenticated before has it
			before, err := w.Signin.ClientCredentials(t.Context(), w.Home(), c, signin.Holder{}, nil)
			w.OK(err)
			w.OK(end(w, c.ClientID))
			_, err = w.Signin.Bearer(t.Context(), w.Home(), "", before.AccessToken)
			wantKind(t, err, fault.Unauthenticated, "from before")
			_, err = w.Signin.ClientCredentials(t.Context(), w.Home(), c, signin.Holder{}, nil)
			wantKind(t, err, fault.Unauthenticated, "from after")
			list, err := w.Marks.Since(t.Context(), time.Time{})
			w.OK(err)
			if !slices.ContainsFunc(list, func(e changes.Entry) bool { return e.Kind == changes.KindRevokeClient }) {
				t.Error("no mark")
			}
		})
	}
}
