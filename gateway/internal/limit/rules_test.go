package limit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

type ruleWorld struct {
	*limit.Rules
	t      *testing.T
	clock  *storetest.Clock
	fault  *storetest.Faulty
	store  *store.Store
	events []string
	fail   error
}

func newRules(t *testing.T) *ruleWorld {
	t.Helper()
	w := &ruleWorld{t: t, clock: newClock(), fault: storetest.NewFaulty(storetest.Memory(t))}
	w.store = store.New(w.fault, w.clock.Now)
	w.Rules = w.open()
	return w
}

func (w *ruleWorld) open() *limit.Rules {
	w.t.Helper()
	r, err := limit.OpenRules(w.t.Context(), w.store, limit.RulesConfig{
		Now: w.clock.Now,
		Changed: func(_ context.Context, p limit.Protection, deleted bool) error {
			event := p.TenantID + " sets " + p.ProtectedType
			if deleted {
				event = p.TenantID + " deletes " + p.ProtectedType
			}
			w.events = append(w.events, event)
			return w.fail
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *ruleWorld) rule(r *limit.Rules, tenant, kind string, want limit.Rule) {
	w.t.Helper()
	got, err := r.Rule(w.t.Context(), tenant, kind)
	if err != nil || got != want {
		w.t.Errorf("rule of %s in %s: %+v, %v; want %+v", kind, tenant, got, err, want)
	}
}

func protect(kind string, attempts int, block time.Duration) limit.Protection {
	return limit.Protection{TenantID: "acme", ProtectedType: kind, MaxAttempts: attempts, BlockDuration: store.Duration(block)}
}

func TestEveryKindHasADefault(t *testing.T) {
	t.Parallel()
	if n := len(limit.Kinds()); n != 19 {
		t.Errorf("%d kinds, want the 19 of the published API", n)
	}
	for _, kind := range limit.Kinds() {
		r, ok := limit.Default(kind)
		if !ok || r.Max <= 0 || r.Window <= 0 || r.Block <= 0 {
			t.Errorf("%s: %+v", kind, r)
		}
		short := strings.Contains(kind, "code") || strings.Contains(kind, "activate") || kind == limit.KindMFA
		if short && (r.Window != time.Hour || r.Max != 10) {
			t.Errorf("%s is about codes, and its rule is %+v", kind, r)
		}
	}
	if _, ok := limit.Default("password"); ok {
		t.Error("a kind that is not declared has a rule")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	w := newRules(t)
	ctx := t.Context()
	byDefault := limit.Rule{Max: 5, Window: time.Minute, Block: time.Minute}
	own := limit.Rule{Max: 3, Window: time.Minute, Block: time.Hour}
	w.rule(w.Rules, "acme", limit.KindVerifyPassword, byDefault)
	set, err := w.Set(ctx, protect(limit.KindVerifyPassword, 3, time.Hour))
	if err != nil || set.Rev == 0 {
		t.Fatal(set, err)
	}
	w.rule(w.Rules, "acme", limit.KindVerifyPassword, own)
	w.rule(w.Rules, "other", limit.KindVerifyPassword, byDefault)
	w.rule(w.Rules, "acme", limit.KindChangePassword, byDefault)
	if _, err := w.Set(ctx, protect(limit.KindMFA, 0, 0)); err != nil {
		t.Error(err)
	}
	w.rule(w.Rules, "acme", limit.KindMFA, limit.Rule{Window: time.Hour})
	list, err := w.List(ctx, "acme")
	want := []limit.Protection{protect(limit.KindVerifyPassword, 3, time.Hour), protect(limit.KindMFA, 0, 0)}
	if d := cmp.Diff(want, list, cmpopts.IgnoreFields(limit.Protection{}, "Rev")); d != "" || err != nil {
		t.Error(d, err)
	}
	if err := w.Delete(ctx, "acme", limit.KindVerifyPassword, 0); err != nil {
		t.Error(err)
	}
	w.rule(w.Rules, "acme", limit.KindVerifyPassword, byDefault)
	if err := w.Delete(ctx, "acme", limit.KindVerifyPassword, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("second deletion: %v", err)
	}
	if d := cmp.Diff([]string{"acme sets identity_verify_password", "acme sets mfa", "acme deletes identity_verify_password"}, w.events); d != "" {
		t.Error(d)
	}
	if _, err := w.Rule(ctx, "acme", "pasword"); err == nil {
		t.Error("a misspelt kind has a rule")
	}
}

func TestRulesRevisions(t *testing.T) {
	t.Parallel()
	w := newRules(t)
	first, err := w.Set(t.Context(), protect(limit.KindMFA, 3, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	next := first
	next.MaxAttempts = 4
	if next, err = w.Set(t.Context(), next); err != nil || next.Rev == first.Rev {
		t.Fatal(next, err)
	}
	if _, err := w.Set(t.Context(), first); !fault.Is(err, fault.Stale) {
		t.Errorf("over an old revision: %v", err)
	}
	if err := w.Delete(t.Context(), "acme", limit.KindMFA, first.Rev); !fault.Is(err, fault.Stale) {
		t.Errorf("deleted at an old revision: %v", err)
	}
	next.Rev = 0
	if _, err := w.Set(t.Context(), next); err != nil { // whatever it is
		t.Error(err)
	}
}

func TestRulesCheck(t *testing.T) {
	t.Parallel()
	w := newRules(t)
	for _, tc := range []struct {
		field string
		p     limit.Protection
	}{
		{"protected_type", protect("", 5, time.Minute)},
		{"protected_type", protect("password", 5, time.Minute)},
		{"max_attempts", protect(limit.KindMFA, -1, time.Minute)},
		{"max_attempts", protect(limit.KindMFA, 1001, time.Minute)},
		{"block_duration", protect(limit.KindMFA, 5, 0)},
		{"block_duration", protect(limit.KindMFA, 5, time.Millisecond)},
		{"block_duration", protect(limit.KindMFA, 5, 25*time.Hour)},
		{"block_duration", protect(limit.KindMFA, 0, -time.Minute)},
	} {
		_, err := w.Set(t.Context(), tc.p)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != tc.field {
			t.Errorf("%+v: %v, want %s", tc.p, err, tc.field)
		}
		if tc.field == "protected_type" {
			for _, kind := range limit.Kinds() {
				if !strings.Contains(err.Error(), kind) {
					t.Errorf("does not name %s: %v", kind, err)
				}
			}
		}
	}
	if list, err := w.List(t.Context(), "acme"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// The request path reads a tenant's rules once a second; what another gateway
// wrote is seen then.
func TestRulesAreCached(t *testing.T) {
	t.Parallel()
	w := newRules(t)
	other := w.open()
	byDefault, _ := limit.Default(limit.KindMFA)
	w.rule(w.Rules, "acme", limit.KindMFA, byDefault)
	reads := w.fault.Calls(storetest.OpScan)
	if _, err := other.Set(t.Context(), protect(limit.KindMFA, 3, time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.rule(w.Rules, "acme", limit.KindMFA, byDefault)
	}
	if n := w.fault.Calls(storetest.OpScan); n != reads {
		t.Errorf("%d reads for 100 tries within a second", n-reads)
	}
	w.clock.Advance(time.Second)
	w.rule(w.Rules, "acme", limit.KindMFA, limit.Rule{Max: 3, Window: time.Hour, Block: time.Minute})
	w.fault.Down(nil)
	w.clock.Advance(time.Minute)
	w.rule(w.Rules, "acme", limit.KindMFA, limit.Rule{Max: 3, Window: time.Hour, Block: time.Minute}) // what was read last
	if _, err := w.Rule(t.Context(), "other", limit.KindMFA); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v, want store.ErrUnavailable", err)
	}
	if _, err := w.List(t.Context(), "acme"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v, want store.ErrUnavailable", err)
	}
}

func TestRulesAnnouncingFails(t *testing.T) {
	t.Parallel()
	w := newRules(t)
	w.fail = errors.New("no room")
	if _, err := w.Set(t.Context(), protect(limit.KindMFA, 3, time.Minute)); !errors.Is(err, w.fail) {
		t.Errorf("%v, want %v", err, w.fail)
	}
	w.rule(w.Rules, "acme", limit.KindMFA, limit.Rule{Max: 3, Window: time.Hour, Block: time.Minute})
	if err := w.Delete(t.Context(), "acme", limit.KindMFA, 0); !errors.Is(err, w.fail) {
		t.Errorf("%v, want %v", err, w.fail)
	}
}

// Codes are short: tries at them are counted over an hour, whichever operation
// takes the code.
func TestCodesAreCountedOverTheHour(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{
		limit.KindConfirmPassword, limit.KindSetCredential, limit.KindCodeVerify, limit.KindSelfActivation, limit.KindMFA,
	} {
		rule, ok := limit.Default(kind)
		if want := (limit.Rule{Max: 10, Window: time.Hour, Block: 10 * time.Minute}); !ok || rule != want {
			t.Errorf("%s: %+v, want %+v", kind, rule, want)
		}
	}
}
