package idp_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// creation returns a call that creates an IDP of acme's workspace main.
func (w *world) creation(text string) func() error {
	p := body(w.t, "acme", "main", text)
	return func() error {
		_, err := w.keeper.Create(context.Background(), p)
		return err
	}
}

// gate is a driver that holds the first operation of one kind on one table
// until it is told to go on, and says when that operation has come.
type gate struct {
	store.Driver
	op, table string

	passed  atomic.Bool
	arrived chan struct{}
	resume  chan struct{}
}

func newGate(t *testing.T, op, table string) *gate {
	return &gate{Driver: storetest.Memory(t), op: op, table: table, arrived: make(chan struct{}), resume: make(chan struct{})}
}

func (g *gate) hold(op, table string) {
	if op == g.op && table == g.table && !g.passed.Swap(true) {
		close(g.arrived)
		<-g.resume
	}
}

func (g *gate) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	g.hold("insert", table)
	return g.Driver.Insert(ctx, table, recs, now)
}

func (g *gate) Get(ctx context.Context, table, tenant, id string, now time.Time) (store.Record, error) {
	g.hold("get", table)
	return g.Driver.Get(ctx, table, tenant, id, now)
}

func (g *gate) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	g.hold("replace", table)
	return g.Driver.Replace(ctx, table, rec, rev, now)
}

// begin lets a call run until it stands at the gate; end lets it finish and
// returns its error.
func (g *gate) begin(call func() error) (end func() error) {
	done := make(chan error, 1)
	go func() { done <- call() }()
	<-g.arrived
	return func() error {
		close(g.resume)
		return <-done
	}
}

// dying is a driver whose process ends after some calls: the last one took
// effect or did not, and nothing follows.
type dying struct {
	store.Driver
	left    atomic.Int64
	effect  bool
	stopped atomic.Bool
}

func (d *dying) call(do func() error) error {
	if d.stopped.Load() {
		return store.ErrUnavailable
	}
	if d.left.Add(-1) > 0 {
		return do()
	}
	d.stopped.Store(true)
	if d.effect {
		_ = do()
	}
	return store.ErrUnavailable
}

func (d *dying) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	return []error{d.call(func() error { return d.Driver.Insert(ctx, table, recs, now)[0] })}
}

func (d *dying) Get(ctx context.Context, table, tenant, id string, now time.Time) (rec store.Record, err error) {
	err = d.call(func() (err error) { rec, err = d.Driver.Get(ctx, table, tenant, id, now); return err })
	return rec, err
}

func (d *dying) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	return d.call(func() error { return d.Driver.Replace(ctx, table, rec, rev, now) })
}

func (d *dying) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	return d.call(func() error { return d.Driver.Delete(ctx, table, tenant, id, rev) })
}
