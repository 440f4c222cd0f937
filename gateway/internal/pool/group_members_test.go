package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestMembership(t *testing.T) {
	t.Parallel()
	w := forest(t)
	ctx := t.Context()
	u := w.user("p", `"id":"ann"`)
	w.told()
	for range 2 { // the second does nothing
		w.join("c ann", "f ann")
	}
	want := []string{"user p/ann", "user_added_to_group", "user p/ann", "user_added_to_group"}
	if d := cmp.Diff(want, w.told()); d != "" {
		t.Error(d)
	}
	if e := w.events[len(w.events)-1]; e.Metadata["group_id"] != "f" || e.Metadata["affected_user_id"] != "ann" {
		t.Errorf("event %+v", e)
	}
	for _, tc := range []struct {
		group  string
		nested bool
		want   bool
	}{
		{"c", false, true}, {"b", false, false}, {"b", true, true}, {"a", true, true}, {"e", true, true}, {"d", true, false}, {"f", true, true},
	} {
		if got := must[bool](t)(w.Groups.Has(ctx, tenantID, "p", tc.group, "ann", tc.nested)); got != tc.want {
			t.Errorf("in %s, nested %v: %v", tc.group, tc.nested, got)
		}
	}
	for _, tc := range []struct {
		parents bool
		query   string
		page    store.Page
		want    string
	}{
		{false, "", store.Page{}, "c f"},
		{true, "", store.Page{}, "a b c e f"},
		{true, "", store.Page{Limit: 2, After: "b"}, "c e"},
		{true, "", store.Page{Limit: 2, Before: "e"}, "b c"},
		{true, "B", store.Page{}, "b"},
	} {
		got := names(must[[]pool.Group](t)(w.Groups.Of(ctx, tenantID, "p", "ann", tc.parents, pool.GroupQuery{Name: tc.query}, tc.page)))
		if got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
	if got := must[[]string](t)(w.Users.Groups(ctx, &u)); !slices.Equal(got, []string{"c", "f"}) {
		t.Errorf("names %q", got)
	}
	for range 2 {
		if err := w.Groups.Remove(ctx, tenantID, "p", "c", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"user p/ann", "user_removed_from_group"}, w.told()); d != "" {
		t.Error(d)
	}
	for _, pair := range [][2]string{{"none", "ann"}, {"a", "nobody"}} {
		wants(t, "add", w.Groups.Add(ctx, tenantID, "p", pair[0], pair[1]), fault.NotFound, "")
		wants(t, "remove", w.Groups.Remove(ctx, tenantID, "p", pair[0], pair[1]), fault.NotFound, "")
		_, err := w.Groups.Has(ctx, tenantID, "p", pair[0], pair[1], true)
		wants(t, "is in", err, fault.NotFound, "")
	}
	_, err := w.Groups.Of(ctx, tenantID, "p", "nobody", false, pool.GroupQuery{}, store.Page{})
	wants(t, "groups of nobody", err, fault.NotFound, "")
}

func TestUsersOfGroups(t *testing.T) {
	t.Parallel()
	w := forest(t)
	w.join("a u1", "a u5", "b u2", "c u1", "c u3", "c u4", "d u9")
	for _, tc := range []struct {
		group  string
		nested bool
		page   store.Page
		want   string
	}{
		{"a", false, store.Page{}, "u1 u5"},
		{"a", true, store.Page{}, "u1 u2 u3 u4 u5"},
		{"b", true, store.Page{}, "u1 u2 u3 u4"},
		{"a", true, store.Page{Limit: 2}, "u1 u2"},
		{"a", true, store.Page{Limit: 2, After: "u2"}, "u3 u4"},
		{"a", true, store.Page{Limit: 2, Before: "u5"}, "u3 u4"},
		{"a", true, store.Page{Limit: 2, Desc: true}, "u5 u4"},
		{"a", true, store.Page{After: "u22"}, "u3 u4 u5"},
		{"e", true, store.Page{}, ""},
	} {
		got := ids(must[[]pool.User](t)(w.Groups.Users(t.Context(), tenantID, "p", tc.group, tc.nested, tc.page)))
		if got != tc.want {
			t.Errorf("%s nested %v %+v: %q, want %q", tc.group, tc.nested, tc.page, got, tc.want)
		}
	}
	_, err := w.Groups.Users(t.Context(), tenantID, "p", "none", false, store.Page{})
	wants(t, "no such group", err, fault.NotFound, "")
}

// Pages are full also when many of the members are no more.
func TestUsersOfGroupsAreThere(t *testing.T) {
	t.Parallel()
	w := forest(t)
	ctx := t.Context()
	for i := range 30 {
		w.join(fmt.Sprintf("a u%02d", i), fmt.Sprintf("b u%02d", i))
	}
	for i := range 25 {
		if err := w.Users.Delete(ctx, tenantID, "p", fmt.Sprintf("u%02d", i), 0); err != nil {
			t.Fatal(err)
		}
	}
	w.user("p", `"id":"u03"`) // another life
	got := ids(must[[]pool.User](t)(w.Groups.Users(ctx, tenantID, "p", "a", true, store.Page{Limit: 4})))
	if got != "u25 u26 u27 u28" {
		t.Errorf("%q", got)
	}
	if must[bool](t)(w.Groups.Has(ctx, tenantID, "p", "a", "u03", true)) {
		t.Error("a new user has the groups of a former one")
	}
	w.join("a u03")
}

// A group that is deleted and made again has nobody in it, and the memberships of
// a large one are removed by the job.
func TestGroupAgain(t *testing.T) {
	t.Parallel()
	w := forest(t)
	ctx := t.Context()
	u := w.user("p", `"id":"ann"`)
	for i := range 1200 {
		w.join(fmt.Sprintf("d u%04d", i))
	}
	w.join("d ann")
	if err := w.Groups.Delete(ctx, tenantID, "p", "d", 0); err != nil {
		t.Fatal(err)
	}
	w.group("d", "")
	if got := must[[]pool.User](t)(w.Groups.Users(ctx, tenantID, "p", "d", true, store.Page{})); len(got) != 0 {
		t.Errorf("%d users in a new group", len(got))
	}
	last := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "u1199"))
	for _, who := range []*pool.User{&u, &last} {
		if got := must[[]string](t)(w.Users.Groups(ctx, who)); len(got) != 0 {
			t.Errorf("%s is still in %q", who.ID, got)
		}
	}
	w.advance(time.Hour)
	for range 2 {
		if err := w.Pools.Finish(ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.join("d ann")
	if got := ids(must[[]pool.User](t)(w.Groups.Users(ctx, tenantID, "p", "d", true, store.Page{}))); got != "ann" {
		t.Errorf("users %q", got)
	}
}

func TestTooManyGroups(t *testing.T) {
	t.Parallel()
	w := forest(t)
	for i := range 500 {
		w.join(w.group(fmt.Sprintf("g%d", i), "").ID + " ann")
	}
	wants(t, "the 501st group", w.Groups.Add(t.Context(), tenantID, "p", "a", "ann"), fault.Unprocessable, "")
	w.join("g7 ann")
}

// Groups and memberships go with their pool.
func TestGroupsOfADeletedPool(t *testing.T) {
	t.Parallel()
	w := forest(t)
	w.join("c ann")
	if err := w.Pools.Delete(t.Context(), tenantID, "p", 0); err != nil {
		t.Fatal(err)
	}
	w.pool("p", nil)
	w.user("p", `"id":"ann"`)
	if got := must[[]pool.Group](t)(w.Groups.List(t.Context(), tenantID, "p", pool.GroupFilter{Nested: true})); len(got) != 0 {
		t.Errorf("groups of the former pool: %q", names(got))
	}
	w.group("c", "")
	if must[bool](t)(w.Groups.Has(t.Context(), tenantID, "p", "c", "ann", false)) {
		t.Error("a membership of the former pool")
	}
}

func TestGroupDump(t *testing.T) {
	t.Parallel()
	w := forest(t)
	w.join("c ann", "d ann", "d bob")
	dump := must[[]pool.InternalGroup](t)(w.Groups.Dump(t.Context(), tenantID, "p"))
	var paths, members []string
	for _, g := range dump {
		paths = append(paths, g.Path)
	}
	if d := cmp.Diff("a d e a/b e/f a/b/c", strings.Join(paths, " ")); d != "" {
		t.Error(d)
	}
	err := w.Groups.DumpMembers(t.Context(), tenantID, "p", func(m pool.GroupMember) bool {
		members = append(members, m.GroupID+" "+m.UserID)
		return true
	})
	slices.Sort(members)
	if d := cmp.Diff([]string{"c ann", "d ann", "d bob"}, members); d != "" || err != nil {
		t.Error(d, err)
	}
	w.pool("q", nil)
	for range 2 { // the second time they are there
		for _, g := range dump {
			g.UserPoolID, g.Description = "q", "restored"
			if err := w.Groups.Restore(t.Context(), tenantID, g); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := must[[]pool.InternalGroup](t)(w.Groups.Dump(t.Context(), tenantID, "q"))
	if len(again) != len(dump) || again[5].Path != "a/b/c" || again[5].Description != "restored" {
		t.Errorf("restored %+v", again)
	}
	wants(t, "a path to elsewhere", w.Groups.Restore(t.Context(), tenantID, pool.InternalGroup{ID: "x", Name: "x", Path: "a/y", UserPoolID: "q"}), fault.Unprocessable, "path")
}
