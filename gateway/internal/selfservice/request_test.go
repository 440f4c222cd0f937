package selfservice_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
)

// What a stranger asks for is answered alike for anybody; an administrator
// learns what is in the way.
func TestRequestIsSilent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind    code.Type
		who     selfservice.Who
		address string // for the administrator
		fail    error
		loud    fault.Kind
	}{
		"nobody":              {kind: code.ResetPassword, who: selfservice.Who{Identifier: "nobody@example.com"}},
		"nobody's address":    {kind: code.ResetPassword, who: selfservice.Who{Address: "nobody@example.com"}},
		"nobody's id":         {kind: code.ResetTOTP, who: selfservice.Who{UserID: "nobody"}},
		"no name at all":      {kind: code.ResetTOTP, who: selfservice.Who{Identifier: "\x00\xff"}},
		"much too long":       {kind: code.ResetTOTP, who: selfservice.Who{Identifier: strings.Repeat("a", 5000)}},
		"inactive":            {kind: code.ResetPassword, who: selfservice.Who{Identifier: bob}, address: bob, loud: fault.Unprocessable},
		"active, to activate": {kind: code.Activation, who: selfservice.Who{Identifier: alice}, address: alice, loud: fault.Unprocessable},
		"foreign address":     {kind: code.EnrollWebAuthn, who: selfservice.Who{Identifier: alice, Address: bob}, address: bob, loud: fault.NotFound},
		"budget":              {kind: code.Challenge, who: selfservice.Who{Identifier: alice}, address: alice, fail: fault.New(fault.TooMany, "", nil), loud: fault.TooMany},
		"mail down":           {kind: code.Challenge, who: selfservice.Who{Identifier: alice}, address: alice, fail: fault.New(fault.Unavailable, "", nil), loud: fault.Unavailable},
		"no such country":     {kind: code.Challenge, who: selfservice.Who{Identifier: alice}, address: alice, fail: fault.New(fault.Denied, "", nil), loud: fault.Denied},
		"no address":          {kind: code.Challenge, who: selfservice.Who{Identifier: alice}, address: alice, fail: fault.New(fault.Unprocessable, "", nil), loud: fault.Unprocessable},
		"verified already":    {kind: code.VerifyAddress, who: selfservice.Who{Identifier: alice, Address: alice}, address: alice, loud: fault.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.SetStatus(bob, pool.StatusInactive)
			w.Mail.Fail(tc.fail)
			if err := w.SelfService.Request(t.Context(), w.Demo.Tenant, w.pool, tc.kind, tc.who, selfservice.Delivery{}); err != nil {
				t.Errorf("Request = %v", err)
			}
			if tc.loud != 0 {
				id := w.User(tc.who.Identifier).ID
				err := w.SelfService.RequestFor(t.Context(), w.Demo.Tenant, w.pool, id, tc.kind, tc.address, selfservice.Delivery{})
				wantKind(t, err, tc.loud, "RequestFor")
			}
			if n := len(w.Mail.All()); n != 0 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, who := range map[string]selfservice.Who{"nobody in particular": {}, "two names": {UserID: "a", Identifier: "b"}} {
		err := w.SelfService.Request(t.Context(), w.Demo.Tenant, w.pool, code.ResetPassword, who, selfservice.Delivery{})
		wantKind(t, err, fault.Unprocessable, name)
	}
	who := selfservice.Who{Identifier: alice}
	wantKind(t, w.SelfService.Request(t.Context(), w.Demo.Tenant, "nowhere", code.ResetPassword, who, selfservice.Delivery{}), fault.NotFound, "no pool")
	w.Faulty.Down(nil)
	if err := w.SelfService.Request(t.Context(), w.Demo.Tenant, w.pool, code.ResetPassword, who, selfservice.Delivery{}); !fault.Is(err, fault.Internal) {
		t.Errorf("without the store: %v", err)
	}
}

// Which of a person's addresses a code goes to.
func TestDestination(t *testing.T) {
	t.Parallel()
	const phone, spare, unverified, stopped = "+48600700800", "spare@example.com", "new@example.com", "stopped@example.com"
	w := newWorld(t)
	w.create(carol,
		pool.NewUserVerifiableAddress{Type: pool.Mobile, Address: phone, Verified: true},
		pool.NewUserVerifiableAddress{Type: pool.Email, Address: carol, Verified: true},
		pool.NewUserVerifiableAddress{Type: pool.Email, Address: spare, Verified: true},
		pool.NewUserVerifiableAddress{Type: pool.Email, Address: unverified},
		pool.NewUserVerifiableAddress{Type: pool.Email, Address: stopped, Verified: true, Status: pool.StatusInactive},
	)
	w.create("dora@example.com", pool.NewUserVerifiableAddress{Type: pool.Mobile, Address: "+48600700801", Verified: true})
	w.create("emil@example.com", pool.NewUserVerifiableAddress{Type: pool.Email, Address: "emil@example.com"})
	mail, text, both := []string{pool.MechanismEmailOTP}, []string{pool.MechanismSMSOTP}, []string{pool.MechanismPassword, pool.MechanismOTP}
	for name, tc := range map[string]struct {
		kind       code.Type
		who        selfservice.Who
		mechanisms []string
		to         string
	}{
		"reset, by the name":              {code.ResetPassword, selfservice.Who{Identifier: carol}, nil, carol},
		"reset, to another":               {code.ResetPassword, selfservice.Who{Identifier: carol, Address: "SPARE@example.com"}, nil, spare},
		"reset, by the address alone":     {code.ResetPassword, selfservice.Who{Address: spare}, nil, spare},
		"reset, unverified, named":        {code.ResetPassword, selfservice.Who{Identifier: carol, Address: unverified}, nil, unverified},
		"reset, unverified alone":         {code.ResetPassword, selfservice.Who{Address: unverified}, nil, ""},
		"reset, stopped":                  {code.ResetPassword, selfservice.Who{Identifier: carol, Address: stopped}, nil, ""},
		"reset, none verified":            {code.ResetPassword, selfservice.Who{Identifier: "emil@example.com"}, nil, ""},
		"sign-in, otp":                    {code.Authentication, selfservice.Who{Identifier: carol}, both, carol},
		"sign-in, otp, to the phone":      {code.Authentication, selfservice.Who{Identifier: carol, Address: phone}, both, phone},
		"sign-in, email_otp":              {code.Authentication, selfservice.Who{Identifier: carol}, mail, carol},
		"sign-in, email_otp, phone asked": {code.Authentication, selfservice.Who{Identifier: carol, Address: phone}, mail, ""},
		"sign-in, email_otp, phone only":  {code.Authentication, selfservice.Who{Identifier: "dora@example.com"}, mail, ""},
		"sign-in, sms_otp":                {code.Authentication, selfservice.Who{Identifier: carol}, text, phone},
		"sign-in, sms_otp, mail asked":    {code.Authentication, selfservice.Who{Identifier: carol, Address: spare}, text, ""},
		"sign-in, unverified asked":       {code.Authentication, selfservice.Who{Identifier: carol, Address: unverified}, both, ""},
		"sign-in, stopped asked":          {code.Authentication, selfservice.Who{Identifier: carol, Address: stopped}, both, ""},
		"sign-in, none verified":          {code.Authentication, selfservice.Who{Identifier: "emil@example.com"}, both, ""},
	} {
		before := len(w.Mail.All())
		w.OK(w.SelfService.Request(t.Context(), w.Demo.Tenant, w.pool, tc.kind, tc.who, selfservice.Delivery{Mechanisms: tc.mechanisms}))
		sent, to := w.Mail.All()[before:], ""
		if len(sent) > 0 {
			to = sent[0].To
		}
		if to != tc.to || len(sent) > 1 || (to == phone) != (len(sent) == 1 && sent[0].Channel == notify.SMS) {
			t.Errorf("%s: went to %q, want %q", name, to, tc.to)
		}
	}
}

// TestSameTime: with a clock that only the waiting moves, every refusal takes the
// floor, whoever it is about.
func TestSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetStatus(bob, pool.StatusInactive)
	waits := 0
	verifier := credential.NewVerifier(credential.Config{Gate: w, Now: w.Now, Wait: func(_ context.Context, d time.Duration) error {
		w.Pass(d)
		waits++
		return nil
	}})
	w.SelfService.Passwords = verifier
	floor, err := verifier.Floor(t.Context(), w.Demo.Tenant)
	w.OK(err)
	at := w.Demo.Tenant
	for name, work := range map[string]func(who selfservice.Who, ctx context.Context){
		"request": func(who selfservice.Who, ctx context.Context) {
			w.OK(w.SelfService.Request(ctx, at, w.pool, code.ResetPassword, who, selfservice.Delivery{}))
		},
		"request of a sign-in": func(who selfservice.Who, ctx context.Context) {
			d := selfservice.Delivery{Mechanisms: []string{pool.MechanismOTP}}
			w.OK(w.SelfService.Request(ctx, at, w.pool, code.Authentication, who, d))
		},
		"reset": func(who selfservice.Who, ctx context.Context) {
			_, err := w.SelfService.ResetPassword(ctx, at, w.pool, who, "00000000", good)
			wantSame(t, err, who.Identifier)
		},
		"sign-in": func(who selfservice.Who, ctx context.Context) {
			_, _, err := w.SelfService.Verify(ctx, at, w.pool, code.Authentication, who, "0000")
			wantSame(t, err, who.Identifier)
		},
		"inspection": func(who selfservice.Who, ctx context.Context) {
			_, err := w.SelfService.Inspect(ctx, at, w.pool, who, "0000")
			wantSame(t, err, who.Identifier)
		},
		"activation": func(who selfservice.Who, ctx context.Context) {
			_, err := w.SelfService.Activate(ctx, at, w.pool, selfservice.Activation{Who: who, Code: "0000", Kind: limit.KindSelfActivation})
			wantSame(t, err, who.Identifier)
		},
		"registration": func(who selfservice.Who, ctx context.Context) {
			_, err := w.SelfService.Register(ctx, at, w.pool, pool.Registration{Identifier: who.Identifier}, true, selfservice.Delivery{})
			w.OK(err)
		},
	} {
		for i, who := range []string{alice, bob, "nobody@example.com"} {
			waits = 0
			calls, start := w.Faulty.Calls(""), w.Now()
			work(selfservice.Who{Identifier: who}, w.elsewhere(i))
			took := w.Now().Sub(start)
			if waits == 0 || took < floor || took > floor+time.Millisecond {
				t.Errorf("%s, %s: took %v with %d waits, want %v", name, who, took, waits, floor)
			}
			t.Logf("%s, %s: %d calls of the store", name, who, w.Faulty.Calls("")-calls)
		}
	}
}
