package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Store is an open backend and the tables declared on it.
type Store struct {
	// Failed, if set before the first use, is told of each operation that failed
	// with ErrUnavailable. It must not block.
	Failed func(table, operation string)

	driver Driver
	now    func() time.Time

	mu     sync.Mutex
	tables map[string]reflect.Type
}

// New returns a store over an open driver. now is the clock that expiry is
// read against; nil means time.Now.
func New(d Driver, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{driver: d, now: now, tables: map[string]reflect.Type{}}
}

// Ping reports whether the backend answers.
func (s *Store) Ping(ctx context.Context) error { return s.driver.Ping(ctx) }

// Name describes the backend for the log.
func (s *Store) Name() string { return s.driver.Name() }

// Close closes the driver.
func (s *Store) Close() error { return s.driver.Close() }

// Tables returns the names of all declared tables, sorted.
func (s *Store) Tables() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.tables))
	for n := range s.tables {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Sweep removes records of every table that have expired, at most limit a
// table, and returns how many it removed by table.
func (s *Store) Sweep(ctx context.Context, limit int) (map[string]int, error) {
	gone := map[string]int{}
	for _, name := range s.Tables() {
		n, err := s.driver.Sweep(ctx, name, s.now(), limit)
		if err != nil {
			s.failed(name, "sweep", err)
			return gone, fmt.Errorf("sweep %s: %w", name, err)
		}
		gone[name] = n
	}
	return gone, nil
}

// Purge removes every record of a tenant from every declared table, expired
// ones too. It may be repeated after a failure.
func (s *Store) Purge(ctx context.Context, tenant string) error {
	for _, name := range s.Tables() {
		if err := s.purge(ctx, name, tenant); err != nil {
			return fmt.Errorf("purge %s: %w", name, err)
		}
	}
	return nil
}

// purge deletes many records at a time, because a backend commits deletions
// that arrive together as one.
func (s *Store) purge(ctx context.Context, table, tenant string) error {
	const batch, together = 512, 64
	for {
		// The zero time is before every expiry, so the scan sees expired records.
		recs, err := s.driver.Scan(ctx, table, Scan{Tenant: tenant, Limit: batch, Now: time.Time{}})
		if err != nil {
			s.failed(table, "purge", err)
			return err
		}
		group, within := errgroup.WithContext(ctx)
		group.SetLimit(together)
		for _, rec := range recs {
			group.Go(func() error {
				err := s.driver.Delete(within, table, tenant, rec.ID, 0)
				if errors.Is(err, ErrNotFound) {
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if len(recs) < batch {
			return nil
		}
	}
}

// failed tells of a failure of the backend. Refusals, such as ErrExists, are none.
func (s *Store) failed(table, operation string, err error) {
	if s.Failed != nil && errors.Is(err, ErrUnavailable) {
		s.Failed(table, operation)
	}
}

// claim keeps a table's name for one type. json.RawMessage and any are views of
// whatever table, as its documents stand.
func (s *Store) claim(table string, of reflect.Type) error {
	if of == reflect.TypeFor[json.RawMessage]() || of == reflect.TypeFor[any]() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.tables[table]; ok && first != of {
		return fmt.Errorf("table %s is declared for %v and for %v", table, first, of)
	}
	s.tables[table] = of
	return nil
}
