package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// ofClient sends a form to an OAuth endpoint of the demo as its confidential
// client.
func (d *demo) ofClient(t *testing.T, path string, f url.Values) (status int, v map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+path, strings.NewReader(f.Encode()))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	c := d.Clients["confidential"]
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
	resp, err := (&http.Client{Transport: d.transport(), Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Error(err)
	}
	_ = json.Unmarshal(b.Bytes(), &v) // what is no JSON shows by its status
	return resp.StatusCode, v
}

// together sends the same form a hundred times at once and returns the good
// answers.
func (d *demo) together(t *testing.T, f url.Values) (won []map[string]any) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 100 {
		wg.Go(func() {
			<-start
			status, v := d.ofClient(t, "/oauth2/token", f)
			mu.Lock()
			defer mu.Unlock()
			if status == http.StatusOK {
				won = append(won, v)
			} else if status != http.StatusBadRequest || v["error"] != "invalid_grant" {
				t.Errorf("%d %v", status, v)
			}
		})
	}
	close(start)
	wg.Wait()
	return won
}

// offline goes through a code flow up to the form that redeems the code.
func (d *demo) offline(t *testing.T, c *http.Client) url.Values {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	q := url.Values{
		"response_type": {"code"}, "client_id": {d.Clients["confidential"].ClientID}, "redirect_uri": {judged}, "scope": {"openid offline_access"},
		"state": {"s"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	got := d.answerTo(t, c, d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/oauth2/authorize?"+q.Encode()).Get("code")
	return url.Values{"grant_type": {"authorization_code"}, "code": {got}, "redirect_uri": {judged}, "code_verifier": {verifier}}
}

func renew(token any) url.Values {
	s, _ := token.(string)
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s}}
}

// alive tells whether introspection calls a token active.
func (d *demo) alive(t *testing.T, token any) bool {
	t.Helper()
	s, _ := token.(string)
	status, v := d.ofClient(t, "/oauth2/introspect", url.Values{"token": {s}})
	if status != http.StatusOK {
		t.Errorf("introspection: %d %v", status, v)
	}
	return v["active"] == true
}

// A hundred redemptions of one code at once: one wins at most, and its tokens are
// dead afterwards. (None wins when the first replay comes while the winner's tokens
// are still being signed.)
func TestParallelRedemptions(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	browser := d.browser(t)
	for range 5 {
		won := d.together(t, d.offline(t, browser))
		if len(won) > 1 {
			t.Fatalf("%d won", len(won))
		}
		for _, set := range won {
			if d.alive(t, set["access_token"]) || d.alive(t, set["refresh_token"]) {
				t.Error("what it won lives")
			}
			access, _ := set["access_token"].(string)
			if got := d.status(t, http.MethodGet, d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/userinfo", access, ""); got != http.StatusUnauthorized {
				t.Errorf("userinfo: %d", got)
			}
			if status, v := d.ofClient(t, "/oauth2/token", renew(set["refresh_token"])); status != http.StatusBadRequest || v["error"] != "invalid_grant" {
				t.Errorf("refresh: %d %v", status, v)
			}
		}
	}
}

// A hundred refreshes at once have one successor; the old token is worth nothing
// once that was used; a wrong MAC ends nothing.
func TestParallelRefreshes(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	_, set := d.ofClient(t, "/oauth2/token", d.offline(t, d.browser(t)))
	first, _ := set["refresh_token"].(string)
	won := d.together(t, renew(first))
	successors := map[any]bool{}
	for _, v := range won {
		successors[v["refresh_token"]] = true
	}
	if len(won) != 100 || len(successors) != 1 || successors[first] || successors[nil] {
		t.Fatalf("%d answers, %d successors", len(won), len(successors))
	}
	second := won[0]["refresh_token"]
	mac := strings.LastIndex(first, ".")
	for name, forged := range map[string]string{"another MAC": first[:mac+1] + strings.Repeat("A", len(first)-mac-1), "no MAC": first[:mac+1], "rubbish": "x"} {
		if status, v := d.ofClient(t, "/oauth2/token", renew(forged)); status != http.StatusBadRequest || v["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", name, status, v)
		}
	}
	status, v := d.ofClient(t, "/oauth2/token", renew(second))
	if status != http.StatusOK {
		t.Fatalf("the successor: %d %v", status, v)
	}
	if status, v := d.ofClient(t, "/oauth2/token", renew(first)); status != http.StatusBadRequest || v["error"] != "invalid_grant" {
		t.Errorf("the old one after its successor was used: %d %v", status, v)
	}
	if status, v := d.ofClient(t, "/oauth2/token", renew(v["refresh_token"])); status != http.StatusOK {
		t.Errorf("the family: %d %v", status, v)
	}
}
