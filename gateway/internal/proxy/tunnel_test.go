package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// echoSocket is an app that echoes messages, and tells by closed when the
// connection has ended.
func echoSocket(t *testing.T) (url string, closed chan error) {
	t.Helper()
	closed = make(chan error, 10)
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		c.SetReadLimit(1 << 22)
		for {
			kind, p, err := c.Read(context.Background())
			if err != nil {
				closed <- err
				return
			}
			if err := c.Write(context.Background(), kind, p); err != nil {
				closed <- err
				return
			}
		}
	}), closed
}

// socket opens a WebSocket through the gate.
func (g *gate) socket(headers ...string) (*websocket.Conn, *http.Response, error) {
	g.t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), 15*time.Second)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws://app.test/socket", &websocket.DialOptions{HTTPClient: g.client(), HTTPHeader: h, Subprotocols: []string{"chat"}})
	if c != nil {
		g.t.Cleanup(func() { _ = c.CloseNow() })
		c.SetReadLimit(1 << 22)
	}
	return c, res, err
}

func say(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	_, p, err := c.Read(ctx)
	if err != nil || string(p) != text {
		t.Fatalf("echo of %d bytes: %d bytes, %v", len(text), len(p), err)
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	url, closed := echoSocket(t)
	g := open(t, to(url))
	c, res, err := g.socket(signedIn()...)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subprotocol() != "chat" || res.Header.Get("X-Trace-Id") == "" {
		t.Errorf("subprotocol %q, headers %v", c.Subprotocol(), res.Header)
	}
	for _, size := range []int{1, 125, 126, 70_000, 1 << 20} {
		say(t, c, strings.Repeat("x", size))
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	if err := wait(t, "close at the app", closed); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the app saw %v", err)
	}
}

func TestWebSocketNeedsASession(t *testing.T) {
	t.Parallel()
	url, _ := echoSocket(t)
	g := open(t, to(url))
	for _, h := range [][]string{nil, {"Cookie", cookieName + "=forged"}} {
		if _, res, err := g.socket(h...); err == nil || res == nil || res.StatusCode != 401 {
			t.Errorf("%v: %v, %v", h, res, err)
		}
	}
}

// The end of a session closes its WebSockets: the client is told why, and
// nothing it says reaches the app any more.
func TestWebSocketEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cookie string
		end    func(g *gate)
		code   websocket.StatusCode
	}{
		"signed out": {aliceValue, func(g *gate) { g.door.end(aliceValue) }, 4401},
		"expired":    {"short", func(*gate) {}, 4401},
		"drained":    {aliceValue, func(g *gate) { g.proxy.Drain(context.Background()) }, websocket.StatusGoingAway},
		"shut down":  {aliceValue, func(g *gate) { g.proxy.Close() }, websocket.StatusGoingAway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, closed := echoSocket(t)
			g := open(t, to(url))
			g.door.sessions["short"] = &proxy.Identity{Session: "s", Subject: "x", Expires: time.Now().Add(300 * time.Millisecond)}
			ws, _, err := g.socket("Cookie", cookieName+"="+c.cookie)
			if err != nil {
				t.Fatal(err)
			}
			say(t, ws, "hello")
			c.end(g)
			_, _, err = ws.Read(t.Context())
			if websocket.CloseStatus(err) != c.code {
				t.Errorf("the client saw %v", err)
			}
			_ = wait(t, "close at the app", closed)
			eventually(t, "the watch to be given up", func() bool { return g.door.watching() == 0 })
		})
	}
}

// An app that does not read cannot keep its tunnel open beyond the session.
func TestStuckTunnelEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{})
			g := open(t, to(stuckApp(t, scheme, done)))
			conn, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n")
			if _, err := readHead(r); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			for { // until every buffer on the way is full
				if _, err := conn.Write(bytes.Repeat([]byte("x"), 100_000)); err != nil {
					break
				}
			}
			began := time.Now()
			g.door.end(aliceValue)
			if got := read(t, r, 4); got != "\x88\x14\x11\x31" {
				t.Errorf("close frame %q", got)
			}
			eventually(t, "the watch to be given up", func() bool { return g.door.watching() == 0 })
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			close(done)
		})
	}
}

// stuckApp switches to WebSocket and reads nothing more until done.
func stuckApp(t *testing.T, scheme string, done <-chan struct{}) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		<-done
	}))
	if scheme == "https" {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL
}

// The close frame never lands inside another frame: a session that ends in the
// middle of one closes without it.
func TestCloseFrameWaitsForTheFrameBefore(t *testing.T) {
	t.Parallel()
	sent := make(chan struct{})
	url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello\x81\x7e\x01\x00half")
		close(sent)
		_, _ = io.Copy(io.Discard, r)
	})
	g := open(t, to(url))
	_, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n")
	if head, err := readHead(r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatal(head, err)
	}
	wait(t, "frames", sent)
	want := "\x81\x05hello\x81\x7e\x01\x00half"
	if got := read(t, r, len(want)); got != want {
		t.Errorf("got %q", got)
	}
	g.door.end(aliceValue)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("inside of a frame: %q", rest)
	}
}

func TestClientLeavesWebSocket(t *testing.T) {
	t.Parallel()
	url, closed := echoSocket(t)
	g := open(t, to(url))
	c, _, err := g.socket(signedIn()...)
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "hello")
	if err := c.CloseNow(); err != nil {
		t.Error(err)
	}
	_ = wait(t, "close at the app", closed)
}

func TestAppLeavesWebSocket(t *testing.T) {
	t.Parallel()
	url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02ok")
		}
	})
	g := open(t, to(url, public))
	_, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := readHead(r); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "\x81\x02ok" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSilentTunnelEnds(t *testing.T) {
	t.Parallel()
	url, closed := echoSocket(t)
	g := open(t, to(url, func(r *route.Route) { r.Timeouts.Tunnel = store.Duration(100 * time.Millisecond) }))
	c, _, err := g.socket(signedIn()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("a message came")
	}
	_ = wait(t, "close at the app", closed)
}

func TestUpgradesThatAreNone(t *testing.T) {
	t.Parallel()
	answer101 := func(upgrade string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			head, err := readHead(r)
			if err != nil {
				return
			}
			if !strings.Contains(head, "Upgrade:") {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n"+upgrade+"\r\n")
			_, _ = io.Copy(c, r)
		}
	}
	for _, c := range []struct {
		name, request, answer string
		change                func(*route.Route)
		status                int
	}{
		{"websocket", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n", nil, 101},
		{"no Connection", "Upgrade: websocket\r\n", "", nil, 200},
		{"h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n", "", nil, 200},
		{"two protocols", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", "", nil, 200},
		{"two lines", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "", nil, 200},
		{"with a body", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", "", nil, 200},
		{"not allowed", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "", func(r *route.Route) { r.Upgrades = []string{} }, 200},
		{"another one allowed", "Connection: Upgrade\r\nUpgrade: spdy/3.1\r\n", "Connection: upgrade\r\nUpgrade: SPDY/3.1\r\n", func(r *route.Route) { r.Upgrades = []string{"spdy/3.1"} }, 101},
		{"switched to something else", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n", nil, 502},
		{"switched to nothing", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "", nil, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := to(rawApp(t, answer101(c.answer)), public)
			if c.change != nil {
				c.change(&r)
			}
			g := open(t, r)
			conn, in := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\n" + c.request + "\r\nabc")
			head, err := readHead(in)
			if err != nil || !strings.HasPrefix(head, "HTTP/1.1 "+map[int]string{101: "101", 200: "200", 502: "502"}[c.status]) {
				t.Fatalf("%v\n%s", err, head)
			}
			if c.status == 101 { // what came with the head is the first of the tunnel
				if got := read(t, in, 3); got != "abc" {
					t.Errorf("echo %q", got)
				}
				_, _ = conn.Write([]byte("def"))
				if got := read(t, in, 3); got != "def" {
					t.Errorf("echo %q", got)
				}
			}
		})
	}
}

// An app that refuses an upgrade answers as to any request.
func TestRefusedUpgrade(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no sockets here", http.StatusUpgradeRequired)
	}), public))
	_, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	for range 2 {
		if res, body := answer(t, r); res.StatusCode != 426 || body != "no sockets here\n" {
			t.Errorf("%s %q", res.Status, body)
		}
	}
}

// A client that sends and leaves gets its last words to the app.
func TestTunnelHalfClose(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 1)
	url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		b, _ := io.ReadAll(r)
		got <- b
		_, _ = io.WriteString(c, "and good bye")
	})
	g := open(t, to(url, public))
	conn, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if _, err := readHead(r); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "last words")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b := wait(t, "last words", got); !bytes.Equal(b, []byte("last words")) {
		t.Errorf("the app got %q", b)
	}
	if b, err := io.ReadAll(r); err != nil && !errors.Is(err, io.EOF) || string(b) != "and good bye" {
		t.Errorf("the client got %q, %v", b, err)
	}
}
