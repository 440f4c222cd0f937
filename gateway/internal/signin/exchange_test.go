package signin_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

const (
	typeAccess = "urn:ietf:params:oauth:token-type:access_token"
	typeID     = "urn:ietf:params:oauth:token-type:id_token"
)

// exchanging is a world with a person's tokens of the public client, which are
// meant for the confidential one too.
type exchanging struct {
	*signintest.World
	agent *signintest.Agent
	set   signin.TokenSet
	by    *client.Client
}

func exchangers(t *testing.T, scopes ...string) exchanging {
	t.Helper()
	w := newWorld(t)
	w.ChangeClient(w.Public().ClientID, func(c *client.Client) { c.Audience = []string{w.Demo.Clients.Confidential.ClientID} })
	w.ChangeClient(w.Confidential().ClientID, func(c *client.Client) { c.Audience = []string{"https://api.example.com"} })
	x := exchanging{World: w, agent: w.Agent(), by: w.Confidential()}
	x.set = x.agent.Tokens(scopes...)
	return x
}

func (x exchanging) try(t *testing.T, token string, alter func(*signin.Exchange)) (signin.TokenSet, error) {
	t.Helper()
	e := signin.Exchange{Subject: token, SubjectType: typeAccess}
	if alter != nil {
		alter(&e)
	}
	return x.Signin.Exchange(t.Context(), x.Home(), x.by, signin.Holder{}, e)
}

func TestExchange(t *testing.T) {
	t.Parallel()
	x := exchangers(t, "openid", "email", "offline_access")
	x.Pass(50 * time.Minute)
	got, err := x.try(t, x.set.AccessToken, func(e *signin.Exchange) { e.Scopes, e.Targets = []string{"email"}, []string{"https://api.example.com"} })
	if err != nil {
		t.Fatal(err)
	}
	if got.RefreshToken+got.IDToken != "" || got.Scope != "email" || got.Issued != typeAccess || got.ExpiresIn > 600 {
		t.Errorf("%+v", got)
	}
	b, err := x.Signin.Bearer(t.Context(), x.Home(), "https://api.example.com", got.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	was, err := x.Signin.Bearer(t.Context(), x.Home(), "", x.set.AccessToken)
	x.OK(err)
	if b.Subject != was.Subject || b.User != was.User || b.Client != x.by.ClientID || b.Expires.After(was.Expires) || b.Claims["act"] != nil {
		t.Errorf("%+v", b.Claims)
	}
	if aud := b.Claims.Strings("aud"); !slices.Equal(aud, []string{"https://api.example.com"}) {
		t.Errorf("aud %v", aud)
	}
	all, err := x.try(t, x.set.AccessToken, nil)
	if err != nil || all.Scope != "email openid" {
		t.Errorf("without scopes: %q %v", all.Scope, err)
	}
}

func TestExchangeRefuses(t *testing.T) {
	t.Parallel()
	x := exchangers(t, "openid", "email", "offline_access")
	stranger := x.NewClient("client_secret_basic", "client_credentials")
	foreign, err := x.Signin.ClientCredentials(t.Context(), x.Space(tenant.Admin), x.Client(x.Demo.Clients.Admin.ClientID), signin.Holder{}, nil)
	x.OK(err)
	bound, err := x.Signin.ClientCredentials(t.Context(), x.Home(), x.by, signin.Holder{Key: "k"}, nil)
	x.OK(err)
	for name, c := range map[string]struct {
		by    *client.Client
		alter func(*signin.Exchange)
		code  string
	}{
		"an ID token":             {x.by, func(e *signin.Exchange) { e.Subject, e.SubjectType = x.set.IDToken, typeID }, "invalid_request"},
		"an ID token in disguise": {x.by, func(e *signin.Exchange) { e.Subject = x.set.IDToken }, "invalid_request"},
		"a refresh token":         {x.by, func(e *signin.Exchange) { e.Subject = x.set.RefreshToken }, "invalid_request"},
		"nothing":                 {x.by, func(e *signin.Exchange) { e.Subject = "" }, "invalid_request"},
		"another workspace's":     {x.by, func(e *signin.Exchange) { e.Subject = foreign.AccessToken }, "invalid_request"},
		"a token of others":       {&stranger, nil, "invalid_request"},
		"a public client":         {x.Public(), nil, "unauthorized_client"},
		"wider than the token":    {x.by, func(e *signin.Exchange) { e.Scopes = []string{"profile"} }, "invalid_scope"},
		"offline access":          {x.by, func(e *signin.Exchange) { e.Scopes = []string{"offline_access"} }, "invalid_scope"},
		"an audience of others":   {x.by, func(e *signin.Exchange) { e.Targets = []string{"https://else.example.com"} }, "invalid_target"},
		"the API as audience":     {x.by, func(e *signin.Exchange) { e.Targets = []string{x.Signin.APIAudience()} }, "invalid_target"},
		"a refresh token wanted":  {x.by, func(e *signin.Exchange) { e.Requested = "urn:ietf:params:oauth:token-type:refresh_token" }, "invalid_request"},
		"an actor without type":   {x.by, func(e *signin.Exchange) { e.Actor = x.set.AccessToken }, "invalid_request"},
		"a bad actor":             {x.by, func(e *signin.Exchange) { e.Actor, e.ActorType = "x", typeAccess }, "invalid_request"},
		"bound to a key":          {x.by, func(e *signin.Exchange) { e.Subject = bound.AccessToken }, "invalid_request"},
	} {
		e := signin.Exchange{Subject: x.set.AccessToken, SubjectType: typeAccess}
		if c.alter != nil {
			c.alter(&e)
		}
		_, err := x.Signin.Exchange(t.Context(), x.Home(), c.by, signin.Holder{}, e)
		wantCode(t, err, c.code, name)
	}
	_, err = x.Signin.Exchange(t.Context(), x.Home(), x.by, signin.Holder{Key: "k"}, signin.Exchange{Subject: bound.AccessToken, SubjectType: typeAccess})
	x.OK(err)
	x.ChangeClient(x.by.ClientID, func(c *client.Client) { c.Scopes = []string{"openid"} })
	narrow := x
	narrow.by = x.Confidential()
	got, err := narrow.try(t, x.set.AccessToken, nil)
	if err != nil || got.Scope != "openid" {
		t.Errorf("never more than the client has: %q %v", got.Scope, err)
	}
	x.Pass(2 * time.Hour)
	_, err = x.try(t, x.set.AccessToken, nil)
	wantCode(t, err, "invalid_request", "expired")
}

// Whatever ends a token ends what was made of it, however long the chain.
func TestExchangedTokensEndTogether(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(x exchanging, was *signin.Bearer) error{
		"its session": func(x exchanging, was *signin.Bearer) error {
			return x.Sessions.End(t.Context(), x.Demo.Tenant, was.Session)
		},
		"its grant": func(x exchanging, was *signin.Bearer) error {
			return x.Grants.End(t.Context(), x.Demo.Tenant, was.Claims.String("grant_id"))
		},
		"its person": func(x exchanging, was *signin.Bearer) error {
			return x.Signin.EndUser(t.Context(), x.Demo.Tenant, was.Pool, was.User)
		},
		"its subject": func(x exchanging, was *signin.Bearer) error {
			return x.Signin.EndSubject(t.Context(), tenant.Key{Tenant: x.Demo.Tenant, Workspace: x.Demo.Workspace}, was.Subject)
		},
		"its client": func(x exchanging, was *signin.Bearer) error {
			return x.Marks.Append(t.Context(), changes.Entry{Kind: changes.KindRevokeClient, Tenant: x.Demo.Tenant, ID: was.Client})
		},
		"itself": func(x exchanging, was *signin.Bearer) error {
			return x.Marks.Append(t.Context(), changes.Entry{Kind: changes.KindRevokeToken, Tenant: x.Demo.Tenant, ID: was.Claims.String("jti")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := exchangers(t, "openid")
			was, err := x.Signin.Bearer(t.Context(), x.Home(), "", x.set.AccessToken)
			x.OK(err)
			first, err := x.try(t, x.set.AccessToken, nil)
			x.OK(err)
			second, err := x.try(t, first.AccessToken, nil)
			x.OK(err)
			x.OK(end(x, was))
			for _, raw := range []string{x.set.AccessToken, first.AccessToken, second.AccessToken} {
				_, err := x.Signin.Bearer(t.Context(), x.Home(), "", raw)
				wantKind(t, err, fault.Unauthenticated, "a token of the chain")
				_, err = x.try(t, raw, nil)
				wantCode(t, err, "invalid_request", "an exchange of it")
			}
		})
	}
	x := exchangers(t, "openid")
	x.SetStatus(signintest.Alice, pool.StatusInactive)
	_, err := x.try(t, x.set.AccessToken, nil)
	wantCode(t, err, "invalid_request", "an inactive person")
}

func TestExchangeChainEnds(t *testing.T) {
	t.Parallel()
	x := exchangers(t, "openid")
	raw := x.set.AccessToken
	for range 5 {
		set, err := x.try(t, raw, nil)
		x.OK(err)
		raw = set.AccessToken
	}
	_, err := x.try(t, raw, nil)
	wantCode(t, err, "invalid_request", "the sixth")
}

// The present actor stands outside, those before it inside (RFC 8693, 4.1).
func TestExchangeActors(t *testing.T) {
	t.Parallel()
	x := exchangers(t, "openid")
	own, err := x.Signin.ClientCredentials(t.Context(), x.Home(), x.by, signin.Holder{}, nil)
	x.OK(err)
	acting := func(raw string) (string, any) {
		set, err := x.try(t, raw, func(e *signin.Exchange) { e.Actor, e.ActorType = own.AccessToken, typeAccess })
		x.OK(err)
		b, err := x.Signin.Bearer(t.Context(), x.Home(), "", set.AccessToken)
		x.OK(err)
		return set.AccessToken, b.Claims["act"]
	}
	me := map[string]any{"sub": x.by.ClientID, "client_id": x.by.ClientID}
	first, act := acting(x.set.AccessToken)
	if diff := cmp.Diff(any(me), act); diff != "" {
		t.Error(diff)
	}
	_, act = acting(first)
	if diff := cmp.Diff(any(map[string]any{"sub": x.by.ClientID, "client_id": x.by.ClientID, "act": me}), act); diff != "" {
		t.Error(diff)
	}
}

// may_act names who may act (RFC 8693, section 4.4); what we cannot check is not
// fulfilled.
func TestExchangeMayAct(t *testing.T) {
	t.Parallel()
	for may, ok := range map[string]bool{
		`{"sub":"demo-confidential"}`:                true,
		`{"client_id":"demo-confidential"}`:          true,
		`{"sub":"somebody"}`:                         false,
		`{"sub":"demo-confidential","iss":"else"}`:   false,
		`{"sub":"demo-confidential","role":"admin"}`: false,
		`{}`:       false,
		`"anyone"`: false,
	} {
		x := exchangers(t, "openid")
		_, err := x.Clients.Claims.Create(t.Context(), client.Claim{
			TenantID: x.Demo.Tenant, WorkspaceID: x.Demo.Workspace, Name: "may_act", Type: client.ClaimAccessToken,
			SourceType: client.SourceClient, SourcePath: "metadata.may_act",
		})
		x.OK(err)
		x.ChangeClient(x.Public().ClientID, func(c *client.Client) { c.Metadata = json.RawMessage(`{"may_act":` + may + `}`) })
		_, err = x.try(t, x.Agent().Tokens("openid").AccessToken, nil)
		if (err == nil) != ok {
			t.Errorf("%s: %v", may, err)
		}
	}
}
