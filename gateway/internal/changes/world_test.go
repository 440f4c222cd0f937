package changes_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// driver lets a test stand between the log and its store. Hooks are set before
// use; a nil one does nothing.
type driver struct {
	store.Driver
	down     atomic.Bool                         // every call fails
	inserted func(store.Record, error) error     // after an insert, with its outcome
	before   func(store.Record)                  // before an insert
	scanned  func([]store.Record) []store.Record // after a scan
	inserts  atomic.Int64
	scans    atomic.Int64
}

var errDown = errors.Join(store.ErrUnavailable, errors.New("switched off"))

func (d *driver) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	d.inserts.Add(1)
	errs := make([]error, len(recs))
	for i := range recs {
		if d.down.Load() {
			errs[i] = errDown
			continue
		}
		if d.before != nil {
			d.before(recs[i])
		}
		errs[i] = d.Driver.Insert(ctx, table, recs[i:i+1], now)[0]
		if d.inserted != nil {
			errs[i] = d.inserted(recs[i], errs[i])
		}
	}
	return errs
}

func (d *driver) Get(ctx context.Context, table, tenant, id string, now time.Time) (store.Record, error) {
	if d.down.Load() {
		return store.Record{}, errDown
	}
	return d.Driver.Get(ctx, table, tenant, id, now)
}

func (d *driver) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	if d.down.Load() {
		return errDown
	}
	return d.Driver.Delete(ctx, table, tenant, id, rev)
}

func (d *driver) Scan(ctx context.Context, table string, s store.Scan) ([]store.Record, error) {
	d.scans.Add(1)
	if d.down.Load() {
		return nil, errDown
	}
	recs, err := d.Driver.Scan(ctx, table, s)
	if err == nil && d.scanned != nil {
		recs = d.scanned(recs)
	}
	return recs, err
}

// world is a store with a clock, and logs on it.
type world struct {
	t      testing.TB
	driver *driver
	store  *store.Store
	clock  *storetest.Clock
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t:      t,
		driver: &driver{Driver: storetest.Memory(t)},
		clock:  storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
	}
	w.store = store.New(w.driver, w.clock.Now)
	return w
}

// log opens a log, as another gateway would, that keeps what it delivers.
func (w *world) log(c changes.Config) *follower {
	w.t.Helper()
	if c.Now == nil {
		c.Now = w.clock.Now
	}
	l, err := changes.Open(w.t.Context(), w.store, c)
	if err != nil {
		w.t.Fatal(err)
	}
	f := &follower{Log: l, t: w.t}
	l.Subscribe(func(entries []changes.Entry) {
		if entries == nil {
			f.got = append(f.got, "DROP")
		}
		for _, e := range entries {
			f.got = append(f.got, e.ID)
		}
	})
	return f
}

// slots returns the ids of the slots in the store, in order.
func (w *world) slots() []string {
	w.t.Helper()
	recs, err := w.driver.Driver.Scan(context.Background(), "changes", store.Scan{Tenant: "-", Limit: 10_000, Now: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	ids := make([]string, len(recs))
	for i, r := range recs {
		ids[i] = r.ID
	}
	return ids
}

// follower is a log and what its subscriber saw. got may be read between calls:
// the log delivers under its turn.
type follower struct {
	*changes.Log
	t   testing.TB
	got []string
}

func (f *follower) append(ids ...string) uint64 {
	f.t.Helper()
	n, err := f.Append(f.t.Context(), entries(ids...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *follower) catchUp() {
	f.t.Helper()
	if err := f.CatchUp(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func entries(ids ...string) []changes.Entry {
	out := make([]changes.Entry, len(ids))
	for i, id := range ids {
		out[i] = changes.Entry{Kind: changes.KindClient, Tenant: "acme", Workspace: "shop", ID: id}
	}
	return out
}
