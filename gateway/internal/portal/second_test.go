package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

// seconds are a site whose pool asks for a code as the second factor, alice's tab
// and the page that asks.
func seconds(t *testing.T) (*signintest.Site, *signintest.Tab, string) {
	t.Helper()
	s := signintest.Serve(t)
	allow(s, func(p *pool.Pool) {
		p.SecondFactorAuthenticationMechanisms, p.MFASessionTTL = []string{pool.MechanismOTP}, 24*3600*1e9
	})
	tab := s.Tab()
	return s, tab, tab.SignIn(tab.Begin(), signintest.Alice, setup.AlicePassword).Location().String()
}

func TestSecondFactorByCode(t *testing.T) {
	t.Parallel()
	s, tab, at := seconds(t)
	a := tab.Get(at)
	wantSays(t, "send", a, http.StatusOK, "The code goes to")
	if strings.Contains(a.Body, ">"+signintest.Alice+"<") {
		t.Error("the address is not masked")
	}
	a = tab.Post(at, fields(t, a, "action", "send_otp"))
	wantSays(t, "sent", a, http.StatusOK, "Remember this browser for 1 day")
	good := s.Mail.Last(signintest.Alice).Data.Code
	s.Mail.Fail(fault.New(fault.TooMany, "Too many messages.", nil))
	wantSays(t, "again at once", tab.Post(at, fields(t, a, "action", "send_otp")), http.StatusTooManyRequests, "Too many messages.")
	s.Mail.Fail(nil)
	wantSays(t, "wrong", tab.Post(at, fields(t, a, "otp", "1")), http.StatusUnauthorized, `id="otp-error"`)
	wantPage(t, "a way that is not offered", tab.Post(at, fields(t, a, "authn_mode", "totp_view", "totp", "123456")), http.StatusUnprocessableEntity)
	wantPage(t, "a place that is not there", tab.Post(at, fields(t, a, "authn_mode", "otp_send_view", "destination_address", "7")), http.StatusUnprocessableEntity)
	done := tab.Post(at, fields(t, a, "otp", good, "remember_browser", "true"))
	if done.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", done.Status, done.Body)
	}
	wantPage(t, "the step again", tab.Post(at, fields(t, a, "otp", good)), http.StatusNotFound)
	tab.Post("/default/default/sign-out", url.Values{"csrf_token": {csrf(t, tab.Get("/default/default/app").Body)}})
	if a := tab.SignIn(tab.Begin(), signintest.Alice, setup.AlicePassword); a.Location().Query().Get("code") == "" {
		t.Errorf("the browser was not remembered: %d %s", a.Status, a.Location())
	}
	other := s.Tab()
	if a := other.SignIn(other.Begin(), signintest.Alice, setup.AlicePassword); a.Location().Query().Get("code") != "" {
		t.Error("another browser was")
	}
}

// Who is switched off between the factors goes no further, whatever they send.
func TestSwitchedOffBetweenFactors(t *testing.T) {
	t.Parallel()
	s, tab, at := seconds(t)
	a := tab.Get(at)
	s.SetStatus(signintest.Alice, pool.StatusInactive)
	wantPage(t, "send", tab.Post(at, fields(t, a, "action", "send_otp")), http.StatusNotFound)
	wantPage(t, "look", tab.Get(at), http.StatusNotFound)
}

func TestSignInByCode(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismOTP, pool.MechanismPassword)
	bodies := map[string]string{}
	for _, name := range []string{"mallo@example.com", signintest.Alice} {
		at := tab.Begin()
		wantPage(t, "nobody", tab.Post(at, fields(t, tab.Get(at), "action", "send_otp")), http.StatusUnprocessableEntity)
		first := tab.Get(at)
		wantSays(t, "the first way", first, http.StatusOK, "Send me a code")
		a := tab.Post(at, fields(t, first, "action", "send_otp", "identifier", name))
		wantSays(t, name, a, http.StatusOK, "***@example.com")
		again := tab.Post(at, fields(t, a, "action", "send_otp", "identifier", name))
		wantSays(t, name, again, http.StatusOK, "Only the newest one works")
		wrong := tab.Post(at, fields(t, a, "otp", "1", "identifier", name))
		wantSays(t, name, wrong, http.StatusUnauthorized, `id="otp-error"`)
		all := regexp.MustCompile(`.\*\*\*@`).ReplaceAllString(a.Body+again.Body+wrong.Body, "MASKED")
		bodies[name] = strings.ReplaceAll(ids.ReplaceAllString(all, "ID"), name, "NAME")
		if name != signintest.Alice {
			continue
		}
		done := tab.Post(at, fields(t, a, "otp", s.Mail.Last(name).Data.Code, "identifier", name, "remember_my_sign_in_method", "true"))
		if done.Location().Query().Get("code") == "" {
			t.Fatalf("%d %s", done.Status, done.Body)
		}
	}
	if bodies[signintest.Alice] != bodies["mallo@example.com"] {
		t.Error("the pages tell who has an account")
	}
}

// A browser begins with the way that its person has chosen to remember.
func TestRememberedMethod(t *testing.T) {
	t.Parallel()
	s, tab := visitors(t, pool.MechanismPassword, pool.MechanismOTP)
	at := tab.Begin()
	a := tab.Post(at, fields(t, tab.Get(at), "action", "send_otp", "identifier", signintest.Alice))
	done := tab.Post(at, fields(t, a, "otp", s.Mail.Last(signintest.Alice).Data.Code, "identifier", signintest.Alice, "remember_my_sign_in_method", "true"))
	if done.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", done.Status, done.Body)
	}
	tab.Post("/default/default/sign-out", url.Values{"csrf_token": {csrf(t, tab.Get("/default/default/app").Body)}})
	wantSays(t, "the remembered way", tab.Get(tab.Begin()), http.StatusOK, "Send me a code")
	fresh := s.Tab()
	wantSays(t, "another browser", fresh.Get(fresh.Begin()), http.StatusOK, `name="password"`)
}
