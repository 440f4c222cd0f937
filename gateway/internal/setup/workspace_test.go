package setup_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// acme is a world with a tenant of that name.
func acme(t testing.TB, w *world) {
	t.Helper()
	must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false))
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	made := must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main", Name: "Main"}, false))
	if len(made.Secret) < 32 || made.Type != tenant.TypeRegular || made.Name != "Main" {
		t.Errorf("bad workspace: %+v", made)
	}
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "shop"}, true))
	want := []string{
		"admin API client", "admin User portal", "main User portal", "shop Demo client", "shop User portal", "system API client", "system User portal",
	}
	if d := cmp.Diff(want, w.clientNames("acme")); d != "" {
		t.Error(d)
	}
	if got := w.scopeNames("acme", "main"); !slices.Contains(got, "view_ss_profile") || slices.Contains(got, "identity") {
		t.Errorf("scopes: %v", got)
	}
	all := must[[]client.Client](t)(w.clients.Clients.All(t.Context(), tenant.Key{Tenant: "acme", Workspace: "shop"}))
	i := slices.IndexFunc(all, func(c client.Client) bool { return c.ClientName == "Demo client" })
	if demo := all[i]; !demo.Public() || !demo.AllowsRedirect("http://127.0.0.1:49152/callback") || demo.AllowsRedirect("http://192.168.0.7/callback") {
		t.Errorf("bad demo client: %+v", demo)
	}
	if left := w.rowsOf(tenant.Root, "setup_notes"); len(left) > 0 {
		t.Errorf("notes stay: %v", left)
	}
}

func TestWorkspaceErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "beta", Name: "Beta"}, false))
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main"}, false))
	before := w.rows("acme")
	for _, tc := range []struct {
		name, body string
		kind       fault.Kind
		field      string
	}{
		{"taken", `{"tenant_id":"acme","id":"main"}`, fault.Conflict, "id"},
		{"built in", `{"tenant_id":"acme","id":"admin"}`, fault.Conflict, "id"},
		{"reserved", `{"tenant_id":"acme","id":"identity"}`, fault.Unprocessable, "id"},
		{"malformed", `{"tenant_id":"acme","id":"../x"}`, fault.Unprocessable, "id"},
		{"bad member", `{"tenant_id":"acme","id":"x","profile":"none"}`, fault.Unprocessable, "profile"},
		{"no tenant", `{"tenant_id":"gone","id":"x"}`, fault.NotFound, ""},
		{"malformed tenant", `{"tenant_id":"a/b","id":"x"}`, fault.Unprocessable, "tenant_id"},
	} {
		var v tenant.Workspace
		if err := json.Unmarshal([]byte(tc.body), &v); err != nil {
			t.Fatal(err)
		}
		_, err := w.Workspace(t.Context(), v, true)
		if !fault.Is(err, tc.kind) || fault.Read(err).Field != tc.field {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if d := cmp.Diff(before, w.rows("acme")); d != "" {
		t.Errorf("a refused workspace left something:\n%s", d)
	}
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "beta", ID: "main"}, false))
	for name, want := range map[string]string{"Main": "main-", "Admin": "admin-", "My Shop": "my-shop"} {
		made, err := w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", Name: name}, false)
		if err != nil || !strings.HasPrefix(made.ID, want) {
			t.Errorf("%s: %q, %v", name, made.ID, err)
		}
	}
	if left := w.rowsOf(tenant.Root, "setup_notes"); len(left) > 0 {
		t.Errorf("notes stay: %v", left)
	}
}

// Somebody may have used the ids that scopes of a later workspace would have.
func TestWorkspaceWithTakenIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main"}, false))
	must[client.Scope](t)(w.clients.Scopes.Create(t.Context(), client.Scope{ID: "shop-openid", TenantID: "acme", WorkspaceID: "main", Name: "trap"}))
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "shop"}, false))
	if got := w.scopeNames("acme", "shop"); !slices.Contains(got, "openid") || slices.Contains(got, "trap") {
		t.Errorf("scopes: %v", got)
	}
}

func TestWorkspaceFaults(t *testing.T) {
	t.Parallel()
	want := []string{"admin API client", "admin User portal", "main Demo client", "main User portal", "system API client", "system User portal"}
	create := func(w *world) error {
		_, err := w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main"}, true)
		return err
	}
	faults(t, func(w *world) { acme(t, w) }, create, func(t *testing.T, w *world, failed error) {
		_, err := w.tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: "acme", Workspace: "main"})
		if failed != nil && fault.Is(err, fault.NotFound) {
			for _, row := range w.rows("acme") {
				if strings.Contains(row, `"main"`) && !strings.HasPrefix(row, "audit") {
					t.Errorf("stays: %s", row)
				}
			}
			if err := create(w); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(want, w.clientNames("acme")); d != "" {
			t.Fatal(d)
		}
	})
}

// full fills a workspace with one of everything.
func full(t testing.TB, w *world, tenantID, id, host string) {
	t.Helper()
	ctx := t.Context()
	space := must[tenant.Workspace](t)(w.Workspace(ctx, tenant.Workspace{TenantID: tenantID, ID: id}, true))
	must[pool.Counted](t)(w.pools.Pools.Create(ctx, tenantID, pool.Input{Pool: pool.Pool{ID: id + "-people", Name: id + " people"}}))
	must[idp.IDP](t)(w.idps.Create(ctx, idp.IDP{TenantID: tenantID, WorkspaceID: id, IdentityPoolID: id + "-people"}))
	if err := w.routes.Allow(ctx, route.Allowance{Tenant: tenantID, HostSuffixes: []string{"localhost"}, UpstreamNetworks: []string{"10.0.0.0/8"}}); err != nil {
		t.Fatal(err)
	}
	must[store.Row[route.Route]](t)(w.routes.Create(ctx, route.Route{Tenant: tenantID, Workspace: id, Host: host, Upstream: "http://10.0.0.1"}))
	of := must[tenant.Tenant](t)(w.tenants.Tenants.Get(ctx, tenantID))
	on := role.Resource{Tenant: role.Ref{ID: of.ID, Epoch: of.Epoch}, Workspace: role.Ref{ID: id, Epoch: space.Epoch}}
	if err := w.roles.Grant(ctx, on, role.User(tenantID, id+"-people", "u", "e"), role.Manager); err != nil {
		t.Fatal(err)
	}
}

func TestPurgeWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	full(t, w, "acme", "main", "a.localhost")
	full(t, w, "acme", "shop", "b.localhost")
	before := w.rows("acme")
	if err := w.tenants.Workspaces.Delete(t.Context(), tenant.Key{Tenant: "acme", Workspace: "main"}, 0); err != nil {
		t.Fatal(err)
	}
	after := w.rows("acme")
	for _, row := range before {
		table, _, _ := strings.Cut(row, " ")
		mine := (strings.Contains(row, `"main"`) || strings.Contains(row, " main/")) && table != "pools" // a pool may serve other workspaces
		if stays := slices.Contains(after, row); stays == mine {
			t.Errorf("stays %v: %s", stays, row)
		}
	}
	hosts := strings.Join(w.rowsOf(tenant.Root, "hosts"), "\n")
	if strings.Contains(hosts, "a.localhost") || !strings.Contains(hosts, "b.localhost") {
		t.Errorf("hosts: %s", hosts)
	}
	if d := cmp.Diff([]string{"acme/main"}, w.keys); d != "" {
		t.Error(d)
	}
	if err := w.Purge(t.Context(), tenant.Key{Tenant: "acme", Workspace: "main"}); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestPurgeTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "beta", Name: "Beta"}, false))
	full(t, w, "acme", "main", "a.localhost")
	full(t, w, "acme", "shop", "b.localhost")
	full(t, w, "beta", "main", "c.localhost")
	beta := w.rows("beta")
	if err := w.tenants.Tenants.Delete(t.Context(), "acme", 0); err != nil {
		t.Fatal(err)
	}
	if left := w.rows("acme"); len(left) > 0 {
		t.Errorf("%d records stay: %s", len(left), left[0])
	}
	if d := cmp.Diff(beta, w.rows("beta")); d != "" {
		t.Errorf("another tenant lost something: %s", d)
	}
	hosts := strings.Join(w.rowsOf(tenant.Root, "hosts"), "\n")
	if strings.Contains(hosts, "acme") || !strings.Contains(hosts, "c.localhost") {
		t.Errorf("hosts: %s", hosts)
	}
	acme(t, w)
	if a := must[route.Allowance](t)(w.routes.Allowance(t.Context(), "acme")); len(a.HostSuffixes)+len(a.UpstreamNetworks) > 0 {
		t.Errorf("a new tenant of that name inherits %v", a)
	}
	if a := must[route.Allowance](t)(w.routes.Allowance(t.Context(), "beta")); len(a.HostSuffixes) != 1 {
		t.Errorf("another tenant's allowance is now %v", a)
	}
}

func TestWorkspaceRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme(t, w)
	var racers sync.WaitGroup
	won := make(chan tenant.Workspace, 16)
	for range 16 {
		racers.Go(func() {
			made, err := w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main"}, false)
			switch {
			case err == nil:
				won <- made
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	racers.Wait()
	if len(won) != 1 {
		t.Fatalf("%d creators succeeded", len(won))
	}
	want := []string{"admin API client", "admin User portal", "main User portal", "system API client", "system User portal"}
	if d := cmp.Diff(want, w.clientNames("acme")); d != "" {
		t.Error(d)
	}
}
