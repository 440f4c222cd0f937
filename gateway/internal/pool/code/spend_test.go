package code_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool/code"
)

// Of many who spend one code that was found right exactly one can, from wherever
// they come, and it costs nobody a try.
func TestSpend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.issue(w.alice, code.Spec{Type: code.ResetPassword, Address: "a@example.com"})
	seen, err := w.Peek(w.here, kind, w.alice, code.ResetPassword, "", made.Code)
	w.ok(err)
	if live, err := w.Live(t.Context(), seen); !live || err != nil {
		t.Fatal(live, err)
	}
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			switch err := w.Spend(t.Context(), seen); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, code.ErrWrong):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 199 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	if live, err := w.Live(t.Context(), seen); live || err != nil {
		t.Error(live, err)
	}
	for i := range 10 { // the whole of a network's tries is left
		w.wrong(w.Take(from(t, "192.0.2.9"), kind, w.alice, code.ResetPassword, "", fmt.Sprintf("%08d", i)))
	}
}

// A newer code kills the one that was found, also when its digits are the same.
func TestSpendAfterANewerCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.issue(w.alice, code.Spec{Type: code.Challenge})
	seen, err := w.Find(w.here, kind, w.alice, made.Code)
	w.ok(err)
	next := w.issue(w.alice, code.Spec{Type: code.Challenge})
	if live, err := w.Live(t.Context(), seen); live || err != nil {
		t.Error(live, err)
	}
	w.wrong(code.Code{}, w.Spend(t.Context(), seen))
	if _, err := w.Take(w.here, kind, w.alice, code.Challenge, "", next.Code); err != nil {
		t.Errorf("the newer one: %v", err)
	}
}
