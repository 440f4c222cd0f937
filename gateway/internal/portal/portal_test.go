package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

const bob = "bob@example.com"

var csrfField = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)

func csrf(t testing.TB, body string) string {
	t.Helper()
	m := csrfField.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no form: %s", body)
	}
	return m[1]
}

// signIn gives the tab a session of alice.
func signIn(t testing.TB, tab *signintest.Tab) {
	t.Helper()
	if a := tab.SignIn(tab.Begin(), signintest.Alice, setup.AlicePassword); a.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
}

func wantPage(t testing.TB, name string, a signintest.Answer, status int) {
	t.Helper()
	csp := a.Header.Get("Content-Security-Policy")
	if a.Status != status || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe-inline") ||
		!strings.Contains(csp, "form-action 'self'") || a.Header.Get("Referrer-Policy") != "same-origin" ||
		a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d, want %d: %v", name, a.Status, status, a.Header)
	}
}

func TestForgedPosts(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	for name, headers := range map[string][]string{
		"another site":            {"Sec-Fetch-Site", "cross-site"},
		"a sister site":           {"Sec-Fetch-Site", "same-site"},
		"an old browser":          {"Origin", "https://evil.example"},
		"a page without origin":   {"Origin", "null"},
		"the protected app":       {"Origin", "http://" + signintest.AppHost},
		"our origin, their fetch": {"Origin", signintest.SiteBase, "Sec-Fetch-Site", "cross-site"},
	} {
		a := tab.SignIn(to, signintest.Alice, setup.AlicePassword, headers...)
		wantPage(t, name, a, http.StatusForbidden)
	}
	for _, token := range []string{"", "x"} {
		a := tab.Post(to, url.Values{"csrf_token": {token}, "identifier": {signintest.Alice}, "password": {setup.AlicePassword}})
		wantPage(t, "token "+token, a, http.StatusForbidden)
	}
	if a := tab.SignIn(to, signintest.Alice, setup.AlicePassword, "Sec-Fetch-Site", "same-origin"); a.Status != http.StatusSeeOther {
		t.Errorf("the page itself: %d", a.Status)
	}
}

// A network that asks for pages more often than the tenant allows is told when to
// come back, also in the middle of a sign-in.
func TestLoginPageRate(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	s.OK(s.Rates.Set(t.Context(), s.Demo.Tenant, limit.ModuleIdentityPublic, limit.Rate{Rate: 1, Burst: 2, Period: store.Duration(10 * time.Second)}))
	for range 2 {
		wantPage(t, "within the rate", tab.Get(to), http.StatusOK)
	}
	form := url.Values{"csrf_token": {"x"}, "identifier": {signintest.Alice}, "password": {"a-guess"}}
	for name, a := range map[string]signintest.Answer{"a page": tab.Get(to), "a form": tab.Post(to, form), "another browser": s.Tab().Get(to)} {
		wantPage(t, name, a, http.StatusTooManyRequests)
		if a.Header.Get("Retry-After") != "10" {
			t.Errorf("%s: Retry-After %q", name, a.Header.Get("Retry-After"))
		}
	}
	s.Pass(10 * time.Second)
	wantPage(t, "after a while", tab.Get(to), http.StatusOK)
}

func TestLoginPage(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	a := tab.Get(to)
	wantPage(t, "sign-in", a, http.StatusOK)
	if !strings.Contains(a.Header.Get("Content-Security-Policy"), "form-action 'self' http://127.0.0.1:9999") {
		t.Errorf("the answer's origin is no form target: %s", a.Header.Get("Content-Security-Policy"))
	}
	if strings.Count(a.Body, `name="authn_mode"`) != 1 {
		t.Error("authn_mode is there once")
	}
	wantPage(t, "another browser", s.Tab().Get(to), http.StatusNotFound)
	wantPage(t, "another browser's post", s.Tab().SignIn(to, signintest.Alice, setup.AlicePassword), http.StatusNotFound)
	wantPage(t, "another pool's page", tab.Get(strings.Replace(to, "/identity/people/", "/identity/other/", 1)), http.StatusNotFound)
	wantPage(t, "no login", tab.Get("/default/identity/people/login"), http.StatusNotFound)
	wantPage(t, "a foreign state", tab.Get(strings.Replace(to, "login_state=", "login_state=x", 1)), http.StatusNotFound)
	chooser := strings.Replace(to, "/default/identity/people/login", "/default/admin/login", 1)
	wantPage(t, "the chooser of another workspace", tab.Get(chooser), http.StatusNotFound)
}

func TestLoginExpires(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	s.Pass(31 * 60 * 1e9)
	wantPage(t, "expired", tab.Get(to), http.StatusNotFound)
	wantPage(t, "expired post", tab.SignIn(to, signintest.Alice, setup.AlicePassword), http.StatusNotFound)
}

var ids = regexp.MustCompile(`login_(id|state)=[^"&]*|name="csrf_token" value="[^"]*"|[0-9a-f]{32}`)

// Nobody learns from the page who has an account.
func TestUnknownLooksLikeWrong(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	s.SetStatus(bob, pool.StatusInactive)
	bodies := map[string]string{}
	for _, name := range []string{signintest.Alice, "mallo@example.com", bob} {
		tab := s.Tab()
		to := tab.Begin()
		before := s.Hashes.Load()
		a := tab.SignIn(to, name, setup.BobPassword)
		wantPage(t, name, a, http.StatusUnauthorized)
		if n := s.Hashes.Load() - before; n != 1 {
			t.Errorf("%s: %d hashes", name, n)
		}
		bodies[name] = strings.ReplaceAll(ids.ReplaceAllString(a.Body, "ID"), name, "NAME")
	}
	if bodies[signintest.Alice] != bodies["mallo@example.com"] || bodies[signintest.Alice] != bodies[bob] {
		t.Errorf("the pages differ:\n%s\n%s", bodies[signintest.Alice], bodies["mallo@example.com"])
	}
}

func TestTooManyAttempts(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	var a signintest.Answer
	for range 6 {
		a = tab.SignIn(to, signintest.Alice, "a-wrong-password")
	}
	wantPage(t, "blocked", a, http.StatusTooManyRequests)
	if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, `name="password"`) {
		t.Error("the page stays, and says when to come back")
	}
}

func TestNewPasswordPage(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	const name, first = "carol@example.com", "a-first-pass-word"
	_, err := s.Pools.Users.Create(t.Context(), "default", s.Demo.PoolID, pool.NewUser{
		Status:      pool.StatusActive,
		Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: name}},
		Credentials: []pool.NewUserCredential{{Type: pool.TypePassword, Password: first, MustBeChanged: true}},
	})
	s.OK(err)
	tab := s.Tab()
	to := tab.SignIn(tab.Begin(), name, first).Location().String()
	a := tab.Get(to)
	wantPage(t, "new password", a, http.StatusOK)
	token := csrf(t, a.Body)
	set := func(one, two string) signintest.Answer {
		return tab.Post(to, url.Values{"csrf_token": {token}, "password": {one}, "repeatPassword": {two}})
	}
	wantPage(t, "different", set("a-second-pass-word", "another"), http.StatusUnprocessableEntity)
	wantPage(t, "weak", set("x", "x"), http.StatusUnprocessableEntity)
	if a := set("a-second-pass-word", "a-second-pass-word"); a.Location().Query().Get("code") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	wantPage(t, "the step again", set("a-third-pass-word", "a-third-pass-word"), http.StatusNotFound)
}

func TestChooser(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	partners := s.AddIDP("Partners", nil)
	tab := s.Tab()
	to := tab.Begin()
	a := tab.Get(to)
	wantPage(t, "chooser", a, http.StatusOK)
	if !strings.Contains(a.Body, partners.ID) || !strings.Contains(a.Body, s.Demo.IDPID) {
		t.Errorf("choices: %s", a.Body)
	}
	token := csrf(t, a.Body)
	wantPage(t, "no such choice", tab.Post(to, url.Values{"csrf_token": {token}, "authentication_id": {"x"}}), http.StatusUnprocessableEntity)
	wantPage(t, "no token", tab.Post(to, url.Values{"authentication_id": {partners.ID}}), http.StatusForbidden)
	a = tab.Post(to, url.Values{"csrf_token": {token}, "authentication_id": {s.Demo.IDPID}})
	if a.Location().Path != "/default/identity/people/login" {
		t.Fatalf("%d %s", a.Status, a.Location())
	}
	if a := tab.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword); a.Location().Query().Get("code") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestFormPost(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	signIn(t, tab)
	a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"response_mode": {"form_post"}})))
	wantPage(t, "form_post", a, http.StatusOK)
	if !strings.Contains(a.Body, `action="`+signintest.Callback+`"`) || !strings.Contains(a.Body, `name="code"`) ||
		!strings.Contains(a.Header.Get("Content-Security-Policy"), "http://127.0.0.1:9999") {
		t.Error(a.Body)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	signIn(t, tab)
	ask := "/default/default/oidc/logout?" + url.Values{"client_id": {"demo-public"}, "post_logout_redirect_uri": {signintest.Callback}}.Encode()
	a := tab.Get(ask)
	wantPage(t, "confirm", a, http.StatusOK)
	form := url.Values{"csrf_token": {csrf(t, a.Body)}}
	for _, name := range []string{"target", "proof"} {
		m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(a.Body)
		if m == nil {
			t.Fatalf("no %s", name)
		}
		form.Set(name, m[1])
	}
	wantPage(t, "no token", tab.Post("/default/default/sign-out", url.Values{}), http.StatusForbidden)
	wantPage(t, "another site", tab.Post("/default/default/sign-out", form, "Origin", "https://evil.example"), http.StatusForbidden)
	wantPage(t, "still there", tab.Get("/default/default/app"), http.StatusOK)
	forged := url.Values{"csrf_token": {form.Get("csrf_token")}, "target": {"https://evil.example/"}, "proof": {form.Get("proof")}}
	other := s.Tab()
	signIn(t, other)
	forged.Set("csrf_token", csrf(t, other.Get("/default/default/app").Body))
	if a := other.Post("/default/default/sign-out", forged); a.Location().Path != "/default/default/signed-out" {
		t.Errorf("a forged target: %s", a.Location())
	}
	if a := tab.Post("/default/default/sign-out", form); a.Location().String() != signintest.Callback {
		t.Errorf("leads to %d %s", a.Status, a.Location())
	}
	if a := tab.Get("/default/default/app"); a.Status != http.StatusSeeOther {
		t.Errorf("after the sign-out the account answers %d", a.Status)
	}
	wantPage(t, "signed out", tab.Get("/default/default/signed-out"), http.StatusOK)
	wantPage(t, "open redirect", tab.Get("/default/default/oidc/logout?client_id=demo-public&post_logout_redirect_uri=https://evil.example/"), http.StatusBadRequest)
}

// A POST from another site has no Lax cookies; the browser comes back with them
// rather than being told that it is signed out.
func TestLogoutPostFromAnotherSite(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	a := s.Tab().Post("/default/default/oidc/logout", url.Values{"client_id": {"demo-public"}, "state": {"a b"}}, "Sec-Fetch-Site", "cross-site")
	if a.Status != http.StatusSeeOther || a.Location().Path != "/default/default/oidc/logout" || a.Location().Query().Get("state") != "a b" {
		t.Errorf("%d %s", a.Status, a.Location())
	}
}

// The account page signs in by a code that nobody can redeem.
func TestAccountSignsIn(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	a := tab.Get("/default/default/app")
	back := tab.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword)
	if back.Location().Path != "/default/default/app" || back.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", back.Status, back.Location())
	}
	set := s.Tab().Post("/default/default/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Location().Query().Get("code")},
		"redirect_uri": {signintest.SiteBase + "/default/default/app"}, "client_id": {setup.PortalID(&s.Home().Workspace)},
	})
	if set.Status != http.StatusBadRequest {
		t.Errorf("the code of the address bar was redeemed: %d", set.Status)
	}
	if a := tab.Get(back.Location().String()); a.Location().String() != "/default/default/app" {
		t.Errorf("the code stays in the address: %d %s", a.Status, a.Location())
	}
	page := tab.Get("/default/default/app")
	wantPage(t, "account", page, http.StatusOK)
	if !strings.Contains(page.Body, "Alice Example") {
		t.Error("the page does not say who it is")
	}
	spoof := s.Tab().Get("/default/default/app?error=x&error_description=" + url.QueryEscape("call 555"))
	wantPage(t, "a made-up error", spoof, http.StatusForbidden)
	if strings.Contains(spoof.Body, "555") {
		t.Error("the page says what a link told it to")
	}
}

func TestAccountEndsSessions(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab, phone, bobs := s.Tab(), s.Tab(), s.Tab()
	signIn(t, tab)
	signIn(t, phone)
	bobs.SignIn(bobs.Begin(), bob, setup.BobPassword)
	const home = "/default/default/app"
	body := tab.Get(home).Body
	token := csrf(t, body)
	list := regexp.MustCompile(`name="session" value="([^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(list) != 2 {
		t.Fatalf("%d sessions on the page", len(list))
	}
	theirs := regexp.MustCompile(`name="session" value="([^"]*)"`).FindStringSubmatch(bobs.Get(home).Body)[1]
	tab.Post(home+"/end-session", url.Values{"csrf_token": {token}, "session": {theirs}})
	wantPage(t, "bob", bobs.Get(home), http.StatusOK)
	wantPage(t, "bob's token on alice's form", tab.Post(home+"/end-session", url.Values{"csrf_token": {csrf(t, bobs.Get(home).Body)}, "session": {list[1][1]}}), http.StatusForbidden)
	tab.Post(home+"/end-session", url.Values{"csrf_token": {token}, "session": {list[1][1]}})
	if a := phone.Get(home); a.Status != http.StatusSeeOther {
		t.Errorf("the phone: %d", a.Status)
	}
	signIn(t, phone)
	wantPage(t, "end all without a token", tab.Post(home+"/end-all", url.Values{}), http.StatusForbidden)
	if a := tab.Post(home+"/end-all", url.Values{"csrf_token": {token}}); a.Location().Path != "/default/default/signed-out" || !strings.Contains(a.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d %s", a.Status, a.Location())
	}
	for name, x := range map[string]*signintest.Tab{"tab": tab, "phone": phone} {
		if a := x.Get(home); a.Status != http.StatusSeeOther {
			t.Errorf("%s after the end of all: %d", name, a.Status)
		}
	}
	wantPage(t, "bob after all", bobs.Get(home), http.StatusOK)
}

// A client that is switched off while somebody types gets nothing.
func TestClientGoesDuringLogin(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	to := tab.Begin()
	s.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	a := tab.SignIn(to, signintest.Alice, setup.AlicePassword)
	wantPage(t, "inactive client", a, http.StatusBadRequest)
	if a.Header.Get("Location") != "" || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), ","), "gp-") {
		t.Errorf("%v", a.Header)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	a := tab.SignIn(tab.Begin(), signintest.Alice, setup.AlicePassword)
	for _, c := range a.Header.Values("Set-Cookie") {
		if !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "Path=/;") || strings.Contains(c, "Domain") {
			t.Errorf("cookie %s", c)
		}
	}
}
