package signin_test

import (
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// changeHome changes the demo's workspace.
func changeHome(w *signintest.World, alter func(*tenant.Workspace)) {
	w.T.Helper()
	v, err := w.Tenants.Workspaces.Get(w.T.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace})
	w.OK(err)
	alter(&v)
	_, err = w.Tenants.Workspaces.Update(w.T.Context(), v)
	w.OK(err)
}

func TestAgesOfAWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.Agent()
	before.SignIn(signintest.Request())
	changeHome(w, func(v *tenant.Workspace) {
		v.SSO.MaxAge, v.SSO.MaxIdle = store.Duration(3*time.Hour), store.Duration(time.Hour)
	})
	gone := func(a *signintest.Agent, what string) {
		t.Helper()
		_, err := w.Signin.Current(t.Context(), w.Home(), a.Browser())
		wantKind(t, err, fault.Unauthenticated, what)
	}
	used, idle := w.Agent(), w.Agent()
	used.SignIn(signintest.Request())
	idle.SignIn(signintest.Request())
	for range 3 {
		w.Pass(55 * time.Minute)
		used.Session()
	}
	gone(idle, "an hour without use")
	w.Pass(20 * time.Minute)
	gone(used, "three hours old")
	before.Session() // the ages are those of its beginning
	if r := signintest.Request(); true {
		r.MaxAge, r.Prompt = time.Hour, []string{"none"}
		out, err := w.Signin.Authorize(t.Context(), w.Home(), r, before.Browser())
		w.OK(err)
		if got := signintest.Query(w, out).Get("error"); got != "login_required" {
			t.Errorf("max_age of an hour: %s", out.Location)
		}
		r.MaxAge = 6 * time.Hour
		out, err = w.Signin.Authorize(t.Context(), w.Home(), r, before.Browser())
		w.OK(err)
		if signintest.Query(w, out).Get("code") == "" {
			t.Errorf("prompt=none with a live session: %s", out.Location)
		}
	}
	changeHome(w, func(v *tenant.Workspace) { v.SSO.MaxAge = store.Duration(10 * live.MaxLife) })
	a := w.Agent()
	a.SignIn(signintest.Request())
	if on := a.Session(); on.Expires.Sub(on.Created) > live.MaxLife+time.Second {
		t.Errorf("it may live until %s: longer than its revocation", on.Expires)
	}
}

func bearer(w *signintest.World, raw string) *signin.Bearer {
	w.T.Helper()
	b, err := w.Signin.Bearer(w.T.Context(), w.Home(), "", raw)
	w.OK(err)
	return b
}

func TestMine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, phone, bob := w.Agent(), w.Agent(), w.Agent()
	mine := bearer(w, alice.Tokens("openid").AccessToken)
	phone.SignIn(signintest.Request())
	l, space := bob.Begin(signintest.Request())
	out, err := w.Signin.Password(t.Context(), space, l, "bob@example.com", setup.BobPassword, bob.Browser())
	w.OK(err)
	bob.Keep(out)
	secret, child, err := w.Sessions.Child(t.Context(), "default", phone.Session().ID, signintest.AppHost)
	w.OK(err)
	list, err := w.Signin.Mine(t.Context(), w.Home(), mine)
	w.OK(err)
	if len(list) != 2 || list[0].ID != alice.Session().ID || list[1].ID != phone.Session().ID || list[1].UserAgent != "Agent/1" || list[1].IP != phone.IP {
		t.Errorf("%+v", list)
	}
	for name, id := range map[string]string{"bob's": bob.Session().ID, "a child's": child.ID, "a secret": secret, "unknown": "x", "none": ""} {
		wantKind(t, w.Signin.EndMine(t.Context(), w.Home(), mine, id), fault.NotFound, name)
	}
	wantKind(t, w.Signin.EndMine(t.Context(), w.Space(tenant.Admin), mine, phone.Session().ID), fault.NotFound, "in another workspace")
	bob.Session()
	w.OK(w.Signin.EndMine(t.Context(), w.Home(), mine, phone.Session().ID))
	_, err = w.Signin.Current(t.Context(), w.Home(), phone.Browser())
	wantKind(t, err, fault.Unauthenticated, "the phone")
	alice.Session()
}

// All that a person has ends, but for what they do it with: of that nothing more
// than the token, its refresh token and the session.
func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	for name, current := range map[string]bool{"but for here": false, "here too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			alice, phone, bob := w.Agent(), w.Agent(), w.Agent()
			beside := alice.Code("openid")
			theirs := phone.Tokens("openid", "offline_access")
			l, space := bob.Begin(signintest.Request())
			out, err := w.Signin.Password(t.Context(), space, l, "bob@example.com", setup.BobPassword, bob.Browser())
			w.OK(err)
			bob.Keep(out)
			set := redeem(w, signintest.Query(w, authorize(w, alice, "openid", "offline_access")).Get("code"))
			b := bearer(w, set.AccessToken)
			second := redeem(w, signintest.Query(w, authorize(w, alice, "openid")).Get("code"))
			code := signintest.Query(w, authorize(w, alice, "openid")).Get("code")
			w.OK(w.Signin.SignOutEverywhere(t.Context(), w.Home(), b, current))
			dead := func(raw, what string) {
				t.Helper()
				_, err := w.Signin.Bearer(t.Context(), w.Home(), "", raw)
				wantKind(t, err, fault.Unauthenticated, what)
			}
			dead(theirs.AccessToken, "the phone's token")
			dead(second.AccessToken, "another client's token of the session")
			_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, theirs.RefreshToken, nil)
			wantCode(t, err, "invalid_grant", "the phone's refresh token")
			for what, c := range map[string]string{"a code of the session": code, "an older code": beside} {
				_, err = w.Signin.Redeem(t.Context(), w.Home(), w.Public(), signin.Holder{}, signin.Redemption{Code: c, RedirectURI: signintest.Callback, Verifier: signintest.Verifier})
				wantCode(t, err, "invalid_grant", what)
			}
			_, err = w.Signin.Current(t.Context(), w.Home(), phone.Browser())
			wantKind(t, err, fault.Unauthenticated, "the phone")
			bob.Session()
			if current {
				dead(set.AccessToken, "the token itself")
				_, err = w.Signin.Current(t.Context(), w.Home(), alice.Browser())
				wantKind(t, err, fault.Unauthenticated, "the session itself")
				alice.SignIn(signintest.Request())
				alice.Session()
				return
			}
			bearer(w, set.AccessToken)
			alice.Session()
			next, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, nil)
			w.OK(err)
			bearer(w, next.AccessToken)
		})
	}
}

// authorize asks with the browser's session.
func authorize(w *signintest.World, a *signintest.Agent, scopes ...string) signin.Outcome {
	w.T.Helper()
	out, err := w.Signin.Authorize(w.T.Context(), w.Home(), signintest.Request(scopes...), a.Browser())
	w.OK(err)
	return out
}

func redeem(w *signintest.World, code string) signin.TokenSet {
	w.T.Helper()
	set, err := w.Signin.Redeem(w.T.Context(), w.Home(), w.Public(), signin.Holder{}, signin.Redemption{Code: code, RedirectURI: signintest.Callback, Verifier: signintest.Verifier})
	w.OK(err)
	return set
}

// What a client or a workspace was given ends with it, and with its deactivation.
func TestTokensEndWithTheClient(t *testing.T) {
	t.Parallel()
	key := tenant.Key{Tenant: "default", Workspace: "default"}
	for name, end := range map[string]func(w *signintest.World) error{
		"deleted": func(w *signintest.World) error {
			return w.Clients.Clients.Delete(t.Context(), "default", "demo-public", 0)
		},
		"switched off": func(w *signintest.World) error {
			w.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusInactive })
			w.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusActive })
			return nil
		},
		"workspace deleted": func(w *signintest.World) error { return w.Tenants.Workspaces.Delete(t.Context(), key, 0) },
	} {
		for _, strategy := range []string{"jwt", "opaque"} {
			t.Run(name+" "+strategy, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				changeHome(w, func(v *tenant.Workspace) { v.AccessTokenStrategy = strategy })
				a := w.Agent()
				set := a.Tokens("openid", "offline_access")
				code := signintest.Query(w, authorize(w, a, "openid")).Get("code")
				space, c, on := w.Home(), w.Public(), a.Session()
				bearer(w, set.AccessToken)
				w.OK(end(w))
				_, err := w.Signin.Bearer(t.Context(), space, "", set.AccessToken)
				wantKind(t, err, fault.Unauthenticated, "the access token")
				_, err = w.Signin.Refresh(t.Context(), space, c, signin.Holder{}, set.RefreshToken, nil)
				wantCode(t, err, "invalid_grant", "the refresh token")
				_, err = w.Signin.Redeem(t.Context(), space, c, signin.Holder{}, signin.Redemption{Code: code, RedirectURI: signintest.Callback, Verifier: signintest.Verifier})
				wantCode(t, err, "invalid_grant", "the code")
				if _, err = w.Sessions.ByID(t.Context(), "default", on.ID); fault.Is(err, fault.Unauthenticated) != (name == "workspace deleted") {
					t.Errorf("the session: %v", err)
				}
			})
		}
	}
}
