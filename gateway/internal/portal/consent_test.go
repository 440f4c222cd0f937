package portal_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const photos = "photos"

// stranger is a client that nobody vouches for.
func stranger(s *signintest.Site, id string) client.Client {
	s.T.Helper()
	c, err := s.Clients.Clients.Create(s.T.Context(), client.Client{
		TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, ClientID: id, ClientName: "Photo prints", TokenEndpointAuthMethod: client.AuthNone,
		ApplicationType: client.Native, PolicyURI: "https://photos.example/privacy", RedirectURIs: client.URIs{signintest.Callback},
		GrantTypes: []string{"authorization_code", "refresh_token", signin.GrantDevice}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "email", "profile", "offline_access"},
	})
	s.OK(err)
	return c
}

func asks(more url.Values) string {
	q := url.Values{"client_id": {photos}}
	for name, v := range more {
		q[name] = v
	}
	return signintest.AuthorizePath(signintest.Ask(q))
}

// events counts what the audit log of the workspace has on a subject.
func events(s *signintest.Site, subject string) int {
	s.T.Helper()
	list, err := s.Audit.List(s.T.Context(), s.Demo.Tenant, s.Demo.Workspace, audit.Page{Subjects: []string{subject}})
	s.OK(err)
	return len(list)
}

// jsonText returns a member of a JSON object that is text.
func jsonText(t testing.TB, body, name string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	text, _ := v[name].(string)
	return text
}

// answer sends the form of a consent page.
func answer(tab *signintest.Tab, at string, csrf, action string, headers ...string) signintest.Answer {
	return tab.Post(at, url.Values{"csrf_token": {csrf}, "action": {action}}, headers...)
}

// asked signs alice in for a request of the stranger and returns the address of the
// page that asks her, and the page.
func asked(t testing.TB, tab *signintest.Tab, more url.Values) (string, signintest.Answer) {
	t.Helper()
	a := tab.Get(asks(more))
	if !strings.Contains(a.Location().Path, "/consent") {
		a = tab.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword)
	}
	to := a.Location().String()
	if a.Status != http.StatusSeeOther || a.Location().Path != "/default/default/consent" {
		t.Fatalf("nobody is asked: %d %s %s", a.Status, to, a.Body)
	}
	page := tab.Get(to)
	wantPage(t, "consent", page, http.StatusOK)
	return to, page
}

func redeem(tab *signintest.Tab, clientID, code string) signintest.Answer {
	return tab.Post("/default/default/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {signintest.Callback}, "client_id": {clientID}, "code_verifier": {signintest.Verifier},
	})
}

func TestConsent(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	tab := s.Tab()
	at, page := asked(t, tab, nil)
	body := html.UnescapeString(page.Body)
	for _, want := range []string{"Allow Photo prints?", "alice@example.com", "See your e-mail address", "https://photos.example/privacy", "127.0.0.1:9999", "Signed in as"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if a := tab.Get(home); a.Location().Path == "" || a.Status == http.StatusOK {
		t.Error("there is a session before the person has answered")
	}
	// Scopes in the form add nothing: the login's request says what is allowed.
	a := tab.Post(at, url.Values{"csrf_token": {csrf(t, page.Body)}, "action": {"allow"}, "scope": {"openid email profile offline_access"}})
	q := a.Location().Query()
	if a.Status != http.StatusSeeOther || q.Get("code") == "" || q.Get("state") != "st" {
		t.Fatalf("allowed: %d %s", a.Status, a.Location())
	}
	if set := redeem(tab, photos, q.Get("code")); !strings.Contains(set.Body, `"scope":"email openid"`) {
		t.Errorf("tokens: %s", set.Body)
	}
	if a := answer(tab, at, csrf(t, page.Body), "allow"); a.Status != http.StatusNotFound {
		t.Errorf("the same page again: %d", a.Status)
	}
	// It is remembered, for no more than was allowed.
	if a := tab.Get(asks(nil)); a.Location().Query().Get("code") == "" {
		t.Errorf("asked again: %s", a.Location())
	}
	if a := tab.Get(asks(url.Values{"scope": {"openid"}, "prompt": {"none"}})); a.Location().Query().Get("code") == "" {
		t.Errorf("asked again for less: %s", a.Location())
	}
	if a := tab.Get(asks(url.Values{"scope": {"openid profile"}, "prompt": {"none"}})); a.Location().Query().Get("error") != "consent_required" {
		t.Errorf("more with prompt=none: %s", a.Location())
	}
	at, page = asked(t, tab, url.Values{"scope": {"openid profile"}})
	if !strings.Contains(page.Body, "Allowed before") {
		t.Error("the page does not mark what was allowed before")
	}
	if a := answer(tab, at, csrf(t, page.Body), "allow"); a.Location().Query().Get("code") == "" {
		t.Errorf("without another sign-in: %d %s", a.Status, a.Location())
	}
	_, page = asked(t, tab, url.Values{"prompt": {"consent"}})
	if !strings.Contains(page.Body, "You have allowed all of this before") {
		t.Error("prompt=consent")
	}
	if n := events(s, audit.SubjectScopes); n != 2 {
		t.Errorf("%d events of granted scopes", n)
	}
}

func TestConsentDenied(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	tab := s.Tab()
	at, page := asked(t, tab, nil)
	if a := answer(tab, at, csrf(t, page.Body), ""); a.Status != http.StatusBadRequest {
		t.Errorf("no answer: %d", a.Status)
	}
	a := answer(tab, at, csrf(t, page.Body), "deny")
	if q := a.Location().Query(); q.Get("error") != "access_denied" || q.Get("state") != "st" || q.Get("iss") == "" {
		t.Errorf("denied: %d %s", a.Status, a.Location())
	}
	if a := answer(tab, at, csrf(t, page.Body), "allow"); a.Status != http.StatusNotFound {
		t.Errorf("allowed after it was denied: %d", a.Status)
	}
	if a := tab.Get(home); a.Status == http.StatusOK {
		t.Error("a denied sign-in made a session")
	}
	if n := events(s, audit.SubjectConsent); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A question belongs to the browser, the login and the session in which it came
// up.
func TestForgedConsent(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	stranger(s, "other")
	tab := s.Tab()
	signIn(t, tab)
	at, page := asked(t, tab, nil)
	token := csrf(t, page.Body)
	wantPage(t, "another browser", answer(s.Tab(), at, token, "allow"), http.StatusNotFound)
	stranger := s.Tab()
	signIn(t, stranger)
	wantPage(t, "another browser with a session", answer(stranger, at, token, "allow"), http.StatusNotFound)
	wantPage(t, "another site", answer(tab, at, token, "allow", "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	wantPage(t, "no token", answer(tab, at, "", "allow"), http.StatusForbidden)
	second := tab.Get(asks(url.Values{"client_id": {"other"}}))
	wantPage(t, "the token of another login", answer(tab, second.Location().String(), token, "allow"), http.StatusForbidden)
	wantPage(t, "the page of another workspace", answer(tab, strings.Replace(at, "/default/default/", "/default/admin/", 1), token, "allow"), http.StatusNotFound)

	// What was allowed one client is not allowed another.
	if a := answer(tab, at, token, "allow"); a.Location().Query().Get("code") == "" {
		t.Fatalf("%d %s", a.Status, a.Location())
	}
	if a := tab.Get(asks(url.Values{"client_id": {"other"}, "prompt": {"none"}})); a.Location().Query().Get("error") != "consent_required" {
		t.Errorf("another client: %s", a.Location())
	}

	// Signing out in between ends the question.
	at, page = asked(t, tab, url.Values{"prompt": {"consent"}})
	s.OK(s.Signin.EndUser(t.Context(), s.Demo.Tenant, s.Demo.PoolID, s.User(signintest.Alice).ID))
	wantPage(t, "signed out", answer(tab, at, csrf(t, page.Body), "allow"), http.StatusNotFound)
	wantPage(t, "signed out, the page", tab.Get(at), http.StatusNotFound)
	at2, _ := asked(t, tab, nil) // signs in again: the old question is still another session's
	if at2 == at {
		t.Error("the same login")
	}
	wantPage(t, "another session of the same person", answer(tab, at, csrf(t, page.Body), "allow"), http.StatusNotFound)
}

// Of a client that was made anew under its old id nothing was ever allowed.
func TestConsentOfAClientMadeAnew(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	tab := s.Tab()
	at, page := asked(t, tab, nil)
	answer(tab, at, csrf(t, page.Body), "allow")
	none := asks(url.Values{"prompt": {"none"}})
	if a := tab.Get(none); a.Location().Query().Get("code") == "" {
		t.Fatalf("allowed: %s", a.Location())
	}
	s.OK(s.Clients.Clients.Delete(t.Context(), s.Demo.Tenant, photos, 0))
	stranger(s, photos)
	if a := tab.Get(none); a.Location().Query().Get("error") != "consent_required" {
		t.Errorf("a client made anew: %s", a.Location())
	}
	if !strings.Contains(tab.Get(home).Body, "Where you are signed in") || strings.Contains(tab.Get(home).Body, "Connected apps") {
		t.Error("the account page lists what the old client had")
	}
}

func TestTrustedClientsDoNotAsk(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	signIn(t, tab)
	for _, prompt := range []string{"none", "consent"} {
		if a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"prompt": {prompt}}))); a.Location().Query().Get("code") == "" {
			t.Errorf("prompt=%s: %s", prompt, a.Location())
		}
	}
}

func TestScopesThatAskAlwaysOrNever(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	stranger(s, photos)
	scope := func(name string, alter func(*client.Scope)) {
		x, err := s.Clients.Scopes.Get(t.Context(), s.Demo.Tenant, s.Demo.Workspace+"-"+name)
		s.OK(err)
		alter(&x)
		_, err = s.Clients.Scopes.Update(t.Context(), x)
		s.OK(err)
	}
	scope("openid", func(x *client.Scope) { x.ImplicitGrant = true })
	scope("profile", func(x *client.Scope) { x.Transient = true })
	tab := s.Tab()
	signIn(t, tab)
	if a := tab.Get(asks(url.Values{"scope": {"openid"}})); a.Location().Query().Get("code") == "" {
		t.Errorf("an implicit grant: %s", a.Location())
	}
	for range 2 {
		at, page := asked(t, tab, url.Values{"scope": {"openid profile"}})
		if a := answer(tab, at, csrf(t, page.Body), "allow"); a.Location().Query().Get("code") == "" {
			t.Errorf("a transient scope: %s", a.Location())
		}
	}
}

func TestWithdrawAccess(t *testing.T) {
	t.Parallel()
	r := moveIn(t, nil)
	s := r.s
	stranger(s, photos)
	stranger(s, "other")
	offline := url.Values{"scope": {"openid email offline_access"}}
	at, page := asked(t, r.Tab, offline)
	a := answer(r.Tab, at, csrf(t, page.Body), "allow")
	set := redeem(r.Tab, photos, a.Location().Query().Get("code"))
	access, refresh := jsonText(t, set.Body, "access_token"), jsonText(t, set.Body, "refresh_token")
	unspent := r.Get(asks(offline)).Location().Query().Get("code")
	userinfo := func() int {
		return r.Get("/default/default/userinfo", "Authorization", "Bearer "+access).Status
	}
	if userinfo() != http.StatusOK || refresh == "" || unspent == "" {
		t.Fatalf("%d %s", userinfo(), set.Body)
	}
	if body := r.page(); !strings.Contains(body, "Connected apps") || !strings.Contains(body, "Photo prints") {
		t.Fatal("the account page does not list the app")
	}
	wantPage(t, "forged", r.Post(home+"/apps/withdraw", url.Values{"client": {photos}}), http.StatusForbidden)
	r.done("another app", r.send("/apps/withdraw", "client", "other"), "no longer has anything")
	if userinfo() != http.StatusOK {
		t.Error("withdrawing from another app ended this one's token")
	}
	r.done("withdraw", r.send("/apps/withdraw", "client", photos), "no longer has anything")
	if userinfo() != http.StatusUnauthorized {
		t.Error("the access token lives on")
	}
	if a := r.Post("/default/default/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {photos}}); !strings.Contains(a.Body, "invalid_grant") {
		t.Errorf("refresh: %s", a.Body)
	}
	if a := redeem(r.Tab, photos, unspent); !strings.Contains(a.Body, "invalid_grant") {
		t.Errorf("code: %s", a.Body)
	}
	if strings.Contains(r.page(), "Connected apps") {
		t.Error("the app is still listed")
	}
	if n := events(s, audit.SubjectClientConsents); n != 1 {
		t.Errorf("%d events", n)
	}
	at, page = asked(t, r.Tab, offline) // and may be allowed again
	a = answer(r.Tab, at, csrf(t, page.Body), "allow")
	if set := redeem(r.Tab, photos, a.Location().Query().Get("code")); set.Status != http.StatusOK {
		t.Errorf("allowed again: %s", set.Body)
	}
}
