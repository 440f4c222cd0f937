package signin_test

import (
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func TestPlanLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	mine := a.Tokens("openid")
	theirs := w.Agent().Tokens("openid")
	const bye = signintest.Callback
	for _, tc := range []struct {
		name    string
		r       signin.Logout
		confirm bool
		target  string
		field   string // of the fault
	}{
		{"bare", signin.Logout{}, true, "", ""},
		{"hint of this session", signin.Logout{IDTokenHint: mine.IDToken}, false, "", ""},
		{"hint of another session", signin.Logout{IDTokenHint: theirs.IDToken}, true, "", ""},
		{"target by hint", signin.Logout{IDTokenHint: mine.IDToken, PostLogoutRedirectURI: bye, State: "a b"}, false, bye + "?state=a+b", ""},
		{"target by client", signin.Logout{Client: "demo-public", PostLogoutRedirectURI: bye}, true, bye, ""},
		{"unregistered", signin.Logout{IDTokenHint: mine.IDToken, PostLogoutRedirectURI: "https://evil.example/"}, false, "", "post_logout_redirect_uri"},
		{"target of nobody", signin.Logout{PostLogoutRedirectURI: bye}, false, "", "post_logout_redirect_uri"},
		{"unknown client", signin.Logout{Client: "x", PostLogoutRedirectURI: bye}, false, "", "post_logout_redirect_uri"},
		{"the proxy's client", signin.Logout{Client: signin.ProxyClient, PostLogoutRedirectURI: bye}, false, "", "post_logout_redirect_uri"},
		{"client of another workspace", signin.Logout{Client: w.Demo.Clients.Admin.ClientID, PostLogoutRedirectURI: bye}, false, "", "post_logout_redirect_uri"},
		{"client mismatch", signin.Logout{IDTokenHint: mine.IDToken, Client: "demo-confidential"}, false, "", "client_id"},
		{"access token as hint", signin.Logout{IDTokenHint: mine.AccessToken}, false, "", "id_token_hint"},
		{"rubbish", signin.Logout{IDTokenHint: "x"}, false, "", "id_token_hint"},
	} {
		plan, err := w.Signin.PlanLogout(t.Context(), w.Home(), tc.r, a.Browser())
		if tc.field != "" {
			if !fault.Is(err, fault.Invalid) || fault.Read(err).Field != tc.field || plan.Target != "" {
				t.Errorf("%s: %+v %v", tc.name, plan, err)
			}
			continue
		}
		if err != nil || plan.Confirm != tc.confirm || plan.Target != tc.target || plan.Session == nil {
			t.Errorf("%s: %+v %v", tc.name, plan, err)
		}
	}
	_, err := w.Signin.PlanLogout(t.Context(), w.Space(tenant.Admin), signin.Logout{IDTokenHint: mine.IDToken}, a.Browser())
	wantKind(t, err, fault.Invalid, "the hint of another workspace")
	plan, err := w.Signin.PlanLogout(t.Context(), w.Home(), signin.Logout{}, w.Agent().Browser())
	if err != nil || plan.Confirm {
		t.Error("nobody is signed in: there is nothing to confirm")
	}
	w.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	_, err = w.Signin.PlanLogout(t.Context(), w.Home(), signin.Logout{Client: "demo-public", PostLogoutRedirectURI: bye}, a.Browser())
	wantKind(t, err, fault.Invalid, "an inactive client")
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, phone, bob := w.Agent(), w.Agent(), w.Agent()
	alice.SignIn(signintest.Request())
	phone.SignIn(signintest.Request())
	l, space := bob.Begin(signintest.Request())
	out, err := w.Signin.Password(t.Context(), space, l, "bob@example.com", setup.BobPassword, bob.Browser())
	w.OK(err)
	bob.Keep(out)
	mine, other := alice.Session(), phone.Session()
	_, child, err := w.Sessions.Child(t.Context(), "default", other.ID, signintest.AppHost)
	w.OK(err)
	for name, id := range map[string]string{"bob's": bob.Session().ID, "unknown": "x", "a child": child.ID, "none": ""} {
		wantKind(t, w.Signin.EndSession(t.Context(), mine, id), fault.NotFound, name)
	}
	bob.Session() // still there
	w.OK(w.Signin.EndSession(t.Context(), mine, other.ID))
	_, err = w.Signin.Current(t.Context(), space, phone.Browser())
	wantKind(t, err, fault.Unauthenticated, "the phone")
	alice.Session()
	w.OK(w.Signin.EndUser(t.Context(), "default", mine.Pool, mine.User))
	_, err = w.Signin.Current(t.Context(), space, alice.Browser())
	wantKind(t, err, fault.Unauthenticated, "alice everywhere")
	bob.Session()
	alice.SignIn(signintest.Request()) // and she may come back
	alice.Session()
}

// What is revoked on another gateway ends sessions that this one remembers.
func TestMarksEndRememberedSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := tenant.Key{Tenant: "default", Workspace: "default"}
	for name, end := range map[string]func(a *signintest.Agent) error{
		"subject": func(a *signintest.Agent) error { return w.Signin.EndSubject(t.Context(), key, a.Session().Subject) },
		"IDP":     func(a *signintest.Agent) error { return w.Signin.EndIDP(t.Context(), key, a.Session().IDP) },
	} {
		a := w.Agent()
		a.SignIn(signintest.Request())
		on := a.Session()
		w.OK(end(a))
		if !w.Marks.Dead(signin.Ref(on)) {
			t.Errorf("%s: the mark does not name the session", name)
		}
	}
}
