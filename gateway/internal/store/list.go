package store

import (
	"context"
	"errors"
	"slices"
)

// Page bounds a listing. After and Before are ids, exclusive, in the order of
// the listing; at most one is set. A cursor that no longer exists gives an
// empty page when the order is not the id itself.
type Page struct {
	After  string
	Before string
	Desc   bool
	Limit  int // rows; below 1 means 20
}

// errIndex reports a query for an index that the table does not have.
var errIndex = errors.New("no such index")

// Range returns the rows whose ids begin with prefix, in id order.
func (t *Table[T]) Range(ctx context.Context, tenant, prefix string, p Page) ([]Row[T], error) {
	return t.Find(ctx, tenant, Query{Equal: prefix}, p)
}

// Query selects rows by one declared index, or by the beginning of their ids.
type Query struct {
	Index string // empty: by id
	Equal string // exact value of the key's Equal part; without an index: the start of the id
	From  string // order values (or ids) at or above; empty: open
	To    string // order values (or ids) below; empty: open
}

// Find returns the rows of q in the index's order.
func (t *Table[T]) Find(ctx context.Context, tenant string, q Query, p Page) ([]Row[T], error) {
	s, some, err := t.scan(tenant, q)
	if err != nil || !some {
		return nil, err
	}
	if p.Limit < 1 {
		p.Limit = 20
	}
	s.Limit, s.Desc = p.Limit, p.Desc
	cursor := p.After
	if p.Before != "" {
		cursor, s.Desc = p.Before, !p.Desc
	}
	if cursor != "" {
		s.After, err = t.resolve(ctx, s, cursor)
		if err != nil || s.After == nil {
			return nil, err
		}
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

// All calls yield for every row of q in order, page by page, until yield
// returns false. Rows written meanwhile may or may not be seen.
func (t *Table[T]) All(ctx context.Context, tenant string, q Query, yield func(Row[T]) bool) error {
	const batch = 200
	s, some, err := t.scan(tenant, q)
	if err != nil || !some {
		return err
	}
	s.Limit = batch
	for {
		recs, err := t.s.driver.Scan(ctx, t.spec.Name, s)
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
		}
		if len(recs) < batch {
			return nil
		}
		s.After = position(s, recs[batch-1])
	}
}

// Count returns the number of live rows of q.
func (t *Table[T]) Count(ctx context.Context, tenant string, q Query) (int, error) {
	s, some, err := t.scan(tenant, q)
	if err != nil || !some {
		return 0, err
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

// scan turns a query into a driver's scan. It is false when no row can match.
func (t *Table[T]) scan(tenant string, q Query) (Scan, bool, error) {
	s := Scan{Tenant: tenant, Index: q.Index, Equal: q.Equal, From: q.From, To: q.To, Now: t.s.now()}
	if q.Index == "" {
		s.Prefix, s.Equal = q.Equal, ""
	} else if t.spec.Indexes[q.Index] == nil {
		return s, false, t.wrap("list", q.Index, errIndex)
	}
	return s, usable(tenant, q.Equal, q.From, q.To), nil
}

// resolve turns the id of a cursor into a place in the scan's order, or nil
// when the scan has no such place.
func (t *Table[T]) resolve(ctx context.Context, s Scan, id string) (*Position, error) {
	if s.Index == "" && usable(id) {
		return &Position{Order: id, ID: id}, nil
	}
	rec, err := t.get(ctx, s.Tenant, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, t.wrap("list", s.Index, err)
	}
	if key, ok := rec.Keys[s.Index]; !ok || key.Equal != s.Equal {
		return nil, nil
	}
	return position(s, rec), nil
}

// position is a record's place in a scan's order, by the keys it was stored with.
func position(s Scan, rec Record) *Position {
	if s.Index == "" {
		return &Position{Order: rec.ID, ID: rec.ID}
	}
	return &Position{Order: rec.Keys[s.Index].Order, ID: rec.ID}
}
