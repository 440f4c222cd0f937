package signin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// A browser that was remembered is not asked again until the time is over, and
// for nobody else.
func TestRememberedBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	setPool(w, func(p *pool.Pool) { p.MFASessionTTL = store.Duration(time.Hour) })
	secret := app(w, signintest.Alice)
	app(w, bob)
	a := w.Agent()
	l, space := halfAlice(a)
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), true, a.Browser())
	w.OK(err)
	a.Keep(out)
	asked := func(a *signintest.Agent, name, password string) bool {
		t.Helper()
		again := w.Agent()
		again.Jar = a.Jar
		r := signintest.Request()
		r.Prompt = []string{"login"}
		l, space := again.Begin(r)
		out, err := w.Signin.Password(t.Context(), space, l, name, password, again.Browser())
		w.OK(err)
		return signintest.Query(w, out).Get("code") == ""
	}
	if asked(a, signintest.Alice, setup.AlicePassword) {
		t.Error("asked although remembered")
	}
	if !asked(a, bob, setup.BobPassword) {
		t.Error("bob is not asked in alice's browser")
	}
	if !asked(w.Agent(), signintest.Alice, setup.AlicePassword) {
		t.Error("not asked in another browser")
	}
	w.Pass(time.Hour)
	if !asked(a, signintest.Alice, setup.AlicePassword) {
		t.Error("not asked after the time")
	}
	l, space = halfAlice(a)
	out, err = w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), true, a.Browser())
	w.OK(err)
	a.Keep(out)
	const changed = "another-good-pass-9"
	w.OK(w.Pools.Users.SetPassword(t.Context(), w.Demo.Tenant, w.Demo.PoolID, w.User(signintest.Alice).ID, changed, pool.SetOptions{KeepSessions: true}))
	if !asked(a, signintest.Alice, changed) {
		t.Error("not asked after the password was changed")
	}
}

// A browser remembered in the login in which the password is changed stays so, and
// it alone.
func TestRememberedBrowserOfNewPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	setPool(w, func(p *pool.Pool) { p.MFASessionTTL = store.Duration(time.Hour) })
	name := mustChange(w)
	secret := app(w, name)
	u := w.User(name)
	_, before, err := w.Pools.MFASessions.Begin(t.Context(), &u)
	w.OK(err)
	a := w.Agent()
	l, space := half(a, name, "a-first-pass-word")
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), true, a.Browser())
	w.OK(err)
	l, space = a.Resume(a.Keep(out))
	out, err = w.Signin.NewPassword(t.Context(), space, l, "another-pass-word-9", a.Browser())
	w.OK(err)
	a.Keep(out)
	again := w.Agent()
	again.Jar = a.Jar
	r := signintest.Request()
	r.Prompt = []string{"login"}
	l, space = again.Begin(r)
	out, err = w.Signin.Password(t.Context(), space, l, name, "another-pass-word-9", again.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Errorf("asked although remembered: %s %v", out.Location, err)
	}
	left, err := w.Pools.MFASessions.List(t.Context(), &u)
	if err != nil || len(left) != 1 || left[0].ID == before.ID {
		t.Errorf("remembered: %+v %v", left, err)
	}
}

// Who has no second factor sets one up, where that is offered.
func TestEnrolWhenDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP, pool.MechanismWebAuthn})
	a := w.Agent()
	l, space := halfAlice(a)
	if login.Next(l) != login.EnrolTOTP {
		t.Fatalf("step %d", login.Next(l))
	}
	e, err := w.Signin.BeginTOTP(t.Context(), space, l, "")
	w.OK(err)
	if again, err := w.Signin.BeginTOTP(t.Context(), space, l, e.Sealed); err != nil || again.Secret != e.Secret {
		t.Errorf("the form again shows another secret: %v", err)
	}
	_, _, err = w.Signin.EnrolTOTP(t.Context(), space, l, e.Sealed, "000000", a.Browser())
	wantKind(t, err, fault.Unauthenticated, "a wrong code")
	_, _, err = w.Signin.EnrolTOTP(t.Context(), space, l, "rubbish", shown(w, e.Secret), a.Browser())
	wantKind(t, err, fault.NotFound, "a secret that is not ours")
	other, otherSpace := halfAlice(w.Agent())
	_, _, err = w.Signin.EnrolTOTP(t.Context(), otherSpace, other, e.Sealed, shown(w, e.Secret), a.Browser())
	wantKind(t, err, fault.NotFound, "another login's secret")
	codes, cookies, err := w.Signin.EnrolTOTP(t.Context(), space, l, e.Sealed, shown(w, e.Secret), a.Browser())
	if err != nil || len(codes) != 10 {
		t.Fatalf("%d recovery codes, %v", len(codes), err)
	}
	_, _, err = w.Signin.EnrolTOTP(t.Context(), space, l, e.Sealed, shown(w, e.Secret), a.Browser())
	wantKind(t, err, fault.NotFound, "twice")
	mine, err := w.Signin.BeginTOTP(t.Context(), otherSpace, other, "")
	w.OK(err)
	_, _, err = w.Signin.EnrolTOTP(t.Context(), otherSpace, other, mine.Sealed, shown(w, mine.Secret), a.Browser())
	wantKind(t, err, fault.NotFound, "a second app, by who knows the password alone")
	for _, c := range cookies {
		a.Jar[c.Name] = c.Value
	}
	next, space, err := w.Signin.Login(t.Context(), w.Demo.Tenant, l.ID, l.State, a.Browser())
	w.OK(err)
	out, err := w.Signin.Continue(t.Context(), space, next, a.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Fatalf("%s %v", out.Location, err)
	}
	if _, err := w.Signin.Continue(t.Context(), space, next, a.Browser()); !errors.Is(err, login.ErrGone) {
		t.Errorf("twice: %v", err)
	}
	if l, _ := halfAlice(w.Agent()); login.Next(l) != login.SecondFactor {
		t.Error("the app is not asked for")
	}
}

// Somebody who set a passkey up meanwhile shows that, not a new app.
func TestEnrolTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP, pool.MechanismWebAuthn})
	a := w.Agent()
	l, space := halfAlice(a)
	e, err := w.Signin.BeginTOTP(t.Context(), space, l, "")
	w.OK(err)
	enrol(w, signintest.Alice)
	_, _, err = w.Signin.EnrolTOTP(t.Context(), space, l, e.Sealed, shown(w, e.Secret), a.Browser())
	wantKind(t, err, fault.NotFound, "after a passkey was enrolled")
	if u := w.User(signintest.Alice); u.Credential(pool.TypeTOTP) != nil {
		t.Error("the app is set up")
	}
}

func TestNoSecondFactorPossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byAny, []string{pool.MechanismWebAuthn})
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	out, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
	wantKind(t, err, fault.Denied, "nobody has a passkey")
	if out.Location != "" || len(out.Cookies) != 0 {
		t.Errorf("%+v", out)
	}
}

// What ends a person's sign-ins ends a login that waits for their second factor.
func TestHalfALoginEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *signintest.World, id string){
		"password set": func(w *signintest.World, id string) {
			w.OK(w.Pools.Users.SetPassword(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id, "another-good-pass-9", pool.SetOptions{}))
		},
		"password changed, sessions kept": func(w *signintest.World, id string) {
			w.OK(w.Pools.Users.SetPassword(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id, "another-good-pass-9", pool.SetOptions{KeepSessions: true}))
		},
		"inactive": func(w *signintest.World, _ string) { w.SetStatus(signintest.Alice, pool.StatusInactive) },
		"signed out": func(w *signintest.World, id string) {
			w.OK(w.Signin.EndUser(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id))
		},
		"deleted": func(w *signintest.World, id string) {
			w.OK(w.Pools.Users.Delete(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			offer(w, byPassword, []string{pool.MechanismTOTP})
			secret := app(w, signintest.Alice)
			a := w.Agent()
			l, space := halfAlice(a)
			end(w, l.User)
			_, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, shown(w, secret), true, a.Browser())
			wantKind(t, err, fault.NotFound, "after it ended")
		})
	}
}
