package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// groups are the ids in a bare array of groups.
func (a *answer) groups() []string {
	a.t.Helper()
	a.want(200)
	var all []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(a.body, &all); err != nil || all == nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	out := []string{}
	for _, g := range all {
		out = append(out, g.ID)
	}
	return out
}

func TestGroup(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		h.user("people", "ann")
		const all, ann = "/pools/people/groups", "/pools/people/users/ann/groups"
		if got := do("GET", all, nil).groups(); len(got) != 0 {
			t.Errorf("groups %q", got)
		}
		made := do("POST", all, `{"id":"staff","name":"Staff","tenant_id":"other","user_pool_id":"","nonsense":1}`).want(201).has(
			"id", "staff", "name", "Staff", "description", "", "parent_id", "", "tenant_id", "acme", "user_pool_id", "people")
		if got := do("GET", all+"/staff", nil).want(200); string(got.body) != string(made.body) {
			t.Errorf("read %s, created %s", got.body, made.body)
		}
		do("POST", all, `{"id":"ops","name":"Ops","parent_id":"staff","description":"on call"}`).want(201).has("parent_id", "staff")
		do("PUT", all+"/ops", `{"id":"renamed","name":"Operations"}`).want(200).has("id", "ops", "name", "Operations", "description", "on call", "parent_id", "staff")
		do("DELETE", all+"/staff", nil).refused(409, "")

		for range 2 {
			do("PUT", all+"/ops/users/ann", nil).want(204)
		}
		do("GET", ann+"/ops", nil).want(204)
		do("GET", ann+"/staff", nil).refused(404, "")
		do("GET", ann+"/staff?with_nested_groups=true", nil).want(204)
		do("GET", all+"/staff/users", nil).want(200).has("users", []any{})
		do("GET", all+"/staff/users?with_nested_groups=true", nil).want(200).has("users.0.id", "ann", "users.0.verified addresses", []any{"ann@example.com"})
		for path, want := range map[string][]string{
			all: {"staff"}, all + "?parent_id=staff": {"ops"}, all + "?with_nested_groups=1": {"ops", "staff"},
			all + `?with_nested_groups=1&query={"name":"OPER"}`: {"ops"}, all + "?with_nested_groups=1&after_group_id=ops": {"staff"},
			all + "?with_nested_groups=1&before_group_id=staff&limit=1": {"ops"},
			ann: {"ops"}, ann + "?with_parent_groups=true": {"ops", "staff"}, ann + `?query={"name":"x"}`: {},
		} {
			if d := cmp.Diff(want, do("GET", path, nil).groups()); d != "" {
				t.Errorf("%s: %s", path, d)
			}
		}
		for range 2 {
			do("DELETE", all+"/ops/users/ann", nil).want(204)
		}
		do("GET", ann+"/ops", nil).refused(404, "")
		do("DELETE", all+"/ops", nil).want(204)
		do("DELETE", all+"/staff", nil).want(204)
	})
}

func TestGroupRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.user("people", "ann")
	const all = "/pools/people/groups"
	h.asAdmin("POST", all, `{"id":"staff","name":"Staff"}`).want(201)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"no JSON", "POST", all, `{"name":`, 400, ""},
		{"no object", "PUT", all + "/staff", `[]`, 400, ""},
		{"wrong type", "POST", all, `{"name":7}`, 400, "name"},
		{"no name", "POST", all, `{}`, 422, "name"},
		{"bad id", "POST", all, `{"id":"a/b","name":"x"}`, 422, "id"},
		{"id taken", "POST", all, `{"id":"staff","name":"x"}`, 409, "id"},
		{"name taken", "POST", all, `{"name":"sTAFF"}`, 409, "name"},
		{"no such parent", "POST", all, `{"name":"x","parent_id":"none"}`, 422, "parent_id"},
		{"inside itself", "PUT", all + "/staff", `{"parent_id":"staff"}`, 422, "parent_id"},
		{"no such group", "PUT", all + "/none", `{}`, 404, ""},
		{"no such user", "PUT", all + "/staff/users/none", ``, 404, ""},
		{"no such group", "DELETE", all + "/none/users/ann", ``, 404, ""},
		{"no such parent", "GET", all + "?parent_id=none", ``, 404, ""},
		{"no query", "GET", all + "?query=x", ``, 400, "query"},
		{"unknown query", "GET", all + `?query={"id":"x"}`, ``, 422, "query"},
		{"bad choice", "GET", all + "?with_nested_groups=maybe", ``, 400, "with_nested_groups"},
		{"bad limit", "GET", "/pools/people/users/ann/groups?limit=0", ``, 400, "limit"},
		{"bad limit", "GET", all + "/staff/users?limit=101", ``, 400, "limit"},
		{"old tag", "DELETE", all + "/staff", ``, 412, ""},
		{"old tag", "PUT", all + "/staff/users/ann", ``, 412, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if tc.status == 412 {
				header = []string{"If-Match", `"99999999-0"`}
			}
			h.asAdmin(tc.method, tc.path, tc.body, header...).refused(tc.status, tc.field)
			h.asSystem(tc.method, tc.path, tc.body, header...).refused(tc.status, tc.field)
		})
	}
}

// Who may manage the users of a pool may manage its groups; who may read it, read
// them.
func TestGroupPermissions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	const all = adminPath + "/pools/people/groups"
	for who, may := range map[string][2]int{
		"user_manager@/people": {200, 201}, "auditor": {200, 403}, "member": {403, 403}, "admin": {200, 201},
	} {
		raw := h.holder(who)
		for i, a := range []*answer{h.do(raw, "GET", all, nil), h.do(raw, "POST", all, `{"name":"`+who+`"}`)} {
			if a.status != may[i] {
				t.Errorf("%s %s: %d %s", who, a.what, a.status, a.body)
			}
		}
	}
}
