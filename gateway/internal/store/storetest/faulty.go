package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The operations of a driver, as Faulty names them.
const (
	OpEnsure  = "ensure"
	OpInsert  = "insert"
	OpGet     = "get"
	OpReplace = "replace"
	OpDelete  = "delete"
	OpScan    = "scan"
	OpCount   = "count"
	OpDue     = "due"
	OpSweep   = "sweep"
	OpPing    = "ping"
	OpAny     = "" // counts the calls of every operation
)

// Faulty is a driver that fails, hangs or loses an answer when told, and else
// does what the driver inside does. It is safe for concurrent use.
type Faulty struct {
	store.Driver

	mu    sync.Mutex
	calls map[string]int
	rules []*rule
	down  error
}

type rule struct {
	op    string
	table string
	nth   int // calls left until it applies
	fault fault
}

type fault struct {
	err  error
	lost bool            // the call takes effect, its answer does not arrive
	wait <-chan struct{} // the call waits for this
}

// NewFaulty returns a driver around d that does not fail yet.
func NewFaulty(d store.Driver) *Faulty { return &Faulty{Driver: d, calls: map[string]int{}} }

// Fail makes the nth call of op from now on, counting from 1, fail with err
// without effect; a nil err is store.ErrUnavailable. table limits the count to
// one table; empty counts all.
func (f *Faulty) Fail(op, table string, nth int, err error) {
	f.add(op, table, nth, fault{err: unavailable(err)})
}

// Lose makes the nth call of op take effect and then fail as if the answer had
// been lost on the way.
func (f *Faulty) Lose(op, table string, nth int) {
	f.add(op, table, nth, fault{err: unavailable(nil), lost: true})
}

// Hold makes the nth call of op wait, before its effect, until release is
// closed or its context ends.
func (f *Faulty) Hold(op, table string, nth int, release <-chan struct{}) {
	f.add(op, table, nth, fault{wait: release})
}

// Down makes every call fail with err until Up; a nil err is store.ErrUnavailable.
func (f *Faulty) Down(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = unavailable(err)
}

// Up ends Down.
func (f *Faulty) Up() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = nil
}

// Calls returns how often op was called.
func (f *Faulty) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func unavailable(err error) error {
	if err == nil {
		return fmt.Errorf("%w: as the test wants", store.ErrUnavailable)
	}
	return err
}

func (f *Faulty) add(op, table string, nth int, do fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule{op: op, table: table, nth: nth, fault: do})
}

// next counts a call and returns what is to happen to it.
func (f *Faulty) next(op, table string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	if op != OpAny {
		f.calls[OpAny]++
	}
	if f.down != nil {
		return fault{err: f.down}
	}
	var hit fault
	left := f.rules[:0]
	for _, r := range f.rules {
		if (r.op == OpAny || r.op == op) && (r.table == "" || r.table == table) {
			r.nth--
		}
		if r.nth == 0 {
			hit = r.fault
			continue
		}
		left = append(left, r)
	}
	f.rules = left
	return hit
}

// call runs do as the rules want.
func (f *Faulty) call(ctx context.Context, op, table string, do func() error) error {
	hit := f.next(op, table)
	if hit.wait != nil {
		select {
		case <-hit.wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if hit.err != nil && !hit.lost {
		return hit.err
	}
	if err := do(); err != nil || !hit.lost {
		return err
	}
	return hit.err
}

// Ensure is the driver's.
func (f *Faulty) Ensure(ctx context.Context, table string, indexes []string) error {
	return f.call(ctx, OpEnsure, table, func() error { return f.Driver.Ensure(ctx, table, indexes) })
}

// Insert is the driver's; a failure is that of every record.
func (f *Faulty) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	var errs []error
	err := f.call(ctx, OpInsert, table, func() error {
		errs = f.Driver.Insert(ctx, table, recs, now)
		return nil
	})
	if err == nil {
		return errs
	}
	errs = make([]error, len(recs))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Get is the driver's.
func (f *Faulty) Get(ctx context.Context, table, tenant, id string, now time.Time) (rec store.Record, err error) {
	err = f.call(ctx, OpGet, table, func() error {
		rec, err = f.Driver.Get(ctx, table, tenant, id, now)
		return err
	})
	return rec, err
}

// Replace is the driver's.
func (f *Faulty) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	return f.call(ctx, OpReplace, table, func() error { return f.Driver.Replace(ctx, table, rec, rev, now) })
}

// Delete is the driver's.
func (f *Faulty) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	return f.call(ctx, OpDelete, table, func() error { return f.Driver.Delete(ctx, table, tenant, id, rev) })
}

// Scan is the driver's.
func (f *Faulty) Scan(ctx context.Context, table string, s store.Scan) (recs []store.Record, err error) {
	err = f.call(ctx, OpScan, table, func() error {
		recs, err = f.Driver.Scan(ctx, table, s)
		return err
	})
	return recs, err
}

// Count is the driver's.
func (f *Faulty) Count(ctx context.Context, table string, s store.Scan) (n int, err error) {
	err = f.call(ctx, OpCount, table, func() error {
		n, err = f.Driver.Count(ctx, table, s)
		return err
	})
	return n, err
}

// Due is the driver's.
func (f *Faulty) Due(ctx context.Context, table string, now time.Time, limit int) (recs []store.Record, err error) {
	err = f.call(ctx, OpDue, table, func() error {
		recs, err = f.Driver.Due(ctx, table, now, limit)
		return err
	})
	return recs, err
}

// Sweep is the driver's.
func (f *Faulty) Sweep(ctx context.Context, table string, now time.Time, limit int) (n int, err error) {
	err = f.call(ctx, OpSweep, table, func() error {
		n, err = f.Driver.Sweep(ctx, table, now, limit)
		return err
	})
	return n, err
}

// Ping is the driver's.
func (f *Faulty) Ping(ctx context.Context) error {
	return f.call(ctx, OpPing, "", func() error { return f.Driver.Ping(ctx) })
}
