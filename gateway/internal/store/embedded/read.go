package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// view runs fn in a read transaction. It sees all that was acknowledged before
// it began and never waits for a writer.
func (d *Driver) view(ctx context.Context, name string, fn func(*bbolt.Tx, *table) error) (err error) {
	t, err := d.table(name)
	if err != nil {
		return err
	}
	if err := store.Ended(ctx); err != nil {
		return err
	}
	defer func() { // bbolt panics when it meets a damaged page
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: read %s: the store file is damaged: %v", store.ErrUnavailable, d.name, p)
		}
	}()
	err = d.db.View(func(tx *bbolt.Tx) error { return fn(tx, t) })
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

// Get returns the live record.
func (d *Driver) Get(ctx context.Context, name, tenant, id string, now time.Time) (store.Record, error) {
	var rec store.Record
	err := d.view(ctx, name, func(tx *bbolt.Tx, t *table) error {
		b := tx.Bucket(t.rows).Get(rowKey(tenant, id))
		if b == nil {
			return store.ErrNotFound
		}
		r, err := parse(b)
		if err != nil {
			return err
		}
		if r.expires <= now.UnixMilli() {
			return store.ErrNotFound
		}
		keys, err := r.index()
		if err != nil {
			return err
		}
		rec = r.record(tenant, id, keys)
		return nil
	})
	return rec, err
}

// Scan returns live records in order.
func (d *Driver) Scan(ctx context.Context, name string, s store.Scan) ([]store.Record, error) {
	var recs []store.Record
	err := d.walk(ctx, name, s, func(r row, p store.Position) bool {
		var keys map[string]store.Key
		if s.Index != "" {
			keys = map[string]store.Key{s.Index: {Equal: s.Equal, Order: p.Order}}
		}
		recs = append(recs, r.record(s.Tenant, p.ID, keys))
		return len(recs) < s.Limit
	})
	return recs, err
}

// Count returns the number of records that Scan would return without a limit.
func (d *Driver) Count(ctx context.Context, name string, s store.Scan) (int, error) {
	n := 0
	err := d.walk(ctx, name, s, func(row, store.Position) bool {
		n++
		return true
	})
	return n, err
}

// walk calls yield for the live records of a scan until it returns false. The
// row is valid during the call only.
func (d *Driver) walk(ctx context.Context, name string, s store.Scan, yield func(row, store.Position) bool) error {
	return d.view(ctx, name, func(tx *bbolt.Tx, t *table) error {
		rows := tx.Bucket(t.rows)
		bucket, base := rows, component(nil, s.Tenant)
		if s.Index != "" {
			if t.index[s.Index] == nil {
				return fmt.Errorf("table %s has no index %s", name, s.Index)
			}
			bucket, base = tx.Bucket(t.index[s.Index]), indexBase(s.Tenant, s.Equal)
		}
		now, seen := s.Now.UnixMilli(), 0
		for k, v := range between(bucket.Cursor(), bounds(s, base), s.Desc) {
			if seen++; seen%1000 == 0 && ctx.Err() != nil {
				return store.Ended(ctx)
			}
			r, place, err := locate(rows, s, k[len(base):], v)
			if err != nil {
				return err
			}
			if r.expires > now && !yield(r, place) {
				return nil
			}
		}
		return nil
	})
}

// locate finds the row and the place of one step of a scan. rest is the key
// after the scan's base; v is the value, which only a scan by id has.
func locate(rows *bbolt.Bucket, s store.Scan, rest, v []byte) (row, store.Position, error) {
	if s.Index == "" {
		id := string(rest)
		r, err := parse(v)
		return r, store.Position{Order: id, ID: id}, err
	}
	order, id, err := split(rest)
	if err != nil {
		return row{}, store.Position{}, err
	}
	r, err := parse(rows.Get(rowKey(s.Tenant, string(id))))
	return r, store.Position{Order: order, ID: string(id)}, err
}

// span is a range of keys: from is in it, to is not; a nil to is open.
type span struct{ from, to []byte }

// bounds turns a scan into a span of the keys that begin with base.
func bounds(s store.Scan, base []byte) span {
	add := func(text string) []byte {
		if s.Index == "" {
			return append(bytes.Clone(base), text...)
		}
		return escape(bytes.Clone(base), text)
	}
	r := span{from: base, to: after(base)}
	if s.Index == "" {
		r = span{from: add(s.Prefix), to: after(add(s.Prefix))}
	}
	if s.From != "" {
		r.from = highest(r.from, add(s.From))
	}
	if s.To != "" {
		r.to = lowest(r.to, add(s.To))
	}
	if s.After == nil {
		return r
	}
	place := add(s.After.ID)
	if s.Index != "" {
		place = append(component(bytes.Clone(base), s.After.Order), s.After.ID...)
	}
	if s.Desc {
		r.to = lowest(r.to, place)
	} else {
		r.from = highest(r.from, append(place, 0))
	}
	return r
}

func highest(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

func lowest(a, b []byte) []byte {
	if a != nil && bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

// between yields the keys of a span, upwards or downwards.
func between(c *bbolt.Cursor, s span, desc bool) iter.Seq2[[]byte, []byte] {
	first, step := func() ([]byte, []byte) { return c.Seek(s.from) }, c.Next
	if desc {
		first, step = func() ([]byte, []byte) { return before(c, s.to) }, c.Prev
	}
	return func(yield func(k, v []byte) bool) {
		k, v := first()
		for k != nil && bytes.Compare(k, s.from) >= 0 && (s.to == nil || bytes.Compare(k, s.to) < 0) {
			if !yield(k, v) {
				return
			}
			k, v = step()
		}
	}
}

// before moves to the greatest key below to, or to the last.
func before(c *bbolt.Cursor, to []byte) ([]byte, []byte) {
	if to == nil {
		return c.Last()
	}
	if k, _ := c.Seek(to); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// Due returns live records of all tenants with Due at or before now.
func (d *Driver) Due(ctx context.Context, name string, now time.Time, limit int) ([]store.Record, error) {
	var recs []store.Record
	err := d.view(ctx, name, func(tx *bbolt.Tx, t *table) error {
		rows := tx.Bucket(t.rows)
		c := tx.Bucket(t.due).Cursor()
		for k, _ := c.First(); k != nil && len(recs) < limit; k, _ = c.Next() {
			ms, key, err := splitTime(k)
			if err != nil {
				return err
			}
			if ms > now.UnixMilli() {
				return nil
			}
			r, err := parse(rows.Get(key))
			if err != nil {
				return err
			}
			tenant, id, err := split(key)
			if err != nil {
				return err
			}
			if r.expires > now.UnixMilli() {
				recs = append(recs, r.record(tenant, string(id), nil))
			}
		}
		return nil
	})
	return recs, err
}
