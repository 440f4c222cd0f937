package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/role"
)

func TestPoolRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("shared")
	h.asAdmin("POST", "/workspace/default/pools", `{"id":"mine","name":"mine"}`).want(201)
	h.asAdmin("POST", "/workspace/default/pools", `{"id":"mine2","name":"mine2"}`).want(201)
	for _, tc := range []struct {
		holds                    string
		all, within              []string // nil: refused
		get, put, create, inside int
	}{
		{"admin", []string{"mine", "mine2", "shared"}, []string{"mine", "mine2"}, 200, 200, 201, 201},
		{"business_admin", []string{"mine", "mine2", "shared"}, []string{"mine", "mine2"}, 200, 200, 201, 201},
		{"auditor", []string{"mine", "mine2", "shared"}, []string{"mine", "mine2"}, 200, 403, 403, 403},
		{"member", []string{}, nil, 403, 403, 403, 403},
		{"admin@default", []string{"mine", "mine2"}, []string{"mine", "mine2"}, 200, 200, 403, 201},
		{"manager@default", []string{"mine", "mine2"}, []string{"mine", "mine2"}, 200, 200, 403, 201},
		{"auditor@default", []string{"mine", "mine2"}, []string{"mine", "mine2"}, 200, 403, 403, 403},
		{"user_manager@default", []string{"mine", "mine2"}, []string{"mine", "mine2"}, 200, 403, 403, 403},
		{"member@default", []string{}, []string{}, 403, 403, 403, 403},
		{"user_manager@default/mine", []string{"mine"}, nil, 200, 403, 403, 403},
		{"admin@admin", []string{}, nil, 403, 403, 403, 403},
	} {
		bearer := h.holder(tc.holds)
		do := func(method, path, body string) *answer { return h.do(bearer, method, adminPath+path, body) }
		for path, want := range map[string][]string{"/pools": tc.all, "/workspace/default/pools": tc.within} {
			a := do("GET", path, "")
			if want == nil {
				a.refused(403, "")
			} else if d := cmp.Diff(want, a.want(200).ids("pools")); d != "" {
				t.Errorf("%s: %s: %s", tc.holds, path, d)
			}
		}
		name := strings.NewReplacer("@", " ", "/", " ").Replace(tc.holds)
		for path, want := range map[string]int{
			"GET /pools/mine": tc.get, "PUT /pools/mine": tc.put, "POST /pools": tc.create, "POST /workspace/default/pools": tc.inside,
		} {
			method, path, _ := strings.Cut(path, " ")
			body := map[string]string{"PUT": `{"name":"mine"}`, "POST": fmt.Sprintf(`{"name":"%s %d"}`, name, len(path))}[method]
			a := do(method, path, body)
			if a.status != want {
				t.Errorf("%s: %s: status %d, want %d", tc.holds, a.what, a.status, want)
			}
			if a.status == 201 {
				h.asAdmin("DELETE", "/pools/"+a.json()["id"].(string), nil).want(204)
			}
		}
	}
	// Without a role, what is not there looks like what is.
	h.do(h.holder("admin@admin"), "GET", adminPath+"/pools/nowhere", nil).refused(403, "")
	// Ends of a pool are for administrators.
	h.do(h.holder("business_admin"), "DELETE", adminPath+"/pools/mine", nil).refused(403, "")
	h.do(h.holder("manager@default"), "DELETE", adminPath+"/pools/mine", nil).refused(403, "")
	h.do(h.holder("admin@default"), "DELETE", adminPath+"/workspace/default/pools/mine", nil).want(204)
}

func TestCheckPoolPermissions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	all := h.asAdmin("GET", "/pools/people/permissions", nil).want(200).json()
	var names []string
	for name, yes := range all {
		names = append(names, name)
		if yes != true {
			t.Errorf("the administrator may not %s", name)
		}
	}
	slices.Sort(names)
	if d := cmp.Diff(strings.Fields(`b2b_manage_admin_metadata b2b_manage_business_metadata b2b_manage_users b2b_read_admin_metadata
		b2b_read_business_metadata b2b_read_users delete_identity_pool get_identity_pool manage_identity_pool_groups manage_identity_pool_users
		manage_user_addresses manage_user_identifiers manage_user_manager_role manage_user_otps manage_user_passwords read_identity_pool_groups
		read_identity_pool_users read_roles send_user_activation send_user_verification update_identity_pool`), names); d != "" {
		t.Error(d)
	}
	h.do(h.holder("user_manager@/people"), "GET", adminPath+"/pools/people/permissions", nil).want(200).has(
		"manage_identity_pool_users", true, "get_identity_pool", true, "update_identity_pool", false, "delete_identity_pool", false,
		"b2b_manage_admin_metadata", false, "manage_user_manager_role", false)
	h.do(h.holder("manager@default"), "GET", adminPath+"/pools/people/permissions", nil).refused(403, "")
	h.asAdmin("GET", "/pools/nowhere/permissions", nil).refused(404, "")
}

// Roles on a pool end with it: a pool that is made again gives none.
func TestPoolMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	bearer := h.holder("user_manager@/people")
	h.do(bearer, "GET", adminPath+"/pools/people", nil).want(200)
	h.asAdmin("DELETE", "/pools/people", nil).want(204)
	h.pool("people")
	h.do(bearer, "GET", adminPath+"/pools/people", nil).refused(403, "")
}

// Opening a pool to everybody gives everybody the roles of those who come by it.
func TestOpenRegistration(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.asAdmin("POST", "/workspace/default/pools?with_idp=true", `{"id":"p","name":"P"}`).want(201)
	linked, err := h.idps.ListByPool(t.Context(), "acme", "p")
	h.ok(err)
	manager := h.holder("manager@default")
	put := func(bearer, open string) *answer {
		return h.do(bearer, "PUT", adminPath+"/pools/p", `{"name":"P","public_registration_allowed":`+open+`}`)
	}
	put(manager, "true").want(200)
	put(manager, "false").want(200)
	name, on := h.resource("auditor@default")
	h.ok(h.roles.Grant(t.Context(), on, role.IDP("acme", "default", linked[0].ID, linked[0].Epoch), name))
	put(manager, "false").want(200)
	put(manager, "true").refused(403, "")
	put(h.admin, "true").want(200)
	put(manager, "true").want(200) // as it was
}
