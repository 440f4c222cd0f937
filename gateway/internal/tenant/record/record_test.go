package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

type sample struct {
	Name string         `json:"name"`
	Life store.Duration `json:"life"`
	List []int          `json:"list"`
	Sub  struct {
		On bool `json:"on"`
	} `json:"sub"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, field, say string }{
		{"fits, unknown member ignored", `{"name":"a","life":"1h","nothing":{"x":1}}`, "", ""},
		{"null", `{"name":null,"life":null}`, "", ""},
		{"wrong type", `{"name":7}`, "name", "must be a string, not number"},
		{"inner wrong type", `{"sub":{"on":"yes"}}`, "sub.on", "must be true or false, not string"},
		{"bad duration", `{"name":"a","life":"soon"}`, "life", "not a duration"},
		{"list of wrong", `{"list":["x"]}`, "list", "must be a whole number"},
		{"object for list", `{"list":{}}`, "list", "must be a list, not object"},
		{"no object", `[1]`, "", "must be a JSON object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var s sample
			err := record.Decode([]byte(tc.body), &s)
			if tc.say == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !fault.Is(err, fault.Invalid) || fault.Read(err).Field != tc.field || !strings.Contains(fault.Read(err).Public, tc.say) {
				t.Errorf("got %+v, want field %q, %q", fault.Read(err), tc.field, tc.say)
			}
		})
	}
}

func TestMembersAndJoin(t *testing.T) {
	t.Parallel()
	body := []byte(`{"name":"a","saml":{"x":1.50},"cdr":null,"junk":1,"fdx":"<b>"}`)
	extra, err := record.Members(body, []string{"saml", "cdr", "fdx", "absent"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		known any
		extra json.RawMessage
		want  string
	}{
		{"both", struct {
			A int `json:"a"`
		}{1}, extra, `{"a":1,"saml":{"x":1.50},"fdx":"<b>"}`},
		{"no extra", map[string]int{"a": 1}, nil, `{"a":1}`},
		{"empty extra", map[string]int{"a": 1}, json.RawMessage(`{}`), `{"a":1}`},
		{"no known", struct{}{}, extra, `{"saml":{"x":1.50},"fdx":"<b>"}`},
		{"nothing", struct{}{}, nil, `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := record.Join(tc.known, tc.extra)
			if err != nil {
				t.Fatal(err)
			}
			var g, w any
			if err := errors.Join(json.Unmarshal(got, &g), json.Unmarshal([]byte(tc.want), &w)); err != nil {
				t.Fatalf("%s: %v", got, err)
			}
			if d := cmp.Diff(w, g); d != "" {
				t.Error(d)
			}
		})
	}
	if none, err := record.Members([]byte(`{"a":1}`), []string{"b"}); err != nil || none != nil {
		t.Errorf("got %s, %v", none, err)
	}
	if !record.Has(body, "saml") || record.Has(body, "cdr") || record.Has(body, "absent") || record.Has([]byte("["), "a") {
		t.Error("Has is wrong")
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "A.b_c-9", strings.Repeat("x", 128)} {
		if err := record.ID("id", id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", ".", "..", ".well-known", "a/b", "a b", "ä", "a\n", "a%2f", strings.Repeat("x", 129)} {
		if err := record.ID("pool", id); !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != "pool" {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Acme Corp.": "acme-corp", "  --x--  ": "x", "Ünï": "n", "日本": "", "": "", "a/../b": "a-b",
		strings.Repeat("ab ", 60): strings.TrimSuffix(strings.Repeat("ab-", 21)+"a", "-"),
	} {
		if got := record.Slug(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	raw := func(s string) *json.RawMessage { r := json.RawMessage(s); return &r }
	for _, tc := range []struct {
		name  string
		err   error
		field string // empty: fine
	}{
		{"one of", record.OneOf("f", "a", []string{"a"}), ""},
		{"not one of", record.OneOf("f", "b", []string{"a"}), "f"},
		{"each", record.Each("f", []string{"b", "a"}, []string{"a", "b"}), ""},
		{"not each", record.Each("f", []string{"a", "c"}, []string{"a", "b"}), "f[1]"},
		{"twice", record.Each("f", []string{"a", "a"}, []string{"a"}), "f[1]"},
		{"text", record.Text("f", "ö\n\t", 3), ""},
		{"long", record.Text("f", "öööö", 3), "f"},
		{"control", record.Text("f", "a\x1b[1m", 30), "f"},
		{"not UTF-8", record.Text("f", "a\xff", 30), "f"},
		{"address", record.URL("f", "https://a.example/x?y"), ""},
		{"no address", record.URL("f", ""), ""},
		{"script", record.URL("f", "javascript:alert(1)"), "f"},
		{"relative", record.URL("f", "//a.example"), "f"},
		{"user information", record.URL("f", "https://u@a.example"), "f"},
		{"no host", record.URL("f", "https://:80/"), "f"},
		{"object", record.Object("f", raw(` {"a":1}`)), ""},
		{"null object", record.Object("f", raw("null")), ""},
		{"array", record.Object("f", raw("[]")), "f"},
		{"broken", record.Object("f", raw("{")), "f"},
	} {
		if tc.field == "" && tc.err != nil || tc.field != "" && (!fault.Is(tc.err, fault.Unprocessable) || fault.Read(tc.err).Field != tc.field) {
			t.Errorf("%s: got %v, want field %q", tc.name, tc.err, tc.field)
		}
	}
	if say := record.OneOf("f", strings.Repeat("é", 500), []string{"a", "b"}).Error(); len(say) > 200 || !strings.Contains(say, `"a", "b"`) {
		t.Errorf("bad sentence: %s", say)
	}
}

type row struct {
	Name string `json:"name"`
}

func open(t *testing.T) *store.Table[row] {
	t.Helper()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(d, nil)
	t.Cleanup(func() { _ = s.Close() })
	table, err := store.Declare(t.Context(), s, store.Spec[row]{
		Name:    "rows",
		Indexes: map[string]func(*row) (store.Key, bool){"name": func(r *row) (store.Key, bool) { return store.Key{Order: r.Name}, true }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestPick(t *testing.T) {
	t.Parallel()
	table := open(t)
	var items []store.Item[row]
	for i := range 500 {
		items = append(items, store.Item[row]{ID: fmt.Sprintf("r%03d", i), Value: row{Name: fmt.Sprintf("n%03d", 499-i)}})
	}
	if err := errors.Join(table.CreateMany(t.Context(), "t", items)...); err != nil {
		t.Fatal(err)
	}
	each100 := func(r *row) bool { return strings.HasSuffix(r.Name, "50") } // n050 n150 ... n450
	for _, tc := range []struct {
		name string
		page store.Page
		want []string
	}{
		{"first", store.Page{Limit: 2}, []string{"n050", "n150"}},
		{"after", store.Page{Limit: 2, After: "r349"}, []string{"n250", "n350"}},
		{"all, beyond one batch", store.Page{Limit: 10}, []string{"n050", "n150", "n250", "n350", "n450"}},
		{"before", store.Page{Limit: 2, Before: "r049"}, []string{"n250", "n350"}},
		{"before, far", store.Page{Limit: 1, Before: "r000"}, []string{"n450"}},
		{"down", store.Page{Limit: 3, Desc: true}, []string{"n450", "n350", "n250"}},
		{"down before", store.Page{Limit: 1, Desc: true, Before: "r449"}, []string{"n150"}},
		{"no such cursor", store.Page{Limit: 2, After: "gone"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rows, err := record.Pick(t.Context(), table, "t", store.Query{Index: "name"}, tc.page, each100)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				got = append(got, r.Value.Name)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	table := open(t)
	first, err := table.Create(t.Context(), "t", "a", row{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string) func(*row) error { return func(r *row) error { r.Name = name; return nil } }
	second, err := record.Change(t.Context(), table, "t", "a", first.Rev, set("y"))
	if err != nil || second.Value.Name != "y" {
		t.Fatal(second, err)
	}
	if _, err := record.Change(t.Context(), table, "t", "a", first.Rev, set("z")); !errors.Is(err, store.ErrStale) {
		t.Errorf("old revision: %v", err)
	}
	if err := record.Remove(t.Context(), table, "t", "a", first.Rev); !errors.Is(err, store.ErrStale) {
		t.Errorf("remove old revision: %v", err)
	}
	raced := false
	third, err := record.Change(t.Context(), table, "t", "a", 0, func(r *row) error {
		if !raced { // somebody else is faster once
			raced = true
			if _, err := table.Swap(t.Context(), "t", "a", second.Rev, row{Name: "other"}); err != nil {
				return err
			}
		}
		r.Name += "!"
		return nil
	})
	if err != nil || third.Value.Name != "other!" {
		t.Errorf("race: %v %v", third, err)
	}
	if err := record.Remove(t.Context(), table, "t", "a", third.Rev); err != nil {
		t.Error(err)
	}
	if err := record.Remove(t.Context(), table, "t", "a", 0); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestFault(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want fault.Kind
	}{
		{store.ErrNotFound, fault.NotFound},
		{fmt.Errorf("x: %w", store.ErrExists), fault.Conflict},
		{store.ErrStale, fault.Stale},
		{store.ErrUnavailable, fault.Internal}, // the edge knows it
	} {
		err := record.Fault(tc.err, "thing")
		if !fault.Is(err, tc.want) || !errors.Is(err, tc.err) {
			t.Errorf("%v: got %v", tc.err, err)
		}
	}
	if record.Fault(nil, "thing") != nil {
		t.Error("nil is no fault")
	}
}
