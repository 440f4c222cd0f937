package pool

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

const (
	walkBatch = 200 // users read at once on a walk
	keyedMost = 500 // claims that a search by key collects before it walks instead
)

// List returns a page of a pool's users in the order of their ids. Cursors of
// the page are user ids. A search that cannot fill its page in Config.SearchTime
// is Unprocessable: it never returns a page that is short for want of time.
//
// A user_key that few names begin or end with is found through the claims; with
// any other filter the users are walked.
func (k *Users) List(ctx context.Context, tenant, pool string, q Query, page store.Page) ([]User, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return nil, err
	}
	w := &walk{users: k, pool: &p, query: q, page: page, until: k.config.Now().Add(k.config.SearchTime)}
	if w.page.Limit < 1 {
		w.page.Limit = 20
	}
	w.forward = page.Before == "" != page.Desc
	w.cursor = orElse(page.Before, page.After)
	if q.UserKey != "" {
		w.by = affixes(q.UserKey, p.IdentifierCaseInsensitive)
		ids, few, err := k.keyed(ctx, &p, q.UserKey, w.by)
		if err != nil {
			return nil, err
		}
		if few {
			return w.finish(w.pick(ctx, ids))
		}
	}
	return w.finish(w.scan(ctx))
}

// walk collects one page.
type walk struct {
	users   *Users
	pool    *Pool
	query   Query
	by      affix
	page    store.Page
	forward bool   // to greater ids
	cursor  string // strictly beyond this id; empty: from the end of the range
	until   time.Time
	found   []User
}

// finish puts the page into the order that was asked for.
func (w *walk) finish(err error) ([]User, error) {
	if err != nil {
		return nil, err
	}
	if w.page.Before != "" {
		slices.Reverse(w.found)
	}
	return w.found, nil
}

// add keeps a user that is selected and reports whether the page is full.
func (w *walk) add(row store.Row[User]) bool {
	if row.Value.live() && w.query.matches(&row.Value, w.by) {
		w.found = append(w.found, loaded(row))
	}
	return len(w.found) >= w.page.Limit
}

func (w *walk) late() error {
	if w.users.config.Now().Before(w.until) {
		return nil
	}
	return fault.At(fault.Unprocessable, "query", "takes too long to answer: narrow it, for instance by user_key")
}

// scan reads users in the order of ids.
func (w *walk) scan(ctx context.Context) error {
	step := store.Page{Desc: !w.forward, Limit: walkBatch}
	if w.query.empty() {
		step.Limit = w.page.Limit + 1 // room for a tombstone
	}
	if w.cursor != "" {
		step.After = store.ID(w.pool.Epoch, w.cursor)
	}
	for {
		rows, err := w.users.table.Range(ctx, w.pool.TenantID, store.Prefix(w.pool.Epoch), step)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if w.add(row) {
				return nil
			}
		}
		if len(rows) < step.Limit {
			return nil
		}
		if err := w.late(); err != nil {
			return err
		}
		step.After = rows[len(rows)-1].ID
	}
}

// beyond tells whether an id comes after the cursor.
func (w *walk) beyond(id string) bool {
	switch {
	case w.cursor == "":
		return true
	case w.forward:
		return id > w.cursor
	}
	return id < w.cursor
}

// pick reads the users with the given ids.
func (w *walk) pick(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	if !w.forward {
		slices.Reverse(ids)
	}
	for i, id := range ids {
		if !w.beyond(id) {
			continue
		}
		row, err := w.users.records.get(ctx, at(w.pool, id))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if w.add(row) {
			return nil
		}
		if i%walkBatch == walkBatch-1 {
			if err := w.late(); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyed returns the ids of users with a name that fits, each once, and the text
// itself, which may be the id of one. few is false when there are too many.
func (k *Users) keyed(ctx context.Context, p *Pool, text string, by affix) (ids []string, few bool, err error) {
	seen := map[string]bool{text: true}
	collect := func(index, prefix string) (bool, error) {
		n := 0
		q := store.Query{Index: index, Equal: p.Epoch, From: prefix, To: past(prefix)}
		err := k.records.claims.table.All(ctx, p.TenantID, q, func(row store.Row[claim]) bool {
			seen[row.Value.Owner] = true
			n++
			return n <= keyedMost
		})
		return n <= keyedMost, err
	}
	for _, s := range by.begin {
		if few, err := collect("key", s); !few || err != nil {
			return nil, false, err
		}
	}
	for _, s := range by.end {
		if few, err := collect("ending", reversed(s)); !few || err != nil {
			return nil, false, err
		}
	}
	return slices.Collect(maps.Keys(seen)), true, nil
}

// past is greater than all texts with the prefix that are names: the last
// character of Unicode is in none.
func past(prefix string) string { return prefix + "\U0010FFFF" }
