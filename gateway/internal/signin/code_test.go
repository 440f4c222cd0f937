package signin_test

import (
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const phoneNumber = "+48600700800"

// carol has an address of each type, and another that nobody has verified.
func carol(w *signintest.World) string {
	w.T.Helper()
	const name = "carol@example.com"
	_, err := w.Pools.Users.Create(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, pool.NewUser{
		Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: name}},
		Credentials: []pool.NewUserCredential{{Type: pool.TypePassword, Password: "a-good-pass-word-9"}},
		VerifiableAddresses: []pool.NewUserVerifiableAddress{
			{Type: pool.Email, Address: name, Verified: true},
			{Type: pool.Mobile, Address: phoneNumber, Verified: true},
			{Type: pool.Email, Address: "new@example.com"},
		},
	})
	w.OK(err)
	return name
}

func TestCodeSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byAny, nil)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	w.OK(w.Signin.SendCode(t.Context(), space, l, "ALICE@example.com", "", a.Browser()))
	typed := w.Mail.Last(signintest.Alice).Data.Code
	for name, try := range map[string][2]string{
		"wrong": {signintest.Alice, "0000"}, "somebody else's": {bob, typed}, "nobody's": {"nobody@example.com", typed}, "empty": {"", ""},
		"extended, with another name": {bob, code.Extend(w.User(signintest.Alice).ID, typed)},
		"extended, with no name":      {"", code.Extend(w.User(bob).ID, typed)},
	} {
		_, err := w.Signin.Code(t.Context(), space, l, try[0], try[1], a.Browser())
		wantKind(t, err, fault.Unauthenticated, name)
	}
	out, err := w.Signin.Code(t.Context(), space, l, signintest.Alice, typed[:3]+" "+typed[3:], a.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Fatalf("%s %v", out.Location, err)
	}
	a.Keep(out)
	if got := methods(a); got != "otp " {
		t.Errorf("amr %q", got)
	}
	again, space := w.Agent().Begin(signintest.Request())
	_, err = w.Signin.Code(t.Context(), space, again, signintest.Alice, typed, a.Browser())
	wantKind(t, err, fault.Unauthenticated, "the code again")
}

// Nothing goes out, and nothing is taken, where the pool does not sign in by code.
func TestCodeNotOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	made, err := w.SelfService.Generate(t.Context(), w.Demo.Tenant, w.Demo.PoolID, code.Authentication, selfservice.Who{Identifier: signintest.Alice}, nil)
	w.OK(err)
	wantKind(t, w.Signin.SendCode(t.Context(), space, l, signintest.Alice, "", a.Browser()), fault.Unprocessable, "a request")
	_, err = w.Signin.Code(t.Context(), space, l, signintest.Alice, made.Code, a.Browser())
	wantKind(t, err, fault.Unprocessable, "a code")
	_, err = w.Signin.AskPasskey(t.Context(), space, l)
	wantKind(t, err, fault.Unprocessable, "a passkey")
	if len(w.Mail.All()) != 0 {
		t.Error("a code was sent")
	}
	offer(w, []string{pool.MechanismOTP}, nil)
	_, err = w.Signin.Password(t.Context(), space, l, signintest.Alice, setup.AlicePassword, a.Browser())
	wantKind(t, err, fault.Unprocessable, "a password")
}

// A code proves what it was sent for: that of a mailbox no phone, and none of an
// address that is not verified.
func TestCodesProveTheirAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := carol(w)
	offer(w, []string{pool.MechanismPassword, pool.MechanismEmailOTP}, []string{pool.MechanismSMSOTP})
	first, space := w.Agent().Begin(signintest.Request())
	a := w.Agent()
	l, _ := half(a, name, "a-good-pass-word-9")
	f, err := w.Signin.Factors(t.Context(), space, l)
	if err != nil || len(f.Destinations) != 1 || f.Destinations[0].Address != phoneNumber || f.Mechanisms[0] != pool.MechanismOTP {
		t.Fatalf("%+v %v", f, err)
	}
	for _, address := range []string{"", phoneNumber, "new@example.com"} {
		w.OK(w.Signin.SendCode(t.Context(), space, first, name, address, a.Browser()))
	}
	if sent := w.Mail.All(); len(sent) != 1 || sent[0].To != name {
		t.Fatalf("email_otp sent %d messages", len(sent))
	}
	_, err = w.Signin.Second(t.Context(), space, l, pool.MechanismOTP, w.Mail.Last(name).Data.Code, false, a.Browser())
	wantKind(t, err, fault.Unauthenticated, "the mailbox's code for the phone")
	w.OK(w.Signin.SendSecond(t.Context(), space, l, 0, a.Browser()))
	_, err = w.Signin.Code(t.Context(), space, first, name, w.Mail.Last(phoneNumber).Data.Code, a.Browser())
	wantKind(t, err, fault.Unauthenticated, "the phone's code for the mailbox")
	made, err := w.SelfService.Generate(t.Context(), w.Demo.Tenant, w.Demo.PoolID, code.Authentication, selfservice.Who{Identifier: name, Address: "new@example.com"}, nil)
	w.OK(err)
	_, err = w.Signin.Code(t.Context(), space, first, name, made.Code, a.Browser())
	wantKind(t, err, fault.Unauthenticated, "a code for an address that is not verified")
	w.OK(w.Signin.SendSecond(t.Context(), space, l, 0, a.Browser()))
	out, err := w.Signin.Second(t.Context(), space, l, pool.MechanismOTP, w.Mail.Last(phoneNumber).Data.Code, false, a.Browser())
	if err != nil || signintest.Query(w, out).Get("code") == "" {
		t.Errorf("the phone's code: %v", err)
	}
}

// One mailbox is not two factors.
func TestOneMailboxIsOneFactor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first, second []string
		to            string // where the second code can go; empty: nowhere
	}{
		"otp and otp":             {[]string{pool.MechanismOTP}, []string{pool.MechanismOTP}, ""},
		"email_otp and email_otp": {[]string{pool.MechanismEmailOTP}, []string{pool.MechanismEmailOTP}, ""},
		"email_otp and otp":       {[]string{pool.MechanismEmailOTP}, []string{pool.MechanismOTP}, phoneNumber},
		"email_otp and sms_otp":   {[]string{pool.MechanismEmailOTP}, []string{pool.MechanismSMSOTP}, phoneNumber},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			who := carol(w)
			offer(w, tc.first, tc.second)
			a := w.Agent()
			l, space := a.Begin(signintest.Request())
			w.OK(w.Signin.SendCode(t.Context(), space, l, who, who, a.Browser()))
			out, err := w.Signin.Code(t.Context(), space, l, who, w.Mail.Last(who).Data.Code, a.Browser())
			if tc.to == "" {
				wantKind(t, err, fault.Denied, "no other factor")
				return
			}
			w.OK(err)
			l, _ = a.Resume(a.Keep(out))
			f, err := w.Signin.Factors(t.Context(), space, l)
			if err != nil || login.Next(l) != login.SecondFactor || len(f.Destinations) != 1 || f.Destinations[0].Address != tc.to {
				t.Errorf("%+v %v", f, err)
			}
		})
	}
}

// The preferred second factor comes first, by whichever of its names it is set.
func TestPreferredSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app(w, signintest.Alice)
	for _, tc := range []struct{ preferred, want string }{
		{pool.MechanismTOTP, pool.MechanismTOTP}, {pool.MechanismEmailOTP, pool.MechanismOTP},
	} {
		setPool(w, func(p *pool.Pool) {
			p.SecondFactorAuthenticationMechanisms = []string{pool.MechanismTOTP, pool.MechanismEmailOTP}
			p.SecondFactorPreferredAuthenticationMechanism = tc.preferred
		})
		l, space := halfAlice(w.Agent())
		if f, err := w.Signin.Factors(t.Context(), space, l); err != nil || f.Mechanisms[0] != tc.want {
			t.Errorf("%s: %v %v", tc.preferred, f.Mechanisms, err)
		}
	}
}

func TestPasskeySignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byAny, []string{pool.MechanismTOTP})
	app(w, signintest.Alice)
	p := enrol(w, signintest.Alice)
	a := w.Agent()
	l, space := a.Begin(signintest.Request())
	another, _ := w.Agent().Begin(signintest.Request())
	_, err := w.Signin.Passkey(t.Context(), space, another, p.answer(w, space, l), a.Browser())
	wantKind(t, err, fault.Unauthenticated, "another login's challenge")
	one, two := p.answer(w, space, l), p.answer(w, space, l)
	cookies, err := w.Signin.Passkey(t.Context(), space, l, one, a.Browser())
	w.OK(err)
	for name, answer := range map[string][]byte{"the answer again": one, "another answer of the same login": two} {
		if _, err := w.Signin.Passkey(t.Context(), space, l, answer, a.Browser()); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Signin.Current(t.Context(), space, a.Browser()); !fault.Is(err, fault.Unauthenticated) {
		t.Error("a session before the form")
	}
	a.Keep(signin.Outcome{Cookies: cookies})
	next, space, err := w.Signin.Login(t.Context(), w.Demo.Tenant, l.ID, l.State, a.Browser())
	w.OK(err)
	if login.Next(next) != login.Finish { // it is two factors by itself
		t.Fatalf("step %d", login.Next(next))
	}
	n := once(10, func() error {
		out, err := w.Signin.Continue(t.Context(), space, next, a.Browser())
		if err == nil && signintest.Query(w, out).Get("code") == "" {
			t.Error(out.Location)
		}
		return err
	})
	if n != 1 {
		t.Errorf("the login was finished %d times", n)
	}
}
