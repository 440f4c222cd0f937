package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/limit"
)

func TestBruteForceLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/bruteforce"
	w.acme("GET", path, nil).want(200).has("brute_force_limits", []any{})
	made := w.acme("PUT", path, `{"tenant_id":"other","protected_type":"mfa","max_attempts":3,"block_duration":"2m0s"}`).want(201)
	want := map[string]any{"tenant_id": "acme", "protected_type": "mfa", "max_attempts": 3.0, "block_duration": "2m0s"}
	if d := cmp.Diff(want, made.json()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{want}, w.acme("GET", path, nil).want(200).at("brute_force_limits")); d != "" {
		t.Error(d)
	}
	w.do(w.other, "GET", "/api/admin/other/bruteforce", nil).want(200).has("brute_force_limits", []any{})
	again := w.acme("PUT", path, `{"protected_type":"mfa","max_attempts":4,"block_duration":"2m0s"}`, "If-Match", made.tag()).want(201)
	w.acme("PUT", path, `{"protected_type":"mfa","max_attempts":5,"block_duration":"2m0s"}`, "If-Match", made.tag()).want(412)
	w.acme("PUT", path, `{"protected_type":"identity_code_verify","max_attempts":5,"block_duration":"2m0s"}`, "If-Match", made.tag()).want(412)
	w.acme("PUT", path, `{"protected_type":"identity_code_verify","max_attempts":0}`).want(201).has("max_attempts", 0.0, "block_duration", "0s")
	w.acme("DELETE", path+"/mfa", nil, "If-Match", made.tag()).want(412)
	w.acme("DELETE", path+"/mfa", nil, "If-Match", again.tag()).want(204)
	w.acme("DELETE", path+"/mfa", nil).refused(404, "")
	w.acme("DELETE", path+"/pasword", nil).refused(404, "")
	if n := len(w.acme("GET", path, nil).want(200).at("brute_force_limits").([]any)); n != 1 {
		t.Errorf("%d limits are left, want 1", n)
	}
}

func TestBruteForceLimitInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tc := range []struct {
		field, body string
		status      int
	}{
		{"max_attempts", `{"protected_type":"mfa","block_duration":"1m0s"}`, 422},
		{"block_duration", `{"protected_type":"mfa","max_attempts":5}`, 422},
		{"block_duration", `{"protected_type":"mfa","max_attempts":5,"block_duration":"0s"}`, 422},
		{"block_duration", `{"protected_type":"mfa","max_attempts":5,"block_duration":"48h0m0s"}`, 422},
		{"max_attempts", `{"protected_type":"mfa","max_attempts":-5,"block_duration":"1m0s"}`, 422},
		{"protected_type", `{"max_attempts":5,"block_duration":"1m0s"}`, 422},
		{"max_attempts", `{"protected_type":"mfa","max_attempts":"5","block_duration":"1m0s"}`, 400},
	} {
		w.acme("PUT", "/bruteforce", tc.body).refused(tc.status, tc.field)
	}
	unknown := w.acme("PUT", "/bruteforce", `{"protected_type":"password","max_attempts":5,"block_duration":"1m0s"}`)
	unknown.refused(422, "protected_type")
	for _, kind := range limit.Kinds() {
		if !strings.Contains(string(unknown.body), kind) {
			t.Errorf("does not name %s: %s", kind, unknown.body)
		}
	}
	w.acme("GET", "/bruteforce", nil).want(200).has("brute_force_limits", []any{})
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/admin/tenants/acme/rate-limits"
	all := w.do(w.root, "GET", path, nil).want(200)
	if d := cmp.Diff([]string{"admin_api", "identity_api", "identity_public", "oauth2_token", "system_api"}, members(all.at("global").(map[string]any))); d != "" {
		t.Error(d)
	}
	all.has("tenant", map[string]any{})
	w.do(w.root, "PUT", path+"/oauth2_token", `{"rate":5,"burst":10}`).want(204)
	w.do(w.root, "PUT", path+"/oauth2_token", `{"rate":6,"burst":10,"period":"1m0s"}`).want(204)
	want := map[string]any{"oauth2_token": map[string]any{"rate": 6.0, "burst": 10.0, "period": "1m0s"}}
	if d := cmp.Diff(want, w.do(w.root, "GET", path, nil).want(200).at("tenant")); d != "" {
		t.Error(d)
	}
	w.do(w.root, "GET", "/api/admin/tenants/other/rate-limits", nil).want(200).has("tenant", map[string]any{})
	w.do(w.root, "DELETE", path+"/oauth2_token", nil).want(204)
	w.do(w.root, "DELETE", path+"/oauth2_token", nil).refused(404, "")
	w.do(w.root, "PUT", path+"/pages", `{"rate":5,"burst":10}`).refused(404, "module")
	w.do(w.root, "PUT", path+"/oauth2_token", `{"rate":0,"burst":10}`).refused(422, "rate")
	w.do(w.root, "PUT", path+"/oauth2_token", `{"rate":5,"burst":10,"period":"soon"}`).refused(400, "period")
	const nobody = "/api/admin/tenants/nobody/rate-limits"
	w.do(w.root, "GET", nobody, nil).refused(404, "")
	w.do(w.root, "PUT", nobody+"/oauth2_token", `{"rate":5,"burst":10}`).refused(404, "")
	w.do(w.root, "DELETE", nobody+"/oauth2_token", nil).refused(404, "")
	w.do(w.admin, "GET", path, nil).want(401) // a tenant does not set its own
}

// Requests count by tenant, family and network, before anybody looks at the
// token.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/admin/tenants/acme/rate-limits/admin_api"
	w.do(w.root, "PUT", path, `{"rate":1,"burst":3,"period":"1m0s"}`).want(204)
	for range 2 {
		w.acme("GET", "/tenant", nil).want(200)
	}
	w.do("garbage", "GET", "/api/admin/acme/tenant", nil).want(401)
	refused := w.acme("GET", "/tenant", nil)
	refused.refused(429, "")
	refused.has("error", "Too many requests")
	if got := refused.header.Get("Retry-After"); got != "60" {
		t.Errorf("Retry-After: %q, want 60", got)
	}
	w.do(w.other, "GET", "/api/admin/other/tenant", nil).want(200)
	w.do(w.admin, "GET", adminPath+"/pools", nil).want(200) // of the module identity_api
	w.do(w.root, "DELETE", path, nil).want(204)             // whatever a tenant's limit is
	w.acme("GET", "/tenant", nil).want(200)
}
