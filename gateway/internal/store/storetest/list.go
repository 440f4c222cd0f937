package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// testPages walks an index page by page in both directions and back again,
// across records with the same order value.
func testPages(t *testing.T, h Harness) {
	k := open(t, h)
	var all []store.Item[item]
	for i := range 23 {
		// Seven places, so that most are shared by several records.
		all = append(all, store.Item[item]{ID: fmt.Sprintf("id%02d", i), Value: item{Group: "g", Place: fmt.Sprint(i * 5 % 7)}})
	}
	k.fill("t", all)
	k.fill("t", []store.Item[item]{{ID: "x", Value: item{Group: "other", Place: "3"}}, {ID: "y", Value: item{Place: "3"}}})
	slices.SortFunc(all, func(a, b store.Item[item]) int {
		return strings.Compare(a.Value.Place+a.ID, b.Value.Place+b.ID)
	})
	var want []string
	for _, v := range all {
		want = append(want, v.ID)
	}
	q := store.Query{Index: "group", Equal: "g"}
	for _, desc := range []bool{false, true} {
		if desc {
			slices.Reverse(want)
		}
		for _, limit := range []int{1, 4, 23, 100} {
			name := fmt.Sprintf("desc=%v limit=%d", desc, limit)
			same(t, "after, "+name, follow(k, q, store.Page{Desc: desc, Limit: limit}, false), want)
			same(t, "before, "+name, follow(k, q, store.Page{Desc: desc, Limit: limit}, true), want)
		}
		rows, err := k.items.Find(k.ctx, "t", q, store.Page{Desc: desc})
		k.must(err)
		same(t, "without a limit", ids(rows), want[:20])
	}
	for name, cursor := range map[string]string{"gone": "id99", "of another group": "x", "of no group": "y"} {
		for _, page := range []store.Page{{After: cursor}, {Before: cursor}} {
			rows, err := k.items.Find(k.ctx, "t", q, page)
			k.must(err)
			same(t, "page at a cursor "+name, len(rows), 0)
		}
	}
}

// follow collects ids page by page, from the first page by After, or from the
// last record by Before.
func follow(k *kit, q store.Query, p store.Page, back bool) []string {
	k.Helper()
	var got []string
	if back {
		last, err := k.items.Find(k.ctx, "t", q, store.Page{Desc: !p.Desc, Limit: 1})
		k.must(err)
		got, p.Before = ids(last), last[0].ID
	}
	for {
		rows, err := k.items.Find(k.ctx, "t", q, p)
		k.must(err)
		if len(rows) > p.Limit {
			k.Fatalf("page of %d has %d rows", p.Limit, len(rows))
		}
		if back {
			got = append(ids(rows), got...)
		} else {
			got = append(got, ids(rows)...)
		}
		if len(got) > 1000 {
			k.Fatalf("pages without end: %q ...", got[:5])
		}
		if len(rows) < p.Limit {
			return got
		}
		if back {
			p.Before = rows[0].ID
		} else {
			p.After = rows[len(rows)-1].ID
		}
	}
}

func testBounds(t *testing.T, h Harness) {
	k := open(t, h)
	for _, place := range []string{"", "a", "aa", "ab", "b", "ba", "c"} {
		k.create("in-"+place, item{Group: "g", Place: place})
		k.create("out-"+place, item{Group: "gg", Place: place})
	}
	for _, c := range []struct {
		from, to string
		page     store.Page
		want     string
	}{
		{"", "", store.Page{}, " a aa ab b ba c"},
		{"a", "", store.Page{}, "a aa ab b ba c"},
		{"aa", "b", store.Page{}, "aa ab"},
		{"aaa", "az", store.Page{}, "ab"},
		{"", "a", store.Page{}, ""},
		{"b", "b", store.Page{}, "none"},
		{"c", "a", store.Page{}, "none"},
		{"a", "c", store.Page{Desc: true}, "ba b ab aa a"},
		{"a", "c", store.Page{Desc: true, Limit: 2}, "ba b"},
		{"a", "c", store.Page{After: "in-ab"}, "b ba"},
		{"a", "c", store.Page{After: "in-ab", Desc: true}, "aa a"},
		{"a", "c", store.Page{Before: "in-ab"}, "a aa"},
		{"a", "c", store.Page{Before: "in-ab", Limit: 1}, "aa"},
		{"a", "c", store.Page{Before: "in-ab", Desc: true, Limit: 1}, "b"},
		{"b", "", store.Page{After: "in-a"}, "b ba c"},
		{"", "b", store.Page{After: "in-c", Desc: true}, "ab aa a "},
	} {
		q := store.Query{Index: "group", Equal: "g", From: c.from, To: c.to}
		rows, err := k.items.Find(k.ctx, "t", q, c.page)
		k.must(err)
		var got []string
		for _, row := range rows {
			got = append(got, row.Value.Place)
		}
		name := fmt.Sprintf("from %q to %q %+v", c.from, c.to, c.page)
		if len(rows) == 0 {
			got = []string{"none"}
		}
		same(t, name, strings.Join(got, " "), c.want)
		if c.page != (store.Page{}) {
			continue
		}
		n, err := k.items.Count(k.ctx, "t", q)
		k.must(err)
		same(t, "count "+name, n, len(rows))
	}
}

func testPrefix(t *testing.T, h Harness) {
	k := open(t, h)
	for _, id := range []string{"a", "a/b", "a/b/c", "a0", "ab", "a\uffff", "a\U0010ffff", "b", "aé", "\U0010ffff", "\U0010ffff\U0010ffffx", "\ud7ff", "\ud7ffz", "\ue000"} {
		k.create(id, item{})
	}
	for _, c := range []struct {
		prefix string
		page   store.Page
		want   []string
	}{
		{"a/", store.Page{}, []string{"a/b", "a/b/c"}},
		{"a", store.Page{}, []string{"a", "a/b", "a/b/c", "a0", "ab", "aé", "a\uffff", "a\U0010ffff"}},
		{"a\uffff", store.Page{}, []string{"a\uffff"}},
		{"a\U0010ffff", store.Page{}, []string{"a\U0010ffff"}},
		{"\U0010ffff", store.Page{}, []string{"\U0010ffff", "\U0010ffff\U0010ffffx"}},
		{"\ud7ff", store.Page{}, []string{"\ud7ff", "\ud7ffz"}},
		{"z", store.Page{}, nil},
		{"a", store.Page{After: "a/b", Limit: 2}, []string{"a/b/c", "a0"}},
		{"a", store.Page{After: "a/b", Desc: true}, []string{"a"}},
		{"a", store.Page{Before: "ab", Limit: 2}, []string{"a/b/c", "a0"}},
		{"a", store.Page{After: "a/a"}, []string{"a/b", "a/b/c", "a0", "ab", "aé", "a\uffff", "a\U0010ffff"}}, // no such id: still a place
		{"a/", store.Page{Desc: true}, []string{"a/b/c", "a/b"}},
		{"a", store.Page{After: "b", Desc: true, Limit: 1}, []string{"a\U0010ffff"}},
		{"a", store.Page{After: "b"}, nil},
	} {
		rows, err := k.items.Range(k.ctx, "t", c.prefix, c.page)
		k.must(err)
		same(t, fmt.Sprintf("prefix %q %+v", c.prefix, c.page), ids(rows), c.want)
		if c.page == (store.Page{}) {
			n, err := k.items.Count(k.ctx, "t", store.Query{Equal: c.prefix})
			k.must(err)
			same(t, fmt.Sprintf("count %q", c.prefix), n, len(c.want))
		}
	}
	rows, err := k.items.Find(k.ctx, "t", store.Query{Equal: "a", From: "a/c", To: "aé"}, store.Page{})
	k.must(err)
	same(t, "ids between", ids(rows), []string{"a0", "ab"})
}

// odd are strings that a careless encoding of keys would confuse, in byte order.
var odd = []string{
	"\x00", "\x00\x00", "\x00\x01", "\x01", "\x01\x00", " ", "\"", "$", "$gt", "%", "%00", "%2F", ".", "..", "/", "//",
	"<b>&amp;", "A", "\\", "\\u0000", "a", "a\x00", "a\x00\x01", "a\x00b", "a%2Fb", "a.b", "a/", "a/b", "ab", "e\u0301", "null", "{}", "\u00e9", "\u2028", "\uffff", "𝒳",
}

// testAlike gives every odd string as id, index value and order value.
func testAlike(t *testing.T, h Harness) {
	k := open(t, h)
	var all []store.Item[item]
	for i, id := range odd {
		all = append(all, store.Item[item]{ID: id, Value: item{Group: id, Place: id, Number: int64(i)}})
	}
	k.fill("t", all)
	for i, id := range odd {
		row, err := k.items.Get(k.ctx, "t", id)
		k.must(err)
		same(t, fmt.Sprintf("get %q", id), row.Value, all[i].Value)
		rows, err := k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: id}, store.Page{})
		k.must(err)
		same(t, fmt.Sprintf("find %q", id), ids(rows), []string{id})
		n, err := k.items.Count(k.ctx, "t", store.Query{Index: "group", Equal: id, From: id, To: id + "\x00"})
		k.must(err)
		same(t, fmt.Sprintf("count %q", id), n, 1)
	}
	for _, id := range odd {
		k.must(k.items.Delete(k.ctx, "t", id))
	}
	n, err := k.items.Count(k.ctx, "t", store.Query{})
	k.must(err)
	same(t, "left", n, 0)
}

// testOrder wants the order of bytes, of ids and of order values.
func testOrder(t *testing.T, h Harness) {
	k := open(t, h)
	want := slices.Clone(odd)
	slices.Sort(want)
	var all []store.Item[item]
	for i, place := range odd {
		all = append(all, store.Item[item]{ID: place, Value: item{Group: "g", Place: odd[len(odd)-1-i]}})
	}
	k.fill("t", all)
	rows, err := k.items.Range(k.ctx, "t", "", store.Page{Limit: len(odd)})
	k.must(err)
	same(t, "ids", ids(rows), want)
	rows, err = k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: "g"}, store.Page{Limit: len(odd)})
	k.must(err)
	var places []string
	for _, row := range rows {
		places = append(places, row.Value.Place)
	}
	same(t, "places", places, want)
	same(t, "pages of places", follow(k, store.Query{Index: "group", Equal: "g"}, store.Page{Limit: 7}, false), ids(rows))
	same(t, "pages of ids", follow(k, store.Query{}, store.Page{Limit: 7}, true), want)
}

func testAll(t *testing.T, h Harness) {
	k := open(t, h)
	var all []store.Item[item]
	var want []string
	for i := range 450 {
		id := fmt.Sprintf("a%03d", i)
		all = append(all, store.Item[item]{ID: id, Value: item{Group: "g", Place: fmt.Sprint(i / 300)}})
		want = append(want, id)
	}
	k.fill("t", all)
	for _, q := range []store.Query{{}, {Equal: "a"}, {Index: "group", Equal: "g"}} {
		var got []string
		k.must(k.items.All(k.ctx, "t", q, func(row store.Row[item]) bool { got = append(got, row.ID); return true }))
		same(t, fmt.Sprintf("all %+v", q), got, want)
	}
	seen := 0
	k.must(k.items.All(k.ctx, "t", store.Query{}, func(store.Row[item]) bool { seen++; return seen < 250 }))
	same(t, "seen before the end", seen, 250)
}

// testReindex wants each record under the keys of its present value alone.
func testReindex(t *testing.T, h Harness) {
	k := open(t, h)
	row := k.create("a", item{Group: "x", Place: "1"})
	find := func(group string) []string {
		rows, err := k.items.Find(k.ctx, "t", store.Query{Index: "group", Equal: group}, store.Page{})
		k.must(err)
		return ids(rows)
	}
	row, err := k.items.Swap(k.ctx, "t", "a", row.Rev, item{Group: "y"})
	k.must(err)
	same(t, "old group", find("x"), nil)
	same(t, "new group", find("y"), []string{"a"})
	row, err = k.items.Swap(k.ctx, "t", "a", row.Rev, item{})
	k.must(err)
	same(t, "left group", find("y"), nil)
	_, err = k.items.Swap(k.ctx, "t", "a", row.Rev, item{Group: "x"})
	k.must(err)
	k.must(k.items.Delete(k.ctx, "t", "a"))
	same(t, "deleted", find("x"), nil)
	n, err := k.items.Count(k.ctx, "t", store.Query{Index: "number"})
	k.must(err)
	same(t, "left in the other index", n, 0)
}
