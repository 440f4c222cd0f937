package signin_test

import (
	"encoding/base64"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const bob = "bob@example.com"

// setPool changes the demo's pool.
func setPool(w *signintest.World, alter func(*pool.Pool)) {
	w.T.Helper()
	p, err := w.Pools.Pools.Get(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID)
	w.OK(err)
	alter(&p)
	_, err = w.Pools.Pools.Update(w.T.Context(), w.Demo.Tenant, pool.Input{Pool: p})
	w.OK(err)
}

// offer lets the pool have first and second factors.
func offer(w *signintest.World, first, second []string) {
	w.T.Helper()
	setPool(w, func(p *pool.Pool) {
		p.AuthenticationMechanisms, p.SecondFactorAuthenticationMechanisms = first, second
		p.PreferredAuthenticationMechanism, p.SecondFactorPreferredAuthenticationMechanism = "", ""
	})
}

var (
	byPassword = []string{pool.MechanismPassword}
	byAny      = []string{pool.MechanismPassword, pool.MechanismOTP, pool.MechanismWebAuthn}
)

// app gives a user an authenticator app and returns its secret.
func app(w *signintest.World, name string) string {
	w.T.Helper()
	secret := credential.NewTOTPSecret()
	w.OK(w.Pools.Users.SetTOTP(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, w.User(name).ID, secret, pool.CredentialOptions{}))
	return secret
}

func shown(w *signintest.World, secret string) string {
	w.T.Helper()
	c, err := totp.GenerateCode(secret, w.Now())
	w.OK(err)
	return c
}

// half signs a person in by password, as far as the second factor.
func half(a *signintest.Agent, name, password string) (login.Login, *live.Space) {
	a.W.T.Helper()
	l, space := a.Begin(signintest.Request())
	out, err := a.W.Signin.Password(a.W.T.Context(), space, l, name, password, a.Browser())
	a.W.OK(err)
	return a.Resume(a.Keep(out))
}

func halfAlice(a *signintest.Agent) (login.Login, *live.Space) {
	a.W.T.Helper()
	return half(a, signintest.Alice, setup.AlicePassword)
}

// methods are the amr of the browser's session.
func methods(a *signintest.Agent) string {
	a.W.T.Helper()
	out := ""
	for _, m := range a.Session().AMR {
		out += m + " "
	}
	return out
}

// once runs work n times at once and returns how often it succeeded.
func once(n int, work func() error) int64 {
	var wg sync.WaitGroup
	var done atomic.Int64
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			if work() == nil {
				done.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return done.Load()
}

// es256 is the private key of test passkeys (PKCS #8); see package credential.
const es256 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeh" +
	"RANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0"

// phone is an authenticator with a passkey of a user.
type phone struct {
	site virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
}

func enrol(w *signintest.World, name string) *phone {
	w.T.Helper()
	der, err := base64.StdEncoding.DecodeString(es256)
	w.OK(err)
	p := &phone{
		site: virtualwebauthn.RelyingParty{ID: "localhost", Origin: base},
		auth: virtualwebauthn.NewAuthenticator(), key: virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, der),
	}
	id := w.User(name).ID
	options, err := w.SelfService.BeginPasskey(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id)
	w.OK(err)
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	w.OK(err)
	made := []byte(virtualwebauthn.CreateAttestationResponse(p.site, p.auth, p.key, *parsed))
	_, err = w.SelfService.FinishPasskey(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, id, made)
	w.OK(err)
	return p
}

func (p *phone) sign(w *signintest.World, options json.RawMessage) []byte {
	w.T.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	w.OK(err)
	return []byte(virtualwebauthn.CreateAssertionResponse(p.site, p.auth, p.key, *parsed))
}

// answer is what the phone answers to a login.
func (p *phone) answer(w *signintest.World, space *live.Space, l login.Login) []byte {
	w.T.Helper()
	options, err := w.Signin.AskPasskey(w.T.Context(), space, l)
	w.OK(err)
	return p.sign(w, options)
}

func TestSecondFactors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		second []string
		pass   func(a *signintest.Agent, space *live.Space, l login.Login) (signin.Outcome, error)
		amr    string
	}{
		"authenticator app": {[]string{pool.MechanismTOTP}, func(a *signintest.Agent, space *live.Space, l login.Login) (signin.Outcome, error) {
			w := a.W
			secret, err := w.Pools.Users.TOTPSecret(ptr(w.User(signintest.Alice)))
			w.OK(err)
			_, err = w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, "000000", false, a.Browser())
			wantKind(w.T, err, fault.Unauthenticated, "a wrong code")
			return w.Signin.Second(w.T.Context(), space, l, pool.MechanismTOTP, shown(w, secret), false, a.Browser())
		}, "pwd otp mfa "},
		"code by mail": {[]string{pool.MechanismTOTP, pool.MechanismEmailOTP}, func(a *signintest.Agent, space *live.Space, l login.Login) (signin.Outcome, error) {
			w := a.W
			f, err := w.Signin.Factors(w.T.Context(), space, l)
			w.OK(err)
			if len(f.Destinations) != 1 || f.Destinations[0].Address != signintest.Alice || f.Destinations[0].Masked == signintest.Alice {
				w.T.Errorf("destinations %+v", f.Destinations)
			}
			for _, place := range []int{-1, 1} {
				wantKind(w.T, w.Signin.SendSecond(w.T.Context(), space, l, place, a.Browser()), fault.Unprocessable, "another place")
			}
			w.OK(w.Signin.SendSecond(w.T.Context(), space, l, 0, a.Browser()))
			return w.Signin.Second(w.T.Context(), space, l, pool.MechanismOTP, w.Mail.Last(signintest.Alice).Data.Code, false, a.Browser())
		}, "pwd otp mfa "},
		"recovery code": {[]string{pool.MechanismTOTP}, func(a *signintest.Agent, space *live.Space, l login.Login) (signin.Outcome, error) {
			w := a.W
			codes, err := w.Pools.Users.NewRecoveryCodes(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, l.User)
			w.OK(err)
			return w.Signin.Second(w.T.Context(), space, l, signin.RecoveryCode, codes[3], false, a.Browser())
		}, "pwd otp mfa "},
		"passkey": {[]string{pool.MechanismTOTP, pool.MechanismWebAuthn}, func(a *signintest.Agent, space *live.Space, l login.Login) (signin.Outcome, error) {
			w := a.W
			mine, bobs := enrol(w, signintest.Alice), enrol(w, bob)
			_, err := w.Signin.Passkey(w.T.Context(), space, l, bobs.answer(w, space, l), a.Browser())
			wantKind(w.T, err, fault.Unauthenticated, "somebody else's passkey")
			cookies, err := w.Signin.Passkey(w.T.Context(), space, l, mine.answer(w, space, l), a.Browser())
			w.OK(err)
			a.Keep(signin.Outcome{Cookies: cookies})
			next, space, err := w.Signin.Login(w.T.Context(), w.Demo.Tenant, l.ID, l.State, a.Browser())
			w.OK(err)
			return w.Signin.Continue(w.T.Context(), space, next, a.Browser())
		}, "pwd pop mfa "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			offer(w, byPassword, tc.second)
			app(w, signintest.Alice)
			a := w.Agent()
			l, space := halfAlice(a)
			if login.Next(l) != login.SecondFactor {
				t.Fatalf("step %d", login.Next(l))
			}
			if out, err := w.Signin.Continue(t.Context(), space, l, a.Browser()); err != nil || signintest.Query(w, out).Get("code") != "" {
				t.Errorf("going on without: %s %v", out.Location, err)
			}
			_, err := w.Signin.Second(t.Context(), space, l, pool.MechanismSMSOTP, "123456", false, a.Browser())
			wantKind(t, err, fault.Unprocessable, "a means that is not offered")
			out, err := tc.pass(a, space, l)
			if err != nil || signintest.Query(w, out).Get("code") == "" {
				t.Fatalf("%s %v", out.Location, err)
			}
			a.Keep(out)
			if got := methods(a); got != tc.amr {
				t.Errorf("amr %q, want %q", got, tc.amr)
			}
			_, err = w.Signin.Second(t.Context(), space, l, signin.RecoveryCode, "aaaaa-aaaaa", false, a.Browser())
			if err == nil {
				t.Error("the login goes on again")
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// A step cannot be skipped, and a former one not done again.
func TestStepsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byAny, []string{pool.MechanismTOTP, pool.MechanismEmailOTP})
	secret := app(w, signintest.Alice)
	a := w.Agent()
	start, space := a.Begin(signintest.Request())
	mid, _ := halfAlice(w.Agent())
	ctx, b := t.Context(), a.Browser()
	for name, try := range map[string]func() error{
		"second factor first": func() error {
			_, err := w.Signin.Second(ctx, space, start, pool.MechanismTOTP, shown(w, secret), false, b)
			return err
		},
		"code for it first":     func() error { return w.Signin.SendSecond(ctx, space, start, 0, b) },
		"factors first":         func() error { _, err := w.Signin.Factors(ctx, space, start); return err },
		"enrolment first":       func() error { _, err := w.Signin.BeginTOTP(ctx, space, start, ""); return err },
		"enrolment done first":  func() error { _, _, err := w.Signin.EnrolTOTP(ctx, space, start, "", "", b); return err },
		"new password first":    func() error { _, err := w.Signin.NewPassword(ctx, space, start, "a-good-pass-word-9", b); return err },
		"enrolment, second due": func() error { _, _, err := w.Signin.EnrolTOTP(ctx, space, mid, "", shown(w, secret), b); return err },
		"begin, second due":     func() error { _, err := w.Signin.BeginTOTP(ctx, space, mid, ""); return err },
		"new password":          func() error { _, err := w.Signin.NewPassword(ctx, space, mid, "a-good-pass-word-9", b); return err },
		"another password":      func() error { _, err := w.Signin.Password(ctx, space, mid, bob, setup.BobPassword, b); return err },
		"another code":          func() error { _, err := w.Signin.Code(ctx, space, mid, bob, "123456", b); return err },
		"a code for another":    func() error { return w.Signin.SendCode(ctx, space, mid, bob, "", b) },
		"another IDP":           func() error { _, err := w.Signin.Choose(ctx, space, mid, w.Demo.IDPID); return err },
	} {
		wantKind(t, try(), fault.NotFound, name)
	}
	// The cookie of the beginning does not lead to the second factor of another browser.
	other := w.Agent()
	if _, _, err := w.Signin.Login(ctx, w.Demo.Tenant, mid.ID, mid.State, other.Browser()); !fault.Is(err, fault.NotFound) {
		t.Errorf("in another browser: %v", err)
	}
	// Nor does the proof of a first factor, given again.
	out, err := w.Signin.Password(ctx, space, start, signintest.Alice, setup.AlicePassword, b)
	w.OK(err)
	a.Keep(out)
	_, err = w.Signin.Password(ctx, space, start, signintest.Alice, setup.AlicePassword, other.Browser())
	wantKind(t, err, fault.NotFound, "the first factor again")
}

func TestLoginFinishedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	app(w, signintest.Alice)
	a := w.Agent()
	l, space := halfAlice(a)
	codes, err := w.Pools.Users.NewRecoveryCodes(t.Context(), w.Demo.Tenant, w.Demo.PoolID, l.User)
	w.OK(err)
	var i atomic.Int64
	n := once(20, func() error { // half of them with a good code each
		_, err := w.Signin.Second(t.Context(), space, l, signin.RecoveryCode, codes[i.Add(1)%10], true, a.Browser())
		return err
	})
	list, err := w.Sessions.List(t.Context(), w.Demo.Tenant, w.Demo.PoolID, l.User)
	if n != 1 || err != nil || len(list) != 1 {
		t.Errorf("%d times, %d sessions, %v", n, len(list), err)
	}
}

func TestOneCodeOneLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	offer(w, byPassword, []string{pool.MechanismTOTP})
	secret := app(w, signintest.Alice)
	typed := shown(w, secret)
	var logins []func() error
	for range 5 {
		a := w.Agent()
		l, space := halfAlice(a)
		logins = append(logins, func() error {
			_, err := w.Signin.Second(t.Context(), space, l, pool.MechanismTOTP, typed, false, a.Browser())
			return err
		})
	}
	var i atomic.Int64
	if n := once(5, func() error { return logins[i.Add(1)-1]() }); n != 1 {
		t.Errorf("one code of the app finished %d logins", n)
	}
}
