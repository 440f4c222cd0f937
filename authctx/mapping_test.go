package authctx_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
)

// object reads a JSON object for a test.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("test data %s: %v", text, err)
	}
	return m
}

// text writes a value as JSON, with names sorted.
func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type mapCase struct {
	name   string
	source string
	ms     string // list of mappings
	want   string
	err    string // part of the error; the values are compared all the same
}

func copies() []mapCase {
	return []mapCase{
		{name: "string", source: `{"a":"x"}`, ms: `[{"source":"a","target":"b","type":"string"}]`, want: `{"b":"x"}`},
		{name: "mode dynamic", source: `{"a":"x"}`, ms: `[{"source":"a","target":"b","type":"string","mode":"dynamic"}]`, want: `{"b":"x"}`},
		{name: "number", source: `{"a":1.5}`, ms: `[{"source":"a","target":"b","type":"number"}]`, want: `{"b":1.5}`},
		{name: "bool", source: `{"a":false}`, ms: `[{"source":"a","target":"b","type":"bool"}]`, want: `{"b":false}`},
		{name: "object", source: `{"a":{"x":1}}`, ms: `[{"source":"a","target":"b","type":"object"}]`, want: `{"b":{"x":1}}`},
		{name: "any", source: `{"a":[1,"x",null]}`, ms: `[{"source":"a","target":"b","type":"any"}]`, want: `{"b":[1,"x",null]}`},
		{name: "number array", source: `{"a":[1,2]}`, ms: `[{"source":"a","target":"b","type":"number_array"}]`, want: `{"b":[1,2]}`},
		{name: "string array", source: `{"a":["x"]}`, ms: `[{"source":"a","target":"b","type":"string_array"}]`, want: `{"b":["x"]}`},
		{name: "bool array", source: `{"a":[true]}`, ms: `[{"source":"a","target":"b","type":"bool_array"}]`, want: `{"b":[true]}`},
		{name: "object array", source: `{"a":[{"x":1}]}`, ms: `[{"source":"a","target":"b","type":"object_array"}]`, want: `{"b":[{"x":1}]}`},
		{name: "empty array", source: `{"a":[]}`, ms: `[{"source":"a","target":"b","type":"string_array"}]`, want: `{"b":[]}`},
		{name: "missing source is skipped", source: `{}`, ms: `[{"source":"a","target":"b","type":"string"}]`, want: `{}`},
		{name: "null source is skipped", source: `{"a":null}`, ms: `[{"source":"a","target":"b","type":"string"}]`, want: `{}`},
		{name: "from below", source: `{"a":{"b":{"c":"x"}}}`, ms: `[{"source":"a.b.c","target":"d","type":"string"}]`, want: `{"d":"x"}`},
		{name: "element of an array", source: `{"emails":[{"value":"x"},{"value":"y"}]}`, ms: `[{"source":"emails.1.value","target":"e","type":"string"}]`, want: `{"e":"y"}`},
		{name: "element beyond the end", source: `{"emails":["x"]}`, ms: `[{"source":"emails.1","target":"e","type":"string"}]`, want: `{}`},
		{name: "name with dots", source: `{"https://x.org/roles":["r"]}`, ms: `[{"source":"https://x.org/roles","target":"roles","type":"string_array"}]`, want: `{"roles":["r"]}`},
		{name: "below a name with dots", source: `{"https://x.org":{"role":"r"}}`, ms: `[{"source":"https://x.org.role","target":"role","type":"string"}]`, want: `{"role":"r"}`},
		{name: "to below", source: `{"a":"x"}`, ms: `[{"source":"a","target":"b.c.d","type":"string"}]`, want: `{"b":{"c":{"d":"x"}}}`},
		{name: "two targets share a parent", source: `{"a":"x","b":"y"}`, ms: `[{"source":"a","target":"p.a","type":"string"},{"source":"b","target":"p.b","type":"string"}]`, want: `{"p":{"a":"x","b":"y"}}`},
		{name: "later wins", source: `{"a":"x","b":"y"}`, ms: `[{"source":"a","target":"c","type":"string"},{"source":"b","target":"c","type":"string"}]`, want: `{"c":"y"}`},
		{name: "all to the top", source: `{"a":1,"b":null}`, ms: `[{"source":".","target":".","type":"any"}]`, want: `{"a":1,"b":null}`},
		{name: "all below a name", source: `{"a":1}`, ms: `[{"source":".","target":"raw","type":"object"}]`, want: `{"raw":{"a":1}}`},
		{name: "object to the top", source: `{"a":{"x":1}}`, ms: `[{"source":"a","target":".","type":"object"}]`, want: `{"x":1}`},
		{name: "copy of a copy stays apart", source: `{"a":{"x":1},"y":"z"}`, ms: `[{"source":"a","target":"b","type":"object"},{"source":"a","target":"c","type":"object"},{"source":"y","target":"b.y","type":"string"}]`, want: `{"b":{"x":1,"y":"z"},"c":{"x":1}}`},
		{name: "large number keeps its digits", source: `{"a":12345678901234567890123}`, ms: `[{"source":"a","target":"b","type":"number"}]`, want: `{"b":12345678901234567890123}`},
		{name: "static string", source: `{}`, ms: `[{"mode":"static","static":"x","target":"b","type":"string"}]`, want: `{"b":"x"}`},
		{name: "static object to the top", source: `{}`, ms: `[{"mode":"static","static":{"x":[1]},"target":".","type":"object"}]`, want: `{"x":[1]}`},
		{name: "static ignores the source", source: `{"a":"y"}`, ms: `[{"mode":"static","source":"a","static":"x","target":"b","type":"string"}]`, want: `{"b":"x"}`},
		{name: "static false", source: `{}`, ms: `[{"mode":"static","static":false,"target":"b","type":"bool"}]`, want: `{"b":false}`},
		{name: "static weak", source: `{}`, ms: `[{"mode":"static","static":"t","target":"b","type":"bool","allow_weak_decoding":true}]`, want: `{"b":true}`},
	}
}

func failures() []mapCase {
	return []mapCase{
		{name: "string for number", source: `{"a":"1"}`, ms: `[{"source":"a","target":"b","type":"number"}]`, want: `{}`, err: "mapping 1, a -> b (number): the value is a string, not a number"},
		{name: "number for string", source: `{"a":1}`, ms: `[{"source":"a","target":"b","type":"string"}]`, want: `{}`, err: "is a number, not a string"},
		{name: "number for bool", source: `{"a":1}`, ms: `[{"source":"a","target":"b","type":"bool"}]`, want: `{}`, err: "is a number, not a bool"},
		{name: "string for array", source: `{"a":"x"}`, ms: `[{"source":"a","target":"b","type":"string_array"}]`, want: `{}`, err: "is a string, not a string_array"},
		{name: "array for object", source: `{"a":[]}`, ms: `[{"source":"a","target":"b","type":"object"}]`, want: `{}`, err: "is an array, not an object"},
		{name: "object for array", source: `{"a":{}}`, ms: `[{"source":"a","target":"b","type":"object_array"}]`, want: `{}`, err: "is an object, not an object_array"},
		{name: "wrong element", source: `{"a":["x",1]}`, ms: `[{"source":"a","target":"b","type":"string_array"}]`, want: `{}`, err: "has an element 1 that is a number, not a string"},
		{name: "null element", source: `{"a":[null]}`, ms: `[{"source":"a","target":"b","type":"string_array"}]`, want: `{}`, err: "has an element 0 that is null, not a string"},
		{name: "string to the top", source: `{"a":"x"}`, ms: `[{"source":"a","target":".","type":"any"}]`, want: `{}`, err: "only an object can be pasted at the top"},
		{name: "target below a string", source: `{"a":"x"}`, ms: `[{"source":"a","target":"b","type":"string"},{"source":"a","target":"b.c","type":"string"}]`, want: `{"b":"x"}`, err: `mapping 2, a -> b.c (string): "b" in the target is already a string, not an object`},
		{name: "the others are mapped", source: `{"a":1,"c":"x"}`, ms: `[{"source":"a","target":"b","type":"string"},{"source":"c","target":"d","type":"string"}]`, want: `{"d":"x"}`, err: "mapping 1"},
		{name: "all failures are named", source: `{"a":1}`, ms: `[{"source":"a","target":"b","type":"string"},{"source":"a","target":"c","type":"bool"}]`, want: `{}`, err: "mapping 2"},
		{name: "unknown type", source: `{"a":1}`, ms: `[{"source":"a","target":"b","type":"int"}]`, want: `{}`, err: `"int" is not a type`},
		{name: "unknown mode", source: `{"a":1}`, ms: `[{"source":"a","target":"b","type":"number","mode":"magic"}]`, want: `{}`, err: `"magic" is not a mode`},
		{name: "no target", source: `{"a":1}`, ms: `[{"source":"a","type":"number"}]`, want: `{}`, err: "the target is missing"},
		{name: "static without a value", source: `{}`, ms: `[{"mode":"static","target":"b","type":"number"}]`, want: `{}`, err: "a static mapping needs a value"},
		{name: "static of the wrong type", source: `{}`, ms: `[{"mode":"static","static":1,"target":"b","type":"string"}]`, want: `{}`, err: "static value -> b (string): the value is a number"},
	}
}

// weakly are the conversions that the contract lists for allow_weak_decoding,
// and what it leaves out.
func weakly() []mapCase {
	one := func(name, in, typ, want, err string) mapCase {
		c := mapCase{
			name: "weak " + name, source: `{"a":` + in + `}`, want: `{}`, err: err,
			ms: `[{"source":"a","target":"b","type":"` + typ + `","allow_weak_decoding":true}]`,
		}
		if err == "" {
			c.want = `{"b":` + want + `}`
		}
		return c
	}
	return []mapCase{
		one("true to string", `true`, "string", `"1"`, ""),
		one("false to string", `false`, "string", `"0"`, ""),
		one("integer to string", `-42`, "string", `"-42"`, ""),
		one("fraction to string", `1.50`, "string", `"1.50"`, ""),
		one("exponent to string", `1e21`, "string", `"1000000000000000000000"`, ""),
		one("true to number", `true`, "number", `1`, ""),
		one("false to number", `false`, "number", `0`, ""),
		one("decimal to number", `"42"`, "number", `42`, ""),
		one("large decimal to number", `"12345678901234567890123"`, "number", `12345678901234567890123`, ""),
		one("negative to number", `"-42"`, "number", `-42`, ""),
		one("hexadecimal to number", `"0x1F"`, "number", `31`, ""),
		one("octal to number", `"010"`, "number", `8`, ""),
		one("binary to number", `"0b101"`, "number", `5`, ""),
		one("fraction text to number", `"1.25"`, "number", `1.25`, ""),
		one("bad octal to number", `"089"`, "number", ``, "is a string that is not a number"),
		one("empty to number", `""`, "number", ``, "is a string that is not a number"),
		one("infinity to number", `"Inf"`, "number", ``, "is a string that is not a number"),
		one("huge exponent to number", `"1e999999999"`, "number", ``, "is a string that is not a number"),
		one("zero to bool", `0.0`, "bool", `false`, ""),
		one("seven to bool", `7`, "bool", `true`, ""),
		one("T to bool", `"T"`, "bool", `true`, ""),
		one("False to bool", `"False"`, "bool", `false`, ""),
		one("yes to bool", `"yes"`, "bool", ``, "is a string that is not a bool"),
		one("empty to bool", `""`, "bool", ``, "is a string that is not a bool"),
		one("empty array to object", `[]`, "object", `{}`, ""),
		one("empty object to array", `{}`, "string_array", `[]`, ""),
		one("objects to one", `[{"x":1,"y":1},{"y":2}]`, "object", `{"x":1,"y":2}`, ""),
		one("mixed array to object", `[{"x":1},2]`, "object", ``, "element 1 that is a number, not an object"),
		one("single to array", `"x"`, "string_array", `["x"]`, ""),
		one("single converted to array", `5`, "string_array", `["5"]`, ""),
		one("object to object array", `{"x":1}`, "object_array", `[{"x":1}]`, ""),
		one("object to string array", `{"x":1}`, "string_array", ``, "is an object, not a string_array"),
		one("elements", `["1",true,3]`, "number_array", `[1,1,3]`, ""),
		one("bad element", `["1","x"]`, "number_array", ``, "has an element 1 that is a string that is not a number"),
		one("array to string", `["x"]`, "string", ``, "is an array, not a string"),
		one("string to object", `"{}"`, "object", ``, "is a string, not an object"),
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	for _, cases := range [][]mapCase{copies(), failures(), weakly()} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				source := object(t, c.source)
				var ms []authctx.Mapping
				if err := json.Unmarshal([]byte(c.ms), &ms); err != nil {
					t.Fatal(err)
				}
				got, err := authctx.Map(source, ms)
				if (c.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.err)) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				if diff := cmp.Diff(text(t, object(t, c.want)), text(t, got)); diff != "" {
					t.Errorf("values (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(object(t, c.source), source); diff != "" {
					t.Errorf("the source was changed:\n%s", diff)
				}
			})
		}
	}
}

func TestMapErrorCarriesTheMapping(t *testing.T) {
	t.Parallel()
	ms := []authctx.Mapping{
		{Source: "ok", Target: "ok", Type: authctx.String},
		{Source: "secret", Target: "n", Type: authctx.Number},
	}
	_, err := authctx.Map(map[string]any{"ok": "x", "secret": "p4ssw0rd"}, ms)
	var me *authctx.MappingError
	if !errors.As(err, &me) || me.Index != 1 || me.Mapping.Source != "secret" {
		t.Fatalf("error %#v does not carry mapping 1", err)
	}
	if strings.Contains(err.Error(), "p4ssw0rd") {
		t.Errorf("the error shows the value: %v", err)
	}
}

func TestMapTakesGoValues(t *testing.T) {
	t.Parallel()
	type address struct {
		Locality string `json:"locality"`
	}
	source := map[string]any{"groups": []string{"a"}, "n": int64(1) << 60, "f": 2.5, "address": address{"Oslo"}, "raw": json.RawMessage(`{"x":1}`)}
	got, err := authctx.Map(source, []authctx.Mapping{{Source: ".", Target: ".", Type: authctx.Object}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":{"locality":"Oslo"},"f":2.5,"groups":["a"],"n":1152921504606846976,"raw":{"x":1}}`
	if diff := cmp.Diff(want, text(t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestMapRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	loop := map[string]any{}
	loop["self"] = loop
	for name, source := range map[string]map[string]any{
		"a loop":       loop,
		"a function":   {"f": func() {}},
		"a bad number": {"n": json.Number("0x10")},
		"a bad name":   {"\xff": 1},
	} {
		if _, err := authctx.Map(source, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestCheckMappings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, ms, field, say string }{
		{"fine", `[{"source":"a","target":"b","type":"string"}]`, "", ""},
		{"no target", `[{"source":"a","type":"string"}]`, "[0].target", "The target is missing."},
		{"no type", `[{"source":"a","target":"b"}]`, "[0].type", `"" is not a type`},
		{"no source", `[{"target":"b","type":"string"}]`, "[0].source", "The source is missing."},
		{"second", `[{"source":"a","target":"b","type":"any"},{"source":"a","target":"b..c","type":"any"}]`, "[1].target", "The target has an empty name between its dots."},
		{"string at the top", `[{"source":"a","target":".","type":"string"}]`, "[0].type", "Only an object can be pasted at the top, and a string is not one."},
		{"mode", `[{"source":"a","target":"b","type":"any","mode":"x"}]`, "[0].mode", `"x" is not a mode: use dynamic or static.`},
		{"static without value", `[{"mode":"static","target":"b","type":"any"}]`, "[0].static", "A static mapping needs a value."},
		{"static null", `[{"mode":"static","static":null,"target":"b","type":"any"}]`, "[0].static", "A static mapping needs a value that is not null."},
		{"static of wrong type", `[{"mode":"static","static":1,"target":"b","type":"string"}]`, "[0].static", "The static value is a number, not a string."},
		{"long", `[{"source":"a","target":"` + strings.Repeat("x", 257) + `","type":"any"}]`, "[0].target", "The target is longer than 256 bytes."},
		{"deep", `[{"source":"a","target":"` + strings.Repeat("x.", 40) + `x","type":"any"}]`, "[0].target", "The target has more than 32 names."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var ms []authctx.Mapping
			if err := json.Unmarshal([]byte(c.ms), &ms); err != nil {
				t.Fatal(err)
			}
			ps := authctx.CheckMappings(ms)
			if c.field == "" {
				if len(ps) != 0 {
					t.Fatalf("problems %v", ps)
				}
				return
			}
			if len(ps) != 1 || ps[0].Field != c.field || !strings.Contains(ps[0].Say, c.say) {
				t.Fatalf("problems %v, want %s: %s", ps, c.field, c.say)
			}
		})
	}
	if ps := authctx.CheckMappings(make([]authctx.Mapping, 501)); len(ps) != 1 {
		t.Errorf("501 mappings: %d problems", len(ps))
	}
}

func TestCheckAttributes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		as    []authctx.Attribute
		field string
	}{
		{"fine", []authctx.Attribute{{Name: "a", Type: "object"}, {Name: "a.b", Type: "string"}}, ""},
		{"no name", []authctx.Attribute{{Type: "string"}}, "[0].name"},
		{"a dot", []authctx.Attribute{{Name: ".", Type: "string"}}, "[0].name"},
		{"type", []authctx.Attribute{{Name: "a", Type: "text"}}, "[0].type"},
		{"twice", []authctx.Attribute{{Name: "a", Type: "string"}, {Name: "a", Type: "bool"}}, "[1].name"},
		{"below a string", []authctx.Attribute{{Name: "a.b.c", Type: "string"}, {Name: "a", Type: "string"}}, "[0].name"},
		{"too many", make([]authctx.Attribute, 1001), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ps := authctx.CheckAttributes(c.as)
			switch {
			case c.name == "fine" && len(ps) != 0,
				c.name != "fine" && (len(ps) != 1 || ps[0].Field != c.field):
				t.Errorf("problems %v, want one at %q", ps, c.field)
			}
		})
	}
}

func TestPredefined(t *testing.T) {
	t.Parallel()
	as, ms := authctx.Predefined(), authctx.PredefinedMappings()
	if len(as) != 29 {
		t.Errorf("%d attributes, published API 16.4 lists 29", len(as))
	}
	if ps := authctx.CheckAttributes(as); ps != nil {
		t.Error(ps)
	}
	if ps := authctx.CheckMappings(ms); ps != nil {
		t.Error(ps)
	}
	as[0].Name = "changed"
	if authctx.Predefined()[0].Name != "sub" {
		t.Error("the list is shared between callers")
	}
	source := object(t, `{"sub":"u1","email":"a@x","email_verified":true,"address":{"locality":"Oslo","secret":"s"},"updated_at":1,"groups":[],"scp":["admin"],"shoe_size":43}`)
	got, err := authctx.Map(source, ms)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":{"locality":"Oslo"},"email":"a@x","email_verified":true,"groups":[],"sub":"u1","updated_at":1}`
	if diff := cmp.Diff(want, text(t, got)); diff != "" {
		t.Error(diff)
	}
}
