package code_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// 200 callers with one code: one gets it.
func TestTakeRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digits := w.issue(w.alice, code.Spec{Type: code.Activation}).Code
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		ctx := from(t, fmt.Sprint("net", i/5)) // forty networks: the guard lets all of them through
		wg.Go(func() {
			switch _, err := w.Take(ctx, kind, w.alice, code.Activation, "", digits); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, code.ErrWrong):
				lost.Add(1)
			default:
				t.Errorf("Take = %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 199 {
		t.Errorf("%d got the code, %d did not", won.Load(), lost.Load())
	}
}

// 200 guesses at the same moment: no more than the rule's ten are evaluated.
func TestGuessRace(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"alice", "?alice"} {
		w := newWorld(t)
		s := w.alice
		digits := w.issue(s, code.Spec{Type: code.Activation}).Code
		s.User = who
		var evaluated, refused atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				switch _, err := w.Take(w.here, kind, s, code.Activation, "", other(digits)); {
				case errors.Is(err, code.ErrWrong):
					evaluated.Add(1)
				case fault.Is(err, fault.TooMany):
					refused.Add(1)
				default:
					t.Errorf("Take = %v", err)
				}
			})
		}
		wg.Wait()
		if evaluated.Load() != 10 || refused.Load() != 190 {
			t.Errorf("%s: %d guesses were evaluated, %d refused", who, evaluated.Load(), refused.Load())
		}
		s.User = "alice"
		if who == s.User { // also the right one then
			w.refused(w.Take(w.here, kind, s, code.Activation, "", digits))
		}
		if _, err := w.Take(from(t, "elsewhere"), kind, s, code.Activation, "", digits); err != nil {
			t.Errorf("the owner, elsewhere: %v", err)
		}
	}
}

// Ten tries an hour, however often a new code is sent.
func TestResendDoesNotReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 10 {
		digits := w.issue(w.alice, code.Spec{Type: code.Authentication}).Code
		w.wrong(w.Take(w.here, kind, w.alice, code.Authentication, "", other(digits)))
		if i == 0 {
			w.clock.Advance(20 * time.Minute)
		}
		w.clock.Advance(3 * time.Minute)
	}
	last := w.issue(w.alice, code.Spec{Type: code.Authentication}).Code
	w.refused(w.Take(w.here, kind, w.alice, code.Authentication, "", last))
	w.clock.Advance(15 * time.Minute) // the first of the ten left the hour
	last = w.issue(w.alice, code.Spec{Type: code.Authentication}).Code
	w.wrong(w.Take(w.here, kind, w.alice, code.Authentication, "", other(last)))
	w.refused(w.Take(w.here, kind, w.alice, code.Authentication, "", last))
}

func TestSuccessForgetsTheTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		digits := w.issue(w.alice, code.Spec{Type: code.Authentication}).Code
		for range 9 {
			w.wrong(w.Take(w.here, kind, w.alice, code.Authentication, "", other(digits)))
		}
		if _, err := w.Take(w.here, kind, w.alice, code.Authentication, "", digits); err != nil {
			t.Fatal(err)
		}
	}
}

// What is tried at nobody is counted by what was typed.
func TestNobodyIsCountedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, user := range []string{"?bob", "?carol", "?" + strings.Repeat("x", 100_000)} {
		s := w.alice
		s.User, s.UserEpoch = user, ""
		for range 10 {
			w.wrong(w.Take(w.here, kind, s, code.ResetPassword, "", "12345678"))
		}
		w.refused(w.Take(w.here, kind, s, code.ResetPassword, "", "12345678"))
	}
	s := w.alice
	s.User = ""
	for range 10 {
		w.wrong(w.Take(w.here, kind, s, code.VerifyAddress, "a@example.com", "12345678"))
	}
	w.refused(w.Take(w.here, kind, s, code.VerifyAddress, "a@example.com", "12345678"))
	w.wrong(w.Take(w.here, kind, s, code.VerifyAddress, "b@example.com", "12345678"))
}

// The work for nobody is the work for somebody: the same calls of the store.
func TestNobodyCostsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue(w.alice, code.Spec{Type: code.ResetPassword})
	ops := []string{storetest.OpGet, storetest.OpScan, storetest.OpInsert, storetest.OpReplace, storetest.OpDelete}
	cost := func(user string, run func(code.Subject) (code.Code, error)) map[string]int {
		s := w.alice
		s.User = user
		before := map[string]int{}
		for _, op := range ops {
			before[op] = -w.fault.Calls(op)
		}
		w.wrong(run(s))
		for _, op := range ops {
			before[op] += w.fault.Calls(op)
		}
		return before
	}
	for name, run := range map[string]func(code.Subject) (code.Code, error){
		"take": func(s code.Subject) (code.Code, error) {
			return w.Take(w.here, kind, s, code.ResetPassword, "", "1")
		},
		"any address": func(s code.Subject) (code.Code, error) {
			return w.Take(w.here, limit.KindAddressVerification, s, code.VerifyAddress, "", "1")
		},
		"find": func(s code.Subject) (code.Code, error) { return w.Find(w.here, limit.KindCodeInspect, s, "1") },
	} {
		if d := cmp.Diff(cost("alice", run), cost("?bob", run)); d != "" {
			t.Errorf("%s: somebody (-) and nobody (+):\n%s", name, d)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	w := newWorld(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		made := w.issue(w.alice, code.Spec{Type: code.Challenge})
		if _, err := w.Take(ctx, kind, w.alice, code.Challenge, "", made.Code); err != nil {
			b.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
}
