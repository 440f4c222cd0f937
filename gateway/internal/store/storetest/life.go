package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

func testLife(t *testing.T, h Harness) {
	k := open(t, h)
	_, err := k.items.Get(k.ctx, "t", "a")
	k.want("get before create", err, store.ErrNotFound)
	made := k.create("a", item{Name: "one"})
	if made.Rev == 0 || made.ID != "a" || made.Tenant != "t" {
		t.Errorf("create returned %+v", made)
	}
	_, err = k.items.Create(k.ctx, "t", "a", item{Name: "two"})
	k.want("second create", err, store.ErrExists)
	got, err := k.items.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "get after create", got, made)

	next, err := k.items.Swap(k.ctx, "t", "a", made.Rev, item{Name: "three"})
	k.must(err)
	if next.Rev == made.Rev {
		t.Error("swap kept the revision")
	}
	_, err = k.items.Swap(k.ctx, "t", "a", made.Rev, item{Name: "four"})
	k.want("swap at an old revision", err, store.ErrStale)
	_, err = k.items.Swap(k.ctx, "t", "b", made.Rev, item{})
	k.want("swap of nothing", err, store.ErrNotFound)
	got, err = k.items.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "get after swap", got, next)

	k.want("delete at an old revision", k.items.DeleteIf(k.ctx, "t", "a", made.Rev), store.ErrStale)
	k.must(k.items.DeleteIf(k.ctx, "t", "a", next.Rev))
	k.want("second delete", k.items.DeleteIf(k.ctx, "t", "a", next.Rev), store.ErrNotFound)
	k.want("delete of nothing", k.items.Delete(k.ctx, "t", "a"), store.ErrNotFound)
	k.create("a", item{})
	k.must(k.items.Delete(k.ctx, "t", "a"))

	k.create("a", item{Name: "taken"})
	row, err := k.items.Take(k.ctx, "t", "a")
	k.must(err)
	same(t, "take", row.Value.Name, "taken")
	_, err = k.items.Take(k.ctx, "t", "a")
	k.want("second take", err, store.ErrNotFound)
	k.must(k.store.Ping(k.ctx))
}

func testMany(t *testing.T, h Harness) {
	k := open(t, h)
	k.create("b", item{Name: "old"})
	var bad strings.Builder
	for range store.MaxKey + 1 {
		bad.WriteByte('x')
	}
	errs := k.items.CreateMany(k.ctx, "t", []store.Item[item]{
		{ID: "a", Value: item{Name: "a"}},
		{ID: "b", Value: item{Name: "new"}},
		{ID: bad.String()},
		{ID: "c", Value: item{Name: "c"}},
		{ID: "c", Value: item{Name: "again"}},
		{ID: "d", Value: item{Name: "d"}},
	})
	if errs[2] == nil {
		t.Error("a record with an unusable id was created")
	}
	errs[2] = nil
	for i, want := range []error{nil, store.ErrExists, nil, nil, store.ErrExists, nil} {
		k.want(fmt.Sprintf("record %d", i), errs[i], want)
	}
	rows, err := k.items.Range(k.ctx, "t", "", store.Page{})
	k.must(err)
	var names []string
	for _, row := range rows {
		names = append(names, row.Value.Name)
	}
	same(t, "names", names, []string{"a", "old", "c", "d"})
	if errs := k.items.CreateMany(k.ctx, "t", nil); len(errs) != 0 {
		t.Errorf("no records gave %v", errs)
	}
}

var errAny = errors.New("any error")

func testUpdate(t *testing.T, h Harness) {
	k := open(t, h)
	k.create("a", item{Number: 1})
	row, err := k.items.Update(k.ctx, "t", "a", func(v *item) error { v.Number++; return nil })
	k.must(err)
	same(t, "update", row.Value.Number, int64(2))
	_, err = k.items.Update(k.ctx, "t", "a", func(v *item) error { v.Number = 99; return errAny })
	k.want("update whose change fails", err, errAny)
	_, err = k.items.Update(k.ctx, "t", "b", func(*item) error { t.Error("change of nothing"); return nil })
	k.want("update of nothing", err, store.ErrNotFound)

	// Somebody else is faster once: the change runs again on what they wrote.
	calls := 0
	row, err = k.items.Update(k.ctx, "t", "a", func(v *item) error {
		if calls++; calls == 1 {
			_, err := k.items.Update(k.ctx, "t", "a", func(v *item) error { v.Number += 10; return nil })
			k.must(err)
		}
		v.Number++
		return nil
	})
	k.must(err)
	same(t, "update after another", row.Value.Number, int64(13))
	same(t, "calls", calls, 2)
}

// A record that was deleted and created again is another one: no revision read
// before holds.
func testRecreated(t *testing.T, h Harness) {
	k := open(t, h)
	old := k.create("a", item{Name: "old"})
	k.must(k.items.Delete(k.ctx, "t", "a"))
	k.create("a", item{Name: "new"})
	_, err := k.items.Swap(k.ctx, "t", "a", old.Rev, item{Name: "stale"})
	k.want("swap of the old one", err, store.ErrStale)
	k.want("delete of the old one", k.items.DeleteIf(k.ctx, "t", "a", old.Rev), store.ErrStale)
	row, err := k.items.Get(k.ctx, "t", "a")
	k.must(err)
	same(t, "name", row.Value.Name, "new")
}

func testUnusable(t *testing.T, h Harness) {
	k := open(t, h)
	long := strings.Repeat("x", store.MaxKey+1)
	for name, id := range map[string]string{"empty": "", "too long": long, "not UTF-8": "a\xff"} {
		_, err := k.items.Create(k.ctx, "t", id, item{})
		if err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("create with an id that is %s: got error %v", name, err)
		}
		_, err = k.items.Get(k.ctx, "t", id)
		k.want("get with an id that is "+name, err, store.ErrNotFound)
		k.want("delete with an id that is "+name, k.items.Delete(k.ctx, "t", id), store.ErrNotFound)
	}
	for name, v := range map[string]item{"too long": {Group: long}, "not UTF-8": {Group: "g", Place: "\xc3"}} {
		if _, err := k.items.Create(k.ctx, "t", "a", v); err == nil {
			t.Errorf("create with an index key that is %s succeeded", name)
		}
	}
	row := k.create("a", item{Group: "g"})
	if _, err := k.items.Swap(k.ctx, "t", "a", row.Rev, item{Group: long}); err == nil {
		t.Error("swap to an index key that is too long succeeded")
	}
	for _, q := range []store.Query{{Index: "group", Equal: long}, {Equal: "\xff"}, {Index: "group", Equal: "g", From: "\xff"}} {
		rows, err := k.items.Find(k.ctx, "t", q, store.Page{})
		k.must(err)
		same(t, "found", len(rows), 0)
	}
	whole := strings.Repeat("y", store.MaxKey)
	k.create(whole, item{Group: strings.Repeat("\x00", store.MaxKey), Place: whole})
	n, err := k.items.Count(k.ctx, "t", store.Query{Index: "group", Equal: strings.Repeat("\x00", store.MaxKey)})
	k.must(err)
	same(t, "found by the longest keys", n, 1)
}

func testUnknownIndex(t *testing.T, h Harness) {
	k := open(t, h)
	q := store.Query{Index: "colour", Equal: "red"}
	if _, err := k.items.Find(k.ctx, "t", q, store.Page{After: "a"}); err == nil {
		t.Error("find by an unknown index succeeded")
	}
	if _, err := k.items.Count(k.ctx, "t", q); err == nil {
		t.Error("count by an unknown index succeeded")
	}
	for _, spec := range []store.Spec[item]{
		{Name: "bad/name"},
		{Name: ""},
		{Name: "system.users"},
		{Name: "ok", Indexes: map[string]func(*item) (store.Key, bool){"a.b": nil}},
	} {
		if _, err := store.Declare(k.ctx, k.store, spec); err == nil {
			t.Errorf("table %q was declared", spec.Name)
		}
	}
}
