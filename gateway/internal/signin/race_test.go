package signin_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// held runs work, stops it at its next call of op on a table, ends alice's
// sign-ins there, and lets it go on.
func held(w *signintest.World, op, table string, work func() (signin.Outcome, error)) (signin.Outcome, error) {
	w.T.Helper()
	release := make(chan struct{})
	before := w.Faulty.Calls(op)
	w.Faulty.Hold(op, table, 1, release)
	type result struct {
		out signin.Outcome
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := work()
		done <- result{out, err}
	}()
	for w.Faulty.Calls(op) == before {
		runtime.Gosched() // until it stands there
	}
	w.OK(w.Signin.EndUser(w.T.Context(), "default", w.Demo.PoolID, w.User(signintest.Alice).ID))
	close(release)
	r := <-done
	return r.out, r.err
}

// A person who is signed out everywhere between the proof and the session gets
// none, although the session would be younger than the sign-out.
func TestSignedOutBetweenProofAndSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	out, err := held(w, storetest.OpScan, "group_members", func() (signin.Outcome, error) {
		return w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
	})
	if !errors.Is(err, login.ErrGone) {
		t.Errorf("%s %v", out.Location, err)
	}
	left, err := w.Sessions.List(t.Context(), "default", w.Demo.PoolID, w.User(signintest.Alice).ID)
	if err != nil || len(left) != 0 {
		t.Errorf("%d sessions %v", len(left), err)
	}
}

// The same between the look at a session and its code.
func TestSignedOutBetweenSessionAndCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	a.SignIn(signintest.Request())
	space := w.Home()
	w.Pass(31 * time.Second) // the client is read again
	a.Session()              // the session already
	out, err := held(w, storetest.OpGet, "clients", func() (signin.Outcome, error) {
		return w.Signin.Authorize(t.Context(), space, signintest.Request("openid", "offline_access"), a.Browser())
	})
	if !errors.Is(err, login.ErrGone) {
		t.Errorf("%s %v", out.Location, err)
	}
}
