package pool_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

func TestSchemaText(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, tc := range []struct{ name, schema, field string }{
		{"empty object", `{}`, ""},
		{"every keyword", `{"type":"object","title":"t","description":"d","additionalProperties":false,"properties":{"a":{"type":"string","minLength":1,"maxLength":5,"pattern":"^a","enum":["a"],"const":"a","hidden":true},
			"n":{"type":"integer","minimum":1,"maximum":5,"exclusiveMinimum":0,"exclusiveMaximum":6,"multipleOf":1},
			"l":{"type":"array","items":{"type":"string"},"contains":{"const":"x"},"minContains":1,"maxContains":2,"minItems":1,"maxItems":3,"uniqueItems":true}},
			"patternProperties":{"^x-":{"type":"string"}},"propertyNames":{"maxLength":9},"minProperties":0,"maxProperties":9,"required":["a"],
			"dependentRequired":{"a":["n"]},"dependentSchemas":{"a":{"required":["n"]}},
			"allOf":[{}],"anyOf":[true,{}],"oneOf":[{}],"not":{"required":["z"]},"if":{"required":["a"]},"then":{},"else":{}}`, ""},
		{"unknown keywords", `{"$ref":"file:///etc/passwd","$schema":"http://127.0.0.1/x","$id":"://","format":7,"x-cloudentity":{"a":[]},"properties":{"a":{"$ref":"http://127.0.0.1:1/s","$dynamicRef":"#x"}}}`, ""},
		{"a list", `[]`, "schema"},
		{"a text", `"x"`, "schema"},
		{"nothing", ``, "schema"},
		{"null", `null`, "schema"},
		{"unknown type", `{"type":"text"}`, "schema.type"},
		{"type is a number", `{"properties":{"a":{"type":3}}}`, "schema.properties.a.type"},
		{"negative length", `{"properties":{"a":{"minLength":-1}}}`, "schema.properties.a.minLength"},
		{"text for a number", `{"properties":{"a":{"maximum":"1"}}}`, "schema.properties.a.maximum"},
		{"bad pattern", `{"properties":{"a":{"pattern":"("}}}`, "schema.properties.a.pattern"},
		{"pattern with lookahead", `{"pattern":"(?=a)"}`, "schema.pattern"},
		{"required is a text", `{"required":"a"}`, "schema.required"},
		{"required twice", `{"required":["a","a"]}`, "schema.required"},
		{"a member that is no schema", `{"properties":{"a":7}}`, "schema.properties.a"},
		{"members that are no object", `{"properties":[]}`, "schema.properties"},
		{"a list that is none", `{"anyOf":{}}`, "schema.anyOf"},
		{"an empty list", `{"anyOf":[]}`, "schema.anyOf"},
		{"an entry that is no schema", `{"oneOf":[{},3]}`, "schema.oneOf[1]"},
		{"deep", strings.Repeat(`{"not":`, 40) + "{}" + strings.Repeat("}", 40), "schema" + strings.Repeat(".not", 33)},
		{"large", `{"title":"` + strings.Repeat("a", 300<<10) + `"}`, "schema"},
		{"huge number", `{"maximum":1e999999}`, "schema.maximum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Schemas.Create(t.Context(), tenantID, pool.Schema{Name: "x", Schema: json.RawMessage(tc.schema)})
			if tc.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, tc.schema[:min(60, len(tc.schema))], err, fault.Unprocessable, tc.field)
		})
	}
}

func TestPayloadAgainstSchema(t *testing.T) {
	t.Parallel()
	w := open(t)
	_ = must[pool.Schema](t)(w.Schemas.Create(t.Context(), tenantID, pool.Schema{ID: "s", Name: "s", Schema: json.RawMessage(`{
		"type":"object","required":["city"],"additionalProperties":false,
		"properties":{"city":{"type":"string","minLength":2,"pattern":"^[A-Z]"},"age":{"type":"integer","minimum":0},
			"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":2},"home":{"type":"object","required":["street"],"properties":{"street":{"type":"string"}}}}}`)}))
	w.pool("p", func(in *pool.Input) { in.PayloadSchemaID = "s" })
	for _, tc := range []struct{ payload, field string }{
		{`{"city":"Kraków"}`, ""},
		{`{"city":"Kraków","age":12345678901234567890,"tags":["a","b"],"home":{"street":"x","extra":1}}`, ""},
		{`{}`, "payload.city"},
		{`{"city":7}`, "payload.city"},
		{`{"city":"X"}`, "payload.city"},
		{`{"city":"kraków"}`, "payload.city"},
		{`{"city":"Kraków","zip":1}`, "payload.zip"},
		{`{"city":"Kraków","age":-1}`, "payload.age"},
		{`{"city":"Kraków","age":1.5}`, "payload.age"},
		{`{"city":"Kraków","age":1e400}`, "payload.age"},
		{`{"city":"Kraków","tags":["a","c"]}`, "payload.tags[1]"},
		{`{"city":"Kraków","tags":["a","a","a"]}`, "payload.tags"},
		{`{"city":"Kraków","home":{}}`, "payload.home.street"},
		{`[]`, "payload"},
		{`"x"`, "payload"},
		{`{"city":"` + strings.Repeat("K", 70<<10) + `"}`, "payload"},
	} {
		_, err := w.create("p", `"payload":`+tc.payload)
		if tc.field == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.payload, err)
			}
			continue
		}
		wants(t, tc.payload[:min(60, len(tc.payload))], err, fault.Unprocessable, tc.field)
	}
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	_, err := w.create("p", `"metadata":`+deep)
	if !fault.Is(err, fault.Unprocessable) || !strings.HasPrefix(fault.Read(err).Field, "metadata.a.a") {
		t.Errorf("deep metadata: %v", err)
	}
}

func TestPredefinedSchemas(t *testing.T) {
	t.Parallel()
	w := open(t)
	if err := w.Schemas.Seed(t.Context(), tenantID); err != nil {
		t.Fatalf("seed again: %v", err)
	}
	list := must[[]pool.Schema](t)(w.Schemas.List(t.Context(), tenantID))
	var got []string
	for _, s := range list {
		got = append(got, fmt.Sprint(s.ID, " ", s.Name, " ", s.System, " ", s.TenantID))
	}
	if diff := cmp.Diff([]string{"default_metadata metadata_v0 true t", "default_payload user_v0 true t"}, got); diff != "" {
		t.Error(diff)
	}
	w.pool("p", nil)
	for payload, field := range map[string]string{
		`{"given_name":"A","family_name":"B","name":"A B","anything":{"x":[1]}}`: "",
		`null`:                                 "",
		`{"given_name":"A","family_name":"B"}`: "payload.name",
		`{"given_name":1,"family_name":"B","name":"x"}`:                    "payload.given_name",
		`{"given_name":"A","family_name":"B","name":"C","address":"home"}`: "payload.address",
	} {
		_, err := w.create("p", `"payload":`+payload)
		if field == "" && err != nil {
			t.Errorf("%s: %v", payload, err)
		} else if field != "" {
			wants(t, payload, err, fault.Unprocessable, field)
		}
	}
	for _, id := range []string{pool.DefaultPayload, pool.DefaultMetadata} {
		_, err := w.Schemas.Update(t.Context(), tenantID, pool.Schema{ID: id, Name: "x", Schema: json.RawMessage(`{}`)})
		wants(t, "update "+id, err, fault.Denied, "")
		wants(t, "delete "+id, w.Schemas.Delete(t.Context(), tenantID, id, 0), fault.Denied, "")
		_, err = w.Schemas.Create(t.Context(), tenantID, pool.Schema{ID: id, Name: "x", Schema: json.RawMessage(`{}`)})
		wants(t, "create "+id, err, fault.Conflict, "id")
	}
}

func TestSchemaLife(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	s := must[pool.Schema](t)(w.Schemas.Create(ctx, tenantID, pool.Schema{ID: "s", Name: "S", Schema: json.RawMessage(`{ "type" : "object", "x-own": 1 }`)}))
	if diff := cmp.Diff([]string{"schema s", "schema_created"}, w.told()); diff != "" {
		t.Error(diff)
	}
	got, want := same(t, encode(t, s), `{"id":"s","tenant_id":"t","name":"S","description":"","system":false,"schema":{"type":"object","x-own":1},
		"created_at":"2026-05-06T07:08:09Z","updated_at":"2026-05-06T07:08:09Z"}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := w.Schemas.Get(ctx, "other", "s")
	wants(t, "another tenant", err, fault.NotFound, "")
	s.Name, s.Schema = "S2", json.RawMessage(`{"type":"object","required":["a"]}`)
	next := must[pool.Schema](t)(w.Schemas.Update(ctx, tenantID, s))
	if next.Name != "S2" || next.Rev == s.Rev {
		t.Errorf("after the update: %+v", next)
	}
	_, err = w.Schemas.Update(ctx, tenantID, s)
	wants(t, "old revision", err, fault.Stale, "")
	wants(t, "delete at an old revision", w.Schemas.Delete(ctx, tenantID, "s", s.Rev), fault.Stale, "")

	w.pool("p", func(in *pool.Input) { in.MetadataSchemaID = "s" })
	wants(t, "used by a pool", w.Schemas.Delete(ctx, tenantID, "s", 0), fault.Conflict, "")
	_, err = w.create("p", `"metadata":{}`)
	wants(t, "the changed schema is in force", err, fault.Unprocessable, "metadata.a")
	u := w.user("p", `"metadata":{"a":1}`)
	in := pool.Input{Pool: must[pool.Pool](t)(w.Pools.Get(ctx, tenantID, "p"))}
	in.MetadataSchemaID, in.Rev = "", 0
	_ = must[pool.Counted](t)(w.Pools.Update(ctx, tenantID, in))
	wants(t, "used by a user", w.Schemas.Delete(ctx, tenantID, "s", 0), fault.Conflict, "")
	_ = must[pool.User](t)(w.Users.Update(ctx, tenantID, "p", u.ID, 0, pool.UpdateUser{Documents: pool.Documents{MetadataSchemaID: pool.DefaultMetadata}}))
	w.told()
	if err := w.Schemas.Delete(ctx, tenantID, "s", 0); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"schema s", "schema_deleted"}, w.told()); diff != "" {
		t.Error(diff)
	}
	wants(t, "delete again", w.Schemas.Delete(ctx, tenantID, "s", 0), fault.NotFound, "")
	_, err = w.Users.Update(ctx, tenantID, "p", u.ID, 0, pool.UpdateUser{Documents: pool.Documents{PayloadSchemaID: "s"}})
	wants(t, "a schema that is gone", err, fault.Unprocessable, "payload_schema_id")
	for _, id := range []string{"a/b", "..", strings.Repeat("x", 129)} {
		_, err := w.Schemas.Create(ctx, tenantID, pool.Schema{ID: id, Name: "x", Schema: json.RawMessage(`{}`)})
		wants(t, id, err, fault.Unprocessable, "id")
	}
}
