package api_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// grants are the three places where roles are granted.
func grants() []struct{ name, path, role, other string } {
	return []struct{ name, path, role, other string }{
		{"tenant", "/tenant/roles", "auditor", "user_manager"},
		{"workspace", "/servers/default/roles", "manager", "business_admin"},
		{"pool", "/pools/people/roles", "user_manager", "admin"},
	}
}

func TestRoleLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	by := w.connect(tenant.Admin, "people")
	c, _ := w.caller(tenant.Admin)
	for _, at := range grants() {
		for _, who := range []struct{ plural, body, member, value string }{
			{"subjects", `"type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"ann","workspace_id":"admin"`, "identity_pool_user_id", "ann"},
			{"subjects", `"type":"idp","workspace_id":"admin","idp_id":"` + by.ID + `","tenant_id":"other"`, "idp_id", by.ID},
			{"clients", `"type":"client","client_id":"` + c.ClientID + `"`, "client_id", c.ClientID},
		} {
			find := func() map[string]any {
				for _, row := range w.acme("GET", at.path, nil).want(200).json()[who.plural].([]any) {
					if r := row.(map[string]any); r[who.member] == who.value {
						return r
					}
				}
				return nil
			}
			body := fmt.Sprintf(`{%s,"role":%q}`, who.body, at.role)
			w.acme("POST", at.path+"/grant", body).want(204).tag()
			w.acme("POST", at.path+"/grant", body).want(204) // has it already
			if got := find(); got == nil || got["role"] != at.role || got["tenant_id"] != "acme" {
				t.Errorf("%s: granted %s, listed %v", at.name, body, got)
			}
			w.acme("DELETE", at.path+"/revoke", body).want(204).tag()
			if got := find(); got != nil {
				t.Errorf("%s: still listed: %v", at.name, got)
			}
			w.acme("DELETE", at.path+"/revoke", body).refused(404, "")
		}
	}
}

func TestRoleRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	c := w.client("default")
	for _, at := range grants() {
		for _, try := range []struct {
			name, body string
			status     int
			field      string
		}{
			{"a role of something else", `{"role":"` + at.other + `"}`, 422, "role"},
			{"no role", `{}`, 422, "role"},
			{"a role of a wrong type", `{"role":1}`, 400, "role"},
			{"no type", `{"role":"` + at.role + `"}`, 422, "type"},
			{"an unknown type", `{"role":"` + at.role + `","type":"planet"}`, 422, "type"},
			{"an unknown pool", `{"role":"` + at.role + `","type":"identity_pool_user","identity_pool_id":"no","identity_pool_user_id":"ann"}`, 422, "identity_pool_id"},
			{"an unknown user", `{"role":"` + at.role + `","type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"no"}`, 422, "identity_pool_user_id"},
			{"an unknown IDP", `{"role":"` + at.role + `","type":"idp","workspace_id":"admin","idp_id":"no"}`, 422, "idp_id"},
			{"a client that cannot call", `{"role":"` + at.role + `","type":"client","client_id":"` + c + `"}`, 422, "client_id"},
			{"a client of another tenant", `{"role":"` + at.role + `","type":"client","client_id":"` + w.theirClient(tenant.Admin).ClientID + `"}`, 422, "client_id"},
			{"broken", `{"role"`, 400, ""},
		} {
			a := w.acme("POST", at.path+"/grant", try.body)
			a.what = at.name + ": " + try.name
			a.refused(try.status, try.field)
		}
	}
	w.acme("GET", "/servers/none/roles", nil).refused(404, "")
	w.acme("GET", "/pools/none/roles", nil).refused(404, "")
}

// Granting a role needs the permission for that role, on that resource, by
// whichever way it is called.
func TestRolesCannotBeTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	c, mine := w.caller(tenant.Admin)
	me := `"type":"client","client_id":"` + c.ClientID + `"`
	_, on := w.resource("member")
	w.ok(w.roles.Grant(t.Context(), on, role.Client("acme", c.ClientID, c.Epoch), role.BusinessAdmin))
	for path, names := range map[string][]string{
		"/tenant/roles":          {"admin", "business_admin", "auditor"},
		"/servers/default/roles": {"admin", "auditor", "manager", "user_manager", "member"},
		"/servers/admin/roles":   {"admin"},
		"/pools/people/roles":    {"user_manager"},
	} {
		for _, name := range names {
			w.do(mine, "POST", "/api/admin/acme"+path+"/grant", `{`+me+`,"role":"`+name+`"}`).refused(403, "")
		}
	}
	w.do(mine, "POST", "/api/admin/acme/tenant/roles/grant", `{`+me+`,"role":"member"}`).want(204)
	// Nor can the administrator's be taken away.
	for _, row := range w.acme("GET", "/tenant/roles", nil).want(200).json()["clients"].([]any) {
		r := row.(map[string]any)
		if r["role"] == "admin" {
			w.do(mine, "DELETE", "/api/admin/acme/tenant/roles/revoke", r).refused(403, "")
			w.acme("DELETE", "/tenant/roles/revoke", r).refused(422, "") // the last one stays
		}
	}
	// Without any role a bad body is not even looked at.
	_, roleless := w.caller(tenant.Admin)
	w.do(roleless, "POST", "/api/admin/acme/tenant/roles/grant", `{"role":7}`).refused(403, "")
}

// A role that outlived its subject can still be taken away.
func TestRevokeFromTheDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	const body = `{"type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"ann","role":"auditor"}`
	w.acme("POST", "/tenant/roles/grant", body).want(204)
	w.ok(w.pools.Users.Delete(t.Context(), "acme", "people", "ann", 0))
	w.acme("DELETE", "/tenant/roles/revoke", body).want(204)
}

func TestUserRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("people")
	w.user("people", "ann")
	const ann = `"type":"identity_pool_user","identity_pool_id":"people","identity_pool_user_id":"ann"`
	w.acme("POST", "/tenant/roles/grant", `{`+ann+`,"role":"auditor"}`).want(204)
	w.acme("POST", "/servers/default/roles/grant", `{`+ann+`,"role":"manager"}`).want(204)
	w.acme("POST", "/pools/people/roles/grant", `{`+ann+`,"role":"user_manager"}`).want(204)
	see := func(raw string) []string {
		var seen []string
		for _, row := range w.do(raw, "GET", "/api/admin/acme/pools/people/users/ann/roles", nil).want(200).json()["resources"].([]any) {
			r := row.(map[string]any)
			seen = append(seen, fmt.Sprint(r["type"], " ", r["tenant_id"], " ", r["workspace_id"], " ", r["identity_pool_id"], " ", r["role"]))
		}
		return seen
	}
	all := []string{"identity_pool acme <nil> people user_manager", "tenant acme <nil> <nil> auditor", "workspace acme default <nil> manager"}
	if d := cmp.Diff(all, see(w.admin)); d != "" {
		t.Error(d)
	}
	// Who may read roles on the pool alone does not learn of the others.
	if d := cmp.Diff(all[:1], see(w.holder("user_manager@/people"))); d != "" {
		t.Error(d)
	}
	w.acme("GET", "/pools/people/users/nobody/roles", nil).refused(404, "")
	w.acme("GET", "/pools/none/users/ann/roles", nil).refused(404, "")
}

// A role counts from the moment it is granted to the moment it is taken away,
// for a token that was issued before.
func TestRolesAreReadLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("staff")
	w.user("staff", "ann")
	by := w.connect(tenant.Admin, "staff")
	_, ann := w.person(by, "ann")
	const path = "/api/admin/acme/servers/default"
	w.do(ann, "GET", path, nil).refused(403, "")
	for _, who := range []string{
		`"type":"identity_pool_user","identity_pool_id":"staff","identity_pool_user_id":"ann"`,
		`"type":"idp","workspace_id":"admin","idp_id":"` + by.ID + `"`,
	} {
		body := `{` + who + `,"role":"auditor"}`
		w.acme("POST", "/servers/default/roles/grant", body).want(204)
		w.do(ann, "GET", path, nil).want(200)
		w.do(ann, "PUT", path, `{}`).refused(403, "")
		w.acme("DELETE", "/servers/default/roles/revoke", body).want(204)
		w.do(ann, "GET", path, nil).refused(403, "")
	}
}
