package route_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// file is a configuration file with these routes.
func file(routes ...route.Route) func(*route.Config) {
	return func(c *route.Config) { c.Static = routes }
}

// logTo lets the keeper log there.
func logTo(b *bytes.Buffer) func(*route.Config) {
	return func(c *route.Config) { c.Log = slog.New(slog.NewTextHandler(b, nil)) }
}

func load(t *testing.T, k *route.Keeper) {
	t.Helper()
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// hosts are those of the table.
func hosts(t *testing.T, k *route.Keeper, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, k.Table().Hosts()); diff != "" {
		t.Errorf("hosts of the table: %s", diff)
	}
}

func TestStaticRoutesAreReadOnly(t *testing.T) {
	t.Parallel()
	static := wiki(func(r *route.Route) { r.Host = "app.localhost:8080" })
	d, ctx := open(t, file(static)), t.Context()
	if err := d.ReserveStatic(ctx); err != nil {
		t.Fatal(err)
	}
	load(t, d.Keeper)
	r := d.Table().Match("app.localhost:8080", "/").Route
	if r == nil || !r.AnyNetwork || r.Source != route.FromFile {
		t.Fatalf("static route: %+v", r)
	}
	_, err := d.Update(ctx, r.ID, *r, 0)
	wantKind(t, err, fault.Conflict, "")
	wantKind(t, d.Delete(ctx, "acme", "web", r.ID, 0), fault.Conflict, "")
	wantKind(t, d.Release(ctx, "app.localhost", "acme", "web"), fault.Conflict, "host")
	wantKind(t, d.Release(ctx, "app.localhost", "acme", "two"), fault.NotFound, "")
	if _, err := d.Get(ctx, "acme", "web", r.ID); err != nil {
		t.Error(err)
	}
}

// A route of the file waits for its workspace and counts as soon as the change
// log tells of it.
func TestStaticRouteBeforeItsWorkspace(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	early := wiki(func(r *route.Route) { r.Tenant = "new" })
	there := wiki(func(r *route.Route) { r.Host = "there.example.com" })
	d, ctx := open(t, file(there, early), logTo(&log)), t.Context()
	if err := d.ReserveStatic(ctx); err != nil {
		t.Fatal(err)
	}
	load(t, d.Keeper)
	load(t, d.Keeper)
	hosts(t, d.Keeper, "there.example.com")
	if said := log.String(); strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, "setting=routes[1]") || !strings.Contains(said, "workspace=new/web") {
		t.Errorf("want one warning that names routes[1] and new/web:\n%s", said)
	}
	_, err := d.Claim(ctx, "wiki.example.com", "acme", "web") // nobody takes it meanwhile
	wantKind(t, err, fault.Conflict, "host")

	d.set("new/web", "n1")
	d.Follow([]changes.Entry{{Kind: changes.KindWorkspace, Tenant: "new", Workspace: "web"}})
	hosts(t, d.Keeper, "there.example.com", "wiki.example.com")
	rows, err := d.Hosts(ctx, "new", store.Page{})
	if err != nil || len(rows) != 1 || rows[0].Value.Epoch != "n1" || rows[0].Value.Workspace != "web" {
		t.Errorf("claimed: %+v, %v", rows, err)
	}
}

// A workspace that is deleted takes its routes of the file with it; another one
// with its id gets them. A start in between is a start.
func TestStaticRouteOfDeletedWorkspace(t *testing.T) {
	t.Parallel()
	d, ctx := open(t, file(wiki())), t.Context()
	if err := d.ReserveStatic(ctx); err != nil {
		t.Fatal(err)
	}
	load(t, d.Keeper)
	hosts(t, d.Keeper, "wiki.example.com")
	d.set("acme/web", "")
	if err := d.DropWorkspace(ctx, "acme", "web"); err != nil {
		t.Fatal(err)
	}
	hosts(t, d.Keeper)

	again := d.keeper(t, file(wiki()))
	if err := again.ReserveStatic(ctx); err != nil {
		t.Fatalf("the next start: %v", err)
	}
	load(t, again)
	hosts(t, again)
	d.set("acme/web", "another")
	load(t, again)
	hosts(t, again, "wiki.example.com")
}

// A host of the file that somebody else holds stops the start, not what runs.
func TestStaticRouteOnTakenHost(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	if _, err := d.Create(ctx, wiki()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	k := d.keeper(t, logTo(&log), file(wiki(func(r *route.Route) { r.Workspace = "two" })))
	err := k.ReserveStatic(ctx)
	wantKind(t, err, fault.Conflict, "host")
	if !strings.Contains(err.Error(), "routes[0]") {
		t.Errorf("%v does not name the setting", err)
	}
	load(t, k)
	if got := k.Table().Match("wiki.example.com", "/").Route; got == nil || got.Workspace != "web" {
		t.Errorf("the owner's route is %+v", got)
	}
	if !strings.Contains(log.String(), "belongs to another workspace") {
		t.Errorf("log: %s", &log)
	}
}

func TestStaticHosts(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d, ctx := open(t, logTo(&log), func(c *route.Config) {
		c.StaticHosts = []route.Host{
			{Name: "Intranet.example.com:8080", Tenant: "acme", Workspace: "web"}, {Name: "later.example.com", Tenant: "new", Workspace: "web"},
		}
	}), t.Context()
	if err := d.ReserveStatic(ctx); err != nil {
		t.Fatal(err)
	}
	load(t, d.Keeper)
	hosts(t, d.Keeper)
	for _, name := range []string{"intranet.example.com", "later.example.com"} {
		_, err := d.Claim(ctx, name, "other", "web")
		wantKind(t, err, fault.Conflict, "host")
	}
	if _, err := d.Create(ctx, wiki(func(r *route.Route) { r.Host = "intranet.example.com" })); err != nil {
		t.Errorf("its workspace may use it: %v", err)
	}
	wantKind(t, d.Release(ctx, "intranet.example.com", "acme", "web"), fault.Conflict, "host")
	if said := log.String(); strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, "setting=hosts[1]") || !strings.Contains(said, "workspace=new/web") {
		t.Errorf("want one warning that names hosts[1] and new/web:\n%s", said)
	}
	d.set("new/web", "n1")
	load(t, d.Keeper)
	rows, err := d.Hosts(ctx, "new", store.Page{})
	if err != nil || len(rows) != 1 || rows[0].Value.Name != "later.example.com" {
		t.Errorf("claimed: %+v, %v", rows, err)
	}
}

// own is a gateway with these hosts of its own.
func own(base, extensions string) func(*route.Config) {
	return func(c *route.Config) {
		c.Own = map[string]string{route.ForBase: base, route.ForExtensions: extensions}
	}
}

// A base URL that moved leaves its old host to whoever wants it.
func TestFormerOwnHosts(t *testing.T) {
	t.Parallel()
	reserve := func(t *testing.T, k *route.Keeper) {
		t.Helper()
		for _, purpose := range []string{route.ForBase, route.ForExtensions} {
			if err := k.Reserve(t.Context(), purpose, k.Own[purpose]); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := own("login.example.com:8443", "ext.example.com")
	t.Run("moved", func(t *testing.T) {
		t.Parallel()
		d, ctx := open(t, first), t.Context()
		reserve(t, d.Keeper)
		_, err := d.Claim(ctx, "login.example.com", "acme", "web")
		wantKind(t, err, fault.Conflict, "host")
		moved := d.keeper(t, own("id.example.com", "ext.example.com"), file(wiki(func(r *route.Route) { r.Host = "login.example.com" })))
		if err := moved.ReserveStatic(ctx); err != nil { // at start it comes before Reserve
			t.Fatal(err)
		}
		reserve(t, moved)
		load(t, moved)
		hosts(t, moved, "login.example.com")
		for _, name := range []string{"id.example.com", "ext.example.com"} {
			_, err := moved.Claim(ctx, name, "acme", "web")
			wantKind(t, err, fault.Conflict, "host")
		}
	})
	t.Run("swapped", func(t *testing.T) {
		t.Parallel()
		d := open(t, first)
		reserve(t, d.Keeper)
		reserve(t, d.keeper(t, own("ext.example.com", "login.example.com")))
	})
}
