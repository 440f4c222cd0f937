package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// TestPoolDefaults is PoolResponse of a pool that was created with a name alone.
func TestPoolDefaults(t *testing.T) {
	t.Parallel()
	w := open(t)
	p := must[pool.Counted](t)(w.Pools.Create(t.Context(), tenantID, decode[pool.Input](t, `{"name":"Our People","unknown":1,"deleted":true}`)))
	got, want := same(t, encode(t, p), `{
		"id":"our-people","tenant_id":"t","name":"Our People","description":"","badge_color":"","deleted":false,"system":false,
		"payload_schema_id":"default_payload","metadata_schema_id":"default_metadata","business_metadata_schema_id":"",
		"authentication_mechanisms":["password"],"preferred_authentication_mechanism":"password",
		"second_factor_authentication_mechanisms":[],"second_factor_threshold":0,"mfa_session_ttl":"0s",
		"identifier_case_insensitive":false,"public_registration_allowed":false,
		"otp_settings":{
			"activation":{"length":8,"ttl":"1h0m0s"},"authentication":{"length":6,"ttl":"5m0s"},"challenge":{"length":6,"ttl":"5m0s"},
			"enroll_webauthn":{"length":8,"ttl":"1h0m0s"},"reset_password":{"length":8,"ttl":"1h0m0s"},"reset_totp":{"length":8,"ttl":"1h0m0s"},
			"verify_address":{"length":8,"ttl":"1h0m0s"}},
		"password_policy":{"capital_letters":0,"digits":0,"lowercase_letters":0,"min_length":10,"not_used_since":0,"special_characters":0,"strength":"weak"},
		"password_settings":{"expires_after":"0s","hashing_method":"argon2"},
		"reset_credentials_settings":{"do_not_allow_users_to_self_reset_credentials":false},
		"number_of_users":0,"number_of_standard_users":0,"number_of_jit_users":0}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pool our-people", "pool_created"}, w.told()); diff != "" {
		t.Error(diff)
	}
	payload, want := same(t, string(w.events[0].Payload), `{"pool_created":{"pool_id":"our-people","name":"Our People","description":"",
		"authentication_mechanisms":["password"],"public_registration_allowed":false}}`)
	if diff := cmp.Diff(want, payload); diff != "" {
		t.Error(diff)
	}
	if e := w.events[0]; e.Tenant != tenantID || e.Workspace != "admin" || e.Metadata["affected_user_pool_id"] != "our-people" {
		t.Errorf("event %+v", e)
	}
}

func TestPoolRules(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, tc := range []struct{ name, members, field string }{
		{"everything", `"id":"full","description":"d","badge_color":"#fff","metadata":{"a":1},"authentication_mechanisms":["webauthn","otp"],
			"preferred_authentication_mechanism":"otp","second_factor_authentication_mechanisms":["totp"],"second_factor_threshold":1.5,
			"mfa_session_ttl":"720h0m0s","otp_settings":{"challenge":{"length":4}},"password_policy":{"min_length":3},
			"password_settings":{"hashing_method":"bcrypt","expires_after":"2160h"},"webauthn":{"rp_id":"example.com","origins":["https://example.com"]}`, ""},
		{"no mechanism", `"authentication_mechanisms":[]`, ""},
		{"empty name", `"name":" "`, "name"},
		{"signs in the name", `"name":"a<b>"`, "name"},
		{"long name", `"name":"` + strings.Repeat("a", 101) + `"`, "name"},
		{"id with a slash", `"id":"a/b"`, "id"},
		{"id of dots", `"id":".."`, "id"},
		{"unknown mechanism", `"authentication_mechanisms":["password","face"]`, "authentication_mechanisms[1]"},
		{"mechanism twice", `"second_factor_authentication_mechanisms":["totp","totp"]`, "second_factor_authentication_mechanisms[1]"},
		{"preferred is not there", `"preferred_authentication_mechanism":"totp"`, "preferred_authentication_mechanism"},
		{"second preferred is not there", `"second_factor_preferred_authentication_mechanism":"totp"`, "second_factor_preferred_authentication_mechanism"},
		{"negative threshold", `"second_factor_threshold":-1`, "second_factor_threshold"},
		{"negative session", `"mfa_session_ttl":"-1s"`, "mfa_session_ttl"},
		{"negative expiry", `"password_settings":{"expires_after":"-1s"}`, "password_settings.expires_after"},
		{"md5", `"password_settings":{"hashing_method":"md5"}`, "password_settings.hashing_method"},
		{"unknown strength", `"password_policy":{"strength":"good"}`, "password_policy.strength"},
		{"endless password", `"password_policy":{"min_length":1000}`, "password_policy.min_length"},
		{"short code", `"otp_settings":{"activation":{"length":3}}`, "otp_settings.activation.length"},
		{"endless code", `"otp_settings":{"reset_totp":{"ttl":"9999h"}}`, "otp_settings.reset_totp.ttl"},
		{"metadata is a list", `"metadata":[]`, "metadata"},
		{"rp_id is an address", `"webauthn":{"rp_id":"https://example.com"}`, "webauthn.rp_id"},
		{"an origin with a path", `"webauthn":{"origins":["https://example.com","https://example.com/"]}`, "webauthn.origins[1]"},
		{"unknown schema", `"payload_schema_id":"x"`, "payload_schema_id"},
		{"unknown business schema", `"business_metadata_schema_id":"x"`, "business_metadata_schema_id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := decode[pool.Input](t, `{"name":"`+tc.name+`",`+tc.members+`}`)
			_, err := w.Pools.Create(t.Context(), tenantID, in)
			if tc.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, tc.members, err, fault.Unprocessable, tc.field)
		})
	}
}

func TestPoolNamesAndIDs(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	create := func(id, name string) (pool.Counted, error) {
		return w.Pools.Create(ctx, tenantID, pool.Input{Pool: pool.Pool{ID: id, Name: name}})
	}
	first := must[pool.Counted](t)(create("", "People"))
	_, err := create("other", "pEOPLE ")
	wants(t, "the name in another case", err, fault.Conflict, "name")
	_, err = create("people", "Somebody else")
	wants(t, "the id", err, fault.Conflict, "id")
	// A name whose slug is taken gets a random id.
	second := must[pool.Counted](t)(create("", "People."))
	if first.ID != "people" || len(second.ID) != 32 {
		t.Errorf("ids %q and %q", first.ID, second.ID)
	}
	if _, err := w.Pools.Create(ctx, "other-tenant", pool.Input{Pool: pool.Pool{ID: "people", Name: "People", PayloadSchemaID: "x"}}); err == nil {
		t.Error("a schema of another tenant is accepted")
	}
	rename := pool.Input{Pool: pool.Pool{ID: "people", Name: "People."}}
	_, err = w.Pools.Update(ctx, tenantID, rename)
	wants(t, "a name that is taken", err, fault.Conflict, "name")
	rename.Name = "Staff"
	if p := must[pool.Counted](t)(w.Pools.Update(ctx, tenantID, rename)); p.Name != "Staff" {
		t.Errorf("renamed to %q", p.Name)
	}
	_ = must[pool.Counted](t)(create("third", "People")) // free again
	if err := w.Pools.Delete(ctx, tenantID, "third", 0); err != nil {
		t.Fatal(err)
	}
	fresh := must[pool.Counted](t)(create("third", "People"))
	if fresh.Epoch == first.Epoch {
		t.Error("the same epoch in another life")
	}
}

// TestPoolNameRace lets many create a pool of one name: one does.
func TestPoolNameRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.Pools.Create(t.Context(), tenantID, pool.Input{Pool: pool.Pool{ID: fmt.Sprint("p", i), Name: "People"}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
	}
	if list := must[[]pool.Counted](t)(w.Pools.List(t.Context(), tenantID, pool.Filter{})); won != 1 || len(list) != 1 {
		t.Errorf("%d won, %d pools are there", won, len(list))
	}
}

func TestPoolUpdate(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	p := w.pool("p", func(in *pool.Input) {
		in.Pool.IdentifierCaseInsensitive = true
		in.WorkspaceID = "w"
		in.PublicRegistrationAllowed = true
		in.WebAuthn = &pool.WebAuthn{RPID: "example.com"}
	})
	in := decode[pool.Input](t, `{"id":"p","name":"p","workspace_id":"elsewhere","system":true,"tenant_id":"x"}`)
	in.Rev = p.Rev
	next := must[pool.Counted](t)(w.Pools.Update(ctx, tenantID, in))
	if next.WorkspaceID != "w" || next.System || next.TenantID != tenantID || !next.IdentifierCaseInsensitive || next.WebAuthn == nil {
		t.Errorf("what cannot be changed, or was not mentioned, changed: %+v", next.Pool)
	}
	if next.PublicRegistrationAllowed || next.PasswordSettings.HashingMethod != "argon2" || next.PasswordPolicy.MinLength != 10 {
		t.Errorf("what is missing does not have its default: %+v", next.Pool)
	}
	_, err := w.Pools.Update(ctx, tenantID, in)
	wants(t, "old revision", err, fault.Stale, "")
	in.ID, in.Rev = "none", 0
	_, err = w.Pools.Update(ctx, tenantID, in)
	wants(t, "no such pool", err, fault.NotFound, "")
}

// TestPoolCaseIsFixed: how identifiers compare can change only without users.
func TestPoolCaseIsFixed(t *testing.T) {
	t.Parallel()
	w := open(t)
	update := func(body string) (pool.Counted, error) {
		return w.Pools.Update(t.Context(), tenantID, decode[pool.Input](t, body))
	}
	w.pool("q", nil)
	p := must[pool.Counted](t)(update(`{"id":"q","name":"q","identifier_case_insensitive":true}`))
	if !p.IdentifierCaseInsensitive {
		t.Error("an empty pool did not change")
	}
	w.user("q", "")
	for _, body := range []string{`{"id":"q","name":"q"}`, `{"id":"q","name":"q","identifier_case_insensitive":true}`} {
		if p := must[pool.Counted](t)(update(body)); !p.IdentifierCaseInsensitive {
			t.Errorf("%s changed it", body)
		}
	}
	_, err := update(`{"id":"q","name":"q","identifier_case_insensitive":false}`)
	wants(t, "with a user", err, fault.Unprocessable, "identifier_case_insensitive")
}

func TestPoolList(t *testing.T) {
	t.Parallel()
	w := open(t)
	for i, id := range []string{"d", "b", "a", "e", "c"} {
		w.pool(id, func(in *pool.Input) {
			in.Name = fmt.Sprint("Name ", 5-i)
			if id < "c" {
				in.WorkspaceID = "w"
			}
		})
	}
	for _, tc := range []struct {
		name   string
		filter pool.Filter
		want   string
	}{
		{"all by id", pool.Filter{}, "a b c d e"},
		{"by name", pool.Filter{Sort: "name"}, "c e a b d"},
		{"downwards", pool.Filter{Sort: "name", Page: store.Page{Desc: true, Limit: 2}}, "d b"},
		{"after", pool.Filter{Page: store.Page{After: "b", Limit: 2}}, "c d"},
		{"before", pool.Filter{Page: store.Page{Before: "d", Limit: 2}}, "b c"},
		{"by name after", pool.Filter{Sort: "name", Page: store.Page{After: "e"}}, "a b d"},
		{"cursor that is not there", pool.Filter{Sort: "name", Page: store.Page{After: "x"}}, ""},
		{"search in names", pool.Filter{Search: "NAME 3"}, "a"},
		{"search in ids", pool.Filter{Search: "D"}, "d"},
		{"of a workspace", pool.Filter{Workspace: "w"}, "a b"},
		{"visible", pool.Filter{Visible: func(p *pool.Pool) bool { return p.ID != "b" }, Page: store.Page{Limit: 2}}, "a c"},
	} {
		var got []string
		for _, p := range must[[]pool.Counted](t)(w.Pools.List(t.Context(), tenantID, tc.filter)) {
			got = append(got, p.ID)
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, s, tc.want)
		}
	}
	_, err := w.Pools.List(t.Context(), tenantID, pool.Filter{Sort: "age"})
	wants(t, "unknown sort", err, fault.Unprocessable, "sort")
	if got := must[[]pool.Counted](t)(w.Pools.List(t.Context(), "other", pool.Filter{})); len(got) != 0 {
		t.Errorf("another tenant sees %v", got)
	}
}

func TestPoolCounters(t *testing.T) {
	t.Parallel()
	w := open(t)
	p := w.pool("p", nil)
	w.pool("q", nil)
	w.user("p", "")
	w.user("p", `"user_type":"jit"`)
	w.user("p", `"user_type":"partner"`)
	gone := w.user("p", `"user_type":"jit"`)
	w.user("q", "")
	if err := w.Users.Delete(t.Context(), tenantID, "p", gone.ID, 0); err != nil {
		t.Fatal(err)
	}
	c := must[pool.Counted](t)(w.Pools.Count(t.Context(), p.Pool))
	if c.NumberOfUsers != 3 || c.NumberOfStandardUsers != 2 || c.NumberOfJITUsers != 1 {
		t.Errorf("%d users, %d standard, %d jit", c.NumberOfUsers, c.NumberOfStandardUsers, c.NumberOfJITUsers)
	}
}

func TestPoolDeletion(t *testing.T) {
	t.Parallel()
	linked := errors.New("linked")
	w := open(t, func(_ *world, c *pool.Config, _ *store.Driver) {
		c.Linked = func(_ context.Context, _, id string) error {
			if id == "linked" {
				return linked
			}
			return nil
		}
	})
	ctx := t.Context()
	w.pool("linked", nil)
	if err := w.Pools.Delete(ctx, tenantID, "linked", 0); !errors.Is(err, linked) {
		t.Errorf("a linked pool: %v", err)
	}
	w.pool("system", func(in *pool.Input) { in.System = true })
	wants(t, "a system pool", w.Pools.Delete(ctx, tenantID, "system", 0), fault.Denied, "")
	p := w.pool("p", nil)
	wants(t, "another revision", w.Pools.Delete(ctx, tenantID, "p", p.Rev+1), fault.Stale, "")
	u := w.user("p", `"id":"anna",`+email("anna@example.com"))
	w.told()
	if err := w.Pools.Delete(ctx, tenantID, "p", p.Rev); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"revoke.user p/", "revoke.user p/", "pool p", "pool_deleted"}, w.told()); diff != "" {
		t.Error(diff)
	}
	wants(t, "again", w.Pools.Delete(ctx, tenantID, "p", 0), fault.NotFound, "")
	_, err := w.Users.Get(ctx, tenantID, "p", u.ID)
	wants(t, "a user of it", err, fault.NotFound, "")
	w.pool("p", nil)
	_, err = w.Users.Get(ctx, tenantID, "p", u.ID)
	wants(t, "a user of its former life", err, fault.NotFound, "")
	w.user("p", `"id":"anna",`+email("anna@example.com"))
}

// TestPoolDeletionInParts deletes a pool that is too large for one call.
func TestPoolDeletionInParts(t *testing.T) {
	t.Parallel()
	var driver store.Driver
	w := open(t, func(_ *world, _ *pool.Config, d *store.Driver) { driver = *d })
	ctx := t.Context()
	p := w.pool("p", nil)
	for i := range 600 { // each is a user and a claim
		w.user("p", email(fmt.Sprintf("u%d@example.com", i)))
	}
	left := func() int {
		t.Helper()
		n := 0
		for _, table := range []string{"users", "claims", "pool_purges"} {
			count, err := driver.Count(ctx, table, store.Scan{Tenant: tenantID, Prefix: p.Epoch, Now: w.Now()})
			if err != nil {
				t.Fatal(err)
			}
			n += count
		}
		return n
	}
	if left() != 1200 {
		t.Fatalf("%d rows before", left())
	}
	if err := w.Pools.Delete(ctx, tenantID, "p", 0); err != nil {
		t.Fatal(err)
	}
	if left() != 201 {
		t.Errorf("%d rows left by the deletion, want 200 and the record of the purge", left())
	}
	w.pool("p", nil)
	w.user("p", email("u1@example.com"))
	if err := w.Pools.Finish(ctx); err != nil || left() != 201 {
		t.Errorf("too early: %v, %d rows", err, left())
	}
	w.advance(time.Hour)
	if err := w.Pools.Finish(ctx); err != nil || left() != 0 {
		t.Errorf("finished: %v, %d rows", err, left())
	}
	if list := must[[]pool.User](t)(w.Users.List(ctx, tenantID, "p", pool.Query{}, store.Page{})); len(list) != 1 {
		t.Errorf("the next life has %d users", len(list))
	}
}

func TestPoolOfTenantThatGoes(t *testing.T) {
	t.Parallel()
	epochs := []string{"1", "2"}
	w := open(t, func(_ *world, c *pool.Config, _ *store.Driver) {
		c.TenantEpoch = func(context.Context, string) (string, error) {
			if len(epochs) == 0 {
				return "", fault.New(fault.NotFound, "gone", nil)
			}
			e := epochs[0]
			epochs = slices.Delete(epochs, 0, 1)
			return e, nil
		}
	})
	_, err := w.Pools.Create(t.Context(), tenantID, pool.Input{Pool: pool.Pool{Name: "p"}})
	wants(t, "recreated meanwhile", err, fault.NotFound, "")
	_, err = w.Pools.Create(t.Context(), tenantID, pool.Input{Pool: pool.Pool{Name: "p"}})
	wants(t, "gone", err, fault.NotFound, "")
	if list := must[[]pool.Counted](t)(w.Pools.List(t.Context(), tenantID, pool.Filter{})); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}
