package signin_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const base = "http://localhost:8080"

func newWorld(t testing.TB) *signintest.World {
	t.Helper()
	return signintest.New(t, base)
}

func wantKind(t testing.TB, err error, kind fault.Kind, what string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: %v, want kind %d", what, err, kind)
	}
}

func wantCode(t testing.TB, err error, code, what string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// TestAuthorize is what a browser with a session gets for each kind of request.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	first := signintest.Query(w, a.SignIn(signintest.Request()))
	if first.Get("code") == "" || first.Get("state") != "st" || first.Get("iss") != base+"/default/default" {
		t.Fatalf("answer %v", first)
	}
	w.Pass(time.Minute)
	for _, tc := range []struct {
		name  string
		alter func(*login.Request)
		fresh bool   // a browser without a session
		want  string // code, an OAuth error, or login
	}{
		{"session", func(*login.Request) {}, false, "code"},
		{"consent is given", func(r *login.Request) { r.Prompt = []string{"consent"} }, false, "code"},
		{"none", func(r *login.Request) { r.Prompt = []string{"none"} }, false, "code"},
		{"none, nobody", func(r *login.Request) { r.Prompt = []string{"none"} }, true, "login_required"},
		{"none, too old", func(r *login.Request) { r.Prompt, r.MaxAge = []string{"none"}, 0 }, false, "login_required"},
		{"login", func(r *login.Request) { r.Prompt = []string{"login"} }, false, "login"},
		{"select account", func(r *login.Request) { r.Prompt = []string{"select_account"} }, false, "login"},
		{"young enough", func(r *login.Request) { r.MaxAge = time.Hour }, false, "code"},
		{"too old", func(r *login.Request) { r.MaxAge = 30 * time.Second }, false, "login"},
		{"nobody", func(*login.Request) {}, true, "login"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := signintest.Request()
			tc.alter(&r)
			b := a
			if tc.fresh {
				b = w.Agent()
			}
			out, err := w.Signin.Authorize(t.Context(), w.Home(), r, b.Browser())
			if err != nil {
				t.Fatal(err)
			}
			q := signintest.Query(w, out)
			got := "login"
			if q.Get("code") != "" {
				got = "code"
			} else if q.Has("error") {
				got = q.Get("error")
			}
			if got != tc.want {
				t.Errorf("%s, want %s (%s)", got, tc.want, out.Location)
			}
		})
	}
}

func TestResponseModes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	space := w.Home()
	for mode, want := range map[string]string{"": "?", "query": "?", "fragment": "#"} {
		r := signintest.Request()
		r.ResponseMode = mode
		out := w.Signin.Deny(t.Context(), space, r, "access_denied", "no")
		if !strings.HasPrefix(out.Location, signintest.Callback+want) || out.Form != nil {
			t.Errorf("mode %q: %s", mode, out.Location)
		}
	}
	r := signintest.Request()
	r.ResponseMode = "form_post"
	out := w.Signin.Deny(t.Context(), space, r, "access_denied", "no")
	if out.Location != signintest.Callback || out.Form["error"] != "access_denied" || out.Form["iss"] == "" || out.Form["state"] != "st" {
		t.Errorf("form_post: %+v", out)
	}
	r.ResponseMode, r.RedirectURI = "", "https://a.example/cb?x=1"
	out = w.Signin.Deny(t.Context(), space, r, "access_denied", "no")
	if u, err := url.Parse(out.Location); err != nil || u.Query().Get("x") != "1" || u.Query().Get("error") == "" {
		t.Errorf("a redirect URI with a query: %s", out.Location)
	}
}

// A session of an IDP that is gone or disabled, or keeps out of single sign-on,
// signs nobody in a second time.
func TestSessionOfAnIDPThatMayNot(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*idp.IDP){
		"disabled": func(p *idp.IDP) { p.Disabled = true },
		"no SSO":   func(p *idp.IDP) { p.SSO.Disabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.AddIDP("Partners", nil)
			a := w.Agent()
			r := signintest.Request()
			r.IDPHint = w.Demo.IDPID
			a.SignIn(r)
			w.ChangeIDP(alter)
			r = signintest.Request()
			r.Prompt = []string{"none"}
			out, err := w.Signin.Authorize(t.Context(), w.Home(), r, a.Browser())
			if err != nil || signintest.Query(w, out).Get("error") != "login_required" {
				t.Errorf("%s %v", out.Location, err)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	partners := w.AddIDP("Partners", nil)
	hidden := w.AddIDP("Staff", func(p *idp.IDP) { p.Hidden = true })
	off := w.AddIDP("Old", func(p *idp.IDP) { p.Disabled = true })
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	if login.Next(l) != login.Choose {
		t.Fatal("two visible IDPs must be asked about")
	}
	for name, id := range map[string]string{"hidden": hidden.ID, "disabled": off.ID, "unknown": "x", "none": ""} {
		_, err := w.Signin.Choose(t.Context(), space, l, id)
		wantKind(t, err, fault.Invalid, name)
	}
	out, err := w.Signin.Choose(t.Context(), space, l, partners.ID)
	w.OK(err)
	a.Keep(out)
	if !strings.HasPrefix(out.Location, "/default/identity/"+partners.IdentityPoolID+"/login?") {
		t.Errorf("leads to %s", out.Location)
	}
	chosen, _ := a.Resume(out)
	if chosen.IDP != partners.ID {
		t.Errorf("chose %q", chosen.IDP)
	}
	// Alice is in the other pool.
	_, err = w.Signin.Password(t.Context(), space, chosen, signintest.Alice, setup.AlicePassword, a.Browser())
	wantKind(t, err, fault.Unauthenticated, "a person of another pool")
	r := signintest.Request()
	r.IDPHint = hidden.ID
	if l, _ := w.Agent().Begin(r); l.IDP != hidden.ID {
		t.Error("a hint reaches a hidden IDP")
	}
}

func TestLoginBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	l, _ := a.Begin(signintest.Request())
	for name, try := range map[string]func() error{
		"another browser": func() error {
			_, _, err := w.Signin.Login(t.Context(), "default", l.ID, l.State, w.Agent().Browser())
			return err
		},
		"another tenant": func() error {
			_, _, err := w.Signin.Login(t.Context(), "system", l.ID, l.State, a.Browser())
			return err
		},
		"another state": func() error {
			_, _, err := w.Signin.Login(t.Context(), "default", l.ID, signintest.Challenge, a.Browser())
			return err
		},
		"later": func() error {
			w.Pass(31 * time.Minute)
			_, _, err := w.Signin.Login(t.Context(), "default", l.ID, l.State, a.Browser())
			return err
		},
	} {
		if name != "later" {
			wantKind(t, try(), fault.NotFound, name)
			continue
		}
		defer func() { wantKind(t, try(), fault.NotFound, name) }()
	}
}

func TestAtMostFiveLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	first, _ := a.Begin(signintest.Request())
	for range 7 {
		a.Begin(signintest.Request())
	}
	if len(a.Jar) != 5 {
		t.Errorf("%d login cookies", len(a.Jar))
	}
	_, _, err := w.Signin.Login(t.Context(), "default", first.ID, first.State, a.Browser())
	wantKind(t, err, fault.NotFound, "the oldest")
}

// What changes while a person types must count when they are done.
func TestChangesDuringALogin(t *testing.T) {
	t.Parallel()
	public := "demo-public"
	for name, tc := range map[string]struct {
		change func(*signintest.World)
		kind   fault.Kind
	}{
		"client inactive": {func(w *signintest.World) {
			w.ChangeClient(public, func(c *client.Client) { c.ClientStatus = client.StatusInactive })
		}, fault.Invalid},
		"client deleted": {func(w *signintest.World) {
			w.OK(w.Clients.Clients.Delete(w.T.Context(), "default", public, 0))
		}, fault.Invalid},
		"redirect URI withdrawn": {func(w *signintest.World) {
			w.ChangeClient(public, func(c *client.Client) { c.RedirectURIs = client.URIs{"http://127.0.0.1/elsewhere"} })
		}, fault.Invalid},
		"scope withdrawn": {func(w *signintest.World) {
			w.ChangeClient(public, func(c *client.Client) { c.Scopes = []string{"openid"} })
		}, fault.Invalid},
		"IDP disabled": {func(w *signintest.World) { w.ChangeIDP(func(p *idp.IDP) { p.Disabled = true }) }, fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.Agent()
			l, _ := a.Begin(signintest.Request())
			tc.change(w)
			_, err := w.Signin.Password(t.Context(), w.Home(), l, signintest.Alice, setup.AlicePassword, a.Browser())
			wantKind(t, err, tc.kind, "password")
			left, err := w.Sessions.List(t.Context(), "default", w.Demo.PoolID, w.User(signintest.Alice).ID)
			if err != nil || len(left) != 0 {
				t.Errorf("%d sessions that nobody holds %v", len(left), err)
			}
		})
	}
}

// The session is another one after every sign-in, and the old one is over.
func TestSessionRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.SignIn(signintest.Request())
	old := a.Session()
	r := signintest.Request()
	r.Prompt = []string{"login"}
	a.SignIn(r)
	if a.Session().ID == old.ID {
		t.Error("the same session")
	}
	_, err := w.Sessions.ByID(t.Context(), "default", old.ID)
	wantKind(t, err, fault.Unauthenticated, "the old session")
}

// A session that ends while its code is made gives none: the code would be
// younger than the end.
func TestNoCodeOfAnEndedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.SignIn(signintest.Request("openid", "offline_access"))
	on := a.Session()
	w.OK(w.Signin.EndUser(t.Context(), "default", on.Pool, on.User))
	r := signintest.Request()
	r.Prompt = []string{"none"}
	out, err := w.Signin.Authorize(t.Context(), w.Home(), r, a.Browser())
	if err != nil || signintest.Query(w, out).Get("error") != "login_required" {
		t.Errorf("%v %v", out, err)
	}
}

func TestRecreatedWorkspaceKnowsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	set := a.Tokens("openid", "offline_access")
	old := w.Public()
	space := *w.Home()
	space.Epoch = "another life"
	if _, err := w.Signin.Current(t.Context(), &space, a.Browser()); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("session: %v", err)
	}
	if _, err := w.Signin.Client(t.Context(), &space, old.ClientID); !fault.Is(err, fault.NotFound) {
		t.Errorf("client: %v", err)
	}
	_, err := w.Signin.Refresh(t.Context(), &space, old, signin.Holder{}, set.RefreshToken, nil)
	wantCode(t, err, "invalid_grant", "refresh")
	_, err = w.Signin.Bearer(t.Context(), &space, "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "access token")
	w.OK(w.Marks.Append(t.Context(), changes.Entry{Kind: changes.KindRevokeWorkspace, Tenant: "default", Workspace: "default"}))
	_, err = w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "access token after the workspace's end")
}

func TestNames(t *testing.T) {
	t.Parallel()
	plain, secure := signin.Names{}, signin.Names{Secure: true}
	for _, n := range []string{
		plain.Session("a", "b"), secure.Session("a", "b"), plain.Login("0123456789"), secure.Flow("0123456789"), secure.Bounced(),
	} {
		if !strings.HasPrefix(strings.TrimPrefix(n, "__Host-"), "gp-") {
			t.Errorf("the proxy keeps cookies that begin with gp- from apps; %s does not", n)
		}
	}
	if !strings.HasPrefix(secure.Session("a", "b"), "__Host-") || plain.Session("a", "b/c") == plain.Session("a", "b") {
		t.Error("session names")
	}
}
