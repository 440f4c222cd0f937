package authctx_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/authctx"
)

// alice is a context as an identity-pool IDP makes it.
func alice(t testing.TB) authctx.Context {
	t.Helper()
	c, err := authctx.New(map[string]any{
		"email": "alice@example.com", "email_verified": true,
		"phone_number": "+4790000000", "phone_number_verified": true,
		"preferred_username": "alice", "name": "Alice", "groups": []string{"staff"},
		"address": map[string]any{"locality": "Oslo", "country": "NO"},
		"n":       1700000000,
	}, authctx.Identity{
		Subject: "5ab0", IDPSubject: "u1", Tenant: "acme", Pool: "people",
		AuthTime: time.Unix(1700000000, 5), AMR: []string{"pwd"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	script = authctx.Author{Kind: authctx.Script, ID: "roles"}
	app    = authctx.Author{Kind: authctx.App, ID: "terms"}
)

type applyCase struct {
	name   string
	author authctx.Author
	set    string
	maySet []string
	patch  string // what is kept of set; empty: no patch at all
	cause  error  // the refusal, if any
	say    string // part of its text
}

func applied() []applyCase {
	return []applyCase{
		{name: "new attribute", author: app, set: `{"terms":3}`, patch: `{"terms":3}`},
		{name: "overwritten", author: app, set: `{"name":"Al"}`, patch: `{"name":"Al"}`},
		{name: "object replaced whole", author: script, set: `{"address":{"locality":"Bergen"}}`, patch: `{"address":{"locality":"Bergen"}}`},
		{name: "null removes", author: script, set: `{"name":null}`, patch: `{"name":null}`},
		{name: "null of what is not there", author: script, set: `{"nothing":null}`},
		{name: "nothing", author: script, set: `{}`},
		{name: "unchanged values are dropped", author: app, set: `{"name":"Alice","address":{"country":"NO","locality":"Oslo"},"n":1.7e9}`},
		{name: "sealed with old values", author: app, set: `{"sub":"5ab0","idp_sub":"u1","auth_time":1700000000.0,"tenant":"acme","pool":"people","amr":["pwd"],"acr":"1","x":1}`, patch: `{"x":1}`},
		{name: "guarded with old values", author: app, set: `{"email":"alice@example.com","email_verified":true,"groups":["staff"],"x":1}`, patch: `{"x":1}`},
		{name: "amr by a script", author: script, set: `{"amr":["pwd","otp"]}`, patch: `{"amr":["pwd","otp"]}`},
		{name: "acr by a script", author: script, set: `{"acr":"2"}`, patch: `{"acr":"2"}`},
		{name: "groups by right", author: app, set: `{"groups":["staff","admin"]}`, maySet: []string{"groups"}, patch: `{"groups":["staff","admin"]}`},
		{name: "preferred_username by right", author: script, set: `{"preferred_username":"al"}`, maySet: []string{"preferred_username"}, patch: `{"preferred_username":"al"}`},
		{name: "verified by right", author: script, set: `{"email_verified":false}`, maySet: []string{"email_verified"}, patch: `{"email_verified":false}`},
		{name: "changed email loses its proof", author: script, set: `{"email":"x@example.com"}`, maySet: []string{"email"}, patch: `{"email":"x@example.com","email_verified":false}`},
		{name: "whole context with another email", author: script, set: `{"sub":"5ab0","email":"x@example.com","email_verified":true}`, maySet: []string{"email", "email_verified"}, patch: `{"email":"x@example.com","email_verified":false}`},
		{name: "changed phone loses its proof", author: app, set: `{"phone_number":"+1"}`, maySet: []string{"phone_number"}, patch: `{"phone_number":"+1","phone_number_verified":false}`},
		{name: "removed email", author: app, set: `{"email":null}`, maySet: []string{"email"}, patch: `{"email":null,"email_verified":false}`},
		{name: "added address with its proof", author: script, set: `{"work_email":"w@x","work_email_verified":true}`, maySet: []string{"work_email_verified"}, patch: `{"work_email":"w@x","work_email_verified":true}`},
		{name: "name with dots", author: app, set: `{"https://x.org/r":["a"]}`, patch: `{"https://x.org/r":["a"]}`},
	}
}

func refused() []applyCase {
	cases := []applyCase{
		{name: "amr by an app", author: app, set: `{"amr":["mfa"]}`, cause: authctx.ErrScriptsOnly, say: `app terms: attribute "amr"`},
		{name: "acr by an app, though named", author: app, set: `{"acr":"3"}`, maySet: []string{"acr"}, cause: authctx.ErrScriptsOnly},
		{name: "one bad among good", author: script, set: `{"x":1,"email":"x@x","y":2}`, cause: authctx.ErrNotAllowed, say: `"email"`},
		{name: "all refusals are named", author: app, set: `{"amr":[],"groups":["root"]}`, cause: authctx.ErrNotAllowed, say: `"amr"`},
		{name: "other right", author: app, set: `{"email":"x@x"}`, maySet: []string{"email_verified"}, cause: authctx.ErrNotAllowed},
		{name: "removed by null", author: app, set: `{"groups":null}`, cause: authctx.ErrNotAllowed},
		{name: "sub removed", author: script, set: `{"sub":null}`, cause: authctx.ErrSealed},
		{name: "unknown _verified", author: app, set: `{"age_verified":true}`, cause: authctx.ErrNotAllowed},
		{name: "email number", author: app, set: `{"email":5}`, maySet: []string{"email"}, cause: authctx.ErrType, say: "it is a number, not a string"},
		{name: "groups string", author: app, set: `{"groups":"admin"}`, maySet: []string{"groups"}, cause: authctx.ErrType},
		{name: "verified text", author: app, set: `{"email_verified":"yes"}`, maySet: []string{"email_verified"}, cause: authctx.ErrType},
		{name: "amr string", author: script, set: `{"amr":"mfa"}`, cause: authctx.ErrType},
		{name: "acr removed", author: script, set: `{"acr":null}`, cause: authctx.ErrType},
		{name: "unknown kind of author", author: authctx.Author{Kind: "Script"}, set: `{"amr":["mfa"]}`, cause: authctx.ErrScriptsOnly},
	}
	for name, v := range map[string]string{"sub": `"x"`, "idp_sub": `"u2"`, "auth_time": `1700000001`, "tenant": `"other"`, "pool": `"admins"`} {
		cases = append(cases, applyCase{
			name: "sealed " + name, author: script, set: fmt.Sprintf(`{%q:%s}`, name, v),
			maySet: []string{name}, cause: authctx.ErrSealed, say: fmt.Sprintf("script roles: attribute %q is sealed", name),
		})
	}
	for _, name := range []string{"email", "phone_number", "preferred_username", "groups", "email_verified"} {
		cases = append(cases, applyCase{name: "guarded " + name, author: script, set: fmt.Sprintf(`{%q:"x"}`, name), cause: authctx.ErrNotAllowed})
	}
	return cases
}

func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range append(applied(), refused()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := alice(t)
			set := object(t, c.set)
			after, err := before.Apply(c.author, set, c.maySet)
			if !errors.Is(err, c.cause) || (err != nil && !strings.Contains(err.Error(), c.say)) {
				t.Fatalf("error %v, want %v with %q", err, c.cause, c.say)
			}
			if !before.Equal(alice(t)) {
				t.Error("the context that was patched has changed")
			}
			if diff := cmp.Diff(object(t, c.set), set); diff != "" {
				t.Errorf("the caller's map was changed:\n%s", diff)
			}
			if c.patch == "" {
				if !after.Equal(before) {
					t.Errorf("got patches %v, want none", after.Patches())
				}
				return
			}
			ps := after.Patches()
			if len(ps) != 1 || ps[0].Author != c.author {
				t.Fatalf("patches %v, want one of %s", ps, c.author)
			}
			if diff := cmp.Diff(text(t, object(t, c.patch)), text(t, ps[0].Set)); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyRefusalIsFound(t *testing.T) {
	t.Parallel()
	_, err := alice(t).Apply(app, map[string]any{"pool": "admins"}, nil)
	var re *authctx.RefusedError
	if !errors.As(err, &re) || re.Name != "pool" || re.Author != app {
		t.Fatalf("error %#v", err)
	}
	if strings.Contains(err.Error(), "admins") {
		t.Errorf("the error shows the value: %v", err)
	}
}

// An app must not mark an address as proven by giving first the proof and then
// the address, each with a right of its own.
func TestApplyProofThenAddress(t *testing.T) {
	t.Parallel()
	c, err := authctx.New(map[string]any{}, authctx.Identity{Subject: "s"})
	if err != nil {
		t.Fatal(err)
	}
	c, err = c.Apply(app, map[string]any{"email_verified": true}, []string{"email_verified"})
	if err != nil {
		t.Fatal(err)
	}
	c, err = c.Apply(app, map[string]any{"email": "boss@example.com"}, []string{"email"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Bool("email_verified") {
		t.Error("the new address carries the old proof")
	}
}

func TestApplyOrder(t *testing.T) {
	t.Parallel()
	c := alice(t)
	for i, set := range []map[string]any{{"a": 1, "b": 1}, {"b": 2, "c": 2}, {"a": nil}} {
		var err error
		if c, err = c.Apply(authctx.Author{Kind: authctx.App, ID: fmt.Sprint(i)}, set, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := c.Lookup("a"); ok {
		t.Error("a is still there")
	}
	if got := text(t, []any{c.View()["b"], c.View()["c"]}); got != "[2,2]" {
		t.Errorf("b and c are %s", got)
	}
	if got := c.Base(); !got.Equal(alice(t)) {
		t.Error("the base has changed")
	}
}

// Two branches of one context share no patch.
func TestApplyBranches(t *testing.T) {
	t.Parallel()
	c := alice(t)
	var err error
	for i := range 3 {
		if c, err = c.Apply(app, map[string]any{fmt.Sprint("x", i): i}, nil); err != nil {
			t.Fatal(err)
		}
	}
	branches := make([]authctx.Context, 8)
	var wg sync.WaitGroup
	for i := range branches {
		wg.Go(func() {
			var err error
			if branches[i], err = c.Apply(script, map[string]any{"branch": i}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, b := range branches {
		ps := b.Patches()
		if len(ps) != 4 || text(t, ps[3].Set) != fmt.Sprintf(`{"branch":%d}`, i) || text(t, b.View()["branch"]) != fmt.Sprint(i) {
			t.Errorf("branch %d holds %v", i, ps)
		}
	}
	if len(c.Patches()) != 3 {
		t.Error("the shared context has changed")
	}
}

func TestRebase(t *testing.T) {
	t.Parallel()
	apply := func(c authctx.Context, set map[string]any, maySet ...string) authctx.Context {
		out, err := c.Apply(app, set, maySet)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	renew := func(change map[string]any, id authctx.Identity) authctx.Context {
		values := alice(t).View()
		for name, v := range change {
			values[name] = v
		}
		c, err := authctx.New(values, id)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	who := authctx.Identity{Subject: "5ab0", IDPSubject: "u1", Tenant: "acme", Pool: "people"}
	for _, c := range []struct {
		name string
		old  authctx.Context
		base authctx.Context
		path string
		want string
	}{
		{"newer data shows", apply(alice(t), map[string]any{"x": 1}), renew(map[string]any{"name": "Ally"}, who), "name", `"Ally"`},
		{"additions stay", apply(alice(t), map[string]any{"x": 1}), renew(map[string]any{"name": "Ally"}, who), "x", `1`},
		{"what was given back unchanged does not freeze", apply(alice(t), map[string]any{"name": "Alice", "x": 1}), renew(map[string]any{"name": "Ally"}, who), "name", `"Ally"`},
		{"what was changed wins", apply(alice(t), map[string]any{"name": "Boss"}), renew(map[string]any{"name": "Ally"}, who), "name", `"Boss"`},
		{"proof of the same address stays", apply(renew(map[string]any{"email_verified": false}, who), map[string]any{"email_verified": true}, "email_verified"), renew(map[string]any{"email_verified": false}, who), "email_verified", `true`},
		{"proof of another address goes", apply(renew(map[string]any{"email_verified": false}, who), map[string]any{"email_verified": true}, "email_verified"), renew(map[string]any{"email": "new@x", "email_verified": false}, who), "email_verified", `false`},
		{"a patched address stays unproven", apply(alice(t), map[string]any{"email": "p@x"}, "email"), renew(map[string]any{"email": "new@x"}, who), "email_verified", `false`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.old.Rebase(c.base)
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := got.Lookup(c.path); text(t, v) != c.want {
				t.Errorf("%s is %s, want %s", c.path, text(t, v), c.want)
			}
		})
	}
	for _, other := range []authctx.Identity{
		{Subject: "other", IDPSubject: "u1", Tenant: "acme", Pool: "people"},
		{Subject: "5ab0", IDPSubject: "u2", Tenant: "acme", Pool: "people"},
		{Subject: "5ab0", IDPSubject: "u1", Tenant: "other", Pool: "people"},
		{Subject: "5ab0", IDPSubject: "u1", Tenant: "acme"},
	} {
		if _, err := alice(t).Rebase(renew(nil, other)); !errors.Is(err, authctx.ErrSealed) {
			t.Errorf("a base of %+v was taken: %v", other, err)
		}
	}
}
