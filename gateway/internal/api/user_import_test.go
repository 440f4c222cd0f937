package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/promote"
)

// results reads the answer to an import.
func (a *answer) results() []promote.Result {
	a.t.Helper()
	var out promote.ImportAnswer
	if err := json.Unmarshal(a.want(200).body, &out); err != nil {
		a.t.Fatal(err)
	}
	return out.Results
}

func TestImportUsers(t *testing.T) {
	t.Parallel()
	families(t, func(t *testing.T, h *house, do func(string, string, any, ...string) *answer) {
		h.pool("people")
		h.asAdmin("POST", "/pools/people/groups", `{"id":"crew","name":"Crew"}`).want(201)
		h.asAdmin("POST", "/pools/people/groups", `{"id":"night","name":"Night","parent_id":"crew"}`).want(201)
		body := strings.Join([]string{
			`{"id":"a","external_id":"1","identifiers":[{"identifier":"a@example.com","type":"email"}],"groups":["Crew","Crew/Night"]}`,
			``,
			`{"id":"b","groups":["Nobody"]}`,
			`{"id":"c","status":"sleeping"}`,
			`not json`,
			`{"id":"d"}`,
		}, "\n")
		const path = "/pools/people/users/import?run=one&row=7"
		got := do("POST", path, body).results()
		for i, want := range []promote.Result{
			{Row: 7, Outcome: pool.ImportCreated, ID: "a"},
			{Row: 9, Outcome: pool.ImportFailed, Field: "groups[0]", Error: `there is no group "Nobody"`},
			{Row: 10, Outcome: pool.ImportFailed, Field: "status"},
			{Row: 11, Outcome: pool.ImportFailed},
			{Row: 12, Outcome: pool.ImportCreated, ID: "d"},
		} {
			if g := got[i]; g.Row != want.Row || g.Outcome != want.Outcome || g.ID != want.ID || g.Field != want.Field || g.Outcome == pool.ImportFailed && g.Error == "" {
				t.Errorf("row %d: %+v, want %+v", want.Row, g, want)
			}
		}
		if again := do("POST", path, body).results(); again[0].Outcome != pool.ImportUnchanged || again[4].Outcome != pool.ImportUnchanged {
			t.Errorf("again: %+v", again)
		}
		page := string(do("GET", "/pools/people/users/export?limit=1", nil).want(200).body)
		if strings.Count(page, "\n") != 1 || !strings.Contains(page, `"groups":["Crew","Crew/Night"]`) || !strings.Contains(page, `"external_id":"1"`) {
			t.Error(page)
		}
		do("GET", "/pools/people/users/export?limit=0", nil).refused(400, "limit")
		do("POST", "/pools/nobody/users/import", `{}`).refused(404, "")
		do("POST", "/pools/people/users/import", strings.Repeat("{}\n", promote.MaxRows+1)).refused(422, "")
	})
}

// Credentials are shown to those alone who could take them anyway.
func TestExportedSecretsNeedARight(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.pool("people")
	h.asAdmin("POST", "/pools/people/users/import", `{"id":"a","credentials":[{"type":"password","hashed_password":"$2b$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}]}`).want(200)
	const path = "/pools/people/users/export?with_credentials=true"
	_, scoped := h.caller("system", "identity")
	_, reads := h.caller("system", "identity", "read_configuration")
	for bearer, want := range map[string]int{h.holder("user_manager@default/people"): 403, h.admin: 200} {
		h.do(bearer, "GET", adminPath+path, nil).want(want)
	}
	h.do(scoped, "GET", systemPath+path, nil).refused(403, "")
	if a := h.do(reads, "GET", systemPath+path, nil).want(200); !strings.Contains(string(a.body), "$2b$04$") {
		t.Error(string(a.body))
	}
	if a := h.do(scoped, "GET", systemPath+"/pools/people/users/export", nil).want(200); strings.Contains(string(a.body), "$2b$") {
		t.Error(string(a.body))
	}
}
