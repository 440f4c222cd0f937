package selfservice_test

import (
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

func TestResetPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.User(alice)
	a := w.Agent()
	set := a.Tokens("openid", "offline_access")
	_, _, err := w.Pools.MFASessions.Begin(t.Context(), &u) // none: the pool remembers nobody
	w.OK(err)
	w.setPool(func(p *pool.Pool) { p.MFASessionTTL, p.PasswordPolicy.NotUsedSince = store.Duration(time.Hour), 3 })
	_, _, err = w.Pools.MFASessions.Begin(t.Context(), &u)
	w.OK(err)
	w.OK(w.Pools.Users.SetPasswordState(t.Context(), w.Demo.Tenant, w.pool, u.ID, pool.StateMustBeReset))
	short := w.ask(code.ResetPassword, alice)
	who := selfservice.Who{Identifier: alice}
	for _, bad := range []string{"short", "alice@example.com", setup.AlicePassword} {
		wantKind(t, w.reset(who, short, bad), fault.Unprocessable, bad)
	}
	if list, err := w.Sessions.List(t.Context(), w.Demo.Tenant, w.pool, u.ID); err != nil || len(list) != 1 {
		t.Errorf("a refused password ended %d sessions, %v", 1-len(list), err)
	}
	w.OK(w.reset(who, short, good))
	r, err := w.Pools.Users.CheckPassword(t.Context(), w.Demo.Tenant, w.pool, limit.KindVerifyPassword, alice, good)
	if err != nil || !r.Proven() || r.State != pool.StateValid {
		t.Errorf("the new password: %+v %v", r.Outcome, err)
	}
	if _, err := w.Signin.Current(t.Context(), w.Home(), a.Browser()); !fault.Is(err, fault.Unauthenticated) {
		t.Error("the session goes on")
	}
	if _, err := w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, nil); err == nil {
		t.Error("the refresh token goes on")
	}
	if left, err := w.Pools.MFASessions.List(t.Context(), &u); err != nil || len(left) != 0 {
		t.Errorf("%d MFA sessions, %v", len(left), err)
	}
	wantSame(t, w.reset(who, short, "another-good-pass-9"), "the code again")
}

// Whatever is wrong with a code, the answer is one, and the right code of the
// right person still works.
func TestWrongCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := w.Pools.Pools.Create(t.Context(), w.Demo.Tenant, pool.Input{Pool: pool.Pool{Name: "Other"}})
	w.OK(err)
	_, err = w.Pools.Users.Create(t.Context(), w.Demo.Tenant, other.ID, pool.NewUser{
		Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: alice}},
		VerifiableAddresses: []pool.NewUserVerifiableAddress{{Type: pool.Email, Address: alice, Verified: true}},
	})
	w.OK(err)
	inactive := w.create(carol, pool.NewUserVerifiableAddress{Type: pool.Email, Address: carol, Verified: true})
	hers := w.ask(code.ResetPassword, carol)
	w.SetStatus(carol, pool.StatusInactive)
	short, bobs, totp := w.ask(code.ResetPassword, alice), w.ask(code.ResetPassword, bob), w.ask(code.ResetTOTP, alice)
	id := w.User(alice).ID
	byName, none := selfservice.Who{Identifier: alice}, selfservice.Who{}
	for name, tc := range map[string]struct {
		pool  string
		who   selfservice.Who
		typed string
	}{
		"wrong":                              {who: byName, typed: wrong(short)},
		"empty":                              {who: byName},
		"letters":                            {who: byName, typed: "let me in"},
		"too long":                           {who: byName, typed: short + short + short},
		"somebody else's":                    {who: byName, typed: bobs},
		"somebody else's, extended":          {who: none, typed: code.Extend(id, bobs)},
		"extended, of another name":          {who: selfservice.Who{Identifier: bob}, typed: code.Extend(id, short)},
		"extended, of another id":            {who: selfservice.Who{UserID: w.User(bob).ID}, typed: code.Extend(id, short)},
		"extended, of another address":       {who: selfservice.Who{Address: bob}, typed: code.Extend(id, short)},
		"extended, of nobody's name":         {who: selfservice.Who{Identifier: "nobody"}, typed: code.Extend(id, short)},
		"another type's":                     {who: byName, typed: totp},
		"unknown":                            {who: selfservice.Who{Identifier: "nobody@example.com"}, typed: short},
		"unknown, extended":                  {who: none, typed: code.Extend("nobody", short)},
		"short, of nobody in particular":     {who: none, typed: short},
		"another pool":                       {pool: other.ID, who: byName, typed: short},
		"another pool, extended":             {pool: other.ID, who: none, typed: code.Extend(id, short)},
		"of who was made inactive":           {who: selfservice.Who{Identifier: carol}, typed: hers},
		"of who was made inactive, extended": {who: none, typed: code.Extend(inactive.ID, hers)},
	} {
		at := tc.pool
		if at == "" {
			at = w.pool
		}
		ctx := w.elsewhere(len(name))
		_, err := w.SelfService.ResetPassword(ctx, w.Demo.Tenant, at, tc.who, tc.typed, good)
		wantSame(t, err, name)
		_, err = w.SelfService.ResetTOTP(ctx, w.Demo.Tenant, at, tc.who, tc.typed, credential.NewTOTPSecret())
		if name != "another type's" {
			wantSame(t, err, name+", of an authenticator app")
		}
		_, err = w.SelfService.AddPasskey(ctx, w.Demo.Tenant, at, tc.who, tc.typed, credential.Passkey{ID: []byte("id"), PublicKey: []byte("key")})
		wantSame(t, err, name+", of a passkey")
		_, _, err = w.SelfService.Verify(ctx, w.Demo.Tenant, at, code.Authentication, tc.who, tc.typed)
		wantSame(t, err, name+", of a sign-in")
	}
	r, err := w.Pools.Users.CheckPassword(t.Context(), w.Demo.Tenant, w.pool, limit.KindVerifyPassword, alice, setup.AlicePassword)
	if err != nil || !r.Proven() {
		t.Fatal("a wrong code changed the password")
	}
	w.OK(w.reset(byName, short, good))
	w.Pass(time.Hour)
	wantSame(t, w.reset(selfservice.Who{Identifier: bob}, bobs, good), "an expired code")
}

// A code that was followed by another is over.
func TestRequestEndsFormerCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.ask(code.ResetPassword, alice)
	now := w.ask(code.ResetPassword, alice)
	who := selfservice.Who{Identifier: alice}
	if old != now {
		wantSame(t, w.reset(who, old, good), "the former code")
	}
	w.Mail.Fail(fault.New(fault.TooMany, "", nil))
	w.ask(code.ResetPassword, alice) // refused by the budgets
	w.Mail.Fail(nil)
	w.OK(w.reset(who, now, good))
}

func TestResetTOTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, first, second := w.User(alice), credential.NewTOTPSecret(), credential.NewTOTPSecret()
	who := selfservice.Who{UserID: u.ID}
	short := w.ask(code.ResetTOTP, alice)
	_, err := w.SelfService.ResetTOTP(t.Context(), w.Demo.Tenant, w.pool, who, short, "not base32!")
	wantKind(t, err, fault.Unprocessable, "no secret")
	_, err = w.SelfService.ResetTOTP(t.Context(), w.Demo.Tenant, w.pool, who, short, first)
	w.OK(err)
	change := func(typed, secret string) error {
		return w.SelfService.ChangeTOTP(t.Context(), w.Demo.Tenant, w.pool, u.ID, typed, secret)
	}
	wantKind(t, change(wrong(w.totp(first)), second), fault.Unauthenticated, "a wrong code")
	wantKind(t, change(w.totp(first), "not base32!"), fault.Unprocessable, "no secret")
	if err := change(w.totp(first), second); err != nil {
		t.Errorf("the code of the refused change: %v", err)
	}
	wantKind(t, change(w.totp(first), second), fault.Unauthenticated, "the old app")
}

func TestVerifyAddress(t *testing.T) {
	t.Parallel()
	const mine, shared = "Mine@Example.com", "shared@example.com"
	w := newWorld(t)
	fresh := func(a string) pool.NewUserVerifiableAddress {
		return pool.NewUserVerifiableAddress{Type: pool.Email, Address: a}
	}
	u := w.create(carol, fresh(mine), fresh(shared), fresh("gone@example.com"))
	request := func(a string) string {
		w.OK(w.SelfService.Request(t.Context(), w.Demo.Tenant, w.pool, code.VerifyAddress, selfservice.Who{UserID: u.ID, Address: a}, selfservice.Delivery{}))
		all := w.Mail.All()
		return all[len(all)-1].Data.Code
	}
	verify := func(a, typed string) error {
		return w.SelfService.VerifyAddress(t.Context(), w.Demo.Tenant, w.pool, u.ID, a, typed)
	}
	verified := func(i int) bool { return w.byID(u.ID).Addresses[i].Verified }

	one, two := request(mine), request(shared) // codes of several addresses live side by side
	wantSame(t, verify(shared, one), "the code of another address")
	wantSame(t, verify("alice@example.com", one), "an address of somebody else")
	wantSame(t, verify(mine, wrong(one)), "a wrong code")
	w.OK(verify("mine@example.COM", one))
	wantSame(t, verify(mine, one), "the code again")
	if !verified(0) || verified(1) {
		t.Error("the wrong address is verified")
	}
	w.create("dora@example.com", pool.NewUserVerifiableAddress{Type: pool.Email, Address: shared, Verified: true})
	wantKind(t, verify(shared, two), fault.Conflict, "verified by somebody else meanwhile")
	for name, err := range map[string]error{
		"verified elsewhere": w.SelfService.RequestFor(t.Context(), w.Demo.Tenant, w.pool, u.ID, code.VerifyAddress, shared, selfservice.Delivery{}),
		"verified already":   w.SelfService.RequestFor(t.Context(), w.Demo.Tenant, w.pool, u.ID, code.VerifyAddress, mine, selfservice.Delivery{}),
	} {
		wantKind(t, err, fault.Conflict, name)
	}
	_, err := w.SelfService.Generate(t.Context(), w.Demo.Tenant, w.pool, code.VerifyAddress, selfservice.Who{UserID: u.ID, Address: shared}, nil)
	wantKind(t, err, fault.Unprocessable, "a code for what is verified elsewhere")

	three := request("gone@example.com")
	w.SetStatus(carol, pool.StatusInactive)
	wantSame(t, verify("gone@example.com", three), "of who is inactive")
	w.SetStatus(carol, pool.StatusActive)
	_, err = w.SelfService.VerifyAddressByCode(t.Context(), w.Demo.Tenant, w.pool, "", code.Extend(w.User(bob).ID, three))
	wantSame(t, err, "of somebody else")
	at, err := w.SelfService.VerifyAddressByCode(t.Context(), w.Demo.Tenant, w.pool, "", code.Extend(u.ID, three))
	if err != nil || at != "gone@example.com" || !verified(2) {
		t.Errorf("by a link: %q %v", at, err)
	}
	reset := w.ask(code.ResetPassword, alice)
	_, err = w.SelfService.VerifyAddressByCode(t.Context(), w.Demo.Tenant, w.pool, "", code.Extend(w.User(alice).ID, reset))
	wantSame(t, err, "a code of another type")
}

func TestVerifyCodes(t *testing.T) {
	t.Parallel()
	for _, kind := range []code.Type{code.Challenge, code.Authentication} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			made, err := w.SelfService.Generate(t.Context(), w.Demo.Tenant, w.pool, kind, selfservice.Who{Identifier: alice}, []byte(`{"a":1}`))
			if err != nil || len(made.Code) != 6 || len(w.Mail.All()) != 0 {
				t.Fatalf("%+v %v", made, err)
			}
			verify := func(k code.Type, who selfservice.Who, typed string) (pool.User, code.Code, error) {
				return w.SelfService.Verify(t.Context(), w.Demo.Tenant, w.pool, k, who, typed)
			}
			for range 2 { // nothing is taken
				seen, err := w.SelfService.Inspect(t.Context(), w.Demo.Tenant, w.pool, selfservice.Who{}, made.Extended)
				if err != nil || seen.Code.Type != kind || seen.User.ID != w.User(alice).ID || !seen.PasswordSet {
					t.Errorf("%+v %v", seen, err)
				}
			}
			another := code.Authentication
			if kind == another {
				another = code.Challenge
			}
			_, _, err = verify(another, selfservice.Who{}, made.Extended)
			wantSame(t, err, "as another type")
			_, _, err = verify(kind, selfservice.Who{UserID: "a", Identifier: "b"}, made.Code)
			wantKind(t, err, fault.Unprocessable, "two names")
			u, taken, err := verify(kind, selfservice.Who{Address: alice}, made.Code)
			if err != nil || u.ID != w.User(alice).ID || string(taken.Metadata) != `{"a":1}` {
				t.Errorf("%+v %v", taken, err)
			}
			_, _, err = verify(kind, selfservice.Who{}, made.Extended)
			wantSame(t, err, "again")
			_, err = w.SelfService.Inspect(t.Context(), w.Demo.Tenant, w.pool, selfservice.Who{}, made.Extended)
			wantSame(t, err, "inspected after it was taken")
		})
	}
}
