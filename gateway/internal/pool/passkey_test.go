package pool_test

import (
	"bytes"
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

func TestPasskeys(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.pool("q", nil)
	w.user("p", `"id":"anna"`)
	w.user("p", `"id":"bob"`)
	w.user("q", `"id":"anna"`)
	w.told()
	add := func(in, user, id string, o pool.CredentialOptions) error {
		return w.Users.AddPasskey(ctx, tenantID, in, user, passkey(id), o)
	}
	if err := add("p", "anna", "one", pool.CredentialOptions{First: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"user p/anna", "webauthn_add_completed"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if err := add("p", "anna", "one", pool.CredentialOptions{First: true}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	wants(t, "a second first", add("p", "anna", "two", pool.CredentialOptions{First: true}), fault.Unprocessable, "webauthn")
	wants(t, "anna's", add("p", "bob", "one", pool.CredentialOptions{Field: "new"}), fault.Conflict, "new")
	wants(t, "no id", add("p", "bob", "", pool.CredentialOptions{}), fault.Unprocessable, "webauthn.id")
	wants(t, "nobody", add("p", "nobody", "x", pool.CredentialOptions{}), fault.NotFound, "")
	changed := passkey("one")
	changed.PublicKey = []byte("another")
	wants(t, "another of that id", w.Users.AddPasskey(ctx, tenantID, "p", "anna", changed, pool.CredentialOptions{}), fault.Conflict, "webauthn")
	if err := add("q", "anna", "one", pool.CredentialOptions{}); err != nil {
		t.Errorf("in another pool: %v", err)
	}
	u, key, err := w.Users.ByPasskey(ctx, tenantID, "p", []byte("one"))
	if err != nil || u.ID != "anna" || !bytes.Equal(key.ID, []byte("one")) || !key.CreatedAt.Equal(w.Now()) {
		t.Errorf("found %q, %+v, %v", u.ID, key, err)
	}
	for _, id := range []string{"", "two", strings.Repeat("x", 5000)} {
		_, _, err := w.Users.ByPasskey(ctx, tenantID, "p", []byte(id))
		wants(t, "no such passkey", err, fault.NotFound, "")
	}
	// It is no name that anybody types or searches for.
	_, err = w.Users.ByIdentifier(ctx, tenantID, "p", pool.PasskeyID([]byte("one")))
	wants(t, "as identifier", err, fault.NotFound, "")
	found, err := w.Users.List(ctx, tenantID, "p", pool.Query{UserKey: pool.PasskeyID([]byte("one"))[:2]}, store.Page{Limit: 10})
	if err != nil || len(found) != 0 {
		t.Errorf("a search finds %d, %v", len(found), err)
	}
	for i := range 19 {
		if err := add("p", "anna", fmt.Sprint("more", i), pool.CredentialOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, "too many", add("p", "anna", "x", pool.CredentialOptions{}), fault.Unprocessable, "webauthn")
}

func TestRemovePasskey(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	one, two := pool.PasskeyID([]byte("one")), pool.PasskeyID([]byte("two"))
	w.user("p", `"id":"anna","credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("one")+`,`+passkeyRecord("two")+`]}]`)
	if err := w.Users.NamePasskey(ctx, tenantID, "p", "anna", two, "Blue key"); err != nil {
		t.Fatal(err)
	}
	wants(t, "a long name", w.Users.NamePasskey(ctx, tenantID, "p", "anna", two, strings.Repeat("x", 65)), fault.Unprocessable, "name")
	wants(t, "name none", w.Users.NamePasskey(ctx, tenantID, "p", "anna", "x", "n"), fault.NotFound, "")
	wants(t, "remove none", w.Users.RemovePasskey(ctx, tenantID, "p", "anna", "x", false), fault.NotFound, "")
	if err := w.Users.RemovePasskey(ctx, tenantID, "p", "anna", one, true); err != nil {
		t.Fatal(err)
	}
	wants(t, "the last", w.Users.RemovePasskey(ctx, tenantID, "p", "anna", two, true), fault.Unprocessable, "")
	u := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if keys := u.Passkeys(); len(keys) != 1 || keys[0].Name != "Blue key" {
		t.Errorf("%+v", keys)
	}
	if err := w.Users.RemovePasskey(ctx, tenantID, "p", "anna", two, false); err != nil {
		t.Fatal(err)
	}
	u = must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if u.Credential(pool.TypeWebAuthn) != nil {
		t.Errorf("left %+v", u.Credentials)
	}
	w.user("p", `"id":"bob","credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("one")+`]}]`) // the name is free
}

// TestPasskeyRace lets many users take one passkey at once: one gets it.
func TestPasskeyRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	errs := make([]error, 10)
	for i := range errs {
		w.user("p", fmt.Sprintf(`"id":"u%d"`, i))
	}
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = w.Users.AddPasskey(t.Context(), tenantID, "p", fmt.Sprint("u", i), passkey("one"), pool.CredentialOptions{})
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		if err == nil && won < 0 {
			won = i
		} else if !fault.Is(err, fault.Conflict) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if u, _, err := w.Users.ByPasskey(t.Context(), tenantID, "p", []byte("one")); err != nil || u.ID != fmt.Sprint("u", won) {
		t.Errorf("%d won, %q has it, %v", won, u.ID, err)
	}
}

func TestUsedPasskey(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	w.user("p", `"id":"anna"`)
	given := passkey("one")
	given.FlagsUnknown, given.SignCount = true, 5
	if err := w.Users.AddPasskey(ctx, tenantID, "p", "anna", given, pool.CredentialOptions{}); err != nil {
		t.Fatal(err)
	}
	w.told()
	for _, tc := range []struct {
		name   string
		count  uint32
		cloned bool
		kept   uint32
		warned bool
		told   []string
	}{
		{"the first, which tells the flags", 6, false, 6, false, []string{"credential_updated"}},
		{"the next", 7, false, 7, false, nil},
		{"one that was overtaken", 6, false, 7, true, []string{"risk_calculated"}},
		{"a clone", 3, true, 7, true, []string{"risk_calculated"}},
		{"no counter", 0, false, 7, true, nil},
	} {
		used := passkey("one")
		used.SignCount, used.BackupEligible, used.BackupState = tc.count, true, true
		w.advance(time.Minute)
		if err := w.Users.UsedPasskey(ctx, tenantID, "p", "anna", used, tc.cloned); err != nil {
			t.Fatal(err)
		}
		_, key, err := w.Users.ByPasskey(ctx, tenantID, "p", used.ID)
		if err != nil || key.SignCount != tc.kept || key.CloneWarning != tc.warned || key.FlagsUnknown || !key.BackupEligible || !key.BackupState || !key.UsedAt.Equal(w.Now()) {
			t.Errorf("%s: %+v, %v", tc.name, key, err)
		}
		if diff := cmp.Diff(tc.told, w.told()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	changed := passkey("one")
	changed.PublicKey = []byte("another")
	wants(t, "replaced meanwhile", w.Users.UsedPasskey(ctx, tenantID, "p", "anna", changed, false), fault.NotFound, "")
	wants(t, "removed meanwhile", w.Users.UsedPasskey(ctx, tenantID, "p", "anna", passkey("two"), false), fault.NotFound, "")
	wants(t, "gone meanwhile", w.Users.UsedPasskey(ctx, tenantID, "p", "nobody", passkey("one"), false), fault.NotFound, "")
}

func TestHandle(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	u := w.user("p", `"id":"anna"`)
	same := must[pool.User](t)(w.Users.Update(t.Context(), tenantID, "p", "anna", 0, pool.UpdateUser{Status: pool.StatusInactive}))
	if len(u.Handle()) != 32 || !bytes.Equal(u.Handle(), same.Handle()) {
		t.Errorf("%x, later %x", u.Handle(), same.Handle())
	}
	if err := w.Users.Delete(t.Context(), tenantID, "p", "anna", 0); err != nil {
		t.Fatal(err)
	}
	if next := w.user("p", `"id":"anna"`); bytes.Equal(next.Handle(), u.Handle()) {
		t.Error("another life of the user has the same handle")
	}
}

// TestAdopt reads a row as version 1 wrote it: passkeys as they were given, which
// nobody had claimed.
func TestAdopt(t *testing.T) {
	t.Parallel()
	var driver store.Driver
	w := open(t, func(_ *world, _ *pool.Config, d *store.Driver) { driver = *d })
	ctx := t.Context()
	w.pool("p", nil)
	u := w.user("p", `"id":"anna","credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("new")+`]}]`)
	w.user("p", `"id":"bob","credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("bobs")+`]}]`)
	none := func(*map[string]any) (store.Key, bool) { return store.Key{}, false }
	rows := must[*store.Table[map[string]any]](t)(store.Declare(ctx, store.New(driver, w.Now), store.Spec[map[string]any]{
		Name: "users", Version: 2, Indexes: map[string]func(*map[string]any) (store.Key, bool){
			"kind": none, "payload_schema": none, "metadata_schema": none, "business_schema": none,
		},
	}))
	if _, err := rows.Update(ctx, tenantID, store.ID(u.PoolEpoch, u.ID), func(v *map[string]any) error {
		c, _ := (*v)["credentials"].([]any)[0].(map[string]any)
		c["webauthn"] = []any{decode[any](t, passkeyRecord("old")), map[string]any{"id": "?"}, decode[any](t, passkeyRecord("bobs")), decode[any](t, passkeyRecord("older"))}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	read := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if keys := read.Passkeys(); len(keys) != 1 {
		t.Errorf("before the first write: %+v", keys)
	}
	written := must[pool.User](t)(w.Users.Update(ctx, tenantID, "p", "anna", read.Rev, pool.UpdateUser{Documents: pool.Documents{Metadata: []byte(`{"a":1}`)}}))
	read = must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", "anna"))
	if written.Rev != read.Rev || len(read.Credentials[0].Adopt) != 0 {
		t.Errorf("revision %d, stored %d, left %s", written.Rev, read.Rev, read.Credentials[0].Adopt)
	}
	for id, owner := range map[string]string{"new": "anna", "old": "anna", "older": "anna", "bobs": "bob"} {
		if found, _, err := w.Users.ByPasskey(ctx, tenantID, "p", []byte(id)); err != nil || found.ID != owner {
			t.Errorf("%s belongs to %q, %v", id, found.ID, err)
		}
	}
}
