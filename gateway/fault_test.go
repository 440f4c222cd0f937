package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// plant is a running gateway with the demo's users on a store that can fail.
type plant struct {
	*Gateway
	about setup.Demo
	store *storetest.Faulty
	ahead atomic.Int64 // of the real clock, nanoseconds
	http  *http.Client
}

func (p *plant) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

func grow(t *testing.T) *plant {
	t.Helper()
	return growWith(t, func(*config.Config) {})
}

// growWith is grow with another configuration.
func growWith(t *testing.T, change func(*config.Config)) *plant {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "app for "+r.Header.Get("X-Auth-Request-Email"))
	}))
	t.Cleanup(upstream.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := config.Default()
	cfg.BaseURL, cfg.Listen.Ops.Address, cfg.DataDir = "http://localhost:"+port, config.Off, config.Path(dir)
	cfg.Keys.File = config.Path(filepath.Join(dir, "keys"))
	change(&cfg)
	if cfg, err = config.Finish(cfg); err != nil {
		t.Fatal(err)
	}
	p := &plant{store: storetest.NewFaulty(storetest.Memory(t))}
	ctx, stop := context.WithCancel(t.Context())
	p.Gateway, err = New(ctx, Config{Config: cfg, Listener: ln, Now: p.now, demo: true, driver: p.store})
	if err != nil {
		t.Fatal(err)
	}
	p.about, err = p.setup.Demo(ctx, setup.DemoConfig{Base: cfg.BaseURL, AppHost: "app.localhost:" + port, AppUpstream: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.routes.Create(ctx, route.Route{
		Tenant: p.about.Tenant, Workspace: p.about.Workspace, Host: "easy.localhost:" + port, Upstream: upstream.URL, WhenStale: route.Serve,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		p.store.Up()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	p.http = p.browser(t)
	return p
}

func (p *plant) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.Addr())
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial}, Timeout: 20 * time.Second}
}

func (p *plant) app(host string) string {
	return strings.Replace(p.cfg.BaseURL, "localhost", host+".localhost", 1) + "/"
}

func (p *plant) get(t *testing.T, c *http.Client, address string) (int, string, *url.URL) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Request.URL
}

var csrf = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

// signIn opens an app and gives the right password; it returns the last status.
func (p *plant) signIn(t *testing.T, c *http.Client, host string) int {
	t.Helper()
	status, _ := p.signInAt(t, c, p.app(host))
	return status
}

// signInAt is signIn for an address, with the last body.
func (p *plant) signInAt(t *testing.T, c *http.Client, address string) (int, string) {
	t.Helper()
	status, body, at := p.get(t, c, address)
	if status == http.StatusServiceUnavailable { // the page itself needs the store
		return status, body
	}
	found := csrf.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no sign-in page: %d %s", status, body)
	}
	u := p.about.Users[0]
	form := url.Values{"csrf_token": {found[1]}, "identifier": {u.Identifier}, "password": {u.Password}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.cfg.BaseURL)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// When the store goes away, people who are signed in go on until revocations
// may have been missed; nobody new comes in, and nothing is half-written.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	p := grow(t)
	for _, host := range []string{"app", "easy"} {
		c := p.http
		if host == "easy" {
			if status, _, _ := p.get(t, c, p.app(host)); status != http.StatusOK { // single sign-on
				t.Fatalf("%s: %d", host, status)
			}
			continue
		}
		if status := p.signIn(t, c, host); status != http.StatusOK {
			t.Fatalf("%s: %d", host, status)
		}
	}
	stranger := p.browser(t)
	status, body, at := p.get(t, stranger, p.app("app")) // the page is open when the store goes
	if status != http.StatusOK || csrf.FindString(body) == "" {
		t.Fatalf("%d at %s", status, at)
	}
	p.store.Down(store.ErrUnavailable)
	if status, body, _ := p.get(t, p.http, p.app("app")); status != http.StatusOK || body != "app for alice@example.com" {
		t.Errorf("a warm session: %d %s", status, body)
	}
	if status := p.signIn(t, stranger, "app"); status != http.StatusServiceUnavailable {
		t.Errorf("a new sign-in: %d, want 503", status)
	}
	p.ahead.Add(int64(11 * time.Second)) // beyond max_stale
	if status, _, _ := p.get(t, p.http, p.app("app")); status != http.StatusServiceUnavailable {
		t.Errorf("beyond max_stale: %d, want 503", status)
	}
	if status, _, _ := p.get(t, p.http, p.app("easy")); status != http.StatusOK {
		t.Errorf("beyond max_stale on a route that would rather serve: %d", status)
	}
	p.store.Up()
	if err := p.log.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := p.get(t, p.http, p.app("app")); status != http.StatusOK {
		t.Errorf("after the store came back: %d", status)
	}
	if status := p.signIn(t, stranger, "app"); status != http.StatusOK {
		t.Errorf("a new sign-in after the store came back: %d", status)
	}
}

func (p *plant) token(t *testing.T, name setup.DemoClient) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, name.TokenURL, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(name.ClientID, name.ClientSecret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var set struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return set.AccessToken
}

// A flag takes effect within a second, without a restart.
func TestFlagTakesEffect(t *testing.T) {
	t.Parallel()
	p := grow(t)
	root := p.token(t, p.about.Clients.Root)
	for _, value := range []bool{true, false} {
		body := `{"flag":"custom_apps","value":` + map[bool]string{true: "true", false: "false"}[value] + `}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.cfg.BaseURL+"/api/admin/tenants/"+p.about.Tenant+"/feature", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+root)
		resp, err := p.browser(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("setTenantFeature: %d", resp.StatusCode)
		}
		if on, err := p.flags.On(t.Context(), p.about.Tenant, "custom_apps"); err != nil || on != value {
			t.Errorf("custom_apps is %v after it was set to %v (%v)", on, value, err)
		}
	}
}

// A gateway that is told to end before it has begun ends all the same.
func TestEndBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	for range 20 {
		dir := t.TempDir()
		cfg := config.Default()
		cfg.Listen.Public.Address, cfg.Listen.Ops.Address, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", config.Path(dir)
		cfg, err := config.Finish(cfg)
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(t.Context(), Config{Config: cfg, driver: storetest.Memory(t)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go stop() // at once, or a moment later
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it runs on")
		}
	}
}
