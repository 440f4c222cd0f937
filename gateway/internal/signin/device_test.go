package signin_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// A browser that its person has signed in with is neither slowed nor locked out
// while strangers guess at their password from everywhere.
func TestKnownDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := w.Agent()
	own.SignIn(signintest.Request())
	l, space := w.Agent().Begin(signintest.Request())
	guess := func(ctx context.Context, network, i int) error {
		stranger := w.Agent()
		stranger.IP = fmt.Sprintf("10.0.%d.1", network)
		_, err := w.Signin.Password(ctx, space, l, signintest.Alice, fmt.Sprintf("guess-number-%d-%d", network, i), stranger.Browser())
		return err
	}
	attack := func(ctx context.Context, from, to int) {
		var wg sync.WaitGroup
		for network := from; network < to; network++ {
			wg.Go(func() {
				for i := range 5 {
					if err := guess(ctx, network, i); err == nil {
						t.Error("a guess was right")
					}
				}
			})
		}
		wg.Wait()
	}
	attack(t.Context(), 0, 20)
	// Beyond the first hundred they wait for their turn: these give up.
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	attack(impatient, 20, 60)
	for i := range 4 { // typing errors of their own
		_, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, fmt.Sprint("a-typing-error-", i), own.Browser())
		wantKind(t, err, fault.Unauthenticated, "a typing error")
	}
	out, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, own.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Fatalf("the own browser: %v", err)
	}
	// The device counts for its person alone, and does not count for others.
	for i := range 6 {
		_, err = w.Signin.Password(t.Context(), space, l, bob, fmt.Sprint("a-guess-at-bob-", i), own.Browser())
	}
	wantKind(t, err, fault.TooMany, "guesses at somebody else from the known browser")
}

// The cookie of a browser is good in its tenant only, and for at most eight
// people.
func TestDeviceCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.SignIn(signintest.Request())
	name := signin.Names{}.Device(w.Demo.Tenant)
	first := a.Jar[name]
	if first == "" {
		t.Fatal("no cookie")
	}
	for i := range 9 {
		who := fmt.Sprintf("user%d@example.com", i)
		_, err := w.Pools.Users.Create(t.Context(), w.Demo.Tenant, w.Demo.PoolID, pool.NewUser{
			Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: who}},
			Credentials: []pool.NewUserCredential{{Type: pool.TypePassword, Password: "a-good-pass-word-9"}},
		})
		w.OK(err)
		r := signintest.Request()
		r.Prompt = []string{"login"}
		l, space := a.Begin(r)
		out, err := w.Signin.Password(t.Context(), space, l, who, "a-good-pass-word-9", a.Browser())
		w.OK(err)
		a.Keep(out)
	}
	if n := len(a.Jar[name]); n > 2000 {
		t.Errorf("the cookie has %d bytes", n)
	}
	// Alice is forgotten: her tries count for the network again.
	l, space := w.Agent().Begin(signintest.Request())
	for i := range 5 {
		_, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, fmt.Sprint("a-guess-", i), w.Agent().Browser())
		wantKind(t, err, fault.Unauthenticated, "a guess")
	}
	_, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
	wantKind(t, err, fault.TooMany, "the browser that forgot her")
	a.Jar[name] = first
	if _, err = w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser()); err != nil {
		t.Errorf("the browser that knows her: %v", err)
	}
}

// Only who knows the password learns that it must be reset.
func TestResetHint(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(w *signintest.World){
		"must be reset": func(w *signintest.World) {
			w.OK(w.Pools.Users.SetPasswordState(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, w.User(signintest.Alice).ID, pool.StateMustBeReset))
		},
		"expired": func(w *signintest.World) {
			setPool(w, func(p *pool.Pool) { p.PasswordSettings.ExpiresAfter = store.Duration(time.Hour) })
			w.OK(w.Pools.Users.SetPassword(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, w.User(signintest.Alice).ID, setup.AlicePassword, pool.SetOptions{}))
			w.Pass(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			spoil(w)
			l, space := w.Agent().Begin(signintest.Request())
			try := func(password string) string {
				_, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, password, w.Agent().Browser())
				wantKind(t, err, fault.Unauthenticated, password)
				return fault.Read(err).Code
			}
			if c := try(setup.AlicePassword); c != signin.CodeResetRequired {
				t.Errorf("right: %q", c)
			}
			if c := try("a-wrong-pass-word"); c == signin.CodeResetRequired {
				t.Error("wrong: the hint")
			}
			w.SetStatus(signintest.Alice, pool.StatusInactive)
			if c := try(setup.AlicePassword); c == signin.CodeResetRequired {
				t.Error("right, but inactive: the hint")
			}
		})
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	const changed = "another-good-pass-9"
	for name, keep := range map[string]bool{"all end": false, "the current one stays": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			setPool(w, func(p *pool.Pool) { p.PasswordSettings.KeepCurrentSession = keep })
			mine, phone := w.Agent(), w.Agent()
			here, there := mine.Tokens("openid", "offline_access"), phone.Tokens("openid", "offline_access")
			on := mine.Session()
			me := signin.Own{Pool: on.Pool, User: on.User, Session: on.ID}
			who, err := w.Signin.Person(t.Context(), w.Home(), signin.Presentation{Authorization: "Bearer " + here.AccessToken})
			w.OK(err)
			me.Grant = who.Claims.String("grant_id")
			wantKind(t, w.Signin.ChangePassword(t.Context(), w.Demo.Tenant, me, "not-the-old-one", changed), fault.Unauthenticated, "a wrong old password")
			mine.Session()
			w.OK(w.Signin.ChangePassword(t.Context(), w.Demo.Tenant, me, setup.AlicePassword, changed))
			alive := func(a *signintest.Agent) bool {
				_, err := w.Signin.Current(t.Context(), w.Home(), a.Browser())
				return err == nil
			}
			if alive(mine) != keep || alive(phone) {
				t.Errorf("sessions: mine %v, the other %v", alive(mine), alive(phone))
			}
			_, errHere := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, here.RefreshToken, nil)
			_, errThere := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, there.RefreshToken, nil)
			if (errHere == nil) != keep || errThere == nil {
				t.Errorf("grants: mine %v, the other %v", errHere, errThere)
			}
			_, errHere = w.Signin.Person(t.Context(), w.Home(), signin.Presentation{Authorization: "Bearer " + here.AccessToken})
			_, errThere = w.Signin.Person(t.Context(), w.Home(), signin.Presentation{Authorization: "Bearer " + there.AccessToken})
			if (errHere == nil) != keep || errThere == nil {
				t.Errorf("access tokens: mine %v, the other %v", errHere, errThere)
			}
		})
	}
}

// A change that keeps the current session ends, where it kept nothing to keep,
// everything.
func TestChangePasswordByNobodysSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	setPool(w, func(p *pool.Pool) { p.PasswordSettings.KeepCurrentSession = true })
	a := w.Agent()
	a.SignIn(signintest.Request())
	on := a.Session()
	me := signin.Own{Pool: on.Pool, User: on.User}
	w.OK(w.Signin.ChangePassword(t.Context(), w.Demo.Tenant, me, setup.AlicePassword, "another-good-pass-9"))
	if _, err := w.Signin.Current(t.Context(), w.Home(), a.Browser()); !fault.Is(err, fault.Unauthenticated) {
		t.Error("the session goes on")
	}
}
