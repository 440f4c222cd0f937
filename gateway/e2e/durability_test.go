package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKillKeepsWhatWasAnswered: after kill -9 the gateway goes on where it was,
// on the same data and address: sessions, clients, users.
func TestKillKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	dir, listen := filepath.Join(t.TempDir(), "data"), "127.0.0.1:"+freePort(t)
	before := startDemoAt(t, dir, listen)
	c := before.browser(t)
	before.signIn(t, c, before.AppURL, 0)
	who := before.seenHeaders(t, c, nil)["X-Auth-Request-User"]
	admin := before.clientToken(t, "admin")
	users := "/api/identity/" + before.Tenant + "/admin/pools/" + before.PoolID + "/users"
	var made struct {
		ID string `json:"id"`
	}
	before.api(t, admin, http.MethodPost, users, map[string]any{
		"status":      "active",
		"identifiers": []map[string]string{{"type": "email", "identifier": "carol@example.com"}},
		"credentials": []map[string]string{{"type": "password", "password": operatorPassword}},
	}, http.StatusCreated, &made)
	if err := before.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := before.cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}

	after := startDemoAt(t, dir, listen)
	if diff := cmp.Diff(before.Clients, after.Clients); diff != "" || after.PoolID != before.PoolID || after.IDPID != before.IDPID {
		t.Errorf("demo.json has changed (-before +after):\n%s", diff)
	}
	if again := after.seenHeaders(t, c, nil)["X-Auth-Request-User"]; len(who) != 1 || !cmp.Equal(who, again) {
		t.Errorf("the session was of %v, and is of %v", who, again)
	}
	var found struct {
		Status string `json:"status"`
	}
	after.api(t, admin, http.MethodGet, users+"/"+made.ID, nil, http.StatusOK, &found)
	if found.Status != "active" {
		t.Errorf("the user is %q", found.Status)
	}
	after.Users = []demoUser{{"carol@example.com", operatorPassword}}
	if resp, body := after.signIn(t, after.browser(t), after.AppURL, 0); resp.StatusCode != http.StatusOK || !strings.Contains(body, "carol@example.com") {
		t.Errorf("the user cannot sign in: %d at %s\n%s", resp.StatusCode, resp.Request.URL, body)
	}
	for name := range after.Clients {
		if name != "public" {
			after.clientToken(t, name)
		}
	}
}
