package signin_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// TestWrongPasswords: one answer and one hash whatever was wrong.
func TestWrongPasswords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetStatus("bob@example.com", pool.StatusInactive)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	said := map[string]bool{}
	for name, try := range map[string][2]string{
		"wrong":    {signintest.Alice, "not-her-password"},
		"unknown":  {"nobody@example.com", "whatever-it-is"},
		"inactive": {"bob@example.com", setup.BobPassword},
		"empty":    {"", ""},
	} {
		before := w.Hashes.Load()
		_, err := w.Signin.Password(t.Context(), space, l, try[0], try[1], a.Browser())
		wantKind(t, err, fault.Unauthenticated, name)
		said[fault.Read(err).Public] = true
		if n := w.Hashes.Load() - before; n != 1 {
			t.Errorf("%s: %d hashes, want 1", name, n)
		}
	}
	if len(said) != 1 {
		t.Errorf("answers tell cases apart: %v", said)
	}
	out, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Errorf("the login goes on after a wrong password: %v", err)
	}
}

func TestAttemptsAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evil, alice := w.Agent(), w.Agent()
	alice.IP = "198.51.100.7"
	l, space := evil.Begin(signintest.Request())
	// Every spelling that finds her counts as one.
	for i, name := range []string{"alice@example.com", "ALICE@example.com", " alice@EXAMPLE.com", "Alice@example.com ", "ａlice@example.com"} {
		_, err := w.Signin.Password(t.Context(), space, l, name, fmt.Sprint("guess-number-", i), evil.Browser())
		wantKind(t, err, fault.Unauthenticated, name)
	}
	before := w.Hashes.Load()
	_, err := w.Signin.Password(t.Context(), space, l, "aLICE@example.com", setup.AlicePassword, evil.Browser())
	wantKind(t, err, fault.TooMany, "the sixth")
	if fault.Read(err).RetryAfter <= 0 || w.Hashes.Load() != before {
		t.Error("a blocked attempt says when to come back and costs no hash")
	}
	alice.SignIn(signintest.Request()) // from elsewhere she signs in
	w.Pass(2 * time.Minute)
	if _, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, evil.Browser()); err != nil {
		t.Errorf("after the block: %v", err)
	}
}

// mustChange makes carol, whose first password must be changed.
func mustChange(w *signintest.World) string {
	const name = "carol@example.com"
	_, err := w.Pools.Users.Create(w.T.Context(), "default", w.Demo.PoolID, pool.NewUser{
		Status:      pool.StatusActive,
		Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: name}},
		Credentials: []pool.NewUserCredential{{Type: pool.TypePassword, Password: "a-first-pass-word", MustBeChanged: true}},
	})
	w.OK(err)
	return name
}

func TestPasswordMustBeChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := mustChange(w)
	a := w.Agent()
	first, space := a.Begin(signintest.Request())
	cookies := map[string]string{}
	for k, v := range a.Jar {
		cookies[k] = v
	}
	out, err := w.Signin.Password(t.Context(), space, first, name, "a-first-pass-word", a.Browser())
	w.OK(err)
	a.Keep(out)
	l, _ := a.Resume(out)
	if login.Next(l) != login.NewPassword || signintest.Query(w, out).Get("code") != "" {
		t.Fatalf("step %d, %s", login.Next(l), out.Location)
	}
	if _, err := w.Signin.Current(t.Context(), space, a.Browser()); !fault.Is(err, fault.Unauthenticated) {
		t.Error("a session before the change")
	}
	_, err = w.Signin.NewPassword(t.Context(), space, first, "another-pass-word-9", a.Browser())
	wantKind(t, err, fault.NotFound, "a login that has proven nothing")
	_, err = w.Signin.NewPassword(t.Context(), space, l, "short", a.Browser())
	wantKind(t, err, fault.Unprocessable, "a weak one")
	// The browser's cookie from before the proof does not lead to the new step.
	back := w.Agent()
	back.Jar = cookies
	if was, _, err := w.Signin.Login(t.Context(), "default", l.ID, l.State, back.Browser()); err == nil && login.Next(was) == login.NewPassword {
		t.Error("the old cookie continues")
	}
	done, err := w.Signin.NewPassword(t.Context(), space, l, "another-pass-word-9", a.Browser())
	if err != nil || signintest.Query(w, done).Get("code") == "" {
		t.Fatalf("%s %v", done.Location, err)
	}
	a.Keep(done)
	if s := a.Session(); s.User != l.User {
		t.Errorf("session of %q", s.User)
	}
	_, err = w.Signin.NewPassword(t.Context(), space, l, "yet-another-pass-1", a.Browser())
	wantKind(t, err, fault.NotFound, "the step again")
}

// Who knew the old password must not overwrite what an administrator set since,
// whether or not that ended what the person is signed in to.
func TestAdministratorsPasswordWins(t *testing.T) {
	t.Parallel()
	const set = "set-by-the-administrator"
	for name, o := range map[string]pool.SetOptions{"ending sessions": {}, "keeping sessions": {KeepSessions: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			who := mustChange(w)
			a := w.Agent()
			l, space := half(a, who, "a-first-pass-word")
			w.Pass(time.Second)
			w.OK(w.Pools.Users.SetPassword(t.Context(), "default", l.Pool, l.User, set, o))
			_, err := w.Signin.NewPassword(t.Context(), space, l, "the-attackers-choice-1", a.Browser())
			wantKind(t, err, fault.NotFound, "after the reset")
			if r, err := w.Pools.Users.CheckPassword(t.Context(), "default", l.Pool, limit.KindVerifyPassword, who, set); err != nil || !r.Proven() {
				t.Errorf("the administrator's password is gone: %v %v", r.Outcome, err)
			}
		})
	}
}

// Who cannot sign in for want of a second factor keeps the one sign-in of a
// password that must be changed.
func TestDeniedKeepsTheOneSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := mustChange(w)
	offer(w, byPassword, []string{pool.MechanismWebAuthn})
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	for range 6 { // which do not count as guesses either
		_, err := w.Signin.Password(t.Context(), space, l, name, "a-first-pass-word", a.Browser())
		wantKind(t, err, fault.Denied, "no second factor")
		_, err = w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
		wantKind(t, err, fault.Denied, "alice has none either")
	}
	offer(w, byPassword, nil)
	if l, _ := half(a, name, "a-first-pass-word"); login.Next(l) != login.NewPassword {
		t.Errorf("step %d", login.Next(l))
	}
	l, space = a.Begin(signintest.Request())
	_, err := w.Signin.Password(t.Context(), space, l, name, "a-first-pass-word", a.Browser())
	if !fault.Is(err, fault.Unauthenticated) || fault.Read(err).Code != signin.CodeResetRequired {
		t.Errorf("a second sign-in: %v", err)
	}
}

// Nobody is signed in when their tries could not be forgotten.
func TestTriesNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	w.Faulty.Fail(storetest.OpDelete, "tries", 1, nil)
	if out, err := w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%s %v", out.Location, err)
	}
	left, err := w.Sessions.List(t.Context(), "default", w.Demo.PoolID, w.User(signintest.Alice).ID)
	if err != nil || len(left) != 0 {
		t.Errorf("%d sessions %v", len(left), err)
	}
	for range 6 {
		w.Agent().SignIn(signintest.Request()) // the tries of each are forgotten
	}
}
