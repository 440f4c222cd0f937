package pool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Users returns a page of the users in a group in the order of their ids; nested:
// and of those in the groups inside it, each once. Cursors of the page are user
// ids. Unprocessable when there are too many groups inside, or when it takes
// longer than Config.SearchTime.
func (k *Groups) Users(ctx context.Context, tenant, pool, group string, nested bool, page store.Page) ([]User, error) {
	p, row, err := k.load(ctx, tenant, pool, group)
	if err != nil {
		return nil, err
	}
	w := &memberWalk{groups: k, pool: &p, in: []string{row.Value.Epoch}, page: page, until: k.config.Now().Add(k.config.SearchTime)}
	if nested {
		inside, err := k.inside(ctx, &p, group)
		if err != nil {
			return nil, err
		}
		for _, g := range inside {
			w.in = append(w.in, g.Epoch)
		}
	}
	if w.page.Limit < 1 {
		w.page.Limit = 20
	}
	w.forward = page.Before == "" != page.Desc
	w.cursor = orElse(page.Before, page.After)
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	if page.Before != "" {
		slices.Reverse(w.found)
	}
	return w.found, nil
}

// memberWalk collects one page of the users of some groups.
type memberWalk struct {
	groups  *Groups
	pool    *Pool
	in      []string // epochs of the groups
	page    store.Page
	forward bool   // to greater ids
	cursor  string // strictly beyond this user; empty: from the end of the range
	until   time.Time
	found   []User
}

func (w *memberWalk) run(ctx context.Context) error {
	for {
		next, err := w.next(ctx)
		if err != nil {
			return err
		}
		for _, some := range next {
			if err := w.add(ctx, some); err != nil || len(w.found) == w.page.Limit {
				return err
			}
		}
		if len(next) < w.page.Limit {
			return nil
		}
		w.cursor = next[len(next)-1][0].User
	}
}

// next returns the memberships of the next users, at most as many users as a page
// has. It reads that many of each group, so none that comes before is missing.
func (w *memberWalk) next(ctx context.Context) ([][]member, error) {
	var all []member
	for _, epoch := range w.in {
		if !w.groups.config.Now().Before(w.until) {
			return nil, fault.At(fault.Unprocessable, "with_nested_groups", "takes too long to answer: ask for a smaller group")
		}
		step := store.Page{Desc: !w.forward, Limit: w.page.Limit}
		if w.cursor != "" {
			step.After = store.ID(w.pool.Epoch, epoch, w.cursor)
		}
		rows, err := w.groups.members.Range(ctx, w.pool.TenantID, store.Prefix(w.pool.Epoch, epoch), step)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			all = append(all, row.Value)
		}
	}
	slices.SortStableFunc(all, func(a, b member) int {
		if w.forward {
			return cmp.Compare(a.User, b.User)
		}
		return cmp.Compare(b.User, a.User)
	})
	var users [][]member
	for _, m := range all {
		if n := len(users); n > 0 && users[n-1][0].User == m.User {
			users[n-1] = append(users[n-1], m)
			continue
		}
		if len(users) == w.page.Limit {
			break
		}
		users = append(users, []member{m})
	}
	return users, nil
}

// add keeps the user of some memberships when one of them is of this life.
func (w *memberWalk) add(ctx context.Context, some []member) error {
	row, err := w.groups.users.records.get(ctx, at(w.pool, some[0].User))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(some, func(m member) bool { return m.UserEpoch == row.Value.Epoch }) {
		w.found = append(w.found, loaded(row))
	}
	return nil
}
