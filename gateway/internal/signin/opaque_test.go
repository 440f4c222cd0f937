package signin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

func opaque(space *live.Space) *live.Space {
	other := *space
	other.Workspace.AccessTokenStrategy = "opaque"
	return &other
}

func TestOpaqueTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	space := opaque(w.Home())
	code := w.Agent().Code("openid", "email")
	set, err := w.Signin.Redeem(t.Context(), space, w.Public(), signin.Holder{}, redemption(code, signintest.Callback, signintest.Verifier))
	w.OK(err)
	if len(set.AccessToken) != 43 || strings.Contains(set.AccessToken, ".") {
		t.Fatalf("%q", set.AccessToken)
	}
	b, err := w.Signin.Bearer(t.Context(), w.Home(), w.Public().ClientID, set.AccessToken) // whatever the strategy is by now
	if err != nil || b.User == "" || !b.Has("email") || b.Claims.String("iss") == "" || b.Claims.String("jti") == "" || b.Session == "" {
		t.Fatalf("%+v %v", b, err)
	}
	_, err = w.Signin.Bearer(t.Context(), w.Space(tenant.Admin), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "another workspace")
	_, err = w.Signin.Bearer(t.Context(), space, "else", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "another audience")
	w.OK(w.Sessions.End(t.Context(), space.Tenant, b.Session))
	_, err = w.Signin.Bearer(t.Context(), space, "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "after its session")
	late, err := w.Signin.ClientCredentials(t.Context(), space, w.Confidential(), signin.Holder{Key: "k"}, nil)
	w.OK(err)
	_, err = w.Signin.Bearer(t.Context(), space, "", late.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "bound to a key")
	w.OK(heldBy(t, w, late.AccessToken, signin.Holder{Key: "k"}))
	w.Pass(2 * time.Hour)
	wantKind(t, heldBy(t, w, late.AccessToken, signin.Holder{Key: "k"}), fault.Unauthenticated, "expired")
}

// Made-up tokens cost nothing, or a single read; none of them a write.
func TestMadeUpTokensAreCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	space := w.Home()
	good, err := w.Signin.ClientCredentials(t.Context(), space, w.Confidential(), signin.Holder{}, nil)
	w.OK(err)
	_, err = w.Signin.Bearer(t.Context(), space, "", good.AccessToken)
	w.OK(err)
	p := signintest.NewProver(t)
	claims := map[string]any{"iss": "http://gp.test/default/default", "exp": w.Now().Add(time.Hour).Unix(), "sub": "x", "client_id": "x"}
	parts := strings.Split(good.AccessToken, ".")
	for name, c := range map[string]struct {
		raw   string
		reads int
	}{
		"an unknown kid":       {p.Sign(map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": "x"}, claims), 0},
		"a key of its own":     {p.Sign(map[string]any{"typ": "at+jwt", "alg": "ES256", "jwk": p.JWK()}, claims), 0},
		"no algorithm":         {p.Sign(map[string]any{"typ": "at+jwt", "alg": "none"}, claims), 0},
		"HMAC":                 {p.Sign(map[string]any{"typ": "at+jwt", "alg": "HS256"}, claims), 0},
		"another's signature":  {parts[0] + "." + parts[1] + "." + strings.Split(p.Sign(nil, nil), ".")[2], 0},
		"too long":             {strings.Repeat("a", 20<<10), 0},
		"too short":            {"abc", 0},
		"not of that alphabet": {strings.Repeat("=", 43), 0},
		"random":               {strings.Repeat("a", 43), 1},
	} {
		reads, writes := w.Faulty.Calls(storetest.OpGet), w.Faulty.Calls(storetest.OpInsert)
		_, err := w.Signin.Bearer(t.Context(), space, "", c.raw)
		wantKind(t, err, fault.Unauthenticated, name)
		if n := w.Faulty.Calls(storetest.OpGet) - reads; n != c.reads || w.Faulty.Calls(storetest.OpInsert) != writes {
			t.Errorf("%s: %d reads", name, n)
		}
	}
}

// What leaves the gateway for a pairwise client says nothing that another client
// could compare, and what ends the person finds the token all the same.
func TestPairwiseTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := w.Agent().Tokens("openid")
	public, err := w.Signin.Bearer(t.Context(), w.Home(), "", plain.AccessToken)
	w.OK(err)
	w.ChangeClient(w.Public().ClientID, func(c *client.Client) {
		c.SubjectType, c.RedirectURIs = client.Pairwise, client.URIs{signintest.Callback}
	})
	set := w.Agent().Tokens("openid")
	b, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	w.OK(err)
	if b.Subject == public.Subject || b.Claims.String("st") != client.Pairwise || b.User != public.User || b.Pool != public.Pool {
		t.Errorf("%+v", b.Claims)
	}
	raw, err := json.Marshal(b.Claims)
	w.OK(err)
	for _, betrays := range []string{public.Subject, public.User} {
		if strings.Contains(string(raw), betrays) || strings.Contains(set.AccessToken, betrays) {
			t.Errorf("%q is in %s", betrays, raw)
		}
	}
	w.OK(w.Signin.EndSubject(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace}, public.Subject))
	_, err = w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	wantKind(t, err, fault.Unauthenticated, "after the end of its subject")
}

// A claim may come from the client, as the API shows it: never a secret.
func TestClaimsOfTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, path := range map[string]string{
		"app": "client_name", "team": "metadata.team", "key": "client_secret", "hash": "hashed_secret", "none": "metadata.none.deeper", "sub": "client_name",
	} {
		_, err := w.Clients.Claims.Create(t.Context(), client.Claim{
			TenantID: w.Demo.Tenant, WorkspaceID: w.Demo.Workspace, Name: name, Type: client.ClaimAccessToken,
			SourceType: client.SourceClient, SourcePath: path,
		})
		if (err == nil) != (name != "sub") {
			t.Fatalf("%s: %v", name, err)
		}
	}
	w.ChangeClient(w.Confidential().ClientID, func(c *client.Client) { c.Metadata = json.RawMessage(`{"team":"blue"}`) })
	set, err := w.Signin.ClientCredentials(t.Context(), w.Home(), w.Confidential(), signin.Holder{}, nil)
	w.OK(err)
	b, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
	w.OK(err)
	if b.Claims["app"] != w.Confidential().ClientName || b.Claims["team"] != "blue" || b.Claims["key"] != nil || b.Claims["hash"] != nil || b.Claims["none"] != nil {
		t.Errorf("%+v", b.Claims)
	}
}

func TestScopeFormats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for format, array := range map[string]bool{"scp_array": true, "scope_space_separated": false} {
		space := *w.Home()
		space.Workspace.ScopeClaimFormats = []string{format}
		set, err := w.Signin.Redeem(t.Context(), &space, w.Public(), signin.Holder{},
			redemption(w.Agent().Code("openid", "email"), signintest.Callback, signintest.Verifier))
		w.OK(err)
		b, err := w.Signin.Bearer(t.Context(), w.Home(), "", set.AccessToken)
		w.OK(err)
		if (b.Claims["scp"] != nil) != array || !b.Has("email") || b.Claims.String("scope") != set.Scope {
			t.Errorf("%s: %+v", format, b.Claims)
		}
	}
}

// Where refresh tokens do not cycle, the same one stays good.
func TestRefreshWithoutCycling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	space := *w.Home()
	space.Workspace.Advanced.DisableRefreshTokenCycling = true
	token := w.Agent().Tokens("openid", "offline_access").RefreshToken
	for range 3 {
		w.Pass(time.Minute)
		set, err := w.Signin.Refresh(t.Context(), &space, w.Public(), signin.Holder{}, token, nil)
		if err != nil || set.RefreshToken != token {
			t.Fatalf("%q %v", set.RefreshToken, err)
		}
	}
}
