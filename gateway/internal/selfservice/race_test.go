package selfservice_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// together runs work n times at once and counts what came of it.
func together(n int, work func(i int) error) (done, wrong, many, other int64) {
	var wg sync.WaitGroup
	var counts [4]atomic.Int64
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			switch err := work(i); {
			case err == nil:
				counts[0].Add(1)
			case fault.Is(err, fault.Unauthenticated):
				counts[1].Add(1)
			case fault.Is(err, fault.TooMany):
				counts[2].Add(1)
			default:
				counts[3].Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return counts[0].Load(), counts[1].Load(), counts[2].Load(), counts[3].Load()
}

// Of 200 activations with one code one succeeds, whether they come from one
// network or from 200.
func TestActivateOnceInParallel(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]func(w *world, i int) context.Context{
		"from 200 networks": (*world).elsewhere,
		"from one network":  func(w *world, _ int) context.Context { return w.from("192.0.2.1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			made, short := w.register(carol)
			done, wrong, many, other := together(200, func(i int) error {
				_, err := w.SelfService.Activate(from(w, i), w.Demo.Tenant, w.pool, selfservice.Activation{
					Code: code.Extend(made.ID, short), Kind: limit.KindSelfActivation, Activation: pool.Activation{Password: good},
				})
				return err
			})
			if done != 1 || other != 0 || done+wrong+many != 200 || (many != 0 && name == "from 200 networks") {
				t.Errorf("%d succeeded, %d wrong, %d too many, %d else", done, wrong, many, other)
			}
			if u := w.byID(made.ID); u.Status != pool.StatusActive || !u.HasPassword() {
				t.Errorf("%+v", u)
			}
		})
	}
}

// Resets of one person with one code, each to a password of its own.
func TestResetOnceInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := w.ask(code.ResetPassword, alice)
	done, wrong, many, other := together(50, func(i int) error {
		_, err := w.SelfService.ResetPassword(w.elsewhere(i), w.Demo.Tenant, w.pool, selfservice.Who{Identifier: alice}, short, good)
		return err
	})
	if done != 1 || wrong != 49 || many != 0 || other != 0 {
		t.Errorf("%d succeeded, %d wrong, %d too many, %d else", done, wrong, many, other)
	}
}

// Of 200 guesses at once at most the limit is looked at, and a new code does not
// give new tries.
func TestGuessesInParallel(t *testing.T) {
	t.Parallel()
	rule, _ := limit.Default(limit.KindSelfActivation)
	w := newWorld(t)
	made, short := w.register(carol)
	guess := func(typed string) error {
		_, err := w.SelfService.Activate(w.from("192.0.2.1"), w.Demo.Tenant, w.pool, selfservice.Activation{
			Code: code.Extend(made.ID, typed), Kind: limit.KindSelfActivation,
		})
		return err
	}
	done, evaluated, many, other := together(200, func(int) error { return guess(wrong(short)) })
	if done != 0 || evaluated != int64(rule.Max) || many != 200-evaluated || other != 0 {
		t.Errorf("%d succeeded, %d looked at, %d too many, %d else", done, evaluated, many, other)
	}
	short = w.ask(code.Activation, carol)
	if short == "" {
		t.Fatal("no new code")
	}
	wantKind(t, guess(short), fault.TooMany, "the right new code, after too many tries")
	if _, err := w.SelfService.Activate(w.from("198.51.100.1"), w.Demo.Tenant, w.pool, selfservice.Activation{
		Code: code.Extend(made.ID, short), Kind: limit.KindSelfActivation,
	}); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// The same for codes that sign in and for nobody's: names and ids that nobody has
// are refused as often as others.
func TestGuessesAtNobody(t *testing.T) {
	t.Parallel()
	rule, _ := limit.Default(limit.KindCodeVerify)
	w := newWorld(t)
	w.ask(code.Authentication, alice)
	for name, tc := range map[string]struct {
		who   selfservice.Who
		typed string
	}{
		"alice":               {selfservice.Who{Identifier: alice}, "0000"},
		"nobody":              {selfservice.Who{Identifier: "nobody@example.com"}, "0000"},
		"nobody's address":    {selfservice.Who{Address: "nowhere@example.com"}, "0000"},
		"an extended code":    {selfservice.Who{}, code.Extend("nobody", "000000")},
		"another of nobody's": {selfservice.Who{}, code.Extend("nobody-else", "000000")},
	} {
		var looked int
		for range rule.Max + 3 {
			_, _, err := w.SelfService.Verify(w.from("192.0.2.1"), w.Demo.Tenant, w.pool, code.Authentication, tc.who, tc.typed)
			if !fault.Is(err, fault.TooMany) {
				wantSame(t, err, name)
				looked++
			}
		}
		if looked != rule.Max {
			t.Errorf("%s: %d tries were looked at, want %d", name, looked, rule.Max)
		}
	}
}

// Guesses at the code of a reset count over the hour: waiting out the block, or
// asking for another code, gives no new ones.
func TestGuessesAtResetOverTheHour(t *testing.T) {
	t.Parallel()
	rule, _ := limit.Default(limit.KindConfirmPassword)
	w := newWorld(t)
	short := w.ask(code.ResetPassword, alice)
	who := selfservice.Who{Identifier: alice}
	for range rule.Max {
		wantSame(t, w.reset(who, wrong(short), good), "a guess")
	}
	w.Pass(rule.Block + time.Minute)
	short = w.ask(code.ResetPassword, alice)
	wantKind(t, w.reset(who, short, good), fault.TooMany, "after the block")
	w.Pass(rule.Window)
	w.OK(w.reset(who, w.ask(code.ResetPassword, alice), good))
}
