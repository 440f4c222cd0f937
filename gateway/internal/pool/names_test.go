package pool_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// TestSpelling holds how identifiers are kept and what finds them.
func TestSpelling(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("exact", nil)
	w.pool("folded", insensitive)
	for _, tc := range []struct {
		name, pool, kind, given, kept string
		finds, misses                 string // separated by |
	}{
		{"e-mail", "exact", "email", " Ann@Example.COM ", "Ann@example.com", "Ann@example.com|Ann@EXAMPLE.com|  Ann@example.com", "ann@example.com|Ann"},
		{"e-mail, folded", "folded", "email", "Ann@Example.COM", "Ann@example.com", "ann@example.com|ANN@EXAMPLE.COM", "ann@example.co"},
		{"full-width", "exact", "email", "ｂｏｂ＠example.com", "bob@example.com", "bob@example.com|ｂｏｂ@example.com", "Bob@example.com"},
		{"composed", "exact", "uid", "Jose\u0301", "José", "José|Jose\u0301", "Jose"},
		{"uid", "exact", "uid", "Admin", "Admin", "Admin", "admin|ADMIN"},
		{"uid, folded", "folded", "uid", "Admin", "Admin", "admin|ADMIN", "adm|ADMİN"},
		{"sharp s, folded", "folded", "uid", "Weiß", "Weiß", "WEISS|weiss|weiß", "weis"},
		{"phone", "exact", "mobile", "+48 (600) 100-200", "+48600100200", "+48600100200|+48 600 100 200|＋48 600 100 200", "600100200|48600100200"},
		{"a uid like a phone", "exact", "uid", "+1 650 253 0000", "+16502530000", "+16502530000", "16502530000"},
		{"a plus that is no phone", "exact", "uid", "+anna", "+anna", "+anna", "anna"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			u, err := w.Users.Create(t.Context(), tenantID, tc.pool, pool.NewUser{
				Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: tc.kind, Identifier: tc.given}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if u.Identifiers[0].Value != tc.kept {
				t.Errorf("kept as %q, want %q", u.Identifiers[0].Value, tc.kept)
			}
			for _, typed := range strings.Split(tc.finds, "|") {
				if f, err := w.Users.ByIdentifier(t.Context(), tenantID, tc.pool, typed); err != nil || f.ID != u.ID {
					t.Errorf("%q: %v", typed, err)
				}
			}
			for _, typed := range strings.Split(tc.misses, "|") {
				if f, err := w.Users.ByIdentifier(t.Context(), tenantID, tc.pool, typed); err == nil && f.ID == u.ID {
					t.Errorf("%q finds the user", typed)
				}
			}
		})
	}
}

// TestOddKeys looks for what can be nobody.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", insensitive)
	w.user("p", `"identifiers":[{"type":"external","identifier":"ext"}]`)
	for _, typed := range []string{"", " ", "\x00", "\xff\xfe", "a/b", "../x", "ext", strings.Repeat("a", 1<<20), strings.Repeat("\ufdfa", 200)} {
		_, err := w.Users.ByIdentifier(t.Context(), tenantID, "p", typed)
		wants(t, typed[:min(20, len(typed))], err, fault.NotFound, "")
		if r, err := w.Users.CheckPassword(t.Context(), tenantID, "p", checking, typed, "x"); err != nil || r.Outcome != pool.UserNotFound {
			t.Errorf("%.20q: %v, %v", typed, r.Outcome, err)
		}
		_, err = w.Users.Get(t.Context(), tenantID, "p", typed)
		wants(t, "id", err, fault.NotFound, "")
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com"))
	w.user("p", `"id":"bob",`+email("bob@example.com"))
	add := func(user, body string) (pool.UserIdentifier, error) {
		return w.Users.AddIdentifier(ctx, tenantID, "p", user, decode[pool.NewUserIdentifier](t, body))
	}
	w.told()
	v := must[pool.UserIdentifier](t)(add("anna", `{"type":"uid","identifier":"Annie","metadata":{"a":1}}`))
	got, want := same(t, strings.ReplaceAll(encode(t, v), v.ID, "x"), `{"id":"x","tenant_id":"t","user_pool_id":"p","user_id":"anna","identifier":"Annie","identifier_lc":"annie",
		"type":"uid","metadata":{"a":1},"created_at":"2026-05-06T07:08:09Z","updated_at":"2026-05-06T07:08:09Z"}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"user p/anna", "user_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	_, err := add("bob", `{"type":"uid","identifier":"Annie"}`)
	wants(t, "somebody else's", err, fault.Conflict, "identifier")
	_, err = add("anna", `{"type":"uid","identifier":"Annie"}`)
	wants(t, "one's own", err, fault.Conflict, "identifier")
	_, err = add("anna", `{"type":"email","identifier":"x"}`)
	wants(t, "no e-mail", err, fault.Unprocessable, "identifier")
	_, err = add("none", `{"type":"uid","identifier":"x"}`)
	wants(t, "no user", err, fault.NotFound, "")

	_, err = w.Users.RemoveIdentifier(ctx, tenantID, "p", "bob", "Annie")
	wants(t, "not theirs", err, fault.NotFound, "identifier")
	u := must[pool.User](t)(w.Users.RemoveIdentifier(ctx, tenantID, "p", "anna", "anna@EXAMPLE.com"))
	if len(u.Identifiers) != 1 || u.Identifiers[0].Value != "Annie" {
		t.Errorf("left: %+v", u.Identifiers)
	}
	_ = must[pool.UserIdentifier](t)(add("bob", `{"type":"email","identifier":"anna@example.com"}`))

	// One value from two sources, and as a uid: one removal takes them all.
	for _, body := range []string{
		`{"type":"federated","identifier":"42","metadata":{"federated_idp_id":"g"}}`,
		`{"type":"federated","identifier":"42","metadata":{"federated_idp_id":"h"}}`,
		`{"type":"external","identifier":"42"}`,
		`{"type":"uid","identifier":"42"}`,
	} {
		_ = must[pool.UserIdentifier](t)(add("anna", body))
	}
	for _, from := range []string{"g", "h"} {
		if u, err := w.Users.ByLink(ctx, tenantID, "p", pool.Federated, from, "42"); err != nil || u.ID != "anna" {
			t.Errorf("by link %s: %q, %v", from, u.ID, err)
		}
	}
	if u, err := w.Users.ByLink(ctx, tenantID, "p", pool.External, "", "42"); err != nil || u.ID != "anna" {
		t.Errorf("by external link: %q, %v", u.ID, err)
	}
	_, err = w.Users.ByLink(ctx, tenantID, "p", pool.Federated, "i", "42")
	wants(t, "another source", err, fault.NotFound, "")
	u = must[pool.User](t)(w.Users.RemoveIdentifier(ctx, tenantID, "p", "anna", "42"))
	if len(u.Identifiers) != 1 {
		t.Errorf("left: %+v", u.Identifiers)
	}
	_, err = w.Users.ByLink(ctx, tenantID, "p", pool.Federated, "g", "42")
	wants(t, "removed", err, fault.NotFound, "")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com"))
	w.user("p", `"id":"bob"`)
	add := func(user, body string) (pool.UserVerifiableAddress, error) {
		return w.Users.AddAddress(ctx, tenantID, "p", user, decode[pool.NewUserVerifiableAddress](t, body))
	}
	update := func(user, body string) (pool.UserVerifiableAddress, error) {
		return w.Users.UpdateAddress(ctx, tenantID, "p", user, decode[pool.UpdateAddress](t, body))
	}
	a := must[pool.UserVerifiableAddress](t)(add("anna", `{"type":"email","address":"home@Example.com","verified":false,"metadata":{"x":1}}`))
	if a.Address != "home@example.com" || a.Status != "active" || a.Verified || a.VerifiedAt != nil {
		t.Errorf("added: %+v", a)
	}
	_ = must[pool.UserVerifiableAddress](t)(add("bob", `{"type":"email","address":"home@example.com","verified":false}`))
	_, err := add("bob", `{"type":"email","address":"anna@example.com","verified":true}`)
	wants(t, "verified, and somebody's identifier", err, fault.Conflict, "address")
	_, err = add("anna", `{"type":"email","address":"home@example.com","verified":true}`)
	wants(t, "one's own", err, fault.Conflict, "address")
	_, err = add("anna", `{"type":"mobile","address":"home","verified":true}`)
	wants(t, "no phone", err, fault.Unprocessable, "address")

	a = must[pool.UserVerifiableAddress](t)(update("anna", `{"address":"home@EXAMPLE.COM","status":"active","verified":true}`))
	if !a.Verified {
		t.Errorf("updated: %+v", a)
	}
	_, err = update("anna", `{"address":"Home@example.com","status":"active","verified":true}`)
	wants(t, "another name in a case-sensitive pool", err, fault.NotFound, "address")
}

func TestAddressLife(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", insensitive)
	w.user("p", `"id":"anna","verifiable_addresses":[{"type":"email","address":"home@example.com","metadata":{"x":1}}]`)
	w.user("p", `"id":"bob","verifiable_addresses":[{"type":"email","address":"home@example.com"}]`)
	update := func(user, body string) (pool.UserVerifiableAddress, error) {
		return w.Users.UpdateAddress(ctx, tenantID, "p", user, decode[pool.UpdateAddress](t, body))
	}
	_, err := w.Users.ByAddress(ctx, tenantID, "p", "home@example.com")
	wants(t, "nobody's verified address", err, fault.NotFound, "")
	w.advance(time.Minute)
	a := must[pool.UserVerifiableAddress](t)(update("anna", `{"address":"HOME@example.com","status":"inactive","verified":true,"preferred_contact_method":"sms"}`))
	if !a.Verified || a.VerifiedAt == nil || !a.VerifiedAt.Equal(w.Now()) || a.Status != "inactive" || string(a.Metadata) != `{"x":1}` || a.PreferredContactMethod != "sms" {
		t.Errorf("updated: %+v", a)
	}
	first := *a.VerifiedAt
	w.advance(time.Minute)
	a = must[pool.UserVerifiableAddress](t)(update("anna", `{"address":"home@example.com","status":"active","verified":true,"metadata":{}}`))
	if !a.VerifiedAt.Equal(first) || string(a.Metadata) != `{}` {
		t.Errorf("verified again: %+v", a)
	}
	if u, err := w.Users.ByAddress(ctx, tenantID, "p", "Home@Example.com"); err != nil || u.ID != "anna" {
		t.Errorf("by address: %q, %v", u.ID, err)
	}
	_, err = w.Users.ByIdentifier(ctx, tenantID, "p", "home@example.com")
	wants(t, "an address is no identifier", err, fault.NotFound, "")
	_, err = update("bob", `{"address":"home@example.com","status":"active","verified":true}`)
	wants(t, "verified elsewhere", err, fault.Conflict, "address")
	_, err = update("bob", `{"address":"home@example.com","status":"new","verified":true}`)
	wants(t, "bad status", err, fault.Unprocessable, "status")
	_, err = update("bob", `{"address":"x@example.com","status":"active","verified":true}`)
	wants(t, "not there", err, fault.NotFound, "address")

	// The name stays while it is also an identifier, and goes with the last use.
	_ = must[pool.UserIdentifier](t)(w.Users.AddIdentifier(ctx, tenantID, "p", "anna", pool.NewUserIdentifier{Type: pool.Email, Identifier: "home@example.com"}))
	a = must[pool.UserVerifiableAddress](t)(update("anna", `{"address":"home@example.com","status":"active","verified":false}`))
	if a.VerifiedAt != nil {
		t.Errorf("no longer verified, and verified at %v", a.VerifiedAt)
	}
	_, err = update("bob", `{"address":"home@example.com","status":"active","verified":true}`)
	wants(t, "somebody's identifier", err, fault.Conflict, "address")
	_ = must[pool.User](t)(w.Users.RemoveIdentifier(ctx, tenantID, "p", "anna", "home@example.com"))
	_ = must[pool.UserVerifiableAddress](t)(update("bob", `{"address":"home@example.com","status":"active","verified":true}`))
	u := must[pool.User](t)(w.Users.RemoveAddress(ctx, tenantID, "p", "bob", " home@example.com"))
	if len(u.Addresses) != 0 {
		t.Errorf("left: %+v", u.Addresses)
	}
	_, err = w.Users.RemoveAddress(ctx, tenantID, "p", "bob", "home@example.com")
	wants(t, "removed", err, fault.NotFound, "address")
	w.user("p", email("home@example.com"))
}

func TestByKey(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,"verifiable_addresses":[{"type":"mobile","address":"+48123456789","verified":true},{"type":"email","address":"new@example.com"}]`)
	for _, tc := range []struct {
		identifier, address string
		kind                fault.Kind
	}{
		{"anna@example.com", "", 0},
		{"", "+48 123 456 789", 0},
		{"", "anna@example.com", fault.NotFound},
		{"+48123456789", "", fault.NotFound},
		{"", "new@example.com", fault.NotFound},
		{"", "", fault.Unprocessable},
		{"anna@example.com", "+48123456789", fault.Unprocessable},
	} {
		u, err := w.Users.Find(t.Context(), tenantID, "p", pool.Key{Identifier: tc.identifier, Address: tc.address})
		if tc.kind == 0 && (err != nil || u.ID != "anna") {
			t.Errorf("%q %q: %q, %v", tc.identifier, tc.address, u.ID, err)
		} else if tc.kind != 0 {
			wants(t, tc.identifier+" "+tc.address, err, tc.kind, "")
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	_ = must[pool.Schema](t)(w.Schemas.Create(ctx, tenantID, pool.Schema{ID: "b", Name: "b", Schema: json.RawMessage(`{"required":["x"]}`)}))
	w.pool("p", func(in *pool.Input) { in.BusinessMetadataSchemaID = "b" })
	u := w.user("p", `"id":"anna","metadata":{"m":1}`)
	for _, tc := range []struct{ kind, want string }{
		{"admin", `{"metadata":{"m":1},"schema_id":"default_metadata"}`},
		{"business", `{"metadata":{},"schema_id":"b"}`},
	} {
		got, want := same(t, encode(t, must[pool.UserMetadata](t)(w.Users.Metadata(ctx, tenantID, "p", "anna", tc.kind))), tc.want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", tc.kind, diff)
		}
	}
	m := must[pool.UserMetadata](t)(w.Users.SetMetadata(ctx, tenantID, "p", "anna", "business", u.Rev, json.RawMessage(` {"x": 1} `)))
	if string(m.Metadata) != `{"x":1}` || m.SchemaID != "b" || m.Rev == u.Rev {
		t.Errorf("set: %s %s", m.Metadata, m.SchemaID)
	}
	if u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna")); string(u.BusinessMetadata) != `{"x":1}` || string(u.Metadata) != `{"m":1}` {
		t.Errorf("stored: %s %s", u.BusinessMetadata, u.Metadata)
	}
	_, err := w.Users.SetMetadata(ctx, tenantID, "p", "anna", "business", 0, json.RawMessage(`{}`))
	wants(t, "against the schema", err, fault.Unprocessable, "metadata.x")
	_, err = w.Users.SetMetadata(ctx, tenantID, "p", "anna", "admin", 0, nil)
	wants(t, "missing", err, fault.Unprocessable, "metadata")
	_, err = w.Users.SetMetadata(ctx, tenantID, "p", "anna", "admin", 0, json.RawMessage(`[]`))
	wants(t, "a list", err, fault.Unprocessable, "metadata")
	_, err = w.Users.SetMetadata(ctx, tenantID, "p", "anna", "admin", u.Rev, json.RawMessage(`{}`))
	wants(t, "old revision", err, fault.Stale, "")
	_, err = w.Users.SetMetadata(ctx, tenantID, "p", "anna", "private", 0, json.RawMessage(`{}`))
	wants(t, "no such kind", err, fault.NotFound, "")
	_, err = w.Users.Metadata(ctx, tenantID, "p", "anna", "private")
	wants(t, "no such kind", err, fault.NotFound, "")
}
