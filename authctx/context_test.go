package authctx_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
)

func TestNewSealsTheIdentity(t *testing.T) {
	t.Parallel()
	forged := map[string]any{
		"sub": "root", "idp_sub": "root", "tenant": "system", "pool": "admins", "auth_time": 1, "amr": []string{"mfa"}, "acr": "9",
		"name": "Eve", "nothing": nil,
	}
	for _, c := range []struct {
		name string
		id   authctx.Identity
		want string
	}{
		{
			"full",
			authctx.Identity{Subject: "s", IDPSubject: "u", Tenant: "t", Pool: "p", AuthTime: time.Unix(100, 999), AMR: []string{"pwd", "otp"}, ACR: "2"},
			`{"acr":"2","amr":["pwd","otp"],"auth_time":100,"idp_sub":"u","name":"Eve","pool":"p","sub":"s","tenant":"t"}`,
		},
		{"little", authctx.Identity{Subject: "s"}, `{"acr":"1","name":"Eve","sub":"s"}`},
	} {
		got, err := authctx.New(forged, c.id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, text(t, got.View())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if _, err := authctx.New(map[string]any{"f": func() {}}, authctx.Identity{}); err == nil {
		t.Error("a function was taken")
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	c, err := authctx.New(object(t, `{"a":{"b":{"c":1},"l":[{"x":"y"},[2]],"n":null},"a.b":{"d":2},"a.l":3,"":4,"s":"x","p":{"q":{"r":1}},"p.q":{"r":2}}`), authctx.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a.b.c": "1", "a.b.d": "2", "a.l": "3", "a.l.0.x": `"y"`, "a.l.1.0": "2", "a.n": "null", "p.q.r": "2", "": "4", "s": `"x"`, "acr": `"1"`,
		"a.x": "", "a.l.2": "", "a.l.-1": "", "a.l.+1": "", "a.l.99999999999999999999": "", "s.x": "", ".": "", "a.": "", "a..b": "", "b": "",
	} {
		got, ok := c.Lookup(path)
		if ok != (want != "") || (ok && text(t, got) != want) {
			t.Errorf("%q: %v %v, want %s", path, got, ok, want)
		}
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	c := alice(t)
	got := map[string]any{
		"sub": c.Subject(), "idp_sub": c.IDPSubject(), "pool": c.Pool(), "acr": c.ACR(), "amr": c.AMR(), "time": c.AuthTime().Format(time.RFC3339),
		"city": c.String("address.locality"), "no string": c.String("groups"), "groups": c.Strings("groups"), "no list": c.Strings("name"),
		"verified": c.Bool("email_verified"), "no bool": c.Bool("name"),
	}
	want := map[string]any{
		"sub": "5ab0", "idp_sub": "u1", "pool": "people", "acr": "1", "amr": []string{"pwd"}, "time": "2023-11-14T22:13:20Z",
		"city": "Oslo", "no string": "", "groups": []string{"staff"}, "no list": []string(nil), "verified": true, "no bool": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	mixed, err := authctx.New(map[string]any{"l": []any{"a", 1, nil, "b"}}, authctx.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, mixed.Strings("l")); diff != "" {
		t.Error(diff)
	}
	if !mixed.AuthTime().IsZero() {
		t.Error("auth_time from nowhere")
	}
}

// spoil changes an object, or the object in an array, wherever it came from.
func spoil(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		v["x"], v["locality"] = "spoilt", "spoilt"
	case []any:
		spoil(t, v[0])
	default:
		t.Fatalf("%T cannot be changed", v)
	}
}

// Whatever a reader does with what it was given, the context stays as it is.
func TestImmutable(t *testing.T) {
	t.Parallel()
	values := map[string]any{"address": map[string]any{"locality": "Oslo"}, "l": []any{map[string]any{"x": 1}}}
	c, err := authctx.New(values, authctx.Identity{Subject: "s"})
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]any{"o": map[string]any{"x": 1}}
	c, err = c.Apply(app, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := text(t, c)
	v := c.View()
	v["sub"] = "root"
	got, _ := c.Lookup("address")
	for _, given := range []any{values["address"], values["l"], set["o"], v["o"], c.Patches()[0].Set["o"], got} {
		spoil(t, given)
	}
	delete(c.Base().View(), "sub")
	if after := text(t, c); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
	if c.Subject() != "s" {
		t.Error("the subject has changed")
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	c, err := alice(t).Apply(script, map[string]any{"amr": []string{"pwd", "otp"}, "name": nil, "big": json.Number("12345678901234567890.50")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := text(t, c)
	want := `{"base":{"acr":"1","address":{"country":"NO","locality":"Oslo"},"amr":["pwd"],"auth_time":1700000000,"email":"alice@example.com",` +
		`"email_verified":true,"groups":["staff"],"idp_sub":"u1","n":1700000000,"name":"Alice","phone_number":"+4790000000","phone_number_verified":true,` +
		`"pool":"people","preferred_username":"alice","sub":"5ab0","tenant":"acme"},` +
		`"patches":[{"author":{"kind":"script","id":"roles"},"set":{"amr":["pwd","otp"],"big":12345678901234567890.50,"name":null}}]}`
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back authctx.Context
	if err := json.Unmarshal([]byte(first), &back); err != nil {
		t.Fatal(err)
	}
	if !back.Equal(c) || text(t, back.View()) != text(t, c.View()) || text(t, back) != first {
		t.Errorf("came back as %s", text(t, back))
	}
}

func TestJSONOfNothing(t *testing.T) {
	t.Parallel()
	var zero authctx.Context
	if got := text(t, zero); got != `{"base":{}}` {
		t.Errorf("zero context is %s", got)
	}
	if got := text(t, zero.View()); got != `{}` {
		t.Errorf("its view is %s", got)
	}
	for _, in := range []string{`null`, `{}`, `{"base":{}}`} {
		back := alice(t)
		if err := json.Unmarshal([]byte(in), &back); err != nil || !back.Equal(zero) {
			t.Errorf("%s: %v, %s", in, err, text(t, back))
		}
	}
}

func TestJSONRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 80) + "1" + strings.Repeat("}", 80)
	for _, in := range []string{`[]`, `"x"`, `{"base":[]}`, `{"patches":{}}`, `{"patches":[{"set":1}]}`, `{"base":` + deep + `}`} {
		back := alice(t)
		if err := json.Unmarshal([]byte(in), &back); err == nil {
			t.Errorf("%s was taken", in)
		}
		if !back.Equal(alice(t)) {
			t.Errorf("%s left something behind", in)
		}
	}
}
