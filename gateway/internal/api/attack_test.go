package api_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// rootRole makes an API client of the root tenant's workspace admin with a role
// on the root tenant.
func (w *world) rootRole(name string) string {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.clients.Clients.Create(ctx, client.Client{TenantID: tenant.Root, WorkspaceID: tenant.Admin, GrantTypes: []string{"client_credentials"}})
	w.ok(err)
	owner, err := w.tenants.Tenants.Get(ctx, tenant.Root)
	w.ok(err)
	on := role.Resource{Tenant: role.Ref{ID: owner.ID, Epoch: owner.Epoch}}
	w.ok(w.roles.Grant(ctx, on, role.Client(tenant.Root, c.ClientID, c.Epoch), name))
	return w.token(c)
}

// Tokens that would be right but for one thing.
func TestTokensThatAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c, right := w.caller(tenant.Admin)
	_, on := w.resource("admin")
	w.ok(w.roles.Grant(ctx, on, role.Client("acme", c.ClientID, c.Epoch), role.Admin))
	w.do(right, "GET", "/api/admin/acme/tenant", nil).want(200)

	claims := func(change token.Claims) token.Claims {
		all := token.Claims{"sub": c.ClientID, "client_id": c.ClientID, "aud": []string{w.signin.APIAudience()}, "tid": "acme", "aid": "admin", "scp": []string{}}
		for name, v := range change {
			all[name] = v
		}
		return all
	}
	sign := func(tenantID, workspace string, kind token.Kind, change token.Claims, ttl time.Duration) string {
		t.Helper()
		space, err := w.live.Space(ctx, tenantID, workspace)
		w.ok(err)
		raw, err := w.signin.Tokens.Sign(ctx, space.Token(), kind, "", claims(change), ttl)
		w.ok(err)
		return raw
	}
	good := sign("acme", tenant.Admin, token.Access, nil, time.Hour)
	w.do(good, "GET", "/api/admin/acme/tenant", nil).want(200) // so what follows fails for its own reason
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
	for name, raw := range map[string]string{
		"an ID token":                     sign("acme", tenant.Admin, token.ID, nil, time.Hour),
		"an assertion":                    sign("acme", tenant.Admin, token.Assertion, nil, time.Hour),
		"of the workspace system":         sign("acme", tenant.System, token.Access, nil, time.Hour),
		"of a regular workspace":          sign("acme", "default", token.Access, nil, time.Hour),
		"of another tenant":               sign("other", tenant.Admin, token.Access, nil, time.Hour),
		"of the root tenant":              sign(tenant.Root, tenant.Admin, token.Access, nil, time.Hour),
		"for another audience":            sign("acme", tenant.Admin, token.Access, token.Claims{"aud": []string{c.ClientID}}, time.Hour),
		"expired":                         sign("acme", tenant.Admin, token.Access, nil, -time.Second),
		"of a client of another tenant":   sign("acme", tenant.Admin, token.Access, token.Claims{"client_id": w.theirClient(tenant.Admin).ClientID}, time.Hour),
		"of a client that is not there":   sign("acme", tenant.Admin, token.Access, token.Claims{"client_id": "none"}, time.Hour),
		"of a user that is not there":     sign("acme", tenant.Admin, token.Access, token.Claims{"pool_id": "p", "idp_sub": "u"}, time.Hour),
		"without its signature":           parts[0] + "." + parts[1] + ".",
		"with the algorithm none":         none + "." + parts[1] + ".",
		"with another payload":            parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`)) + "." + parts[2],
		"too long":                        good + strings.Repeat("A", 20_000),
		"an access token with a tail":     good + ".",
		"two tokens":                      good + "," + right,
		"a token with a blank before it ": " " + good[1:],
	} {
		a := w.do(raw, "GET", "/api/admin/acme/tenant", nil)
		if a.status != 401 && (a.status != 431 || name != "too long") {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") && a.status == 401 {
			t.Errorf("%s: a 401 without a challenge", name)
		}
	}
	for _, header := range []string{"Basic " + good, good, "Bearer", "bearer  " + good + " x"} {
		if a := w.do("", "GET", "/api/admin/acme/tenant", nil, "Authorization", header); a.status != 401 {
			t.Errorf("Authorization: %.20s...: status %d", header, a.status)
		}
	}
	w.do("", "GET", "/api/admin/acme/tenant?access_token="+good, nil).refused(401, "")
}

// The families of operations do not take each other's tokens.
func TestFamiliesDoNotMix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ name, raw, path string }{
		{"system on admin", w.system, "/api/admin/acme/servers"},
		{"admin on system", w.admin, "/api/system/acme/clients/default"},
		{"root admin on a tenant", w.root, "/api/admin/acme/servers"},
		{"root system on a tenant", w.rootSystem, "/api/system/acme/clients/default"},
		{"root admin on root system", w.root, "/api/system/tenants"},
		{"root system on root admin", w.rootSystem, "/api/admin/tenants"},
		{"a tenant's admin on root", w.admin, "/api/admin/tenants"},
		{"a tenant's system on root", w.system, "/api/system/tenants"},
	} {
		a := w.do(c.raw, "GET", c.path, nil)
		a.what = c.name
		a.refused(401, "")
	}
	// The root tenant is a tenant too, and its own API is open to its own.
	w.do(w.root, "GET", "/api/admin/system/servers", nil).want(200)
	w.do(w.rootSystem, "GET", "/api/system/system/clients/admin", nil).want(200)
}

// The root tenant's permissions are given by its own roles alone.
func TestRootRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const features, feature = "/api/admin/tenants/acme/features", "/api/admin/tenants/acme/feature"
	auditor, member := w.rootRole(role.Auditor), w.rootRole(role.Member)
	w.do(auditor, "GET", "/api/admin/tenants", nil).want(200)
	w.do(auditor, "GET", features, nil).want(200)
	w.do(auditor, "POST", feature, `{"flag":"plugins","value":true}`).refused(403, "")
	w.do(w.rootRole(role.BusinessAdmin), "POST", feature, `{"flag":"plugins","value":true}`).refused(403, "")
	w.do(member, "GET", "/api/admin/tenants", nil).refused(403, "")
	w.do(member, "GET", features, nil).refused(403, "")
}

// A person through whose client somebody signs in lends nothing: the roles of
// the client are not the person's.
func TestClientsRolesAreNotThePersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	_, ann := w.person(by, "ann")
	var apps []client.Client
	apps, err := w.clients.Clients.All(t.Context(), tenant.Key{Tenant: "acme", Workspace: tenant.Admin})
	w.ok(err)
	_, on := w.resource("admin")
	for _, c := range apps {
		w.ok(w.roles.Grant(t.Context(), on, role.Client("acme", c.ClientID, c.Epoch), role.Admin))
	}
	w.do(ann, "GET", "/api/admin/acme/tenant", nil).refused(403, "")
}

// A user, client or workspace that was made again under its old id inherits
// neither roles nor tokens.
func TestRecreatedInheritNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	_, ann := w.person(by, "ann")
	w.acme("POST", "/tenant/roles/grant", `{"type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"ann","role":"admin"}`).want(204)
	w.do(ann, "GET", "/api/admin/acme/tenant", nil).want(200)
	w.pass()
	w.ok(w.pools.Users.Delete(t.Context(), "acme", "people", "ann", 0))
	w.pass()
	w.user("people", "ann")
	w.do(ann, "GET", "/api/admin/acme/tenant", nil).refused(401, "")
	_, again := w.person(by, "ann")
	w.do(again, "GET", "/api/admin/acme/tenant", nil).refused(403, "")

	w.acme("POST", "/servers", `{"id":"shop"}`).want(201)
	manager := w.holder("manager@shop")
	w.do(manager, "GET", "/api/admin/acme/servers/shop", nil).want(200)
	w.acme("DELETE", "/servers/shop", nil).want(204)
	w.acme("POST", "/servers", `{"id":"shop"}`).want(201)
	w.do(manager, "GET", "/api/admin/acme/servers/shop", nil).refused(403, "")
}
