package tenant_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func TestCreateTenant(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		kind       fault.Kind
		field      string
	}{
		{"whole", `{"id":"acme","name":"Acme","url":"https://acme.example","metadata":{"a":1},"styling":{"logo_url":"x"},"settings":{"default_workspace_id":"w"},"jwks":{"keys":[]}}`, 0, ""},
		{"upper case and dots", `{"id":"Acme.Corp_1-x","name":"a"}`, 0, ""},
		{"no name", `{"id":"acme"}`, fault.Unprocessable, "name"},
		{"long name", `{"name":"` + strings.Repeat("n", 201) + `"}`, fault.Unprocessable, "name"},
		{"bad id", `{"id":"a/b","name":"a"}`, fault.Unprocessable, "id"},
		{"dot", `{"id":"..","name":"a"}`, fault.Unprocessable, "id"},
		{"root", `{"id":"system","name":"a"}`, fault.Unprocessable, "id"},
		{"api", `{"id":"api","name":"a"}`, fault.Unprocessable, "id"},
		{"console", `{"id":"Console","name":"a"}`, fault.Unprocessable, "id"},
		{"well-known", `{"id":".well-known","name":"a"}`, fault.Unprocessable, "id"},
		{"gatepost", `{"id":".gatepost","name":"a"}`, fault.Unprocessable, "id"},
		{"identity", `{"id":"identity","name":"a"}`, fault.Unprocessable, "id"},
		{"tenants", `{"id":"tenants","name":"a"}`, fault.Unprocessable, "id"},
		{"configuration", `{"id":"configuration","name":"a"}`, fault.Unprocessable, "id"},
		{"assets", `{"id":"assets","name":"a"}`, fault.Unprocessable, "id"},
		{"healthz", `{"id":"healthz","name":"a"}`, fault.Unprocessable, "id"},
		{"url", `{"name":"a","url":"javascript:1"}`, fault.Unprocessable, "url"},
		{"metadata", `{"name":"a","metadata":[1]}`, fault.Unprocessable, "metadata"},
		{"settings", `{"name":"a","settings":{"security":"x"}}`, fault.Unprocessable, "settings.security"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			var in tenant.Tenant
			if err := json.Unmarshal([]byte(tc.body), &in); err != nil {
				t.Fatal(err)
			}
			made, err := b.Tenants.Create(t.Context(), in)
			if tc.field != "" {
				wantFault(t, err, tc.kind, tc.field)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Tenants.Get(t.Context(), in.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(made, got); d != "" {
				t.Error(d)
			}
			want := map[string]any{"settings": map[string]any{}}
			if err := json.Unmarshal([]byte(tc.body), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, wire(t, got)); d != "" {
				t.Errorf("echo: %s", d)
			}
			if len(got.Epoch) != 32 || got.Rev == 0 {
				t.Errorf("epoch %q, revision %d", got.Epoch, got.Rev)
			}
		})
	}
}

func TestTenantIDs(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, tc := range []struct {
		in   tenant.Tenant
		want string // prefix
	}{
		{tenant.Tenant{Name: "Acme Corp"}, "acme-corp"},
		{tenant.Tenant{Name: "acme corp"}, "acme-corp-"},
		{tenant.Tenant{Name: "Tenants"}, "tenants-"},
		{tenant.Tenant{Name: "日本"}, ""},
	} {
		made, err := b.Tenants.Create(t.Context(), tc.in)
		if err != nil || !strings.HasPrefix(made.ID, tc.want) || tc.want == "acme-corp" && made.ID != tc.want {
			t.Errorf("%q: %q %v", tc.in.Name, made.ID, err)
		}
	}
	_, err := b.Tenants.Create(t.Context(), tenant.Tenant{ID: "acme-corp", Name: "x"})
	wantFault(t, err, fault.Conflict, "id")
}

func TestRootTenant(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	first, err := b.Tenants.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Tenants.Root(t.Context())
	if err != nil || first.Epoch != again.Epoch || again.ID != tenant.Root {
		t.Errorf("%+v %+v %v", first, again, err)
	}
	wantFault(t, b.Tenants.Delete(t.Context(), tenant.Root, 0), fault.Denied, "")
}

func TestListTenants(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for id, metadata := range map[string]string{
		"a": `{"plan":"gold","seats":10,"tags":["x","y"],"owner":{"name":"ann","age":3}}`,
		"b": `{"plan":"free","seats":10.0,"tags":["y"]}`,
		"c": ``,
	} {
		if _, err := b.Tenants.Create(t.Context(), tenant.Tenant{ID: id, Name: id, Metadata: json.RawMessage(metadata)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ name, query, want string }{
		{"all", ``, "a b c"},
		{"no filter", `{}`, "a b c"},
		{"empty filter", `{"metadata":{}}`, "a b c"},
		{"scalar", `{"metadata":{"plan":"gold"}}`, "a"},
		{"numbers by value", `{"metadata":{"seats":10}}`, "a b"},
		{"a number is not a text", `{"metadata":{"seats":"10"}}`, ""},
		{"array contains one", `{"metadata":{"tags":"y"}}`, "a b"},
		{"array contains all", `{"metadata":{"tags":["y","x"]}}`, "a"},
		{"several are ANDed", `{"metadata":{"seats":10,"plan":"free"}}`, "b"},
		{"inner", `{"metadata":{"owner":{"name":"ann"}}}`, "a"},
		{"inner, wrong", `{"metadata":{"owner":{"name":"ann","age":4}}}`, ""},
		{"absent", `{"metadata":{"nothing":null}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := b.Tenants.List(t.Context(), tc.query)
			if err != nil {
				t.Fatal(err)
			}
			ids := []string{}
			for _, v := range list {
				ids = append(ids, v.ID)
			}
			if got := strings.Join(ids, " "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	_, err := b.Tenants.List(t.Context(), `{"metadata":`)
	wantFault(t, err, fault.Invalid, "query")
}

func TestUpdateTenant(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made, err := b.Tenants.Create(t.Context(), tenant.Tenant{ID: "acme", Name: "Acme", JWKS: json.RawMessage(`{"keys":[{"d":"private"}]}`), Metadata: json.RawMessage(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	b.taken()
	next, err := b.Tenants.Update(t.Context(), tenant.Tenant{ID: "acme", Name: "New", Rev: made.Rev})
	if err != nil {
		t.Fatal(err)
	}
	want := tenant.Tenant{ID: "acme", Name: "New", JWKS: made.JWKS, Epoch: made.Epoch, Rev: next.Rev}
	if d := cmp.Diff(want, next); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"tenant acme/ acme"}, b.taken()); d != "" {
		t.Error(d)
	}
	_, err = b.Tenants.Update(t.Context(), tenant.Tenant{ID: "acme", Name: "Old", Rev: made.Rev})
	wantFault(t, err, fault.Stale, "")
	_, err = b.Tenants.Update(t.Context(), tenant.Tenant{ID: "acme"})
	wantFault(t, err, fault.Unprocessable, "name")
	_, err = b.Tenants.Update(t.Context(), tenant.Tenant{ID: "nobody", Name: "x"})
	wantFault(t, err, fault.NotFound, "")
}

// TestDeleteTenant: readers lose it at once, sessions end before the records
// go, nothing of it is left, and a new one with the same id is another one.
func TestDeleteTenant(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	old := b.tenant(t, "acme")
	b.workspace(t, `{"id":"w1"}`)
	b.workspace(t, `{"id":"w2"}`)
	b.fail["purge acme/"] = errors.New("disk")
	if err := b.Tenants.Delete(t.Context(), "acme", 0); err == nil {
		t.Fatal("the purge failed, but not the deletion")
	}
	_, err := b.Tenants.Get(t.Context(), "acme")
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Workspaces.Create(t.Context(), parse(t, `{"id":"w3"}`))
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Tenants.Update(t.Context(), tenant.Tenant{ID: "acme", Name: "x"})
	wantFault(t, err, fault.NotFound, "")
	_, err = b.Tenants.Create(t.Context(), tenant.Tenant{ID: "acme", Name: "x"})
	wantFault(t, err, fault.Conflict, "id")
	if list, err := b.Tenants.List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Error(list, err)
	}

	b.taken()
	delete(b.fail, "purge acme/")
	if err := b.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"revoke.workspace acme/w1 w1", "revoke.workspace acme/w2 w2", "tenant acme/ acme", "purge acme/",
		"event system/admin server_deleted", "event system/admin server_deleted",
	}
	if d := cmp.Diff(want, b.taken()); d != "" {
		t.Error(d)
	}
	wantFault(t, b.Tenants.Delete(t.Context(), "acme", 0), fault.NotFound, "")
	if now := b.tenant(t, "acme"); now.Epoch == old.Epoch {
		t.Error("a new tenant has the epoch of the old one")
	}
	if list, err := b.Workspaces.All(t.Context(), "acme"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

func TestDeleteTenantStale(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	made := b.tenant(t, "acme")
	wantFault(t, b.Tenants.Delete(t.Context(), "acme", made.Rev+1), fault.Stale, "")
	if err := b.Tenants.Delete(t.Context(), "acme", made.Rev); err != nil {
		t.Error(err)
	}
}

// TestSealed looks at the stored documents as a thief would.
func TestSealed(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	secret := strings.Repeat("s3cret-", 6)
	if _, err := b.Tenants.Create(t.Context(), tenant.Tenant{ID: "acme", Name: "a", JWKS: json.RawMessage(`{"keys":[{"d":"` + secret + `"}]}`)}); err != nil {
		t.Fatal(err)
	}
	w := parse(t, `{"id":"w","secret":"`+secret+`","subject_identifier_algorithm_salt":"`+secret+`","rotated_secrets":["`+secret+`"],"jwks":{"keys":[{"d":"`+secret+`"}]}}`)
	if _, err := b.Workspaces.Create(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	for _, table := range []struct{ name, tenant string }{{"tenants", tenant.Root}, {"workspaces", "acme"}} {
		raw, err := store.Declare(t.Context(), b.store, store.Spec[json.RawMessage]{Name: table.name})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		err = raw.All(t.Context(), table.tenant, store.Query{}, func(r store.Row[json.RawMessage]) bool {
			rows++
			if strings.Contains(string(r.Value), secret) {
				t.Errorf("%s: a secret in the clear: %s", table.name, r.Value)
			}
			return true
		})
		if err != nil || rows != 1 {
			t.Error(rows, err)
		}
	}
	other, err := vault2(t, b)
	if err == nil {
		t.Errorf("another key ring opened %+v", other)
	}
}
