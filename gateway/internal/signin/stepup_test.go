package signin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// insist is a request that insists on a second factor.
func insist() login.Request {
	r := signintest.Request()
	r.Claims = json.RawMessage(`{"id_token":{"acr":{"essential":true,"values":["2"]}}}`)
	return r
}

// weak returns a browser where alice has signed in by password alone, and the
// secret of the authenticator app that she has since.
func weak(w *signintest.World) (*signintest.Agent, string) {
	w.T.Helper()
	a := w.Agent()
	a.SignIn(signintest.Request())
	secret := app(w, signintest.Alice)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	return a, secret
}

// raise asks for more than the session is worth and returns the login that comes.
func raise(a *signintest.Agent, r login.Request) (login.Login, *live.Space) {
	a.W.T.Helper()
	l, space := a.Begin(r)
	if login.Next(l) != login.SecondFactor {
		a.W.T.Fatalf("step %d", login.Next(l))
	}
	return l, space
}

// outcome is what a request gives: code, login, or an OAuth error.
func outcome(t testing.TB, w *signintest.World, a *signintest.Agent, r login.Request) string {
	t.Helper()
	out, err := w.Signin.Authorize(t.Context(), w.Home(), r, a.Browser())
	w.OK(err)
	switch q := signintest.Query(w, out); {
	case q.Has("code"):
		return "code"
	case q.Has("error"):
		return q.Get("error")
	}
	return "login"
}

// A session that is worth less than a request insists on is raised by a second
// factor: it gets another id, and neither a later end nor a younger sign-in.
func TestStepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, secret := weak(w)
	old := a.Session()
	w.Pass(time.Minute)
	l, space := raise(a, insist())
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
	w.OK(err)
	set, err := w.Signin.Redeem(t.Context(), space, w.Public(), signin.Holder{}, signin.Redemption{
		Code: signintest.Query(w, a.Keep(out)).Get("code"), RedirectURI: signintest.Callback, Verifier: signintest.Verifier,
	})
	w.OK(err)
	on := a.Session()
	if on.ID == old.ID || on.ACR != "2" || !on.AuthTime.Equal(old.AuthTime) || !on.Expires.Equal(old.Expires) || methods(a) != "pwd otp mfa " {
		t.Errorf("before %+v, after %+v", old, on)
	}
	if c := claimsOf(w, token.ID, set.IDToken); c.String("acr") != "2" || c.String("sid") != on.ID {
		t.Errorf("ID token %v", c)
	}
	_, err = w.Sessions.ByID(t.Context(), w.Demo.Tenant, old.ID)
	wantKind(t, err, fault.Unauthenticated, "the weaker session")
	if got := outcome(t, w, a, insist()); got != "code" {
		t.Errorf("the next request: %s", got)
	}
}

// A step-up is of one session in one browser, and cannot be gone round.
func TestStepUpCannotBeSkipped(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(*signintest.World, *signintest.Agent, *live.Space, login.Login, string) (signin.Outcome, error){
		"without the factor": func(w *signintest.World, a *signintest.Agent, space *live.Space, l login.Login, _ string) (signin.Outcome, error) {
			return w.Signin.Continue(w.T.Context(), space, l, a.Browser())
		},
		"signed out in another tab": func(w *signintest.World, a *signintest.Agent, space *live.Space, l login.Login, secret string) (signin.Outcome, error) {
			out, err := w.Signin.SignOut(w.T.Context(), space, a.Browser())
			w.OK(err)
			a.Keep(out)
			return w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
		},
		"another browser": func(w *signintest.World, _ *signintest.Agent, space *live.Space, l login.Login, secret string) (signin.Outcome, error) {
			return w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, w.Agent().Browser())
		},
		"the old session again": func(w *signintest.World, a *signintest.Agent, space *live.Space, l login.Login, secret string) (signin.Outcome, error) {
			stolen := a.Session()
			out, err := w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
			w.OK(err)
			_ = out // the browser never took the new cookie: the old one is worth nothing
			if _, err := w.Sessions.ByID(w.T.Context(), space.Tenant, stolen.ID); !fault.Is(err, fault.Unauthenticated) {
				w.T.Errorf("it lives: %v", err)
			}
			return w.Signin.Authorize(w.T.Context(), space, insist(), a.Browser())
		},
		"another person in another tab": func(w *signintest.World, a *signintest.Agent, space *live.Space, l login.Login, secret string) (signin.Outcome, error) {
			offer(w, byPassword, nil)
			r := signintest.Request()
			r.Prompt = []string{"login"}
			other, _ := a.Begin(r)
			out, err := w.Signin.Password(w.T.Context(), space, other, bob, setup.BobPassword, a.Browser())
			w.OK(err)
			a.Keep(out)
			offer(w, byPassword, []string{pool.MechanismTOTP})
			return w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
		},
		"another factor than hers": func(w *signintest.World, a *signintest.Agent, space *live.Space, l login.Login, _ string) (signin.Outcome, error) {
			return w.Signin.Password(w.T.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, secret := weak(w)
			l, space := raise(a, insist())
			out, err := attack(w, a, space, l, secret)
			if err == nil && (signintest.Query(w, out).Has("code") || len(out.Form) > 0) {
				t.Errorf("it worked: %s", out.Location)
			}
		})
	}
}

// One code raises a session once.
func TestStepUpOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, secret := weak(w)
	l, space := raise(a, insist())
	typed := shown(w, secret)
	if n := once(100, func() error {
		_, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, typed, false, a.Browser())
		return err
	}); n != 1 {
		t.Errorf("%d raised it", n)
	}
}

// TestDemands is what a request for a class gets from a session of one factor
// whose person has no second one, and from one who has.
func TestDemands(t *testing.T) {
	t.Parallel()
	asks := func(claims string, values ...string) login.Request {
		r := signintest.Request()
		r.ACRValues = values
		if claims != "" {
			r.Claims = json.RawMessage(claims)
		}
		return r
	}
	none := func(r login.Request) login.Request { r.Prompt = []string{"none"}; return r }
	const essential = `{"id_token":{"acr":{"essential":true,"values":["2"]}}}`
	for _, tc := range []struct {
		name       string
		r          login.Request
		enforce    bool
		alone, has string
	}{
		{"nothing", asks(""), false, "code", "code"},
		{"what it is", asks("", "1"), false, "code", "code"},
		{"one of two", asks("", "2", "1"), false, "code", "code"},
		{"voluntary", asks("", "2"), false, "code", "login"},
		{"voluntary, none", none(asks("", "2")), false, "code", "code"},
		{"enforced", asks("", "2"), true, signin.CodeUnmet, "login"},
		{"enforced, none", none(asks("", "2")), true, "login_required", "login_required"},
		{"unknown", asks("", "9"), false, "code", "code"},
		{"unknown, enforced", asks("", "9"), true, signin.CodeUnmet, signin.CodeUnmet},
		{"essential", asks(essential), false, signin.CodeUnmet, "login"},
		{"claims before acr_values", asks(essential, "1"), false, signin.CodeUnmet, "login"},
		{"essential for userinfo", asks(`{"userinfo":{"acr":{"essential":true,"values":["2"]}}}`), false, "code", "code"},
		{"essential without a value", asks(`{"id_token":{"acr":{"essential":true}}}`), true, "code", "code"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			setSpace(w, func(v *tenant.Workspace) { v.Advanced.EnforceACRValues = tc.enforce })
			a := w.Agent()
			a.SignIn(signintest.Request())
			if got := outcome(t, w, a, tc.r); got != tc.alone {
				t.Errorf("one factor: %s, want %s", got, tc.alone)
			}
			app(w, signintest.Alice)
			offer(w, byPassword, []string{pool.MechanismTOTP})
			if got := outcome(t, w, a, tc.r); got != tc.has {
				t.Errorf("with a second one: %s, want %s", got, tc.has)
			}
		})
	}
}

func setSpace(w *signintest.World, alter func(*tenant.Workspace)) {
	w.T.Helper()
	v, err := w.Tenants.Workspaces.Get(w.T.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace})
	w.OK(err)
	alter(&v)
	_, err = w.Tenants.Workspaces.Update(w.T.Context(), v)
	w.OK(err)
}

// Who has signed in as strongly as can be gets, of the classes that a request
// insists on, the one that it named.
func TestStrongerAnswersForLess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := app(w, signintest.Alice)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	a := w.Agent()
	l, space := halfAlice(a)
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
	w.OK(err)
	a.Keep(out)
	r := signintest.Request()
	r.Claims = json.RawMessage(`{"id_token":{"acr":{"essential":true,"values":["1"]}}}`)
	out, err = w.Signin.Authorize(t.Context(), space, r, a.Browser())
	w.OK(err)
	set, err := w.Signin.Redeem(t.Context(), space, w.Public(), signin.Holder{}, signin.Redemption{
		Code: signintest.Query(w, out).Get("code"), RedirectURI: signintest.Callback, Verifier: signintest.Verifier,
	})
	w.OK(err)
	if c := claimsOf(w, token.ID, set.IDToken); c.String("acr") != "1" {
		t.Errorf("acr %v", c["acr"])
	}
}

// A browser that the pool remembers is asked again for a request that insists.
func TestRememberedIsNoSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := app(w, signintest.Alice)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	setPool(w, func(p *pool.Pool) { p.MFASessionTTL = store.Duration(time.Hour) })
	a := w.Agent()
	l, space := halfAlice(a)
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), true, a.Browser())
	w.OK(err)
	a.Keep(out)
	for name, tc := range map[string]struct {
		r    login.Request
		step login.Step
	}{"plain": {signintest.Request(), login.Finish}, "insists": {insist(), login.SecondFactor}} {
		tc.r.Prompt = []string{"login"}
		l, space := a.Begin(tc.r)
		out, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
		w.OK(err)
		a.Keep(out)
		if signintest.Query(w, out).Has("code") != (tc.step == login.Finish) {
			t.Errorf("%s: %s", name, out.Location)
		}
	}
}

// A request about one person is answered for nobody else (OpenID Connect Core
// 1.0, section 3.1.2.1).
func TestHintedPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.SignIn(signintest.Request())
	alice := a.Session().Subject
	about := func(sub string, prompt ...string) login.Request {
		r := signintest.Request()
		r.HintSubject, r.Prompt = sub, prompt
		return r
	}
	for name, tc := range map[string]struct {
		r    login.Request
		want string
	}{
		"her":           {about(alice), "code"},
		"her, none":     {about(alice, "none"), "code"},
		"another, none": {about("x", "none"), "login_required"},
		"another":       {about("x"), "login"},
	} {
		if got := outcome(t, w, a, tc.r); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	b := w.Agent()
	l, space := b.Begin(about(alice))
	out, err := w.Signin.Password(t.Context(), space, l, bob, setup.BobPassword, b.Browser())
	w.OK(err)
	if q := signintest.Query(w, out); q.Get("error") != "login_required" || q.Has("code") {
		t.Errorf("bob in her place: %v", q)
	}
	if q := signintest.Query(w, w.Agent().SignIn(about(alice))); !q.Has("code") {
		t.Errorf("alice signs in: %v", q)
	}
}
