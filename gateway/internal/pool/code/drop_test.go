package code_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func TestDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.alice
	bob.User = "bob"
	left := func(s code.Subject) (names []string) {
		t.Helper()
		w.ok(w.All(t.Context(), s.Tenant, s.PoolEpoch, func(r code.Record) bool {
			if r.User == s.User {
				names = append(names, string(r.Type)+r.Address)
			}
			return true
		}))
		return names
	}
	for _, s := range []code.Subject{w.alice, bob} {
		for _, kind := range code.Types() {
			w.issue(s, code.Spec{Type: code.Type(kind), Address: "a@example.com"})
		}
		w.issue(s, code.Spec{Type: code.VerifyAddress, Address: "b@example.com"})
	}
	w.ok(w.Drop(t.Context(), w.alice, code.Challenge, code.VerifyAddress, code.Challenge))
	want := []string{"activationa@example.com", "authenticationa@example.com", "enroll_webauthna@example.com", "reset_passworda@example.com", "reset_totpa@example.com"}
	if d := cmp.Diff(want, left(w.alice)); d != "" {
		t.Error(d)
	}
	w.ok(w.Drop(t.Context(), w.alice))
	w.ok(w.Drop(t.Context(), w.alice))
	nobody := w.alice
	nobody.User = ""
	w.ok(w.Drop(t.Context(), nobody))
	if n := len(left(w.alice)); n != 0 {
		t.Errorf("%d codes are left", n)
	}
	if n := len(left(bob)); n != 8 {
		t.Errorf("%d codes of somebody else, want 8", n)
	}
}

// What was dumped can be brought back, also under another life of the pool.
func TestRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digits := w.issue(w.alice, code.Spec{Type: code.Activation, Metadata: json.RawMessage(`{"n":1.50}`)}).Code
	var all []code.Record
	w.ok(w.All(t.Context(), "acme", "e1", func(r code.Record) bool { all = append(all, r); return true }))
	if len(all) != 1 || strings.Contains(fmt.Sprint(all), digits) {
		t.Fatalf("%+v", all)
	}
	all[0].PoolEpoch, all[0].UserEpoch = "e2", "u2"
	w.ok(w.Restore(t.Context(), "acme", all[0]))
	s := w.alice
	s.PoolEpoch, s.UserEpoch = "e2", "u2"
	got, err := w.Take(w.here, kind, s, code.Activation, "", digits)
	if err != nil || string(got.Metadata) != `{"n":1.50}` {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, op := range []string{storetest.OpGet, storetest.OpDelete, storetest.OpInsert, storetest.OpScan} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			digits := w.issue(w.alice, code.Spec{Type: code.Activation}).Code
			w.fault.Fail(op, "user_codes", 1, nil)
			var err error
			switch op {
			case storetest.OpInsert:
				_, err = w.Issue(w.here, w.alice, code.Spec{Type: code.Activation})
			case storetest.OpScan:
				_, err = w.Find(w.here, kind, w.alice, digits)
			default:
				_, err = w.Take(w.here, kind, w.alice, code.Activation, "", digits)
			}
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v, want store.ErrUnavailable", err)
			}
		})
	}
	w := newWorld(t)
	digits := w.issue(w.alice, code.Spec{Type: code.Activation}).Code
	w.fault.Fail(storetest.OpGet, "tries", 1, nil) // not counted: not evaluated
	if _, err := w.Take(w.here, kind, w.alice, code.Activation, "", digits); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v, want store.ErrUnavailable", err)
	}
	w.fault.Fail(storetest.OpDelete, "tries", 1, nil) // the count stays: the code is the caller's all the same
	if _, err := w.Take(w.here, kind, w.alice, code.Activation, "", digits); err != nil {
		t.Errorf("Take = %v", err)
	}
}
