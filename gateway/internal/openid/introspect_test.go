package openid_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const (
	introspectPath = "/default/default/oauth2/introspect"
	revokePath     = "/default/default/oauth2/revoke"
	userinfoPath   = "/default/default/userinfo"
)

// asks are the headers of a client with more scopes than openid.
func asks(s *signintest.Site, scopes ...string) (c client.Client, authorization []string) {
	s.T.Helper()
	c = s.NewClient("client_secret_basic", "client_credentials")
	s.ChangeClient(c.ClientID, func(v *client.Client) { v.Scopes = append([]string{"openid"}, scopes...) })
	return c, []string{"Authorization", basic(c.ClientID, c.ClientSecret)}
}

// tokensOf signs alice in and returns the tokens of the public client.
func tokensOf(t testing.TB, s *signintest.Site, scope string) map[string]any {
	t.Helper()
	q := code(t, s.Tab(), url.Values{"scope": {scope}})
	return object(t, s.Tab().Post(tokenPath, redeem(q.Get("code"))))
}

// ownToken returns an access token of a client itself.
func ownToken(t testing.TB, s *signintest.Site, c client.Client, scope string) string {
	t.Helper()
	a := s.Tab().Post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, "Authorization", basic(c.ClientID, c.ClientSecret))
	return text(object(t, a)["access_token"])
}

func about(token string) url.Values { return url.Values{"token": {token}} }

func inactive(a signintest.Answer) bool {
	return a.Status == http.StatusOK && strings.TrimSpace(a.Body) == `{"active":false}`
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	_, err := s.Clients.Claims.Create(t.Context(), client.Claim{
		TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, Name: "secret_email", Type: client.ClaimAccessToken,
		SourceType: client.SourceContext, SourcePath: "email", Opaque: true,
	})
	s.OK(err)
	_, err = s.Clients.Claims.Create(t.Context(), client.Claim{
		TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, Name: "username", Type: client.ClaimAccessToken,
		SourceType: client.SourceContext, SourcePath: "sub",
	})
	s.OK(err)
	_, err = s.Clients.Claims.Create(t.Context(), client.Claim{
		TenantID: s.Demo.Tenant, WorkspaceID: s.Demo.Workspace, Name: "active", Type: client.ClaimAccessToken,
		SourceType: client.SourceContext, SourcePath: "email",
	})
	s.OK(err)
	set := tokensOf(t, s, "openid offline_access")
	_, as := asks(s, "introspect_tokens")
	for kind, raw := range map[string]string{"access_token": text(set["access_token"]), "refresh_token": text(set["refresh_token"])} {
		for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
			f := about(raw)
			f.Set("token_type_hint", hint)
			a := s.Tab().Post(introspectPath, f, as...)
			v := object(t, a)
			ext, _ := v["ext"].(map[string]any)
			if a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" || v["active"] != true || v["token_type"] != kind ||
				v["client_id"] != "demo-public" || v["scope"] != "offline_access openid" || v["iss"] != signintest.SiteBase+"/default/default" ||
				v["tenant_id"] != "default" || v["server_id"] != "default" || v["idp"] != s.Demo.IDPID || v["idp_sub"] != s.User(signintest.Alice).ID ||
				v["sub"] == "" || v["exp"] == nil || v["iat"] == nil || !slices.Contains(texts(v["aud"]), "demo-public") || len(texts(v["amr"])) == 0 {
				t.Errorf("%s, hint %q: %d %v", kind, hint, a.Status, v)
			}
			if v["secret_email"] != signintest.Alice || ext["secret_email"] != signintest.Alice || v["username"] == v["sub"] {
				t.Errorf("%s: custom claims %v, ext %v", kind, v, ext)
			}
		}
	}
	if strings.Contains(string(payload(t, text(set["access_token"]))), "secret_email") {
		t.Error("an opaque claim is in the access token")
	}
}

func payload(t testing.TB, jwt string) json.RawMessage {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", jwt)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Who may look at what; what is none of their business looks as if it did not hold.
func TestIntrospectOwnTokensOnly(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	alice := tokensOf(t, s, "openid offline_access")
	again := tokensOf(t, s, "openid")
	some, as := asks(s)
	all, asAll := asks(s, "introspect_tokens")
	mine := ownToken(t, s, some, "")
	theirs := ownToken(t, s, all, "introspect_tokens")
	bearer := func(raw string) []string { return []string{"Authorization", "Bearer " + raw} }
	for _, tc := range []struct {
		name   string
		as     []string
		token  string
		active bool
	}{
		{"a client its own", as, mine, true},
		{"a client another's", as, theirs, false},
		{"a client a person's", as, text(alice["access_token"]), false},
		{"a client a person's refresh token", as, text(alice["refresh_token"]), false},
		{"with the scope, another's", asAll, mine, true},
		{"with the scope, a person's", asAll, text(alice["access_token"]), true},
		{"a token with the scope", bearer(theirs), text(alice["refresh_token"]), true},
		{"a token without the scope, itself", bearer(mine), mine, true},
		{"a token without the scope, another's", bearer(mine), theirs, false},
		{"a person's token, itself", bearer(text(alice["access_token"])), text(alice["access_token"]), true},
		{"a person's token, their other one", bearer(text(alice["access_token"])), text(again["access_token"]), true},
		{"a person's token, another client's", bearer(text(alice["access_token"])), mine, false},
	} {
		a := s.Tab().Post(introspectPath, about(tc.token), tc.as...)
		if got := object(t, a)["active"]; got != tc.active || (!tc.active && !inactive(a)) {
			t.Errorf("%s: %d %s", tc.name, a.Status, a.Body)
		}
	}
	q := s.Demo.Clients.Admin // of another workspace
	if a := s.Tab().Post(introspectPath, about(mine), "Authorization", basic(q.ClientID, q.ClientSecret)); a.Status != http.StatusUnauthorized {
		t.Errorf("a client of another workspace: %d", a.Status)
	}
}

// Everything that does not hold gives the same answer.
func TestIntrospectInactive(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	_, as := asks(s, "introspect_tokens")
	set := tokensOf(t, s, "openid offline_access")
	access, refresh := text(set["access_token"]), text(set["refresh_token"])
	next := object(t, s.Tab().Post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"demo-public"}}))
	s.Pass(time.Minute) // longer than the grace
	for name, raw := range map[string]string{
		"rubbish": "x", "an ID token": text(set["id_token"]), "a changed signature": access[:len(access)-4] + "AAAA", "a used refresh token": refresh,
		"a changed MAC": text(next["refresh_token"])[:len(refresh)-4] + "AAAA", "too long": strings.Repeat("a", 20_000), "dots": "..", "a NUL": "\x00",
		"no signature": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + strings.Split(access, ".")[1] + ".",
	} {
		if a := s.Tab().Post(introspectPath, about(raw), as...); !inactive(a) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	for name, end := range map[string]func(){
		"an inactive user": func() { s.SetStatus(signintest.Alice, pool.StatusInactive) },
		"an inactive client": func() {
			s.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusInactive })
		},
	} {
		set := tokensOf(t, s, "openid offline_access")
		end()
		for _, kind := range []string{"access_token", "refresh_token"} {
			if a := s.Tab().Post(introspectPath, about(text(set[kind])), as...); !inactive(a) {
				t.Errorf("%s of %s: %d %s", kind, name, a.Status, a.Body)
			}
		}
		s.SetStatus(signintest.Alice, pool.StatusActive)
		s.ChangeClient("demo-public", func(c *client.Client) { c.ClientStatus = client.StatusActive })
	}
	s.Pass(2 * time.Hour)
	if a := s.Tab().Post(introspectPath, about(access), as...); !inactive(a) {
		t.Errorf("expired: %d %s", a.Status, a.Body)
	}
}

func TestIntrospectAndRevokeRefuse(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	c, as := asks(s, "introspect_tokens", "revoke_tokens")
	raw := ownToken(t, s, c, "introspect_tokens revoke_tokens")
	tab := s.Tab()
	public := url.Values{"token": {raw}, "client_id": {"demo-public"}}
	for _, tc := range []struct {
		name, query string
		form        url.Values
		as          []string
		status      int
		code        string
		challenge   string
	}{
		{"nobody", "", about(raw), nil, 401, "invalid_client", "Basic"},
		{"a wrong secret", "", about(raw), []string{"Authorization", basic(c.ClientID, "x")}, 401, "invalid_client", "Basic"},
		{"a wrong token", "", about(raw), []string{"Authorization", "Bearer x"}, 401, "invalid_token", "Bearer"},
		{"no token", "", url.Values{}, as, 400, "invalid_request", ""},
		{"a token twice", "", url.Values{"token": {raw, raw}}, as, 400, "invalid_request", ""},
		{"the token in the query", "?token=" + raw, url.Values{}, as, 400, "invalid_request", ""},
		{"the access token in the query", "?access_token=" + raw, about(raw), nil, 400, "invalid_request", ""},
		{"the secret in the query", "?client_id=" + c.ClientID + "&client_secret=" + c.ClientSecret, about(raw), nil, 400, "invalid_request", ""},
		{"token and secret", "", url.Values{"token": {raw}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}, []string{"Authorization", "Bearer " + raw}, 400, "invalid_request", ""},
	} {
		for _, path := range []string{introspectPath, revokePath} {
			a := tab.Post(path+tc.query, tc.form, tc.as...)
			v := object(t, a)
			if a.Status != tc.status || v["error"] != tc.code || v["error_code"] != float64(tc.status) || text(v["error_hint"]) == "" ||
				!strings.HasPrefix(a.Header.Get("WWW-Authenticate"), tc.challenge) || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %v %q", path, tc.name, a.Status, v, a.Header.Get("WWW-Authenticate"))
			}
		}
	}
	if a := tab.Post(introspectPath, public); a.Status != http.StatusUnauthorized || object(t, a)["error"] != "invalid_client" {
		t.Errorf("a public client looks: %d %s", a.Status, a.Body)
	}
	for _, path := range []string{introspectPath, revokePath} {
		if a := tab.Send(http.MethodPost, path, `{"token":"x"}`, append([]string{"Content-Type", "application/json"}, as...)...); a.Status != http.StatusBadRequest {
			t.Errorf("%s as JSON: %d", path, a.Status)
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions} {
			if a := tab.Send(method, path, ""); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.Status, a.Header.Get("Allow"))
			}
		}
	}
	s.ChangeClient(c.ClientID, func(v *client.Client) { v.ClientStatus = client.StatusInactive })
	if a := tab.Post(introspectPath, about(raw), "Authorization", "Bearer "+raw); a.Status != http.StatusUnauthorized {
		t.Errorf("the token of an inactive client: %d %s", a.Status, a.Body)
	}
}

// To look at a token of a session is to use the session, unless the header says
// otherwise.
func TestLooksExtendTheSession(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	_, as := asks(s, "introspect_tokens")
	for name, look := range map[string]func(raw string, more ...string){
		"introspection": func(raw string, more ...string) { s.Tab().Post(introspectPath, about(raw), append(more, as...)...) },
		"userinfo": func(raw string, more ...string) {
			s.Tab().Get(userinfoPath, append(more, "Authorization", "Bearer "+raw)...)
		},
	} {
		for header, extended := range map[string]bool{"": true, "true": true, "false": false, "False": false} {
			raw := text(tokensOf(t, s, "openid")["access_token"])
			var claims map[string]any
			s.OK(json.Unmarshal(payload(t, raw), &claims))
			before, err := s.Sessions.Peek(t.Context(), s.Demo.Tenant, text(claims["sid"]))
			s.OK(err)
			s.Pass(50 * time.Minute) // more than a tenth of the idle time; the token lives for an hour
			var more []string
			if header != "" {
				more = []string{"SSO-Session-Extend", header}
			}
			look(raw, more...)
			after, err := s.Sessions.Peek(t.Context(), s.Demo.Tenant, text(claims["sid"]))
			s.OK(err)
			if after.Touched.After(before.Touched) != extended {
				t.Errorf("%s, header %q: touched %v, before %v", name, header, after.Touched, before.Touched)
			}
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	tab := s.Tab()
	_, asAll := asks(s, "revoke_tokens")
	_, asOther := asks(s)
	other := tokensOf(t, s, "openid offline_access") // of the same person and client; stays
	works := func(set map[string]any) (access, refresh bool) {
		a := tab.Get(userinfoPath, "Authorization", "Bearer "+text(set["access_token"]))
		if a.Status != http.StatusOK && a.Status != http.StatusUnauthorized {
			t.Errorf("userinfo: %d %s", a.Status, a.Body)
		}
		_, as := asks(s, "introspect_tokens")
		b := tab.Post(introspectPath, about(text(set["refresh_token"])), as...)
		return a.Status == http.StatusOK, object(t, b)["active"] == true
	}
	public := func(raw string) url.Values { return url.Values{"token": {raw}, "client_id": {"demo-public"}} }
	for _, tc := range []struct {
		name, kind      string
		form            func(string) url.Values
		as              []string
		access, refresh bool // still good
	}{
		{"the public client its access token", "access_token", public, nil, false, true},
		{"the public client its refresh token", "refresh_token", public, nil, false, false},
		{"with the scope an access token", "access_token", about, asAll, false, true},
		{"with the scope a refresh token", "refresh_token", about, asAll, false, false},
		{"another client an access token", "access_token", about, asOther, true, true},
		{"another client a refresh token", "refresh_token", about, asOther, true, true},
		{"an ID token", "id_token", public, nil, true, true},
	} {
		for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
			set := tokensOf(t, s, "openid offline_access")
			f := tc.form(text(set[tc.kind]))
			f.Set("token_type_hint", hint)
			for range 2 {
				if a := tab.Post(revokePath, f, tc.as...); a.Status != http.StatusOK || a.Body != "" {
					t.Errorf("%s: %d %q", tc.name, a.Status, a.Body)
				}
			}
			if access, refresh := works(set); access != tc.access || refresh != tc.refresh {
				t.Errorf("%s, hint %q: access %v, refresh %v", tc.name, hint, access, refresh)
			}
		}
	}
	for _, raw := range []string{"x", "a.1.b", "..", "\x00", strings.Repeat("a", 20_000)} {
		if a := tab.Post(revokePath, public(raw)); a.Status != http.StatusOK || a.Body != "" {
			t.Errorf("%.10q: %d %q", raw, a.Status, a.Body)
		}
	}
	if access, refresh := works(other); !access || !refresh {
		t.Errorf("the person's other tokens: access %v, refresh %v", access, refresh)
	}
}

// A public client's name is no secret: whoever says it may end the tokens that
// they hold of it and nothing else, whatever the client is subscribed to.
func TestRevokeByAPublicClient(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	s.ChangeClient("demo-public", func(c *client.Client) { c.Scopes = append(c.Scopes, "revoke_tokens", "introspect_tokens") })
	c, _ := asks(s, "introspect_tokens")
	raw := ownToken(t, s, c, "introspect_tokens")
	if a := s.Tab().Post(revokePath, url.Values{"token": {raw}, "client_id": {"demo-public"}}); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.Tab().Post(introspectPath, about(raw), "Authorization", "Bearer "+raw); object(t, a)["active"] != true {
		t.Errorf("another client's token ended: %s", a.Body)
	}
}

// A token ends with the family of a refresh token that was used before: who holds
// it says that they lost it.
func TestRevokeAUsedRefreshToken(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	set := tokensOf(t, s, "openid offline_access")
	f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(set["refresh_token"])}, "client_id": {"demo-public"}}
	next := object(t, s.Tab().Post(tokenPath, f))
	s.Tab().Post(revokePath, url.Values{"token": {text(set["refresh_token"])}, "client_id": {"demo-public"}})
	f.Set("refresh_token", text(next["refresh_token"]))
	if v := object(t, s.Tab().Post(tokenPath, f)); v["error"] != "invalid_grant" {
		t.Errorf("its successor: %v", v)
	}
}

// Tokens of one workspace mean nothing in another one of the tenant.
func TestForeignWorkspace(t *testing.T) {
	t.Parallel()
	s := signintest.Serve(t)
	admin := s.Demo.Clients.Admin
	a := s.Tab().Post("/default/"+tenant.Admin+"/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", basic(admin.ClientID, admin.ClientSecret))
	raw := text(object(t, a)["access_token"])
	_, as := asks(s, "introspect_tokens", "revoke_tokens")
	if a := s.Tab().Post(introspectPath, about(raw), as...); !inactive(a) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.Tab().Post(revokePath, about(raw), as...); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.Tab().Post("/default/"+tenant.Admin+"/oauth2/introspect", about(raw), "Authorization", "Bearer "+raw); object(t, a)["active"] != true {
		t.Errorf("at home: %s", a.Body)
	}
}
