package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const devicePage = "/default/default/device"

// tv is a device: a program that can show a code and poll.
type tv struct {
	*signintest.Tab
	t            testing.TB
	device, user string
	client       string
}

// plug begins a sign-in on a device of a client.
func plug(t testing.TB, s *signintest.Site, client, scope string) *tv {
	t.Helper()
	v := &tv{Tab: s.Tab(), t: t, client: client}
	a := v.Post(devicePage+"/authorization", url.Values{"client_id": {client}, "scope": {scope}})
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	v.device, v.user = jsonText(t, a.Body, "device_code"), jsonText(t, a.Body, "user_code")
	return v
}

func (v *tv) poll() signintest.Answer {
	return v.Post("/default/default/oauth2/token", url.Values{
		"grant_type": {signin.GrantDevice}, "device_code": {v.device}, "client_id": {v.client},
	})
}

// polls fails unless a poll gives this error.
func (v *tv) polls(name, want string) {
	v.t.Helper()
	a := v.poll()
	if got := jsonText(v.t, a.Body, "error"); a.Status != http.StatusBadRequest || got != want {
		v.t.Errorf("%s: %d %s, want %s", name, a.Status, a.Body, want)
	}
}

// enter types a code into the page of a tab with a session.
func enter(t testing.TB, tab *signintest.Tab, code string) signintest.Answer {
	t.Helper()
	page := tab.Get(devicePage)
	wantPage(t, "device", page, http.StatusOK)
	return tab.Post(devicePage, url.Values{"csrf_token": {csrf(t, page.Body)}, "user_code": {code}})
}

// decide answers on the page that enter led to.
func decide(t testing.TB, tab *signintest.Tab, page signintest.Answer, action string) signintest.Answer {
	t.Helper()
	return tab.Post(devicePage, url.Values{
		"csrf_token": {csrf(t, page.Body)}, "user_code": {hidden(t, page.Body, "user_code")}, "action": {action},
	})
}

func TestDevice(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	v := plug(t, s, photos, "openid email offline_access")
	if len(v.user) != 9 || v.user[4] != '-' || strings.ContainsAny(v.user, "AEIOU") {
		t.Errorf("user code %s", v.user)
	}
	v.polls("nobody answered", "authorization_pending")
	v.polls("at once", "slow_down")
	s.Pass(6 * time.Second)
	v.polls("after 6 of 10 seconds", "slow_down")
	s.Pass(16 * time.Second)
	v.polls("after 16 of 15 seconds", "authorization_pending")

	// The person types the code, signs in, and comes back to the question.
	tab := s.Tab()
	page := enter(t, tab, strings.ToLower(strings.ReplaceAll(v.user, "-", " ")))
	if page.Status != http.StatusSeeOther {
		t.Fatalf("signed out: %d %s", page.Status, page.Body)
	}
	back := tab.SignIn(page.Location().String(), signintest.Alice, setup.AlicePassword)
	if back.Location().Path != devicePage {
		t.Fatalf("after the sign-in: %s", back.Location())
	}
	page = tab.Get(back.Location().String())
	wantPage(t, "question", page, http.StatusOK)
	for _, want := range []string{"Connect Photo prints?", v.user, "Is this device in front of you?", "See your e-mail address", "alice@example.com", "127.0.0.1"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s.Pass(20 * time.Second)
	v.polls("asked, not answered", "authorization_pending")
	done := decide(t, tab, page, "allow")
	wantPage(t, "done", done, http.StatusOK)
	if !strings.Contains(done.Body, "Your device is connected") {
		t.Error(done.Body)
	}
	wantPage(t, "twice", decide(t, tab, page, "deny"), http.StatusUnprocessableEntity)

	// Of many polls one gets the tokens.
	var mu sync.Mutex
	var sets []string
	var polls sync.WaitGroup
	for range 100 {
		polls.Go(func() {
			a := v.poll()
			mu.Lock()
			defer mu.Unlock()
			if a.Status == http.StatusOK {
				sets = append(sets, a.Body)
			} else if !strings.Contains(a.Body, "invalid_grant") {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	polls.Wait()
	if len(sets) != 1 {
		t.Fatalf("%d polls got tokens", len(sets))
	}
	access := jsonText(t, sets[0], "access_token")
	if jsonText(t, sets[0], "refresh_token") == "" || jsonText(t, sets[0], "id_token") == "" {
		t.Error(sets[0])
	}
	userinfo := func() int {
		return tab.Get("/default/default/userinfo", "Authorization", "Bearer "+access).Status
	}
	if a := tab.Get(asks(url.Values{"prompt": {"none"}})); a.Location().Query().Get("code") == "" {
		t.Errorf("the consent is not remembered: %s", a.Location())
	}
	// Signing the browser out leaves the device; withdrawing ends it.
	body := tab.Get(home).Body
	if !strings.Contains(body, "Photo prints") {
		t.Error("the account page does not list the app")
	}
	tab.Post(home+"/apps/withdraw", url.Values{"csrf_token": {csrf(t, body)}, "client": {photos}})
	if userinfo() != http.StatusUnauthorized {
		t.Errorf("withdrawn: %d", userinfo())
	}
}

func TestDeviceOfATrustedClientAsksToo(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	v := plug(t, s, "demo-public", "openid")
	tab := s.Tab()
	signIn(t, tab)
	// An address with the code fills in the form, and does nothing else.
	page := tab.Get(devicePage + "?user_code=" + v.user)
	if !strings.Contains(page.Body, `value="`+v.user+`"`) || strings.Contains(page.Body, "allow") {
		t.Error(page.Body)
	}
	page = enter(t, tab, v.user)
	v.polls("not answered", "authorization_pending")
	wantPage(t, "deny", decide(t, tab, page, "deny"), http.StatusOK)
	s.Pass(time.Minute)
	v.polls("denied", "access_denied")
}

func TestDeviceCodesThatDoNotHold(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	stranger(s, "other")
	v := plug(t, s, photos, "openid")
	tab := s.Tab()
	signIn(t, tab)
	thief := *v
	thief.client = "other"
	thief.polls("another client's code", "invalid_grant")
	if a := v.Post("/default/admin/oauth2/token", url.Values{"grant_type": {signin.GrantDevice}, "device_code": {v.device}, "client_id": {photos}}); a.Status != http.StatusUnauthorized {
		t.Errorf("another workspace: %d %s", a.Status, a.Body)
	}
	wrong := *v
	wrong.device += "x"
	wrong.polls("unknown", "invalid_grant")
	if a := v.Post("/default/default/oauth2/token", url.Values{"grant_type": {signin.GrantDevice}, "client_id": {photos}}); jsonText(t, a.Body, "error") != "invalid_request" {
		t.Errorf("no code: %s", a.Body)
	}

	page := enter(t, tab, v.user)
	wantPage(t, "signed out everywhere before the poll", decide(t, tab, page, "allow"), http.StatusOK)
	s.OK(s.Signin.EndUser(t.Context(), s.Demo.Tenant, s.Demo.PoolID, s.User(signintest.Alice).ID))
	v.polls("signed out everywhere", "invalid_grant")

	signIn(t, tab)
	v = plug(t, s, photos, "openid")
	page = enter(t, tab, v.user)
	s.OK(s.Clients.Clients.Delete(t.Context(), s.Demo.Tenant, photos, 0))
	stranger(s, photos)
	wantPage(t, "of a client made anew", decide(t, tab, page, "allow"), http.StatusUnprocessableEntity)

	v = plug(t, s, photos, "openid")
	page = enter(t, tab, v.user)
	s.Pass(30 * time.Minute)
	wantPage(t, "too late", decide(t, tab, page, "allow"), http.StatusUnprocessableEntity)
	v.polls("expired", "expired_token")
	s.Pass(2 * time.Hour)
	v.polls("forgotten", "invalid_grant")
}

// The answer belongs to the browser that was asked, and to one code.
func TestForgedDeviceAnswers(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	v, mine := plug(t, s, "demo-public", "openid"), plug(t, s, "demo-public", "openid")
	tab := s.Tab()
	signIn(t, tab)
	page := enter(t, tab, mine.user)
	token := csrf(t, page.Body)
	f := url.Values{"csrf_token": {token}, "user_code": {v.user}, "action": {"allow"}}
	wantPage(t, "the token of another code", tab.Post(devicePage, f), http.StatusForbidden)
	f.Set("user_code", mine.user)
	other := s.Tab()
	signIn(t, other)
	wantPage(t, "another browser", other.Post(devicePage, f), http.StatusForbidden)
	wantPage(t, "another site", tab.Post(devicePage, f, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	f.Set("action", "perhaps")
	wantPage(t, "no answer", tab.Post(devicePage, f), http.StatusBadRequest)
	v.polls("forged", "authorization_pending")
	if a := tab.Get(devicePage + "?code=x&state=" + url.QueryEscape(v.user)); a.Status != http.StatusSeeOther || a.Location().String() != devicePage {
		t.Errorf("a made-up return: %d %s", a.Status, a.Location())
	}
	a := s.Tab().Post(devicePage, f)
	if a.Status != http.StatusSeeOther {
		t.Errorf("signed out over the question: %d", a.Status)
	}
}

// Guessing at codes is over after a few, and having a code of one's own does not
// begin the count anew.
func TestGuessingUserCodes(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	signIn(t, tab)
	v := plug(t, s, "demo-public", "openid")
	for _, typed := range []string{"", "WDJB", "WDJB-MJH0", "WDJB-MJHA", strings.Repeat("B", 5000), "<script>"} {
		wantPage(t, fmt.Sprintf("%.20q", typed), enter(t, tab, typed), http.StatusUnprocessableEntity)
	}
	for range 10 {
		wantPage(t, "guess", enter(t, tab, "BBBB-BBBB"), http.StatusUnprocessableEntity)
		if n := len(v.user); n == 9 {
			if a := enter(t, tab, v.user); a.Status != http.StatusOK && a.Status != http.StatusTooManyRequests {
				t.Errorf("own code: %d", a.Status)
			}
		}
	}
	a := enter(t, tab, v.user)
	wantPage(t, "one too many", a, http.StatusTooManyRequests)
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
}

// A link with somebody else's code and the state of their sign-in leads nobody to
// the question, and uses up nobody's guesses.
func TestForeignReturnToTheDevicePage(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	v := plug(t, s, "demo-public", "openid")
	thief := s.Tab()
	begun := enter(t, thief, v.user)
	back := thief.SignIn(begun.Location().String(), signintest.Alice, setup.AlicePassword).Location().String()
	victim := s.Tab()
	signIn(t, victim)
	for range 20 {
		if a := victim.Get(back); a.Status != http.StatusSeeOther || a.Location().String() != devicePage {
			t.Fatalf("another browser: %d %s", a.Status, a.Location())
		}
	}
	wantPage(t, "the browser itself", thief.Get(back), http.StatusOK)
	wantPage(t, "own guesses", enter(t, victim, v.user), http.StatusOK)
}

// What a workspace insists on holds for devices too: neither the question nor a
// question from before is a way around.
func TestDeviceNeedsTheSignInThatARequestNeeds(t *testing.T) {
	t.Parallel()
	for name, demand := range map[string]func(*signintest.Site){
		"two factors": func(s *signintest.Site) {
			allow(s, func(p *pool.Pool) { p.SecondFactorAuthenticationMechanisms = []string{pool.MechanismTOTP} })
			w, err := s.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
			s.OK(err)
			w.Advanced.EnforceACRValues, w.Advanced.ACRValues = true, []string{signin.ACRTwo}
			_, err = s.Tenants.Workspaces.Update(t.Context(), w)
			s.OK(err)
		},
		"no single sign-on": func(s *signintest.Site) { s.ChangeIDP(func(p *idp.IDP) { p.SSO.Disabled = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signintest.Serve(t)
			tab := s.Tab()
			signIn(t, tab)
			v := plug(t, s, "demo-public", "openid")
			asked := enter(t, tab, v.user)
			wantPage(t, "before", asked, http.StatusOK)
			demand(s)
			if a := decide(t, tab, asked, "allow"); a.Status != http.StatusSeeOther || !strings.Contains(a.Location().Path, "/login") {
				t.Errorf("the answer: %d %s", a.Status, a.Location())
			}
			if a := enter(t, tab, v.user); a.Status != http.StatusSeeOther || !strings.Contains(a.Location().Path, "/login") {
				t.Errorf("the question: %d %s", a.Status, a.Location())
			}
			v.polls("not allowed", "authorization_pending")
		})
	}
}
