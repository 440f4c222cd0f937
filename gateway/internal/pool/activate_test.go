package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

func TestActivate(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	r := w.register(pool.Registration{Identifier: "anna", Address: "anna@example.com", Payload: []byte(profile)}).User
	w.advance(time.Minute)
	w.told()
	in := pool.Activation{
		Address: "anna@EXAMPLE.com", Password: "sesame", TOTPSecret: credential.NewTOTPSecret(), Passkeys: []credential.Passkey{passkey("a")}, Registration: r.Registration,
	}
	u := must[pool.User](t)(w.Users.Activate(ctx, tenantID, "p", r.ID, in))
	if u.Status != pool.StatusActive || !u.StatusUpdatedAt.Equal(w.Now()) || u.Registration != "" || !u.SelfRegistered {
		t.Errorf("%+v", u)
	}
	if a := u.Addresses[0]; !a.Verified || !a.VerifiedAt.Equal(w.Now()) {
		t.Errorf("%+v", a)
	}
	if len(u.Identifiers) != 2 || u.Identifiers[1].Type != pool.Email || u.Identifiers[1].Value != "anna@example.com" {
		t.Errorf("%+v", u.Identifiers)
	}
	if diff := cmp.Diff([]string{"user p/" + u.ID, "user_updated", "password_updated", "totp_reset_completed", "webauthn_add_completed"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if c := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna@example.com", "sesame")); !c.Proven() {
		t.Errorf("%+v", c)
	}
	if found, _, err := w.Users.ByPasskey(ctx, tenantID, "p", []byte("a")); err != nil || found.ID != u.ID {
		t.Errorf("by passkey: %v", err)
	}
	_, err := w.Users.Activate(ctx, tenantID, "p", r.ID, in)
	wants(t, "again", err, fault.Unprocessable, "")
}

func TestActivateRules(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", func(in *pool.Input) { in.PasswordPolicy = &credential.Policy{MinLength: 5} })
	w.user("p", `"id":"other","verifiable_addresses":[{"type":"email","address":"taken@example.com","verified":true}],
		"credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("hers")+`]}]`)
	u := must[pool.User](t)(w.Users.Create(ctx, tenantID, "p", decode[pool.NewUser](t, `{"id":"invited","status":"new",`+email("invited@example.com")+`,
		"verifiable_addresses":[{"type":"email","address":"taken@example.com"},{"type":"mobile","address":"+48123456789"}],"credentials":[{"type":"password","password":"first"}]}`)))
	for _, tc := range []struct {
		name  string
		user  string
		in    pool.Activation
		kind  fault.Kind
		field string
	}{
		{"no user", "nobody", pool.Activation{}, fault.NotFound, ""},
		{"active already", "other", pool.Activation{Address: "taken@example.com"}, fault.Unprocessable, ""},
		{"no address", u.ID, pool.Activation{}, fault.NotFound, "otp_address"},
		{"an identifier is no address", u.ID, pool.Activation{Address: "invited@example.com"}, fault.NotFound, "otp_address"},
		{"verified elsewhere", u.ID, pool.Activation{Address: "taken@example.com"}, fault.Conflict, "otp_address"},
		{"a second password", u.ID, pool.Activation{Address: "+48123456789", Password: "second"}, fault.Unprocessable, "password"},
		{"TOTP", u.ID, pool.Activation{Address: "+48123456789", TOTPSecret: "?"}, fault.Unprocessable, "totp_secret"},
		{"a passkey without an id", u.ID, pool.Activation{Address: "+48123456789", Passkeys: []credential.Passkey{{}}}, fault.Unprocessable, "webauthn[0].id"},
		{"somebody's passkey", u.ID, pool.Activation{Address: "+48123456789", Passkeys: []credential.Passkey{passkey("hers")}}, fault.Conflict, ""},
	} {
		spent := 0
		tc.in.Spend = func(context.Context) error { spent++; return nil }
		_, err := w.Users.Activate(ctx, tenantID, "p", tc.user, tc.in)
		wants(t, tc.name, err, tc.kind, tc.field)
		if spent != 0 {
			t.Errorf("%s: the code is spent", tc.name)
		}
	}
	away := errors.New("wrong code")
	_, err := w.Users.Activate(ctx, tenantID, "p", u.ID, pool.Activation{Address: "+48123456789", Spend: func(context.Context) error { return away }})
	if now := must[pool.User](t)(w.Users.Get(ctx, tenantID, "p", u.ID)); !errors.Is(err, away) || now.Status != pool.StatusNew {
		t.Errorf("a wrong code: %v, %s", err, now.Status)
	}
	// Who was invited keeps the password, and gets the address as an identifier of a
	// type that was missing.
	done := must[pool.User](t)(w.Users.Activate(ctx, tenantID, "p", u.ID, pool.Activation{Address: "+48123456789", Registration: "a stale cookie"}))
	if !done.HasPassword() || len(done.Identifiers) != 2 || done.Identifiers[1].Value != "+48123456789" {
		t.Errorf("%+v", done)
	}
	short := w.register(pool.Registration{Identifier: "short@example.com"}).User
	_, err = w.Users.Activate(ctx, tenantID, "p", short.ID, pool.Activation{Address: "short@example.com", Password: "abc"})
	wants(t, "policy", err, fault.Unprocessable, "password")
}

// TestActivateElsewhere: what somebody else set at the registration does not
// survive an activation from another browser.
func TestActivateElsewhere(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	for _, tc := range []struct {
		name, own, password, signsIn string // own: the registration that is shown
		passkeys                     int
		refused                      bool
	}{
		{"the same browser", "own", "", "evil", 1, false},
		{"the same browser with a password", "own", "mine", "", 0, true},
		{"another browser", "another", "", "", 0, false},
		{"no browser that is known", "", "mine", "mine", 0, false},
	} {
		name := tc.name[:len(tc.name)-1] + "x@example.com"
		in := pool.Registration{Identifier: mailFrom(name), Password: "evil", TOTPSecret: credential.NewTOTPSecret(), Passkeys: []credential.Passkey{passkey("k" + tc.name)}}
		u := w.register(in).User
		shown := tc.own
		if shown == "own" {
			shown = u.Registration
		}
		u, err := w.Users.Activate(ctx, tenantID, "p", u.ID, pool.Activation{Address: in.Identifier, Password: tc.password, Registration: shown})
		if tc.refused {
			wants(t, tc.name, err, fault.Unprocessable, "password")
			continue
		}
		if err != nil || len(u.Passkeys()) != tc.passkeys {
			t.Fatalf("%s: %v, %d passkeys", tc.name, err, len(u.Passkeys()))
		}
		for _, password := range []string{"evil", "mine"} {
			r := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, in.Identifier, password))
			if r.Proven() != (password == tc.signsIn) {
				t.Errorf("%s: %q signs in: %v", tc.name, password, r.Proven())
			}
		}
	}
}

// mailFrom makes an address of a sentence.
func mailFrom(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r == ' ' {
			out[i] = '.'
		}
	}
	return string(out)
}

// TestActivateRace lets many activate one user: one does.
func TestActivateRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	u := w.register(pool.Registration{Identifier: "anna@example.com"}).User
	errs := make([]error, 30)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.Users.Activate(t.Context(), tenantID, "p", u.ID, pool.Activation{Address: "anna@example.com", Password: "sesame"})
		})
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !fault.Is(err, fault.Unprocessable) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d activations", done)
	}
}

func TestVerifyAddress(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	for _, id := range []string{"a", "b"} {
		w.user("p", `"id":"`+id+`","verifiable_addresses":[{"type":"email","address":"x@example.com"}]`)
	}
	_, err := w.Users.VerifyAddress(ctx, tenantID, "p", "a", "y@example.com")
	wants(t, "not theirs", err, fault.NotFound, "address")
	u := must[pool.User](t)(w.Users.VerifyAddress(ctx, tenantID, "p", "a", "x@EXAMPLE.com"))
	if !u.Addresses[0].Verified || !u.Addresses[0].VerifiedAt.Equal(w.Now()) {
		t.Errorf("%+v", u.Addresses)
	}
	_, err = w.Users.VerifyAddress(ctx, tenantID, "p", "b", "x@example.com")
	wants(t, "somebody else's", err, fault.Conflict, "address")
	if found := must[pool.User](t)(w.Users.Find(ctx, tenantID, "p", pool.Key{Address: "x@example.com"})); found.ID != "a" {
		t.Errorf("found %q", found.ID)
	}
	if found := must[pool.User](t)(w.Users.Find(ctx, tenantID, "p", pool.Key{UserID: "b"})); found.ID != "b" {
		t.Errorf("found %q", found.ID)
	}
}
