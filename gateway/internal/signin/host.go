package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// ProxyClient is the built-in client of every workspace that stands for its
// protected apps. It has no record and no secret: its codes are redeemed in
// process, and its redirect URIs are the callbacks of the workspace's hosts.
const ProxyClient = "gatepost-proxy"

// CallbackPath is where the sign-in returns to on every app host. It never
// reaches the app.
const CallbackPath = "/.gatepost/callback"

const (
	flowLife   = 10 * time.Minute
	maxFlows   = 5
	maxBounces = 3
	bounceLife = 10 * time.Second
)

// flow is what an app host remembers of a visit to the sign-in, sealed in a
// cookie of that host.
type flow struct {
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Target   string    `json:"target"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Started  time.Time `json:"started"`
}

// Origin returns the origin of an app host: hosts share the base URL's scheme.
func (s *Service) Origin(host string) string {
	scheme, _, _ := strings.Cut(s.Base, "://")
	return scheme + "://" + host
}

// HostSession returns the live session of a browser on one app host, or
// fault.Unauthenticated. A session is good on the host it was made for and on
// no other.
func (s *Service) HostSession(ctx context.Context, tenant, workspace, host string, secrets []string) (*session.Session, error) {
	for _, secret := range secrets {
		found, err := s.Sessions.Find(ctx, tenant, secret)
		if isUnauthenticated(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found.Host == host && found.Parent != "" && found.Workspace == workspace {
			return found, nil
		}
	}
	return nil, fault.New(fault.Unauthenticated, "You are not signed in.", nil)
}

// SessionCookie names the session cookie of a workspace.
func (s *Service) SessionCookie(tenant, workspace string) string {
	return s.names.Session(tenant, workspace)
}

// Knock sends a browser from an app host to the sign-in. target is the path and
// query to come back to; the browser gets a sealed flow cookie on the app host.
func (s *Service) Knock(space *live.Space, host, target string, b Browser) (Outcome, error) {
	if _, ok := web.SafePath(target); !ok {
		target = "/"
	}
	if s.bounces(b) >= maxBounces {
		return Outcome{}, &LoopError{Cookie: s.names.Session(space.Tenant, space.ID), Host: host}
	}
	verifier, challenge := newVerifier()
	f := flow{
		ID: vault.NewID(), Host: host, Target: target, Nonce: vault.NewSecret(), Verifier: verifier, Started: s.Now(),
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return Outcome{}, err
	}
	sealed, err := s.Ring.Seal(raw, vault.AAD(space.Tenant, "flows", f.ID, host))
	if err != nil {
		return Outcome{}, err
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {ProxyClient}, "redirect_uri": {s.Origin(host) + CallbackPath},
		"scope": {"openid"}, "state": {f.ID}, "nonce": {f.Nonce}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	return Outcome{
		Location: s.Tokens.Issuer(space.Tenant, space.ID) + "/oauth2/authorize?" + q.Encode(),
		Cookies:  append(s.oldFlows(b), Cookie{Name: s.names.Flow(f.ID), Value: sealed, Life: flowLife, Secure: s.names.Secure}),
	}, nil
}

// LoopError means that a browser came back from the sign-in again and again
// without its session cookie.
type LoopError struct{ Cookie, Host string }

// Error names the missing cookie.
func (e *LoopError) Error() string {
	return fmt.Sprintf("the browser does not send the cookie %s back to %s", e.Cookie, e.Host)
}

// bounces is how often the browser came back signed in within the last seconds.
func (s *Service) bounces(b Browser) int {
	n := 0
	for _, v := range b.Cookies(s.names.Bounced()) {
		if x, err := strconv.Atoi(v); err == nil {
			n = max(n, x)
		}
	}
	return n
}

// oldFlows drops the oldest flow cookies beyond the limit. Browsers send
// cookies of equal paths in the order they were made (RFC 6265, section 5.4).
func (s *Service) oldFlows(b Browser) []Cookie {
	var held []string
	for _, name := range b.Names() {
		if s.names.IsFlow(name) {
			held = append(held, name)
		}
	}
	return s.drop(held, maxFlows)
}

// drop deletes the first of the held cookies, so that with one more there are
// at most limit.
func (s *Service) drop(held []string, limit int) []Cookie {
	if len(held) < limit {
		return nil
	}
	var gone []Cookie
	for _, name := range held[:len(held)-limit+1] {
		gone = append(gone, Cookie{Name: name, Life: -1, Secure: s.names.Secure})
	}
	return gone
}

// Enter finishes the visit that Knock began: it redeems the code in process and
// gives the browser its session on the app host. Without the flow cookie of
// this very browser nothing happens: a callback link sent to somebody signs
// nobody in.
func (s *Service) Enter(ctx context.Context, space *live.Space, host string, q url.Values, b Browser) (Outcome, error) {
	f, err := s.openFlow(space, host, q.Get("state"), b)
	if err != nil {
		return Outcome{}, err
	}
	if q.Get("iss") != s.Tokens.Issuer(space.Tenant, space.ID) {
		return Outcome{}, errFlow(fmt.Errorf("callback from issuer %q", clip(q.Get("iss"), 200)))
	}
	gone := Cookie{Name: s.names.Flow(f.ID), Life: -1, Secure: s.names.Secure}
	if code := q.Get("error"); code != "" {
		return Outcome{Cookies: []Cookie{gone}}, fault.New(fault.Denied, "The sign-in was refused: "+clip(q.Get("error_description"), 200), fmt.Errorf("authorization error %q", clip(code, 64)))
	}
	id, nonce, err := s.redeemForHost(ctx, space, q.Get("code"), s.Origin(host)+CallbackPath, f.Verifier)
	if err != nil {
		return Outcome{}, errFlow(err)
	}
	if nonce != f.Nonce {
		return Outcome{}, errFlow(fmt.Errorf("nonce differs"))
	}
	secret, _, err := s.Sessions.Child(ctx, space.Tenant, id, host)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{
		Location: f.Target,
		Cookies: []Cookie{
			gone,
			{Name: s.names.Session(space.Tenant, space.ID), Value: secret, Secure: s.names.Secure},
			{Name: s.names.Bounced(), Value: strconv.Itoa(s.bounces(b) + 1), Life: bounceLife, Secure: s.names.Secure},
		},
	}, nil
}

func errFlow(cause error) error {
	return fault.New(fault.Denied, "This sign-in link is not yours, was used already, or has expired. Open the app again to sign in.", cause)
}

func (s *Service) openFlow(space *live.Space, host, id string, b Browser) (flow, error) {
	if id == "" {
		return flow{}, errFlow(fmt.Errorf("callback without state"))
	}
	for _, sealed := range b.Cookies(s.names.Flow(id)) {
		raw, err := s.Ring.Open(sealed, vault.AAD(space.Tenant, "flows", id, host))
		if err != nil {
			continue
		}
		var f flow
		if err := json.Unmarshal(raw, &f); err != nil {
			return f, err
		}
		if s.Now().Sub(f.Started) > flowLife {
			return f, errFlow(fmt.Errorf("flow is over"))
		}
		return f, nil
	}
	return flow{}, errFlow(fmt.Errorf("no flow cookie in this browser"))
}

// proxyAllows tells whether uri is the callback of a host that belongs to the
// workspace.
func (s *Service) proxyAllows(space *live.Space, uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Path != CallbackPath || uri != s.Origin(u.Host)+CallbackPath {
		return false
	}
	tenant, workspace, ok := s.HostSpace(u.Host)
	return ok && tenant == space.Tenant && workspace == space.ID
}

// HostSignOut ends the browser's session in the workspace from one of its app
// hosts, with all its children.
func (s *Service) HostSignOut(ctx context.Context, space *live.Space, on *session.Session) (Outcome, error) {
	ended := ""
	if on != nil {
		ended = EndedSession
	}
	out := Outcome{
		Location: afterwards(space, s.Tokens.Issuer(space.Tenant, space.ID), ended),
		Cookies: []Cookie{
			{Name: s.names.Session(space.Tenant, space.ID), Life: -1, Secure: s.names.Secure},
			{Name: s.names.Bounced(), Life: -1, Secure: s.names.Secure},
		},
	}
	if on == nil {
		return out, nil
	}
	return out, s.Sessions.End(ctx, space.Tenant, on.Root())
}
