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
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func TestRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var racers sync.WaitGroup
	for range 8 { // several gateways start at once
		racers.Go(func() {
			if err := w.Root(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	racers.Wait()
	before := w.rows(tenant.Root)
	if err := w.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, w.rows(tenant.Root)); d != "" {
		t.Errorf("a further start changes records:\n%s", d)
	}
	if d := cmp.Diff([]string{"admin User portal", "system User portal"}, w.clientNames(tenant.Root)); d != "" {
		t.Error(d)
	}
	if got := w.scopeNames(tenant.Root, tenant.System); !slices.Contains(got, "manage_tenants") || !slices.Contains(got, "identity") {
		t.Errorf("scopes of system/system: %v", got)
	}
	if got := w.scopeNames(tenant.Root, tenant.Admin); !slices.Contains(got, "openid") || slices.Contains(got, "manage_tenants") {
		t.Errorf("scopes of system/admin: %v", got)
	}
	schemas := must[[]string](t)(schemaIDs(w, tenant.Root))
	if d := cmp.Diff([]string{"default_metadata", "default_payload"}, schemas); d != "" {
		t.Error(d)
	}
	claims := must[[]client.Claim](t)(w.clients.Claims.All(t.Context(), tenant.Key{Tenant: tenant.Root, Workspace: tenant.Admin}))
	if len(claims) == 0 {
		t.Error("no claims")
	}
}

func schemaIDs(w *world, tenantID string) ([]string, error) {
	list, err := w.pools.Schemas.List(w.t.Context(), tenantID)
	names := []string{}
	for _, s := range list {
		names = append(names, s.ID)
	}
	return names, err
}

// A base URL that moved takes the redirect URIs of all portals with it, also
// when the first start at the new one is interrupted.
func TestRootMoves(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	w := d.start(t, base)
	if err := w.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	acme(t, w)
	must[tenant.Workspace](t)(w.Workspace(t.Context(), tenant.Workspace{TenantID: "acme", ID: "main"}, true))
	const moved = "https://gate.example.com"
	for n := 10; ; n += 7 {
		w = d.start(t, moved+"/")
		w.crashAt(n)
		if err := w.Root(t.Context()); err == nil {
			break
		}
	}
	w = d.start(t, moved)
	for _, at := range []string{"system/admin", "system/system", "acme/admin", "acme/system", "acme/main"} {
		tenantID, id, _ := strings.Cut(at, "/")
		space := must[tenant.Workspace](t)(w.tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: tenantID, Workspace: id}))
		c := must[client.Client](t)(w.clients.Clients.Find(t.Context(), space.Key(), setup.PortalID(&space)))
		if d := cmp.Diff(client.URIs{moved + "/" + at + "/app", moved + "/" + at + "/device"}, c.RedirectURIs); d != "" || !c.System {
			t.Errorf("%s: %s", at, d)
		}
	}
	calls := w.faulty.Calls("")
	if err := w.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.faulty.Calls("replace"); n != 0 {
		t.Errorf("a start at the same address wrote %d records in %d calls", n, w.faulty.Calls("")-calls)
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, true))
	var shape struct {
		Tenant  struct{ ID, Name string }
		Servers []struct {
			ID, Type, Secret string
		}
		Clients []struct {
			Workspace string `json:"authorization_server_id"`
			Name      string `json:"client_name"`
			Secret    string `json:"client_secret"`
			System    bool
			Redirects []string `json:"redirect_uris"`
			Grants    []string `json:"grant_types"`
			Method    string   `json:"token_endpoint_auth_method"`
		}
		IDPs []any `json:"idps"`
	}
	raw := must[[]byte](t)(json.Marshal(made))
	if err := json.Unmarshal(raw, &shape); err != nil {
		t.Fatal(err)
	}
	if shape.Tenant.ID != "acme" || shape.Tenant.Name != "Acme" || shape.IDPs == nil {
		t.Errorf("bad shape: %s", raw)
	}
	var servers, clients []string
	for _, s := range shape.Servers {
		servers = append(servers, s.ID+" "+s.Type)
		if len(s.Secret) < 32 {
			t.Errorf("workspace %s has no secret", s.ID)
		}
	}
	if d := cmp.Diff([]string{"admin admin", "system system", "default regular"}, servers); d != "" {
		t.Error(d)
	}
	for _, c := range shape.Clients {
		clients = append(clients, strings.Join([]string{c.Workspace, c.Name, c.Method, strings.Join(c.Grants, "+"), strings.Join(c.Redirects, ",")}, " "))
		if portal := c.Name == "User portal"; portal != c.System || portal != (c.Secret == "") {
			t.Errorf("%s of %s: system %v, secret %q", c.Name, c.Workspace, c.System, c.Secret)
		}
	}
	if d := cmp.Diff([]string{
		"admin User portal none authorization_code+refresh_token http://localhost:8080/acme/admin/app,http://localhost:8080/acme/admin/device",
		"admin API client client_secret_basic client_credentials ",
		"system User portal none authorization_code+refresh_token http://localhost:8080/acme/system/app,http://localhost:8080/acme/system/device",
		"system API client client_secret_basic client_credentials ",
		"default User portal none authorization_code+refresh_token http://localhost:8080/acme/default/app,http://localhost:8080/acme/default/device",
	}, clients); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"default_metadata", "default_payload"}, must[[]string](t)(schemaIDs(w, "acme"))); d != "" {
		t.Error(d)
	}
	if made.Tenant.Settings.DefaultWorkspaceID != "default" {
		t.Error("the tenant does not name its default workspace")
	}
	for _, id := range []string{"admin", "system", "default"} {
		got := w.scopeNames("acme", id)
		if !slices.Contains(got, "offline_access") || slices.Contains(got, "identity") != (id == "system") || slices.Contains(got, "manage_tenants") {
			t.Errorf("scopes of %s: %v", id, got)
		}
	}
	if left := w.rowsOf(tenant.Root, "setup_notes"); len(left) > 0 {
		t.Errorf("notes stay: %v", left)
	}
}

func TestTenantAPIClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false))
	beta := must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "beta", Name: "Beta"}, false))
	admin, system := acme.Clients[1], acme.Clients[3]
	w.proves(admin)
	w.proves(system)
	for _, p := range []role.Permission{role.CreateWorkspace, role.CreateIdentityPool, role.ManageAdminRole, role.UpdateTenant} {
		if !w.may(admin, p, "acme") {
			t.Errorf("the API client may not %s", p)
		}
		if w.may(admin, p, "beta") || w.may(system, p, "acme") || w.may(beta.Clients[1], p, "acme") {
			t.Errorf("somebody else may %s", p)
		}
	}
	if len(admin.Scopes) != 0 {
		t.Errorf("scopes in admin: %v", admin.Scopes)
	}
	for _, want := range []string{"identity", "manage_clients", "view_audit_events", "manage_secrets", "revoke_tokens"} {
		if !slices.Contains(system.Scopes, want) {
			t.Errorf("no scope %s in system", want)
		}
	}
	if slices.Contains(system.Scopes, "manage_tenants") {
		t.Error("a tenant's client may manage tenants")
	}
	if admin.ClientID == beta.Clients[1].ClientID || admin.ClientSecret == beta.Clients[1].ClientSecret {
		t.Error("two tenants share a client")
	}
	w.hidden([]string{"acme", "beta", tenant.Root}, admin.ClientSecret, system.ClientSecret, acme.Servers[0].Secret)
	for _, row := range w.rows("beta") {
		if strings.Contains(row, "acme") || strings.Contains(row, admin.ClientID) {
			t.Errorf("acme is in beta: %s", row)
		}
	}
}

func TestTenantIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := func(id, name string) (string, error) {
		made, err := w.Tenant(t.Context(), tenant.Tenant{ID: id, Name: name}, false)
		return made.Tenant.ID, err
	}
	for _, tc := range []struct {
		name, id, title string
		want            string // prefix of the id
		kind            fault.Kind
		field           string
	}{
		{name: "of the name", title: "My Shop", want: "my-shop"},
		{name: "the name again", title: "My Shop", want: "my-shop-"},
		{name: "a reserved slug", title: "API", want: "api-"},
		{name: "no slug", title: "###", want: ""},
		{name: "taken", id: "my-shop", title: "x", kind: fault.Conflict, field: "id"},
		{name: "reserved", id: "system", title: "x", kind: fault.Unprocessable, field: "id"},
		{name: "malformed", id: "a/b", title: "x", kind: fault.Unprocessable, field: "id"},
		{name: "very long", id: strings.Repeat("x", 5000), title: "x", kind: fault.Unprocessable, field: "id"},
		{name: "nameless", id: "y", kind: fault.Unprocessable, field: "name"},
		{name: "nameless without id", kind: fault.Unprocessable, field: "name"},
	} {
		id, err := create(tc.id, tc.title) // in turn: they build on each other
		if tc.field != "" {
			wantFault(t, err, tc.kind, tc.field)
			continue
		}
		if err != nil || !strings.HasPrefix(id, tc.want) || id == "" {
			t.Errorf("%s: %q, %v", tc.name, id, err)
		}
	}
	if left := w.rowsOf(tenant.Root, "setup_notes"); len(left) > 0 {
		t.Errorf("notes stay: %v", left)
	}
}

// A conflict must never take down the tenant that was there.
func TestTenantTakenStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must[setup.Created](t)(w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false))
	before := w.rows("acme")
	for n := 1; n < 8; n++ {
		again := w.disk.start(t, base)
		again.faulty.Fail("", "", n, nil)
		_, err := again.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Other"}, true)
		if err == nil {
			t.Fatalf("call %d failing: the id was given twice", n)
		}
	}
	w = w.restart()
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, w.rows("acme")); d != "" {
		t.Error(d)
	}
	got := must[tenant.Tenant](t)(w.tenants.Tenants.Get(t.Context(), "acme"))
	if got.Name != "Acme" {
		t.Errorf("the tenant is now %q", got.Name)
	}
}

func TestTenantRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var racers sync.WaitGroup
	won := make(chan setup.Created, 16)
	for range 16 {
		racers.Go(func() {
			made, err := w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false)
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
	w.proves((<-won).Clients[1])
	if d := cmp.Diff([]string{"admin API client", "admin User portal", "system API client", "system User portal"}, w.clientNames("acme")); d != "" {
		t.Error(d)
	}
}

// However far the making of a tenant came, afterwards there is none of it, or
// all, and it can be made.
func TestTenantFaults(t *testing.T) {
	t.Parallel()
	input := tenant.Tenant{ID: "acme", Name: "Acme"}
	want := []string{"admin API client", "admin User portal", "default User portal", "system API client", "system User portal"}
	faults(t, func(*world) {}, func(w *world) error {
		_, err := w.Tenant(t.Context(), input, true)
		return err
	}, func(t *testing.T, w *world, failed error) {
		_, err := w.tenants.Tenants.Get(t.Context(), "acme")
		if failed != nil && fault.Is(err, fault.NotFound) {
			if left := w.rows("acme"); len(left) > 0 {
				t.Fatalf("%d records stay: %s", len(left), left[0])
			}
			must[setup.Created](t)(w.Tenant(t.Context(), input, true))
		}
		if d := cmp.Diff(want, w.clientNames("acme")); d != "" {
			t.Fatal(d)
		}
	})
}

// What one failing call spoiled is taken back at once.
func TestTenantFailsClean(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += 7 {
		w := newWorld(t)
		w.faulty.Fail("", "", n, nil)
		if _, err := w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false); err == nil {
			break
		}
		if _, err := w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false); err != nil {
			t.Fatalf("call %d failing: again: %v", n, err)
		}
	}
}

// Finish may run while the creator is still at it.
func TestFinishBesideCreator(t *testing.T) {
	t.Parallel()
	for n := 6; n < 40; n += 5 {
		w := newWorld(t)
		release, done := make(chan struct{}), make(chan error, 1)
		w.faulty.Hold("", "", n, release)
		var made setup.Created
		go func() {
			var err error
			made, err = w.Tenant(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme"}, false)
			done <- err
		}()
		other := w.restart()
		if err := other.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatalf("call %d held: %v", n, err)
		}
		w.proves(made.Clients[1])
		w.proves(made.Clients[3])
		if d := cmp.Diff([]string{"admin API client", "admin User portal", "system API client", "system User portal"}, w.clientNames("acme")); d != "" {
			t.Fatal(d)
		}
	}
}
