package selfservice_test

import (
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// Who could read somebody's mailbox for a while does not come back by a code of
// that time: neither when the password was set since, nor when the address went.
func TestCodesEndWithWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(w *world, id string) error{
		"a new password": func(w *world, id string) error {
			return w.Pools.Users.SetPassword(w.T.Context(), w.Demo.Tenant, w.pool, id, good, pool.SetOptions{})
		},
		"the address removed": func(w *world, id string) error {
			_, err := w.Pools.Users.RemoveAddress(w.T.Context(), w.Demo.Tenant, w.pool, id, alice)
			return err
		},
		"the address switched off": func(w *world, id string) error {
			_, err := w.Pools.Users.UpdateAddress(w.T.Context(), w.Demo.Tenant, w.pool, id, pool.UpdateAddress{Address: alice, Status: pool.StatusInactive, Verified: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			typed := w.ask(code.ResetPassword, alice)
			w.Pass(time.Second)
			w.OK(after(w, w.User(alice).ID))
			err := w.reset(selfservice.Who{Identifier: alice}, typed, "another-good-pass-word-7")
			wantKind(t, err, fault.Unauthenticated, "a code of before")
		})
	}
	w := newWorld(t)
	typed := w.ask(code.ResetPassword, alice)
	w.OK(w.Pools.Users.SetPasswordState(t.Context(), w.Demo.Tenant, w.pool, w.User(alice).ID, pool.StateMustBeReset))
	if err := w.reset(selfservice.Who{Identifier: alice}, typed, good); err != nil {
		t.Errorf("a state is no new password: %v", err)
	}
}

// In a pool that tells cases apart, 429 must not tell a name that nobody has from
// one in another case that somebody has.
func TestRefusalsTellNoCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sensitive := false
	_, err := w.Pools.Pools.Create(t.Context(), w.Demo.Tenant, pool.Input{Pool: pool.Pool{ID: "cases", Name: "Cases"}, IdentifierCaseInsensitive: &sensitive})
	w.OK(err)
	w.pool = "cases"
	w.create(bob, pool.NewUserVerifiableAddress{Type: pool.Email, Address: bob, Verified: true})
	ctx := w.from("192.0.2.99")
	try := func(name string) error {
		_, _, err := w.SelfService.Verify(ctx, w.Demo.Tenant, "cases", code.Challenge, selfservice.Who{Identifier: name}, "000000")
		return err
	}
	for _, pair := range [][2]string{{bob, "BOB@example.com"}, {carol, "CAROL@example.com"}} {
		for range 10 {
			wantKind(t, try(pair[0]), fault.Unauthenticated, pair[0])
		}
		wantKind(t, try(pair[0]), fault.TooMany, pair[0])
		wantKind(t, try(pair[1]), fault.Unauthenticated, pair[1]+" after "+pair[0])
	}
}
