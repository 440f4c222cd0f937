package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// group makes a group of pool p; its id is its name.
func (w *world) group(name, parent string) pool.Group {
	w.t.Helper()
	return must[pool.Group](w.t)(w.Groups.Create(w.t.Context(), tenantID, "p", pool.NewGroup{ID: name, Name: name, ParentID: parent}))
}

// forest is a pool p with a few groups:
//
//	a: b: c     d     e: f
func forest(t testing.TB, options ...option) *world {
	w := open(t, options...)
	w.pool("p", nil)
	for _, g := range []string{"a", "b a", "c b", "d", "e", "f e"} {
		name, parent, _ := strings.Cut(g, " ")
		w.group(name, parent)
	}
	return w
}

// join puts users, which it makes, into groups: "group user".
func (w *world) join(pairs ...string) {
	w.t.Helper()
	for _, pair := range pairs {
		group, user, _ := strings.Cut(pair, " ")
		if _, err := w.Users.Get(w.t.Context(), tenantID, "p", user); err != nil {
			w.user("p", `"id":"`+user+`"`)
		}
		if err := w.Groups.Add(w.t.Context(), tenantID, "p", group, user); err != nil {
			w.t.Fatal(err)
		}
	}
}

func names(groups []pool.Group) string {
	var out []string
	for _, g := range groups {
		out = append(out, g.Name)
	}
	return strings.Join(out, " ")
}

func to(s string) *string { return &s }

func TestGroupLife(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	ctx := t.Context()
	w.told()
	staff := must[pool.Group](t)(w.Groups.Create(ctx, tenantID, "p", pool.NewGroup{Name: " Staff ", Description: "all"}))
	if len(staff.ID) != 32 || staff.Name != "Staff" || staff.UserPoolID != "p" || staff.TenantID != tenantID {
		t.Errorf("made %+v", staff)
	}
	got := must[pool.Group](t)(w.Groups.Get(ctx, tenantID, "p", staff.ID))
	if d := cmp.Diff(staff, got); d != "" {
		t.Error(d)
	}
	next := must[pool.Group](t)(w.Groups.Update(ctx, tenantID, "p", staff.ID, staff.Rev, pool.UpdateGroup{Name: to("Crew")}))
	if next.Name != "Crew" || next.Description != "all" {
		t.Errorf("changed to %+v", next)
	}
	_, err := w.Groups.Update(ctx, tenantID, "p", staff.ID, staff.Rev, pool.UpdateGroup{Name: to("late")})
	wants(t, "an old revision", err, fault.Stale, "")
	wants(t, "an old revision", w.Groups.Delete(ctx, tenantID, "p", staff.ID, staff.Rev), fault.Stale, "")
	w.group("Staff", "") // the name is free again
	if err := w.Groups.Delete(ctx, tenantID, "p", staff.ID, next.Rev); err != nil {
		t.Fatal(err)
	}
	_, err = w.Groups.Get(ctx, tenantID, "p", staff.ID)
	wants(t, "a deleted group", err, fault.NotFound, "")
	wants(t, "a deleted group", w.Groups.Delete(ctx, tenantID, "p", staff.ID, 0), fault.NotFound, "")
	want := []string{
		"pool p", "group_created", "pool p", "group_updated", "pool p", "group_created", "pool p", "group_deleted",
	}
	if d := cmp.Diff(want, w.told()); d != "" {
		t.Error(d)
	}
	if e := w.events[len(w.events)-1]; e.Metadata["group_id"] != staff.ID || e.Metadata["affected_user_pool_id"] != "p" {
		t.Errorf("event %+v", e)
	}
}

func TestGroupRules(t *testing.T) {
	t.Parallel()
	w := forest(t)
	w.pool("q", nil)
	ctx := t.Context()
	for _, tc := range []struct {
		name  string
		in    pool.NewGroup
		kind  fault.Kind
		field string
	}{
		{"no name", pool.NewGroup{Name: "  "}, fault.Unprocessable, "name"},
		{"long name", pool.NewGroup{Name: strings.Repeat("x", 257)}, fault.Unprocessable, "name"},
		{"two lines", pool.NewGroup{Name: "a\nb"}, fault.Unprocessable, "name"},
		{"long description", pool.NewGroup{Name: "x", Description: strings.Repeat("x", 2049)}, fault.Unprocessable, "description"},
		{"bad id", pool.NewGroup{Name: "x", ID: "a/b"}, fault.Unprocessable, "id"},
		{"no such parent", pool.NewGroup{Name: "x", ParentID: "none"}, fault.Unprocessable, "parent_id"},
		{"taken id", pool.NewGroup{Name: "x", ID: "c"}, fault.Conflict, "id"},
		{"taken name", pool.NewGroup{Name: "A"}, fault.Conflict, "name"},
		{"taken name inside", pool.NewGroup{Name: "B", ParentID: "a"}, fault.Conflict, "name"},
		{"a sibling of c", pool.NewGroup{Name: "c", ID: "c2"}, fault.Internal, ""},
		{"same name elsewhere", pool.NewGroup{Name: "b", ID: "b2", ParentID: "d"}, fault.Internal, ""},
	} {
		_, err := w.Groups.Create(ctx, tenantID, "p", tc.in)
		if tc.field == "" && err == nil {
			continue
		}
		wants(t, tc.name, err, tc.kind, tc.field)
	}
	for _, tc := range []struct {
		name, group string
		in          pool.UpdateGroup
		kind        fault.Kind
		field       string
	}{
		{"into itself", "a", pool.UpdateGroup{ParentID: to("a")}, fault.Unprocessable, "parent_id"},
		{"into what is inside", "a", pool.UpdateGroup{ParentID: to("c")}, fault.Unprocessable, "parent_id"},
		{"into nothing", "a", pool.UpdateGroup{ParentID: to("none")}, fault.Unprocessable, "parent_id"},
		{"name of a sibling", "e", pool.UpdateGroup{Name: to("D")}, fault.Conflict, "name"},
		{"name of a sibling there", "c2", pool.UpdateGroup{ParentID: to("b")}, fault.Conflict, "name"},
		{"nobody", "none", pool.UpdateGroup{}, fault.NotFound, ""},
	} {
		_, err := w.Groups.Update(ctx, tenantID, "p", tc.group, 0, tc.in)
		wants(t, tc.name, err, tc.kind, tc.field)
	}
	must[pool.Group](t)(w.Groups.Update(ctx, tenantID, "p", "c", 0, pool.UpdateGroup{ParentID: to(""), Name: to("C3")}))
	must[pool.Group](t)(w.Groups.Update(ctx, tenantID, "p", "a", 0, pool.UpdateGroup{ParentID: to("c")}))
	wants(t, "with groups inside", w.Groups.Delete(ctx, tenantID, "p", "a", 0), fault.Conflict, "")
	w.group("late", "a") // it is open again
	for _, at := range [][2]string{{tenantID, "q"}, {"other", "p"}, {tenantID, "none"}} {
		_, err := w.Groups.Get(ctx, at[0], at[1], "a")
		wants(t, "elsewhere", err, fault.NotFound, "")
	}
}

func TestGroupDepth(t *testing.T) {
	t.Parallel()
	w := forest(t)
	parent := ""
	for i := range 10 {
		parent = w.group(fmt.Sprintf("g%d", i), parent).ID
	}
	_, err := w.Groups.Create(t.Context(), tenantID, "p", pool.NewGroup{Name: "deep", ParentID: parent})
	wants(t, "the eleventh level", err, fault.Unprocessable, "parent_id")
	_, err = w.Groups.Update(t.Context(), tenantID, "p", "a", 0, pool.UpdateGroup{ParentID: to("g7")})
	wants(t, "three levels below the eighth", err, fault.Unprocessable, "parent_id")
	must[pool.Group](t)(w.Groups.Update(t.Context(), tenantID, "p", "a", 0, pool.UpdateGroup{ParentID: to("g6")}))
}

func TestGroupPages(t *testing.T) {
	t.Parallel()
	w := forest(t)
	for _, name := range []string{"Adam", "beta-adm", "zeta"} {
		w.group(name, "d")
	}
	for _, tc := range []struct {
		name string
		f    pool.GroupFilter
		want string
	}{
		{"top", pool.GroupFilter{}, "a d e"},
		{"inside", pool.GroupFilter{Parent: "a"}, "b"},
		{"everything inside", pool.GroupFilter{Parent: "a", Nested: true}, "b c"},
		{"everything", pool.GroupFilter{Nested: true}, "a Adam b beta-adm c d e f zeta"},
		{"nothing inside", pool.GroupFilter{Parent: "c"}, ""},
		{"a page", pool.GroupFilter{Nested: true, Page: store.Page{Limit: 2, After: "Adam"}}, "b beta-adm"},
		{"the page before", pool.GroupFilter{Nested: true, Page: store.Page{Limit: 2, Before: "c"}}, "b beta-adm"},
		{"downwards", pool.GroupFilter{Page: store.Page{Desc: true, Limit: 2}}, "e d"},
		{"by name", pool.GroupFilter{Nested: true, Query: pool.GroupQuery{Name: "ADa"}}, "Adam"},
		{"by the end of the name", pool.GroupFilter{Nested: true, Query: pool.GroupQuery{Name: "-ADM"}}, "beta-adm"},
		{"by name, paged", pool.GroupFilter{Parent: "d", Query: pool.GroupQuery{Name: "a"}, Page: store.Page{Limit: 1, After: "Adam"}}, "zeta"},
		{"by name, nested", pool.GroupFilter{Parent: "d", Nested: true, Query: pool.GroupQuery{Name: "a"}, Page: store.Page{Limit: 1, Before: "zeta"}}, "Adam"},
		{"nested page", pool.GroupFilter{Parent: "d", Nested: true, Page: store.Page{Limit: 1, After: "Adam"}}, "beta-adm"},
		{"nested downwards", pool.GroupFilter{Parent: "d", Nested: true, Page: store.Page{Limit: 2, Desc: true}}, "zeta beta-adm"},
		{"after nobody", pool.GroupFilter{Page: store.Page{After: "none"}}, ""},
		{"nested, after nobody", pool.GroupFilter{Parent: "d", Nested: true, Page: store.Page{After: "none"}}, ""},
	} {
		got := names(must[[]pool.Group](t)(w.Groups.List(t.Context(), tenantID, "p", tc.f)))
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	_, err := w.Groups.List(t.Context(), tenantID, "p", pool.GroupFilter{Parent: "none"})
	wants(t, "inside nobody", err, fault.NotFound, "")
	_, err = w.Groups.List(t.Context(), tenantID, "none", pool.GroupFilter{})
	wants(t, "no such pool", err, fault.NotFound, "")
}

func TestGroupQuery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fault.Kind{
		`[]`: fault.Invalid, `{`: fault.Invalid, `null`: fault.Invalid, `{"name":1}`: fault.Unprocessable, `{"id":"x"}`: fault.Unprocessable,
		`{"name":"` + strings.Repeat("x", 1<<20) + `"}`: fault.TooLarge,
	} {
		_, err := pool.ParseGroupQuery(text)
		wants(t, text[:min(len(text), 20)], err, want, "query")
	}
	for _, text := range []string{``, ` `, `{}`, `{"name":null}`, `{"name":""}`} {
		if q, err := pool.ParseGroupQuery(text); err != nil || q.Name != "" {
			t.Errorf("%q: %+v %v", text, q, err)
		}
	}
}

func TestManyNestedGroups(t *testing.T) {
	t.Parallel()
	w := forest(t)
	for i := range 501 {
		w.group(fmt.Sprintf("n%d", i), "d")
	}
	_, err := w.Groups.List(t.Context(), tenantID, "p", pool.GroupFilter{Parent: "d", Nested: true})
	wants(t, "501 groups inside", err, fault.Unprocessable, "with_nested_groups")
	if got := must[[]pool.Group](t)(w.Groups.List(t.Context(), tenantID, "p", pool.GroupFilter{Parent: "d", Page: store.Page{Limit: 1000}})); len(got) != 501 {
		t.Errorf("%d groups", len(got))
	}
}

// Of many who want one name below one parent, one gets it.
func TestGroupNameRace(t *testing.T) {
	t.Parallel()
	w := forest(t)
	results := make([]error, 20)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			_, results[i] = w.Groups.Create(t.Context(), tenantID, "p", pool.NewGroup{Name: []string{"Team", "team"}[i%2], ParentID: "a"})
		})
	}
	all.Wait()
	made := 0
	for _, err := range results {
		if err == nil {
			made++
			continue
		}
		wants(t, "the others", err, fault.Conflict, "name")
	}
	if made != 1 {
		t.Errorf("%d were made", made)
	}
}

// Moves at the same time never make a ring.
func TestMoveRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := forest(t)
		var all sync.WaitGroup
		errs := make([]error, 3)
		for i, move := range [][2]string{{"a", "f"}, {"e", "d"}, {"d", "c"}} { // together a ring
			all.Go(func() {
				_, errs[i] = w.Groups.Update(t.Context(), tenantID, "p", move[0], 0, pool.UpdateGroup{ParentID: to(move[1])})
			})
		}
		all.Wait()
		refused := 0
		for _, err := range errs {
			if err != nil {
				wants(t, "the last", err, fault.Unprocessable, "parent_id")
				refused++
			}
		}
		if refused != 1 {
			t.Fatalf("%d of 3 moves refused", refused)
		}
		if got := must[[]pool.Group](t)(w.Groups.List(t.Context(), tenantID, "p", pool.GroupFilter{})); len(got) == 0 {
			t.Fatal("nothing is at the top")
		}
	}
}

// hooked calls a function once before a call of the driver.
type hooked struct {
	store.Driver
	mu   sync.Mutex
	when func(op, table, id string) bool
	then func()
}

func (h *hooked) at(op, table, id string) {
	h.mu.Lock()
	then := h.then
	if then == nil || !h.when(op, table, id) {
		then = nil
	} else {
		h.then = nil
	}
	h.mu.Unlock()
	if then != nil {
		then()
	}
}

func (h *hooked) Insert(ctx context.Context, table string, recs []store.Record, now time.Time) []error {
	h.at("insert", table, recs[0].ID)
	return h.Driver.Insert(ctx, table, recs, now)
}

func (h *hooked) Delete(ctx context.Context, table, tenant, id string, rev int64) error {
	h.at("delete", table, id)
	return h.Driver.Delete(ctx, table, tenant, id, rev)
}

func (h *hooked) Replace(ctx context.Context, table string, rec store.Record, rev int64, now time.Time) error {
	h.at("replace", table, rec.ID)
	return h.Driver.Replace(ctx, table, rec, rev, now)
}

func hook(h *hooked) option {
	return func(_ *world, _ *pool.Config, d *store.Driver) {
		h.Driver = *d
		*d = h
	}
}

// before arranges that then runs once, before an operation on the record of a
// group.
func (h *hooked) before(op, group string, then func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.when = func(o, table, id string) bool {
		return o == op && table == "groups" && strings.HasSuffix(id, "/"+group)
	}
	h.then = then
}

// Whatever the order, no group stays inside one that is gone.
func TestDeletionAgainstCreation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	create := func(w *world) error {
		_, err := w.Groups.Create(ctx, tenantID, "p", pool.NewGroup{ID: "new", Name: "new", ParentID: "d"})
		return err
	}
	remove := func(w *world) error { return w.Groups.Delete(ctx, tenantID, "p", "d", 0) }
	move := func(w *world) error {
		_, err := w.Groups.Update(ctx, tenantID, "p", "e", 0, pool.UpdateGroup{ParentID: to("d")})
		return err
	}
	for _, tc := range []struct {
		name         string
		op, group    string
		first, other func(*world) error
		kind         fault.Kind // of the first; Internal: it succeeds
	}{
		{"deleted before the creation is written", "insert", "new", create, remove, fault.Unprocessable},
		{"created before the deletion closes", "replace", "d", remove, create, fault.Conflict},
		{"created after the deletion has closed", "delete", "d", remove, create, fault.Internal},
		{"moved while the deletion has its turn", "delete", "d", remove, nil, fault.Internal},
	} {
		h := &hooked{}
		w := forest(t, hook(h))
		var second error
		var late sync.WaitGroup
		h.before(tc.op, tc.group, func() {
			if tc.other == nil {
				late.Go(func() { second = move(w) }) // waits for its turn
				return
			}
			second = tc.other(w)
		})
		err := tc.first(w)
		late.Wait()
		if (tc.kind == fault.Internal) != (err == nil) || err != nil && fault.Read(err).Kind != tc.kind {
			t.Errorf("%s: %v", tc.name, err)
		}
		if (err == nil) == (second == nil) {
			t.Errorf("%s: %v and %v", tc.name, err, second)
		}
		_, gone := w.Groups.Get(ctx, tenantID, "p", "d")
		for _, g := range must[[]pool.Group](t)(w.Groups.List(ctx, tenantID, "p", pool.GroupFilter{Nested: true})) {
			if g.ParentID == "d" && gone != nil {
				t.Errorf("%s: %s is inside nothing", tc.name, g.ID)
			}
		}
	}
}

// A deletion that stopped half-way closes its group for a minute; if it goes on
// after that, it is too late.
func TestStoppedDeletion(t *testing.T) {
	t.Parallel()
	h := &hooked{}
	w := forest(t, hook(h))
	ctx := t.Context()
	h.before("delete", "d", func() {
		_, err := w.Groups.Create(ctx, tenantID, "p", pool.NewGroup{ID: "x", Name: "x", ParentID: "d"})
		wants(t, "inside what is being deleted", err, fault.Conflict, "parent_id")
		w.advance(2 * time.Minute)
		w.group("x", "d")
		_, err = w.Groups.Update(ctx, tenantID, "p", "e", 0, pool.UpdateGroup{ParentID: to("d")}) // takes the turn over
		if err != nil {
			t.Error(err)
		}
	})
	wants(t, "the slow deletion", w.Groups.Delete(ctx, tenantID, "p", "d", 0), fault.Conflict, "")
	if got := names(must[[]pool.Group](t)(w.Groups.List(ctx, tenantID, "p", pool.GroupFilter{Parent: "d"}))); got != "e x" {
		t.Errorf("inside: %q", got)
	}
}

func TestGroupFaults(t *testing.T) {
	t.Parallel()
	h := &hooked{}
	w := forest(t, hook(h))
	ctx, cancel := context.WithCancel(t.Context())
	h.before("replace", "d", cancel)
	if err := w.Groups.Delete(ctx, tenantID, "p", "d", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := w.Groups.Delete(t.Context(), tenantID, "p", "d", 0); err != nil {
		t.Errorf("after one that was given up: %v", err)
	}
}
