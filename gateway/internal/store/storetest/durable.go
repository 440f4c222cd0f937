package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// testReopen wants records, their keys and their times to outlive a restart.
func testReopen(t *testing.T, h Harness) {
	if h.Caps.NoReopen != "" {
		t.Skip("could not show that records outlive a restart: " + h.Caps.NoReopen)
	}
	k := open(t, h)
	kept := k.create("a", item{Name: "kept", Group: "g", Place: "1", Due: start})
	k.create("b", item{Group: "g", Expires: start.Add(time.Minute)})
	k.create("c", item{Group: "g"})
	k.must(k.items.Delete(k.ctx, "t", "c"))

	k = around(t, h.Reopen(t, k.driver))
	row, err := k.items.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "row", row, kept)
	find := func() []string {
		rows, err := k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: "g"}, store.Page{})
		k.must(err)
		return ids(rows)
	}
	same(t, "found", find(), []string{"b", "a"})
	k.clock.Advance(time.Minute)
	same(t, "found after expiry", find(), []string{"a"})
	due, err := k.items.Due(k.ctx, 10)
	k.must(err)
	same(t, "due", ids(due), []string{"a"})
	gone, err := k.store.Sweep(k.ctx, 10)
	k.must(err)
	same(t, "swept", gone, map[string]int{"items": 1})
	_, err = k.items.Swap(k.ctx, "t", "a", kept.Rev, item{})
	k.must(err)
}

// everyOperation calls each operation once and returns the errors by name.
func everyOperation(ctx context.Context, k *kit, row store.Row[item]) map[string]error {
	q := store.Query{Index: "group", Equal: "g"}
	return map[string]error{
		"create":      second(k.items.Create(ctx, "t", "new", item{})),
		"create many": k.items.CreateMany(ctx, "t", []store.Item[item]{{ID: "new"}})[0],
		"get":         second(k.items.Get(ctx, "t", row.ID)),
		"swap":        second(k.items.Swap(ctx, "t", row.ID, row.Rev, item{})),
		"update":      second(k.items.Update(ctx, "t", row.ID, func(*item) error { return nil })),
		"take":        second(k.items.Take(ctx, "t", row.ID)),
		"delete":      k.items.Delete(ctx, "t", row.ID),
		"range":       second(k.items.Range(ctx, "t", "", store.Page{})),
		"find":        second(k.items.Find(ctx, "t", q, store.Page{})),
		"all":         k.items.All(ctx, "t", q, func(store.Row[item]) bool { return true }),
		"count":       second(k.items.Count(ctx, "t", q)),
		"due":         second(k.items.Due(ctx, 10)),
		"sweep":       second(k.store.Sweep(ctx, 10)),
		"purge":       k.store.Purge(ctx, "t"),
		"ping":        k.store.Ping(ctx),
		"declare":     second(store.Declare(ctx, k.store, itemSpec("more"))),
	}
}

func testClosed(t *testing.T, h Harness) {
	k := open(t, h)
	row := k.create("a", item{Group: "g", Due: start})
	k.must(k.store.Close())
	for name, err := range everyOperation(k.ctx, k, row) {
		k.want(name+" after close", err, store.ErrUnavailable)
	}
	k.must(k.store.Close())
}

// testContext wants a call whose context has ended to do nothing and to say so,
// not that the store is unavailable.
func testContext(t *testing.T, h Harness) {
	k := open(t, h)
	row := k.create("a", item{Group: "g", Due: start})
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	for name, err := range everyOperation(ctx, k, row) {
		k.want(name+" with an ended context", err, context.Canceled)
		if errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
	late, cancel := context.WithDeadline(k.ctx, time.Unix(0, 0))
	defer cancel()
	for name, err := range everyOperation(late, k, row) {
		k.want(name+" after its deadline", err, store.ErrUnavailable)
		k.want(name+" after its deadline", err, context.DeadlineExceeded)
	}
	rows, err := k.items.Range(k.ctx, "t", "", store.Page{})
	k.must(err)
	same(t, "rows", rows, []store.Row[item]{row})
}

// testVersions wants rows of an older schema upgraded as they are read, and
// rows of a newer one refused with advice.
func testVersions(t *testing.T, h Harness) {
	k := open(t, h)
	spec := itemSpec("items")
	k.create("a", item{Name: "first", Group: "g"})
	spec.Version = 3
	spec.Upgrade = func(from int, v *item) error {
		v.Name = fmt.Sprintf("%s, upgraded from %d", v.Name, from)
		return nil
	}
	third := declare(k, spec)
	row, err := third.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "read", row.Value.Name, "first, upgraded from 1")
	_, err = third.Swap(k.ctx, "t", "a", row.Rev, row.Value)
	k.must(err)
	row, err = third.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "read after it was written again", row.Value.Name, "first, upgraded from 1")

	for name, err := range map[string]error{
		"get":  second(k.items.Get(k.ctx, "t", "a")),
		"find": second(k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: "g"}, store.Page{})),
		"take": second(k.items.Take(k.ctx, "t", "a")),
	} {
		if err == nil || !strings.Contains(err.Error(), "run the newer release") {
			t.Errorf("%s of a newer row: got error %v", name, err)
		}
	}
	_, err = third.Get(k.ctx, "t", "a")
	k.must(err)
	spec.Upgrade = func(int, *item) error { return errAny }
	_, err = declare(k, spec).Get(k.ctx, "t", "a")
	k.must(err) // it has the version that the table has: nothing to upgrade
}
