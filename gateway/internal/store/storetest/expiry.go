package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// testExpiry wants an expired record gone from every read and every write that
// needs it, long before anything sweeps it.
func testExpiry(t *testing.T, h Harness) {
	k := open(t, h)
	soon := k.clock.Now().Add(time.Minute)
	k.create("keeps", item{Group: "g", Due: start})
	row := k.create("goes", item{Group: "g", Expires: soon, Due: start})
	see := func() (got []int) {
		n, err := k.items.Count(k.ctx, "t", store.Query{Index: "group", Equal: "g"})
		k.must(err)
		all, err := k.items.Count(k.ctx, "t", store.Query{})
		k.must(err)
		found, err := k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: "g"}, store.Page{})
		k.must(err)
		ranged, err := k.items.Range(k.ctx, "t", "", store.Page{})
		k.must(err)
		due, err := k.items.Due(k.ctx, 10)
		k.must(err)
		return []int{n, all, len(found), len(ranged), len(due)}
	}
	same(t, "before", see(), []int{2, 2, 2, 2, 2})
	k.clock.Advance(time.Minute)
	same(t, "at the time of expiry", see(), []int{1, 1, 1, 1, 1})
	_, err := k.items.Get(k.ctx, "t", "goes")
	k.want("get", err, store.ErrNotFound)
	_, err = k.items.Swap(k.ctx, "t", "goes", row.Rev, item{})
	k.want("swap", err, store.ErrNotFound)
	_, err = k.items.Take(k.ctx, "t", "goes")
	k.want("take", err, store.ErrNotFound)
	rows, err := k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: "g"}, store.Page{After: "goes", Desc: true})
	k.must(err)
	same(t, "page after an expired cursor", len(rows), 0)

	// Its id is free, and what it left behind leaves with it.
	next := k.create("goes", item{Name: "new", Expires: soon.Add(time.Hour)})
	same(t, "with the new one", see(), []int{1, 2, 1, 2, 1})
	if next.Rev == row.Rev {
		t.Error("the new record has the old revision")
	}
	errs := k.items.CreateMany(k.ctx, "t", []store.Item[item]{{ID: "goes"}, {ID: "fresh"}})
	k.want("create many over a live one", errs[0], store.ErrExists)
	k.must(errs[1])
	k.clock.Advance(2 * time.Hour)
	errs = k.items.CreateMany(k.ctx, "t", []store.Item[item]{{ID: "goes"}, {ID: "goes"}, {ID: "fresh"}})
	k.must(errs[0])
	k.want("second of the same", errs[1], store.ErrExists)
	k.want("live one", errs[2], store.ErrExists)
}

// testExpiryExact wants all backends to agree to the millisecond, and a record
// never to outlive its time by a part of one.
func testExpiryExact(t *testing.T, h Harness) {
	k := open(t, h)
	k.create("a", item{Expires: start.Add(1500 * time.Microsecond), Due: start.Add(1500 * time.Microsecond)})
	for _, c := range []struct {
		at   time.Duration
		live error
		due  int
	}{
		{0, nil, 0},
		{999 * time.Microsecond, nil, 0},
		{time.Millisecond, store.ErrNotFound, 0},
		{2 * time.Millisecond, store.ErrNotFound, 0},
	} {
		k.clock.Advance(c.at - k.clock.Now().Sub(start))
		_, err := k.items.Get(k.ctx, "t", "a")
		k.want(fmt.Sprintf("get at %v", c.at), err, c.live)
	}
	k.clock.Advance(start.Sub(k.clock.Now()))
	k.create("b", item{Due: start.Add(1500 * time.Microsecond)})
	for at, want := range map[time.Duration]int{0: 0, 1999 * time.Microsecond: 0, 2 * time.Millisecond: 1} {
		k.clock.Advance(at - k.clock.Now().Sub(start))
		rows, err := k.items.Due(k.ctx, 10)
		k.must(err)
		same(t, fmt.Sprintf("due at %v", at), len(rows), want)
	}
	for name, far := range map[string]time.Time{
		"year 1": time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), "year 9999": time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		k.create(name, item{Expires: far})
	}
	rows, err := k.items.Range(k.ctx, "t", "year", store.Page{})
	k.must(err)
	same(t, "live at the ends of time", ids(rows), []string{"year 9999"})
}

func testDue(t *testing.T, h Harness) {
	k := open(t, h)
	row := k.create("b", item{Due: start.Add(2 * time.Second)})
	k.create("a", item{Due: start.Add(3 * time.Second)})
	k.create("never", item{})
	k.create("later", item{Due: start.Add(time.Hour)})
	_, err := k.items.Create(k.ctx, "other", "c", item{Due: start.Add(time.Second)})
	k.must(err)
	due := func(limit int) []string {
		rows, err := k.items.Due(k.ctx, limit)
		k.must(err)
		var got []string
		for _, row := range rows {
			got = append(got, row.Tenant+":"+row.ID)
		}
		return got
	}
	same(t, "at first", due(10), nil)
	k.clock.Advance(time.Minute)
	same(t, "of all tenants, earliest first", due(10), []string{"other:c", "t:b", "t:a"})
	same(t, "at most two", due(2), []string{"other:c", "t:b"})
	_, err = k.items.Swap(k.ctx, "t", "b", row.Rev, item{Due: k.clock.Now().Add(time.Second)})
	k.must(err)
	k.must(k.items.Delete(k.ctx, "other", "c"))
	same(t, "after a put off and a deletion", due(10), []string{"t:a"})
}

func testSweep(t *testing.T, h Harness) {
	k := open(t, h)
	var all []store.Item[item]
	for i := range 30 {
		v := item{Group: "g"}
		if i < 20 {
			v.Expires = start.Add(time.Duration(i+1) * time.Second)
		}
		all = append(all, store.Item[item]{ID: fmt.Sprint(i), Value: v})
	}
	k.fill("t", all)
	empty := declare(k, store.Spec[item]{Name: "other"})
	sweep := func(limit int) map[string]int {
		gone, err := k.store.Sweep(k.ctx, limit)
		k.must(err)
		return gone
	}
	same(t, "nothing has expired", sweep(100), map[string]int{"items": 0, "other": 0})
	k.clock.Advance(10 * time.Second)
	same(t, "at most", sweep(4), map[string]int{"items": 4, "other": 0})
	same(t, "the rest", sweep(100), map[string]int{"items": 6, "other": 0})
	same(t, "again", sweep(100), map[string]int{"items": 0, "other": 0})
	// Moving the clock back shows what is really left.
	k.clock.Advance(-time.Hour)
	n, err := k.items.Count(k.ctx, "t", store.Query{Index: "group", Equal: "g"})
	k.must(err)
	same(t, "left", n, 20)
	_, err = empty.Get(k.ctx, "t", "0")
	k.want("get from the other table", err, store.ErrNotFound)
}
