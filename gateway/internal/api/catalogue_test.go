package api_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
)

func TestCatalogue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	services, scopes, claims := client.Defaults("acme", "default", "regular")
	if n := len(w.acme("GET", "/servers/default/claims", nil).want(200).ids("claims")); n != len(claims) {
		t.Errorf("%d claims, want the %d that a workspace starts with", n, len(claims))
	}
	got := w.acme("GET", "/servers/default/scopes", nil).want(200)
	if n := len(got.ids("scopes")); n != len(scopes) {
		t.Errorf("%d scopes, want the %d that a workspace starts with", n, len(scopes))
	}
	for _, row := range got.json()["scopes"].([]any) {
		if s := row.(map[string]any); s["name"] == "openid" && s["service"].(map[string]any)["id"] != "default-profile" {
			t.Errorf("the scope comes without its service: %v", s)
		}
	}
	if d := cmp.Diff(got.json(), w.backend("GET", "/scopes/default", nil).want(200).json()); d != "" {
		t.Errorf("a backend sees other scopes: %s", d)
	}
	all := w.acme("GET", "/servers/default/services", nil).want(200)
	if n := len(all.ids("services")); n != len(services) {
		t.Errorf("%d services, want the %d that a workspace starts with", n, len(services))
	}
	i := slices.Index(all.ids("services"), "default-profile")
	all.has("services."+string(rune('0'+i))+".audience", "default-profile", "services."+string(rune('0'+i))+".number_of_scopes", 6.0)
	for q, want := range map[string][]string{
		"?service_types=oidc":                          {"default-profile"},
		"?search_phrase=PROFILE":                       {"default-profile"},
		"?service_types=user":                          {},
		"?service_types=oidc,oauth2&limit=1":           {"default-oauth2"},
		"?service_types=oidc,oauth2&sort=name&limit=1": {"default-oauth2"},
	} {
		if d := cmp.Diff(want, w.acme("GET", "/servers/default/services"+q, nil).want(200).ids("services")); d != "" {
			t.Errorf("%s: %s", q, d)
		}
	}
	w.acme("GET", "/servers/default/services?service_types=planet", nil).refused(400, "service_types")
	for _, name := range []string{"claims", "scopes", "services"} {
		w.acme("GET", "/servers/none/"+name, nil).refused(404, "")
		w.do(w.holder("member@default"), "GET", "/api/admin/acme/servers/default/"+name, nil).refused(403, "")
	}
	w.backend("GET", "/scopes/none", nil).refused(404, "")
	w.do(w.scoped("view_clients"), "GET", "/api/system/acme/scopes/default", nil).refused(403, "")
}
