package pool_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// TestUserOnTheWire is UserWithData and ExtendedUser of one user that has
// everything.
func TestUserOnTheWire(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", insensitive)
	u := w.user("p", `"id":"u1","user_type":"partner","unknown":1,
		"payload":{"given_name":"Anna", "family_name":"B", "name":"Anna B", "n":1.0},"metadata":{"m":[1]},"business_metadata":{"b":true},
		"identifiers":[{"type":"email","identifier":"Anna@Example.COM","metadata":{"k":1}},{"type":"mobile","identifier":"+48 123 456 789"},{"type":"uid","identifier":"Anna"}],
		"verifiable_addresses":[
			{"type":"email","address":"anna@example.com","verified":true,"metadata":{"a":1}},
			{"type":"mobile","address":"+48123456780","verified":false,"status":"inactive","preferred_contact_method":"voice"}],
		"credentials":[{"type":"password","password":"sesame-open","must_be_changed":true,"must_be_reset":true},{"type":"totp","totp_secret":"blex am6opbbztcfuopvhdq2hvg7ptmk3"},
			{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("hi")+`]}]`)
	text := encode(t, u.WithData())
	for _, secret := range []string{"sesame", "sha512", "BLEX", "aGk="} {
		if strings.Contains(text, secret) {
			t.Errorf("the view shows %q: %s", secret, text)
		}
	}
	for i := range u.Identifiers {
		text = strings.ReplaceAll(text, u.Identifiers[i].ID, fmt.Sprint("i", i))
	}
	for i := range u.Addresses {
		text = strings.ReplaceAll(text, u.Addresses[i].ID, fmt.Sprint("a", i))
	}
	for i := range u.Credentials {
		text = strings.ReplaceAll(text, u.Credentials[i].ID, fmt.Sprint("c", i))
	}
	const common = `"tenant_id":"t","user_pool_id":"p","status":"active","user_type":"partner",
		"created_at":"2026-05-06T07:08:09Z","updated_at":"2026-05-06T07:08:09Z","status_updated_at":"2026-05-06T07:08:09Z",
		"payload":{"given_name":"Anna","family_name":"B","name":"Anna B","n":1.0},"payload_schema_id":"default_payload",
		"metadata":{"m":[1]},"metadata_schema_id":"default_metadata","business_metadata":{"b":true},"business_metadata_schema_id":""`
	const of = `"tenant_id":"t","user_pool_id":"p","user_id":"u1","created_at":"2026-05-06T07:08:09Z","updated_at":"2026-05-06T07:08:09Z"`
	got, want := same(t, text, `{"id":"u1",`+common+`,
		"identifiers":[
			{"id":"i0",`+of+`,"identifier":"Anna@example.com","identifier_lc":"anna@example.com","type":"email","metadata":{"k":1}},
			{"id":"i1",`+of+`,"identifier":"+48123456789","identifier_lc":"+48123456789","type":"mobile"},
			{"id":"i2",`+of+`,"identifier":"Anna","identifier_lc":"anna","type":"uid"}],
		"verifiable_addresses":[
			{"id":"a0",`+of+`,"address":"anna@example.com","address_lc":"anna@example.com","type":"email","status":"active","verified":true,"verified_at":"2026-05-06T07:08:09Z","metadata":{"a":1}},
			{"id":"a1",`+of+`,"address":"+48123456780","address_lc":"+48123456780","type":"mobile","status":"inactive","verified":false,"preferred_contact_method":"voice"}],
		"credentials":[
			{"id":"c0",`+of+`,"type":"password","state":"must_be_reset","payload":{"hashed_password":"###"}},
			{"id":"c1",`+of+`,"type":"totp","state":"valid","payload":{"totp_secret":"###"}},
			{"id":"c2",`+of+`,"type":"webauthn","state":"valid","payload":{"webauthn_credentials":"###"}}]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, want = same(t, encode(t, u.Extended()), `{"id":"u1",`+common+`,
		"identifiers":["Anna@example.com","+48123456789","Anna"],
		"identifiers_with_details":[{"type":"email","value":"Anna@example.com"},{"type":"mobile","value":"+48123456789"},{"type":"uid","value":"Anna"}],
		"addresses":[{"address":"anna@example.com","verified":true},{"address":"+48123456780","verified":false}],
		"verified addresses":["anna@example.com"]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if secret, err := w.Users.TOTPSecret(&u); err != nil || secret != "BLEXAM6OPBBZTCFUOPVHDQ2HVG7PTMK3" {
		t.Errorf("TOTP secret %q, %v", secret, err)
	}
	moved := u
	moved.ID = "u2"
	if _, err := w.Users.TOTPSecret(&moved); err == nil {
		t.Error("a TOTP secret opens for another user")
	}
	bare := w.user("p", "")
	got, want = same(t, encode(t, bare.Extended()), `{"id":"`+bare.ID+`","tenant_id":"t","user_pool_id":"p","status":"active",
		"created_at":"2026-05-06T07:08:09Z","updated_at":"2026-05-06T07:08:09Z","status_updated_at":"2026-05-06T07:08:09Z",
		"payload":{},"payload_schema_id":"default_payload","metadata":{},"metadata_schema_id":"default_metadata",
		"business_metadata":{},"business_metadata_schema_id":"",
		"identifiers":[],"identifiers_with_details":[],"addresses":[],"verified addresses":[]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(bare.ID) != 32 {
		t.Errorf("random id %q", bare.ID)
	}
}

func TestUserRules(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.pool("strict", func(in *pool.Input) { in.PasswordPolicy = nil })
	many := strings.TrimSuffix(strings.Repeat(`{"type":"uid","identifier":"x"},`, 51), ",")
	for _, tc := range []struct{ name, members, field string }{
		{"any status", `"status":"new"`, ""},
		{"no user type", `"user_type":7`, ""},
		{"no status", `"status":""`, "status"},
		{"unknown status", `"status":"gone"`, "status"},
		{"id with a slash", `"id":"a/b"`, "id"},
		{"id of an operation", `"id":"by_key"`, "id"},
		{"payload is a list", `"payload":[]`, "payload"},
		{"metadata is a text", `"metadata":"x"`, "metadata"},
		{"unknown schema", `"payload_schema_id":"x"`, "payload_schema_id"},
		{"unknown type", `"identifiers":[{"type":"uid","identifier":"a"},{"type":"name","identifier":"b"}]`, "identifiers[1].type"},
		{"no e-mail", `"identifiers":[{"type":"email","identifier":"anna"}]`, "identifiers[0].identifier"},
		{"two at-signs", `"identifiers":[{"type":"email","identifier":"\"a@b\"@example.com"}]`, ""},
		{"no domain", `"identifiers":[{"type":"email","identifier":"anna@"}]`, "identifiers[0].identifier"},
		{"blank in an e-mail", `"identifiers":[{"type":"email","identifier":"an na@example.com"}]`, "identifiers[0].identifier"},
		{"national phone", `"identifiers":[{"type":"mobile","identifier":"600 100 200"}]`, "identifiers[0].identifier"},
		{"letters in a phone", `"identifiers":[{"type":"mobile","identifier":"+48 call me"}]`, "identifiers[0].identifier"},
		{"empty identifier", `"identifiers":[{"type":"uid","identifier":"  "}]`, "identifiers[0].identifier"},
		{"zero-width", `"identifiers":[{"type":"uid","identifier":"ad\u200bmin"}]`, "identifiers[0].identifier"},
		{"text direction", `"identifiers":[{"type":"external","identifier":"a\u202eb"}]`, "identifiers[0].identifier"},
		{"line break", `"identifiers":[{"type":"uid","identifier":"a\nb"}]`, "identifiers[0].identifier"},
		{"long", `"identifiers":[{"type":"uid","identifier":"` + strings.Repeat("a", 321) + `"}]`, "identifiers[0].identifier"},
		{"long after NFKC", `"identifiers":[{"type":"uid","identifier":"` + strings.Repeat("\ufdfa", 100) + `"}]`, "identifiers[0].identifier"},
		{"identifier twice", `"identifiers":[{"type":"uid","identifier":"a@x.org"},{"type":"email","identifier":"a@X.org"}]`, "identifiers[1].identifier"},
		{"too many", `"identifiers":[` + many + `]`, ""},
		{"identifier metadata", `"identifiers":[{"type":"uid","identifier":"m","metadata":[]}]`, "identifiers[0].metadata"},
		{"address type", `"verifiable_addresses":[{"type":"uid","address":"a"}]`, "verifiable_addresses[0].type"},
		{"address status", `"verifiable_addresses":[{"type":"email","address":"a@b.c","status":"new"}]`, "verifiable_addresses[0].status"},
		{"contact method", `"verifiable_addresses":[{"type":"mobile","address":"+48123456789","preferred_contact_method":"fax"}]`, "verifiable_addresses[0].preferred_contact_method"},
		{"address twice", `"verifiable_addresses":[{"type":"email","address":"a@b.c"},{"type":"email","address":" a@B.c"}]`, "verifiable_addresses[1].address"},
		{"credential type", `"credentials":[{"type":"face"}]`, "credentials[0].type"},
		{"no password", `"credentials":[{"type":"password"}]`, "credentials[0].password"},
		{"two passwords", `"credentials":[{"type":"password","password":"a"},{"type":"password","password":"b"}]`, "credentials[1].type"},
		{"TOTP secret", `"credentials":[{"type":"totp","totp_secret":"not base32!"}]`, "credentials[0].totp_secret"},
		{"short TOTP secret", `"credentials":[{"type":"totp","totp_secret":"AAAA"}]`, "credentials[0].totp_secret"},
		{"no passkey", `"credentials":[{"type":"webauthn"}]`, "credentials[0].webauthn_credentials"},
		{"a passkey without an id", `"credentials":[{"type":"webauthn","webauthn_credentials":[{}]}]`, "credentials[0].webauthn_credentials[0].id"},
		{"a passkey twice", `"credentials":[{"type":"webauthn","webauthn_credentials":[` + passkeyRecord("a") + `,` + passkeyRecord("a") + `]}]`, "credentials[0].webauthn_credentials[1].id"},
		{"too many passkeys", `"credentials":[{"type":"webauthn","webauthn_credentials":[` + strings.Repeat(passkeyRecord("a")+",", 20) + passkeyRecord("a") + `]}]`, "credentials[0].webauthn_credentials"},
		{"a passkey that is none", `"credentials":[{"type":"webauthn","webauthn_credentials":[` + passkeyRecord("a") + `,1]}]`, "credentials[0].webauthn_credentials[1]"},
	} {
		_, err := w.Users.Create(t.Context(), tenantID, "p", decode[pool.NewUser](t, `{"status":"active",`+tc.members+`}`))
		if tc.name == "too many" {
			wants(t, tc.name, err, fault.Unprocessable, "")
		} else if tc.field == "" && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if tc.field != "" {
			wants(t, tc.name, err, fault.Unprocessable, tc.field)
		}
	}
	_, err := w.create("strict", password("short"))
	wants(t, "policy", err, fault.Unprocessable, "credentials[0].password")
	_, err = w.create("strict", email("annabelle@example.com")+`,`+password("annabelle@example"))
	wants(t, "policy knows the person", err, fault.Unprocessable, "credentials[0].password")
	_, err = w.create("none", "")
	wants(t, "no such pool", err, fault.NotFound, "")
}

func TestUserUpdate(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	_ = must[pool.Schema](t)(w.Schemas.Create(ctx, tenantID, pool.Schema{ID: "s", Name: "s", Schema: json.RawMessage(`{"required":["x"]}`)}))
	w.pool("p", nil)
	u := w.user("p", `"payload":{"given_name":"A","family_name":"B","name":"C","deep":{"a":1}},"metadata":{"m":1}`)
	w.advance(time.Minute)
	w.told()
	update := func(body string) (pool.User, error) {
		return w.Users.Update(ctx, tenantID, "p", u.ID, 0, decode[pool.UpdateUser](t, body))
	}
	v := must[pool.User](t)(update(`{"metadata":{"n":2},"payload":null,"business_metadata":{}}`))
	if string(v.Payload) != string(u.Payload) || string(v.Metadata) != `{"n":2}` || string(v.BusinessMetadata) != `{}` || v.Status != "active" {
		t.Errorf("what is missing must stay and what is there replace: %+v", v)
	}
	if !v.UpdatedAt.Equal(w.Now()) || !v.CreatedAt.Equal(u.CreatedAt) || !v.StatusUpdatedAt.Equal(u.StatusUpdatedAt) || v.Epoch != u.Epoch {
		t.Errorf("times: %+v", v)
	}
	if diff := cmp.Diff([]string{"user p/" + u.ID, "user_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	for _, tc := range []struct{ body, field string }{
		{`{"payload":{"given_name":"A"}}`, "payload.family_name"},
		{`{"payload_schema_id":"s"}`, "payload.x"},
		{`{"payload_schema_id":"none"}`, "payload_schema_id"},
		{`{"status":"gone"}`, "status"},
		{`{"metadata":[]}`, "metadata"},
	} {
		_, err := update(tc.body)
		wants(t, tc.body, err, fault.Unprocessable, tc.field)
	}
	v = must[pool.User](t)(update(`{"payload_schema_id":"s","payload":{"x":1}}`))
	if v.PayloadSchemaID != "s" {
		t.Errorf("schema %q", v.PayloadSchemaID)
	}
	// A schema that became stricter does not stop what has nothing to do with it.
	s := must[pool.Schema](t)(w.Schemas.Get(ctx, tenantID, "s"))
	s.Schema = json.RawMessage(`{"required":["y"]}`)
	_ = must[pool.Schema](t)(w.Schemas.Update(ctx, tenantID, s))
	w.advance(time.Minute)
	w.told()
	v = must[pool.User](t)(update(`{"status":"inactive"}`))
	if v.Status != "inactive" || !v.StatusUpdatedAt.Equal(w.Now()) {
		t.Errorf("status: %+v", v)
	}
	at := "p/" + u.ID
	if diff := cmp.Diff([]string{"revoke.user " + at, "revoke.user " + at, "user " + at, "user_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	_, err := w.Users.Update(ctx, tenantID, "p", u.ID, u.Rev, pool.UpdateUser{Status: "active"})
	wants(t, "old revision", err, fault.Stale, "")
	_, err = w.Users.Update(ctx, tenantID, "p", u.ID, v.Rev, pool.UpdateUser{Status: "active"})
	if err != nil {
		t.Error(err)
	}
	w.told()
	_, err = w.Users.Update(ctx, tenantID, "p", "none", 0, pool.UpdateUser{Status: "deleted"})
	wants(t, "no such user", err, fault.NotFound, "")
	_, err = w.Users.Update(ctx, "other", "p", u.ID, 0, pool.UpdateUser{Status: "deleted"})
	wants(t, "another tenant", err, fault.NotFound, "")
	_, err = update(`{"status":"deleted","payload":[]}`)
	wants(t, "refused", err, fault.Unprocessable, "payload")
	if told := w.told(); told != nil {
		t.Errorf("refusals told the logs %v", told)
	}
}

func TestUserDeletion(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	u := w.user("p", `"id":"anna",`+email("anna@example.com"))
	wants(t, "another revision", w.Users.Delete(ctx, tenantID, "p", "anna", u.Rev+1), fault.Stale, "")
	w.told()
	if err := w.Users.Delete(ctx, tenantID, "p", "anna", u.Rev); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"revoke.user p/anna", "revoke.user p/anna", "user p/anna", "user_deleted"}, w.told()); diff != "" {
		t.Error(diff)
	}
	wants(t, "again", w.Users.Delete(ctx, tenantID, "p", "anna", 0), fault.NotFound, "")
	again := w.user("p", `"id":"anna",`+email("anna@example.com"))
	if again.Epoch == u.Epoch || again.Rev == u.Rev {
		t.Error("the next life of an id has the same epoch or revision")
	}
}

func TestUserConflicts(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,"verifiable_addresses":[
		{"type":"email","address":"work@example.com","verified":true},{"type":"email","address":"old@example.com","verified":false}]`)
	for _, tc := range []struct{ name, members, field string }{
		{"id", `"id":"anna","identifiers":[{"type":"uid","identifier":"free"}]`, "id"},
		{"identifier", `"identifiers":[{"type":"uid","identifier":"free"},{"type":"email","identifier":"anna@EXAMPLE.com"}]`, "identifiers[1].identifier"},
		{"a uid that looks like it", `"identifiers":[{"type":"uid","identifier":"anna@example.com"}]`, "identifiers[0].identifier"},
		{"verified address", `"identifiers":[{"type":"uid","identifier":"free"}],"verifiable_addresses":[{"type":"email","address":"work@example.com","verified":true}]`, "verifiable_addresses[0].address"},
		{"identifier as address", `"verifiable_addresses":[{"type":"email","address":"anna@example.com","verified":true}]`, "verifiable_addresses[0].address"},
		{"address as identifier", email("work@example.com"), "identifiers[0].identifier"},
	} {
		_, err := w.create("p", tc.members)
		wants(t, tc.name, err, fault.Conflict, tc.field)
	}
	for _, members := range []string{
		`"identifiers":[{"type":"uid","identifier":"free"}]`, // what the refused had is free at once
		`"verifiable_addresses":[{"type":"email","address":"anna@example.com","verified":false}]`,
		`"verifiable_addresses":[{"type":"email","address":"old@example.com","verified":true}]`,
		`"identifiers":[{"type":"external","identifier":"anna@example.com"}]`,
		`"identifiers":[{"type":"federated","identifier":"anna@example.com","metadata":{"federated_idp_id":"g"}}]`,
		`"identifiers":[{"type":"federated","identifier":"anna@example.com","metadata":{"federated_idp_id":"h"}}]`,
		email("Anna@example.com"), // another name in a case-sensitive pool
	} {
		w.user("p", members)
	}
	w.pool("q", insensitive)
	w.user("q", email("Straße@example.com"))
	for _, other := range []string{"strasse@example.com", "STRASSE@EXAMPLE.COM", "ｓtrasse@example.com"} {
		_, err := w.create("q", email(other))
		wants(t, other, err, fault.Conflict, "identifiers[0].identifier")
	}
}

// TestUserRace lets many create a user of one name, and many add it: one gets it.
func TestUserRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	for i := range 10 {
		w.user("p", fmt.Sprintf(`"id":"old%d"`, i))
	}
	errs := make([]error, 30)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			if i < 10 {
				_, errs[i] = w.Users.AddIdentifier(t.Context(), tenantID, "p", fmt.Sprint("old", i), pool.NewUserIdentifier{Type: pool.UID, Identifier: "same"})
				return
			}
			_, errs[i] = w.create("p", `"identifiers":[{"type":"uid","identifier":"same"}]`)
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
	listed := 0
	for _, u := range must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, store.Page{Limit: 100})) {
		listed += len(u.Identifiers)
	}
	if won != 1 || listed != 1 {
		t.Errorf("%d won, %d have it", won, listed)
	}
}

// TestSlowWriter lets the lease of a name run out before the user is written:
// the user is not written, and the name is free.
func TestSlowWriter(t *testing.T) {
	t.Parallel()
	step := time.Duration(0)
	w := open(t, func(w *world, c *pool.Config, _ *store.Driver) {
		c.Now = func() time.Time { w.advance(step); return w.Now() }
	})
	w.pool("p", nil)
	step = 61 * time.Second
	_, err := w.create("p", email("anna@example.com"))
	wants(t, "late", err, fault.Unavailable, "")
	step = 0
	if list := must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, store.Page{})); len(list) != 0 {
		t.Errorf("written after all: %v", list)
	}
	w.user("p", email("anna@example.com"))
}

// TestClaimRecord looks at the claims behind a user's names.
func TestClaimRecord(t *testing.T) {
	t.Parallel()
	var driver store.Driver
	w := open(t, func(_ *world, _ *pool.Config, d *store.Driver) { driver = *d })
	p := w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,"verifiable_addresses":[
		{"type":"email","address":"anna@example.com","verified":true},{"type":"email","address":"b@example.com","verified":false}]`)
	recs, err := driver.Scan(t.Context(), "claims", store.Scan{Tenant: tenantID, Prefix: p.Epoch, Limit: 10, Now: w.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	for _, r := range recs {
		var m map[string]any
		if err := r.Decode(&m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	want := []map[string]any{{"space": p.Epoch, "key": "anna@example.com", "owner": "anna", "state": "held"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
