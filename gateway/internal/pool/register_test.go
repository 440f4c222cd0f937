package pool_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

func (w *world) register(in pool.Registration) pool.Registered {
	w.t.Helper()
	return must[pool.Registered](w.t)(w.Users.Register(w.t.Context(), tenantID, "p", in))
}

const profile = `{"name":"Anna B","given_name":"Anna","family_name":"B"}`

func TestRegister(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", insensitive)
	for _, tc := range []struct {
		name, identifier, address string
		kind, value, to, toType   string
	}{
		{"e-mail", " Anna@Example.COM", "", "email", "Anna@example.com", "Anna@example.com", "email"},
		{"mobile", "+48 600 100 200", "", "mobile", "+48600100200", "+48600100200", "mobile"},
		{"uid", "anna", "", "uid", "anna", "", ""},
		{"uid with an address", "bob", "bob@example.com", "uid", "bob", "bob@example.com", "email"},
		{"e-mail with a phone", "eve@example.com", "+48600100201", "email", "eve@example.com", "+48600100201", "mobile"},
		{"the same twice", "dan@example.com", "DAN@example.com", "email", "dan@example.com", "DAN@example.com", "email"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := w.Users.Register(t.Context(), tenantID, "p", pool.Registration{Identifier: tc.identifier, Address: tc.address})
			if err != nil {
				t.Fatal(err)
			}
			u := r.User
			if r.Taken || r.Renewed || u.Status != pool.StatusNew || !u.SelfRegistered || len(u.Registration) != 32 || u.HasPassword() || u.PayloadSchemaID != pool.DefaultPayload {
				t.Errorf("%+v", r)
			}
			if len(u.Identifiers) != 1 || u.Identifiers[0].Type != tc.kind || u.Identifiers[0].Value != tc.value {
				t.Errorf("identifiers %+v", u.Identifiers)
			}
			if tc.to == "" && len(u.Addresses) == 0 {
				return
			}
			if len(u.Addresses) != 1 || u.Addresses[0].Type != tc.toType || u.Addresses[0].Value != tc.to || u.Addresses[0].Verified || u.Addresses[0].Status != pool.StatusActive {
				t.Errorf("addresses %+v", u.Addresses)
			}
		})
	}
}

func TestRegisterRules(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", func(in *pool.Input) { in.PasswordPolicy = &credential.Policy{MinLength: 5} })
	w.user("p", `"credentials":[{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("hers")+`]}],`+email("anna@example.com"))
	for _, tc := range []struct {
		name  string
		in    pool.Registration
		kind  fault.Kind
		field string
	}{
		{"nothing", pool.Registration{}, fault.Unprocessable, "identifier"},
		{"no e-mail", pool.Registration{Identifier: "anna@"}, fault.Unprocessable, "identifier"},
		{"a uid as address", pool.Registration{Identifier: "x", Address: "y"}, fault.Unprocessable, "otp_address"},
		{"a broken address", pool.Registration{Identifier: "x", Address: "y@"}, fault.Unprocessable, "otp_address"},
		{"two of a type", pool.Registration{Identifier: "x@example.com", Address: "y@example.com"}, fault.Unprocessable, "otp_address"},
		{"payload", pool.Registration{Identifier: "x", Payload: []byte(`{"name":1}`)}, fault.Unprocessable, "payload.given_name"},
		{"payload of a taken name", pool.Registration{Identifier: "anna@example.com", Payload: []byte(`{"name":1}`)}, fault.Unprocessable, "payload.given_name"},
		{"policy", pool.Registration{Identifier: "x", Password: "1234"}, fault.Unprocessable, "password"},
		{"policy of a taken name", pool.Registration{Identifier: "anna@example.com", Password: "1234"}, fault.Unprocessable, "password"},
		{"TOTP", pool.Registration{Identifier: "x", TOTPSecret: "?"}, fault.Unprocessable, "totp_secret"},
		{"a passkey without an id", pool.Registration{Identifier: "x", Passkeys: []credential.Passkey{{}}}, fault.Unprocessable, "webauthn_credentials[0].id"},
		{"a passkey twice", pool.Registration{Identifier: "x", Passkeys: []credential.Passkey{passkey("a"), passkey("a")}}, fault.Unprocessable, "webauthn_credentials[1].id"},
		// The answer to a passkey that is taken must not depend on the name.
		{"somebody's passkey", pool.Registration{Identifier: "x", Passkeys: []credential.Passkey{passkey("hers")}}, fault.Conflict, ""},
		{"somebody's passkey and name", pool.Registration{Identifier: "anna@example.com", Passkeys: []credential.Passkey{passkey("hers")}}, fault.Conflict, ""},
	} {
		_, err := w.Users.Register(t.Context(), tenantID, "p", tc.in)
		wants(t, tc.name, err, tc.kind, tc.field)
	}
	_, err := w.Users.Register(t.Context(), tenantID, "none", pool.Registration{Identifier: "x"})
	wants(t, "no pool", err, fault.NotFound, "")
}

// TestRegisterTaken: a taken name costs what a free one does, and only tells the
// caller who has it.
func TestRegisterTaken(t *testing.T) {
	t.Parallel()
	w, g, _, held := gated(t)
	w.pool("p", nil)
	w.user("p", `"id":"anna",`+email("anna@example.com")+`,"verifiable_addresses":[{"type":"mobile","address":"+48123456789","verified":true}]`)
	_ = must[pool.User](t)(w.Users.Create(t.Context(), tenantID, "p", decode[pool.NewUser](t, `{"id":"invited","status":"new",`+email("invited@example.com")+`}`)))
	for _, tc := range []struct {
		in   pool.Registration
		user string
	}{
		{pool.Registration{Identifier: "free@example.com"}, ""},
		{pool.Registration{Identifier: "anna@example.com"}, "anna"},
		{pool.Registration{Identifier: "+48123456789"}, "anna"},
		{pool.Registration{Identifier: "ann", Address: "anna@example.com"}, "anna"},
		{pool.Registration{Identifier: "invited@example.com"}, "invited"},
	} {
		tc.in.Password = "whatever it is"
		g.hashes, *held = 0, nil
		w.told()
		r := w.register(tc.in)
		if r.Taken != (tc.user != "") || tc.user != "" && r.User.ID != tc.user || r.Renewed {
			t.Errorf("%s: taken %v by %q", tc.in.Identifier, r.Taken, r.User.ID)
		}
		if g.hashes != 1 || len(*held) != 1 {
			t.Errorf("%s: %d hashes, held %v", tc.in.Identifier, g.hashes, *held)
		}
		if told := w.told(); tc.user != "" && len(told) != 0 {
			t.Errorf("%s: %v", tc.in.Identifier, told)
		}
	}
}

func TestRegisterAgain(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.pool("p", nil)
	first := w.register(pool.Registration{
		Identifier: "anna@example.com", Payload: []byte(profile), Password: "first", TOTPSecret: credential.NewTOTPSecret(), Passkeys: []credential.Passkey{passkey("a")},
	}).User
	if _, err := w.Users.AddIdentifier(ctx, tenantID, "p", first.ID, pool.NewUserIdentifier{Type: pool.External, Identifier: "e1"}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.told()
	secret := credential.NewTOTPSecret()
	r := w.register(pool.Registration{Identifier: "anna", Address: "anna@example.com", Password: "second", TOTPSecret: secret, Passkeys: []credential.Passkey{passkey("a"), passkey("b")}})
	u := r.User
	if !r.Renewed || r.Taken || u.ID != first.ID || u.Registration == first.Registration || u.Epoch == first.Epoch || u.Payload != nil || !u.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"user p/" + u.ID, "user_updated"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if len(u.Identifiers) != 2 || u.Identifiers[0].Value != "anna" || u.Identifiers[1].Value != "e1" || len(u.Passkeys()) != 2 {
		t.Errorf("%+v", u)
	}
	if s, err := w.Users.TOTPSecret(&u); err != nil || s != secret {
		t.Errorf("TOTP %q %v", s, err)
	}
	for password, want := range map[string]pool.Outcome{"first": pool.PasswordIncorrect, "second": pool.PasswordCorrect} {
		c := must[pool.Result](t)(w.Users.CheckPassword(ctx, tenantID, "p", checking, "anna", password))
		if c.Outcome != want || c.Proven() {
			t.Errorf("%s: %s", password, c.Outcome)
		}
	}
	// The former identifier is free: another user can have it.
	w.user("p", `"id":"other",`+email("anna@example.com"))
	if r := w.register(pool.Registration{Identifier: "anna", Address: "anna@example.com"}); !r.Taken || r.User.ID != "other" {
		t.Errorf("of two it is renewed: %+v", r)
	}
	_, err := w.Users.Activate(ctx, tenantID, "p", u.ID, pool.Activation{Address: "anna@example.com", Registration: u.Registration})
	wants(t, "verified elsewhere", err, fault.Conflict, "otp_address")
}

// TestRegisterRace lets many register one name at once: there is one user, and
// everybody gets its id.
func TestRegisterRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	got := make([]pool.Registered, 20)
	errs := make([]error, len(got))
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			in := pool.Registration{Identifier: "anna@example.com", Password: fmt.Sprint("password ", i)}
			got[i], errs[i] = w.Users.Register(t.Context(), tenantID, "p", in)
		})
	}
	wg.Wait()
	u := must[pool.User](t)(w.Users.ByIdentifier(t.Context(), tenantID, "p", "anna@example.com"))
	last := false
	for i, r := range got {
		if errs[i] != nil || r.User.ID != u.ID {
			t.Errorf("%d: %+v %v", i, r, errs[i])
		}
		last = last || !r.Taken && r.User.Registration == u.Registration
	}
	if !last {
		t.Error("nobody has the registration that stands")
	}
}
