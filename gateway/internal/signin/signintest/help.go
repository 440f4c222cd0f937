package signintest

import (
	"net/netip"
	"net/url"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
)

// The demo's user and a redirect URI of its clients.
const (
	Alice    = "alice@example.com"
	Callback = "http://127.0.0.1:9999/callback"
)

// A PKCE pair (RFC 7636, appendix B).
const (
	Verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	Challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// Space returns a workspace of the demo's tenant.
func (w *World) Space(id string) *live.Space {
	w.T.Helper()
	s, err := w.Live.Space(w.T.Context(), w.Demo.Tenant, id)
	w.OK(err)
	return s
}

// Home returns the demo's workspace.
func (w *World) Home() *live.Space {
	w.T.Helper()
	return w.Space(w.Demo.Workspace)
}

// Client returns a client of the demo's tenant.
func (w *World) Client(id string) *client.Client {
	w.T.Helper()
	c, err := w.Live.Client(w.T.Context(), w.Demo.Tenant, id)
	w.OK(err)
	return c
}

// Public is a client without a secret, that uses PKCE.
func (w *World) Public() *client.Client { return w.Client(w.Demo.Clients.Public.ClientID) }

// Confidential is a client with a secret.
func (w *World) Confidential() *client.Client {
	return w.Client(w.Demo.Clients.Confidential.ClientID)
}

// AddIDP adds another IDP for the demo's pool to its workspace. alter may be nil.
func (w *World) AddIDP(name string, alter func(*idp.IDP)) idp.IDP {
	w.T.Helper()
	ctx := w.T.Context()
	p, err := w.Pools.Pools.Create(ctx, w.Demo.Tenant, pool.Input{Pool: pool.Pool{Name: name, WorkspaceID: w.Demo.Workspace}})
	w.OK(err)
	v := idp.IDP{TenantID: w.Demo.Tenant, WorkspaceID: w.Demo.Workspace, Name: name, Method: idp.IdentityPool, IdentityPoolID: p.ID}
	if alter != nil {
		alter(&v)
	}
	made, err := w.IDPs.Create(ctx, v)
	w.OK(err)
	return made
}

// ChangeIDP changes the demo's IDP.
func (w *World) ChangeIDP(alter func(*idp.IDP)) {
	w.T.Helper()
	p, err := w.IDPs.Get(w.T.Context(), w.Demo.Tenant, w.Demo.Workspace, w.Demo.IDPID)
	w.OK(err)
	alter(&p)
	_, err = w.IDPs.Update(w.T.Context(), p)
	w.OK(err)
}

// ChangeClient changes a client of the demo's tenant.
func (w *World) ChangeClient(id string, alter func(*client.Client)) {
	w.T.Helper()
	c, err := w.Clients.Clients.Get(w.T.Context(), w.Demo.Tenant, id)
	w.OK(err)
	alter(&c)
	_, err = w.Clients.Clients.Update(w.T.Context(), c)
	w.OK(err)
}

// User returns a user of the demo's pool.
func (w *World) User(identifier string) pool.User {
	w.T.Helper()
	u, err := w.Pools.Users.ByIdentifier(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, identifier)
	w.OK(err)
	return u
}

// SetStatus changes a user's status.
func (w *World) SetStatus(identifier, status string) {
	w.T.Helper()
	_, err := w.Pools.Users.Update(w.T.Context(), w.Demo.Tenant, w.Demo.PoolID, w.User(identifier).ID, 0, pool.UpdateUser{Status: status})
	w.OK(err)
}

// Request is an authorization request of the demo's public client.
func Request(scopes ...string) login.Request {
	if scopes == nil {
		scopes = []string{"openid", "profile", "email"}
	}
	return login.Request{
		Client: "demo-public", RedirectURI: Callback, RedirectSent: true, Scopes: scopes,
		State: "st", Nonce: "no", Challenge: Challenge, MaxAge: -1,
	}
}

// Agent is a browser: it keeps cookies.
type Agent struct {
	W   *World
	IP  string
	Jar map[string]string
	all []string
}

// Agent returns a browser without cookies.
func (w *World) Agent() *Agent { return &Agent{W: w, IP: "192.0.2.1", Jar: map[string]string{}} }

// Browser is what the browser sends.
func (a *Agent) Browser() signin.Browser {
	return signin.Browser{
		Cookies: func(name string) []string {
			if v, ok := a.Jar[name]; ok {
				return []string{v}
			}
			return nil
		},
		Names: func() []string { return a.all }, IP: netip.MustParseAddr(a.IP), UserAgent: "Agent/1",
	}
}

// Keep stores the cookies of an outcome and returns it.
func (a *Agent) Keep(out signin.Outcome) signin.Outcome {
	for _, c := range out.Cookies {
		_, had := a.Jar[c.Name]
		switch {
		case c.Life < 0:
			delete(a.Jar, c.Name)
			for i, n := range a.all {
				if n == c.Name {
					a.all = append(a.all[:i:i], a.all[i+1:]...)
					break
				}
			}
		case !had:
			a.all = append(a.all, c.Name)
			a.Jar[c.Name] = c.Value
		default:
			a.Jar[c.Name] = c.Value
		}
	}
	return out
}

// Begin authorizes and returns the login that starts.
func (a *Agent) Begin(r login.Request) (login.Login, *live.Space) {
	a.W.T.Helper()
	out, err := a.W.Signin.Authorize(a.W.T.Context(), a.W.Home(), r, a.Browser())
	a.W.OK(err)
	a.Keep(out)
	return a.Resume(out)
}

// Resume returns the login that an outcome leads to.
func (a *Agent) Resume(out signin.Outcome) (login.Login, *live.Space) {
	a.W.T.Helper()
	q := Query(a.W, out)
	l, space, err := a.W.Signin.Login(a.W.T.Context(), a.W.Demo.Tenant, q.Get("login_id"), q.Get("login_state"), a.Browser())
	a.W.OK(err)
	return l, space
}

// SignIn signs alice in for a request and returns the answer to it.
func (a *Agent) SignIn(r login.Request) signin.Outcome {
	a.W.T.Helper()
	l, space := a.Begin(r)
	out, err := a.W.Signin.Password(a.W.T.Context(), space, l, Alice, setup.AlicePassword, a.Browser())
	a.W.OK(err)
	return a.Keep(out)
}

// Session returns the browser's session.
func (a *Agent) Session() *session.Session {
	a.W.T.Helper()
	s, err := a.W.Signin.Current(a.W.T.Context(), a.W.Home(), a.Browser())
	a.W.OK(err)
	return s
}

// Code signs in for scopes and returns the code.
func (a *Agent) Code(scopes ...string) string {
	a.W.T.Helper()
	return Query(a.W, a.SignIn(Request(scopes...))).Get("code")
}

// Tokens signs in and redeems the code as the public client.
func (a *Agent) Tokens(scopes ...string) signin.TokenSet {
	a.W.T.Helper()
	r := signin.Redemption{Code: a.Code(scopes...), RedirectURI: Callback, Verifier: Verifier}
	set, err := a.W.Signin.Redeem(a.W.T.Context(), a.W.Home(), a.W.Public(), signin.Holder{}, r)
	a.W.OK(err)
	return set
}

// Query returns the parameters of where an outcome leads.
func Query(w *World, out signin.Outcome) url.Values {
	w.T.Helper()
	u, err := url.Parse(out.Location)
	w.OK(err)
	return u.Query()
}

// NewClient adds a client that authenticates in a way to the demo's workspace
// and returns it with its secret.
func (w *World) NewClient(method string, grants ...string) client.Client {
	w.T.Helper()
	c, err := w.Clients.Clients.Create(w.T.Context(), client.Client{
		TenantID: w.Demo.Tenant, WorkspaceID: w.Demo.Workspace, ClientName: "Another", TokenEndpointAuthMethod: method,
		GrantTypes: grants, ResponseTypes: []string{}, Scopes: []string{"openid"},
	})
	w.OK(err)
	return c
}
