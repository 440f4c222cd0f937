package idp_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func TestUnknownWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := body(t, "acme", "nowhere", `{"id":"x","identity_pool_id":"people"}`)
	_, err := w.keeper.Create(t.Context(), p)
	want(t, err, fault.NotFound, "")
	_, err = w.keeper.Get(t.Context(), "acme", "nowhere", "x")
	want(t, err, fault.NotFound, "")
	_, err = w.keeper.Update(t.Context(), p)
	want(t, err, fault.NotFound, "")
	_, err = w.keeper.List(t.Context(), "acme", "nowhere")
	want(t, err, fault.NotFound, "")
	want(t, w.keeper.Delete(t.Context(), "acme", "nowhere", "x", 0), fault.NotFound, "")
}

func TestOneForAPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"b","identity_pool_id":"people"}`))
	want(t, err, fault.Unprocessable, "identity_pool_id")
	_, err = w.keeper.Create(t.Context(), body(t, "acme", "main", `{"id":"a","identity_pool_id":"partners"}`))
	want(t, err, fault.Unprocessable, "id")
	w.create("acme", "main", `{"id":"c","identity_pool_id":"partners"}`)
	w.create("acme", "other", `{"id":"a","identity_pool_id":"people"}`)
	w.create("beta", "main", `{"id":"a","identity_pool_id":"people"}`)
	if err := w.keeper.Delete(t.Context(), "acme", "main", "a", 0); err != nil {
		t.Fatal(err)
	}
	again := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	if again.Epoch == first.Epoch {
		t.Error("an IDP that was made again has its former epoch")
	}
	if diff := cmp.Diff([]string{"c", "a"}, w.ids("acme", "main")); diff != "" { // Partners before People
		t.Error(diff)
	}
}

func TestUpdateReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create("acme", "main", full)
	next, err := w.keeper.Update(t.Context(), body(t, "acme", "main", `{"id":"corp","identity_pool_id":"people","name":"New"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain := w.create("acme", "other", `{"id":"corp","identity_pool_id":"people","name":"New"}`)
	plain.WorkspaceID, plain.WorkspaceEpoch, plain.Epoch, plain.Rev = made.WorkspaceID, made.WorkspaceEpoch, made.Epoch, next.Rev
	if diff := cmp.Diff(plain, next); diff != "" {
		t.Errorf("something of the former IDP is left:\n%s", diff)
	}
	if next.Rev == made.Rev {
		t.Error("the revision is the same")
	}
}

func TestUpdateRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.create("acme", "other", `{"id":"o","identity_pool_id":"people"}`)
	for _, c := range []struct {
		name, in, field string
		rev             int64
		kind            fault.Kind
	}{
		{"no pool", `{"id":"a"}`, "identity_pool_id", 0, fault.Unprocessable},
		{"another pool", `{"id":"a","identity_pool_id":"partners"}`, "identity_pool_id", 0, fault.Unprocessable},
		{"another method", `{"id":"a","identity_pool_id":"people","method":"oidc"}`, "method", 0, fault.Unprocessable},
		{"unknown", `{"id":"zz","identity_pool_id":"people"}`, "", 0, fault.NotFound},
		{"of another workspace", `{"id":"o","identity_pool_id":"people"}`, "", 0, fault.NotFound},
		{"stale", `{"id":"a","identity_pool_id":"people"}`, "", p.Rev + 1, fault.Stale},
	} {
		in := body(t, "acme", "main", c.in)
		in.Rev = c.rev
		_, err := w.keeper.Update(t.Context(), in)
		if !fault.Is(err, c.kind) || fault.Read(err).Field != c.field {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	now, err := w.keeper.Get(t.Context(), "acme", "main", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, now); diff != "" {
		t.Errorf("a refused update left something:\n%s", diff)
	}
}

// A pool that was deleted and made again under its id has other people in it.
func TestPoolMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.mu.Lock()
	w.pools["acme/people"] = idp.Pool{Name: "People", Epoch: "p9"}
	w.mu.Unlock()
	_, err := w.keeper.Update(t.Context(), p)
	want(t, err, fault.Unprocessable, "identity_pool_id")
	if err := w.keeper.Delete(t.Context(), "acme", "main", "a", p.Rev); err != nil {
		t.Fatal(err)
	}
	if p = w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`); p.PoolEpoch != "p9" {
		t.Errorf("pool epoch %q", p.PoolEpoch)
	}
}

// An update that was meant for an IDP must not fall on another that has its id
// by the time it is written.
func TestUpdateOfAnIDPMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.onPool = func() {
		if err := w.keeper.Delete(t.Context(), "acme", "main", "a", 0); err != nil {
			t.Error(err)
		}
		w.create("acme", "main", `{"id":"a","identity_pool_id":"partners"}`)
	}
	p.Rev = 0
	_, err := w.keeper.Update(t.Context(), p)
	want(t, err, fault.NotFound, "")
	if now, err := w.keeper.Get(t.Context(), "acme", "main", "a"); err != nil || now.IdentityPoolID != "partners" {
		t.Errorf("got %+v, %v", now, err)
	}
}

func TestInputIsNotChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := body(t, "acme", "main", full)
	if _, err := w.keeper.Create(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body(t, "acme", "main", full), in); diff != "" {
		t.Error(diff)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	want(t, w.keeper.Delete(t.Context(), "acme", "main", "a", p.Rev+1), fault.Stale, "")
	want(t, w.keeper.Delete(t.Context(), "acme", "other", "a", 0), fault.NotFound, "")
	want(t, w.keeper.Delete(t.Context(), "beta", "main", "a", 0), fault.NotFound, "")
	if err := w.keeper.Delete(t.Context(), "acme", "main", "a", p.Rev); err != nil {
		t.Fatal(err)
	}
	_, err := w.keeper.Get(t.Context(), "acme", "main", "a")
	want(t, err, fault.NotFound, "")
	want(t, w.keeper.Delete(t.Context(), "acme", "main", "a", 0), fault.NotFound, "")
	for _, table := range w.store.Tables() {
		left, err := store.Declare(t.Context(), w.store, store.Spec[any]{Name: table})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := left.Count(t.Context(), "acme", store.Query{}); n != 0 || err != nil {
			t.Errorf("%d rows are left in %s, %v", n, table, err)
		}
	}
}

func TestTenantsAndWorkspacesApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("acme", "main", `{"id":"x","identity_pool_id":"people","name":"one"}`)
	w.create("beta", "main", `{"id":"x","identity_pool_id":"people","name":"two"}`)
	w.create("acme", "other", `{"id":"y","identity_pool_id":"people"}`)
	w.set("acme/mai", "w8") // ids of "main" begin with "mai"
	for _, c := range []struct{ tenant, workspace, ids string }{{"acme", "main", "x"}, {"acme", "other", "y"}, {"beta", "main", "x"}, {"acme", "mai", ""}} {
		if got := strings.Join(w.ids(c.tenant, c.workspace), " "); got != c.ids {
			t.Errorf("%s/%s lists %q, want %q", c.tenant, c.workspace, got, c.ids)
		}
	}
	p, err := w.keeper.Get(t.Context(), "beta", "main", "x")
	if err != nil || p.Name != "two" || p.TenantID != "beta" {
		t.Errorf("got %+v, %v", p, err)
	}
	_, err = w.keeper.Get(t.Context(), "beta", "main", "y")
	want(t, err, fault.NotFound, "")
	list, err := w.keeper.ListByPool(t.Context(), "acme", "people")
	if err != nil || len(list) != 2 || list[0].ID != "y" || list[1].ID != "x" {
		t.Errorf("by pool: %v, %v", list, err)
	}
	list, err = w.keeper.ListByPool(t.Context(), "beta", "partners")
	if err != nil || len(list) != 0 {
		t.Errorf("by a pool of another tenant: %v, %v", list, err)
	}
}

func TestListOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		w.pools["acme/"+id] = idp.Pool{Name: "Pool " + id, Epoch: id}
	}
	w.create("acme", "main", `{"id":"1","identity_pool_id":"a","display_order":2}`)
	w.create("acme", "main", `{"id":"2","identity_pool_id":"b","display_order":1,"name":"Z"}`)
	w.create("acme", "main", `{"id":"3","identity_pool_id":"c","display_order":1,"name":"A","hidden":true}`)
	w.create("acme", "main", `{"id":"4","identity_pool_id":"d","display_order":-1,"disabled":true}`)
	if diff := cmp.Diff([]string{"4", "3", "2", "1"}, w.ids("acme", "main")); diff != "" {
		t.Error(diff)
	}
}

// A workspace that was deleted and made again under its id has none of its
// former IDPs, though they may still lie in the store.
func TestWorkspaceMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.create("acme", "main", `{"id":"b","identity_pool_id":"partners"}`)
	w.set("acme/main", "w9")
	_, err := w.keeper.Get(t.Context(), "acme", "main", "a")
	want(t, err, fault.NotFound, "")
	_, err = w.keeper.Update(t.Context(), old)
	want(t, err, fault.NotFound, "")
	want(t, w.keeper.Delete(t.Context(), "acme", "main", "a", 0), fault.NotFound, "")
	if list, err := w.keeper.ListByPool(t.Context(), "acme", "people"); err != nil || len(list) != 0 {
		t.Errorf("by pool: %v, %v", list, err)
	}
	p := w.create("acme", "main", `{"id":"b","identity_pool_id":"people"}`) // ids and pools crossed
	if p.WorkspaceEpoch != "w9" {
		t.Errorf("workspace epoch %q", p.WorkspaceEpoch)
	}
	w.create("acme", "main", `{"id":"a","identity_pool_id":"partners"}`)
	if diff := cmp.Diff([]string{"a", "b"}, w.ids("acme", "main")); diff != "" {
		t.Error(diff)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.create("acme", "other", `{"id":"o","identity_pool_id":"people"}`)
	for range 2 {
		if err := w.keeper.Purge(t.Context(), "acme", "main"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.ids("acme", "main"); len(got) != 0 {
		t.Errorf("left %v", got)
	}
	if got := w.ids("acme", "other"); len(got) != 1 {
		t.Errorf("of the other workspace there is %v", got)
	}
	w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	if _, err := w.keeper.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := w.keeper.Delete(t.Context(), "acme", "main", "a", 0); err != nil {
		t.Fatal(err)
	}
	entry := changes.Entry{Kind: changes.KindIDP, Tenant: "acme", Workspace: "main", ID: "a", At: start}
	if diff := cmp.Diff([]changes.Entry{entry, entry, entry}, w.changed); diff != "" {
		t.Error(diff)
	}
	if len(w.recorded) != 3 {
		t.Fatalf("%d audit events", len(w.recorded))
	}
	for i, what := range []string{"created", "updated", "deleted"} {
		e := w.recorded[i]
		if e.Subject != "server" || e.Action != "updated" || e.Tenant != "acme" || e.Workspace != "main" || e.Metadata["identity_pool_id"] != "people" ||
			!strings.Contains(string(e.Payload), `"idp_change":"`+what+`"`) || audit.Check(e.Subject, e.Action) != nil {
			t.Errorf("event %d: %+v %s", i, e, e.Payload)
		}
	}
}

// A change that could not be announced is reported, not swallowed.
func TestAnnouncementFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := errors.New("no log")
	k, err := idp.Open(t.Context(), storetest.New(t), idp.Config{Workspace: w.workspace, Pool: w.pool, Changed: func(context.Context, changes.Entry) error { return lost }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Create(t.Context(), body(t, "acme", "main", `{"identity_pool_id":"people"}`)); !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.create("acme", "main", `{"id":"a","identity_pool_id":"people"}`)
	w.faulty.Down(nil)
	_, err := w.keeper.Create(t.Context(), body(t, "acme", "main", `{"identity_pool_id":"partners"}`))
	errs := []error{err}
	_, err = w.keeper.Get(t.Context(), "acme", "main", "a")
	errs = append(errs, err)
	_, err = w.keeper.Update(t.Context(), p)
	errs = append(errs, err)
	_, err = w.keeper.List(t.Context(), "acme", "main")
	errs = append(errs, err, w.keeper.Delete(t.Context(), "acme", "main", "a", 0), w.keeper.Purge(t.Context(), "acme", "main"))
	for i, err := range errs {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

func TestOpenNeedsParents(t *testing.T) {
	t.Parallel()
	if _, err := idp.Open(t.Context(), storetest.New(t), idp.Config{}); err == nil {
		t.Error("a keeper without workspaces was opened")
	}
}
