package portal_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const home = "/default/default/app"

// allow changes the demo's pool.
func allow(s *signintest.Site, alter func(*pool.Pool)) {
	s.T.Helper()
	p, err := s.Pools.Pools.Get(s.T.Context(), s.Demo.Tenant, s.Demo.PoolID)
	s.OK(err)
	alter(&p)
	p.PreferredAuthenticationMechanism, p.SecondFactorPreferredAuthenticationMechanism = "", ""
	_, err = s.Pools.Pools.Update(s.T.Context(), s.Demo.Tenant, pool.Input{Pool: p})
	s.OK(err)
}

// everything is a pool that takes all there is, and asks nobody for a second
// factor whose browser was remembered.
func everything(p *pool.Pool) {
	p.AuthenticationMechanisms = []string{pool.MechanismPassword, pool.MechanismOTP, pool.MechanismWebAuthn}
	p.SecondFactorAuthenticationMechanisms = []string{pool.MechanismTOTP, pool.MechanismWebAuthn}
}

// resident is alice, signed in freshly, on her account page.
type resident struct {
	*signintest.Tab
	s *signintest.Site
}

// moveIn signs alice in and changes the pool then, so that a password was enough.
func moveIn(t *testing.T, alter func(*pool.Pool)) *resident {
	t.Helper()
	s := signintest.Serve(t)
	r := &resident{s.Tab(), s}
	signIn(t, r.Tab)
	if alter != nil {
		allow(s, alter)
	}
	return r
}

func (r *resident) page() string {
	r.s.T.Helper()
	a := r.Get(home)
	if a.Status != http.StatusOK {
		r.s.T.Fatalf("account: %d %s", a.Status, a.Body)
	}
	return html.UnescapeString(a.Body)
}

// send sends a form of the account page; fields are names and values in turn.
func (r *resident) send(to string, fields ...string) signintest.Answer {
	r.s.T.Helper()
	f := url.Values{"csrf_token": {csrf(r.s.T, r.page())}}
	for i := 0; i+1 < len(fields); i += 2 {
		f.Set(fields[i], fields[i+1])
	}
	return r.Post(home+to, f)
}

// done fails unless a form led back to the page, which then says so.
func (r *resident) done(name string, a signintest.Answer, notice string) {
	r.s.T.Helper()
	if a.Status != http.StatusSeeOther || a.Location().String() != home {
		r.s.T.Fatalf("%s: %d %s %s", name, a.Status, a.Location(), a.Body)
	}
	if body := r.page(); !strings.Contains(body, notice) {
		r.s.T.Errorf("%s: the page does not say %q", name, notice)
	}
	if strings.Contains(r.page(), notice) {
		r.s.T.Errorf("%s: the page says it twice", name)
	}
}

// hidden returns what a hidden input holds.
func hidden(t testing.TB, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no %s: %s", name, body)
	}
	return html.UnescapeString(m[1])
}

// what the page offers, by what stands in it.
var offers = map[string]string{
	"password": home + `/password"`, "passkeys": home + `/passkeys"`, "set up": home + `/totp"`, "remove totp": home + `/totp/remove"`,
	"recovery": home + `/recovery-codes"`, "remembered": home + `/remembered"`, "confirm": home + `/confirm"`, "identifiers": "You can sign in with",
}

func wantOffers(t testing.TB, name, body string, want ...string) {
	t.Helper()
	for what, mark := range offers {
		should := false
		for _, w := range want {
			should = should || w == what
		}
		if strings.Contains(body, mark) != should {
			t.Errorf("%s: %s is there: %t", name, what, !should)
		}
	}
}

func TestAccountSections(t *testing.T) {
	t.Parallel()
	r := moveIn(t, nil)
	wantOffers(t, "password alone", r.page(), "identifiers", "password")
	allow(r.s, everything)
	wantOffers(t, "everything", r.page(), "identifiers", "password", "passkeys", "set up")
	r.s.Pass(6 * time.Minute)
	wantOffers(t, "an old sign-in", r.page(), "identifiers", "password", "confirm")
	allow(r.s, func(p *pool.Pool) { p.AuthenticationMechanisms = []string{pool.MechanismOTP} })
	wantOffers(t, "codes alone", r.page(), "identifiers", "confirm")
}

// A session whose IDP does not stand for its pool (any more) manages nothing.
func TestAccountOfAnotherKind(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	r.s.OK(r.s.IDPs.Delete(t.Context(), r.s.Demo.Tenant, r.s.Demo.Workspace, r.s.Demo.IDPID, 0))
	wantOffers(t, "no IDP", r.page())
	for to, fields := range map[string][]string{
		"/password": {"password", "a-new-pass-word", "repeatPassword", "a-new-pass-word", "old_password", setup.AlicePassword},
		"/passkeys": nil, "/passkeys/rename": {"id", "x"}, "/passkeys/remove": {"id", "x"}, "/totp": nil, "/totp/remove": nil,
		"/recovery-codes": nil, "/addresses": {"address", signintest.Alice}, "/remembered": {"id", "x"},
	} {
		wantPage(t, to, r.send(to, fields...), http.StatusNotFound)
	}
	wantPage(t, "begin", r.Get(home+"/totp"), http.StatusNotFound)
}

// Every form needs the token of this very session and comes from our pages.
func TestAccountForgedPosts(t *testing.T) {
	t.Parallel()
	r := moveIn(t, everything)
	bobs := r.s.Tab()
	allow(r.s, func(p *pool.Pool) { p.SecondFactorAuthenticationMechanisms = []string{} })
	bobs.SignIn(bobs.Begin(), bob, setup.BobPassword)
	allow(r.s, everything)
	theirs := csrf(t, bobs.Get(home).Body)
	mine := csrf(t, r.page())
	before := r.s.User(signintest.Alice).Rev
	for _, to := range []string{
		"/password", "/passkeys", "/passkeys/rename", "/passkeys/remove", "/passkeys/begin", "/passkeys/finish", "/totp", "/totp/remove",
		"/recovery-codes", "/recovery-codes/kept", "/addresses", "/address", "/remembered", "/end-session", "/end-all",
	} {
		for name, token := range map[string]string{"no token": "", "bob's": theirs} {
			if a := r.Post(home+to, url.Values{"csrf_token": {token}}, "X-CSRF-Token", token); a.Status != http.StatusForbidden {
				t.Errorf("%s, %s: %d", to, name, a.Status)
			}
		}
		if a := r.Post(home+to, url.Values{"csrf_token": {mine}}, "X-CSRF-Token", mine, "Sec-Fetch-Site", "cross-site"); a.Status != http.StatusForbidden {
			t.Errorf("%s, from another site: %d", to, a.Status)
		}
		if a := r.s.Tab().Post(home+to, url.Values{"csrf_token": {mine}}, "X-CSRF-Token", mine); a.Status != http.StatusUnauthorized {
			t.Errorf("%s, not signed in: %d", to, a.Status)
		}
	}
	if after := r.s.User(signintest.Alice).Rev; after != before {
		t.Error("something was changed")
	}
	for _, to := range []string{"/confirm", "/totp", "/address?id=x"} {
		if a := r.s.Tab().Get(home + to); a.Location().String() != home {
			t.Errorf("%s, not signed in: %d %s", to, a.Status, a.Location())
		}
	}
}

// A sign-in of more than five minutes changes no way to sign in, until the person
// has confirmed that it is they.
func TestAccountFreshness(t *testing.T) {
	t.Parallel()
	r := moveIn(t, nil)
	allow(r.s, func(p *pool.Pool) {
		p.AuthenticationMechanisms = append(p.AuthenticationMechanisms, pool.MechanismWebAuthn)
	})
	k := r.passkey("")
	r.s.OK(r.s.Pools.Users.SetTOTP(t.Context(), r.s.Demo.Tenant, r.s.Demo.PoolID, r.s.User(signintest.Alice).ID, secret, pool.CredentialOptions{}))
	allow(r.s, everything)
	before := r.s.User(signintest.Alice).Rev
	r.s.Pass(6 * time.Minute)
	for to, fields := range map[string][]string{
		"/passkeys/remove": {"id", k}, "/totp": {"secret", "x", "totp", "000000"}, "/totp/remove": nil, "/recovery-codes": nil,
	} {
		a := r.send(to, fields...)
		wantPage(t, to, a, http.StatusForbidden)
		if !strings.Contains(a.Body, "Nothing has changed") {
			t.Errorf("%s does not say why", to)
		}
	}
	for _, to := range []string{"/passkeys/begin", "/passkeys/finish"} {
		if a := r.call(to, `{}`); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "too long ago") {
			t.Errorf("%s: %d %s", to, a.Status, a.Body)
		}
	}
	if a := r.Get(home + "/totp"); a.Location().String() != home {
		t.Errorf("the set-up page: %d", a.Status)
	}
	if after := r.s.User(signintest.Alice).Rev; after != before {
		t.Error("something was changed")
	}
	allow(r.s, func(p *pool.Pool) { p.SecondFactorAuthenticationMechanisms = []string{} })
	a := r.Get(home + "/confirm")
	if a.Location().Query().Get("login_id") == "" {
		t.Fatalf("confirm: %d %s", a.Status, a.Body)
	}
	if body := r.Get(a.Location().String()).Body; !strings.Contains(body, signintest.Alice) {
		t.Error("the page does not know who it is")
	}
	back := r.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword)
	if back.Location().Path != home {
		t.Fatalf("%d %s", back.Status, back.Location())
	}
	wantOffers(t, "confirmed", r.page(), "identifiers", "password", "passkeys", "remove totp")
	r.done("remove", r.send("/passkeys/remove", "id", k), "The passkey is removed")
}

func TestAccountChangesPassword(t *testing.T) {
	t.Parallel()
	const next = "a-longer-pass-word"
	change := func(r *resident, old, one, two string) signintest.Answer {
		return r.send("/password", "old_password", old, "password", one, "repeatPassword", two)
	}
	r := moveIn(t, nil)
	phone := r.s.Tab()
	signIn(t, phone)
	r.s.Pass(6 * time.Minute) // the old password says enough
	for name, tc := range map[string]struct {
		a      signintest.Answer
		status int
		says   string
	}{
		"wrong":     {change(r, "not-my-pass-word", next, next), http.StatusUnauthorized, `id="old_password-error"`},
		"different": {change(r, setup.AlicePassword, next, "another"), http.StatusUnprocessableEntity, `id="repeatPassword-error"`},
		"weak":      {change(r, setup.AlicePassword, "x", "x"), http.StatusUnprocessableEntity, `id="password-error"`},
	} {
		wantPage(t, name, tc.a, tc.status)
		if !strings.Contains(tc.a.Body, tc.says) {
			t.Errorf("%s: the input does not say what is wrong: %s", name, tc.a.Body)
		}
	}
	if a := change(r, setup.AlicePassword, next, next); a.Location().String() != home {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for name, tab := range map[string]*signintest.Tab{"this browser": r.Tab, "the phone": phone} {
		if a := tab.Get(home); a.Location().Query().Get("login_id") == "" {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := r.SignIn(r.Begin(), signintest.Alice, next); a.Location().Query().Get("code") == "" {
		t.Fatalf("the new password: %d", a.Status)
	}
	signInWith(t, phone, next)
	allow(r.s, func(p *pool.Pool) { p.PasswordSettings.KeepCurrentSession = true })
	r.done("kept", change(r, next, next+"s", next+"s"), "Your password is changed")
	if a := phone.Get(home); a.Status != http.StatusSeeOther {
		t.Errorf("the phone: %d", a.Status)
	}
}

func signInWith(t testing.TB, tab *signintest.Tab, password string) {
	t.Helper()
	if a := tab.SignIn(tab.Begin(), signintest.Alice, password); a.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
}

func TestAccountPasswordAttempts(t *testing.T) {
	t.Parallel()
	r := moveIn(t, nil)
	var a signintest.Answer
	for range 6 {
		a = r.send("/password", "old_password", "a-wrong-password", "password", "a-longer-pass-word", "repeatPassword", "a-longer-pass-word")
	}
	wantPage(t, "blocked", a, http.StatusTooManyRequests)
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
}

func TestAccountSetsFirstPassword(t *testing.T) {
	t.Parallel()
	const carol, first = "carol@example.com", "a-longer-pass-word"
	s := signintest.Serve(t)
	allow(s, func(p *pool.Pool) { p.AuthenticationMechanisms = append(p.AuthenticationMechanisms, pool.MechanismOTP) })
	_, err := s.Pools.Users.Create(t.Context(), "default", s.Demo.PoolID, pool.NewUser{
		Status:              pool.StatusActive,
		Identifiers:         []pool.NewUserIdentifier{{Type: pool.Email, Identifier: carol}},
		VerifiableAddresses: []pool.NewUserVerifiableAddress{{Type: pool.Email, Address: carol, Status: pool.StatusActive, Verified: true}},
	})
	s.OK(err)
	r := &resident{s.Tab(), s}
	r.byCode(carol)
	if strings.Contains(r.page(), `name="old_password"`) {
		t.Error("there is no old password to ask for")
	}
	s.Pass(6 * time.Minute)
	wantPage(t, "stale", r.send("/password", "password", first, "repeatPassword", first), http.StatusForbidden)
	r.byCode(carol)
	wantPage(t, "weak", r.send("/password", "password", "x", "repeatPassword", "x"), http.StatusUnprocessableEntity)
	r.done("first", r.send("/password", "password", first, "repeatPassword", first), "Your password is set.")
	if !strings.Contains(r.page(), `name="old_password"`) {
		t.Error("from now on, the old password is asked for")
	}
	if a := r.SignIn(r.Get(home+"/confirm").Location().String(), carol, first); a.Location().Path != home {
		t.Errorf("the password does not sign in: %d", a.Status)
	}
}

// byCode signs somebody in by a code.
func (r *resident) byCode(who string) {
	t := r.s.T
	t.Helper()
	to := r.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"prompt": {"login"}}))).Location().String()
	f := url.Values{"csrf_token": {csrf(t, r.Get(to).Body)}, "identifier": {who}, "authn_mode": {"otp_send_view"}}
	r.Post(to, f)
	f.Set("authn_mode", "otp_verify_view")
	f.Set("otp", r.s.Mail.Last(who).Data.Code)
	if a := r.Post(to, f); a.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
}
