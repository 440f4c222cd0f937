package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const (
	cookieName = "gp-0a1b2c3d"
	aliceValue = "alice-secret"
	tokenValue = "alice-token"
)

// stub is a Door over a few identities.
type stub struct {
	mu         sync.Mutex
	sessions   map[string]*proxy.Identity
	tokens     map[string]*proxy.Identity
	watchers   map[int]func()
	next       int
	watched    chan struct{} // one for each Watch
	assertions atomic.Int64
	err        error    // what Session returns instead
	tried      []string // last
	loop       bool
	targets    []string
	calls      []proxy.Browser
}

var _ proxy.Door = (*stub)(nil)

func newStub() *stub {
	return &stub{
		sessions: map[string]*proxy.Identity{aliceValue: alice()}, tokens: map[string]*proxy.Identity{tokenValue: alice()},
		watchers: map[int]func(){}, watched: make(chan struct{}, 1000),
	}
}

func alice() *proxy.Identity {
	return &proxy.Identity{
		Session: "s1", Subject: "sub-alice", Username: "alice@example.com", Email: "alice@example.com", Name: "Alice Ä.", Groups: []string{"staff", "ops"},
		Expires: time.Now().Add(time.Hour), Tenant: "acme", Workspace: "web",
		Attribute: func(path string) (string, bool) { return "red", path == "business_metadata.team" },
	}
}

func (d *stub) CookieName(*route.Route) string { return cookieName }

func (d *stub) Session(_ context.Context, _ *route.Route, cookies []string) (*proxy.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tried = cookies; d.err != nil {
		return nil, d.err
	}
	for _, c := range cookies {
		if id := d.sessions[c]; id != nil {
			return id, nil
		}
	}
	return nil, fault.New(fault.Unauthenticated, "no session", nil)
}

func (d *stub) Bearer(_ context.Context, _ *route.Route, token string) (*proxy.Identity, error) {
	if id := d.tokens[token]; id != nil {
		return id, nil
	}
	return nil, fault.New(fault.Unauthenticated, "bad token", nil)
}

func (d *stub) Begin(_ context.Context, _ *route.Route, target string, b proxy.Browser) (proxy.Redirect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = append(d.targets, target)
	d.calls = append(d.calls, b)
	if d.loop {
		return proxy.Redirect{}, &proxy.LoopError{Cookie: cookieName, Host: b.Host}
	}
	return proxy.Redirect{Location: "https://id.example/authorize", Cookies: []web.Cookie{{Name: "gp-flow-1", Value: "sealed"}}}, nil
}

func (d *stub) Callback(_ context.Context, _ *route.Route, q url.Values, b proxy.Browser) (proxy.Redirect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, b)
	if len(b.Values("gp-flow-1")) == 0 {
		return proxy.Redirect{}, fault.New(fault.Denied, "This sign-in link is not yours.", nil)
	}
	return proxy.Redirect{Location: q.Get("to"), Cookies: []web.Cookie{{Name: cookieName, Value: aliceValue}}}, nil
}

func (d *stub) SignOut(_ context.Context, _ *route.Route, id *proxy.Identity, _ proxy.Browser) (proxy.Redirect, error) {
	if id != nil {
		d.end(aliceValue)
	}
	return proxy.Redirect{Location: "https://id.example/signed-out", Cookies: []web.Cookie{{Name: cookieName, MaxAge: -1}}}, nil
}

func (d *stub) Assertion(_ context.Context, id *proxy.Identity, audience string) (string, error) {
	d.assertions.Add(1)
	return "assertion-of-" + id.Subject + "-for-" + audience, nil
}

func (d *stub) Watch(_ *proxy.Identity, ended func()) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	n := d.next
	d.watchers[n] = ended
	d.watched <- struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, n)
	}
}

// end ends a session and everything that watches.
func (d *stub) end(cookie string) {
	d.mu.Lock()
	delete(d.sessions, cookie)
	var all []func()
	for _, f := range d.watchers {
		all = append(all, f)
	}
	d.mu.Unlock()
	for _, f := range all {
		f()
	}
}

func (d *stub) watching() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.watchers)
}

func (d *stub) lastBrowser() proxy.Browser {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[len(d.calls)-1]
}

// gate is a proxy behind a listener.
type gate struct {
	t      *testing.T
	addr   string
	scheme string
	door   *stub
	proxy  *proxy.Proxy
	table  atomic.Pointer[route.Table]
	told   chan string // by Decided and Answered
}

// open starts a proxy with routes; hosts are *.test.
func open(t *testing.T, routes ...route.Route) *gate {
	t.Helper()
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, ln, "http", routes...)
}

// openTLS is open behind a TLS listener.
func openTLS(t *testing.T, routes ...route.Route) *gate {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	config := &tls.Config{Certificates: s.TLS.Certificates}
	s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, tls.NewListener(ln, config), "https", routes...)
}

func openOn(t *testing.T, ln net.Listener, scheme string, routes ...route.Route) *gate {
	t.Helper()
	g := &gate{t: t, door: newStub(), scheme: scheme, told: make(chan string, 10_000)}
	g.set(routes...)
	server := web.New(web.Config{Expect: func(v web.Visit, h *fasthttp.RequestHeader) int { return g.proxy.Expect(v, h) }})
	g.proxy = proxy.New(proxy.Config{
		Table: g.table.Load, Door: g.door, Errors: server.Errors(), TLS: &tls.Config{InsecureSkipVerify: true},
		Decided: g.tell, Answered: func(outcome string, _ time.Duration) { g.tell(outcome) },
	})
	server.App().Use(web.Hosts{Own: func() []string { return []string{"http://id.test"} }, App: g.proxy.App}.Handler(server.Errors()))
	g.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		g.proxy.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return g
}

// tell keeps what the proxy told, as long as there is room.
func (g *gate) tell(outcome string) {
	select {
	case g.told <- outcome:
	default:
	}
}

func (g *gate) set(routes ...route.Route) {
	g.t.Helper()
	for i := range routes {
		routes[i] = routes[i].Normal()
	}
	table, bad := route.Compile(route.Source{Scheme: g.scheme, Routes: routes})
	if len(bad) > 0 {
		g.t.Fatal(bad)
	}
	g.table.Store(table)
}

// to is a signed-in route of app.test to an upstream.
func to(upstream string, change ...func(*route.Route)) route.Route {
	r := route.Route{
		Tenant: "acme", Workspace: "web", Source: route.FromFile, Host: "app.test", PathPrefix: "/", Upstream: upstream, Assertion: true,
		Timeouts: route.Timeouts{Connect: store.Duration(2 * time.Second), Response: store.Duration(20 * time.Second)},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func public(r *route.Route) { r.Policy = route.Public }

// on moves a route to another host.
func on(host string) func(*route.Route) { return func(r *route.Route) { r.Host = host } }

// app starts an upstream.
func app(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// rawApp starts an upstream that talks for itself, once a connection.
func rawApp(t *testing.T, talk func(c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				talk(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return "http://" + ln.Addr().String()
}

// request makes a request for a host of the gate.
func (g *gate) request(method, target string, body io.Reader, headers ...string) *http.Request {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, target, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// signedIn is the header pair of a live session.
func signedIn() []string { return []string{"Cookie", cookieName + "=" + aliceValue} }

// client dials the gate whatever the host is, and follows no redirect.
func (g *gate) client() *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", g.addr)
	}, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	g.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends a request on a connection of its own and reads the whole answer.
func (g *gate) do(req *http.Request) (*http.Response, string) {
	g.t.Helper()
	req.Close = true
	res, err := g.client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res, string(body)
}

// get sends a GET and reads the answer.
func (g *gate) get(target string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	return g.do(g.request("GET", target, nil, headers...))
}

// raw sends bytes on a connection of its own and returns it.
func (g *gate) raw(text string) (net.Conn, *bufio.Reader) {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		g.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// answer reads one response.
func answer(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// wait fails the test when ch does not deliver soon.
func wait[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(15 * time.Second):
		t.Fatal("timed out: " + what)
		panic("unreachable")
	}
}

// eventually polls a condition that no channel tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("timed out: " + what)
		}
	}
}

// echoHeaders answers with the request as it arrived, header lines sorted by
// Go; Host and target first.
func echoHeaders(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.RequestURI + "\nHost: " + r.Host + "\n")
	_ = r.Header.Write(&b)
	_, _ = io.WriteString(w, b.String())
}

var errTest = errors.New("test")
