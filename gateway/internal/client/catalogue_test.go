package client_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// The scopes that every workspace has, by service (published API, section 26).
var published = map[string]string{
	"oauth2":                       "introspect_tokens revoke_tokens list_clients_with_access revoke_client_access dcr_register dcr_manage",
	"profile":                      "openid email profile address phone offline_access",
	"user-privacy-consent":         "manage_consents view_consents",
	"transient-one-time-passwords": "transient_otp",
	"self-service":                 "view_ss_profile manage_ss_profile view_sessions manage_sessions manage_tokens",
}

// administration is every system:SCOPE of the published API.
const administration = `identity identity_self_registration manage_clients manage_configuration manage_logins manage_post_authn
	manage_scope_grants manage_secrets manage_servers read_configuration read_secrets revoke_tokens view_audit_events view_clients view_scopes`

func TestDefaultScopes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tenant, workspace, typ string
		more                   string
	}{
		{"acme", "shop", tenant.TypeRegular, ""},
		{"acme", "org", tenant.TypeOrganization, ""},
		{"acme", "admin", tenant.TypeAdmin, ""},
		{"acme", "system", tenant.TypeSystem, administration},
		{tenant.Root, "admin", tenant.TypeAdmin, ""},
		{tenant.Root, "system", tenant.TypeSystem, administration + " manage_tenants view_tenants"},
	} {
		t.Run(tc.tenant+"/"+tc.workspace, func(t *testing.T) {
			t.Parallel()
			services, scopes, _ := client.Defaults(tc.tenant, tc.workspace, tc.typ)
			want := map[string][]string{}
			for id, list := range published {
				want[tc.workspace+"-"+id] = strings.Fields(list)
			}
			if tc.more != "" {
				own := strings.Fields(tc.more)
				want[tc.workspace+"-system"] = slices.DeleteFunc(own, func(s string) bool { return s == "revoke_tokens" })
			}
			got := map[string][]string{}
			for _, s := range services {
				got[s.ID] = []string{}
				if s.TenantID != tc.tenant || s.WorkspaceID != tc.workspace || !s.System || s.Name == "" {
					t.Errorf("%+v", s)
				}
			}
			for _, s := range scopes {
				got[s.ServiceID] = append(got[s.ServiceID], s.Name)
				if s.ID != tc.workspace+"-"+s.Name || s.TenantID != tc.tenant || s.WorkspaceID != tc.workspace || s.DisplayName == "" || s.Description == "" {
					t.Errorf("%+v", s)
				}
			}
			for _, m := range []map[string][]string{want, got} {
				for _, list := range m {
					slices.Sort(list)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
	all := client.SystemScopes("acme")
	slices.Sort(all)
	if d := cmp.Diff(strings.Fields(administration), all); d != "" {
		t.Error(d)
	}
}

func TestDefaultClaims(t *testing.T) {
	t.Parallel()
	_, _, claims := client.Defaults("acme", "shop", tenant.TypeRegular)
	got := map[string][]string{}
	for _, c := range claims {
		got[c.Scopes[0]] = append(got[c.Scopes[0]], c.Name)
		if c.Type != "id_token" || c.SourceType != "authnCtx" || c.SourcePath != c.Name || len(c.Scopes) != 1 {
			t.Errorf("%+v", c)
		}
	}
	want := map[string][]string{
		"profile": strings.Fields("name given_name middle_name family_name nickname preferred_username profile picture website gender birthdate zoneinfo locale updated_at"),
		"email":   {"email", "email_verified"},
		"phone":   {"phone_number", "phone_number_verified"},
		"address": strings.Fields("address.formatted address.street_address address.locality address.region address.country address.postal_code"),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	scopes, err := b.Scopes.Views(t.Context(), desk)
	if err != nil || len(scopes) != 34 || scopes[0].Name != "address" || scopes[0].Service == nil || scopes[0].Service.ID != "system-profile" {
		t.Fatalf("%d %v", len(scopes), err)
	}
	changed := scopes[0].Scope
	changed.ImplicitGrant = true
	if _, err := b.Scopes.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	w, err := b.tenants.Workspaces.Get(t.Context(), desk)
	if err != nil {
		t.Fatal(err)
	}
	b.taken()
	if err := b.Seed(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"workspace acme/system system"}, b.taken()); d != "" {
		t.Error(d)
	}
	again, err := b.Scopes.All(t.Context(), desk)
	if err != nil || len(again) != 34 || !again[0].ImplicitGrant {
		t.Errorf("seeding again changed something: %d %v", len(again), err)
	}
	if claims, err := b.Claims.All(t.Context(), desk); err != nil || len(claims) != 24 {
		t.Errorf("%d claims, %v", len(claims), err)
	}
}

// TestSquatting: somebody took the ids that a later workspace would have.
func TestSquatting(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	if _, err := b.Services.Create(t.Context(), client.Service{ID: "late-profile", TenantID: "acme", WorkspaceID: "shop", Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Scopes.Create(t.Context(), client.Scope{ID: "late-openid", TenantID: "acme", WorkspaceID: "shop", Name: "x"}); err != nil {
		t.Fatal(err)
	}
	w := b.workspace(t, "late")
	scopes, err := b.Scopes.Views(t.Context(), w.Key())
	if err != nil || len(scopes) != 20 {
		t.Fatalf("%d %v", len(scopes), err)
	}
	for _, s := range scopes {
		if s.Service == nil || s.Service.WorkspaceID != "late" || s.Name == "openid" && s.ID == "late-openid" {
			t.Errorf("%+v", s)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	scope := func(body string) client.Scope {
		var s client.Scope
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		s.TenantID = "acme"
		return s
	}
	for _, tc := range []struct {
		body, field string
		kind        fault.Kind
	}{
		{`{"name":"x"}`, "authorization_server_id", fault.Unprocessable},
		{`{"name":"x","authorization_server_id":"nowhere"}`, "", fault.NotFound},
		{`{"authorization_server_id":"shop"}`, "name", fault.Unprocessable},
		{`{"name":"two words","authorization_server_id":"shop"}`, "name", fault.Unprocessable},
		{`{"name":"x","authorization_server_id":"shop","metadata":7}`, "metadata", fault.Unprocessable},
		{`{"name":"x","authorization_server_id":"shop","id":"a/b"}`, "id", fault.Unprocessable},
		{`{"name":"x","authorization_server_id":"shop","service_id":"nothing"}`, "service_id", fault.Unprocessable},
		{`{"name":"x","authorization_server_id":"shop","service_id":"system-oauth2"}`, "service_id", fault.Unprocessable},
		{`{"name":"openid","authorization_server_id":"shop"}`, "name", fault.Conflict},
		{`{"name":"x","authorization_server_id":"shop","id":"shop-email"}`, "id", fault.Conflict},
	} {
		_, err := b.Scopes.Create(t.Context(), scope(tc.body))
		wantFault(t, err, tc.kind, tc.field)
	}
	b.taken()
	made, err := b.Scopes.Create(t.Context(), scope(`{"name":"orders.read","authorization_server_id":"shop","service_id":"shop-oauth2","display_name":"Orders","metadata":{"a":1}}`))
	if err != nil || made.ID != "shop-orders.read" {
		t.Fatal(made, err)
	}
	if d := cmp.Diff([]string{"workspace acme/shop shop"}, b.taken()); d != "" {
		t.Error(d)
	}
	odd, err := b.Scopes.Create(t.Context(), scope(`{"name":"https://api.example/x:*","authorization_server_id":"shop"}`))
	if err != nil || len(odd.ID) != 32 {
		t.Error(odd, err)
	}
	view, err := b.Scopes.View(t.Context(), "acme", made.ID)
	if err != nil || view.Service == nil || view.Service.ID != "shop-oauth2" || !view.WithService {
		t.Errorf("%+v %v", view, err)
	}
	if view, err := b.Scopes.View(t.Context(), "acme", odd.ID); err != nil || view.Service != nil || view.WithService {
		t.Errorf("%+v %v", view, err)
	}
	if got := wire(t, view); got["name"] != "orders.read" || got["service"] == nil || got["with_service"] != true {
		t.Errorf("%v", got)
	}

	next, err := b.Scopes.Update(t.Context(), scope(`{"id":"shop-orders.read","name":"orders","implicit":true}`))
	if err != nil || next.Name != "orders" || !next.Implicit || next.ServiceID != "shop-oauth2" || next.WorkspaceID != "shop" || next.DisplayName != "" {
		t.Errorf("%+v %v", next, err)
	}
	stale := next
	stale.Rev = made.Rev
	_, err = b.Scopes.Update(t.Context(), stale)
	wantFault(t, err, fault.Stale, "")
	_, err = b.Scopes.Update(t.Context(), scope(`{"id":"shop-orders.read","name":"openid"}`))
	wantFault(t, err, fault.Conflict, "name")
	_, err = b.Scopes.Update(t.Context(), scope(`{"id":"shop-orders.read","authorization_server_id":"system"}`))
	wantFault(t, err, fault.Unprocessable, "authorization_server_id")
	_, err = b.Scopes.Update(t.Context(), scope(`{"id":"nothing","name":"x"}`))
	wantFault(t, err, fault.NotFound, "")

	// What came with the workspace keeps its name and stays.
	open, err := b.Scopes.Update(t.Context(), scope(`{"id":"shop-openid","name":"openid","implicit_grant":true}`))
	if err != nil || !open.ImplicitGrant {
		t.Error(err)
	}
	_, err = b.Scopes.Update(t.Context(), scope(`{"id":"shop-openid","name":"closed"}`))
	wantFault(t, err, fault.Unprocessable, "name")
	wantFault(t, b.Scopes.Delete(t.Context(), "acme", "shop-openid", 0), fault.Denied, "")
	wantFault(t, b.Scopes.Delete(t.Context(), "acme", "system-identity", 0), fault.Denied, "")
	wantFault(t, b.Scopes.Delete(t.Context(), "acme", next.ID, made.Rev), fault.Stale, "")
	if err := b.Scopes.Delete(t.Context(), "acme", next.ID, next.Rev); err != nil {
		t.Error(err)
	}
	wantFault(t, b.Scopes.Delete(t.Context(), "acme", next.ID, 0), fault.NotFound, "")
	_, err = b.Scopes.Get(t.Context(), "nobody", "shop-openid")
	wantFault(t, err, fault.NotFound, "")
}

func TestServices(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	service := func(body string) client.Service {
		s := client.Service{TenantID: "acme", WorkspaceID: "shop"}
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for body, field := range map[string]string{
		`{}`: "name", `{"name":"x","type":"rest"}`: "type", `{"name":"x","id":".."}`: "id", `{"name":"x","authorization_server_id":""}`: "authorization_server_id",
	} {
		_, err := b.Services.Create(t.Context(), service(body))
		wantFault(t, err, fault.Unprocessable, field)
	}
	made, err := b.Services.Create(t.Context(), service(`{"name":"Orders","custom_audience":"https://orders.example","system":false}`))
	if err != nil || made.Type != "user" || len(made.ID) != 32 || made.Audience() != "https://orders.example" || !made.UpdatedAt.Equal(b.now.UTC()) {
		t.Fatalf("%+v %v", made, err)
	}
	if d := cmp.Diff([]string{"workspace acme/shop shop", "event acme/shop service_created"}, b.taken()); d != "" {
		t.Error(d)
	}
	_, err = b.Services.Create(t.Context(), service(`{"name":"x","id":"shop-oauth2"}`))
	wantFault(t, err, fault.Conflict, "id")
	read, err := b.Services.Get(t.Context(), "acme", made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, read); d != "" {
		t.Error(d)
	}
	if _, err := b.Scopes.Create(t.Context(), client.Scope{TenantID: "acme", WorkspaceID: "shop", Name: "orders", ServiceID: made.ID}); err != nil {
		t.Fatal(err)
	}
	if list, err := b.Services.Scopes(t.Context(), &made); err != nil || len(list) != 1 || list[0].Name != "orders" {
		t.Error(list, err)
	}
	next, err := b.Services.Update(t.Context(), client.Service{ID: made.ID, TenantID: "acme", Name: "Bills", System: true, Rev: made.Rev})
	if err != nil || next.Name != "Bills" || next.System || next.WorkspaceID != "shop" || next.Audience() != next.ID {
		t.Errorf("%+v %v", next, err)
	}
	_, err = b.Services.Update(t.Context(), made)
	wantFault(t, err, fault.Stale, "")
	system, err := b.Services.Update(t.Context(), client.Service{ID: "shop-oauth2", TenantID: "acme", Name: "OAuth", Type: "user"})
	if err != nil || system.Type != "oauth2" || !system.System {
		t.Errorf("%+v %v", system, err)
	}
	wantFault(t, b.Services.Delete(t.Context(), "acme", "shop-oauth2", 0), fault.Denied, "")
	wantFault(t, b.Services.Delete(t.Context(), "acme", made.ID, made.Rev), fault.Stale, "")
	if err := b.Services.Delete(t.Context(), "acme", made.ID, next.Rev); err != nil {
		t.Fatal(err)
	}
	_, err = b.Scopes.Get(t.Context(), "acme", "shop-orders")
	wantFault(t, err, fault.NotFound, "")

	for _, tc := range []struct {
		name   string
		filter client.ServiceFilter
		want   string
	}{
		{"by id", client.ServiceFilter{}, "shop-oauth2 shop-profile shop-self-service shop-transient-one-time-passwords shop-user-privacy-consent"},
		{"by name", client.ServiceFilter{Sort: "name", Page: store.Page{Limit: 2}}, "shop-oauth2 shop-profile"},
		{"types", client.ServiceFilter{Types: []string{"oidc", "oauth2"}}, "shop-oauth2 shop-profile"},
		{"phrase", client.ServiceFilter{Search: "SELF s"}, "shop-self-service"},
		{"after", client.ServiceFilter{Page: store.Page{After: "shop-self-service", Limit: 1}}, "shop-transient-one-time-passwords"},
	} {
		list, err := b.Services.List(t.Context(), shop, tc.filter)
		ids := []string{}
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tc.want {
			t.Errorf("%s: %q %v", tc.name, got, err)
		}
	}
	for field, f := range map[string]client.ServiceFilter{"sort": {Sort: "x"}, "service_types": {Types: []string{"x"}}} {
		_, err := b.Services.List(t.Context(), shop, f)
		wantFault(t, err, fault.Unprocessable, field)
	}
	if all, err := b.Services.All(t.Context(), desk); err != nil || len(all) != 6 {
		t.Error(len(all), err)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	claim := func(body string) client.Claim {
		c := client.Claim{TenantID: "acme", WorkspaceID: "shop", Name: "city", Type: "id_token", SourceType: "authnCtx", SourcePath: "city"}
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tc := range []struct {
		body, field string
		kind        fault.Kind
	}{
		{`{"name":""}`, "name", fault.Unprocessable},
		{`{"type":""}`, "type", fault.Unprocessable},
		{`{"type":"refresh_token"}`, "type", fault.Unprocessable},
		{`{"source_type":""}`, "source_type", fault.Unprocessable},
		{`{"source_path":""}`, "source_path", fault.Unprocessable},
		{`{"name":"sub"}`, "name", fault.Unprocessable},
		{`{"name":"iss","type":"access_token"}`, "name", fault.Unprocessable},
		{`{"name":"acr"}`, "name", fault.Unprocessable},
		{`{"name":"amr"}`, "name", fault.Unprocessable},
		{`{"name":"pool_id"}`, "name", fault.Unprocessable},
		{`{"name":"grant_id"}`, "name", fault.Unprocessable},
		{`{"name":"clm"}`, "name", fault.Unprocessable},
		{`{"name":"person"}`, "name", fault.Unprocessable},
		{`{"name":"via"}`, "name", fault.Unprocessable},
		{`{"name":"cnf.jkt"}`, "name", fault.Unprocessable},
		{`{"name":"act.sub"}`, "name", fault.Unprocessable},
		{`{"name":"a\nb"}`, "name", fault.Unprocessable},
		{`{"scopes":["a b"]}`, "scopes[0]", fault.Unprocessable},
		{`{"authorization_server_id":""}`, "authorization_server_id", fault.Unprocessable},
		{`{"authorization_server_id":"nowhere"}`, "", fault.NotFound},
		{`{"name":"email"}`, "name", fault.Conflict},
		{`{"id":"shop-id_token-email"}`, "id", fault.Conflict},
	} {
		_, err := b.Claims.Create(t.Context(), claim(tc.body))
		wantFault(t, err, tc.kind, tc.field)
	}
	b.taken()
	made, err := b.Claims.Create(t.Context(), claim(`{"scopes":["profile"],"opaque":true}`))
	if err != nil || len(made.ID) != 32 || made.Mapping != "city" {
		t.Fatalf("%+v %v", made, err)
	}
	if d := cmp.Diff([]string{"workspace acme/shop shop"}, b.taken()); d != "" {
		t.Error(d)
	}
	other, err := b.Claims.Create(t.Context(), claim(`{"name":"email","type":"access_token","source_type":"","source_path":"","mapping":"email"}`))
	if err != nil || other.SourcePath != "email" || other.SourceType != "authnCtx" {
		t.Errorf("%+v %v", other, err)
	}
	fixed, err := b.Claims.Create(t.Context(), claim(`{"name":"app","source_type":"client","source_path":"client_name","mapping":"junk"}`))
	if err != nil || fixed.Mapping != "" {
		t.Errorf("%+v %v", fixed, err)
	}
	next := made
	next.Name, next.WorkspaceID, next.Scopes = "town", "", nil
	next, err = b.Claims.Update(t.Context(), next)
	if err != nil || next.Name != "town" || next.WorkspaceID != "shop" || next.Scopes == nil {
		t.Errorf("%+v %v", next, err)
	}
	_, err = b.Claims.Update(t.Context(), made)
	wantFault(t, err, fault.Stale, "")
	clash := next
	clash.Name = "email"
	_, err = b.Claims.Update(t.Context(), clash)
	wantFault(t, err, fault.Conflict, "name")
	_, err = b.Claims.Update(t.Context(), claim(`{"id":"nothing"}`))
	wantFault(t, err, fault.NotFound, "")
	wantFault(t, b.Claims.Delete(t.Context(), "acme", made.ID, made.Rev), fault.Stale, "")
	err = errors.Join(b.Claims.Delete(t.Context(), "acme", made.ID, next.Rev), b.Claims.Delete(t.Context(), "acme", "shop-id_token-email", 0))
	if err != nil {
		t.Error(err)
	}
	if all, err := b.Claims.All(t.Context(), shop); err != nil || len(all) != 25 {
		t.Error(len(all), err)
	}
	if !made.Released([]string{"openid", "profile"}) || made.Released([]string{"openid"}) || !next.Released(nil) {
		t.Error("release by scopes")
	}
}
