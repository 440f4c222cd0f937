package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Fault turns the store's answers about one record into faults: no such thing,
// id taken, changed since. what names the thing with its article, such as "this
// workspace". Other errors, ErrUnavailable among them, come back as they are.
func Fault(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return fault.New(fault.NotFound, "There is no such "+what+".", err)
	case errors.Is(err, store.ErrExists):
		return &fault.Error{Kind: fault.Conflict, Field: "id", Public: "There is a " + what + " with this id already.", Cause: err}
	case errors.Is(err, store.ErrStale):
		return fault.New(fault.Stale, "The "+what+" has changed since it was read.", err)
	default:
		return err
	}
}

// Change reads a row, lets alter change the value and swaps it. rev is the
// revision that the caller has seen: another one gives store.ErrStale. With rev
// 0 it reads again as often as somebody else was faster, so alter must be pure.
func Change[T any](ctx context.Context, t *store.Table[T], tenant, id string, rev int64, alter func(*T) error) (store.Row[T], error) {
	for {
		row, err := t.Get(ctx, tenant, id)
		if err != nil {
			return row, err
		}
		if rev != 0 && row.Rev != rev {
			return row, fmt.Errorf("%q is at revision %d, not %d: %w", id, row.Rev, rev, store.ErrStale)
		}
		if err := alter(&row.Value); err != nil {
			return row, err
		}
		next, err := t.Swap(ctx, tenant, id, row.Rev, row.Value)
		if rev != 0 || !errors.Is(err, store.ErrStale) {
			return next, err
		}
		if err := ctx.Err(); err != nil {
			return row, fmt.Errorf("change %q: %w", id, err)
		}
	}
}

// Remove deletes a row at the revision that the caller has seen, or whatever it
// is when rev is 0.
func Remove[T any](ctx context.Context, t *store.Table[T], tenant, id string, rev int64) error {
	if rev == 0 {
		return t.Delete(ctx, tenant, id)
	}
	return t.DeleteIf(ctx, tenant, id, rev)
}

// Pick returns the page p of those rows of q that keep accepts; nil accepts all.
func Pick[T any](ctx context.Context, t *store.Table[T], tenant string, q store.Query, p store.Page, keep func(*T) bool) ([]store.Row[T], error) {
	if keep == nil {
		return t.Find(ctx, tenant, q, p)
	}
	if p.Limit < 1 {
		p.Limit = 20
	}
	const batch = 200
	step := p
	step.Limit = batch
	var out []store.Row[T]
	for {
		rows, err := t.Find(ctx, tenant, q, step)
		if err != nil {
			return nil, err
		}
		back := step.Before != ""
		if back {
			slices.Reverse(rows)
		}
		for i := range rows {
			if len(out) < p.Limit && keep(&rows[i].Value) {
				out = append(out, rows[i])
			}
		}
		if len(rows) < batch || len(out) == p.Limit {
			if back {
				slices.Reverse(out)
			}
			return out, nil
		}
		if last := rows[len(rows)-1].ID; back {
			step.Before = last
		} else {
			step.After = last
		}
	}
}

// Matches tells whether one of the texts contains phrase, whatever the case; an
// empty phrase is in all.
func Matches(phrase string, texts ...string) bool {
	phrase = strings.ToLower(phrase)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), phrase) {
			return true
		}
	}
	return false
}
