package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// guardWorld is a guard with one rule for all kinds. Waiting moves the clock.
type guardWorld struct {
	*limit.Guard
	t      testing.TB
	clock  *storetest.Clock
	fault  *storetest.Faulty
	store  *store.Store
	rule   limit.Rule
	waited []time.Duration
}

func newGuard(t testing.TB, rule limit.Rule) *guardWorld {
	t.Helper()
	g := &guardWorld{t: t, clock: newClock(), fault: storetest.NewFaulty(storetest.Memory(t)), rule: rule}
	g.store = store.New(g.fault, g.clock.Now)
	g.Guard = g.open()
	return g
}

func (g *guardWorld) open() *limit.Guard {
	g.t.Helper()
	guard, err := limit.OpenGuard(g.t.Context(), g.store, limit.GuardConfig{
		Rule: func(context.Context, string, string) (limit.Rule, error) { return g.rule, nil },
		Now:  g.clock.Now,
		Wait: func(_ context.Context, d time.Duration) error {
			g.waited = append(g.waited, d)
			g.clock.Advance(d)
			return nil
		},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return guard
}

// from is a context of a network, and of a browser that is alice's when it has an
// id.
func from(t testing.TB, network, device string) context.Context {
	t.Helper()
	o := limit.Origin{Network: network}
	if device != "" {
		o.Device = func(who string) string {
			if who == "people/alice" {
				return device
			}
			return ""
		}
	}
	return limit.WithOrigin(t.Context(), o)
}

const alice = "people/alice"

func (g *guardWorld) try(ctx context.Context) error {
	return g.Take(ctx, "acme", limit.KindCodeVerify, alice)
}

func (g *guardWorld) passes(ctx context.Context, n int) {
	g.t.Helper()
	for i := range n {
		if err := g.try(ctx); err != nil {
			g.t.Fatalf("try %d of %d: %v", i+1, n, err)
		}
	}
}

// refused expects a refusal for so long, give or take a part of the window.
func (g *guardWorld) refused(ctx context.Context, after time.Duration) {
	g.t.Helper()
	err := g.try(ctx)
	got := time.Duration(-1)
	if f := fault.Read(err); f != nil {
		got = f.RetryAfter
	}
	if !fault.Is(err, fault.TooMany) || got < after || got > after+g.rule.Window/64 {
		g.t.Fatalf("try = %v after %v, want fault.TooMany after %v", err, got, after)
	}
}

var hour = limit.Rule{Max: 10, Window: time.Hour, Block: 10 * time.Minute}

func TestGuardSlides(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	here := from(t, "192.0.2.1", "")
	g.passes(here, 6)
	g.clock.Advance(50 * time.Minute)
	g.passes(here, 4)
	g.refused(here, 10*time.Minute) // until the first six leave the window, and the block
	g.clock.Advance(5 * time.Minute)
	g.refused(here, 5*time.Minute) // trying on does not prolong it
	g.clock.Advance(6 * time.Minute)
	g.passes(here, 6)
	g.refused(here, 49*time.Minute)
	g.clock.Advance(20 * time.Minute) // the block is over, the window is not
	g.refused(here, 29*time.Minute)
	g.clock.Advance(31 * time.Minute)
	g.passes(here, 4)
}

// A block longer than the window is served in full.
func TestGuardBlocks(t *testing.T) {
	t.Parallel()
	g := newGuard(t, limit.Rule{Max: 3, Window: time.Minute, Block: time.Hour})
	here := from(t, "192.0.2.1", "")
	g.passes(here, 3)
	g.refused(here, time.Hour)
	g.clock.Advance(59 * time.Minute)
	g.refused(here, time.Minute)
	g.clock.Advance(time.Minute)
	g.passes(here, 3)
	g.refused(here, time.Hour)
}

// In no window of an hour are more than Max tries evaluated, however they come.
func TestGuardNeverAllowsMore(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Second, 7 * time.Second, 55 * time.Second, 61 * time.Second, 6 * time.Minute} {
		g := newGuard(t, hour)
		here := from(t, "192.0.2.1", "")
		var passed []time.Time
		for end := g.clock.Now().Add(5 * time.Hour); g.clock.Now().Before(end); g.clock.Advance(step) {
			if g.try(here) == nil {
				passed = append(passed, g.clock.Now())
			}
		}
		for i := hour.Max; i < len(passed); i++ {
			if apart := passed[i].Sub(passed[i-hour.Max]); apart < time.Hour {
				t.Errorf("every %v: %d tries within %v", step, hour.Max+1, apart)
			}
		}
		if len(passed) < 40 { // and nobody is refused for much longer than that
			t.Errorf("every %v: only %d tries passed in five hours", step, len(passed))
		}
	}
}

// Somebody elsewhere who guesses does not lock the owner out.
func TestGuardIsNoWeapon(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	thief := from(t, "203.0.113.9", "")
	g.passes(thief, hour.Max)
	for range 500 {
		if err := g.try(thief); !fault.Is(err, fault.TooMany) {
			t.Fatal(err)
		}
	}
	owner := from(t, "192.0.2.1", "")
	g.passes(owner, hour.Max)
	if len(g.waited) != 0 {
		t.Errorf("the owner waited %v for the tries of one other network", g.waited)
	}
}

// Many networks together are slowed at one person, and only there. The browser
// that the person knows passes at once, with a count of its own.
func TestGuardSlowsMany(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	for i := range 20 * hour.Max {
		g.passes(from(t, fmt.Sprint("net", i), ""), 1)
	}
	if len(g.waited) != 0 {
		t.Fatalf("slowed too early: %v", g.waited)
	}
	owner := from(t, "192.0.2.1", "")
	g.passes(owner, 3)
	if d := cmp.Diff([]time.Duration{3 * time.Second, 3 * time.Second}, g.waited); d != "" {
		t.Errorf("waits (-want +got):\n%s", d)
	}
	g.waited = nil
	g.passes(from(t, "203.0.113.1", "phone"), hour.Max)
	g.refused(from(t, "203.0.113.1", "phone"), time.Hour)
	g.passes(from(t, "203.0.113.1", "laptop"), hour.Max)
	ctx := from(t, "203.0.113.1", "phone") // which is not bob's
	if err := g.Take(ctx, "acme", limit.KindCodeVerify, "people/bob"); err != nil {
		t.Errorf("another person: %v", err)
	}
	if err := g.Take(owner, "acme", limit.KindMFA, alice); err != nil {
		t.Errorf("another kind: %v", err)
	}
	if len(g.waited) != 0 {
		t.Errorf("waited %v", g.waited)
	}
}

// Who finds no place is refused, and their own network does not pay for it.
func TestGuardFullQueue(t *testing.T) {
	t.Parallel()
	g := newGuard(t, limit.Rule{Max: 2, Window: time.Hour, Block: time.Hour}) // 40 in all
	var waited []time.Duration
	guard, err := limit.OpenGuard(t.Context(), g.store, limit.GuardConfig{
		Rule: func(context.Context, string, string) (limit.Rule, error) { return g.rule, nil },
		Now:  g.clock.Now,
		Wait: func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Guard = guard
	for i := range 42 {
		g.passes(from(t, fmt.Sprint("net", i), ""), 1)
	}
	owner := from(t, "192.0.2.1", "")
	for range 10 {
		if err := g.try(owner); !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != 6*time.Second {
			t.Fatalf("try = %v, want fault.TooMany after 6 s", err)
		}
	}
	if d := cmp.Diff([]time.Duration{3 * time.Second}, waited); d != "" {
		t.Errorf("waits (-want +got):\n%s", d)
	}
	g.clock.Advance(6 * time.Second)
	g.passes(owner, 1) // at its place
	g.clock.Advance(3 * time.Second)
	g.passes(owner, 1) // both tries that the rule gives
	g.refused(owner, time.Hour-3*time.Second)
}

// Waiting ends with the caller.
func TestGuardWaitEnds(t *testing.T) {
	t.Parallel()
	g := newGuard(t, limit.Rule{Max: 1, Window: time.Hour})
	guard, err := limit.OpenGuard(t.Context(), g.store, limit.GuardConfig{
		Rule: func(context.Context, string, string) (limit.Rule, error) { return g.rule, nil }, Now: g.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Guard = guard
	for i := range 21 {
		g.passes(from(t, fmt.Sprint("net", i), ""), 1)
	}
	ctx, cancel := context.WithCancel(from(t, "192.0.2.1", ""))
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := g.try(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("try = %v, want context.Canceled", err)
	}
}

func TestGuardClear(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	clears := func(ctx context.Context) {
		t.Helper()
		for range 2 { // the second finds nothing
			if err := g.Clear(ctx, "acme", limit.KindCodeVerify, alice); err != nil {
				t.Fatal(err)
			}
		}
	}
	thief, owner, phone := from(t, "203.0.113.9", ""), from(t, "192.0.2.1", ""), from(t, "192.0.2.1", "phone")
	for _, ctx := range []context.Context{thief, owner, phone} {
		g.passes(ctx, hour.Max)
	}
	clears(owner)
	g.refused(thief, time.Hour)
	g.refused(phone, time.Hour)
	g.passes(owner, hour.Max)
	clears(phone)
	g.refused(owner, time.Hour)
	g.passes(phone, hour.Max)
	for i := range 17 { // 30 of the 200 are used up: the total was not cleared
		g.passes(from(t, fmt.Sprint("net", i), ""), 10)
	}
	g.passes(from(t, "last", ""), 2)
	if len(g.waited) != 1 {
		t.Errorf("waits: %v, want one", g.waited)
	}
}

func TestGuardAreApart(t *testing.T) {
	t.Parallel()
	g := newGuard(t, limit.Rule{Max: 1, Window: time.Hour})
	ctx := t.Context() // no origin: one network of its own
	g.passes(ctx, 1)
	for _, other := range [][3]string{
		{"acme", limit.KindMFA, alice},
		{"other", limit.KindCodeVerify, alice},
		{"acme", limit.KindCodeVerify, alice + "/"},
		{"acme", limit.KindCodeVerify, "people/?alice"},
		{"acme", limit.KindCodeVerify, strings.Repeat("x", 100_000)},
		{"acme", limit.KindCodeVerify, ""},
	} {
		if err := g.Take(ctx, other[0], other[1], other[2]); err != nil {
			t.Errorf("%.60q: %v", other, err)
		}
	}
	g.passes(from(t, limit.Network(netip.MustParseAddr("2001:db8::1")), ""), 1)
	g.refused(ctx, time.Hour)
}

func TestGuardRuleChanges(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	here := from(t, "192.0.2.1", "")
	g.passes(here, 8)
	g.rule = limit.Rule{Max: 2, Window: time.Hour, Block: time.Minute}
	g.refused(here, time.Hour)
	g.rule = limit.Rule{}
	g.passes(here, 100) // switched off
	g.rule = limit.Rule{Max: 9, Window: time.Hour, Block: time.Second}
	g.clock.Advance(time.Second)
	g.passes(here, 1)
	g.rule = limit.Rule{Max: 5, Window: time.Minute, Block: time.Minute}
	g.clock.Advance(2 * time.Minute)
	g.passes(here, 5)
}

func TestGuardOfUnknownKind(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	guard, err := limit.OpenGuard(t.Context(), g.store, limit.GuardConfig{Now: g.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Take(t.Context(), "acme", "pasword", alice); err == nil {
		t.Error("a kind that nobody declared has no limit")
	}
	if err := guard.Take(t.Context(), "acme", limit.KindVerifyPassword, alice); err != nil {
		t.Error(err)
	}
}
