package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// model is a table as simple as can be, for comparison.
type model struct {
	rows map[string]store.Row[item]
	now  func() time.Time
}

func (m model) live(v item) bool { return v.Expires.IsZero() || v.Expires.After(m.now()) }

// find is Table.Find by the index "group", written for clarity.
func (m model) find(q store.Query, p store.Page) []string {
	type place struct{ order, id string }
	var all []place
	for id, row := range m.rows {
		v := row.Value
		if v.Group == q.Equal && m.live(v) && v.Place >= q.From && (q.To == "" || v.Place < q.To) {
			all = append(all, place{v.Place, id})
		}
	}
	cursor := p.After + p.Before
	var at place
	if cursor != "" {
		row, ok := m.rows[cursor]
		if !ok || !m.live(row.Value) || row.Value.Group != q.Equal {
			return nil
		}
		at = place{row.Value.Place, cursor}
	}
	compare := func(a, b place) int {
		n := strings.Compare(a.order, b.order)
		if n == 0 {
			n = strings.Compare(a.id, b.id)
		}
		if p.Desc {
			return -n
		}
		return n
	}
	slices.SortFunc(all, compare)
	var got []string
	for _, v := range all {
		if p.After != "" && compare(v, at) <= 0 || p.Before != "" && compare(v, at) >= 0 {
			continue
		}
		got = append(got, v.id)
	}
	if len(got) <= p.Limit {
		return got
	}
	if p.Before != "" {
		return got[len(got)-p.Limit:]
	}
	return got[:p.Limit]
}

// testModel does random work on a table and on a model and wants them to agree.
func testModel(t *testing.T, h Harness) {
	k := open(t, h)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	steps := 3000
	if h.Caps.Smaller != "" {
		steps = 400
	}
	w := worker{kit: k, r: r, m: model{rows: map[string]store.Row[item]{}, now: k.clock.Now}}
	for step := range steps {
		w.doing = fmt.Sprintf("seed %d step %d", seed, step)
		w.step()
		if t.Failed() {
			return
		}
	}
}

// worker does the same to a table and to a model.
type worker struct {
	*kit
	r     *rand.Rand
	m     model
	doing string
}

func (w *worker) pick(of ...string) string { return of[w.r.IntN(len(of))] }

func (w *worker) id() string {
	return w.pick("a", "b", "c/d", "c%2Fd", "e", "f", "g", "h\x00", "h", "é")
}

func (w *worker) value() item {
	v := item{Group: w.pick("", "x", "y"), Place: w.pick("", "1", "1\x00", "10", "2", "ü"), Number: w.r.Int64()}
	if w.r.IntN(3) == 0 {
		v.Expires = w.clock.Now().Add(time.Duration(w.r.IntN(20)) * time.Second)
	}
	if w.r.IntN(3) == 0 {
		v.Due = w.clock.Now().Add(time.Duration(w.r.IntN(20)) * time.Second)
	}
	return v
}

func (w *worker) step() {
	id := w.id()
	old, there := w.m.rows[id]
	there = there && w.m.live(old.Value)
	switch w.r.IntN(10) {
	case 0, 1, 2:
		w.creates(id, there)
	case 3, 4:
		w.swaps(id, old, there)
	case 5:
		w.takes(id, old, there)
	case 6:
		w.clock.Advance(time.Duration(w.r.IntN(3000)) * time.Millisecond)
	case 7:
		w.sweeps()
	case 8:
		w.lists()
	case 9:
		w.due()
	}
}

func (w *worker) creates(id string, there bool) {
	row, err := w.items.Create(w.ctx, "t", id, w.value())
	if there {
		w.want(w.doing+": create", err, store.ErrExists)
		return
	}
	w.must(err)
	w.m.rows[id] = row
}

func (w *worker) swaps(id string, old store.Row[item], there bool) {
	rev := old.Rev
	var want error
	switch {
	case !there:
		want = store.ErrNotFound
	case w.r.IntN(3) == 0:
		rev, want = rev+1, store.ErrStale
	}
	row, err := w.items.Swap(w.ctx, "t", id, rev, w.value())
	w.want(w.doing+": swap", err, want)
	if err == nil {
		w.m.rows[id] = row
	}
}

func (w *worker) takes(id string, old store.Row[item], there bool) {
	row, err := w.items.Take(w.ctx, "t", id)
	if !there {
		w.want(w.doing+": take", err, store.ErrNotFound)
		return
	}
	w.must(err)
	same(w, w.doing+": took", row, old)
	delete(w.m.rows, id)
}

func (w *worker) sweeps() {
	gone, err := w.store.Sweep(w.ctx, 100)
	w.must(err)
	want := 0
	for id, row := range w.m.rows {
		if !w.m.live(row.Value) {
			delete(w.m.rows, id)
			want++
		}
	}
	same(w, w.doing+": swept", gone["items"], want)
}

func (w *worker) lists() {
	q := store.Query{Index: "group", Equal: w.pick("x", "y"), From: w.pick("", "", "1", "10"), To: w.pick("", "", "2", "ü")}
	n, err := w.items.Count(w.ctx, "t", q)
	w.must(err)
	same(w, w.doing+": count", n, len(w.m.find(q, store.Page{Limit: 1000})))
	p := store.Page{Desc: w.r.IntN(2) == 0, Limit: 1 + w.r.IntN(5)}
	switch w.r.IntN(3) {
	case 0:
		p.After = w.id()
	case 1:
		p.Before = w.id()
	}
	rows, err := w.items.Find(w.ctx, "t", q, p)
	w.must(err)
	same(w, fmt.Sprintf("%s: find %+v %+v", w.doing, q, p), ids(rows), w.m.find(q, p))
	for _, row := range rows {
		same(w, w.doing+": row", row, w.m.rows[row.ID])
	}
}

func (w *worker) due() {
	rows, err := w.items.Due(w.ctx, 100)
	w.must(err)
	var want []string
	for id, row := range w.m.rows {
		v := row.Value
		if !v.Due.IsZero() && !v.Due.After(w.clock.Now()) && w.m.live(v) {
			want = append(want, id)
		}
	}
	got := ids(rows)
	slices.Sort(got)
	slices.Sort(want)
	same(w, w.doing+": due", got, want)
	for i := 1; i < len(rows); i++ {
		if rows[i].Value.Due.Before(rows[i-1].Value.Due) {
			w.Error(errors.New(w.doing + ": due out of order"))
		}
	}
}
