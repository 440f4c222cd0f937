package embedded

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Insert creates records, at most 2000 a transaction.
func (d *Driver) Insert(ctx context.Context, name string, recs []store.Record, now time.Time) []error {
	errs := make([]error, len(recs))
	t, err := d.table(name)
	if err != nil {
		return fill(errs, err)
	}
	entries := make([]entry, 0, min(len(recs), most))
	at := make([]int, 0, cap(entries)) // places of entries in recs
	for i := range recs {
		e, err := t.encode(recs[i])
		if err != nil {
			errs[i] = err
			continue
		}
		entries, at = append(entries, e), append(at, i)
		if len(entries) == most {
			d.insert(ctx, t, entries, at, now.UnixMilli(), errs)
			entries, at = entries[:0], at[:0]
		}
	}
	if len(entries) > 0 {
		d.insert(ctx, t, entries, at, now.UnixMilli(), errs)
	}
	return errs
}

func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// insert creates entries in one transaction and leaves their outcomes in errs,
// where at says.
func (d *Driver) insert(ctx context.Context, t *table, entries []entry, at []int, now int64, errs []error) {
	outcome := make([]error, len(entries))
	err := d.write(ctx, len(entries), func(tx *bbolt.Tx) (changed bool, err error) {
		rows := tx.Bucket(t.rows)
		for i := range entries {
			outcome[i] = nil
			old := rows.Get(entries[i].key)
			live, err := isLive(old, now)
			if err != nil {
				return changed, err
			}
			if live {
				outcome[i] = store.ErrExists
				continue
			}
			changed = true
			if err := t.put(tx, &entries[i], old); err != nil {
				return changed, err
			}
		}
		return changed, nil
	})
	for i, place := range at {
		errs[place] = outcome[i]
		if err != nil {
			errs[place] = err
		}
	}
}

func isLive(b []byte, now int64) (bool, error) {
	if b == nil {
		return false, nil
	}
	r, err := parse(b)
	return r.expires > now, err
}

// Replace writes rec over the live record with revision rev.
func (d *Driver) Replace(ctx context.Context, name string, rec store.Record, rev int64, now time.Time) error {
	t, err := d.table(name)
	if err != nil {
		return err
	}
	e, err := t.encode(rec)
	if err != nil {
		return err
	}
	ms := now.UnixMilli()
	var outcome error
	err = d.write(ctx, 1, func(tx *bbolt.Tx) (changed bool, err error) {
		old := tx.Bucket(t.rows).Get(e.key)
		if old == nil {
			outcome = store.ErrNotFound
			return false, nil
		}
		r, err := parse(old)
		if err != nil {
			return false, err
		}
		outcome = nil
		switch {
		case r.expires <= ms:
			outcome = store.ErrNotFound
		case r.rev != rev:
			outcome = store.ErrStale
		default:
			return true, t.put(tx, &e, old)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	return outcome
}

// Delete removes the record if its revision is rev or rev is 0.
func (d *Driver) Delete(ctx context.Context, name, tenant, id string, rev int64) error {
	t, err := d.table(name)
	if err != nil {
		return err
	}
	key := rowKey(tenant, id)
	var outcome error
	err = d.write(ctx, 1, func(tx *bbolt.Tx) (changed bool, err error) {
		old := tx.Bucket(t.rows).Get(key)
		if old == nil {
			outcome = store.ErrNotFound
			return false, nil
		}
		r, err := parse(old)
		if err != nil {
			return false, err
		}
		outcome = nil
		if rev != 0 && r.rev != rev {
			outcome = store.ErrStale
			return false, nil
		}
		return true, t.drop(tx, key, old)
	})
	if err != nil {
		return err
	}
	return outcome
}

// Sweep removes expired records, a part at a time so that other writers get
// their turn.
func (d *Driver) Sweep(ctx context.Context, name string, now time.Time, limit int) (int, error) {
	const part = 500
	t, err := d.table(name)
	if err != nil {
		return 0, err
	}
	total := 0
	for total < limit {
		want := min(part, limit-total)
		gone := 0
		err := d.write(ctx, want, func(tx *bbolt.Tx) (changed bool, err error) {
			gone, err = t.sweep(tx, now.UnixMilli(), want)
			return gone > 0, err
		})
		if err != nil {
			return total, err
		}
		total += gone
		if gone < want {
			break
		}
	}
	return total, nil
}

func (t *table) sweep(tx *bbolt.Tx, now int64, limit int) (int, error) {
	var keys [][]byte
	c := tx.Bucket(t.expiry).Cursor()
	for k, _ := c.First(); k != nil && len(keys) < limit; k, _ = c.Next() {
		ms, key, err := splitTime(k)
		if err != nil {
			return 0, err
		}
		if ms > now {
			break
		}
		keys = append(keys, bytes.Clone(key))
	}
	rows := tx.Bucket(t.rows)
	for _, key := range keys {
		old := rows.Get(key)
		if old == nil {
			return 0, errRow
		}
		if err := t.drop(tx, key, old); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// encode is encode for a record whose keys all belong to indexes of the table.
func (t *table) encode(rec store.Record) (entry, error) {
	for name := range rec.Keys {
		if t.index[name] == nil {
			return entry{}, fmt.Errorf("table %s has no index %s", t.name, name)
		}
	}
	return encode(rec)
}

// put writes e over old, which is nil for a new record.
func (t *table) put(tx *bbolt.Tx, e *entry, old []byte) error {
	if old != nil {
		if err := t.unlist(tx, e.key, old); err != nil {
			return err
		}
	}
	if err := tx.Bucket(t.rows).Put(e.key, e.bytes); err != nil {
		return err
	}
	for name, key := range e.keys {
		if err := tx.Bucket(t.index[name]).Put(indexKey(e.tenant, key.Equal, key.Order, e.id), nil); err != nil {
			return err
		}
	}
	if e.expires != never {
		if err := tx.Bucket(t.expiry).Put(timeKey(e.expires, e.key), nil); err != nil {
			return err
		}
	}
	if e.due != never {
		return tx.Bucket(t.due).Put(timeKey(e.due, e.key), nil)
	}
	return nil
}

// drop removes a record and all that points to it.
func (t *table) drop(tx *bbolt.Tx, key, old []byte) error {
	if err := t.unlist(tx, key, old); err != nil {
		return err
	}
	return tx.Bucket(t.rows).Delete(key)
}

// unlist removes what points to a record: entries of indexes, also of those
// that are no longer declared, of expiry and of dueness.
func (t *table) unlist(tx *bbolt.Tx, key, old []byte) error {
	r, err := parse(old)
	if err != nil {
		return err
	}
	keys, err := r.index()
	if err != nil {
		return err
	}
	tenant, id, err := split(key)
	if err != nil {
		return err
	}
	for name, k := range keys {
		bucket := tx.Bucket(t.indexName(name))
		if bucket == nil {
			continue
		}
		if err := bucket.Delete(indexKey(tenant, k.Equal, k.Order, string(id))); err != nil {
			return err
		}
	}
	if r.expires != never {
		if err := tx.Bucket(t.expiry).Delete(timeKey(r.expires, key)); err != nil {
			return err
		}
	}
	if r.due != never {
		return tx.Bucket(t.due).Delete(timeKey(r.due, key))
	}
	return nil
}
