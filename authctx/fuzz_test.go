package authctx_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
)

func parse(s string) (map[string]any, bool) {
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	return m, d.Decode(&m) == nil && m != nil
}

// FuzzMap: any data and any mappings give the same answer twice, leave the data
// alone, give JSON values that a context takes, and fail when the check of the
// mappings says that they must.
func FuzzMap(f *testing.F) {
	for _, cases := range [][]mapCase{copies(), failures(), weakly()} {
		for _, c := range cases {
			f.Add(c.source, c.ms)
		}
	}
	f.Fuzz(func(t *testing.T, data, mappings string) {
		source, ok := parse(data)
		var ms []authctx.Mapping
		if !ok || json.Unmarshal([]byte(mappings), &ms) != nil {
			t.Skip()
		}
		before := text(t, source)
		got, err := authctx.Map(source, ms)
		again, _ := authctx.Map(source, ms)
		if text(t, got) != text(t, again) {
			t.Errorf("two answers: %s and %s", text(t, got), text(t, again))
		}
		if text(t, source) != before {
			t.Errorf("the source was changed to %s", text(t, source))
		}
		if err != nil {
			return
		}
		if len(ms) == 1 && !strings.Contains(ms[0].Target, ".") {
			typed(t, got[ms[0].Target], ms[0])
		}
		c, err := authctx.New(got, authctx.Identity{Subject: "s"})
		if err != nil {
			return // a target may make it too deep
		}
		roundTrip(t, c)
	})
}

// typed checks that a mapping gave its declared type, or nothing.
func typed(t *testing.T, v any, m authctx.Mapping) {
	t.Helper()
	ok := false
	switch v.(type) {
	case nil:
		ok = true
	case string:
		ok = m.Type == authctx.String || m.Type == authctx.Any
	case json.Number:
		ok = m.Type == authctx.Number || m.Type == authctx.Any
	case bool:
		ok = m.Type == authctx.Bool || m.Type == authctx.Any
	case []any:
		ok = strings.HasSuffix(string(m.Type), "_array") || m.Type == authctx.Any
	case map[string]any:
		ok = m.Type == authctx.Object || m.Type == authctx.Any
	}
	if !ok {
		t.Errorf("%s gave %T", m, v)
	}
}

func roundTrip(t *testing.T, c authctx.Context) {
	t.Helper()
	var back authctx.Context
	if err := json.Unmarshal([]byte(text(t, c)), &back); err != nil {
		t.Fatalf("%s does not come back: %v", text(t, c), err)
	}
	if !back.Equal(c) || text(t, back) != text(t, c) {
		t.Errorf("%s came back as %s", text(t, c), text(t, back))
	}
	if diff := cmp.Diff(text(t, c.View()), text(t, back.View())); diff != "" {
		t.Errorf("the view is another:\n%s", diff)
	}
}

// FuzzApply: no author ever changes what is sealed, what only scripts may change,
// or what may_set does not name, and no changed address keeps its proof.
func FuzzApply(f *testing.F) {
	base := text(f, alice(f).View())
	for _, c := range append(applied(), refused()...) {
		f.Add(base, c.set, strings.Join(c.maySet, ","), c.author.Kind == authctx.Script)
	}
	f.Fuzz(func(t *testing.T, values, patch, rights string, isScript bool) {
		base, ok := parse(values)
		set, ok2 := parse(patch)
		if !ok || !ok2 {
			t.Skip()
		}
		c, err := authctx.New(base, authctx.Identity{Subject: "s", IDPSubject: "u", Tenant: "t", Pool: "p", AMR: []string{"pwd"}})
		if err != nil {
			t.Skip()
		}
		author := app
		if isScript {
			author = script
		}
		maySet := strings.Split(rights, ",")
		before := text(t, c)
		next, err := c.Apply(author, set, maySet)
		if text(t, c) != before {
			t.Fatalf("the old context has become %s", text(t, c))
		}
		if err != nil && !next.Equal(c) {
			t.Fatalf("refused (%v), and yet changed to %s", err, text(t, next))
		}
		unforged(t, c, next, isScript, maySet)
		roundTrip(t, next)
		again, err := next.Apply(author, next.View(), maySet)
		if err != nil || !again.Equal(next) {
			t.Errorf("giving the whole context back: %v, %s", err, text(t, again))
		}
	})
}

func unforged(t *testing.T, old, next authctx.Context, isScript bool, maySet []string) {
	t.Helper()
	a, b := old.View(), next.View()
	same := func(name string) bool { return text(t, a[name]) == text(t, b[name]) }
	fixed := []string{"sub", "idp_sub", "tenant", "pool", "auth_time"}
	if !isScript {
		fixed = append(fixed, "amr", "acr")
	}
	named := map[string]bool{}
	for _, name := range maySet {
		named[name] = true
	}
	for _, name := range []string{"email", "phone_number", "preferred_username", "groups", "email_verified", "phone_number_verified"} {
		if !named[name] && (!strings.HasSuffix(name, "_verified") || next.Bool(name)) {
			fixed = append(fixed, name)
		}
	}
	for _, name := range fixed {
		if !same(name) {
			t.Errorf("%s changed from %v to %v", name, a[name], b[name])
		}
	}
	for _, name := range []string{"email", "phone_number"} {
		if _, had := a[name]; had && !same(name) && b[name+"_verified"] != false {
			t.Errorf("%s changed and %s_verified is %v", name, name, b[name+"_verified"])
		}
	}
}
