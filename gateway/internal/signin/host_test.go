package signin_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// visit knocks at the app's host and signs in; it returns the app host's browser
// and the query of the callback.
func visit(w *signintest.World, target string) (*signintest.Agent, url.Values) {
	w.T.Helper()
	app := w.Agent()
	out, err := w.Signin.Knock(w.Home(), signintest.AppHost, target, app.Browser())
	w.OK(err)
	app.Keep(out)
	q := signintest.Query(w, out)
	r := login.Request{
		Client: q.Get("client_id"), RedirectURI: q.Get("redirect_uri"), RedirectSent: true, Scopes: []string{"openid"},
		State: q.Get("state"), Nonce: q.Get("nonce"), Challenge: q.Get("code_challenge"), MaxAge: -1,
	}
	return app, signintest.Query(w, w.Agent().SignIn(r))
}

func TestEnter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	app, q := visit(w, "/deep?x=1")
	out, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, q, app.Browser())
	if err != nil || out.Location != "/deep?x=1" {
		t.Fatalf("%q %v", out.Location, err)
	}
	before := app.Browser()
	flow := map[string]string{}
	for k, v := range app.Jar {
		flow[k] = v
	}
	app.Keep(out)
	secret := app.Jar[w.Signin.SessionCookie("default", "default")]
	on, err := w.Signin.HostSession(ctx, "default", "default", signintest.AppHost, []string{"junk", secret})
	if err != nil || on.Parent == "" {
		t.Fatal(err)
	}
	for name, try := range map[string][3]string{
		"another host": {"default", "default", "other.localhost:8080"}, "another workspace": {"default", tenant.Admin, signintest.AppHost},
		"another tenant": {"system", "default", signintest.AppHost},
	} {
		_, err := w.Signin.HostSession(ctx, try[0], try[1], try[2], []string{secret})
		wantKind(t, err, fault.Unauthenticated, name)
	}
	app.Jar = flow
	_, err = w.Signin.Enter(ctx, w.Home(), signintest.AppHost, q, before)
	wantKind(t, err, fault.Denied, "a replay")
	if _, err := w.Signin.Current(ctx, w.Home(), signin.Browser{Cookies: func(string) []string { return []string{secret} }}); err == nil {
		t.Error("an app's session is good on the base host")
	}
	_, err = w.Signin.HostSignOut(ctx, w.Home(), on)
	w.OK(err)
	_, err = w.Signin.HostSession(ctx, "default", "default", signintest.AppHost, []string{secret})
	wantKind(t, err, fault.Unauthenticated, "after the sign-out")
}

func TestEnterRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	app, q := visit(w, "/")
	with := func(name, value string) url.Values {
		v := url.Values{}
		for k := range q {
			v.Set(k, q.Get(k))
		}
		v.Set(name, value)
		return v
	}
	other, _ := visit(w, "/")
	for name, try := range map[string]func() error{
		"a mailed callback link": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, q, w.Agent().Browser())
			return err
		},
		"the flow cookie of another host": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), "other.localhost:8080", q, app.Browser())
			return err
		},
		"another browser's flow": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, q, other.Browser())
			return err
		},
		"another issuer": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, with("iss", "https://evil.example/default/default"), app.Browser())
			return err
		},
		"no issuer, an error": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, url.Values{"state": {q.Get("state")}, "error": {"access_denied"}}, app.Browser())
			return err
		},
		"an error": func() error {
			v := with("error", "access_denied")
			v.Set("error_description", "not today")
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, v, app.Browser())
			return err
		},
		"no state": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, with("state", ""), app.Browser())
			return err
		},
		"a code of somebody's app": func() error {
			_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, with("code", w.Agent().Code()), app.Browser())
			return err
		},
	} {
		wantKind(t, try(), fault.Denied, name)
	}
	w.Pass(11 * time.Minute)
	_, err := w.Signin.Enter(ctx, w.Home(), signintest.AppHost, q, app.Browser())
	wantKind(t, err, fault.Denied, "an old flow")
}

func TestKnock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, target := range []string{"//evil.example", "/\\evil.example", "https://evil.example", "", "/\tx"} {
		app, q := visit(w, target)
		out, err := w.Signin.Enter(t.Context(), w.Home(), signintest.AppHost, q, app.Browser())
		if err != nil || out.Location != "/" {
			t.Errorf("%q leads to %q %v", target, out.Location, err)
		}
	}
	app := w.Agent()
	for range 8 {
		out, err := w.Signin.Knock(w.Home(), signintest.AppHost, "/", app.Browser())
		w.OK(err)
		app.Keep(out)
	}
	if len(app.Jar) != 5 {
		t.Errorf("%d flow cookies", len(app.Jar))
	}
}

func TestLoopBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.Agent()
	var loop *signin.LoopError
	for range 3 {
		visitor, q := visit(w, "/")
		for k, v := range app.Jar {
			visitor.Jar[k] = v
		}
		out, err := w.Signin.Enter(t.Context(), w.Home(), signintest.AppHost, q, visitor.Browser())
		w.OK(err)
		app.Keep(out)
		delete(app.Jar, w.Signin.SessionCookie("default", "default")) // the browser drops it
	}
	_, err := w.Signin.Knock(w.Home(), signintest.AppHost, "/", app.Browser())
	if !errors.As(err, &loop) || loop.Cookie != w.Signin.SessionCookie("default", "default") || loop.Host != signintest.AppHost {
		t.Errorf("%v", err)
	}
}

func TestProxyRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.Signin.Client(t.Context(), w.Home(), signin.ProxyClient)
	w.OK(err)
	for uri, ok := range map[string]bool{
		"http://" + signintest.AppHost + signin.CallbackPath:          true,
		"http://" + signintest.AppHost + signin.CallbackPath + "?x=1": false,
		"https://" + signintest.AppHost + signin.CallbackPath:         false,
		"http://u@" + signintest.AppHost + signin.CallbackPath:        false,
		"http://evil.example" + signin.CallbackPath:                   false,
		"http://" + signintest.AppHost + "/other":                     false,
		"": false,
	} {
		if got := w.Signin.AllowsRedirect(w.Home(), c, uri); got != ok {
			t.Errorf("%s: %v", uri, got)
		}
		if w.Signin.AllowsRedirect(w.Space(tenant.Admin), c, uri) {
			t.Errorf("%s in a workspace that does not own the host", uri)
		}
	}
}
