package proxy

import (
	"context"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Door is the sign-in side as the proxy sees it. All methods are safe for
// concurrent use. Session and Bearer stand on the path of every request: they
// answer from memory where they can, and bound their own waiting, as their
// context has no deadline.
type Door interface {
	// CookieName returns the name of the session cookie of the route's workspace.
	CookieName(r *route.Route) string
	// Session returns who the first of a few cookie values of that name that holds
	// stands for on the route's host, or fault.Unauthenticated. The same session
	// gives the same *Identity as long as nothing about it changed: ready header
	// bytes are kept in it.
	Session(ctx context.Context, r *route.Route, cookies []string) (*Identity, error)
	// Bearer returns who an access token of the route's workspace stands for, or
	// fault.Unauthenticated. As for Session the same token gives the same value.
	Bearer(ctx context.Context, r *route.Route, token string) (*Identity, error)
	// Begin starts a sign-in that comes back to target, a path with query on the
	// route's host. A browser that came back again and again without its cookie
	// gives a *LoopError.
	Begin(ctx context.Context, r *route.Route, target string, b Browser) (Redirect, error)
	// Callback ends a sign-in that Begin started in this browser and gives it its
	// session. Cookies of the Redirect are set even with an error.
	Callback(ctx context.Context, r *route.Route, query url.Values, b Browser) (Redirect, error)
	// SignOut ends the session, with its parent and all children; id may be nil.
	SignOut(ctx context.Context, r *route.Route, id *Identity, b Browser) (Redirect, error)
	// Assertion returns a signed statement of who id is, for one audience. It
	// must hold for at least AssertionReuse.
	Assertion(ctx context.Context, id *Identity, audience string) (string, error)
	// Watch calls ended once when id ends before its time: signed out, revoked,
	// its user gone. After stop returned it may still be called, with no effect.
	Watch(id *Identity, ended func()) (stop func())
}

// AssertionReuse is how long an assertion is sent again: half of its life.
const AssertionReuse = 30 * time.Second

// Identity is who passes. It is not changed after it was handed out and must
// not be copied.
type Identity struct {
	Session  string // id of the session, empty for a token without one
	Subject  string
	Username string // the identifier that the person signed in with
	Email    string // empty unless verified
	Name     string
	Groups   []string
	Expires  time.Time // streams and upgraded connections end then

	// Revoked tells, of a token, whether it was revoked; nil for a session. The
	// proxy does not ask: it is for who watches.
	Revoked func() bool

	Tenant    string
	Workspace string
	// Attribute returns another attribute by its path, such as
	// "business_metadata.team". Nil: there are none.
	Attribute func(path string) (string, bool)

	ready atomic.Pointer[[]block] // header lines by route
}

// Browser is a visitor with Gatepost's own cookies as they were sent.
type Browser struct {
	web.Visit
	Own []OwnCookie
}

// OwnCookie is a cookie of the request whose name is Gatepost's.
type OwnCookie struct{ Name, Value string }

// Values returns the values of all own cookies of that name, in order.
func (b Browser) Values(name string) []string {
	var vs []string
	for _, c := range b.Own {
		if c.Name == name {
			vs = append(vs, c.Value)
		}
	}
	return vs
}

// Names returns the names of the own cookies, in order.
func (b Browser) Names() []string {
	names := make([]string, len(b.Own))
	for i, c := range b.Own {
		names[i] = c.Name
	}
	return names
}

// Redirect sends a browser on.
type Redirect struct {
	Location string // absolute, or a path on the same host
	Cookies  []web.Cookie
}

// LoopError means that a browser came back from the sign-in again and again
// without its session cookie.
type LoopError struct {
	Cookie string // its name
	Host   string
}

// Error names the missing cookie.
func (e *LoopError) Error() string {
	return "the browser does not send the cookie " + e.Cookie + " back to " + e.Host
}
