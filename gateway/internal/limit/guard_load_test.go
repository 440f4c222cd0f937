package limit_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// Many guesses at the same moment, at two gateways: at most Max pass.
func TestGuardRace(t *testing.T) {
	t.Parallel()
	g := newGuard(t, hour)
	gateways := []*limit.Guard{g.Guard, g.open()}
	here := from(t, "192.0.2.1", "")
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := gateways[i%2].Take(here, "acme", limit.KindCodeVerify, alice)
			if err == nil {
				passed.Add(1)
			} else if !fault.Is(err, fault.TooMany) {
				t.Errorf("Take = %v", err)
			}
		})
	}
	wg.Wait()
	if passed.Load() != int64(hour.Max) {
		t.Errorf("%d tries passed, want %d", passed.Load(), hour.Max)
	}
}

// The record of a key stays small however many tries there are, and goes when it
// has no effect any more.
func TestGuardMemory(t *testing.T) {
	t.Parallel()
	g := newGuard(t, limit.Rule{Max: 1000, Window: time.Hour, Block: 10 * time.Minute})
	table, err := store.Declare(t.Context(), g.store, store.Spec[any]{Name: "tries"})
	if err != nil {
		t.Fatal(err)
	}
	here := from(t, "192.0.2.1", "")
	for range 3000 {
		_ = g.try(here)
		g.clock.Advance(5 * time.Second)
	}
	var ids []string
	err = table.All(t.Context(), "acme", store.Query{}, func(row store.Row[any]) bool {
		ids = append(ids, row.ID)
		if size := len(fmt.Sprint(row.Value)); size > 8000 {
			t.Errorf("a record has %d bytes", size)
		}
		return true
	})
	if err != nil || len(ids) != 2 || strings.Contains(strings.Join(ids, " "), "alice") || strings.Contains(strings.Join(ids, " "), "192.0") {
		t.Errorf("records: %v, %v", ids, err)
	}
	g.clock.Advance(2 * time.Hour)
	gone, err := g.store.Sweep(t.Context(), 100)
	if err != nil || gone["tries"] != 2 {
		t.Errorf("swept %v, %v", gone, err)
	}
}

func TestGuardStoreDown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		op  string
		nth int
	}{{storetest.OpGet, 1}, {storetest.OpGet, 2}, {storetest.OpInsert, 1}, {storetest.OpInsert, 2}, {storetest.OpReplace, 1}, {storetest.OpDelete, 1}} {
		t.Run(fmt.Sprint(tc.op, tc.nth), func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, hour)
			if tc.op == storetest.OpReplace {
				g.passes(t.Context(), 1)
			}
			g.fault.Fail(tc.op, "tries", tc.nth, nil)
			err := g.try(t.Context())
			if tc.op == storetest.OpDelete {
				err = g.Clear(t.Context(), "acme", limit.KindCodeVerify, alice)
			}
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v, want store.ErrUnavailable", err)
			}
		})
	}
}

func BenchmarkGuardTake(b *testing.B) {
	for _, device := range []string{"", "phone"} {
		b.Run("device="+device, func(b *testing.B) {
			g := newGuard(b, limit.Rule{Max: 1 << 40, Window: time.Hour})
			ctx := from(b, "192.0.2.1", device)
			b.ReportAllocs()
			for b.Loop() {
				g.passes(ctx, 1)
			}
		})
	}
}

// What a flood of guesses costs once it is refused.
func BenchmarkGuardRefused(b *testing.B) {
	g := newGuard(b, limit.Rule{Max: 1, Window: time.Hour, Block: time.Hour})
	ctx := from(b, "192.0.2.1", "")
	g.passes(ctx, 1)
	b.ReportAllocs()
	for b.Loop() {
		if g.try(ctx) == nil {
			b.Fatal("passed")
		}
	}
}
