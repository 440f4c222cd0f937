package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxKey is the most bytes that a tenant, an id or one part of an index key may
// have. Longer ones are refused on writing and found by no read.
const MaxKey = 4096

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

// name is the shape of table and index names, which become names of buckets
// and collections, and parts of a path inside a document.
var name = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// Declare creates the table and its indexes where they are missing. Two types
// cannot share a table: the second one is refused, but for json.RawMessage, which
// reads any table as it stands. Names begin
// with a letter and hold letters, digits, "_" and "-". An index that is declared
// for a table with records does not hold them before they are written again.
func Declare[T any](ctx context.Context, s *Store, spec Spec[T]) (*Table[T], error) {
	if spec.Version == 0 {
		spec.Version = 1
	}
	if !name.MatchString(spec.Name) {
		return nil, fmt.Errorf("%q cannot be the name of a table", spec.Name)
	}
	names := make([]string, 0, len(spec.Indexes))
	for n := range spec.Indexes {
		if !name.MatchString(n) {
			return nil, fmt.Errorf("table %s: %q cannot be the name of an index", spec.Name, n)
		}
		names = append(names, n)
	}
	slices.Sort(names)
	if err := s.claim(spec.Name, reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	if err := s.driver.Ensure(ctx, spec.Name, names); err != nil {
		return nil, fmt.Errorf("table %s: %w", spec.Name, err)
	}
	return &Table[T]{s: s, spec: spec}, nil
}

// Create stores a new value and returns its row, or ErrExists.
func (t *Table[T]) Create(ctx context.Context, tenant, id string, v T) (Row[T], error) {
	rec, err := t.record(tenant, id, firstRev(), &v)
	if err == nil {
		err = t.s.driver.Insert(ctx, t.spec.Name, []Record{rec}, t.s.now())[0]
	}
	if err != nil {
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
	errs := make([]error, len(vs))
	recs := make([]Record, 0, len(vs))
	at := make([]int, 0, len(vs)) // places of recs in vs
	for i := range vs {
		rec, err := t.record(tenant, vs[i].ID, firstRev(), &vs[i].Value)
		if err != nil {
			errs[i] = t.wrap("create", vs[i].ID, err)
			continue
		}
		recs, at = append(recs, rec), append(at, i)
	}
	if len(recs) == 0 {
		return errs
	}
	for i, err := range t.s.driver.Insert(ctx, t.spec.Name, recs, t.s.now()) {
		errs[at[i]] = t.wrap("create", recs[i].ID, err)
	}
	return errs
}

// Get returns the row, or ErrNotFound when there is none or it has expired.
func (t *Table[T]) Get(ctx context.Context, tenant, id string) (Row[T], error) {
	rec, err := t.get(ctx, tenant, id)
	if err != nil {
		return Row[T]{}, t.wrap("get", id, err)
	}
	return t.row(rec)
}

func (t *Table[T]) get(ctx context.Context, tenant, id string) (Record, error) {
	if !usable(tenant, id) {
		return Record{}, ErrNotFound
	}
	return t.s.driver.Get(ctx, t.spec.Name, tenant, id, t.s.now())
}

// Swap writes v over the row with revision rev. ErrStale means that somebody
// else was faster; ErrNotFound that the row is gone.
func (t *Table[T]) Swap(ctx context.Context, tenant, id string, rev int64, v T) (Row[T], error) {
	rec, err := t.record(tenant, id, rev+1, &v)
	if err == nil {
		err = t.s.driver.Replace(ctx, t.spec.Name, rec, rev, t.s.now())
	}
	if err != nil {
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
	return t.DeleteIf(ctx, tenant, id, 0)
}

// DeleteIf removes the row if its revision is rev, else ErrStale or ErrNotFound.
func (t *Table[T]) DeleteIf(ctx context.Context, tenant, id string, rev int64) error {
	if !usable(tenant, id) {
		return t.wrap("delete", id, ErrNotFound)
	}
	return t.wrap("delete", id, t.s.driver.Delete(ctx, t.spec.Name, tenant, id, rev))
}

// record prepares v for the driver. Backends keep times of expiry and dueness
// as whole milliseconds; rounding them here, expiry down and dueness up, makes
// every backend agree, and no record outlives its time or is due before it.
func (t *Table[T]) record(tenant, id string, rev int64, v *T) (Record, error) {
	rec := Record{Tenant: tenant, ID: id, Rev: rev, Version: t.spec.Version, Value: v}
	if id == "" || !usable(tenant, id) {
		return rec, fmt.Errorf("%w: tenant and id are UTF-8 of at most %d bytes, and the id has at least one", errKey, MaxKey)
	}
	if t.spec.Expires != nil {
		rec.Expires = t.spec.Expires(v).Truncate(time.Millisecond)
	}
	if t.spec.Due != nil {
		rec.Due = t.spec.Due(v)
		if whole := rec.Due.Truncate(time.Millisecond); whole.Before(rec.Due) {
			rec.Due = whole.Add(time.Millisecond)
		}
	}
	if len(t.spec.Indexes) > 0 {
		rec.Keys = make(map[string]Key, len(t.spec.Indexes))
		for name, of := range t.spec.Indexes {
			key, ok := of(v)
			if !ok {
				continue
			}
			if !usable(key.Equal, key.Order) {
				return rec, fmt.Errorf("%w: keys of index %s are UTF-8 of at most %d bytes", errKey, name, MaxKey)
			}
			rec.Keys[name] = key
		}
	}
	return rec, nil
}

var errKey = errors.New("not usable as a key")

// usable tells whether a backend can keep these strings as parts of a key.
func usable(parts ...string) bool {
	for _, p := range parts {
		if len(p) > MaxKey || !utf8.ValidString(p) {
			return false
		}
	}
	return true
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
	t.s.failed(t.spec.Name, op, err)
	return fmt.Errorf("%s: %s %q: %w", t.spec.Name, op, id, err)
}

// firstRev starts a record's revisions at a random point, so that a record that
// was deleted and created again never matches a revision read before.
func firstRev() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return int64(binary.BigEndian.Uint64(b[:])>>17) + 1
}
