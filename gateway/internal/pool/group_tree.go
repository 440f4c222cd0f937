package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// turnTime is how long a move or a deletion waits for its turn.
const turnTime = 3 * time.Second

// turn runs work while nobody else moves or deletes groups of the pool. The
// claim that stands for the turn lapses; who then takes it over first writes the
// group of the claim again, so a slow holder's write at the revision that it has
// read fails. work must write nothing but the group, and that at a revision read
// within its turn.
func (k *Groups) turn(ctx context.Context, p *Pool, group string, work func() error) error {
	o := atGroup(p, group)
	waiting, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		leases, err := k.records.claims.take(ctx, o, []name{{Source: "tree"}})
		if err == nil {
			defer k.records.claims.release(ctx, leases)
			return work()
		}
		if _, taken := errors.AsType[*takenError](err); !taken {
			return err
		}
		select {
		case <-waiting.Done():
			return fault.New(fault.Conflict, "Other groups of this pool are being moved or deleted; try again.", errors.Join(err, ctx.Err()))
		case <-time.After(wait):
		}
	}
}

// move changes a group and its parent. With rev 0 it tries again when somebody
// else has changed the group meanwhile.
func (k *Groups) move(ctx context.Context, p *Pool, group string, rev int64, in UpdateGroup) (store.Row[groupRecord], error) {
	var row store.Row[groupRecord]
	for {
		err := k.turn(ctx, p, group, func() error {
			var err error
			if row, err = k.records.get(ctx, atGroup(p, group)); err != nil {
				return err
			}
			if rev != 0 && row.Rev != rev {
				return store.ErrStale
			}
			next := row.Value
			if err := in.apply(&next); err != nil {
				return err
			}
			below, err := k.height(ctx, p, group)
			if err != nil {
				return err
			}
			if err := k.fits(ctx, p, &next.Group, below); err != nil {
				return err
			}
			row, err = k.records.update(ctx, atGroup(p, group), row.Rev, in.apply)
			return err
		})
		if !errors.Is(err, store.ErrStale) || rev != 0 || ctx.Err() != nil {
			return row, err
		}
	}
}

// fits tells whether a group of so many levels, itself included, may stand below
// its parent. A parent whose deletion stopped half-way, longer ago than any turn
// lasts, is opened again.
func (k *Groups) fits(ctx context.Context, p *Pool, g *Group, levels int) error {
	if g.ParentID == "" {
		return nil
	}
	o := atGroup(p, g.ParentID)
	parent, err := k.records.get(ctx, o)
	if errors.Is(err, store.ErrNotFound) {
		return fault.At(fault.Unprocessable, "parent_id", "There is no such group.")
	}
	if err != nil {
		return err
	}
	if closing := parent.Value.Closing; !closing.IsZero() {
		if k.config.Now().Sub(closing) < leaseTime {
			return fault.At(fault.Conflict, "parent_id", "This group is being deleted.")
		}
		if _, err := k.records.update(ctx, o, parent.Rev, open); err != nil {
			return groupFault(err)
		}
	}
	above, err := k.newTree(p).above(ctx, g.ParentID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a Group) bool { return a.ID == g.ID }) {
		return fault.At(fault.Unprocessable, "parent_id", "is the group itself, or inside it")
	}
	if len(above)+levels > maxGroupDepth {
		return fault.At(fault.Unprocessable, "parent_id", fmt.Sprintf("groups stand in at most %d levels", maxGroupDepth))
	}
	return nil
}

func open(r *groupRecord) error {
	r.Closing = time.Time{}
	return nil
}

// tree reads groups of a pool, each once.
type tree struct {
	groups *Groups
	pool   *Pool
	read   map[string]*Group // nil: there is none
}

func (k *Groups) newTree(p *Pool) *tree {
	return &tree{groups: k, pool: p, read: map[string]*Group{}}
}

func (t *tree) get(ctx context.Context, id string) (*Group, error) {
	if g, ok := t.read[id]; ok {
		return g, nil
	}
	row, err := t.groups.records.get(ctx, atGroup(t.pool, id))
	if errors.Is(err, store.ErrNotFound) {
		t.read[id] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := row.Value.shown(row.Rev)
	t.read[id] = &g
	return &g, nil
}

// above returns a group and those around it, from the inside to the top. It ends
// whatever is stored.
func (t *tree) above(ctx context.Context, id string) ([]Group, error) {
	var out []Group
	for id != "" && len(out) <= maxGroupDepth {
		g, err := t.get(ctx, id)
		if err != nil || g == nil {
			return out, err
		}
		out = append(out, *g)
		id = g.ParentID
	}
	return out, nil
}

// children calls yield for the groups directly inside one until it returns false.
func (k *Groups) children(ctx context.Context, p *Pool, parent string, yield func(Group) bool) error {
	q := store.Query{Index: "siblings", Equal: store.ID(groupSpace(p.Epoch), parent)}
	return k.table.All(ctx, p.TenantID, q, func(row store.Row[groupRecord]) bool { return yield(row.Value.shown(row.Rev)) })
}

// levels walks the groups inside one, level by level.
func (k *Groups) levels(ctx context.Context, p *Pool, group string, most int) (levels [][]Group, err error) {
	seen := map[string]bool{group: true}
	for next := []Group{{ID: group}}; len(next) > 0; {
		var level []Group
		for i := range next {
			err := k.children(ctx, p, next[i].ID, func(g Group) bool {
				if !seen[g.ID] {
					seen[g.ID] = true
					level = append(level, g)
				}
				return len(seen) <= most+1
			})
			if err != nil {
				return nil, err
			}
			if len(seen) > most+1 {
				return nil, errNested
			}
		}
		if len(level) > 0 {
			levels = append(levels, level)
		}
		next = level
	}
	return levels, nil
}

var errNested = errors.New("too many groups")

// height is the number of levels that a group takes, itself included.
func (k *Groups) height(ctx context.Context, p *Pool, group string) (int, error) {
	levels, err := k.levels(ctx, p, group, maxGroups)
	return len(levels) + 1, err
}

// inside returns the groups inside one at every depth, by name.
func (k *Groups) inside(ctx context.Context, p *Pool, group string) ([]Group, error) {
	levels, err := k.levels(ctx, p, group, maxInside)
	if errors.Is(err, errNested) {
		return nil, fault.At(fault.Unprocessable, "with_nested_groups", fmt.Sprintf("there are more than %d groups inside this one", maxInside))
	}
	if err != nil {
		return nil, err
	}
	all := slices.Concat(levels...)
	byName(all)
	return all, nil
}

// byName sorts as the indexes do.
func byName(all []Group) {
	slices.SortFunc(all, func(a, b Group) int {
		return cmp.Or(cmp.Compare(groupKey(a.Name), groupKey(b.Name)), cmp.Compare(store.ID(a.ID), store.ID(b.ID)))
	})
}

// pageOf cuts a page out of a whole list, as the store does of an index.
func pageOf(all []Group, p store.Page, keep func(*Group) bool) []Group {
	if p.Desc {
		slices.Reverse(all)
	}
	if cursor := orElse(p.Before, p.After); cursor != "" {
		i := slices.IndexFunc(all, func(g Group) bool { return g.ID == cursor })
		switch {
		case i < 0:
			return nil
		case p.Before != "":
			all = all[:i]
		default:
			all = all[i+1:]
		}
	}
	if keep != nil {
		all = slices.DeleteFunc(all, func(g Group) bool { return !keep(&g) })
	}
	n := min(len(all), p.Limit)
	if p.Limit < 1 {
		n = min(len(all), 20)
	}
	if p.Before != "" {
		return all[len(all)-n:]
	}
	return all[:n]
}
