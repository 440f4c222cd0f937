package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func ids(users []pool.User) string {
	var out []string
	for _, u := range users {
		out = append(out, u.ID)
	}
	return strings.Join(out, " ")
}

func TestUserPages(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.pool("q", nil)
	for _, id := range []string{"d", "b", "a", "e", "c"} {
		w.user("p", `"id":"`+id+`"`)
	}
	w.user("q", `"id":"bb"`)
	for _, tc := range []struct {
		name string
		page store.Page
		want string
	}{
		{"all", store.Page{}, "a b c d e"},
		{"first two", store.Page{Limit: 2}, "a b"},
		{"after", store.Page{After: "b", Limit: 2}, "c d"},
		{"after the last", store.Page{After: "e"}, ""},
		{"before", store.Page{Before: "d", Limit: 2}, "b c"},
		{"before, to the beginning", store.Page{Before: "c", Limit: 9}, "a b"},
		{"downwards", store.Page{Desc: true, Limit: 2}, "e d"},
		{"downwards after", store.Page{Desc: true, After: "d", Limit: 2}, "c b"},
		{"downwards before", store.Page{Desc: true, Before: "b", Limit: 2}, "d c"},
		{"after one that is gone", store.Page{After: "bx", Limit: 2}, "c d"},
	} {
		got := ids(must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, tc.page)))
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	_, err := w.Users.List(t.Context(), tenantID, "none", pool.Query{}, store.Page{})
	wants(t, "no such pool", err, fault.NotFound, "")
	_, err = w.Users.List(t.Context(), "other", "p", pool.Query{}, store.Page{})
	wants(t, "another tenant", err, fault.NotFound, "")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.pool("i", insensitive)
	const ann = `"id":"a","payload":{"given_name":"Ann","family_name":"Lee","name":"Ann Lee","age":30,"tags":["x","y"],"address":{"locality":"Rome","country":"IT"},"big":12345678901234567890},
		"metadata":{"tier":"gold","n":1.0},"identifiers":[{"type":"email","identifier":"ann@example.com"},{"type":"mobile","identifier":"+48600100200"},{"type":"federated","identifier":"sub-77"}],
		"verifiable_addresses":[{"type":"email","address":"home@rome.example","verified":true},{"type":"email","address":"unproven@rome.example","verified":false}]`
	const bob = `"id":"b","payload":{"given_name":"Bob","family_name":"Lee","name":"Bob Lee","age":31,"tags":["y"],"address":{"locality":"Oslo"}},
		"metadata":{"tier":"gold"},"identifiers":[{"type":"email","identifier":"bob@Example.com"},{"type":"uid","identifier":"Annabob"}]`
	const carl = `"id":"c-ann","metadata":{"tier":null,"list":[{"k":1,"l":2}]}`
	for _, p := range []string{"p", "i"} {
		for _, members := range []string{ann, bob, carl} {
			w.user(p, members)
		}
	}
	for _, tc := range []struct{ query, want, wantFolded string }{
		{``, "a b c-ann", ""},
		{`{}`, "a b c-ann", ""},
		{`{"user_key":""}`, "a b c-ann", ""},
		{`{"user_key":"ann"}`, "a", "a b"},
		{`{"user_key":"ANN"}`, "", "a b"},
		{`{"user_key":"Ann"}`, "b", "a b"},
		{`{"user_key":"bob"}`, "b", ""},
		{`{"user_key":"example.com"}`, "a b", ""},
		{`{"user_key":"@EXAMPLE.com"}`, "a b", ""},
		{`{"user_key":"EXAMPLE.COM"}`, "a b", ""},
		{`{"user_key":"+48"}`, "a", ""},
		{`{"user_key":"+48 600 100 200"}`, "a", ""},
		{`{"user_key":"200"}`, "a", ""},
		{`{"user_key":"sub-"}`, "a", ""},
		{`{"user_key":"home@"}`, "a", ""},
		{`{"user_key":"rome.example"}`, "a", ""},
		{`{"user_key":"unproven"}`, "", ""},
		{`{"user_key":"nn@exa"}`, "", ""},
		{`{"user_key":"c-ann"}`, "c-ann", ""},
		{`{"user_key":"c-"}`, "", ""},
		{`{"user_key":"%"}`, "", ""},
		{`{"payload":{"family_name":"Lee"}}`, "a b", ""},
		{`{"payload":{"family_name":"lee"}}`, "", ""},
		{`{"payload":{"age":30}}`, "a", ""},
		{`{"payload":{"age":30.0}}`, "a", ""},
		{`{"payload":{"age":"30"}}`, "", ""},
		{`{"payload":{"big":12345678901234567890}}`, "a", ""},
		{`{"payload":{"big":12345678901234567891}}`, "", ""},
		{`{"payload":{"tags":"x"}}`, "a", ""},
		{`{"payload":{"tags":["y"]}}`, "a b", ""},
		{`{"payload":{"tags":["y","x"]}}`, "a", ""},
		{`{"payload":{"age":[30]}}`, "", ""},
		{`{"payload":{"address":{"locality":"Oslo"}}}`, "b", ""},
		{`{"payload":{"address":{}}}`, "a b", ""},
		{`{"payload":{"address":"Oslo"}}`, "", ""},
		{`{"payload":{"none":null}}`, "", ""},
		{`{"metadata":{"tier":null}}`, "c-ann", ""},
		{`{"metadata":{"list":{"k":1}}}`, "c-ann", ""},
		{`{"metadata":{"n":1}}`, "a", ""},
		{`{"user_key":"example.com","payload":{"age":31},"metadata":{"tier":"gold"}}`, "b", ""},
		{`{"user_key":"ann","payload":{"age":31}}`, "", "b"},
		{`{"payload":{},"metadata":null}`, "a b c-ann", ""},
	} {
		q, err := pool.ParseQuery(tc.query)
		if err != nil {
			t.Errorf("%s: %v", tc.query, err)
			continue
		}
		for p, want := range map[string]string{"p": tc.want, "i": orElse(tc.wantFolded, tc.want)} {
			if got := ids(must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, p, q, store.Page{}))); got != want {
				t.Errorf("%s in %s: %q, want %q", tc.query, p, got, want)
			}
		}
	}
	for text, kind := range map[string]fault.Kind{
		`x`: fault.Invalid, `[]`: fault.Invalid, `null`: fault.Invalid, `{} {}`: fault.Invalid, `"a"`: fault.Invalid,
		`{"user_key":1}`: fault.Unprocessable, `{"payload":"x"}`: fault.Unprocessable, `{"status":"active"}`: fault.Unprocessable,
		`{"user_key":"` + strings.Repeat("a", 70<<10) + `"}`: fault.TooLarge,
	} {
		if _, err := pool.ParseQuery(text); !fault.Is(err, kind) {
			t.Errorf("%.40s: %v, want kind %d", text, err, kind)
		}
	}
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// TestSearchByManyNames searches a key that more names begin with than are
// collected, so that it walks; and one below that, so that it does not.
func TestSearchByManyNames(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	const n = 700
	for i := range n {
		kind := "rare"
		if i%10 != 0 {
			kind = "often"
		}
		w.user("p", fmt.Sprintf(`"id":"u%04d","identifiers":[{"type":"uid","identifier":"%s-%d"},{"type":"uid","identifier":"x%d.%s"}]`, i, kind, i, i, kind))
	}
	for _, key := range []string{"rare", "often"} {
		for _, desc := range []bool{false, true} {
			var got []string
			page := store.Page{Limit: 100, Desc: desc}
			for {
				users := must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{UserKey: key}, page))
				for _, u := range users {
					got = append(got, u.ID)
				}
				if len(users) < page.Limit {
					break
				}
				page.After = users[len(users)-1].ID
			}
			want := n / 10
			if key == "often" {
				want = n - n/10
			}
			if sorted := slices.IsSorted(got); len(got) != want || sorted == desc {
				t.Errorf("%s, down %v: %d users, sorted %v", key, desc, len(got), sorted)
			}
			page = store.Page{Limit: 3, Before: "u0042", Desc: desc}
			users := must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{UserKey: key}, page))
			wantPage := map[string]string{
				"rare false": "u0020 u0030 u0040", "rare true": "u0070 u0060 u0050",
				"often false": "u0038 u0039 u0041", "often true": "u0045 u0044 u0043",
			}[fmt.Sprint(key, " ", desc)]
			if ids(users) != wantPage {
				t.Errorf("%s before, down %v: %s, want %s", key, desc, ids(users), wantPage)
			}
		}
	}
}

// TestSearchTime lets a walk run out of time: it fails rather than return a page
// that looks like the end.
func TestSearchTime(t *testing.T) {
	t.Parallel()
	w := open(t, func(w *world, c *pool.Config, _ *store.Driver) {
		c.SearchTime = 3 * time.Second
		c.Now = func() time.Time { w.advance(time.Second); return w.Now() }
		c.Audit, c.Changed = nil, nil
	})
	w.pool("p", nil)
	for i := range 900 {
		w.user("p", fmt.Sprintf(`"id":"u%04d","metadata":{"n":%d}`, i, i))
	}
	find := func(n int) (int, error) {
		q := pool.Query{Metadata: must[pool.Query](t)(pool.ParseQuery(fmt.Sprintf(`{"metadata":{"n":%d}}`, n))).Metadata}
		users, err := w.Users.List(t.Context(), tenantID, "p", q, store.Page{Limit: 1})
		return len(users), err
	}
	if n, err := find(100); n != 1 || err != nil {
		t.Errorf("near the beginning: %d, %v", n, err)
	}
	n, err := find(890)
	if n != 0 {
		t.Errorf("far from it: %d", n)
	}
	wants(t, "far from it", err, fault.Unprocessable, "query")
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"user_key":"a"}`, `{"payload":{"a":[1,{"b":null}]}}`, `{"metadata":{"x":1e9}}`, `[`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := pool.ParseQuery(s); err != nil && fault.Read(err).Kind == fault.Internal {
			t.Errorf("%q: %v", s, err)
		}
	})
}
