package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store is an open backend and the tables declared on it.
type Store struct {
	driver Driver
	now    func() time.Time

	mu     sync.Mutex
	tables map[string]bool
}

// New returns a store over an open driver. now is the clock that expiry is
// read against; nil means time.Now.
func New(d Driver, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{driver: d, now: now, tables: map[string]bool{}}
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
			return gone, fmt.Errorf("sweep %s: %w", name, err)
		}
		gone[name] = n
	}
	return gone, nil
}

// Purge removes every record of a tenant from every declared table. It may be
// repeated after a failure.
func (s *Store) Purge(ctx context.Context, tenant string) error {
	const batch = 500
	for _, name := range s.Tables() {
		for {
			recs, err := s.driver.Scan(ctx, name, Scan{Tenant: tenant, Limit: batch, Now: time.Time{}})
			if err != nil {
				return fmt.Errorf("purge %s: %w", name, err)
			}
			for _, r := range recs {
				if err := s.driver.Delete(ctx, name, tenant, r.ID, 0); err != nil && !errors.Is(err, ErrNotFound) {
					return fmt.Errorf("purge %s: %w", name, err)
				}
			}
			if len(recs) < batch {
				break
			}
		}
	}
	return nil
}

// Spec declares a table of T.
type Spec[T any] struct {
	Name    string
	Version int                             // of T's shape; 0 means 1
	Indexes map[string]func(*T) (Key, bool) // false: the record is not in that index
	Expires func(*T) time.Time              // nil, or a zero time: never
	Due     func(*T) time.Time              // nil, or a zero time: never
	Upgrade func(from int, v *T) error      // called for rows written by an older version; nil: nothing to do
}

// Row is a value with its id and revision as they stand in the store.
type Row[T any] struct {
	Tenant string
	ID     string
	Rev    int64
	Value  T
}

// Table keeps values of T. It is safe for concurrent use.
type Table[T any] struct {
	s    *Store
	spec Spec[T]
}

// Declare creates the table and its indexes where they are missing.
func Declare[T any](ctx context.Context, s *Store, spec Spec[T]) (*Table[T], error) {
	if spec.Version == 0 {
		spec.Version = 1
	}
	names := make([]string, 0, len(spec.Indexes))
	for n := range spec.Indexes {
		names = append(names, n)
	}
	slices.Sort(names)
	if err := s.driver.Ensure(ctx, spec.Name, names); err != nil {
		return nil, fmt.Errorf("table %s: %w", spec.Name, err)
	}
	s.mu.Lock()
	s.tables[spec.Name] = true
	s.mu.Unlock()
	return &Table[T]{s: s, spec: spec}, nil
}

// Create stores a new value and returns its row, or ErrExists.
func (t *Table[T]) Create(ctx context.Context, tenant, id string, v T) (Row[T], error) {
	rec := t.record(tenant, id, firstRev(), &v)
	if err := t.s.driver.Insert(ctx, t.spec.Name, []Record{rec})[0]; err != nil {
		return Row[T]{}, t.wrap("create", id, err)
	}
	return Row[T]{Tenant: tenant, ID: id, Rev: rec.Rev, Value: v}, nil
}

// Item is one value of CreateMany.
type Item[T any] struct {
	ID    string
	Value T
}

// CreateMany stores new values and returns one error per value, nil for those
// that were stored.
func (t *Table[T]) CreateMany(ctx context.Context, tenant string, vs []Item[T]) []error {
	recs := make([]Record, len(vs))
	for i := range vs {
		recs[i] = t.record(tenant, vs[i].ID, firstRev(), &vs[i].Value)
	}
	errs := t.s.driver.Insert(ctx, t.spec.Name, recs)
	for i, err := range errs {
		errs[i] = t.wrap("create", vs[i].ID, err)
	}
	return errs
}

// Get returns the row, or ErrNotFound when there is none or it has expired.
func (t *Table[T]) Get(ctx context.Context, tenant, id string) (Row[T], error) {
	rec, err := t.s.driver.Get(ctx, t.spec.Name, tenant, id, t.s.now())
	if err != nil {
		return Row[T]{}, t.wrap("get", id, err)
	}
	return t.row(rec)
}

// Swap writes v over the row with revision rev. ErrStale means that somebody
// else was faster; ErrNotFound that the row is gone.
func (t *Table[T]) Swap(ctx context.Context, tenant, id string, rev int64, v T) (Row[T], error) {
	rec := t.record(tenant, id, rev+1, &v)
	if err := t.s.driver.Replace(ctx, t.spec.Name, rec, rev, t.s.now()); err != nil {
		return Row[T]{}, t.wrap("swap", id, err)
	}
	return Row[T]{Tenant: tenant, ID: id, Rev: rec.Rev, Value: v}, nil
}

// Update reads, lets change alter the value and swaps, again as often as
// somebody else was faster. change must be pure: it may run several times. Its
// error ends the update and is returned as it is.
func (t *Table[T]) Update(ctx context.Context, tenant, id string, change func(*T) error) (Row[T], error) {
	for {
		row, err := t.Get(ctx, tenant, id)
		if err != nil {
			return Row[T]{}, err
		}
		if err := change(&row.Value); err != nil {
			return Row[T]{}, err
		}
		next, err := t.Swap(ctx, tenant, id, row.Rev, row.Value)
		if !errors.Is(err, ErrStale) {
			return next, err
		}
		if err := ctx.Err(); err != nil {
			return Row[T]{}, fmt.Errorf("%s: update %q: %w", t.spec.Name, id, err)
		}
	}
}

// Take removes and returns the row. Of several racing callers one gets it, the
// others ErrNotFound: authorization codes and one-time codes rely on that (RFC
// 6749, 4.1.2).
func (t *Table[T]) Take(ctx context.Context, tenant, id string) (Row[T], error) {
	for {
		row, err := t.Get(ctx, tenant, id)
		if err != nil {
			return Row[T]{}, err
		}
		err = t.s.driver.Delete(ctx, t.spec.Name, tenant, id, row.Rev)
		if errors.Is(err, ErrStale) {
			continue
		}
		if err != nil {
			return Row[T]{}, t.wrap("take", id, err)
		}
		return row, nil
	}
}

// Delete removes the row whatever its revision, or returns ErrNotFound.
func (t *Table[T]) Delete(ctx context.Context, tenant, id string) error {
	return t.wrap("delete", id, t.s.driver.Delete(ctx, t.spec.Name, tenant, id, 0))
}

// DeleteIf removes the row if its revision is rev, else ErrStale or ErrNotFound.
func (t *Table[T]) DeleteIf(ctx context.Context, tenant, id string, rev int64) error {
	return t.wrap("delete", id, t.s.driver.Delete(ctx, t.spec.Name, tenant, id, rev))
}

// Page bounds a listing. After and Before are ids, exclusive, in the order of
// the listing; at most one is set. A cursor that no longer exists gives an
// empty page when the order is not the id itself.
type Page struct {
	After  string
	Before string
	Desc   bool
	Limit  int // rows; below 1 means 20
}

// Range returns the rows whose ids begin with prefix, in id order.
func (t *Table[T]) Range(ctx context.Context, tenant, prefix string, p Page) ([]Row[T], error) {
	return t.list(ctx, Scan{Tenant: tenant, Prefix: prefix}, p)
}

// Query selects rows by one declared index.
type Query struct {
	Index string
	Equal string // exact value of the key's Equal part
	From  string // order values at or above; empty: open
	To    string // order values below; empty: open
}

// Find returns the rows of q in the index's order.
func (t *Table[T]) Find(ctx context.Context, tenant string, q Query, p Page) ([]Row[T], error) {
	return t.list(ctx, Scan{Tenant: tenant, Index: q.Index, Equal: q.Equal, From: q.From, To: q.To}, p)
}

// All calls yield for every row of q in order, page by page, until yield
// returns false. Rows written meanwhile may or may not be seen.
func (t *Table[T]) All(ctx context.Context, tenant string, q Query, yield func(Row[T]) bool) error {
	const batch = 200
	scan := Scan{Tenant: tenant, Index: q.Index, Equal: q.Equal, From: q.From, To: q.To, Limit: batch, Now: t.s.now()}
	if q.Index == "" {
		scan.Prefix, scan.Equal = q.Equal, ""
	}
	for {
		recs, err := t.s.driver.Scan(ctx, t.spec.Name, scan)
		if err != nil {
			return t.wrap("list", q.Index, err)
		}
		for _, rec := range recs {
			row, err := t.row(rec)
			if err != nil {
				return err
			}
			if !yield(row) {
				return nil
			}
			scan.After = t.position(q.Index, &row)
		}
		if len(recs) < batch {
			return nil
		}
	}
}

// Count returns the number of live rows of q. An empty q.Index counts the
// tenant's rows whose ids begin with q.Equal.
func (t *Table[T]) Count(ctx context.Context, tenant string, q Query) (int, error) {
	s := Scan{Tenant: tenant, Index: q.Index, Equal: q.Equal, From: q.From, To: q.To, Now: t.s.now()}
	if q.Index == "" {
		s.Prefix, s.Equal = q.Equal, ""
	}
	n, err := t.s.driver.Count(ctx, t.spec.Name, s)
	return n, t.wrap("count", q.Index, err)
}

// Due returns rows of all tenants that are due now, earliest first.
func (t *Table[T]) Due(ctx context.Context, limit int) ([]Row[T], error) {
	recs, err := t.s.driver.Due(ctx, t.spec.Name, t.s.now(), limit)
	if err != nil {
		return nil, t.wrap("due", "", err)
	}
	return t.rows(recs)
}

func (t *Table[T]) list(ctx context.Context, s Scan, p Page) ([]Row[T], error) {
	if p.Limit < 1 {
		p.Limit = 20
	}
	s.Limit, s.Desc, s.Now = p.Limit, p.Desc, t.s.now()
	cursor := p.After
	if p.Before != "" {
		cursor, s.Desc = p.Before, !p.Desc
	}
	if cursor != "" {
		pos, err := t.resolve(ctx, s, cursor)
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		s.After = pos
	}
	recs, err := t.s.driver.Scan(ctx, t.spec.Name, s)
	if err != nil {
		return nil, t.wrap("list", s.Index, err)
	}
	if p.Before != "" {
		slices.Reverse(recs)
	}
	return t.rows(recs)
}

// resolve turns the id of a cursor into a place in the scan's order.
func (t *Table[T]) resolve(ctx context.Context, s Scan, id string) (*Position, error) {
	if s.Index == "" {
		return &Position{Order: id, ID: id}, nil
	}
	row, err := t.Get(ctx, s.Tenant, id)
	if err != nil {
		return nil, err
	}
	return t.position(s.Index, &row), nil
}

func (t *Table[T]) position(index string, row *Row[T]) *Position {
	if index == "" {
		return &Position{Order: row.ID, ID: row.ID}
	}
	key, _ := t.spec.Indexes[index](&row.Value)
	return &Position{Order: key.Order, ID: row.ID}
}

func (t *Table[T]) record(tenant, id string, rev int64, v *T) Record {
	rec := Record{Tenant: tenant, ID: id, Rev: rev, Version: t.spec.Version, Value: v}
	if t.spec.Expires != nil {
		rec.Expires = t.spec.Expires(v)
	}
	if t.spec.Due != nil {
		rec.Due = t.spec.Due(v)
	}
	if len(t.spec.Indexes) > 0 {
		rec.Keys = make(map[string]Key, len(t.spec.Indexes))
		for name, of := range t.spec.Indexes {
			if key, ok := of(v); ok {
				rec.Keys[name] = key
			}
		}
	}
	return rec
}

func (t *Table[T]) rows(recs []Record) ([]Row[T], error) {
	rows := make([]Row[T], len(recs))
	for i, rec := range recs {
		row, err := t.row(rec)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

func (t *Table[T]) row(rec Record) (Row[T], error) {
	row := Row[T]{Tenant: rec.Tenant, ID: rec.ID, Rev: rec.Rev}
	if rec.Version > t.spec.Version {
		return row, fmt.Errorf("%s: record %q has schema version %d, this program knows %d: run the newer release", t.spec.Name, rec.ID, rec.Version, t.spec.Version)
	}
	if err := rec.Decode(&row.Value); err != nil {
		return row, fmt.Errorf("%s: decode %q: %w", t.spec.Name, rec.ID, err)
	}
	if rec.Version < t.spec.Version && t.spec.Upgrade != nil {
		if err := t.spec.Upgrade(rec.Version, &row.Value); err != nil {
			return row, fmt.Errorf("%s: upgrade %q from version %d: %w", t.spec.Name, rec.ID, rec.Version, err)
		}
	}
	return row, nil
}

func (t *Table[T]) wrap(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %q: %w", t.spec.Name, op, id, err)
}

// firstRev starts a record's revisions at a random point, so that a record that
// was deleted and created again never matches a revision read before.
func firstRev() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return int64(binary.BigEndian.Uint64(b[:])>>17) + 1
}

// ID joins parts into one composite id. Parts are escaped, so that no choice of
// parts gives the id of another choice.
func ID(parts ...string) string {
	esc := make([]string, len(parts))
	for i, p := range parts {
		esc[i] = escaper.Replace(p)
	}
	return strings.Join(esc, "/")
}

// Prefix joins parts into the common beginning of all composite ids that start
// with them.
func Prefix(parts ...string) string { return ID(parts...) + "/" }

var escaper = strings.NewReplacer("%", "%25", "/", "%2F", "\x00", "%00")

// OrderTime encodes a time so that byte order is time order.
func OrderTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// Duration is a time.Duration that reads and writes as a Go duration string
// such as "1h0m0s"; zero is "0s".
type Duration time.Duration

// MarshalText writes the duration as a Go duration string.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a Go duration string; the empty string is zero.
func (d *Duration) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 1h0m0s", b)
	}
	*d = Duration(v)
	return nil
}
