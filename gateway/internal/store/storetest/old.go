package storetest

import (
	"embed"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Old holds the rows that each format of each backend wrote, as text:
// testdata/v1/embedded.jsonl has a key and a value a line, mongo.jsonl a
// document a line. The files of a released format never change.
//
//go:embed testdata
var Old embed.FS

// OldTable is the table of the old rows.
const OldTable = "records"

// old is the type of the old rows as it is today: format 1 wrote Text under
// the name "text", which version 2 of the schema calls "title".
type old struct {
	Text  string          `json:"text,omitempty"`
	Title string          `json:"title"`
	Group string          `json:"group"`
	Large int64           `json:"large"`
	At    time.Time       `json:"at"`
	Ends  time.Time       `json:"ends"`
	Map   map[string]int  `json:"map"`
	Raw   json.RawMessage `json:"raw,omitempty"`
}

func oldSpec(version int) store.Spec[old] {
	return store.Spec[old]{
		Name: OldTable, Version: version,
		Indexes: map[string]func(*old) (store.Key, bool){
			"group": func(v *old) (store.Key, bool) { return store.Key{Equal: v.Group, Order: store.OrderTime(v.At)}, true },
		},
		Expires: func(v *old) time.Time { return v.Ends },
		Due:     func(v *old) time.Time { return v.At },
		Upgrade: func(from int, v *old) error {
			if from == 1 {
				v.Title, v.Text = v.Text, ""
			}
			return nil
		},
	}
}

// oldRows are the values of the old rows.
func oldRows() []store.Item[old] {
	var rows []store.Item[old]
	for i, id := range []string{"a", "b/c", "b%2Fc", "é\x00"} {
		rows = append(rows, store.Item[old]{ID: id, Value: old{
			Text: fmt.Sprintf("text of %q", id), Group: "g", Large: 1<<62 + int64(i), At: start.Add(time.Duration(i)*time.Hour + 123456789),
			Map: map[string]int{"$a.b": i}, Raw: json.RawMessage(`{"n":1e400,"$x":{"a.b":12345678901234567890}}`),
		}})
	}
	rows[3].Value.Ends = start.Add(24 * time.Hour)
	return rows
}

// WriteOld writes the old rows into an empty store. It made the files in
// testdata and will make those of the next format.
func WriteOld(t testing.TB, d store.Driver) {
	t.Helper()
	table, err := store.Declare(t.Context(), store.New(d, nil), oldSpec(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"t", "t/u"} {
		for _, err := range table.CreateMany(t.Context(), tenant, oldRows()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// testOld reads what format 1 wrote, and works with it.
func testOld(t *testing.T, h Harness) {
	if h.Caps.NoOld != "" {
		t.Skip("could not show that rows of format 1 are readable: " + h.Caps.NoOld)
	}
	k := around(t, h.Old(t))
	table := declare(k, oldSpec(2))
	q := store.Query{Index: "group", Equal: "g"}
	rows, err := table.Find(k.ctx, "t/u", q, store.Page{})
	k.must(err)
	for i, want := range oldRows() {
		want.Value.Title, want.Value.Text = want.Value.Text, ""
		if i >= len(rows) {
			t.Fatalf("found %d rows", len(rows))
		}
		same(t, "id", rows[i].ID, want.ID)
		same(t, "value", rows[i].Value, want.Value)
		row, err := table.Get(k.ctx, "t", want.ID)
		k.must(err)
		same(t, "value by id", row.Value, want.Value)
	}
	_, err = table.Create(k.ctx, "t", "a", old{})
	k.want("create over an old row", err, store.ErrExists)
	_, err = table.Swap(k.ctx, "t", "a", rows[0].Rev+1, old{})
	k.want("swap at a wrong revision", err, store.ErrStale)

	k.clock.Advance(24 * time.Hour)
	due, err := table.Due(k.ctx, 100)
	k.must(err)
	same(t, "due", len(due), 6)
	gone, err := k.store.Sweep(k.ctx, 100)
	k.must(err)
	same(t, "swept", gone[OldTable], 2)
	_, err = table.Update(k.ctx, "t", "a", func(v *old) error { v.Group = "h"; return nil })
	k.must(err)
	n, err := table.Count(k.ctx, "t", q)
	k.must(err)
	same(t, "left in the index", n, 2)
	k.must(k.store.Purge(k.ctx, "t"))
	n, err = table.Count(k.ctx, "t/u", store.Query{})
	k.must(err)
	same(t, "other tenant's", n, 3)
}
