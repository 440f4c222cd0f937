package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) has(t *testing.T, words ...string) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return
		}
	}
	t.Errorf("no line of the log has %q:\n%s", words, l)
}

// settings returns the example configuration with the routes that it shows, on
// free ports. upstream stands behind them.
func settings(t *testing.T, upstream string) config.Config {
	t.Helper()
	text, err := os.ReadFile("../examples/gatepost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, routes, ok := strings.Cut(string(text), "#routes:\n")
	if !ok {
		t.Fatal("the example shows no routes")
	}
	routes = regexp.MustCompile(`(?m)^#( {2,}\S)`).ReplaceAllString(routes, "$1")
	routes = strings.Replace(routes, "http://10.0.0.5:3000", upstream, 1)
	path := filepath.Join(t.TempDir(), "gatepost.yaml")
	if err := os.WriteFile(path, []byte(head+"routes:\n"+routes), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, []string{"GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:0", "GATEPOST_LISTEN__OPS__ADDRESS=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// begin starts a gateway, on its own store or on db; stop ends it, as the test's
// end does.
func begin(t *testing.T, cfg config.Config, db store.Driver) (p *plant, log *lines, stop func()) {
	t.Helper()
	log = &lines{}
	ctx, cancel := context.WithCancel(t.Context())
	p = &plant{}
	var err error
	p.Gateway, err = New(ctx, Config{Config: cfg, Log: slog.New(slog.NewTextHandler(log, nil)), Now: p.now, driver: db})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	p.http = p.browser(t)
	return p, log, stop
}

// call calls the API, which answers with the status want.
func (p *plant) call(t *testing.T, token, method, path, body string, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.cfg.BaseURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != want {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
}

// TestFirstApp: an empty installation starts with routes in its configuration
// whose workspace nobody could make yet; they work as soon as there is one, and
// their end is not the gateway's.
func TestFirstApp(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "wiki for "+r.Header.Get("X-Auth-Request-Preferred-Username"))
	}))
	t.Cleanup(upstream.Close)
	cfg := settings(t, upstream.URL)
	cfg.Hosts = []config.Host{{Host: "intranet.example.com", Tenant: "default", Workspace: "default"}}
	p, log, stop := begin(t, cfg, nil)
	log.has(t, "level=WARN", "routes[0]", "default/default")
	log.has(t, "level=WARN", "hosts[0]", "default/default")
	const wiki = "http://wiki.example.com/"
	if status, _, _ := p.get(t, p.http, wiki); status != http.StatusMisdirectedRequest {
		t.Errorf("before the set-up: %d", status)
	}

	made, err := p.setup.Unattended(t.Context(), setup.Answers{})
	if err != nil {
		t.Fatal(err)
	}
	token := p.token(t, setup.DemoClient{ClientID: made.Client.ClientID, ClientSecret: made.Client.ClientSecret, TokenURL: made.TokenURL})
	p.call(t, token, http.MethodPost, "/api/admin/default/servers", `{"id":"default","name":"Default"}`, http.StatusCreated)
	if status, _, at := p.get(t, p.http, wiki); status == http.StatusMisdirectedRequest || at.Host != "localhost:8080" {
		t.Errorf("right after the workspace was made: %d at %s", status, at)
	}
	p.call(t, token, http.MethodPost, "/api/identity/default/admin/workspace/default/pools?with_idp=true", `{"id":"people","name":"People"}`, http.StatusCreated)
	p.call(t, token, http.MethodPost, "/api/identity/default/admin/pools/people/users", `{"status":"active",
		"identifiers":[{"type":"email","identifier":"carol@example.com"}],
		"credentials":[{"type":"password","password":"correct horse battery staple"}]}`, http.StatusCreated)
	p.about.Users = []setup.DemoUser{{Identifier: "carol@example.com", Password: "correct horse battery staple"}}
	if status, body := p.signInAt(t, p.browser(t), wiki); status != http.StatusOK || body != "wiki for carol@example.com" {
		t.Errorf("the app: %d %s", status, body)
	}
	host := `{"host":"intranet.example.com"}`
	p.call(t, token, http.MethodPost, "/api/admin/default/servers/admin/hosts", host, http.StatusConflict)
	p.call(t, token, http.MethodDelete, "/api/admin/default/servers/default", "", http.StatusNoContent)
	if status, _, _ := p.get(t, p.http, wiki); status != http.StatusMisdirectedRequest {
		t.Errorf("after the workspace's end: %d", status)
	}
	stop()
	p, log, _ = begin(t, cfg, nil)
	log.has(t, "level=WARN", "routes[0]", "default/default")
	if status, _, _ := p.get(t, p.http, wiki); status != http.StatusMisdirectedRequest {
		t.Errorf("after the next start: %d", status)
	}
}

// TestSetUpElsewhere: another gateway on the same store is just being set up.
// This one serves all the same.
func TestSetUpElsewhere(t *testing.T) {
	t.Parallel()
	cfg, db := settings(t, "http://127.0.0.1:1"), storetest.Memory(t)
	cfg.Routes = nil
	type lease struct {
		Run   string    `json:"run"`
		Lease time.Time `json:"lease"`
	}
	records, err := store.Declare(t.Context(), store.New(db, time.Now), store.Spec[lease]{Name: "setup"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = records.Create(t.Context(), tenant.Root, "first", lease{Run: "other", Lease: time.Now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	p, log, _ := begin(t, cfg, db)
	if status, _, _ := p.get(t, p.http, p.cfg.BaseURL+"/system/admin/.well-known/openid-configuration"); status != http.StatusOK {
		t.Errorf("it answers %d", status)
	}
	log.has(t, "level=WARN", "setup-link", "Somebody is setting this gateway up")
}

// TestUpstreamIsNoListener: a route leads to no listener of the gateway itself,
// however its address is spelt; Linux takes the unspecified ones to loopback.
func TestUpstreamIsNoListener(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "http://127.0.0.1:1")
	cfg.Routes = nil
	p, _, _ := begin(t, cfg, nil)
	_, port, err := net.SplitHostPort(p.OpsAddr())
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []string{"127.0.0.1", "0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[::ffff:127.0.0.1]"} {
		host := fmt.Sprintf("a%d.example.com", i)
		_, err := p.routes.Create(t.Context(), route.Route{
			Tenant: tenant.Root, Workspace: tenant.Admin, Host: host, Upstream: "http://" + a + ":" + port, Policy: route.Public,
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, body, _ := p.get(t, p.http, "http://"+host+"/healthz"); status != http.StatusBadGateway {
			t.Errorf("%s: %d %s", a, status, body)
		}
	}
}
