package limit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

type rateWorld struct {
	*limit.Rates
	t     *testing.T
	clock *storetest.Clock
	fault *storetest.Faulty
}

func newRates(t *testing.T) *rateWorld {
	t.Helper()
	w := &rateWorld{t: t, clock: newClock(), fault: storetest.NewFaulty(storetest.Memory(t))}
	r, err := limit.OpenRates(t.Context(), store.New(w.fault, w.clock.Now), limit.RatesConfig{
		Now: w.clock.Now, Global: map[string]limit.Rate{limit.ModuleToken: {Rate: 10, Burst: 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Rates = r
	return w
}

// takes expects n requests to pass and the next one to be told to wait.
func (w *rateWorld) takes(tenant, key string, n int, wait time.Duration) {
	w.t.Helper()
	for i := range n {
		if err := w.Take(w.t.Context(), tenant, limit.ModuleToken, key); err != nil {
			w.t.Fatalf("request %d of %d: %v", i+1, n, err)
		}
	}
	err := w.Take(w.t.Context(), tenant, limit.ModuleToken, key)
	if !fault.Is(err, fault.TooMany) || fault.Read(err).RetryAfter != wait || fault.Read(err).Public != "Too many requests" {
		w.t.Fatalf("%v, want fault.TooMany after %v", err, wait)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	w := newRates(t)
	ctx := t.Context()
	w.takes("acme", "a", 20, 100*time.Millisecond)
	w.takes("acme", "b", 20, 100*time.Millisecond)
	w.takes("other", "a", 20, 100*time.Millisecond)
	if err := w.Take(ctx, "acme", limit.ModuleAdminAPI, "a"); err != nil {
		t.Errorf("another module: %v", err)
	}
	w.clock.Advance(time.Second)
	w.takes("acme", "a", 10, 100*time.Millisecond)
	if err := w.Set(ctx, "acme", limit.ModuleToken, limit.Rate{Rate: 2, Burst: 3, Period: store.Duration(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	w.takes("acme", "c", 3, 30*time.Second)
	w.takes("other", "c", 20, 100*time.Millisecond)
	want := map[string]limit.Rate{limit.ModuleToken: {Rate: 2, Burst: 3, Period: store.Duration(time.Minute)}}
	if got, err := w.List(ctx, "acme"); err != nil || !cmp.Equal(want, got) {
		t.Error(got, err)
	}
	if got, err := w.List(ctx, "other"); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	if err := w.Delete(ctx, "acme", limit.ModuleToken); err != nil {
		t.Fatal(err)
	}
	w.takes("acme", "d", 20, 100*time.Millisecond)
	if err := w.Delete(ctx, "acme", limit.ModuleToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("second deletion: %v", err)
	}
}

func TestRatesGlobal(t *testing.T) {
	t.Parallel()
	w := newRates(t)
	all := w.Global()
	if len(all) != 5 || all[limit.ModuleToken] != (limit.Rate{Rate: 10, Burst: 20, Period: store.Duration(time.Second)}) {
		t.Errorf("%v", all)
	}
	for module, r := range all {
		if r.Rate < 1 || r.Burst < r.Rate || r.Period <= 0 {
			t.Errorf("%s: %+v", module, r)
		}
	}
	for module, r := range map[string]limit.Rate{"pages": {Rate: 1, Burst: 1}, limit.ModuleToken: {Rate: 0, Burst: 1}} {
		c := limit.RatesConfig{Global: map[string]limit.Rate{module: r}}
		if _, err := limit.OpenRates(t.Context(), storetest.New(t), c); err == nil {
			t.Errorf("%s %+v is accepted", module, r)
		}
	}
}

func TestRatesCheck(t *testing.T) {
	t.Parallel()
	w := newRates(t)
	second := store.Duration(time.Second)
	for _, tc := range []struct {
		field string
		rate  limit.Rate
	}{
		{"rate", limit.Rate{Burst: 1, Period: second}},
		{"rate", limit.Rate{Rate: 1 << 40, Burst: 1, Period: second}},
		{"burst", limit.Rate{Rate: 1, Period: second}},
		{"burst", limit.Rate{Rate: 1, Burst: -1, Period: second}},
		{"period", limit.Rate{Rate: 1, Burst: 1, Period: -second}},
		{"period", limit.Rate{Rate: 1, Burst: 1, Period: 2 * 3600 * second}},
	} {
		err := w.Set(t.Context(), "acme", limit.ModuleToken, tc.rate)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != tc.field {
			t.Errorf("%+v: %v, want %s", tc.rate, err, tc.field)
		}
	}
	for _, err := range []error{
		w.Set(t.Context(), "acme", "pages", limit.Rate{Rate: 1, Burst: 1}), w.Delete(t.Context(), "acme", "pages"),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown module: %v", err)
		}
	}
	if err := w.Take(t.Context(), "acme", "pages", "a"); err == nil {
		t.Error("an unknown module has no limit")
	}
}

// While the store is away the limits go on.
func TestRatesStoreDown(t *testing.T) {
	t.Parallel()
	w := newRates(t)
	if err := w.Set(t.Context(), "acme", limit.ModuleToken, limit.Rate{Rate: 1, Burst: 3}); err != nil {
		t.Fatal(err)
	}
	w.takes("acme", "a", 3, time.Second)
	w.fault.Down(nil)
	w.clock.Advance(time.Minute)
	w.takes("acme", "a", 3, time.Second)
	w.takes("other", "a", 20, 100*time.Millisecond)
}
