package promote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/promote"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// world is two tenants, "acme" and "other", on an empty store.
type world struct {
	*promote.Identity
	t *testing.T
}

// nowhere takes audit events.
type nowhere struct{}

func (nowhere) Record(context.Context, audit.Event) error { return nil }

func open(t *testing.T) *world {
	t.Helper()
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	if err != nil {
		t.Fatal(err)
	}
	k, err := pool.Open(t.Context(), storetest.New(t), pool.Config{
		Ring: ring, Audit: nowhere{}, Changed: func(context.Context, changes.Entry) error { return nil },
		Passwords: credential.NewVerifier(credential.Config{Wait: func(context.Context, time.Duration) error { return nil }}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "other"} {
		if err := k.Schemas.Seed(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	return &world{Identity: &promote.Identity{Keeper: k}, t: t}
}

const people = `{
	"schemas":[{"tenant_id":"acme","id":"card","name":"Card","schema":{"type":"object"}}],
	"pools":[{"tenant_id":"acme","id":"people","name":"People","metadata_schema_id":"card"}],
	"users":[{"tenant_id":"acme","id":"ann","user_pool_id":"people","status":"active","metadata":{"n":1}}],
	"user_identifiers":[{"tenant_id":"acme","user_pool_id":"people","user_id":"ann","identifier":"ann@example.com","type":"email"}],
	"user_credentials":[{"tenant_id":"acme","user_pool_id":"people","user_id":"ann","type":"totp","payload":{"totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}}],
	"groups":[{"tenant_id":"acme","id":"crew","name":"Crew","path":"crew","user_pool_id":"people"}],
	"group_members":[{"tenant_id":"acme","group_id":"crew","user_id":"ann","user_pool_id":"people"}]}`

func read(t *testing.T, text string) *promote.TenantDump {
	t.Helper()
	var d promote.TenantDump
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// dump is an export in a form that another tenant's can be compared with.
func (w *world) dump(tenant string) string {
	w.t.Helper()
	d, err := w.Export(w.t.Context(), tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), `"tenant_id": "`+tenant+`"`, `"tenant_id": "T"`)
}

// What is exported makes the same in another tenant.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	w := open(t)
	if err := w.Import(t.Context(), "acme", read(t, people), pool.ModeFail); err != nil {
		t.Fatal(err)
	}
	out, err := w.Export(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Import(t.Context(), "other", out, pool.ModeUpdate); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strip(t, w.dump("acme")), strip(t, w.dump("other"))); d != "" {
		t.Error(d)
	}
	if err := w.Import(t.Context(), "acme", out, pool.ModeFail); !fault.Is(err, fault.Conflict) {
		t.Errorf("what is there already: %v", err)
	}
}

// strip takes away when things were written.
func strip(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	timeless(v)
	return v
}

func timeless(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"created_at", "updated_at"} {
			delete(v, name)
		}
		for _, inner := range v {
			timeless(inner)
		}
	case []any:
		for _, inner := range v {
			timeless(inner)
		}
	}
}

// A dump with a fault is refused by the place of it, and nothing is written.
func TestBadDumps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, field string }{
		{"a pool that is none", `{"tenant_id":"acme","id":"people"`, `{"tenant_id":"acme","id":7`, "pools[0]"},
		{"an identifier of nobody", `"user_id":"ann","identifier"`, `"user_id":"zoe","identifier"`, "user_identifiers[0].user_id"},
		{"a credential of nobody", `"user_id":"ann","type":"totp"`, `"user_id":"zoe","type":"totp"`, "user_credentials[0].user_id"},
		{"a member of no group", `"group_id":"crew"`, `"group_id":"gang"`, "group_members[0].group_id"},
		{"a member who is nobody", `"group_id":"crew","user_id":"ann"`, `"group_id":"crew","user_id":"zoe"`, "group_members[0].user_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			before := w.dump("acme")
			if !strings.Contains(people, c.old) {
				t.Fatal("the dump has changed")
			}
			err := w.Import(t.Context(), "acme", read(t, strings.Replace(people, c.old, c.new, 1)), pool.ModeUpdate)
			if f := fault.Read(err); f.Kind != fault.Unprocessable || f.Field != c.field {
				t.Errorf("%v at %q, want %q", err, f.Field, c.field)
			}
			if d := cmp.Diff(before, w.dump("acme")); d != "" {
				t.Errorf("it was written:\n%s", d)
			}
		})
	}
}

// Of a dump of several tenants none is written when one is wrong.
func TestImportAll(t *testing.T) {
	t.Parallel()
	w := open(t)
	both := read(t, people)
	both.Schemas = append(both.Schemas, pool.Schema{TenantID: "other", ID: "card", Name: "Card", Schema: json.RawMessage(`{"type":"object"}`)})
	both.Groups = append(both.Groups, pool.InternalGroup{})
	before := w.dump("acme")
	if err := w.ImportAll(t.Context(), both, pool.ModeUpdate); fault.Read(err).Field != "groups[1].tenant_id" {
		t.Errorf("an entry of no tenant: %v", err)
	}
	if d := cmp.Diff(before, w.dump("acme")); d != "" {
		t.Errorf("it was written:\n%s", d)
	}
	both.Groups = both.Groups[:1]
	if err := w.ImportAll(t.Context(), both, pool.ModeUpdate); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.dump("acme"), `"ann@example.com"`) || !strings.Contains(w.dump("other"), `"card"`) {
		t.Error("something is missing")
	}
}

// Rows tell what is wrong with them; a dry run tells the same and writes nothing.
func TestRows(t *testing.T) {
	t.Parallel()
	w := open(t)
	if err := w.Import(t.Context(), "acme", read(t, people), pool.ModeFail); err != nil {
		t.Fatal(err)
	}
	before := w.dump("acme")
	rows := &promote.Users{Users: w.Keeper.Users, Groups: w.Keeper.Groups}
	body := []byte(`{"external_id":"1","identifiers":[{"identifier":"bob@example.com","type":"email"}]}` + "\n" +
		`not JSON` + "\n" +
		`{"external_id":"3","identifiers":[{"identifier":"ann@example.com","type":"email"}]}` + "\n")
	for _, dry := range []bool{true, false} {
		got, err := rows.Import(t.Context(), body, promote.ImportRequest{Tenant: "acme", Pool: "people", First: 1, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := []string{}
		for _, r := range got.Results {
			outcomes = append(outcomes, r.Outcome)
		}
		if d := cmp.Diff([]string{pool.ImportCreated, pool.ImportFailed, pool.ImportFailed}, outcomes); d != "" {
			t.Errorf("dry %v: %s", dry, d)
		}
		if wrote := w.dump("acme") != before; wrote == dry {
			t.Errorf("dry %v, written %v", dry, wrote)
		}
	}
	tooMany := bytes.Repeat([]byte("{}\n"), promote.MaxRows+1)
	if _, err := rows.Import(t.Context(), tooMany, promote.ImportRequest{Tenant: "acme", Pool: "people"}); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("too many rows: %v", err)
	}
}
