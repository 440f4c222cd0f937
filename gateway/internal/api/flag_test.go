package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/flag"
)

// feature returns one row of an answer with flags, or nil.
func (a *answer) feature(name string) map[string]any {
	a.t.Helper()
	for _, row := range a.json()["features"].([]any) {
		if f := row.(map[string]any); f["name"] == name {
			return f
		}
	}
	return nil
}

func TestTenantFeatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const features, feature = "/api/admin/tenants/acme/features", "/api/admin/tenants/acme/feature"
	got := w.do(w.root, "GET", features, nil).want(200)
	if n := len(got.json()["features"].([]any)); n != len(flag.Known()) {
		t.Errorf("%d flags, want all %d", n, len(flag.Known()))
	}
	if d := cmp.Diff([]string{"description", "enabled", "name", "type"}, members(got.feature("plugins"))); d != "" {
		t.Error(d)
	}
	if got.feature("custom_apps")["enabled"] != false || got.feature("webauthn")["enabled"] != true {
		t.Errorf("defaults: %s", got.body)
	}
	w.do(w.root, "POST", feature, `{"flag":"custom_apps","value":true}`).want(204)
	w.do(w.root, "POST", feature, `{"flag":"plugins","value":true}`).want(204)
	if f := w.do(w.root, "GET", features, nil).want(200).feature("custom_apps"); f["enabled"] != true {
		t.Errorf("not switched on: %v", f)
	}
	if f := w.do(w.root, "GET", "/api/admin/tenants/other/features", nil).want(200).feature("custom_apps"); f["enabled"] != false {
		t.Errorf("switched on in another tenant: %v", f)
	}
	// Generated clients leave a false value out.
	w.do(w.root, "POST", feature, `{"flag":"custom_apps"}`).want(204)
	if f := w.do(w.root, "GET", features, nil).want(200).feature("custom_apps"); f["enabled"] != false {
		t.Errorf("not switched off: %v", f)
	}
	unknown := w.do(w.root, "POST", feature, `{"flag":"time_travel","value":true}`)
	unknown.refused(404, "flag")
	for _, d := range flag.Known() {
		if !strings.Contains(string(unknown.body), d.Name) {
			t.Errorf("does not name %s: %s", d.Name, unknown.body)
		}
	}
	w.do(w.root, "POST", feature, `{"value":true}`).refused(422, "flag")
	w.do(w.root, "POST", feature, `{"flag":"custom_apps","value":"yes"}`).refused(400, "value")
	w.do(w.root, "POST", "/api/admin/tenants/nobody/feature", `{"flag":"custom_apps","value":true}`).refused(404, "")
	w.do(w.root, "GET", "/api/admin/tenants/nobody/features", nil).refused(404, "")
}

func TestBetaFeatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.acme("GET", "/beta-features", nil).want(200)
	if d := cmp.Diff([]string{"description", "display_name", "enabled", "name"}, members(got.feature("custom_apps"))); d != "" {
		t.Error(d)
	}
	if got.feature("plugins") != nil {
		t.Error("plugins are not the tenant's to switch, yet they are offered")
	}
	w.acme("POST", "/beta-feature", `{"flag":"custom_apps","value":true}`).want(204)
	if f := w.acme("GET", "/beta-features", nil).want(200).feature("custom_apps"); f["enabled"] != true {
		t.Errorf("not switched on: %v", f)
	}
	for _, name := range []string{"plugins", "time_travel"} {
		a := w.acme("POST", "/beta-feature", `{"flag":"`+name+`","value":true}`)
		a.refused(404, "flag")
		if !strings.Contains(string(a.body), "custom_apps") || strings.Contains(string(a.body), "dpop, plugins") {
			t.Errorf("%s: names the wrong flags: %s", name, a.body)
		}
	}
	w.do(w.holder("auditor"), "GET", "/api/admin/acme/beta-features", nil).want(200)
	w.do(w.holder("auditor"), "POST", "/api/admin/acme/beta-feature", `{"flag":"custom_apps","value":true}`).refused(403, "")
}
