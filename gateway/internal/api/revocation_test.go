package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// signedIn is a person of acme's workspace admin with all that a sign-in gave.
type signedIn struct {
	w                    *world
	user                 string
	subject, session     string
	token, code, offline string // code and offline (a refresh token) are not used yet
	client               string // of these two
}

// signIn signs a user in by an IDP.
func (w *world) signIn(by idp.IDP, user string) *signedIn {
	w.t.Helper()
	ctx := w.t.Context()
	on, raw := w.person(by, user)
	p := &signedIn{w: w, user: user, subject: on.Subject, session: on.ID, token: raw}
	c, err := w.clients.Clients.Get(ctx, "acme", w.client("admin", `,"redirect_uris":["https://app.test/cb"],"grant_types":["authorization_code","refresh_token"]`))
	w.ok(err)
	p.client = c.ClientID
	terms := grant.Terms{
		Workspace: on.Workspace, WorkspaceEpoch: on.WorkspaceEpoch, Client: c.ClientID, ClientEpoch: c.Epoch, Pool: on.Pool, User: on.User,
		UserEpoch: on.UserEpoch, IDP: by.ID, Subject: on.Subject, Session: on.ID, AuthTime: on.AuthTime, Scopes: []string{"openid", "offline_access"},
	}
	p.code, err = w.codes.Issue(ctx, "acme", grant.Code{RedirectURI: "https://app.test/cb", Terms: terms}, time.Hour)
	w.ok(err)
	p.offline, err = w.grants.Start(ctx, "acme", vault.NewID(), terms, time.Hour)
	w.ok(err)
	return p
}

// alive lists what of a sign-in still works.
func (p *signedIn) alive(ctx context.Context) string {
	p.w.t.Helper()
	var list []string
	if p.w.signsIn(p.token) {
		list = append(list, "token")
	}
	if _, err := p.w.sessions.ByID(ctx, "acme", p.session); err == nil {
		list = append(list, "session")
	}
	space, err := p.w.live.Space(ctx, "acme", tenant.Admin)
	p.w.ok(err)
	c, err := p.w.clients.Clients.Get(ctx, "acme", p.client)
	p.w.ok(err)
	if _, err := p.w.signin.Redeem(ctx, space, &c, signin.Holder{}, signin.Redemption{Code: p.code, RedirectURI: "https://app.test/cb"}); err == nil {
		list = append(list, "code")
	}
	if _, err := p.w.signin.Refresh(ctx, space, &c, signin.Holder{}, p.offline, nil); err == nil {
		list = append(list, "refresh")
	}
	return strings.Join(list, " ")
}

const everything = "token session code refresh"

func TestRevocations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		call func(w *world, ann *signedIn, by idp.IDP) *answer
	}{
		{"by subject", func(w *world, ann *signedIn, _ idp.IDP) *answer {
			return w.acme("DELETE", "/servers/admin/tokens", map[string]any{"subjects": []string{"nobody", ann.subject}})
		}},
		{"by what the IDP calls them", func(w *world, ann *signedIn, by idp.IDP) *answer {
			return w.acme("DELETE", "/servers/admin/tokens", map[string]any{"idp_id": by.ID, "subjects": []string{ann.user}})
		}},
		{"by subject, by a backend", func(w *world, ann *signedIn, _ idp.IDP) *answer {
			return w.backend("DELETE", "/servers/admin/tokens", map[string]any{"subjects": []string{ann.subject}})
		}},
		{"by user", func(w *world, ann *signedIn, _ idp.IDP) *answer {
			return w.acme("DELETE", "/pools/people/tokens", map[string]any{"users": []string{ann.user}})
		}},
		{"by user, by a backend", func(w *world, ann *signedIn, _ idp.IDP) *answer {
			return w.backend("DELETE", "/pools/people/tokens", map[string]any{"users": []string{ann.user, "gone"}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pool("people")
			w.user("people", "ann")
			w.user("people", "bob")
			by := w.connect(tenant.Admin, "people")
			ann, bob := w.signIn(by, "ann"), w.signIn(by, "bob")
			w.pass()
			c.call(w, ann, by).want(204)
			if got := ann.alive(t.Context()); got != "" {
				t.Errorf("still alive: %s", got)
			}
			if got := bob.alive(t.Context()); got != everything {
				t.Errorf("of another person there is only: %s", got)
			}
			w.pass()
			if got := w.signIn(by, "ann").alive(t.Context()); got != everything {
				t.Errorf("of the next sign-in there is only: %s", got)
			}
			events, err := w.audit.List(t.Context(), "acme", tenant.Admin, audit.Page{Subjects: []string{audit.SubjectTokens}})
			w.ok(err)
			if len(events) != 1 || events[0].Action != audit.ActionRevoked {
				t.Errorf("events: %v", events)
			}
		})
	}
}

// A subject is revoked in its workspace, a user everywhere.
func TestRevocationStaysInItsWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	ann := w.signIn(by, "ann")
	w.pass()
	w.acme("DELETE", "/servers/default/tokens", map[string]any{"subjects": []string{ann.subject}}).want(204)
	w.do(w.theirs, "DELETE", "/api/admin/other/servers/admin/tokens", map[string]any{"subjects": []string{ann.subject}}).want(204)
	if got := ann.alive(t.Context()); got != everything {
		t.Errorf("after revocations elsewhere there is only: %s", got)
	}
}

func TestRevocationRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	many := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint("u", i)
		}
		return list
	}
	for _, family := range []func(method, path string, payload any, header ...string) *answer{w.acme, w.backend} {
		for _, c := range []struct {
			path   string
			body   any
			status int
			field  string
		}{
			{"/servers/default/tokens", map[string]any{"subjects": []string{}}, 422, "subjects"},
			{"/servers/default/tokens", map[string]any{}, 422, "subjects"},
			{"/servers/default/tokens", map[string]any{"subjects": many(101)}, 422, "subjects"},
			{"/servers/default/tokens", map[string]any{"subjects": []string{"a", ""}}, 422, "subjects[1]"},
			{"/servers/default/tokens", map[string]any{"subjects": []string{"a\x00b"}}, 422, "subjects[0]"},
			{"/servers/default/tokens", map[string]any{"subjects": "ann"}, 400, "subjects"},
			{"/servers/default/tokens", map[string]any{"subjects": []string{"a"}, "idp_id": "none"}, 422, "idp_id"},
			{"/servers/default/tokens", ``, 400, ""},
			{"/servers/none/tokens", map[string]any{"subjects": []string{"a"}}, 404, ""},
			{"/pools/people/tokens", map[string]any{"users": []string{}}, 422, "users"},
			{"/pools/people/tokens", map[string]any{"users": many(101)}, 422, "users"},
			{"/pools/people/tokens", map[string]any{"users": []string{""}}, 422, "users[0]"}, // would be all of the pool
			{"/pools/people/tokens", map[string]any{"users": []string{"a/b"}}, 422, "users[0]"},
			{"/pools/none/tokens", map[string]any{"users": []string{"a"}}, 404, ""},
		} {
			family("DELETE", c.path, c.body).refused(c.status, c.field)
		}
		family("DELETE", "/servers/default/tokens", map[string]any{"subjects": many(100)}).want(204)
	}
	w.backend("DELETE", "/servers/default/tokens?consent_id=c1", map[string]any{"subjects": []string{"a"}}).refused(404, "consent_id")
	w.do(w.scoped("view_clients"), "DELETE", "/api/system/acme/servers/default/tokens", map[string]any{"subjects": []string{"a"}}).refused(403, "")
	w.do(w.holder("auditor"), "DELETE", "/api/admin/acme/servers/default/tokens", map[string]any{"subjects": []string{"a"}}).refused(403, "")
}
