package route_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// desk is a keeper on a store of its own, whose changes are followed at once.
type desk struct {
	*route.Keeper
	store *store.Store

	mu     sync.Mutex
	kinds  []string
	epochs map[string]string // by tenant/workspace; missing: the workspace is gone
}

func (d *desk) epoch(_ context.Context, tenant, workspace string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.epochs[tenant+"/"+workspace]; ok {
		return e, nil
	}
	return "", fault.New(fault.NotFound, "no such workspace", nil)
}

func (d *desk) set(workspace, epoch string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.epochs, workspace)
	if epoch != "" {
		d.epochs[workspace] = epoch
	}
}

func open(t *testing.T, change ...func(*route.Config)) *desk {
	t.Helper()
	driver, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(driver, nil)
	t.Cleanup(func() { _ = s.Close() })
	d := &desk{store: s, epochs: map[string]string{"acme/web": "e1", "acme/two": "e2", "other/web": "e3", "system/admin": "e4"}}
	d.Keeper = d.keeper(t, change...)
	for _, tenant := range []string{"acme", "other"} {
		if err := d.Allow(t.Context(), route.Allowance{Tenant: tenant, HostSuffixes: []string{"example.com"}}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// keeper opens a keeper on the store, as another start of the gateway does.
func (d *desk) keeper(t *testing.T, change ...func(*route.Config)) *route.Keeper {
	t.Helper()
	c := route.Config{
		Epoch: d.epoch,
		Changed: func(_ context.Context, e changes.Entry) error {
			d.mu.Lock()
			d.kinds = append(d.kinds, e.Kind)
			d.mu.Unlock()
			d.Follow([]changes.Entry{e})
			return nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	k, err := route.Open(t.Context(), d.store, c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wiki(change ...func(*route.Route)) route.Route {
	r := route.Route{Tenant: "acme", Workspace: "web", Host: "wiki.example.com", PathPrefix: "/", Upstream: "http://10.0.0.5:3000"}
	for _, f := range change {
		f(&r)
	}
	return r
}

func wantKind(t *testing.T, err error, kind fault.Kind, field string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("got %v, want kind %v", err, kind)
	}
	if got := fault.Read(err).Field; got != field {
		t.Errorf("field %q, want %q", got, field)
	}
}

func TestRouteLifecycle(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	row, err := d.Create(ctx, wiki())
	if err != nil {
		t.Fatal(err)
	}
	id := row.Value.ID
	if m := d.Table().Match("wiki.example.com", "/x"); m.Route == nil || m.Route.Policy != route.SignedIn {
		t.Fatalf("not in the table after Create: %+v", m)
	}
	_, err = d.Create(ctx, wiki())
	wantKind(t, err, fault.Conflict, "path_prefix")

	next, err := d.Update(ctx, id, wiki(func(r *route.Route) { r.Policy = route.Public }), row.Rev)
	if err != nil {
		t.Fatal(err)
	}
	if d.Table().Match("wiki.example.com", "/").Route.Policy != route.Public || !next.Value.Created.Equal(row.Value.Created) {
		t.Error("the update is not in the table, or lost created_at")
	}
	_, err = d.Update(ctx, id, wiki(), row.Rev)
	wantKind(t, err, fault.Stale, "")
	_, err = d.Update(ctx, id, wiki(func(r *route.Route) { r.PathPrefix = "/moved" }), 0)
	wantKind(t, err, fault.Unprocessable, "path_prefix")
	_, err = d.Update(ctx, "r-0000000000000000", wiki(), 0)
	wantKind(t, err, fault.Unprocessable, "path_prefix")

	wantKind(t, d.Delete(ctx, "acme", "web", id, row.Rev), fault.Stale, "")
	if err := d.Delete(ctx, "acme", "web", id, next.Rev); err != nil {
		t.Fatal(err)
	}
	wantKind(t, d.Delete(ctx, "acme", "web", id, 0), fault.NotFound, "")
	if d.Table().Match("wiki.example.com", "/").Known {
		t.Error("the deleted route is still in the table")
	}
}

func TestRouteOfAnotherTenantIsNotFound(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	row, err := d.Create(ctx, wiki())
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range [][2]string{{"other", "web"}, {"acme", "two"}} {
		_, err := d.Get(ctx, owner[0], owner[1], row.Value.ID)
		wantKind(t, err, fault.NotFound, "")
		wantKind(t, d.Delete(ctx, owner[0], owner[1], row.Value.ID, 0), fault.NotFound, "")
		_, err = d.Update(ctx, row.Value.ID, wiki(func(r *route.Route) { r.Tenant, r.Workspace = owner[0], owner[1] }), 0)
		wantKind(t, err, fault.NotFound, "")
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	want := map[string]bool{}
	for _, p := range []string{"/", "/a", "/b", "/c", "/d"} {
		row, err := d.Create(ctx, wiki(func(r *route.Route) { r.PathPrefix = p }))
		if err != nil {
			t.Fatal(err)
		}
		want[row.Value.ID] = true
	}
	if _, err := d.Create(ctx, wiki(func(r *route.Route) { r.Workspace, r.Host = "two", "two.example.com" })); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	after := ""
	for {
		rows, err := d.List(ctx, "acme", "web", store.Page{After: after, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			got[row.Value.ID] = true
			after = row.Value.ID
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A host has one owner, whoever asks first and however it is spelt.
func TestHostClaimedTwice(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	if _, err := d.Claim(ctx, "wiki.example.com", "acme", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Claim(ctx, "WIKI.example.com", "acme", "web"); err != nil {
		t.Errorf("claiming again: %v", err)
	}
	for _, host := range []string{"wiki.example.com", "Wiki.Example.com.", "wiki.example.com:8443"} {
		_, err := d.Claim(ctx, host, "other", "web")
		wantKind(t, err, fault.Conflict, "host")
		_, err = d.Claim(ctx, host, "acme", "two")
		wantKind(t, err, fault.Conflict, "host")
	}
	_, err := d.Create(ctx, wiki(func(r *route.Route) { r.Tenant = "other" }))
	wantKind(t, err, fault.Conflict, "host")
}

func TestClaimRace(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		tenant := []string{"acme", "other"}[i%2]
		wg.Go(func() {
			_, err := d.Claim(ctx, "race.example.com", tenant, "web")
			switch {
			case err == nil:
				won.Add(1)
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 8 {
		t.Errorf("%d of 16 claims won; one tenant's 8 should", won.Load())
	}
}

func TestClaimOutsideTheAllowance(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for _, host := range []string{"example.org", "badexample.com", "example.com.evil.org", "localhost"} {
		_, err := d.Claim(ctx, host, "acme", "web")
		wantKind(t, err, fault.Denied, "host")
	}
	_, err := d.Claim(ctx, "wiki.example.com", "nobody", "web")
	wantKind(t, err, fault.Denied, "host")
	if _, err := d.Claim(ctx, "anything.org", route.Root, "admin"); err != nil {
		t.Errorf("root may claim: %v", err)
	}
	wantKind(t, d.Allow(ctx, route.Allowance{Tenant: "acme", HostSuffixes: []string{"x.example:80"}}), fault.Unprocessable, "host_suffixes[0]")
	wantKind(t, d.Allow(ctx, route.Allowance{Tenant: "acme", UpstreamNetworks: []string{"10.0.0.0"}}), fault.Unprocessable, "upstream_networks[0]")
}

func TestReservedHosts(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for range 2 { // every start does it
		if err := d.Reserve(ctx, route.ForBase, "login.example.com:443"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.Create(ctx, wiki(func(r *route.Route) { r.Host = "login.example.com" }))
	wantKind(t, err, fault.Conflict, "host")
	if _, err := d.Create(ctx, wiki()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, d.Reserve(ctx, route.ForExtensions, "wiki.example.com"), fault.Conflict, "host")
}

func TestRelease(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	row, err := d.Create(ctx, wiki())
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, d.Release(ctx, "wiki.example.com", "acme", "web"), fault.Conflict, "host")
	wantKind(t, d.Release(ctx, "wiki.example.com", "other", "web"), fault.NotFound, "")
	if err := d.Delete(ctx, "acme", "web", row.Value.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Release(ctx, "wiki.example.com", "acme", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Claim(ctx, "wiki.example.com", "other", "web"); err != nil {
		t.Errorf("a released host is free: %v", err)
	}
}

// A workspace that was deleted and made again under its old id gets neither the
// hosts nor the routes of the one before.
func TestRecreatedWorkspace(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	if _, err := d.Create(ctx, wiki()); err != nil {
		t.Fatal(err)
	}
	d.set("acme/web", "another")
	if err := d.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if d.Table().Match("wiki.example.com", "/").Known {
		t.Error("the old workspace's route came back")
	}
	if _, err := d.Claim(ctx, "wiki.example.com", "other", "web"); err != nil {
		t.Errorf("a void claim is not taken over: %v", err)
	}
}

func TestDropWorkspace(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for _, p := range []string{"/", "/a"} {
		if _, err := d.Create(ctx, wiki(func(r *route.Route) { r.PathPrefix = p })); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Create(ctx, wiki(func(r *route.Route) { r.Workspace, r.Host = "two", "two.example.com" })); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.DropWorkspace(ctx, "acme", "web"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"two.example.com"}, d.Table().Hosts()); diff != "" {
		t.Error(diff)
	}
	rows, err := d.Hosts(ctx, "acme", store.Page{})
	if err != nil || len(rows) != 1 || rows[0].Value.Name != "two.example.com" {
		t.Errorf("hosts left: %v, %v", rows, err)
	}
}

// A store that fails leaves the routes as they are.
func TestLoadFailureKeepsTheTable(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	if _, err := d.Create(ctx, wiki()); err != nil {
		t.Fatal(err)
	}
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Load(ctx); err == nil {
		t.Fatal("loading from a closed store succeeds")
	}
	d.Follow(nil)
	if !d.Table().Match("wiki.example.com", "/").Known {
		t.Error("a failed load dropped the table")
	}
}
