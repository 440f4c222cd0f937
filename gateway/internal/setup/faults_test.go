package setup_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// faults prepares a world and then runs do, once for each store call that it makes, with that call failing,
// its answer lost, or it and all after it failing as if the process had ended.
// check then sees a new process that has finished what was left, and what do
// returned. Without GATEPOST_FAULT_ROUNDS it takes some of the calls only, other
// ones for each kind of fault.
func faults(t *testing.T, prepare func(*world), do func(*world) error, check func(t *testing.T, w *world, failed error)) {
	t.Helper()
	clean := newWorld(t)
	prepare(clean)
	before := clean.faulty.Calls(storetest.OpAny)
	if err := do(clean); err != nil {
		t.Fatal(err)
	}
	calls := clean.faulty.Calls(storetest.OpAny) - before
	if calls < 10 {
		t.Fatalf("only %d calls", calls)
	}
	step := 1
	if os.Getenv("GATEPOST_FAULT_ROUNDS") == "" {
		step = max(1, calls/12)
	}
	for i, kind := range []struct {
		name   string
		inject func(w *world, n int)
	}{
		{"fails", func(w *world, n int) { w.faulty.Fail(storetest.OpAny, "", n, nil) }},
		{"is lost", func(w *world, n int) { w.faulty.Lose(storetest.OpAny, "", n) }},
		{"crashes", (*world).crashAt},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for n := 1 + i*step/3; n <= calls; n += step {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					w := newWorld(t)
					prepare(w)
					kind.inject(w, n)
					failed := do(w)
					if failed != nil && !errors.Is(failed, store.ErrUnavailable) && !fault.Is(failed, fault.Unavailable) {
						t.Fatalf("not as the store failed: %v", failed)
					}
					w = w.restart()
					if err := errors.Join(w.tenants.Finish(t.Context()), w.Finish(t.Context())); err != nil {
						t.Fatal(err)
					}
					if left := w.rowsOf(tenant.Root, "setup_notes"); len(left) > 0 {
						t.Fatalf("notes stay: %v", left)
					}
					check(t, w, failed)
				})
			}
		})
	}
}
