package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

const (
	recheck    = time.Second // a tenant's settings are read again after it
	maxTenants = 20_000      // cached; more are forgotten together
)

// settings are a tenant's own values by name: few, read at every try, changed
// hardly ever. A gateway acts on its own writes at once and on those of others
// after recheck.
type settings[T any] struct {
	table *store.Table[T]
	now   func() time.Time

	mu     sync.Mutex
	drops  uint64 // grows with every write here
	cached map[string]*cached[T]
}

type cached[T any] struct {
	values map[string]T
	fresh  time.Time // until
}

func openSettings[T any](ctx context.Context, s *store.Store, name string, now func() time.Time) (*settings[T], error) {
	if now == nil {
		now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[T]{Name: name})
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	return &settings[T]{table: table, now: now, cached: map[string]*cached[T]{}}, nil
}

// get returns a tenant's value of a name; false when it has none. While the store
// is away what was read last holds.
func (s *settings[T]) get(ctx context.Context, tenant, name string) (T, bool, error) {
	c, fresh, drops := s.look(tenant)
	if !fresh {
		next, err := s.load(ctx, tenant, drops)
		if err != nil && c == nil {
			var none T
			return none, false, err
		}
		if err == nil {
			c = next
		}
	}
	v, ok := c.values[name]
	return v, ok, nil
}

// look returns what is cached, or nil, and whether it is fresh. One caller is sent
// to read again what is not; until it is back the others go on with the old.
func (s *settings[T]) look(tenant string) (c *cached[T], fresh bool, drops uint64) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.cached[tenant]
	if c == nil {
		return nil, false, s.drops
	}
	if left := c.fresh.Sub(now); left > 0 && left <= recheck {
		return c, true, s.drops
	}
	c.fresh = now.Add(recheck)
	return c, false, s.drops
}

// load reads a tenant's values, and caches them unless something was written
// here meanwhile.
func (s *settings[T]) load(ctx context.Context, tenant string, drops uint64) (*cached[T], error) {
	rows, err := s.all(ctx, tenant)
	if err != nil {
		return nil, err
	}
	c := &cached[T]{values: make(map[string]T, len(rows)), fresh: s.now().Add(recheck)}
	for _, row := range rows {
		c.values[row.ID] = row.Value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops != drops {
		return c, nil
	}
	if _, had := s.cached[tenant]; !had && len(s.cached) >= maxTenants {
		clear(s.cached)
	}
	s.cached[tenant] = c
	return c, nil
}

// all returns the tenant's values as they are stored, in the order of their
// names. There are few names.
func (s *settings[T]) all(ctx context.Context, tenant string) ([]store.Row[T], error) {
	rows, err := s.table.Range(ctx, tenant, "", store.Page{Limit: 1000})
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	return rows, nil
}

// set writes a value at revision rev, or whatever it is for 0.
func (s *settings[T]) set(ctx context.Context, tenant, name string, v T, rev int64) (store.Row[T], error) {
	defer s.drop(tenant)
	if rev != 0 {
		return s.table.Swap(ctx, tenant, name, rev, v)
	}
	for {
		row, err := s.table.Create(ctx, tenant, name, v)
		if errors.Is(err, store.ErrExists) {
			row, err = s.table.Update(ctx, tenant, name, func(old *T) error { *old = v; return nil })
		}
		if !errors.Is(err, store.ErrNotFound) || ctx.Err() != nil { // deleted between the two
			return row, err
		}
	}
}

// remove deletes a value at revision rev, or whatever it is for 0.
func (s *settings[T]) remove(ctx context.Context, tenant, name string, rev int64) error {
	defer s.drop(tenant)
	return s.table.DeleteIf(ctx, tenant, name, rev)
}

func (s *settings[T]) drop(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops++
	delete(s.cached, tenant)
}
