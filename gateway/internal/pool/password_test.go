package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// checking is the kind under which tests check passwords.
const checking = limit.KindVerifyPassword

// gate counts hashes.
type gate struct {
	mu     sync.Mutex
	hashes int
	full   error
}

func (g *gate) Do(_ context.Context, _ string, fn func()) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full != nil {
		return g.full
	}
	g.hashes++
	fn()
	return nil
}

// tries counts attempts, and can refuse.
type tries struct {
	mu     sync.Mutex
	log    []string
	refuse error
}

func (a *tries) Take(_ context.Context, tenant, kind, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, "take "+tenant+" "+kind+" "+key)
	return a.refuse
}

func (a *tries) Clear(_ context.Context, tenant, kind, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, "clear "+tenant+" "+kind+" "+key)
	return nil
}

func (a *tries) told() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.log
	a.log = nil
	return out
}

// gated is a world whose hashes and holds are counted.
func gated(t *testing.T) (*world, *gate, *tries, *[]time.Duration) {
	t.Helper()
	g, a := &gate{}, &tries{}
	held := &[]time.Duration{}
	w := open(t, func(w *world, c *pool.Config, _ *store.Driver) {
		c.Guard = a
		c.Passwords = credential.NewVerifier(credential.Config{Gate: g, Now: w.Now, Wait: func(_ context.Context, d time.Duration) error {
			*held = append(*held, d)
			return nil
		}})
	})
	return w, g, a, held
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	w, g, a, held := gated(t)
	ctx := t.Context()
	w.pool("p", func(in *pool.Input) {
		in.Pool.IdentifierCaseInsensitive = true
		in.PasswordSettings.ExpiresAfter = store.Duration(time.Hour)
	})
	right := password("right")
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,`+right)
	w.user("p", `"id":"none",`+email("none@example.com"))
	for _, status := range []string{"new", "inactive", "deleted"} {
		in := decode[pool.NewUser](t, `{"status":"`+status+`","id":"`+status+`",`+email(status+"@example.com")+`,`+right+`}`)
		_ = must[pool.User](t)(w.Users.Create(ctx, tenantID, "p", in))
	}
	w.user("p", `"id":"reset",`+email("reset@example.com")+`,"credentials":[{"type":"password","password":"right","must_be_reset":true}]`)
	w.advance(2 * time.Hour)
	w.user("p", `"id":"fresh",`+email("fresh@example.com")+`,`+right)
	for _, tc := range []struct {
		identifier, password string
		outcome              pool.Outcome
		state, user          string
		proven               bool
	}{
		{"fresh@example.com", "right", pool.PasswordCorrect, "valid", "fresh", true},
		{" FRESH@Example.Com", "right", pool.PasswordCorrect, "valid", "fresh", true},
		{"fresh@example.com", "wrong", pool.PasswordIncorrect, "valid", "fresh", false},
		{"fresh@example.com", "", pool.PasswordIncorrect, "valid", "fresh", false},
		{"fresh@example.com", "right ", pool.PasswordIncorrect, "valid", "fresh", false},
		{"fresh@example.com", strings.Repeat("right", 1000), pool.PasswordIncorrect, "valid", "fresh", false},
		{"anna@example.com", "right", pool.PasswordExpired, "valid", "anna", false},
		{"anna@example.com", "wrong", pool.PasswordIncorrect, "valid", "anna", false},
		{"none@example.com", "right", pool.NoPassword, "valid", "none", false},
		{"nobody@example.com", "right", pool.UserNotFound, "valid", "", false},
		{"", "", pool.UserNotFound, "valid", "", false},
		{"fresh", "right", pool.UserNotFound, "valid", "", false}, // an id is no identifier
	} {
		what := tc.identifier + " " + tc.password[:min(10, len(tc.password))]
		g.hashes, *held = 0, nil
		r, err := w.Users.CheckPassword(ctx, tenantID, "p", checking, tc.identifier, tc.password)
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != tc.outcome || r.State != tc.state || r.User.ID != tc.user || r.Proven() != tc.proven {
			t.Errorf("%s: %s, %s, user %q, proven %v", what, r.Outcome, r.State, r.User.ID, r.Proven())
		}
		if g.hashes != 1 {
			t.Errorf("%s: %d hashes", what, g.hashes)
		}
		if refused := tc.outcome != pool.PasswordCorrect && tc.outcome != pool.PasswordExpired; refused != (len(*held) == 1) {
			t.Errorf("%s: held %v", what, *held)
		}
	}
	a.told()
	// Whatever the status, the work is the same; nobody but the active gets in.
	for _, id := range []string{"new", "inactive", "deleted", "reset"} {
		w2 := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", id))
		if err := w.Users.SetPassword(ctx, tenantID, "p", id, "right", pool.SetOptions{State: w2.Credential(pool.TypePassword).State}); err != nil {
			t.Fatal(err)
		}
		r := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, id+"@example.com", "right"))
		if r.Outcome != pool.PasswordCorrect || r.Proven() {
			t.Errorf("%s: %s, proven %v", id, r.Outcome, r.Proven())
		}
	}
	a.told()
	_ = must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "fresh@example.com", "wrong"))
	_ = must[pool.Result](t)(w.Users.CheckPasswordOf(ctx, tenantID, "p", checking, "fresh", "right"))
	_ = must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "Nobody@example.com", "x"))
	_ = must[pool.Result](t)(w.Users.CheckPasswordOf(ctx, tenantID, "p", checking, "nobody", "x"))
	const kind = " t identity_verify_password p/"
	if diff := cmp.Diff([]string{
		"take" + kind + "fresh", "take" + kind + "fresh", "clear" + kind + "fresh",
		"take" + kind + "?nobody@example.com", "take" + kind + "?nobody",
	}, a.told()); diff != "" {
		t.Error(diff)
	}
	// Attempts are counted before the work; a full gate is no answer.
	a.refuse, g.hashes = errors.New("too many"), 0
	if _, err := w.Users.CheckPassword(ctx, tenantID, "p", checking, "fresh@example.com", "right"); !errors.Is(err, a.refuse) || g.hashes != 0 {
		t.Errorf("too many attempts: %v after %d hashes", err, g.hashes)
	}
	a.refuse, g.full = nil, errors.New("full")
	if _, err := w.Users.CheckPassword(ctx, tenantID, "p", checking, "fresh@example.com", "right"); !errors.Is(err, g.full) {
		t.Errorf("a full gate: %v", err)
	}
	g.full = nil
	_, err := w.Users.CheckPassword(ctx, tenantID, "q", checking, "fresh@example.com", "right")
	wants(t, "no such pool", err, fault.NotFound, "")
}

// TestMustBeChanged lets many sign in at once with a password that is good for
// one more time.
func TestMustBeChanged(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,"credentials":[{"type":"password","password":"old","must_be_changed":true}]`)
	results := make([]pool.Result, 20)
	errs := make([]error, len(results))
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			results[i], errs[i] = w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", "old")
		})
	}
	wg.Wait()
	proven := 0
	for i, r := range results {
		if errs[i] != nil || r.Outcome != pool.PasswordCorrect {
			t.Errorf("%s, %v", r.Outcome, errs[i])
		}
		if r.Proven() {
			proven++
			if r.State != pool.StateMustBeChanged {
				t.Errorf("the one sign-in says %s", r.State)
			}
		} else if r.State != pool.StateMustBeReset {
			t.Errorf("a refused sign-in says %s", r.State)
		}
	}
	if proven != 1 {
		t.Errorf("%d sign-ins", proven)
	}
	if u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna")); u.Credential(pool.TypePassword).State != pool.StateMustBeReset {
		t.Errorf("the state is %s", u.Credential(pool.TypePassword).State)
	}
	// Who signed in can still change it, for a while.
	if err := w.Users.ChangePassword(ctx, tenantID, "p", "anna", "old", "new", pool.SetOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", "new")); !r.Proven() || r.State != pool.StateValid {
		t.Errorf("after the change: %s, %s", r.Outcome, r.State)
	}
	if err := w.Users.SetPasswordState(ctx, tenantID, "p", "anna", pool.StateMustBeChanged); err != nil {
		t.Fatal(err)
	}
	_ = must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", "new"))
	w.advance(61 * time.Minute)
	wants(t, "too late", w.Users.ChangePassword(ctx, tenantID, "p", "anna", "new", "newer", pool.SetOptions{}), fault.Denied, "")
	// An inactive user does not use it up.
	if err := w.Users.SetPasswordState(ctx, tenantID, "p", "anna", pool.StateMustBeChanged); err != nil {
		t.Fatal(err)
	}
	_ = must[pool.User](t)(w.Users.Update(ctx, tenantID, "p", "anna", 0, pool.UpdateUser{Status: pool.StatusInactive}))
	if r := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", "new")); r.Proven() || r.State != pool.StateMustBeChanged {
		t.Errorf("inactive: %s, proven %v", r.State, r.Proven())
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	w, _, a, _ := gated(t)
	ctx := t.Context()
	w.pool("p", func(in *pool.Input) {
		in.PasswordPolicy = &credential.Policy{MinLength: 3, NotUsedSince: 3}
		in.PasswordSettings.ExpiresAfter = store.Duration(time.Hour)
	})
	w.user("p", `"id":"anna",`+password("one"))
	w.user("p", `"id":"none"`)
	change := func(user, old, next string) error {
		return w.Users.ChangePassword(ctx, tenantID, "p", user, old, next, pool.SetOptions{})
	}
	wants(t, "wrong", change("anna", "wrong", "two"), fault.Unauthenticated, "old_password")
	wants(t, "too short", change("anna", "one", "2"), fault.Unprocessable, "new_password")
	wants(t, "the same", change("anna", "one", "one"), fault.Unprocessable, "new_password")
	wants(t, "no password", change("none", "", "two"), fault.Unprocessable, "")
	wants(t, "no user", change("nobody", "", "two"), fault.NotFound, "")
	a.told()
	w.told()
	w.advance(2 * time.Hour) // an expired password can be changed
	if err := change("anna", "one", "two"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"revoke.user p/anna", "revoke.user p/anna", "user p/anna", "password_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"take t identity_change_password p/anna", "clear t identity_change_password p/anna"}, a.told()); diff != "" {
		t.Error(diff)
	}
	c := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if exp := c.Credential(pool.TypePassword).ExpiresAt; !exp.Equal(w.Now().Add(time.Hour)) {
		t.Errorf("expires at %v", exp)
	}
	for _, step := range []struct {
		old, next string
		ok        bool
	}{{"two", "one", false}, {"two", "three", true}, {"three", "one", false}, {"three", "four", true}, {"four", "one", true}, {"one", "three", false}} {
		if err := change("anna", step.old, step.next); (err == nil) != step.ok {
			t.Errorf("%s to %s: %v", step.old, step.next, err)
		}
	}
	// KeepSessions: the revocations are left out.
	w.told()
	if err := w.Users.SetPassword(ctx, tenantID, "p", "anna", "five", pool.SetOptions{KeepSessions: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"user p/anna", "password_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if err := w.Users.SetPassword(ctx, tenantID, "p", "none", "first", pool.SetOptions{State: pool.StateMustBeChanged}); err != nil {
		t.Fatal(err)
	}
	if u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "none")); u.Credential(pool.TypePassword).State != pool.StateMustBeChanged {
		t.Errorf("set with a state: %+v", u.Credentials)
	}
	wants(t, "unknown state", w.Users.SetPassword(ctx, tenantID, "p", "none", "first", pool.SetOptions{State: "x"}), fault.Unprocessable, "state")
	wants(t, "field", w.Users.SetPassword(ctx, tenantID, "p", "none", "x", pool.SetOptions{Field: "password"}), fault.Unprocessable, "password")
	wants(t, "unknown state", w.Users.SetPasswordState(ctx, tenantID, "p", "anna", "x"), fault.Unprocessable, "state")
	if err := w.Users.SetPasswordState(ctx, tenantID, "p", "anna", pool.StateMustBeReset); err != nil {
		t.Fatal(err)
	}
	wants(t, "must be reset", change("anna", "five", "sixth"), fault.Denied, "")
	w.user("p", `"id":"bare"`)
	wants(t, "state of no password", w.Users.SetPasswordState(ctx, tenantID, "p", "bare", pool.StateValid), fault.NotFound, "")
	_ = must[pool.User](t)(w.Users.Update(ctx, tenantID, "p", "none", 0, pool.UpdateUser{Status: pool.StatusInactive}))
	wants(t, "inactive", change("none", "first", "second"), fault.Denied, "")
}

// TestChangePasswordRace lets many change one password by the same old one: one
// does, and the others are told that the old one is wrong.
func TestChangePasswordRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,`+password("old"))
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = w.Users.ChangePassword(t.Context(), tenantID, "p", "anna", "old", fmt.Sprint("new", i), pool.SetOptions{})
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Errorf("%d and %d both changed it", won, i)
		case err == nil:
			won = i
		case !fault.Is(err, fault.Unauthenticated):
			t.Error(err)
		}
	}
	r := must[pool.Result](t)(w.Users.CheckPassword(t.Context(), tenantID, "p", checking, "anna@example.com", fmt.Sprint("new", won)))
	if !r.Proven() {
		t.Errorf("the winner's password: %s", r.Outcome)
	}
}

// TestRehash follows a pool that changes its hashing method.
func TestRehash(t *testing.T) {
	t.Parallel()
	w, g, _, _ := gated(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,`+password("right"))
	hash := func() string {
		u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
		return u.Credential(pool.TypePassword).Hash
	}
	if !strings.HasPrefix(hash(), "$sha512$") {
		t.Fatal(hash())
	}
	in := decode[pool.Input](t, `{"id":"p","name":"p"}`)
	_ = must[pool.Counted](t)(w.Pools.Update(ctx, tenantID, in))
	for _, tc := range []struct {
		password, prefix string
		hashes           int
	}{{"wrong", "$sha512$", 1}, {"right", "$argon2id$", 2}, {"right", "$argon2id$", 1}} {
		g.hashes = 0
		r := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", tc.password))
		if r.Proven() != (tc.password == "right") || !strings.HasPrefix(hash(), tc.prefix) || g.hashes != tc.hashes {
			t.Errorf("%s: %s, %s, %d hashes", tc.password, r.Outcome, hash()[:10], g.hashes)
		}
	}
}
