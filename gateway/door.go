package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// doorWait bounds what the proxy waits for the sign-in side.
const doorWait = 5 * time.Second

// assertionLife is how long an app may accept an assertion.
const assertionLife = 2 * proxy.AssertionReuse

// door lets the proxy ask the sign-in side.
type door struct {
	signin *signin.Service
	live   *live.Cache
	fresh  func() error // whether revocations are known; see changes.Log.Fresh
}

var _ proxy.Door = (*door)(nil)

// CookieName names the session cookie of the route's workspace.
func (d *door) CookieName(r *route.Route) string {
	return d.signin.SessionCookie(r.Tenant, r.Workspace)
}

// Session returns who the first of the cookies that holds stands for on the
// route's host. All of them share one deadline.
func (d *door) Session(ctx context.Context, r *route.Route, cookies []string) (*proxy.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	s, err := d.signin.HostSession(ctx, r.Tenant, r.Workspace, r.Host, cookies)
	if err != nil {
		return nil, err
	}
	if err := d.known(r); err != nil {
		return nil, err
	}
	return identityOf(s.Memo(func() any { return sessionIdentity(s) }))
}

// known refuses to go on when revocations may have been missed, unless the
// route would rather serve.
func (d *door) known(r *route.Route) error {
	if r.WhenStale == route.Serve {
		return nil
	}
	return d.fresh()
}

func identityOf(v any) (*proxy.Identity, error) {
	id, ok := v.(*proxy.Identity)
	if !ok {
		return nil, errors.New("an identity cannot be built")
	}
	return id, nil
}

func sessionIdentity(s *session.Session) *proxy.Identity {
	id := identity(s.Context)
	id.Session, id.Subject, id.Expires, id.Tenant, id.Workspace = s.ID, s.Subject, s.Expires, s.Tenant, s.Workspace
	return id
}

// identity reads what apps may learn from an authentication context. The
// decoded context is kept only once a route asks for another attribute.
func identity(raw json.RawMessage) *proxy.Identity {
	decode := func() authctx.Context {
		var c authctx.Context
		_ = json.Unmarshal(raw, &c) // written by us; unreadable means that nothing is known
		return c
	}
	c := decode()
	id := &proxy.Identity{Username: c.String("preferred_username"), Name: c.String("name"), Groups: c.Strings("groups")}
	if c.Bool("email_verified") {
		id.Email = c.String("email")
	}
	known := sync.OnceValue(decode)
	id.Attribute = func(path string) (string, bool) {
		v, _ := known().Lookup(path)
		return text(v)
	}
	return id
}

// text writes an attribute into a header: scalars as they are, the rest as JSON.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case nil:
		return "", false
	}
	raw, err := json.Marshal(v)
	return string(raw), err == nil
}

// Bearer returns who an access token of the route's workspace stands for. The
// token must be meant for the app: its audience holds the route's origin.
func (d *door) Bearer(ctx context.Context, r *route.Route, raw string) (*proxy.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	space, err := d.live.Space(ctx, r.Tenant, r.Workspace)
	if err != nil {
		return nil, err
	}
	b, err := d.signin.Bearer(ctx, space, r.Origin, raw)
	if err != nil {
		return nil, err
	}
	if err := d.known(r); err != nil {
		return nil, err
	}
	return identityOf(b.Memo(func() any {
		id := bearerIdentity(r, b)
		id.Revoked = func() bool { return d.signin.Ended(b) }
		return id
	}))
}

// bearerIdentity is who a token stands for. One with offline_access was granted
// beyond its session's end, so it counts as a token without a session: neither
// streams nor assertions are bound to what it outlives.
func bearerIdentity(r *route.Route, b *signin.Bearer) *proxy.Identity {
	id := &proxy.Identity{
		Session: b.Session, Subject: b.Subject, Expires: b.Expires, Tenant: r.Tenant, Workspace: r.Workspace,
		Groups: b.Claims.Strings("groups"), Username: b.Claims.String("preferred_username"),
	}
	if b.Has(signin.ScopeOffline) {
		id.Session = ""
	}
	id.Attribute = func(path string) (string, bool) { return text(b.Claims[path]) }
	return id
}

// browser is the visitor as the sign-in side sees it.
func browser(b proxy.Browser) signin.Browser {
	return signin.Browser{Cookies: b.Values, Names: b.Names, IP: b.ClientIP, UserAgent: b.UserAgent}
}

// cookies turns what signin decided into what web sets.
func cookies(in []signin.Cookie) []web.Cookie {
	out := make([]web.Cookie, len(in))
	for i, c := range in {
		out[i] = web.Cookie{Name: c.Name, Value: c.Value, MaxAge: c.Life, Secure: c.Secure}
	}
	return out
}

func redirect(out signin.Outcome) proxy.Redirect {
	return proxy.Redirect{Location: out.Location, Cookies: cookies(out.Cookies)}
}

// Begin starts a sign-in that comes back to target.
func (d *door) Begin(ctx context.Context, r *route.Route, target string, b proxy.Browser) (proxy.Redirect, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	space, err := d.live.Space(ctx, r.Tenant, r.Workspace)
	if err != nil {
		return proxy.Redirect{}, err
	}
	out, err := d.signin.Knock(space, r.Host, target, browser(b))
	var loop *signin.LoopError
	if errors.As(err, &loop) {
		err = &proxy.LoopError{Cookie: loop.Cookie, Host: loop.Host}
	}
	return redirect(out), err
}

// Callback ends a sign-in that Begin started in this browser.
func (d *door) Callback(ctx context.Context, r *route.Route, query url.Values, b proxy.Browser) (proxy.Redirect, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	space, err := d.live.Space(ctx, r.Tenant, r.Workspace)
	if err != nil {
		return proxy.Redirect{}, err
	}
	out, err := d.signin.Enter(ctx, space, r.Host, query, browser(b))
	return redirect(out), err
}

// SignOut ends the session with its parent and all children.
func (d *door) SignOut(ctx context.Context, r *route.Route, id *proxy.Identity, b proxy.Browser) (proxy.Redirect, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	space, err := d.live.Space(ctx, r.Tenant, r.Workspace)
	if err != nil {
		return proxy.Redirect{}, err
	}
	var on *session.Session
	if id != nil && id.Session != "" {
		on, err = d.signin.Sessions.ByID(ctx, r.Tenant, id.Session)
		if err != nil && !fault.Is(err, fault.Unauthenticated) {
			return proxy.Redirect{}, err
		}
	}
	out, err := d.signin.HostSignOut(ctx, space, on)
	return redirect(out), err
}

// Assertion signs who id is, for one app.
func (d *door) Assertion(ctx context.Context, id *proxy.Identity, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	space, err := d.live.Space(ctx, id.Tenant, id.Workspace)
	if err != nil {
		return "", err
	}
	c := token.Claims{"sub": id.Subject, "aud": audience}
	for name, v := range map[string]string{"sid": id.Session, "preferred_username": id.Username, "email": id.Email, "name": id.Name} {
		if v != "" {
			c[name] = v
		}
	}
	if len(id.Groups) > 0 {
		c["groups"] = id.Groups
	}
	return d.signin.Tokens.Sign(ctx, space.Token(), token.Assertion, "", c, assertionLife)
}

// Watch calls ended when what id stands for ends before its time: the session, or
// the token with its grant, client and person.
func (d *door) Watch(id *proxy.Identity, ended func()) func() {
	if id.Session == "" {
		return d.watchToken(id, ended)
	}
	ctx, cancel := context.WithTimeout(context.Background(), doorWait)
	defer cancel()
	s, err := d.signin.Sessions.ByID(ctx, id.Tenant, id.Session)
	if err != nil {
		go ended() // it ended meanwhile, or nobody can tell
		return func() {}
	}
	if id.Revoked != nil { // whatever ends the session ends its tokens
		return d.watchToken(id, ended)
	}
	return d.signin.Sessions.Watch(s, ended)
}

func (d *door) watchToken(id *proxy.Identity, ended func()) func() {
	if id.Revoked == nil {
		return func() {}
	}
	return d.signin.Sessions.WatchToken(id.Tenant, id.Revoked, ended)
}
