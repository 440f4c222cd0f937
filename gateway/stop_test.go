package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// patient is a gateway before Run with one public app that answers a request
// when release is closed, and switches to WebSocket when asked to.
type patient struct {
	*Gateway
	host    string
	arrived chan struct{}
	release chan struct{}
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{arrived: make(chan struct{}, 10), release: make(chan struct{})}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		p.arrived <- struct{}{}
		select {
		case <-p.release:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(app.Close)
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Listen.Public.Address, cfg.Listen.Ops.Address, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", config.Path(dir)
	cfg, err := config.Finish(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.Gateway, err = New(t.Context(), Config{Config: cfg, demo: true, driver: storetest.Memory(t)}); err != nil {
		t.Fatal(err)
	}
	about, err := p.setup.Demo(t.Context(), setup.DemoConfig{Base: cfg.BaseURL, AppHost: "app.localhost", AppUpstream: app.URL})
	if err != nil {
		t.Fatal(err)
	}
	p.host = "open.localhost"
	_, err = p.routes.Create(t.Context(), route.Route{Tenant: about.Tenant, Workspace: about.Workspace, Host: p.host, Upstream: app.URL, Policy: route.Public})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send sends a request on a connection of its own.
func (p *patient) send(t *testing.T, head string) *bufio.Reader {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.ReplaceAll(head, "HOST", p.host)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(c)
}

const (
	somePost   = "POST / HTTP/1.1\r\nHost: HOST\r\nAccept: text/html\r\nContent-Length: 3\r\n\r\na=b"
	someSocket = "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

func response(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// A stop lets requests end that are under way, and says good-bye to WebSockets
// before their connections are closed.
func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	post, socket := p.send(t, somePost), p.send(t, someSocket)
	<-p.arrived
	if res, _ := response(t, socket); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	stop()
	if b, err := io.ReadAll(socket); err != nil || !strings.HasPrefix(string(b), "\x88\x14\x03\xe9") {
		t.Errorf("the WebSocket ended with %q, %v", b, err)
	}
	close(p.release)
	if res, text := response(t, post); res.StatusCode != http.StatusOK || text != "done" {
		t.Errorf("%s %s", res.Status, text)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What takes too long is cut, and told so while there is time.
func TestStopCutsInTheEnd(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	post := p.send(t, somePost)
	<-p.arrived
	go p.drain(t.Context(), lastWords+100*time.Millisecond)
	res, text := response(t, post)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, res.Header.Get("X-Trace-Id")) || len(res.Cookies()) > 0 {
		t.Errorf("%s %s", res.Status, text)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// kept tells whether its store was closed.
type kept struct {
	store.Driver
	closed atomic.Bool
	once   sync.Once
}

func (k *kept) Close() (err error) {
	k.closed.Store(true)
	k.once.Do(func() { err = k.Driver.Close() })
	return err
}

// reapers counts the goroutines of proxies.
func reapers() int {
	buf := make([]byte, 1<<22)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "proxy.(*Proxy).reap(")
}

// Not parallel: it counts goroutines.
func TestNewLeavesNothingBehind(t *testing.T) {
	before := reapers()
	cfg := config.Default()
	cfg.Listen.Public.Address, cfg.Listen.Ops.Address = "127.0.0.1:0", "127.0.0.1:0"
	for name, dir := range map[string]string{"no room for a socket": filepath.Join(t.TempDir(), strings.Repeat("x", 120)), "closed": t.TempDir()} {
		cfg.DataDir, cfg.Keys.File = config.Path(dir), config.Path(filepath.Join(t.TempDir(), "keys"))
		full, err := config.Finish(cfg)
		if err != nil {
			t.Fatal(err)
		}
		k := &kept{Driver: storetest.Memory(t)}
		g, err := New(t.Context(), Config{Config: full, driver: k})
		if (err == nil) != (name == "closed") {
			t.Fatal(name, err)
		}
		if err == nil {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := reapers(); n != before || !k.closed.Load() {
			t.Errorf("%s: %d proxies are left, store closed: %v", name, n-before, k.closed.Load())
		}
	}
}

// Not parallel: it counts goroutines.
func TestDemoLeavesNothingBehind(t *testing.T) {
	before, last := reapers(), 0
	for _, fail := range []bool{false, true} {
		k := &kept{Driver: storetest.Memory(t)}
		faulty := storetest.NewFaulty(k)
		if fail { // the last call is that of loading the routes
			faulty.Fail(storetest.OpAny, "", last, nil)
		}
		var lns [2]net.Listener
		for i := range lns {
			var err error
			if lns[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = lns[i].Close() }()
		}
		g, _, err := openDemo(t.Context(), DemoConfig{Config: config.Default(), Data: t.TempDir(), driver: faulty}, lns[0], lns[1])
		if fail != errors.Is(err, store.ErrUnavailable) {
			t.Fatal(fail, err)
		}
		if last = faulty.Calls(storetest.OpAny); !fail {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := reapers(); n != before || !k.closed.Load() {
			t.Errorf("failed %v: %d proxies are left, store closed: %v", fail, n-before, k.closed.Load())
		}
	}
}
