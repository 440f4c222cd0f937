package selfservice_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// activate ends a registration.
func (w *world) activate(in selfservice.Activation) (selfservice.Activated, error) {
	in.Kind = limit.KindSelfActivation
	return w.SelfService.Activate(w.T.Context(), w.Demo.Tenant, w.pool, in)
}

func TestRegisterAndActivate(t *testing.T) {
	t.Parallel()
	secret := credential.NewTOTPSecret()
	for name, tc := range map[string]struct {
		how   func(w *world, id, short string) selfservice.Activation
		check func(w *world, u pool.User) bool
	}{
		"by the code": {
			func(_ *world, id, short string) selfservice.Activation {
				return selfservice.Activation{Code: short[:4] + " - " + short[4:], Who: selfservice.Who{UserID: id}}
			},
			func(_ *world, u pool.User) bool { return !u.HasPassword() },
		},
		"by the name": {
			func(_ *world, _, short string) selfservice.Activation {
				return selfservice.Activation{Code: short, Who: selfservice.Who{Identifier: "CAROL@example.com"}}
			},
			func(_ *world, u pool.User) bool { return u.SelfRegistered },
		},
		"by the extended code": {
			func(_ *world, id, short string) selfservice.Activation {
				return selfservice.Activation{Code: code.Extend(id, short)}
			},
			func(_ *world, u pool.User) bool { return u.Registration == "" },
		},
		"with a password": {
			func(_ *world, id, short string) selfservice.Activation {
				return selfservice.Activation{Code: code.Extend(id, short), Activation: pool.Activation{Password: good}}
			},
			func(w *world, _ pool.User) bool {
				r, err := w.Pools.Users.CheckPassword(w.T.Context(), w.Demo.Tenant, w.pool, limit.KindVerifyPassword, carol, good)
				return err == nil && r.Proven()
			},
		},
		"with an authenticator app": {
			func(_ *world, id, short string) selfservice.Activation {
				return selfservice.Activation{Code: code.Extend(id, short), Activation: pool.Activation{TOTPSecret: secret}}
			},
			func(w *world, u pool.User) bool {
				ok, err := w.Pools.Users.CheckTOTP(w.T.Context(), w.Demo.Tenant, w.pool, u.ID, w.totp(secret))
				return ok && err == nil
			},
		},
		"with a passkey": {
			func(w *world, id, short string) selfservice.Activation {
				options, err := w.SelfService.BeginPasskey(w.T.Context(), w.Demo.Tenant, w.pool, id)
				w.OK(err)
				key, err := w.SelfService.MadePasskey(w.T.Context(), w.Demo.Tenant, w.pool, id, newPhone(w.T).make(w.T, options))
				w.OK(err)
				if u := w.byID(id); len(u.Passkeys()) != 0 {
					w.T.Error("the passkey is stored before the code is taken")
				}
				return selfservice.Activation{Code: code.Extend(id, short), Activation: pool.Activation{Passkeys: []credential.Passkey{key}}}
			},
			func(_ *world, u pool.User) bool { return len(u.Passkeys()) == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			made, short := w.register(carol)
			if u := w.byID(made.ID); u.Status != pool.StatusNew || u.Addresses[0].Verified || short == "" {
				t.Fatalf("registered: %s, code %q", u.Status, short)
			}
			in := tc.how(w, made.ID, short)
			bad := in
			bad.Code = strings.Replace(in.Code, short, wrong(short), 1)
			if bad.Code == in.Code {
				bad.Code = code.Extend(made.ID, wrong(short))
			}
			_, err := w.activate(bad)
			wantSame(t, err, "a wrong code")
			done, err := w.activate(in)
			w.OK(err)
			u := w.byID(made.ID)
			if done.User.Status != pool.StatusActive || u.Status != pool.StatusActive || !u.Addresses[0].Verified || !tc.check(w, u) {
				t.Errorf("activated: %+v", u)
			}
			_, err = w.activate(in)
			wantSame(t, err, "the code again")
		})
	}
}

func TestActivationMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := selfservice.Delivery{Link: true, Workspace: w.Demo.Workspace, LoginID: "l", LoginState: "s", Prompt: "passkey"}
	in := pool.Registration{Identifier: "carol", Address: carol, Payload: json.RawMessage(`{"name":"Carol C","given_name":"Carol","family_name":"C"}`)}
	made, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, in, true, d)
	w.OK(err)
	m := w.Mail.Last(carol)
	if m.Kind != notify.ActivateWithLink || m.Data.Name != "Carol" || m.User != made.ID || m.Data.Life != time.Hour {
		t.Errorf("message %+v", m)
	}
	u, err := url.Parse(m.Data.Link)
	w.OK(err)
	q := u.Query()
	if !strings.HasPrefix(m.Data.Link, base+"/default/identity/"+w.pool+"/activate?") || q.Get("code") != code.Extend(made.ID, m.Data.Code) ||
		q.Get("login_id") != "l" || q.Get("login_state") != "s" || q.Get("server_id") != w.Demo.Workspace {
		t.Errorf("link %s", m.Data.Link)
	}
	seen, err := w.SelfService.Inspect(t.Context(), w.Demo.Tenant, w.pool, selfservice.Who{Identifier: "carol"}, m.Data.Code[:4]+" "+m.Data.Code[4:])
	if err != nil || seen.Prompt != "passkey" || seen.Extended != q.Get("code") || seen.Code.Type != code.Activation || seen.PasswordSet {
		t.Errorf("inspection %+v %v", seen, err)
	}
	done, err := w.activate(selfservice.Activation{Code: seen.Extended}) // inspecting took nothing
	if err != nil || done.LoginID != "l" || done.LoginState != "s" || len(done.User.Identifiers) != 2 {
		t.Errorf("activated %+v %v", done, err)
	}
}

// A name that is somebody's gets the same answer, its owner a message, and there
// is no second user.
func TestRegisterTakenName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{alice, " ALICE@example.com "} {
		made, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: name, Password: good}, true, selfservice.Delivery{})
		if err != nil || made.ID != w.User(alice).ID || made.Registration != "" {
			t.Errorf("%q: %+v %v", name, made, err)
		}
		if m := w.Mail.Last(alice); m.Kind != notify.IdentifierUsed || m.Data.Code != "" || m.Data.Link != "" {
			t.Errorf("%q: message %+v", name, m)
		}
	}
	sent := len(w.Mail.All())
	for name, fail := range map[string]error{
		"budget": fault.New(fault.TooMany, "", nil), "down": fault.New(fault.Unavailable, "", nil), "country": fault.New(fault.Denied, "", nil),
	} {
		w.Mail.Fail(fail)
		for _, who := range []string{alice, name + "@example.com"} {
			if _, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: who}, true, selfservice.Delivery{}); err != nil {
				t.Errorf("%s, %s: %v", name, who, err)
			}
		}
	}
	w.Mail.Fail(nil)
	w.SetStatus(bob, pool.StatusInactive)
	_, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: bob}, true, selfservice.Delivery{})
	if err != nil || len(w.Mail.All()) != sent {
		t.Errorf("an inactive owner: %v, %d messages", err, len(w.Mail.All())-sent)
	}
}

// Who registers the name of somebody who has not activated ends their codes.
func TestRegisterAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, old := w.register(carol)
	second, now := w.register(carol)
	if first.ID != second.ID || first.Registration == second.Registration {
		t.Errorf("%+v, then %+v", first, second)
	}
	_, err := w.activate(selfservice.Activation{Code: code.Extend(first.ID, old)})
	wantSame(t, err, "the code of the first registration")
	if _, err = w.activate(selfservice.Activation{Code: code.Extend(second.ID, now)}); err != nil {
		t.Error(err)
	}
}

// Nobody keeps a stranger from finishing by registering their name again: while
// no message may go to the address, the pending registration and its code stay,
// and the answer is the same.
func TestRegisterAgainTooSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	register := func(in pool.Registration) selfservice.Registered {
		t.Helper()
		before := w.Hashes.Load()
		made, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, in, true, selfservice.Delivery{})
		w.OK(err)
		if n := w.Hashes.Load() - before; n != 1 {
			t.Errorf("%d hashes, want 1", n)
		}
		return made
	}
	victim := register(pool.Registration{Identifier: carol, Password: good})
	short, sent := w.Mail.Last(carol).Data.Code, len(w.Mail.All())
	w.Mail.Fail(fault.New(fault.TooMany, "", nil)) // the cooldown
	for _, in := range []pool.Registration{
		{Identifier: carol, Password: "the-attackers-choice-1"},
		{Identifier: " CAROL@example.com ", Password: "the-attackers-choice-1"},
		{Identifier: "carol", Address: carol, Password: "the-attackers-choice-1"},
	} {
		if made := register(in); made.ID != victim.ID || made.Registration != "" {
			t.Errorf("%+v, want that of %+v", made, victim)
		}
	}
	w.Mail.Fail(nil)
	if n := len(w.Mail.All()); n != sent {
		t.Errorf("%d messages more", n-sent)
	}
	_, err := w.activate(selfservice.Activation{Code: code.Extend(victim.ID, short), Activation: pool.Activation{Registration: victim.Registration}})
	w.OK(err)
	if r, err := w.Pools.Users.CheckPassword(t.Context(), w.Demo.Tenant, w.pool, limit.KindVerifyPassword, carol, good); err != nil || !r.Proven() {
		t.Errorf("the password of the registration: %v %v", r.Outcome, err)
	}
}

// The password of the registration holds only for the browser that registered,
// or a backend that vouches for it.
func TestPasswordOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		trusted, own, kept bool
	}{"the same browser": {own: true, kept: true}, "another": {}, "a backend": {trusted: true, kept: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			made, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: carol, Password: good}, true, selfservice.Delivery{})
			w.OK(err)
			in := selfservice.Activation{Code: code.Extend(made.ID, w.Mail.Last(carol).Data.Code), Trusted: tc.trusted}
			if tc.own {
				in.Registration = made.Registration
			}
			_, err = w.activate(in)
			w.OK(err)
			if u := w.byID(made.ID); u.HasPassword() != tc.kept {
				t.Errorf("password kept: %v", u.HasPassword())
			}
		})
	}
}

func TestRegisterRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		in    pool.Registration
		d     selfservice.Delivery
		field string
	}{
		"weak password":        {in: pool.Registration{Identifier: carol, Password: "short"}, field: "password"},
		"weak, of somebody":    {in: pool.Registration{Identifier: alice, Password: "short"}, field: "password"},
		"no address":           {in: pool.Registration{Identifier: "carol", Address: "nowhere"}, field: "otp_address"},
		"foreign page":         {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: w.Demo.Workspace, Next: "https://evil.example/"}, field: "post_activation_url"},
		"page of no workspace": {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Next: "http://app.localhost:8080/"}, field: "post_activation_url"},
		"script":               {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: w.Demo.Workspace, Next: "javascript:alert(1)"}, field: "post_activation_url"},
		"with a password":      {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: w.Demo.Workspace, Next: "http://a:b@app.localhost:8080/"}, field: "post_activation_url"},
		"another port":         {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: w.Demo.Workspace, Next: "http://app.localhost:8081/"}, field: "post_activation_url"},
		"without a scheme":     {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: w.Demo.Workspace, Next: "//app.localhost:8080/"}, field: "post_activation_url"},
		"another workspace's":  {in: pool.Registration{Identifier: carol}, d: selfservice.Delivery{Workspace: "admin", Next: "http://app.localhost:8080/"}, field: "post_activation_url"},
	} {
		_, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, tc.in, true, tc.d)
		wantKind(t, err, fault.Unprocessable, name)
		if f := fault.Read(err); f != nil && f.Field != tc.field {
			t.Errorf("%s: field %q", name, f.Field)
		}
	}
	for _, next := range []string{"http://app.localhost:8080/welcome?x=1", "http://localhost/somewhere"} {
		d := selfservice.Delivery{Workspace: w.Demo.Workspace, Next: next}
		made, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: carol}, true, d)
		w.OK(err)
		seen, err := w.SelfService.Inspect(t.Context(), w.Demo.Tenant, w.pool, selfservice.Who{}, code.Extend(made.ID, w.Mail.Last(carol).Data.Code))
		if err != nil || seen.Next != next || strings.Contains(w.Mail.Last(carol).Data.Link, "somewhere") {
			t.Errorf("%s: %+v %v", next, seen.Carried, err)
		}
	}
	w.setPool(func(p *pool.Pool) { p.PublicRegistrationAllowed = false })
	for _, name := range []string{alice, "dora@example.com"} {
		_, err := w.SelfService.Register(t.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: name}, true, selfservice.Delivery{})
		wantKind(t, err, fault.Denied, "registration is closed")
	}
}

// An administrator who invites somebody learns why it does not work.
func TestInvitation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mail := func(a string) pool.NewUserVerifiableAddress {
		return pool.NewUserVerifiableAddress{Type: pool.Email, Address: a}
	}
	invited := func(addresses ...pool.NewUserVerifiableAddress) string {
		u, err := w.Pools.Users.Create(t.Context(), w.Demo.Tenant, w.pool, pool.NewUser{Status: pool.StatusNew, VerifiableAddresses: addresses})
		w.OK(err)
		return u.ID
	}
	d := selfservice.Delivery{Link: true, Invitation: true, Operator: true}
	for name, tc := range map[string]struct {
		user, address string
		kind          fault.Kind
	}{
		"no address":             {invited(), "", fault.Unprocessable},
		"several":                {invited(mail("x1@example.com"), mail("x2@example.com")), "", fault.Unprocessable},
		"foreign address":        {invited(mail("x3@example.com")), bob, fault.NotFound},
		"somebody else's":        {invited(mail(bob)), bob, fault.Unprocessable},
		"somebody else's, alone": {invited(mail(bob)), "", fault.Unprocessable},
		"active":                 {w.User(alice).ID, alice, fault.Unprocessable},
		"nobody":                 {"nobody", alice, fault.NotFound},
	} {
		wantKind(t, w.SelfService.RequestFor(t.Context(), w.Demo.Tenant, w.pool, tc.user, code.Activation, tc.address, d), tc.kind, name)
	}
	if n := len(w.Mail.All()); n != 0 {
		t.Errorf("%d messages", n)
	}
	id := invited(mail(carol), mail("carol2@example.com"))
	w.OK(w.SelfService.RequestFor(t.Context(), w.Demo.Tenant, w.pool, id, code.Activation, "CAROL@example.com", d))
	m := w.Mail.Last(carol)
	if !m.Data.Invitation || !m.Operator || m.Kind != notify.ActivateWithLink {
		t.Errorf("message %+v", m)
	}
	bad := selfservice.Activation{Code: code.Extend(id, m.Data.Code)}
	bad.Address = "carol2@example.com"
	_, err := w.activate(bad)
	wantSame(t, err, "the code of another address")
	weak := selfservice.Activation{Code: code.Extend(id, m.Data.Code)}
	weak.Password = "short"
	_, err = w.activate(weak)
	wantKind(t, err, fault.Unprocessable, "a weak password")
	done, err := w.activate(selfservice.Activation{Code: code.Extend(id, m.Data.Code), Activation: pool.Activation{Password: good, Address: "Carol@example.com"}})
	if err != nil || !done.Invitation || len(done.User.Identifiers) != 1 || done.User.Identifiers[0].Value != carol {
		t.Errorf("%+v %v", done, err)
	}
	if w.events(audit.SubjectOTP, audit.ActionSent) != 1 || w.events(audit.SubjectOTP, audit.ActionAccepted) != 1 || w.events(audit.SubjectOTP, audit.ActionRejected) != 1 {
		t.Error("events are missing")
	}
}
