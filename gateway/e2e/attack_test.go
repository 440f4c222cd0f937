package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestLoginBegunElsewhereIsNotFinishedHere(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	attacker, victim := d.browser(t), d.browser(t)
	resp, body := get(t, attacker, d.AppURL)
	u := d.Users[0]
	resp, body = submit(t, victim, resp.Request.URL, body, url.Values{"identifier": {u.Identifier}, "password": {u.Password}})
	if resp.StatusCode != http.StatusNotFound {
		t.Fatalf("another browser's login went on: %d\n%s", resp.StatusCode, body)
	}
	if resp, _ := get(t, attacker, d.AppURL); strings.HasPrefix(resp.Request.URL.String(), d.AppURL) {
		t.Error("the attacker is signed in as the victim")
	}
}

var errStop = errors.New("stop here")

// callback signs the attacker in up to the link that the app host would take.
func callback(t *testing.T, d *demo, attacker *http.Client) string {
	t.Helper()
	var link string
	attacker.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/.gatepost/callback") {
			link = r.URL.String()
			return errStop
		}
		return nil
	}
	resp, body := get(t, attacker, d.AppURL)
	action, fields, err := form(resp.Request.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	fields.Set("identifier", d.Users[1].Identifier)
	fields.Set("password", d.Users[1].Password)
	last, err := attacker.PostForm(action, fields)
	if err == nil {
		_ = last.Body.Close()
	}
	if link == "" {
		t.Fatalf("no callback: %v", err)
	}
	return link
}

func TestCallbackLinkMailedToAVictim(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	link := callback(t, d, d.browser(t))
	victim := d.browser(t)
	resp, body := get(t, victim, link)
	if resp.StatusCode != http.StatusForbidden {
		t.Fatalf("%d at %s:\n%s", resp.StatusCode, resp.Request.URL, body)
	}
	if resp, _ := get(t, victim, d.AppURL); strings.HasPrefix(resp.Request.URL.String(), d.AppURL) {
		t.Error("the victim is signed in as the attacker")
	}
}

func TestCallbackLinkWorksOnce(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	c := d.browser(t)
	link := callback(t, d, c)
	c.CheckRedirect = nil
	if resp, body := get(t, c, link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the honest browser: %d\n%s", resp.StatusCode, body)
	}
	// A browser that is signed in just goes on (two tabs, the back button); a copy
	// of the link in another one gets nothing.
	if resp, _ := get(t, c, link); resp.StatusCode != http.StatusOK || resp.Request.URL.RawQuery != "" {
		t.Errorf("a second time: %d at %s", resp.StatusCode, resp.Request.URL)
	}
	if resp, _ := get(t, d.browser(t), link); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a second time, elsewhere: %d", resp.StatusCode)
	}
}

// tokens gets the tokens of a person by the public client's code flow.
func (d *demo) tokens(t *testing.T, n int, scope string) map[string]any {
	t.Helper()
	const redirect = "http://127.0.0.1:5/callback"
	pub := d.Clients["public"]
	c := d.browser(t)
	var back *url.URL
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirect) {
			back = r.URL
			return errStop
		}
		return nil
	}
	const verifier = "0123456789012345678901234567890123456789abc"
	q := url.Values{
		"response_type": {"code"}, "client_id": {pub.ClientID}, "redirect_uri": {redirect}, "scope": {scope}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	issuer := d.BaseURL + "/" + d.Tenant + "/" + d.Workspace
	resp, body := get(t, c, issuer+"/oauth2/authorize?"+q.Encode())
	action, fields, err := form(resp.Request.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	fields.Set("identifier", d.Users[n].Identifier)
	fields.Set("password", d.Users[n].Password)
	if last, err := c.PostForm(action, fields); err == nil {
		t.Fatalf("no redirect to the client: %d\n%s", last.StatusCode, text(t, last))
	}
	if back == nil || back.Query().Get("state") != "s" || back.Query().Get("iss") != issuer {
		t.Fatalf("the authorization response is %v", back)
	}
	r, err := http.NewRequest(http.MethodPost, pub.TokenURL, strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect},
		"client_id": {pub.ClientID}, "code_verifier": {verifier},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var set map[string]any
	d.do(t, r, http.StatusOK, &set)
	return set
}

func (d *demo) status(t *testing.T, method, address, bearer, body string) int {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := (&http.Client{Transport: d.transport()}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestNoTokenButTheRightOne(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	set := d.tokens(t, 0, "openid profile email")
	access, _ := set["access_token"].(string)
	id, _ := set["id_token"].(string)
	c := d.browser(t)
	d.signIn(t, c, d.AppURL, 0)
	assertion := d.seenHeaders(t, c, nil)["X-Gatepost-Assertion"][0]
	admin := d.clientToken(t, "admin")
	userinfo := d.BaseURL + "/" + d.Tenant + "/" + d.Workspace + "/userinfo"
	servers := d.BaseURL + "/api/admin/" + d.Tenant + "/servers"
	for _, try := range []struct {
		name, address, token string
		want                 int
	}{
		{"the person's access token at userinfo", userinfo, access, http.StatusOK},
		{"an ID token at userinfo", userinfo, id, http.StatusUnauthorized},
		{"an assertion at userinfo", userinfo, assertion, http.StatusUnauthorized},
		{"an API token of another workspace at userinfo", userinfo, admin, http.StatusUnauthorized},
		{"the admin client's token at the API", servers, admin, http.StatusOK},
		{"a person's access token of an app at the API", servers, access, http.StatusUnauthorized},
		{"an ID token at the API", servers, id, http.StatusUnauthorized},
		{"an assertion at the API", servers, assertion, http.StatusUnauthorized},
		{"a system token at an admin operation", servers, d.clientToken(t, "system"), http.StatusUnauthorized},
		{"the root tenant's admin at another tenant", servers, d.clientToken(t, "root"), http.StatusUnauthorized},
		{"nothing", servers, "", http.StatusUnauthorized},
	} {
		if got := d.status(t, http.MethodGet, try.address, try.token, ""); got != try.want {
			t.Errorf("%s: %d, want %d", try.name, got, try.want)
		}
	}
}

func TestClientWithoutRoleMayNothing(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	admin := d.clientToken(t, "admin")
	var made demoClient
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/clients", map[string]any{
		"authorization_server_id": "admin", "client_name": "no role", "grant_types": []string{"client_credentials"},
	}, http.StatusCreated, &made)
	made.TokenURL = d.Clients["admin"].TokenURL
	d.Clients["bare"] = made
	bare := d.clientToken(t, "bare")
	if got := d.status(t, http.MethodGet, d.BaseURL+"/api/admin/"+d.Tenant+"/servers", bare, ""); got != http.StatusForbidden {
		t.Errorf("a client of workspace admin without a role: %d", got)
	}
}

func TestHostIsClaimedOnce(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	admin := d.clientToken(t, "admin")
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/servers", map[string]any{"id": "other", "name": "Other"}, http.StatusCreated, nil)
	route := map[string]any{"host": strings.TrimPrefix(d.AppURL, "http://"), "upstream": "http://127.0.0.1:1", "policy": "public", "path_prefix": "/x"}
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/servers/other/routes", route, http.StatusConflict, nil)
	route["host"] = strings.TrimPrefix(d.BaseURL, "http://")
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/servers/other/routes", route, http.StatusConflict, nil)
}

// A token that one app of a workspace was given must not open another: RFC 9068
// section 4 has the resource look for itself in aud.
func TestBearerTokenOpensOnlyTheAppItIsMeantFor(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	admin := d.clientToken(t, "admin")
	d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/servers/"+d.Workspace+"/routes", map[string]any{
		"host": strings.TrimPrefix(d.AppURL, "http://"), "path_prefix": "/headers", "upstream": d.appAddress(t, admin),
		"credentials": []string{"bearer"},
	}, http.StatusCreated, nil)
	for name, audience := range map[string][]string{"meant": {d.AppURL}, "other": {"http://other.localhost"}, "none": nil} {
		c := demoClient{TokenURL: d.Clients["confidential"].TokenURL}
		d.api(t, admin, http.MethodPost, "/api/admin/"+d.Tenant+"/clients", map[string]any{
			"authorization_server_id": d.Workspace, "client_name": name, "audience": audience,
			"grant_types": []string{"client_credentials"}, "scopes": []string{"profile"},
		}, http.StatusCreated, &c)
		c.TokenURL = d.Clients["confidential"].TokenURL
		d.Clients[name] = c
	}
	person, _ := d.tokens(t, 0, "openid profile")["access_token"].(string)
	// Routes come into effect within a second of the answer.
	eventually(t, "the route for bearer tokens", func() error {
		if got := d.status(t, http.MethodGet, d.AppURL+"/headers", d.clientToken(t, "meant"), ""); got != http.StatusOK {
			return fmt.Errorf("the token meant for the app: %d", got)
		}
		return nil
	})
	for name, raw := range map[string]string{
		"another app's":    d.clientToken(t, "other"),
		"no app's":         d.clientToken(t, "none"),
		"a person's":       person,
		"another tenant's": d.clientToken(t, "root"),
		"the API's":        admin,
		"nothing":          "",
	} {
		if got := d.status(t, http.MethodGet, d.AppURL+"/headers", raw, ""); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// appAddress returns where the demo app listens.
func (d *demo) appAddress(t *testing.T, admin string) string {
	t.Helper()
	var page struct {
		Routes []struct {
			Upstream string `json:"upstream"`
		} `json:"routes"`
	}
	d.api(t, admin, http.MethodGet, "/api/admin/"+d.Tenant+"/servers/"+d.Workspace+"/routes", nil, http.StatusOK, &page)
	if len(page.Routes) == 0 {
		t.Fatal("the demo has no route")
	}
	return page.Routes[0].Upstream
}
