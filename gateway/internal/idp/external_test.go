package idp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
)

func TestExternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := w.make(customIDP("door"))
	who := func(alter func(*idp.Person)) idp.Person {
		p := idp.Person{
			Subject: "ann", AMR: []string{"pwd"}, ACR: "2", AuthTime: start.Add(-time.Hour),
			Attributes: map[string]any{"email": "ann@x.example", "sub": "forged", "tenant": "beta", "pool": "people", "amr": []any{"forged"}, "idp_sub": "x", "unmapped": 1},
		}
		if alter != nil {
			alter(&p)
		}
		return p
	}
	base := map[string]any{
		"sub": idp.Subject("", "door", "ann"), "idp_sub": "ann", "tenant": "acme", "acr": "2", "amr": []any{"pwd"}, "auth_time": json.Number("1772362800"), "email": "ann@x.example",
	}
	with := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for k, v := range base {
			m[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			if m[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
				delete(m, pairs[i].(string))
			}
		}
		return m
	}
	for _, c := range []struct {
		name  string
		idp   func(*idp.IDP)
		who   func(*idp.Person)
		want  map[string]any
		wrong string
	}{
		{"as it comes", nil, nil, base, ""},
		{"everything mapped seals all the same", func(p *idp.IDP) {
			p.Mappings = []authctx.Mapping{{Source: ".", Target: ".", Type: authctx.Any}}
		}, nil, with("unmapped", json.Number("1")), ""},
		{"static_amr replaces", func(p *idp.IDP) { p.StaticAMR = []string{"mfa", "hwk"} }, nil, with("amr", []any{"mfa", "hwk"}), ""},
		{"no amr, no acr", nil, func(p *idp.Person) { p.AMR, p.ACR = nil, "" }, with("amr", nil, "acr", "1"), ""},
		{"names that are none", nil, func(p *idp.Person) { p.AMR, p.ACR = []string{"a b", "", "otp", "otp"}, "a\nb" }, with("amr", []any{"otp"}, "acr", "1"), ""},
		{"no time", nil, func(p *idp.Person) { p.AuthTime = time.Time{} }, with("auth_time", json.Number("1772366400")), ""},
		{"time to come", nil, func(p *idp.Person) { p.AuthTime = start.Add(time.Hour) }, with("auth_time", json.Number("1772366400")), ""},
		{"no subject", nil, func(p *idp.Person) { p.Subject = "" }, nil, "subject is missing"},
		{"long subject", nil, func(p *idp.Person) { p.Subject = strings.Repeat("ä", 256) }, nil, "more than 255"},
		{"subject with a line", nil, func(p *idp.Person) { p.Subject = "a\nb" }, nil, "control characters"},
		{"mapping that fails", nil, func(p *idp.Person) { p.Attributes["email"] = 5 }, nil, "email -> email"},
		{"pool", func(p *idp.IDP) { p.Method = idp.IdentityPool }, nil, nil, "stands for a pool"},
	} {
		p := door
		if c.idp != nil {
			c.idp(&p)
		}
		got, err := idp.External(p, who(c.who), idp.SubjectHash, start)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.want, got.View()); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// The same subject at two IDPs is two people.
func TestSubjectsOfTwoIDPsDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.make(oidcIDP("a", nil)), w.make(oidcIDP("b", nil))
	x, err := idp.External(a, idp.Person{Subject: "1"}, "", start)
	if err != nil {
		t.Fatal(err)
	}
	y, err := idp.External(b, idp.Person{Subject: "1"}, "", start)
	if err != nil || x.Subject() == y.Subject() {
		t.Errorf("%s and %s, %v", x.Subject(), y.Subject(), err)
	}
}

// What a provider calls groups means nothing here until somebody maps it.
func TestProviderGroupsAreNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := idp.Person{Subject: "1", Attributes: map[string]any{"groups": []any{"admins"}, "name": "Ann"}}
	c, err := idp.External(w.make(oidcIDP("a", nil)), who, "", start)
	if err != nil || c.Strings("groups") != nil || c.String("name") != "Ann" {
		t.Errorf("%v, %v", c.View(), err)
	}
	p := oidcIDP("b", nil)
	p.Mappings = []authctx.Mapping{{Source: "groups", Target: "groups", Type: authctx.StringArray}}
	c, err = idp.External(w.make(p), who, "", start)
	if err != nil || !cmp.Equal(c.Strings("groups"), []string{"admins"}) {
		t.Errorf("%v, %v", c.View(), err)
	}
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := staticIDP("box",
		idp.StaticUser{
			Username: "peter", Password: "secret", Email: "p@x.example", EmailVerified: true,
			AuthenticationContext: json.RawMessage(`{"given_name":"Peter","n":1.50,"email":"other@x.example"}`), AdditionalAttributes: json.RawMessage(`{"given_name":"P","plan":"gold"}`),
		},
		idp.StaticUser{Username: "ann", Password: "hidden"},
	)
	p.Settings.Static = &idp.StaticSettings{Hint: true}
	p = w.make(p)
	for _, c := range []struct{ name, password string }{
		{"peter", "hidden"}, {"ann", "secret"}, {"nobody", "secret"}, {"", ""}, {"peter", ""}, {"Peter", "secret"}, {"peter", "secret "}, {"petersecret", ""},
	} {
		_, err := w.keeper.Verify(p, c.name, c.password)
		if f := fault.Read(err); f == nil || f.Kind != fault.Unauthenticated || f.Public != "The name or the password is wrong." || f.Cause != nil {
			t.Errorf("%q %q: %v", c.name, c.password, err)
		}
	}
	who, err := w.keeper.Verify(p, "peter", "secret")
	if err != nil {
		t.Fatal(err)
	}
	c, err := idp.External(p, who, "", start)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"sub": idp.Subject("", "box", "peter"), "idp_sub": "peter", "tenant": "acme", "acr": "1", "amr": []any{"pwd"}, "auth_time": json.Number("1772366400"),
		"given_name": "Peter", "plan": "gold", "n": json.Number("1.50"), "email": "p@x.example", "email_verified": true, "preferred_username": "peter",
	}
	if d := cmp.Diff(want, c.View()); d != "" {
		t.Errorf("context (-want +got):\n%s", d)
	}
	if names, err := w.keeper.Hints(p); err != nil || !cmp.Equal(names, []string{"peter", "ann"}) {
		t.Errorf("hints %v, %v", names, err)
	}
	p.Settings.Static.Hint = false
	if names, err := w.keeper.Hints(p); err != nil || names != nil {
		t.Errorf("hints %v, %v", names, err)
	}
	if _, err := w.keeper.Verify(w.make(oidcIDP("corp", nil)), "peter", "secret"); err == nil {
		t.Error("a provider was taken for a sandbox")
	}
	if _, err := w.keeper.Verify(w.make(staticIDP("empty")), "peter", "secret"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a sandbox without users: %v", err)
	}
}
