package flag

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config configures Flags. Zero fields have the defaults.
type Config struct {
	Declarations []Declaration   // nil: Known
	Defaults     map[string]bool // the configuration's, over the declarations'
	Recheck      time.Duration   // a cached tenant is read again after it; 30 s

	// Changed announces a tenant's new value on every gateway, whose Drop it is to
	// reach. Nil: nobody else caches.
	Changed func(ctx context.Context, tenant, name string) error
	Now     func() time.Time
}

const (
	recordID   = "flags"
	maxTenants = 20_000 // cached; more are forgotten together
	retry      = time.Second
)

// Flags answers for every tenant. Safe for concurrent use.
type Flags struct {
	config Config
	known  registry
	table  *store.Table[record]

	cache  sync.Map // tenant -> *cached
	cached atomic.Int64

	mu    sync.Mutex // between a read's end and its place in the cache
	drops uint64     // grows with every Drop
}

// record holds all values of a tenant, so that one compare-and-swap judges what
// they require of each other.
type record struct {
	Values map[string]setting `json:"values"`
}

type setting struct {
	On bool      `json:"on"`
	By string    `json:"by"`
	At time.Time `json:"at"`
}

type cached struct {
	values map[string]bool
	fresh  atomic.Int64 // until, in unix nanoseconds
}

// Value is a flag as it stands in a tenant.
type Value struct {
	Declaration
	On  bool
	Set bool      // the tenant has a value of its own
	By  string    // who set it
	At  time.Time // when
}

// Open checks the declarations and declares the table. A default for a flag that
// is not declared is a fault.NotFound.
func Open(ctx context.Context, s *store.Store, c Config) (*Flags, error) {
	if c.Declarations == nil {
		c.Declarations = Known()
	}
	if c.Recheck <= 0 {
		c.Recheck = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Changed == nil {
		c.Changed = func(context.Context, string, string) error { return nil }
	}
	known, err := newRegistry(c.Declarations, c.Defaults)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	table, err := store.Declare(ctx, s, store.Spec[record]{Name: "flags"})
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	return &Flags{config: c, known: known, table: table}, nil
}

// On tells whether a flag and all that it requires is on in a tenant. A name that
// is not declared is a fault.NotFound. While the store is away a value that was
// read goes on: whether a gateway may go on at all is the change log's to say.
func (f *Flags) On(ctx context.Context, tenant, name string) (bool, error) {
	if _, err := f.known.find(name); err != nil {
		return false, err
	}
	c, ok := f.look(tenant)
	if ok && c.renew(f.config.Now()) {
		next, err := f.load(ctx, tenant)
		if err == nil {
			c = next
		}
	}
	if !ok {
		var err error
		if c, err = f.load(ctx, tenant); err != nil {
			return false, err
		}
	}
	return c.values[name], nil
}

// renew tells one caller that it is time to read again. The others, and this one
// if it fails, come back after a while.
func (c *cached) renew(now time.Time) bool {
	until := c.fresh.Load()
	return now.UnixNano() >= until && c.fresh.CompareAndSwap(until, now.Add(retry).UnixNano())
}

func (f *Flags) look(tenant string) (*cached, bool) {
	v, ok := f.cache.Load(tenant)
	if !ok {
		return nil, false
	}
	c, ok := v.(*cached)
	return c, ok
}

// load reads a tenant's values and caches them, unless Drop came meanwhile: what
// was read may then be old.
func (f *Flags) load(ctx context.Context, tenant string) (*cached, error) {
	f.mu.Lock()
	before := f.drops
	f.mu.Unlock()
	row, err := f.table.Get(ctx, tenant, recordID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("flags: %w", err)
	}
	c := &cached{values: f.known.effective(row.Value.Values)}
	c.fresh.Store(f.config.Now().Add(f.config.Recheck).UnixNano())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drops != before {
		return c, nil
	}
	if f.cached.Load() >= maxTenants {
		f.cache.Clear()
		f.cached.Store(0)
	}
	if _, had := f.cache.Swap(tenant, c); !had {
		f.cached.Add(1)
	}
	return c, nil
}

// Drop forgets what is cached for a tenant, or everything for the empty name.
func (f *Flags) Drop(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drops++
	if tenant == "" {
		f.cache.Clear()
		f.cached.Store(0)
		return
	}
	if _, had := f.cache.LoadAndDelete(tenant); had {
		f.cached.Add(-1)
	}
}

// Set gives a flag its value in a tenant, in the name of by. It fails with a
// fault.NotFound when the flag is not declared, and with a fault.Unprocessable
// when it requires one that is off, or one that is on requires it. This process
// acts on it at once. When announcing fails the value is stored all the same, the
// error is returned, and other gateways see the value after Recheck.
func (f *Flags) Set(ctx context.Context, tenant, name string, value bool, by string) error {
	d, err := f.known.find(name)
	if err != nil {
		return err
	}
	change := func(r *record) error {
		if err := f.known.allowed(d, value, f.known.effective(r.Values)); err != nil {
			return err
		}
		if r.Values == nil {
			r.Values = map[string]setting{}
		}
		r.Values[name] = setting{On: value, By: by, At: f.config.Now().UTC()}
		return nil
	}
	if err := f.update(ctx, tenant, change); err != nil {
		return err
	}
	f.Drop(tenant)
	if err := f.config.Changed(ctx, tenant, name); err != nil {
		return fmt.Errorf("flags: %s is set, but announcing it failed: %w", name, err)
	}
	return nil
}

// update changes the tenant's record, or makes it.
func (f *Flags) update(ctx context.Context, tenant string, change func(*record) error) error {
	for {
		_, err := f.table.Update(ctx, tenant, recordID, change)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return wrap(err)
		}
		var r record
		if err := change(&r); err != nil {
			return err
		}
		if _, err := f.table.Create(ctx, tenant, recordID, r); !errors.Is(err, store.ErrExists) {
			return wrap(err)
		}
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("flags: %w", err)
}

// List returns every declared flag as it stands in a tenant, in the order of the
// declarations, read from the store.
func (f *Flags) List(ctx context.Context, tenant string) ([]Value, error) {
	row, err := f.table.Get(ctx, tenant, recordID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, wrap(err)
	}
	values := f.known.effective(row.Value.Values)
	out := make([]Value, len(f.known.list))
	for i, d := range f.known.list {
		own, set := row.Value.Values[d.Name]
		out[i] = Value{Declaration: d, On: values[d.Name], Set: set, By: own.By, At: own.At}
	}
	return out, nil
}
