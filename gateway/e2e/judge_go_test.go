package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	exchange "github.com/zitadel/oidc/v3/pkg/oidc/grants/tokenexchange"
	"golang.org/x/oauth2"
)

const judged = "http://127.0.0.1:5/callback"

// relying is zitadel's client for a client of the demo.
func relying(t *testing.T, d *demo, client demoClient, scopes ...string) rp.RelyingParty {
	t.Helper()
	style := oauth2.AuthStyleInHeader
	if client.ClientSecret == "" {
		style = oauth2.AuthStyleInParams
	}
	v, err := rp.NewRelyingPartyOIDC(t.Context(), d.BaseURL+"/"+d.Tenant+"/"+d.Workspace, client.ClientID, client.ClientSecret, judged, scopes,
		rp.WithHTTPClient(&http.Client{Transport: d.transport(), Timeout: 20 * time.Second}), rp.WithAuthStyle(style), rp.WithSigningAlgsFromDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// answerTo goes to an authorization request in a browser, signs in if a page asks,
// and returns what comes back to the client.
func (d *demo) answerTo(t *testing.T, c *http.Client, address string) url.Values {
	t.Helper()
	var back *url.URL
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), judged) {
			back = r.URL
			return errStop
		}
		return nil
	}
	defer func() { c.CheckRedirect = nil }()
	resp, err := c.Get(address)
	if err == nil {
		action, fields, err := form(resp.Request.URL, text(t, resp))
		if err != nil {
			t.Fatal(err)
		}
		fields.Set("identifier", d.Users[0].Identifier)
		fields.Set("password", d.Users[0].Password)
		if last, err := c.PostForm(action, fields); err == nil {
			t.Fatalf("no redirect: %s", text(t, last))
		}
	} else if !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	return back.Query()
}

// An unmodified client: zitadel/oidc.
func TestZitadelClient(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	ctx := t.Context()
	party := relying(t, d, d.Clients["confidential"], oidc.ScopeOpenID, oidc.ScopeEmail, oidc.ScopeOfflineAccess)
	verifier := oauth2.GenerateVerifier()
	q := d.answerTo(t, d.browser(t), rp.AuthURL("state", party, rp.WithCodeChallenge(challenge(verifier))))
	set, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, q.Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil || q.Get("state") != "state" {
		t.Fatalf("%v: %v", q, err)
	}
	info, err := rp.Userinfo[*oidc.UserInfo](ctx, set.AccessToken, set.TokenType, set.IDTokenClaims.Subject, party)
	if err != nil || info.Email != d.Users[0].Identifier || !bool(info.EmailVerified) {
		t.Errorf("userinfo: %+v %v", info, err)
	}
	next, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, set.RefreshToken, "", "")
	if err != nil || next.RefreshToken == set.RefreshToken || next.IDTokenClaims.Subject != set.IDTokenClaims.Subject {
		t.Fatalf("refresh: %v", err)
	}
	if _, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, q.Get("code"), party, rp.WithCodeVerifier(oauth2.GenerateVerifier())); err == nil {
		t.Error("a code was redeemed with another verifier")
	}
	if err := rp.RevokeToken(ctx, party, next.RefreshToken, "refresh_token"); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, next.RefreshToken, "", ""); err == nil {
		t.Error("a revoked refresh token was good")
	}
	if _, err := rp.Userinfo[*oidc.UserInfo](ctx, next.AccessToken, next.TokenType, set.IDTokenClaims.Subject, party); err == nil {
		t.Error("the access tokens live on after the grant")
	}
}

// It signs out: in the browser, since the session is there.
func TestZitadelEndSession(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	browser := d.browser(t)
	party := relying(t, d, d.Clients["confidential"], oidc.ScopeOpenID)
	verifier := oauth2.GenerateVerifier()
	at := rp.AuthURL("state", party, rp.WithCodeChallenge(challenge(verifier)))
	set, err := rp.CodeExchange[*oidc.IDTokenClaims](t.Context(), d.answerTo(t, browser, at).Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	out, err := rp.NewRelyingPartyOIDC(t.Context(), party.Issuer(), d.Clients["confidential"].ClientID, "", judged, nil, rp.WithHTTPClient(browser))
	if err != nil {
		t.Fatal(err)
	}
	back, err := rp.EndSession(t.Context(), out, set.IDToken, judged, "bye", "", nil)
	if err != nil || !strings.HasPrefix(back.String(), judged) || back.Query().Get("state") != "bye" {
		t.Fatalf("%v %v", back, err)
	}
	if q := d.answerTo(t, browser, at+"&prompt=none"); q.Get("error") != "login_required" {
		t.Errorf("after the sign-out: %v", q)
	}
	if _, err := rp.Userinfo[*oidc.UserInfo](t.Context(), set.AccessToken, set.TokenType, set.IDTokenClaims.Subject, party); err == nil {
		t.Error("the access token lives on after the session")
	}
}

// It gets tokens of its own, and exchanges them.
func TestZitadelMachine(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	conf := d.Clients["confidential"]
	party := relying(t, d, conf, "introspect_tokens")
	own, err := rp.ClientCredentials(t.Context(), party, nil)
	if err != nil || own.AccessToken == "" || own.RefreshToken != "" {
		t.Fatalf("%+v %v", own, err)
	}
	te, err := tokenexchange.NewTokenExchangerClientCredentials(t.Context(), party.Issuer(), conf.ClientID, conf.ClientSecret,
		tokenexchange.WithHTTPClient(&http.Client{Transport: d.transport()}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokenexchange.ExchangeToken(t.Context(), te, own.AccessToken, oidc.AccessTokenType, "", "", nil, nil, []string{"introspect_tokens"}, exchange.AccessTokenType)
	if err != nil || got.AccessToken == "" || got.IssuedTokenType != oidc.AccessTokenType {
		t.Errorf("exchange: %+v %v", got, err)
	}
}

// It signs a device in: the person types the code elsewhere.
func TestZitadelDevice(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	party := relying(t, d, d.Clients["public"], oidc.ScopeOpenID)
	device, err := rp.DeviceAuthorization(t.Context(), []string{oidc.ScopeOpenID, oidc.ScopeEmail}, party, nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := d.browser(t)
	resp, body := get(t, browser, device.VerificationURIComplete)
	for range 4 { // sign in, type the code, allow
		action, fields, err := form(resp.Request.URL, body)
		if err != nil {
			break
		}
		fields.Set("identifier", d.Users[0].Identifier)
		fields.Set("password", d.Users[0].Password)
		fields.Set("user_code", device.UserCode)
		fields.Set("action", "allow")
		if strings.Contains(action, "logout") {
			break
		}
		if resp, err = browser.PostForm(action, fields); err != nil {
			t.Fatal(err)
		}
		body = text(t, resp)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	set, err := rp.DeviceAccessToken(ctx, device.DeviceCode, time.Second, party)
	if err != nil || set.AccessToken == "" || set.IDToken == "" {
		t.Fatalf("%+v %v\n%s", set, err, body)
	}
	if _, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, set.AccessToken, set.IDToken, party.IDTokenVerifier()); err != nil {
		t.Errorf("ID token: %v", err)
	}
}
