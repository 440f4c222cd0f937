package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// get loads a page and returns where it ended and what it holds.
func get(t *testing.T, c *http.Client, address string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text(t, resp)
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// submit posts the form of a page with more fields.
func submit(t *testing.T, c *http.Client, at *url.URL, body string, more url.Values) (*http.Response, string) {
	t.Helper()
	action, fields, err := form(at, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range more {
		fields[name] = v
	}
	resp, err := c.PostForm(action, fields)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text(t, resp)
}

// signIn opens address as user n of the demo and returns the page behind it.
func (d *demo) signIn(t *testing.T, c *http.Client, address string, n int) (*http.Response, string) {
	t.Helper()
	resp, body := get(t, c, address)
	if !strings.Contains(body, `name="password"`) {
		t.Fatalf("%s does not ask to sign in: %d %s\n%s", address, resp.StatusCode, resp.Request.URL, body)
	}
	u := d.Users[n]
	return submit(t, c, resp.Request.URL, body, url.Values{"identifier": {u.Identifier}, "password": {u.Password}})
}

// seenHeaders asks the demo app what it received.
func (d *demo) seenHeaders(t *testing.T, c *http.Client, change func(*http.Request)) map[string][]string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, d.AppURL+"/headers", nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body := text(t, resp)
	var seen map[string][]string
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatalf("%d: %v: %s", resp.StatusCode, err, body)
	}
	return seen
}

func TestAppSeesWhoItIs(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	c := d.browser(t)
	resp, body := d.signIn(t, c, d.AppURL+"/?a=1&b=2", 0)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.String() != d.AppURL+"/?a=1&b=2" || !strings.Contains(body, "Alice") {
		t.Fatalf("%d at %s:\n%s", resp.StatusCode, resp.Request.URL, body)
	}
	seen := d.seenHeaders(t, c, func(r *http.Request) {
		for _, name := range []string{"X-Auth-Request-User", "x_auth_request_user", "X-AUTH_Request-User", "x.auth.request.user", "X-Auth-Request-Email", "X_Gatepost_Assertion"} {
			r.Header[name] = []string{"admin", "root"}
		}
	})
	for name, values := range seen {
		for _, v := range values {
			if v == "admin" || v == "root" {
				t.Errorf("the app saw the client's own %s: %v", name, values)
			}
		}
	}
	if got := seen["X-Auth-Request-Email"]; len(got) != 1 || got[0] != "alice@example.com" {
		t.Errorf("X-Auth-Request-Email: %v", got)
	}
	if got := seen["X-Auth-Request-Groups"]; len(got) != 1 || got[0] != "admins,staff" {
		t.Errorf("X-Auth-Request-Groups: %v", got)
	}
	if got := seen["X-Auth-Request-User"]; len(got) != 1 || len(got[0]) != 64 {
		t.Errorf("X-Auth-Request-User: %v, want the hashed subject", got)
	}
	if len(seen["X-Gatepost-Assertion"]) != 1 {
		t.Error("no assertion")
	}
	for _, cookie := range seen["Cookie"] {
		if strings.Contains(cookie, "gp-") {
			t.Errorf("the app saw our cookie: %s", cookie)
		}
	}
}

func TestUnknownPersonLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	pages := map[string]string{}
	for _, who := range []string{"alice@example.com", "nobody@example.com"} {
		c := d.browser(t)
		resp, body := get(t, c, d.AppURL)
		resp, body = submit(t, c, resp.Request.URL, body, url.Values{"identifier": {who}, "password": {"wrong"}})
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", who, resp.StatusCode)
		}
		_, rest, _ := strings.Cut(body, `role="alert"`)
		alert, _, _ := strings.Cut(rest, "</div>")
		pages[who] = alert
	}
	if pages["alice@example.com"] != pages["nobody@example.com"] || pages["alice@example.com"] == "" {
		t.Errorf("the pages differ, or say nothing: %q", pages)
	}
}

func TestAPICallGets401WithLoginURL(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	r, err := http.NewRequest(http.MethodGet, d.AppURL+"/data", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	var answer struct {
		LoginURL string `json:"login_url"`
	}
	d.do(t, r, http.StatusUnauthorized, &answer)
	if !strings.HasPrefix(answer.LoginURL, "http") {
		t.Errorf("login_url is %q", answer.LoginURL)
	}
}

func TestSignOutEndsEveryHost(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	c := d.browser(t)
	d.signIn(t, c, d.AppURL, 1)
	_, body := get(t, c, d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/app")
	if !strings.Contains(body, "bob@example.com") {
		t.Fatalf("the account page does not know who signed in at the app:\n%s", body)
	}
	_, body = get(t, c, d.BaseURL+"/"+d.Tenant+"/"+d.Workspace+"/oidc/logout")
	at, err := url.Parse(d.BaseURL + "/" + d.Tenant + "/" + d.Workspace + "/oidc/logout")
	if err != nil {
		t.Fatal(err)
	}
	if _, body = submit(t, c, at, body, nil); !strings.Contains(body, "signed out") {
		t.Fatalf("after the sign-out:\n%s", body)
	}
	if _, body = get(t, c, d.AppURL); !strings.Contains(body, `name="password"`) {
		t.Errorf("the app still lets in:\n%s", body)
	}
}
