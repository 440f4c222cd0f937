package signintest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/openid"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/portal"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// SiteBase is the base URL of every Site.
const SiteBase = "http://id.localhost"

// Site is a world that answers HTTP with its pages and its OpenID endpoints.
type Site struct {
	*World
	Rates *limit.Rates // of its pages
	addr  string
}

// Serve returns a site on a listener that is closed when the test ends.
func Serve(t testing.TB) *Site {
	t.Helper()
	w := New(t, SiteBase)
	pages, err := page.New()
	w.OK(err)
	rates, err := limit.OpenRates(t.Context(), w.Store, limit.RatesConfig{Now: w.Now})
	w.OK(err)
	srv := web.New(web.Config{Page: pages.Problem, Unavailable: []error{store.ErrUnavailable}, NoAccessLog: true})
	people := &portal.Portal{
		Base: w.Base, Signin: w.Signin, Live: w.Live, Pools: w.Pools.Pools, Schemas: w.Pools.Schemas, SelfService: w.SelfService,
		Setup: w.Setup, Pages: pages, Now: w.Now,
		Errors: srv.Errors(), Ring: w.Ring, Rates: rates,
	}
	oauth := &openid.Handler{Position: func() uint64 { return 1 }, Signin: w.Signin, Live: w.Live, Clients: w.Clients.Clients, Errors: srv.Errors(), Go: people.Go, Browser: portal.Browser}
	oauth.Mount(srv.App())
	people.Mount(srv.App())
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	w.OK(err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = ln.Close() // when the test ended before it was served
		if err := <-done; err != nil {
			t.Log(err) // it was closed before it served
		}
	})
	return &Site{World: w, Rates: rates, addr: ln.Addr().String()}
}

// Tab is a browser that goes where it is told and follows nothing by itself.
type Tab struct {
	s      *Site
	client *http.Client
	Jar    *cookiejar.Jar
}

// Tab returns a browser without cookies.
func (s *Site) Tab() *Tab {
	s.T.Helper()
	jar, err := cookiejar.New(nil)
	s.OK(err)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr)
	}}
	s.T.Cleanup(transport.CloseIdleConnections)
	return &Tab{s: s, Jar: jar, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is a response that was read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Location is where the answer leads.
func (a Answer) Location() *url.URL {
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		return &url.URL{}
	}
	return u
}

// Send sends a request; headers are names and values in turn.
func (t *Tab) Send(method, to, body string, headers ...string) Answer {
	t.s.T.Helper()
	if strings.HasPrefix(to, "/") {
		to = SiteBase + to
	}
	req, err := http.NewRequestWithContext(t.s.T.Context(), method, to, strings.NewReader(body))
	t.s.OK(err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := t.client.Do(req)
	t.s.OK(err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	t.s.OK(err)
	return Answer{res.StatusCode, res.Header, string(raw)}
}

// Get gets an address or a path.
func (t *Tab) Get(to string, headers ...string) Answer {
	t.s.T.Helper()
	return t.Send(http.MethodGet, to, "", headers...)
}

// Post sends a form.
func (t *Tab) Post(to string, form url.Values, headers ...string) Answer {
	t.s.T.Helper()
	return t.Send(http.MethodPost, to, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// Ask is an authorization request of the demo's public client, with the
// parameters that more replaces; empty ones are left out.
func Ask(more url.Values) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {"demo-public"}, "redirect_uri": {Callback}, "scope": {"openid email"},
		"state": {"st"}, "nonce": {"no"}, "code_challenge": {Challenge}, "code_challenge_method": {"S256"},
	}
	for name, v := range more {
		q[name] = v
		if len(v) == 1 && v[0] == "" {
			q.Del(name)
		}
	}
	return q
}

// AuthorizePath is the authorization endpoint with a request.
func AuthorizePath(q url.Values) string { return "/default/default/oauth2/authorize?" + q.Encode() }

// Begin asks for sign-in and returns the address of the page that comes.
func (t *Tab) Begin() string {
	t.s.T.Helper()
	a := t.Get(AuthorizePath(Ask(nil)))
	if a.Status != http.StatusSeeOther || a.Location().Query().Get("login_id") == "" {
		t.s.T.Fatalf("authorize: %d %s", a.Status, a.Body)
	}
	return a.Location().String()
}

// SignIn types a name and a password into the page at to.
func (t *Tab) SignIn(to, name, password string, headers ...string) Answer {
	t.s.T.Helper()
	u, err := url.Parse(to)
	t.s.OK(err)
	return t.Post(to, url.Values{
		"csrf_token": {u.Query().Get("login_state")}, "identifier": {name}, "password": {password},
	}, headers...)
}
