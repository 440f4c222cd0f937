package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// stranger adds a client that nobody vouches for, with a redirect URI.
func (d *demo) stranger(t *testing.T, redirect string) string {
	t.Helper()
	admin := d.clientToken(t, "admin")
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/clients", map[string]any{
		"client_id": "photos", "client_name": "Photo prints", "authorization_server_id": d.Workspace, "token_endpoint_auth_method": "none",
		"client_uri": "https://photos.example", "policy_uri": "https://photos.example/privacy", "tos_uri": "https://photos.example/terms",
		"redirect_uris": []string{redirect}, "response_types": []string{"code"}, "application_type": "native",
		"grant_types": []string{"authorization_code", "refresh_token", deviceGrant}, "scopes": []string{"openid", "profile", "email", "offline_access"},
	}, http.StatusCreated, nil)
	return "photos"
}

// call sends a form of a client and returns the status and the JSON answer.
func (d *demo) call(t *testing.T, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	client := &http.Client{Transport: d.transport()}
	resp, err := client.PostForm(d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func (d *demo) signInHere(t *testing.T, ctx context.Context) {
	t.Helper()
	alice := d.Users[0]
	run(t, ctx, fill("identifier", alice.Identifier), fill("password", alice.Password), goOn)
}

// A client that nobody vouches for is asked about, remembered, and sent away
// again.
func TestConsentInABrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	answers := make(chan url.Values, 4)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			answers <- r.URL.Query()
		}
		_, _ = w.Write([]byte("<p>Welcome to Photo prints</p>"))
	}))
	t.Cleanup(app.Close)
	id := d.stranger(t, app.URL+"/callback")
	ask := d.BaseURL + "/" + d.Tenant + "/" + d.Workspace + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {app.URL + "/callback"}, "scope": {"openid email offline_access"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode()
	ctx := chrome(t, 1280, 900)
	run(t, ctx, chromedp.Navigate(ask), chromedp.WaitVisible(`input[name=identifier]`))
	d.signInHere(t, ctx)
	run(t, ctx, onPage("Allow Photo prints?"))
	shots(t, ctx, "consent-1")
	run(t, ctx, press("Deny"), onPage("Welcome to Photo prints"))
	if q := <-answers; q.Get("error") != "access_denied" {
		t.Fatalf("denied: %v", q)
	}
	run(t, ctx, chromedp.Navigate(ask), chromedp.WaitVisible(`input[name=identifier]`))
	d.signInHere(t, ctx)
	run(t, ctx, onPage("Allow Photo prints?"), press("Allow"), onPage("Welcome to Photo prints"))
	q := <-answers
	status, set := d.call(t, "/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "client_id": {id}, "redirect_uri": {app.URL + "/callback"},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	})
	refresh, _ := set["refresh_token"].(string)
	if status != http.StatusOK || refresh == "" {
		t.Fatalf("%d %v", status, set)
	}
	run(t, ctx, chromedp.Navigate(ask), onPage("Welcome to Photo prints"))
	if q := <-answers; q.Get("code") == "" {
		t.Errorf("asked again: %v", q)
	}
	run(t, ctx, chromedp.Navigate(ask+"&prompt=consent"), onPage("You have allowed all of this before"))
	shots(t, ctx, "consent-2-again")
	run(t, ctx, chromedp.Navigate(d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/app"), onPage("Connected apps"))
	shots(t, ctx, "account-apps")
	run(t, ctx, unfold("Withdraw"), press("Withdraw access"), onPage("no longer has anything from you"))
	shots(t, ctx, "account-apps-withdrawn")
	status, set = d.call(t, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {id}})
	if status != http.StatusBadRequest || set["error"] != "invalid_grant" {
		t.Errorf("after it was withdrawn: %d %v", status, set)
	}
}

// A device shows a code, polls, and is signed in by a browser elsewhere.
func TestDeviceInABrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	id := d.stranger(t, "http://127.0.0.1/callback")
	status, begun := d.call(t, "/device/authorization", url.Values{"client_id": {id}, "scope": {"openid profile"}})
	code, _ := begun["user_code"].(string)
	at, _ := begun["verification_uri"].(string)
	device, _ := begun["device_code"].(string)
	if status != http.StatusOK || len(code) != 9 || !strings.HasPrefix(at, d.BaseURL) {
		t.Fatalf("%d %v", status, begun)
	}
	poll := url.Values{"grant_type": {deviceGrant}, "device_code": {device}, "client_id": {id}}
	if status, a := d.call(t, "/oauth2/token", poll); status != http.StatusBadRequest || a["error"] != "authorization_pending" {
		t.Errorf("%d %v", status, a)
	}
	if status, a := d.call(t, "/oauth2/token", poll); status != http.StatusBadRequest || a["error"] != "slow_down" {
		t.Errorf("%d %v", status, a)
	}
	ctx := chrome(t, 1280, 900)
	run(t, ctx, chromedp.Navigate(at), chromedp.WaitVisible(`input[name=user_code]`))
	shots(t, ctx, "device-1-code")
	run(t, ctx, fill("user_code", "AAAA-AAAA"), goOn, chromedp.WaitVisible(`[role=alert]`))
	shots(t, ctx, "device-2-wrong")
	run(t, ctx, fill("user_code", strings.ToLower(code)), goOn, chromedp.WaitVisible(`input[name=identifier]`))
	d.signInHere(t, ctx)
	run(t, ctx, onPage("Connect Photo prints?"), onPage(code))
	shots(t, ctx, "device-3-confirm")
	run(t, ctx, press("Allow"), onPage("Your device is connected"))
	shots(t, ctx, "device-4-done")
	status, set := d.call(t, "/oauth2/token", poll)
	if status != http.StatusOK || set["access_token"] == "" || set["id_token"] == "" {
		t.Errorf("%d %v", status, set)
	}
	if status, a := d.call(t, "/oauth2/token", poll); status != http.StatusBadRequest || a["error"] != "invalid_grant" {
		t.Errorf("once more: %d %v", status, a)
	}
}
