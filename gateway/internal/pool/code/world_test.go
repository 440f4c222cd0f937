package code_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const kind = limit.KindCodeVerify

// world is a keeper behind a real guard with the rules that ship.
type world struct {
	*code.Keeper
	t     testing.TB
	clock *storetest.Clock
	fault *storetest.Faulty
	store *store.Store
	keys  []vault.Key
	alice code.Subject
	here  context.Context
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), fault: storetest.NewFaulty(storetest.Memory(t))}
	w.store = store.New(w.fault, w.clock.Now)
	w.keys = []vault.Key{vault.GenerateKey()}
	w.alice = code.Subject{Tenant: "acme", Pool: "people", PoolEpoch: "e1", User: "alice", UserEpoch: "u1"}
	w.here = from(t, "192.0.2.1")
	w.Keeper = w.open(w.keys...)
	return w
}

func from(t testing.TB, network string) context.Context {
	return limit.WithOrigin(t.Context(), limit.Origin{Network: network})
}

func (w *world) open(keys ...vault.Key) *code.Keeper {
	w.t.Helper()
	ring, err := vault.New(keys)
	w.ok(err)
	guard, err := limit.OpenGuard(w.t.Context(), w.store, limit.GuardConfig{Now: w.clock.Now})
	w.ok(err)
	k, err := code.Open(w.t.Context(), w.store, code.Config{Ring: ring, Guard: guard, Now: w.clock.Now})
	w.ok(err)
	return k
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) issue(s code.Subject, spec code.Spec) code.Issued {
	w.t.Helper()
	made, err := w.Issue(w.here, s, spec)
	w.ok(err)
	return made
}

// wrong expects the one answer to what is not right.
func (w *world) wrong(_ code.Code, err error) {
	w.t.Helper()
	if err != code.ErrWrong || !fault.Is(err, fault.Unauthenticated) { //nolint:errorlint // the very same, with nothing around it that tells more
		w.t.Errorf("%v, want code.ErrWrong", err)
	}
}

// refused expects the guard's answer.
func (w *world) refused(_ code.Code, err error) {
	w.t.Helper()
	if !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter <= 0 {
		w.t.Errorf("%v, want fault.TooMany", err)
	}
}

// other returns a code of the same length that is not right.
func other(digits string) string {
	last := digits[len(digits)-1]
	return digits[:len(digits)-1] + string('0'+(last-'0'+1)%10)
}
