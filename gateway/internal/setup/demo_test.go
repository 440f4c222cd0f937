package setup_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

var demoConfig = setup.DemoConfig{Base: base, AppHost: "app.localhost:8080", AppUpstream: "http://127.0.0.1:40000"}

func TestDemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	d := must[setup.Demo](t)(w.Demo(ctx, demoConfig))
	demoShape(t, d)
	for _, u := range d.Users {
		got := must[pool.Result](t)(w.pools.Users.CheckPassword(ctx, d.Tenant, d.PoolID, limit.KindVerifyPassword, u.Identifier, u.Password))
		if got.Outcome != pool.PasswordCorrect || got.User.Status != pool.StatusActive || !got.User.Addresses[0].Verified {
			t.Errorf("%s: %+v", u.Identifier, got)
		}
		var profile struct{ Name, GivenName, FamilyName string }
		if err := json.Unmarshal(got.User.Payload, &profile); err != nil || profile.Name == "" {
			t.Errorf("%s: profile %s", u.Identifier, got.User.Payload)
		}
	}
	p := must[pool.Pool](t)(w.pools.Pools.Get(ctx, d.Tenant, d.PoolID))
	if !p.PublicRegistrationAllowed {
		t.Error("nobody can register")
	}
	if v := must[idp.IDP](t)(w.idps.Get(ctx, d.Tenant, d.Workspace, d.IDPID)); v.IdentityPoolID != d.PoolID {
		t.Errorf("IDP %+v", v)
	}
	rows := must[[]store.Row[route.Route]](t)(w.routes.List(ctx, d.Tenant, d.Workspace, store.Page{}))
	if len(rows) != 1 || rows[0].Value.Policy != route.SignedIn || !rows[0].Value.Assertion ||
		rows[0].Value.Headers.Preset != route.AuthRequest || rows[0].Value.Host != "app.localhost:8080" {
		t.Errorf("routes %+v", rows)
	}
	want := []string{
		"admin API client", "admin User portal", "default Demo, confidential", "default Demo, public", "default User portal",
		"system API client", "system User portal",
	}
	if d := cmp.Diff(want, w.clientNames("default")); d != "" {
		t.Error(d)
	}
	w.hidden([]string{tenant.Root, "default"}, d.Clients.Root.ClientSecret, d.Clients.Confidential.ClientSecret, setup.AlicePassword)
}

// demoShape checks demo.json.
func demoShape(t *testing.T, d setup.Demo) {
	t.Helper()
	var top map[string]json.RawMessage
	var clients map[string]map[string]json.RawMessage
	raw := must[[]byte](t)(json.Marshal(d))
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(top["clients"], &clients); err != nil {
		t.Fatal(err)
	}
	members := []string{"app_url", "base_url", "clients", "idp_id", "listen", "mail_dir", "pool_id", "tenant", "users", "workspace"}
	if d := cmp.Diff(members, slices.Sorted(maps.Keys(top))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"admin", "confidential", "public", "root", "root_system", "system"}, slices.Sorted(maps.Keys(clients))); d != "" {
		t.Error(d)
	}
	for name, c := range clients {
		want := []string{"client_id", "client_secret", "redirect_uris", "scopes", "token_url"}
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(c))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, list := range []string{"redirect_uris", "scopes"} {
			if string(c[list]) == "null" {
				t.Errorf("%s: %s is null", name, list)
			}
		}
	}
	if d.Tenant != "default" || d.Workspace != "default" || d.PoolID != "people" || d.BaseURL != base {
		t.Errorf("demo %+v", d)
	}
	for _, u := range []struct{ got, want string }{
		{d.Clients.Admin.TokenURL, base + "/default/admin/oauth2/token"},
		{d.Clients.System.TokenURL, base + "/default/system/oauth2/token"},
		{d.Clients.Root.TokenURL, base + "/system/admin/oauth2/token"},
		{d.Clients.RootSystem.TokenURL, base + "/system/system/oauth2/token"},
		{d.Clients.Public.TokenURL, base + "/default/default/oauth2/token"},
		{d.Clients.Confidential.TokenURL, base + "/default/default/oauth2/token"},
	} {
		if u.got != u.want {
			t.Errorf("token URL %s, want %s", u.got, u.want)
		}
	}
	if slices.Contains(d.Clients.System.Scopes, "manage_tenants") || !slices.Contains(d.Clients.RootSystem.Scopes, "manage_tenants") {
		t.Error("scopes of the system clients")
	}
}

func TestDemoClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := must[setup.Demo](t)(w.Demo(t.Context(), demoConfig))
	find := func(tenantID string, c setup.DemoClient) client.Client {
		v := must[client.Client](t)(w.clients.Clients.Get(t.Context(), tenantID, c.ClientID))
		v.ClientSecret = c.ClientSecret
		return v
	}
	public, confidential := find("default", d.Clients.Public), find("default", d.Clients.Confidential)
	for _, c := range []client.Client{public, confidential} {
		for _, uri := range []string{"http://127.0.0.1:1/callback", "http://localhost:65535/callback", "http://[::1]:8123/callback", "http://127.0.0.1/callback"} {
			if !c.AllowsRedirect(uri) || !c.AllowsLogoutRedirect(uri) {
				t.Errorf("%s may not return to %s", c.ClientID, uri)
			}
		}
		if c.AllowsRedirect("http://127.0.0.1:1/other") || c.AllowsRedirect("http://evil.example/callback") {
			t.Errorf("%s returns anywhere", c.ClientID)
		}
		for _, s := range []string{"openid", "profile", "email", "offline_access", "view_ss_profile", "manage_sessions", "introspect_tokens"} {
			if !slices.Contains(c.Scopes, s) {
				t.Errorf("%s has no scope %s", c.ClientID, s)
			}
		}
		if !c.Grants("authorization_code") || !c.Grants("refresh_token") || c.Grants("client_credentials") != (c.ClientID == confidential.ClientID) {
			t.Errorf("%s: grants %v", c.ClientID, c.GrantTypes)
		}
	}
	if !public.Public() || public.ClientSecret != "" || d.Clients.Public.ClientID != "demo-public" {
		t.Errorf("public client %+v", public)
	}
	w.proves(confidential)
	for name, c := range map[string]client.Client{
		"admin": find("default", d.Clients.Admin), "system": find("default", d.Clients.System),
		"root": find(tenant.Root, d.Clients.Root), "root_system": find(tenant.Root, d.Clients.RootSystem),
	} {
		w.proves(c)
		if w.may(c, role.UpdateTenant, c.TenantID) != (c.WorkspaceID == tenant.Admin) {
			t.Errorf("%s: wrong roles", name)
		}
	}
	if !w.may(find(tenant.Root, d.Clients.Root), role.ManageTenants, tenant.Root) || w.may(find("default", d.Clients.Admin), role.ManageTenants, tenant.Root) {
		t.Error("who may manage tenants")
	}
}

// A second start on the same data gives the same demo, at another port too.
func TestDemoAgain(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	first := must[setup.Demo](t)(disk.start(t, base).Demo(t.Context(), demoConfig))
	w := disk.start(t, base)
	again := must[setup.Demo](t)(w.Demo(t.Context(), demoConfig))
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
	before := len(w.rows("default")) + len(w.rows(tenant.Root))
	const moved = "http://localhost:9090"
	w = disk.start(t, moved)
	other := must[setup.Demo](t)(w.Demo(t.Context(), setup.DemoConfig{AppHost: "app.localhost:9090", AppUpstream: "http://127.0.0.1:40001"}))
	if other.BaseURL != moved || other.Clients.Root.TokenURL != moved+"/system/admin/oauth2/token" ||
		other.Clients.Root.ClientSecret != first.Clients.Root.ClientSecret || other.IDPID != first.IDPID {
		t.Errorf("moved: %+v", other)
	}
	rows := must[[]store.Row[route.Route]](t)(w.routes.List(t.Context(), "default", "default", store.Page{}))
	if len(rows) != 1 || rows[0].Value.Host != "app.localhost:9090" || rows[0].Value.Upstream != "http://127.0.0.1:40001" {
		t.Errorf("routes %+v", rows)
	}
	must[setup.Demo](t)(w.Demo(t.Context(), setup.DemoConfig{AppHost: "app.localhost:9090", AppUpstream: "http://127.0.0.1:40002"}))
	rows = must[[]store.Row[route.Route]](t)(w.routes.List(t.Context(), "default", "default", store.Page{}))
	if len(rows) != 1 || rows[0].Value.Upstream != "http://127.0.0.1:40002" {
		t.Errorf("routes %+v", rows)
	}
	if got := len(w.rows("default")) + len(w.rows(tenant.Root)); got != before {
		t.Errorf("%d records, were %d", got, before)
	}
}

// Known passwords never come into a gateway that was set up, and nobody sets up
// the demo's data.
func TestDemoApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must[setup.Result](t)(w.Unattended(t.Context(), setup.Answers{}))
	before := w.rows("default")
	_, err := w.Demo(t.Context(), demoConfig)
	wantFault(t, err, fault.Conflict, "")
	if d := cmp.Diff(before, w.rows("default")); d != "" {
		t.Error(d)
	}
	if must[bool](t)(w.IsDemo(t.Context())) {
		t.Error("it calls itself a demo")
	}
	demo := newWorld(t)
	link := must[string](t)(demo.NewLink(t.Context()))
	must[setup.Demo](t)(demo.Demo(t.Context(), setup.DemoConfig{}))
	if !must[bool](t)(demo.IsDemo(t.Context())) || must[bool](t)(demo.Needed(t.Context())) {
		t.Error("the demo's data is not marked")
	}
	_, err = demo.NewLink(t.Context())
	wantFault(t, err, fault.Conflict, "")
	_, err = demo.Complete(t.Context(), link, answers)
	wantFault(t, err, fault.Conflict, "")
}

// A start that was interrupted anywhere is carried on by the next.
func TestDemoFaults(t *testing.T) {
	t.Parallel()
	clean := newWorld(t)
	before := clean.faulty.Calls("")
	want := must[setup.Demo](t)(clean.Demo(t.Context(), demoConfig))
	calls := clean.faulty.Calls("") - before
	for n := 2; n <= calls; n += calls / 5 {
		w := newWorld(t)
		w.crashAt(n)
		if _, err := w.Demo(t.Context(), demoConfig); err == nil {
			t.Fatalf("call %d of %d did not matter", n, calls)
		}
		if !must[bool](t)(w.restart().IsDemo(t.Context())) && n > 10 {
			t.Errorf("call %d: not marked", n)
		}
		w.disk.clock.Advance(2 * time.Minute)
		w = w.restart()
		got := must[setup.Demo](t)(w.Demo(t.Context(), demoConfig))
		if d := cmp.Diff(want.Users, got.Users); d != "" {
			t.Errorf("call %d: %s", n, d)
		}
		if d := cmp.Diff(clean.clientNames("default"), w.clientNames("default")); d != "" {
			t.Errorf("call %d: %s", n, d)
		}
		list := must[[]pool.User](t)(w.pools.Users.List(t.Context(), "default", "people", pool.Query{}, store.Page{}))
		if len(list) != 2 {
			t.Errorf("call %d: %d users", n, len(list))
		}
	}
}
