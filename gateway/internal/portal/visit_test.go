package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const (
	people = "/default/identity/people/"
	carol  = "carol@example.com"
	other  = "a-pass-word-of-carol"
)

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

// fields are the hidden fields of a page's first form, and more.
func fields(t testing.TB, a signintest.Answer, more ...string) url.Values {
	t.Helper()
	_, rest, _ := strings.Cut(a.Body, "<form")
	body, _, ok := strings.Cut(rest, "</form>")
	if !ok {
		t.Fatalf("no form: %d %s", a.Status, a.Body)
	}
	v := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(body, -1) {
		v.Set(m[1], m[2])
	}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// visitors are a site whose pool has these ways to sign in, and a tab.
func visitors(t *testing.T, mechanisms ...string) (*signintest.Site, *signintest.Tab) {
	t.Helper()
	s := signintest.Serve(t)
	allow(s, func(p *pool.Pool) { p.AuthenticationMechanisms = mechanisms })
	return s, s.Tab()
}

const registerPage = people + "register?server_id=default"

// who is the first step of a registration.
func who(t testing.TB, tab *signintest.Tab, more ...string) signintest.Answer {
	t.Helper()
	f := fields(t, tab.Get(registerPage), "identifier", carol, "payload.given_name", "Carol", "payload.family_name", "Example")
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return tab.Post(registerPage, f)
}

// link is the path that the last message to an address leads to.
func link(t testing.TB, s *signintest.Site, to string) string {
	t.Helper()
	l := strings.TrimPrefix(s.Mail.Last(to).Data.Link, signintest.SiteBase)
	if l == "" {
		t.Fatalf("no link was sent to %s", to)
	}
	return l
}

func wantSays(t testing.TB, name string, a signintest.Answer, status int, say string) {
	t.Helper()
	wantPage(t, name, a, status)
	if !strings.Contains(a.Body, say) {
		t.Errorf("%s does not say %q: %s", name, say, a.Body)
	}
}

func TestRegistrationClosed(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword)
	f := fields(t, tab.Get(registerPage), "identifier", carol)
	allow(s, func(p *pool.Pool) { p.PublicRegistrationAllowed = false })
	wantSays(t, "form", tab.Get(registerPage), http.StatusForbidden, "Registration is not open")
	wantPage(t, "post", tab.Post(registerPage, f), http.StatusForbidden)
	wantPage(t, "another workspace's look", tab.Get(people+"register?server_id=admin"), http.StatusNotFound)
	wantPage(t, "no such pool", tab.Get("/default/identity/nobody/register"), http.StatusNotFound)
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword, pool.MechanismWebAuthn)
	f := fields(t, tab.Get(registerPage), "identifier", carol)
	wantPage(t, "another site", tab.Post(registerPage, f, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	wantPage(t, "another browser", s.Tab().Post(registerPage, f), http.StatusForbidden)
	wantSays(t, "no name", tab.Post(registerPage, f), http.StatusUnprocessableEntity, "This is required.")
	wantSays(t, "a user name alone", who(t, tab, "identifier", "carol"), http.StatusUnprocessableEntity, "Enter an email, too.")
	wantPage(t, "no address", who(t, tab, "identifier", "carol", "otp_address", "nonsense"), http.StatusUnprocessableEntity)
	a := who(t, tab)
	wantSays(t, "how", a, http.StatusOK, "How do you want to sign in?")
	for name, c := range map[string]struct {
		more   []string
		status int
	}{
		"a way that is not offered": {[]string{"action", "change_to_verification_code_entry"}, http.StatusUnprocessableEntity},
		"no way":                    {[]string{"action", "submit"}, http.StatusUnprocessableEntity},
		"another's state":           {[]string{"action", "change_to_passkey_entry", "state", "x"}, http.StatusBadRequest},
		"no password":               {[]string{"action", "submit", "authn_mode", "password_entry_view"}, http.StatusUnprocessableEntity},
		"two passwords":             {[]string{"action", "submit", "authn_mode", "password_entry_view", "password", other, "repeatPassword", "x"}, http.StatusUnprocessableEntity},
	} {
		wantPage(t, name, tab.Post(registerPage, fields(t, a, c.more...)), c.status)
	}
	back := tab.Post(registerPage, fields(t, a, "action", "change_to_user"))
	wantSays(t, "back", back, http.StatusOK, `value="Carol"`)
	if n := len(s.Mail.All()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// What was chosen at the registration is asked for by every message, also a later
// one.
func TestAnotherActivationMessage(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword, pool.MechanismOTP)
	sent := tab.Post(registerPage, fields(t, who(t, tab), "action", "change_to_verification_code_entry"))
	wantSays(t, "sent", sent, http.StatusOK, "Check your email")
	first := link(t, s, carol)
	again := tab.Post(people+"activate?server_id=default", fields(t, sent, "action", "send_otp"))
	wantSays(t, "again", again, http.StatusOK, "Only the newest one works")
	second := link(t, s, carol)
	wantSays(t, "the first link", tab.Get(first), http.StatusNotFound, "does not work any more")
	a := tab.Get(second)
	wantSays(t, "the second link", a, http.StatusOK, "Activate the account")
	if strings.Contains(a.Body, "repeatPassword") {
		t.Error("who chose codes is asked for a password")
	}
	s.Mail.Fail(fault.New(fault.TooMany, "later", nil))
	tab.Post(people+"activate?server_id=default", fields(t, sent, "action", "send_otp"))
	s.Mail.Fail(nil)
	wantSays(t, "after a message that was refused", tab.Get(second), http.StatusOK, "Activate the account")
	wantSays(t, "activated", tab.Post(second, fields(t, a)), http.StatusOK, "Your account is active")
	wantSays(t, "twice", tab.Post(second, fields(t, a)), http.StatusNotFound, "does not work any more")
}

// A password that was chosen where nobody proved the address is good in that
// browser alone.
func TestActivationElsewhere(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword)
	password := who(t, tab)
	wantSays(t, "the only way", password, http.StatusOK, "Choose a password")
	tab.Post(registerPage, fields(t, password, "action", "submit", "password", "the-attacker-knows", "repeatPassword", "the-attacker-knows"))
	to := link(t, s, carol)
	if here := tab.Get(to); strings.Contains(here.Body, "repeatPassword") {
		t.Error("asked again where it was chosen")
	}
	victim := s.Tab()
	a := victim.Get(to)
	wantSays(t, "elsewhere", a, http.StatusOK, "repeatPassword")
	wantPage(t, "no password", victim.Post(to, fields(t, a)), http.StatusUnprocessableEntity)
	wantSays(t, "a new one", victim.Post(to, fields(t, a, "password", other, "repeatPassword", other)), http.StatusOK, "is active")
	for password, status := range map[string]int{"the-attacker-knows": http.StatusUnauthorized, other: http.StatusSeeOther} {
		t2 := s.Tab()
		if a := t2.SignIn(t2.Begin(), carol, password); a.Status != status {
			t.Errorf("%s: %d", password, a.Status)
		}
	}
}

// Links are good on their own page alone, and looking at them uses nothing up.
func TestLinksOfOtherPages(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword, pool.MechanismWebAuthn)
	pages := map[code.Type]string{
		code.ResetPassword: "reset", code.EnrollWebAuthn: "passkey", code.ResetTOTP: "reset-totp",
	}
	for kind, own := range pages {
		s.OK(s.SelfService.Request(t.Context(), "default", s.Demo.PoolID, kind, selfservice.Who{Identifier: signintest.Alice}, selfservice.Delivery{Link: true}))
		to := link(t, s, signintest.Alice)
		for _, at := range []string{"activate", "verify-address", "reset", "passkey", "reset-totp"} {
			for range 12 {
				a := tab.Get(strings.Replace(to, people+own+"?", people+at+"?", 1))
				if ok := a.Status == http.StatusOK; ok != (at == own) {
					t.Fatalf("a link for %s opens %s: %d", own, at, a.Status)
				}
			}
		}
	}
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword)
	const at = people + "reset?server_id=default"
	bodies := map[string]string{}
	for _, name := range []string{signintest.Alice, "mallo@example.com", bob} {
		s.SetStatus(bob, pool.StatusInactive)
		a := tab.Post(at, fields(t, tab.Get(at), "identifier", name))
		wantSays(t, name, a, http.StatusOK, "a message is on its way")
		wrong := tab.Post(at, fields(t, a, "otp", "12"))
		wantSays(t, name, wrong, http.StatusUnauthorized, "The code is not right")
		bodies[name] = strings.ReplaceAll(ids.ReplaceAllString(a.Body+wrong.Body, "ID"), name, "NAME")
	}
	if bodies[signintest.Alice] != bodies["mallo@example.com"] || bodies[signintest.Alice] != bodies[bob] {
		t.Error("the pages tell who has an account")
	}
	if n := len(s.Mail.All()); n != 1 {
		t.Errorf("%d messages", n)
	}
	wantPage(t, "nobody", tab.Post(at, fields(t, tab.Get(at))), http.StatusUnprocessableEntity)
	to := link(t, s, signintest.Alice)
	a := tab.Get(to)
	wantPage(t, "weak", tab.Post(to, fields(t, a, "password", "x", "repeatPassword", "x")), http.StatusUnprocessableEntity)
	wantPage(t, "different", tab.Post(to, fields(t, a, "password", other, "repeatPassword", "x")), http.StatusUnprocessableEntity)
	wantPage(t, "no token", tab.Post(to, url.Values{"password": {other}, "repeatPassword": {other}}), http.StatusForbidden)
	wantSays(t, "set", tab.Post(to, fields(t, a, "password", other, "repeatPassword", other)), http.StatusOK, "is changed")
	wantPage(t, "twice", tab.Post(to, fields(t, a, "password", other, "repeatPassword", other)), http.StatusNotFound)
	if a := tab.SignIn(tab.Begin(), signintest.Alice, setup.AlicePassword); a.Status != http.StatusUnauthorized {
		t.Errorf("the old password: %d", a.Status)
	}
	allow(s, func(p *pool.Pool) { p.ResetCredentialsSettings.DoNotAllowUsersToSelfResetCredentials = true })
	wantPage(t, "switched off", tab.Get(at), http.StatusForbidden)
	wantPage(t, "switched off, with a code", tab.Get(to), http.StatusForbidden)
}

func TestGuessingCodes(t *testing.T) {
	t.Parallel()
	_, tab := visitors(t, pool.MechanismPassword)
	const at = people + "reset?server_id=default"
	a := tab.Post(at, fields(t, tab.Get(at), "identifier", signintest.Alice))
	for range 10 {
		wantPage(t, "a guess", tab.Post(at, fields(t, a, "otp", "12345678")), http.StatusUnauthorized)
	}
	blocked := tab.Post(at, fields(t, a, "otp", "12345678"))
	wantPage(t, "blocked", blocked, http.StatusTooManyRequests)
	if blocked.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestVerifyAddress(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword)
	u, err := s.Pools.Users.Create(t.Context(), "default", s.Demo.PoolID, pool.NewUser{
		Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.UID, Identifier: "carol"}},
		VerifiableAddresses: []pool.NewUserVerifiableAddress{{Type: pool.Email, Address: carol}},
	})
	s.OK(err)
	s.OK(s.SelfService.RequestFor(t.Context(), "default", s.Demo.PoolID, u.ID, code.VerifyAddress, carol, selfservice.Delivery{Link: true}))
	to := link(t, s, carol)
	a := tab.Get(to)
	wantSays(t, "a button", a, http.StatusOK, carol)
	wantPage(t, "another site", tab.Post(to, fields(t, a), "Origin", "https://evil.example"), http.StatusForbidden)
	wantSays(t, "verified", tab.Post(to, fields(t, a)), http.StatusOK, "Your address is verified")
	wantPage(t, "twice", tab.Post(to, fields(t, a)), http.StatusNotFound)
}
