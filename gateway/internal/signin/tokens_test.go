package signin_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

func redemption(code, uri, verifier string) signin.Redemption {
	return signin.Redemption{Code: code, RedirectURI: uri, Verifier: verifier}
}

func TestRedeemRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	code := w.Agent().Code()
	for name, try := range map[string]func() error{
		"wrong client": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Confidential(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
			return err
		},
		"wrong redirect URI": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback+"2", signintest.Verifier))
			return err
		},
		"no redirect URI": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(code, "", signintest.Verifier))
			return err
		},
		"wrong verifier": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, strings.Repeat("a", 43)))
			return err
		},
		"no verifier": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, ""))
			return err
		},
		"another workspace": func() error {
			_, err := w.Signin.Redeem(ctx, w.Space(tenant.Admin), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
			return err
		},
		"unknown": func() error {
			_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption("x", signintest.Callback, signintest.Verifier))
			return err
		},
	} {
		wantCode(t, try(), "invalid_grant", name)
	}
	if _, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier)); err != nil {
		t.Fatalf("none of that uses the code up: %v", err)
	}
	late := w.Agent().Code()
	w.Pass(11 * time.Minute)
	_, err := w.Signin.Redeem(ctx, w.Home(), w.Public(), signin.Holder{}, redemption(late, signintest.Callback, signintest.Verifier))
	wantCode(t, err, "invalid_grant", "expired")
}

func TestRedeemAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, end := range map[string]func(a *signintest.Agent){
		"signed out": func(a *signintest.Agent) {
			_, err := w.Signin.SignOut(t.Context(), w.Home(), a.Browser())
			w.OK(err)
		},
		"user's end": func(a *signintest.Agent) {
			on := a.Session()
			w.OK(w.Signin.EndUser(t.Context(), "default", on.Pool, on.User))
		},
	} {
		for _, scopes := range [][]string{{"openid"}, {"openid", "offline_access"}} {
			a := w.Agent()
			code := a.Code(scopes...)
			end(a)
			_, err := w.Signin.Redeem(t.Context(), w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
			wantCode(t, err, "invalid_grant", name)
		}
	}
}

// A request that did not name its redirect URI is redeemed without one.
func TestRedeemWithTheOnlyRedirectURI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for uri, ok := range map[string]bool{"": true, signintest.Callback: true, "http://127.0.0.1:1/callback": false} {
		r := signintest.Request()
		r.RedirectSent = false
		code := signintest.Query(w, w.Agent().SignIn(r)).Get("code")
		_, err := w.Signin.Redeem(t.Context(), w.Home(), w.Public(), signin.Holder{}, redemption(code, uri, signintest.Verifier))
		if (err == nil) != ok {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// TestParallelRedemptions: one wins, and because the code was replayed what it
// won is dead.
func TestParallelRedemptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.Agent().Code("openid", "offline_access")
	space, c := w.Home(), w.Public()
	var mu sync.Mutex
	var won []signin.TokenSet
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			set, err := w.Signin.Redeem(context.Background(), space, c, signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, set)
			} else if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if len(won) > 1 {
		t.Fatalf("%d won", len(won))
	}
	for _, set := range won {
		if _, err := w.Signin.Bearer(t.Context(), space, "", set.AccessToken); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("its access token lives: %v", err)
		}
		_, err := w.Signin.Refresh(t.Context(), space, c, signin.Holder{}, set.RefreshToken, nil)
		wantCode(t, err, "invalid_grant", "its refresh token")
	}
}

func TestReplayEndsTheGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.Agent().Code("openid", "offline_access")
	redeem := func() (signin.TokenSet, error) {
		return w.Signin.Redeem(t.Context(), w.Home(), w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
	}
	set, err := redeem()
	w.OK(err)
	_, err = redeem()
	wantCode(t, err, "invalid_grant", "the second")
	_, err = w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "access token")
	_, err = w.Signin.Refresh(t.Context(), w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, nil)
	wantCode(t, err, "invalid_grant", "refresh token")
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	a := w.Agent()
	set := a.Tokens("openid", "email", "offline_access")
	_, err := w.Signin.Refresh(ctx, w.Home(), w.Confidential(), signin.Holder{}, set.RefreshToken, nil)
	wantCode(t, err, "invalid_grant", "another client")
	_, err = w.Signin.Refresh(ctx, w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, []string{"openid", "profile"})
	wantCode(t, err, "invalid_scope", "wider")
	w.Pass(time.Minute) // a refusal spends nothing, so this is the first use still
	next, err := w.Signin.Refresh(ctx, w.Home(), w.Public(), signin.Holder{}, set.RefreshToken, []string{"email", "email"})
	if err != nil || next.Scope != "email" || next.IDToken != "" || next.RefreshToken == set.RefreshToken || next.RefreshToken == "" {
		t.Fatalf("narrowed: %+v %v", next, err)
	}
	full, err := w.Signin.Refresh(ctx, w.Home(), w.Public(), signin.Holder{}, next.RefreshToken, nil)
	if err != nil || full.Scope != set.Scope || full.IDToken == "" {
		t.Fatalf("narrowing is for one token: %+v %v", full, err)
	}
	_, err = w.Signin.SignOut(ctx, w.Home(), a.Browser())
	w.OK(err)
	last, err := w.Signin.Refresh(ctx, w.Home(), w.Public(), signin.Holder{}, full.RefreshToken, nil)
	if err != nil {
		t.Fatalf("offline access outlives the session: %v", err)
	}
	if _, err := w.Signin.Bearer(ctx, w.Home(), "", last.AccessToken); err != nil {
		t.Errorf("and so do its tokens: %v", err)
	}
	w.SetStatus(signintest.Alice, pool.StatusInactive)
	_, err = w.Signin.Refresh(ctx, w.Home(), w.Public(), signin.Holder{}, last.RefreshToken, nil)
	wantCode(t, err, "invalid_grant", "inactive user")
	_, err = w.Signin.Bearer(ctx, w.Home(), "", last.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "inactive user's access token")
}

func TestNoRefreshTokenUnlessAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if set := w.Agent().Tokens("openid"); set.RefreshToken != "" || set.IDToken == "" {
		t.Errorf("%+v", set)
	}
	if set := w.Agent().Tokens("email"); set.IDToken != "" {
		t.Error("an ID token without openid")
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.Space(tenant.Admin)
	c := w.Client(w.Demo.Clients.Admin.ClientID)
	all, err := w.Signin.ClientCredentials(t.Context(), admin, c, signin.Holder{}, nil)
	w.OK(err)
	empty, err := w.Signin.ClientCredentials(t.Context(), admin, c, signin.Holder{}, []string{})
	if err != nil || all.Scope != empty.Scope || all.IDToken+all.RefreshToken != "" {
		t.Errorf("no scope %q, empty scope %q %v", all.Scope, empty.Scope, err)
	}
	who, err := w.Signin.APICaller(t.Context(), "default", tenant.Admin, all.AccessToken)
	if err != nil || who.Client != c.ClientID || who.User != "" || who.ClientEpoch != c.Epoch || who.Space.ID != tenant.Admin {
		t.Fatalf("%+v %v", who, err)
	}
	_, err = w.Signin.ClientCredentials(t.Context(), admin, c, signin.Holder{}, []string{"foreign"})
	wantCode(t, err, "invalid_scope", "foreign scope")
	_, err = w.Signin.ClientCredentials(t.Context(), w.Home(), w.Confidential(), signin.Holder{}, []string{"openid"})
	wantCode(t, err, "invalid_scope", "a person's scope")
	_, err = w.Signin.ClientCredentials(t.Context(), w.Home(), w.Public(), signin.Holder{}, nil)
	wantCode(t, err, "unauthorized_client", "public client")
}

func TestAPICallerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	issue := func(id, workspace string) string {
		set, err := w.Signin.ClientCredentials(ctx, w.Space(workspace), w.Client(id), signin.Holder{}, nil)
		w.OK(err)
		return set.AccessToken
	}
	admin, system := issue(w.Demo.Clients.Admin.ClientID, tenant.Admin), issue(w.Demo.Clients.System.ClientID, tenant.System)
	root, err := w.Live.Space(ctx, tenant.Root, tenant.Admin)
	w.OK(err)
	rc, err := w.Live.Client(ctx, tenant.Root, w.Demo.Clients.Root.ClientID)
	w.OK(err)
	foreign, err := w.Signin.ClientCredentials(ctx, root, rc, signin.Holder{}, nil)
	w.OK(err)
	person := w.Agent().Tokens("openid")
	for name, raw := range map[string]string{
		"of workspace system": system, "of another tenant": foreign.AccessToken, "of a user workspace": person.AccessToken,
		"an ID token": person.IDToken, "nothing": "", "rubbish": "a.b.c", "endless": strings.Repeat("a", 1<<20),
	} {
		_, err := w.Signin.APICaller(ctx, "default", tenant.Admin, raw)
		wantKind(t, err, fault.Unauthenticated, name)
	}
	_, err = w.Signin.APICaller(ctx, "nowhere", tenant.Admin, admin)
	wantKind(t, err, fault.Unauthenticated, "an unknown tenant")
	if _, err := w.Signin.APICaller(ctx, "default", tenant.Admin, admin); err != nil {
		t.Fatal(err)
	}
	w.ChangeClient(w.Demo.Clients.Admin.ClientID, func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	_, err = w.Signin.APICaller(ctx, "default", tenant.Admin, admin)
	wantKind(t, err, fault.Unauthenticated, "an inactive client")
}

func TestBearer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	a := w.Agent()
	set := a.Tokens("openid", "email")
	b, err := w.Signin.Bearer(ctx, w.Home(), "", set.AccessToken)
	if err != nil || b.User == "" || !b.Has("email") || b.Has("profile") {
		t.Fatalf("%+v %v", b, err)
	}
	if again, err := w.Signin.Bearer(ctx, w.Home(), "", set.AccessToken); err != nil || again != b {
		t.Error("it is verified once")
	}
	_, err = w.Signin.Bearer(ctx, w.Space(tenant.Admin), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "in another workspace")
	_, err = w.Signin.Bearer(ctx, w.Home(), w.Signin.APIAudience(), set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "for another audience")
	on := a.Session()
	w.OK(w.Signin.EndSession(ctx, on, on.ID))
	_, err = w.Signin.Bearer(ctx, w.Home(), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "after the session, though remembered")
	late := w.Agent().Tokens("openid")
	_, err = w.Signin.Bearer(ctx, w.Home(), "", late.AccessToken)
	w.OK(err)
	w.Pass(2 * time.Hour)
	_, err = w.Signin.Bearer(ctx, w.Home(), "", late.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "after its life, though remembered")
	for header, want := range map[string]string{"Bearer x": "x", "bearer  x": "x", "Basic x": "", "": "", "Bearer": ""} {
		if got := signin.BearerToken(header); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func claimsOf(w *signintest.World, k token.Kind, raw string) token.Claims {
	w.T.Helper()
	c, err := w.Tokens.Verify(w.T.Context(), w.Home().Token(), k, "", raw)
	w.OK(err)
	return c
}

func TestClaimsFollowScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tc := range []struct {
		scopes      []string
		email, name bool
	}{{[]string{"openid"}, false, false}, {[]string{"openid", "email"}, true, false}, {[]string{"openid", "email", "profile"}, true, true}} {
		set := w.Agent().Tokens(tc.scopes...)
		c := claimsOf(w, token.ID, set.IDToken)
		if (c.String("email") == signintest.Alice) != tc.email || (c.String("name") == "Alice Example") != tc.name {
			t.Errorf("%v: email %q name %q", tc.scopes, c.String("email"), c.String("name"))
		}
		b, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
		w.OK(err)
		info, _, err := w.Signin.UserInfo(t.Context(), w.Home(), b, true)
		w.OK(err)
		if info.String("sub") != c.String("sub") || (info.String("email") != "") != tc.email || (info.String("name") != "") != tc.name {
			t.Errorf("userinfo %v: %v", tc.scopes, info)
		}
		if c.String("nonce") != "no" || c.String("aud") != "demo-public" || c.String("at_hash") == "" || c["auth_time"] == nil {
			t.Errorf("ID token %v", c)
		}
	}
	set := w.Agent().Tokens("email")
	b, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	w.OK(err)
	_, _, err = w.Signin.UserInfo(t.Context(), w.Home(), b, true)
	wantCode(t, err, "insufficient_scope", "userinfo without openid")
}

// A workspace's own definitions never say what a token is, in whatever way they
// are written.
func TestProtectedClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.Agent()
	code := a.Code("openid", "email")
	space := *w.Home()
	space.Claims = slices.Clone(space.Claims)
	names := []string{"sub", "exp", "amr", "acr", "cnf", "act", "cnf.jkt", "act.sub", "sub.x", "aud", "client_id", "grant_id", "idp", "sid", "nonce", "azp"}
	for _, kind := range []string{"id_token", "access_token"} {
		for _, name := range append(names, "harmless", "deep.er") {
			space.Claims = append(space.Claims, client.Claim{Name: name, Type: kind, SourceType: "authnCtx", SourcePath: "email"})
		}
	}
	set, err := w.Signin.Redeem(t.Context(), &space, w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
	w.OK(err)
	for kind, raw := range map[token.Kind]string{token.ID: set.IDToken, token.Access: set.AccessToken} {
		c := claimsOf(w, kind, raw)
		if c.String("harmless") != signintest.Alice || c["deep"] == nil {
			t.Errorf("kind %d: the others are let through: %v", kind, c)
		}
		for _, name := range []string{"cnf", "act", "azp"} {
			if c[name] != nil {
				t.Errorf("kind %d: %s = %v", kind, name, c[name])
			}
		}
		for name, v := range c {
			if v == signintest.Alice && name != "harmless" && name != "email" {
				t.Errorf("kind %d: %s = %v", kind, name, v)
			}
		}
	}
}

func TestAuthenticateClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	id, secret := w.Demo.Clients.Confidential.ClientID, w.Demo.Clients.Confidential.ClientSecret
	if _, err := w.Signin.AuthenticateClient(ctx, w.Home(), signin.Credentials{Client: id, Secret: secret, Method: "client_secret_basic"}); err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for name, try := range map[string][3]string{
		"wrong secret": {id, "x", "client_secret_basic"}, "wrong method": {id, secret, "client_secret_post"},
		"confidential without a secret": {id, "", "none"}, "unknown": {"x", secret, "client_secret_basic"},
		"public with an empty secret": {"demo-public", "", "client_secret_post"}, "the proxy's": {signin.ProxyClient, "", "none"},
	} {
		_, err := w.Signin.AuthenticateClient(ctx, w.Home(), signin.Credentials{Client: try[0], Secret: try[1], Method: try[2]})
		wantCode(t, err, "invalid_client", name)
		wantKind(t, err, fault.Unauthenticated, name)
		said[fault.Read(err).Public] = true
	}
	_, err := w.Signin.AuthenticateClient(ctx, w.Space(tenant.Admin), signin.Credentials{Client: id, Secret: secret, Method: "client_secret_basic"})
	wantCode(t, err, "invalid_client", "in another workspace")
	if len(said) != 1 {
		t.Errorf("answers tell cases apart: %v", said)
	}
}
