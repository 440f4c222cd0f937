package openid_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const pushPath = "/default/default/par"

// changeSpace changes the demo's workspace.
func changeSpace(s *signintest.Site, alter func(*tenant.Workspace)) {
	s.T.Helper()
	v, err := s.Tenants.Workspaces.Get(s.T.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	alter(&v)
	_, err = s.Tenants.Workspaces.Update(s.T.Context(), v)
	s.OK(err)
}

// push pushes a request and returns its request_uri.
func push(t testing.TB, tab *signintest.Tab, more url.Values) string {
	t.Helper()
	a := tab.Post(pushPath, signintest.Ask(more))
	v := object(t, a)
	if a.Status != http.StatusCreated || text(v["request_uri"]) == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return text(v["request_uri"])
}

// with is the address of a browser with a request_uri.
func with(id, uri string, more url.Values) string {
	q := url.Values{"client_id": {id}, "request_uri": {uri}}
	for name, v := range more {
		q[name] = v
	}
	return signintest.AuthorizePath(q)
}

// refusedByPage fails unless an answer is an error page and no redirect.
func refusedByPage(t testing.TB, a signintest.Answer, what string) {
	t.Helper()
	if a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%s: %d to %q", what, a.Status, a.Header.Get("Location"))
	}
}

// TestPush is RFC 9126, sections 2 to 4: the pushed request counts, what the
// address says beside it does not, and it counts once.
func TestPush(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	a := tab.Post(pushPath, signintest.Ask(nil))
	v := object(t, a)
	uri := text(v["request_uri"])
	if a.Status != http.StatusCreated || v["expires_in"] != 60.0 || a.Header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || len(uri) < 70 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	smuggled := url.Values{"redirect_uri": {"https://evil.example/cb"}, "scope": {"openid profile"}, "state": {"evil"}, "prompt": {"none"}, "response_mode": {"fragment"}}
	a = tab.Get(with("demo-public", uri, smuggled))
	if a.Location().Query().Get("login_id") == "" {
		t.Fatalf("%d %s", a.Status, a.Location())
	}
	a = tab.SignIn(a.Location().String(), signintest.Alice, setup.AlicePassword)
	q := a.Location().Query()
	if !strings.HasPrefix(a.Location().String(), signintest.Callback+"?") || q.Get("state") != "st" || q.Get("iss") == "" {
		t.Fatalf("%d %s", a.Status, a.Location())
	}
	if set := object(t, tab.Post(tokenPath, redeem(q.Get("code")))); text(set["scope"]) != "email openid" {
		t.Errorf("tokens %v", set)
	}
	refusedByPage(t, tab.Get(with("demo-public", uri, nil)), "used before")
	refusedByPage(t, tab.Get(with("demo-public", uri, url.Values{"redirect_uri": {signintest.Callback}})), "used before, with a redirect URI")
	old := push(t, tab, nil)
	s.Pass(time.Minute)
	refusedByPage(t, tab.Get(with("demo-public", old, nil)), "expired")
	a = tab.Get(with("demo-public", old, nil), "Accept", "application/json")
	if v := object(t, a); a.Status != http.StatusBadRequest || v["error"] != "invalid_request_uri" || v["error_code"] != 400.0 {
		t.Errorf("as JSON: %d %v", a.Status, v)
	}
}

// A request_uri is good for the client that pushed it, and another's try does not
// use it up.
func TestPushedByAnother(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	uri := push(t, tab, nil)
	refusedByPage(t, tab.Get(with(s.Demo.Clients.Confidential.ClientID, uri, nil)), "another client")
	refusedByPage(t, tab.Get(with("nobody", uri, nil)), "no client")
	refusedByPage(t, tab.Get(with("", uri, nil)), "without a client")
	refusedByPage(t, tab.Get(with("demo-public", uri[:len(uri)-1]+"_", nil)), "another request_uri")
	if a := tab.Get(with("demo-public", uri, nil)); a.Location().Query().Get("code") == "" {
		t.Errorf("its own: %d %s", a.Status, a.Location())
	}
}

// Of 100 uses at once one wins (RFC 9126, section 7.3).
func TestPushedReplay(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	code(t, tab, nil)
	at := with("demo-public", push(t, tab, nil), nil)
	var won, pages atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			switch a := tab.Get(at); {
			case a.Location().Query().Get("code") != "":
				won.Add(1)
			case a.Status == http.StatusBadRequest && a.Header.Get("Location") == "":
				pages.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || pages.Load() != 99 {
		t.Errorf("%d codes, %d pages", won.Load(), pages.Load())
	}
}

func TestPushErrors(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	secret := basic(s.Demo.Clients.Confidential.ClientID, s.Demo.Clients.Confidential.ClientSecret)
	for _, tc := range []struct {
		name   string
		more   url.Values
		auth   string
		status int
		want   string
	}{
		{"no client", url.Values{"client_id": {""}}, "", 401, "invalid_client"},
		{"unknown client", url.Values{"client_id": {"x"}}, "", 401, "invalid_client"},
		{"confidential without its secret", url.Values{"client_id": {s.Demo.Clients.Confidential.ClientID}}, "", 401, "invalid_client"},
		{"the proxy's client", url.Values{"client_id": {"gatepost-proxy"}}, "", 401, "invalid_client"},
		{"as another client", nil, secret, 400, "invalid_request"},
		{"unregistered redirect URI", url.Values{"redirect_uri": {"https://evil.example/cb"}}, "", 400, "invalid_request"},
		{"request_uri inside", url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:x"}}, "", 400, "invalid_request"},
		{"request object", url.Values{"request": {"x"}}, "", 400, "request_not_supported"},
		{"twice", url.Values{"scope": {"openid", "email"}}, "", 400, "invalid_request"},
		{"implicit", url.Values{"response_type": {"token"}}, "", 400, "unsupported_response_type"},
		{"no PKCE", url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, "", 400, "invalid_request"},
		{"unknown scope", url.Values{"scope": {"openid magic"}}, "", 400, "invalid_scope"},
		{"claims", url.Values{"claims": {"[]"}}, "", 400, "invalid_request"},
		{"id_token_hint", url.Values{"id_token_hint": {"x.y.z"}}, "", 400, "invalid_request"},
		{"a redirect URI of megabytes", url.Values{"redirect_uri": {signintest.Callback}, "scope": {strings.Repeat("openid ", 1000)}}, "", 400, "invalid_request"},
	} {
		var headers []string
		if tc.auth != "" {
			headers = []string{"Authorization", tc.auth}
		}
		a := tab.Post(pushPath, signintest.Ask(tc.more), headers...)
		v := object(t, a)
		if a.Status != tc.status || v["error"] != tc.want || v["error_code"] != float64(tc.status) || text(v["error_description"]) == "" || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v", tc.name, a.Status, v)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		if a := tab.Send(method, pushPath+"?"+signintest.Ask(nil).Encode(), ""); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %q", method, a.Status, a.Header.Get("Allow"))
		}
	}
	if a := tab.Post("/default/nowhere/par", signintest.Ask(nil)); a.Status != http.StatusNotFound || object(t, a)["error"] == nil {
		t.Errorf("unknown workspace: %d", a.Status)
	}
	if a := tab.Post(pushPath, signintest.Ask(url.Values{"x": {strings.Repeat("x", 4<<20)}})); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("4 MB: %d", a.Status)
	}
}

// A confidential client pushes with its secret, which is not kept.
func TestPushConfidential(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	id := s.Demo.Clients.Confidential.ClientID
	s.ChangeClient(id, func(c *client.Client) {
		c.RedirectURIs, c.GrantTypes, c.ResponseTypes = client.URIs{signintest.Callback}, []string{"authorization_code"}, []string{"code"}
		c.Scopes = []string{"openid"}
	})
	ask := signintest.Ask(url.Values{"client_id": {id}, "scope": {"openid"}})
	a := tab.Post(pushPath, ask, "Authorization", basic(id, s.Demo.Clients.Confidential.ClientSecret))
	if a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if b := tab.Get(with(id, text(object(t, a)["request_uri"]), nil)); b.Location().Query().Get("login_id") == "" {
		t.Errorf("%d %s", b.Status, b.Location())
	}
}

func TestRequirePush(t *testing.T) {
	t.Parallel()
	for name, require := range map[string]func(*signintest.Site){
		"of the workspace": func(s *signintest.Site) { changeSpace(s, func(w *tenant.Workspace) { w.RequirePAR = true }) },
		"of the client": func(s *signintest.Site) {
			s.ChangeClient("demo-public", func(c *client.Client) { c.RequirePAR = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signintest.Serve(t)
			tab := s.Tab()
			code(t, tab, nil)
			require(s)
			a := tab.Get(signintest.AuthorizePath(signintest.Ask(nil)))
			if q := a.Location().Query(); q.Get("error") != "invalid_request" || q.Get("state") != "st" {
				t.Errorf("not pushed: %d %s", a.Status, a.Location())
			}
			if a := tab.Get(with("demo-public", push(t, tab, nil), nil)); a.Location().Query().Get("code") == "" {
				t.Errorf("pushed: %d %s", a.Status, a.Location())
			}
			if a := tab.Get("/default/default/app"); a.Status >= http.StatusBadRequest {
				t.Errorf("the account page: %d", a.Status)
			}
		})
	}
}

func TestPushDisabled(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	uri := push(t, tab, nil)
	changeSpace(s, func(w *tenant.Workspace) { w.Advanced.DisablePAR = true })
	if a := tab.Post(pushPath, signintest.Ask(nil)); a.Status != http.StatusNotFound {
		t.Errorf("push: %d %s", a.Status, a.Body)
	}
	refusedByPage(t, tab.Get(with("demo-public", uri, nil)), "pushed before")
	if doc := object(t, tab.Get("/default/default/.well-known/openid-configuration")); doc["pushed_authorization_request_endpoint"] != nil {
		t.Error("it is advertised")
	}
}

// A code is bound to the key that its request was pushed with (RFC 9449, section
// 10.1), or that dpop_jkt names (section 10).
func TestRequestBoundToKey(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	s.OK(s.Flags.Set(t.Context(), s.Demo.Tenant, flag.DPoP, true, "test"))
	tab := s.Tab()
	code(t, tab, nil)
	mine, other := signintest.NewProver(t), signintest.NewProver(t)
	proof := func(p *signintest.Prover, path string) string {
		return p.Proof(http.MethodPost, signintest.SiteBase+path, "", s.Now(), nil)
	}
	a := tab.Post(pushPath, signintest.Ask(url.Values{"dpop_jkt": {other.Thumbprint()}}), "DPoP", proof(mine, pushPath))
	if v := object(t, a); a.Status != http.StatusBadRequest || v["error"] != "invalid_dpop_proof" {
		t.Errorf("two keys: %d %v", a.Status, v)
	}
	if a := tab.Post(pushPath, signintest.Ask(nil), "DPoP", proof(mine, tokenPath)); a.Status != http.StatusBadRequest {
		t.Errorf("a proof for another endpoint: %d", a.Status)
	}
	if a := tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"dpop_jkt": {"x"}}))); a.Location().Query().Get("error") != "invalid_request" {
		t.Errorf("no thumbprint: %s", a.Location())
	}
	pushed := tab.Post(pushPath, signintest.Ask(nil), "DPoP", proof(mine, pushPath))
	for name, a := range map[string]signintest.Answer{
		"pushed": tab.Get(with("demo-public", text(object(t, pushed)["request_uri"]), nil)),
		"named":  tab.Get(signintest.AuthorizePath(signintest.Ask(url.Values{"dpop_jkt": {mine.Thumbprint()}}))),
	} {
		got := a.Location().Query().Get("code")
		if b := tab.Post(tokenPath, redeem(got)); b.Status == http.StatusOK {
			t.Errorf("%s: redeemed without a proof", name)
		}
		if b := tab.Post(tokenPath, redeem(got), "DPoP", proof(other, tokenPath)); b.Status == http.StatusOK {
			t.Errorf("%s: redeemed by another key", name)
		}
		if b := tab.Post(tokenPath, redeem(got), "DPoP", proof(mine, tokenPath)); b.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, b.Status, b.Body)
		}
	}
}

// TestPushFlood: public clients prove nothing, so a network keeps so many of their
// requests and no more; other networks and clients that authenticate go on. However
// long the workspace wants them to live, it is minutes.
func TestPushFlood(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	changeSpace(s, func(w *tenant.Workspace) { w.PARTTL = store.Duration(24 * time.Hour) })
	tab := s.Tab()
	if v := object(t, tab.Post(pushPath, signintest.Ask(nil))); v["expires_in"] != 600.0 {
		t.Errorf("expires in %v", v["expires_in"])
	}
	var last signintest.Answer
	kept := 0
	for range 150 {
		if last = tab.Post(pushPath, signintest.Ask(nil)); last.Status == http.StatusCreated {
			kept++
		}
	}
	if kept < 95 || kept > 110 || last.Status != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("%d kept, then %d %s", kept, last.Status, last.Body)
	}
	demo := s.Demo.Clients.Confidential
	a := tab.Post(pushPath, signintest.Ask(url.Values{"client_id": {demo.ClientID}}), "Authorization", basic(demo.ClientID, demo.ClientSecret))
	if a.Status != http.StatusCreated {
		t.Errorf("a client that authenticates: %d %s", a.Status, a.Body)
	}
	s.Pass(time.Second)
	push(t, tab, nil)
}

// TestImplicitScopes: they are asked for although the request does not, by who is
// subscribed to them.
func TestImplicitScopes(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	alter := func(name string) {
		v, err := s.Clients.Scopes.Get(t.Context(), s.Demo.Tenant, s.Demo.Workspace+"-"+name)
		s.OK(err)
		v.Implicit = true
		_, err = s.Clients.Scopes.Update(t.Context(), v)
		s.OK(err)
	}
	alter("profile")
	alter("dcr_register") // the client is not subscribed to it
	tab := s.Tab()
	if set := object(t, tab.Post(tokenPath, redeem(code(t, tab, nil).Get("code")))); text(set["scope"]) != "email openid profile" {
		t.Errorf("%v", set["scope"])
	}
	demo := s.Demo.Clients.Confidential
	a := tab.Post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {"introspect_tokens"}}, "Authorization", basic(demo.ClientID, demo.ClientSecret))
	if v := object(t, a); v["scope"] != "introspect_tokens" {
		t.Errorf("a client's own token: %v", v)
	}
}
