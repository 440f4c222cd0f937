package openid_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

func own(s *signintest.Site, more url.Values) (url.Values, []string) {
	c := s.Demo.Clients.Confidential
	f := url.Values{"grant_type": {"client_credentials"}}
	for name, v := range more {
		f[name] = v
	}
	return f, []string{"Authorization", basic(c.ClientID, c.ClientSecret)}
}

// The workspace and the client both say which grant types there are.
func TestGrantTypesOfTheWorkspace(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	ask := func(kind string) string {
		f, head := own(s, url.Values{"grant_type": {kind}})
		return text(object(t, tab.Post(tokenPath, f, head...))["error"])
	}
	for _, kind := range []string{"password", "implicit", "urn:openid:params:grant-type:ciba", "x"} {
		if got := ask(kind); got != "unsupported_grant_type" {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := ask(exchangeGrant); got != "invalid_request" {
		t.Errorf("exchange: %q", got)
	}
	s.OK(s.Flags.Set(t.Context(), s.Demo.Tenant, flag.TokenExchange, false, "test"))
	if got := ask(exchangeGrant); got != "unsupported_grant_type" {
		t.Errorf("exchange without its flag: %q", got)
	}
	s.ChangeClient("demo-confidential", func(c *client.Client) { c.GrantTypes = []string{"authorization_code"} })
	if got := ask("client_credentials"); got != "unauthorized_client" {
		t.Errorf("not the client's: %q", got)
	}
	w, err := s.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: s.Demo.Tenant, Workspace: s.Demo.Workspace})
	s.OK(err)
	w.GrantTypes = []string{"authorization_code"}
	_, err = s.Tenants.Workspaces.Update(t.Context(), w)
	s.OK(err)
	f, head := own(s, nil)
	a := tab.Post(tokenPath, f, head...)
	if got := object(t, a); got["error"] != "unsupported_grant_type" || !strings.Contains(text(got["error_description"]), "grant_types") {
		t.Errorf("not the workspace's: %s", a.Body)
	}
}

// A proof binds the token that it comes with, and userinfo wants another one.
func TestDPoPOverHTTP(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	p := signintest.NewProver(t)
	at, info := signintest.SiteBase+tokenPath, signintest.SiteBase+"/default/default/userinfo"
	redeemed := redeem(code(t, tab, nil).Get("code"))
	wrong := tab.Post(tokenPath, redeemed, "DPoP", p.Proof("POST", info, "", s.Now(), nil))
	if got := object(t, wrong); wrong.Status != http.StatusBadRequest || got["error"] != "invalid_dpop_proof" {
		t.Errorf("a proof for elsewhere: %d %s", wrong.Status, wrong.Body)
	}
	a := tab.Post(tokenPath, redeemed, "DPoP", p.Proof("POST", at, "", s.Now(), nil))
	set := object(t, a)
	if a.Status != http.StatusOK || set["token_type"] != "DPoP" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	token := text(set["access_token"])
	proof := func(more map[string]any) string { return p.Proof("GET", info, token, s.Now(), more) }
	used := proof(nil)
	if a := tab.Get(info, "Authorization", "DPoP "+token, "DPoP", used); a.Status != http.StatusOK {
		t.Fatalf("userinfo: %d %s", a.Status, a.Body)
	}
	for name, c := range map[string]struct{ scheme, proof, code string }{
		"as Bearer":         {"Bearer ", proof(nil), "invalid_token"},
		"without a proof":   {"DPoP ", "", "invalid_dpop_proof"},
		"a used proof":      {"DPoP ", used, "invalid_dpop_proof"},
		"another method":    {"DPoP ", proof(map[string]any{"htm": "POST"}), "invalid_dpop_proof"},
		"another address":   {"DPoP ", proof(map[string]any{"htu": at}), "invalid_dpop_proof"},
		"another token's":   {"DPoP ", proof(map[string]any{"ath": "x"}), "invalid_dpop_proof"},
		"somebody's key":    {"DPoP ", signintest.NewProver(t).Proof("GET", info, token, s.Now(), nil), "invalid_token"},
		"a host of its own": {"DPoP ", proof(map[string]any{"htu": "http://evil.example.com/default/default/userinfo"}), "invalid_dpop_proof"},
	} {
		head := []string{"Authorization", c.scheme + token}
		if c.proof != "" {
			head = append(head, "DPoP", c.proof)
		}
		a := tab.Get(info, head...)
		challenge := a.Header.Get("WWW-Authenticate")
		if a.Status != http.StatusUnauthorized || object(t, a)["error"] != c.code ||
			!strings.HasPrefix(challenge, c.scheme) || !strings.Contains(challenge, `error="`+c.code+`"`) {
			t.Errorf("%s: %d %s %s", name, a.Status, challenge, a.Body)
		}
		if c.scheme == "DPoP " && !strings.Contains(challenge, `algs="ES256`) {
			t.Errorf("%s: %s", name, challenge)
		}
	}
	plain := text(object(t, tab.Post(tokenPath, redeem(code(t, s.Tab(), nil).Get("code"))))["access_token"])
	a = tab.Get(info, "Authorization", "DPoP "+plain, "DPoP", p.Proof("GET", info, plain, s.Now(), nil))
	if a.Status != http.StatusUnauthorized {
		t.Errorf("an unbound token as DPoP: %d", a.Status)
	}
}

// TestParallelOverHTTP: of a hundred redemptions at most one wins, and what it won
// is dead; a hundred refreshes give one successor.
func TestParallelOverHTTP(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	offline := url.Values{"scope": {"openid offline_access"}}
	all := func(f url.Values) (won []map[string]any) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 100 {
			tab := s.Tab()
			wg.Go(func() {
				a := tab.Post(tokenPath, f)
				mu.Lock()
				defer mu.Unlock()
				if a.Status == http.StatusOK {
					won = append(won, object(t, a))
				} else if a.Status != http.StatusBadRequest {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
		wg.Wait()
		return won
	}
	won := all(redeem(code(t, s.Tab(), offline).Get("code")))
	if len(won) > 1 {
		t.Fatalf("%d won", len(won))
	}
	for _, set := range won {
		if a := s.Tab().Get("/default/default/userinfo", "Authorization", "Bearer "+text(set["access_token"])); a.Status != http.StatusUnauthorized {
			t.Errorf("its access token lives: %d", a.Status)
		}
	}
	set := object(t, s.Tab().Post(tokenPath, redeem(code(t, s.Tab(), offline).Get("code"))))
	seen := map[string]bool{}
	got := all(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(set["refresh_token"])}, "client_id": {"demo-public"}})
	for _, next := range got {
		seen[text(next["refresh_token"])] = true
	}
	if len(got) != 100 || len(seen) != 1 {
		t.Errorf("%d answers, %d successors", len(got), len(seen))
	}
}

// The token endpoint reads If-Match and answers with an ETag (published API 1.3).
func TestTokenPosition(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	f, head := own(s, nil)
	a := tab.Post(tokenPath, f, head...)
	tag := a.Header.Get("ETag")
	if a.Status != http.StatusOK || tag == "" {
		t.Fatalf("%d, tag %q", a.Status, tag)
	}
	for match, status := range map[string]int{tag: 200, "*": 200, `"99999999-0"`: 412, "rubbish": 412} {
		if a := tab.Post(tokenPath, f, append(head, "If-Match", match)...); a.Status != status {
			t.Errorf("If-Match %s: %d %s", match, a.Status, a.Body)
		}
	}
}

// An exchange may name several targets (RFC 8693, section 2.1); nothing else may
// come twice.
func TestExchangeOverHTTP(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	f, head := own(s, nil)
	token := text(object(t, tab.Post(tokenPath, f, head...))["access_token"])
	f, head = own(s, url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"audience": {"demo-confidential", "demo-confidential"},
	})
	a := tab.Post(tokenPath, f, head...)
	if got := object(t, a); a.Status != http.StatusOK || got["issued_token_type"] != "urn:ietf:params:oauth:token-type:access_token" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f["scope"] = []string{"a", "b"}
	if got := object(t, tab.Post(tokenPath, f, head...)); got["error"] != "invalid_request" {
		t.Errorf("%v", got)
	}
}
