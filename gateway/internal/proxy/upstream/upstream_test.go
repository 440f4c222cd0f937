package upstream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
)

// patient never gives up.
type patient struct{}

func (patient) Tick() error { return nil }

// impatient gives up at its first tick.
type impatient struct{}

var errEnough = errors.New("enough")

func (impatient) Tick() error { return errEnough }

// server runs talk for every connection to a listener of its own.
func server(t *testing.T, talk func(c net.Conn, r *bufio.Reader)) *upstream.Pool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c, bufio.NewReader(c))
			}()
		}
	}()
	pool := upstream.NewPool(upstream.Target{Address: ln.Addr().String()})
	t.Cleanup(func() { pool.Close(); ln.Close(); <-done })
	return pool
}

// says answers every request on a connection with the same bytes and closes it
// after the last of n.
func says(answer string, n int) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		for range n {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

func take(t *testing.T, p *upstream.Pool) *upstream.Conn {
	t.Helper()
	c := p.Take()
	if c == nil {
		var err error
		if c, err = p.Dial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Begin(10*time.Millisecond, time.Minute)
	return c
}

// ask sends a request and reads the whole answer.
func ask(t *testing.T, c *upstream.Conn, method string) (*upstream.Head, string, error) {
	t.Helper()
	if err := c.Write([]byte(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		return nil, "", err
	}
	h, err := c.ReadHead(patient{}, method, false)
	if err != nil {
		return nil, "", err
	}
	kept := *h
	if b, ok := c.Whole(); ok {
		return &kept, string(b), nil
	}
	var body strings.Builder
	for {
		p, err := c.Next(patient{})
		if errors.Is(err, io.EOF) {
			return &kept, body.String(), nil
		}
		if err != nil {
			return &kept, body.String(), err
		}
		body.Write(p)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10_000)
	for _, c := range []struct {
		name, method, answer string
		status               int
		body                 string
		reused               bool
	}{
		{"fixed", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
		{"fixed and long", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, 200, long, true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
		{"no reason", "GET", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, "", true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200, "abcde", true},
		{"chunked with trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", 200, "abc", true},
		{"chunked and long", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n186A0\r\n" + long + "\r\n0\r\n\r\n", 200, long, true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false},
		{"connection close", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		{"old version", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		{"old version kept", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"both framings", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc", false},
		{"same length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", true},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200, "", true},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304, "", true},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		{"no content with one", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil", 204, "", false},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"more than announced", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, "ok", false},
		{"HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 2
			if c.name == "until close" {
				n = 1
			}
			p := server(t, says(c.answer, n))
			conn := take(t, p)
			h, body, err := ask(t, conn, c.method)
			if err != nil {
				t.Fatal(err)
			}
			if h.Status != c.status || body != c.body {
				t.Errorf("got %d with %d bytes, want %d with %d", h.Status, len(body), c.status, len(c.body))
			}
			p.Put(conn)
			if got := p.Waiting() == 1; got != c.reused {
				t.Fatalf("kept for another request: %v", got)
			}
			if c.reused {
				if _, body, err := ask(t, take(t, p), c.method); err != nil || body != c.body {
					t.Errorf("second exchange: %q, %v", body, err)
				}
			}
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"not HTTP":             "SSH-2.0-OpenSSH_9\r\n\r\n",
		"HTTP/2":               "HTTP/2.0 200 OK\r\n\r\n",
		"short status":         "HTTP/1.1 20\r\n\r\n",
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"list of lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
		"negative length":      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"huge length":          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"other coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"two codings":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding in 1.0":        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"folded":               "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"space before colon":   "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
		"no colon":             "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"control character":    "HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n",
		"CR inside":            "HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n",
		"upgrade unasked":      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"only interim":         strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 30),
		"endless head":         "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 100),
		"chunk without size":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc",
		"chunk size signed":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
		"chunk size huge":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
		"chunk line with LF":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
		"chunk too long":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
		"chunk extension huge": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 5000) + "\r\nabc\r\n0\r\n\r\n",
		"trailer huge":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X-A: b\r\n", 20_000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := server(t, says(answer, 1))
			conn := take(t, p)
			_, _, err := ask(t, conn, "GET")
			if !errors.Is(err, upstream.ErrMalformed) {
				t.Errorf("got %v", err)
			}
			p.Put(conn)
			if p.Waiting() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestEarlyEnd(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":      "",
		"in the head":  "HTTP/1.1 200 OK\r\nContent-Le",
		"in the body":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"in a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"before the 0": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
		"before CRLF":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := server(t, says(answer, 1))
			conn := take(t, p)
			if _, _, err := ask(t, conn, "GET"); !errors.Is(err, upstream.ErrClosed) {
				t.Errorf("got %v", err)
			}
			if conn.Answered() != (name != "nothing") {
				t.Errorf("Answered() = %v", conn.Answered())
			}
			p.Put(conn)
			if p.Waiting() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

// Bytes that arrive while a connection waits belong to no request: it is not
// used again.
func TestUnaskedBytesWhileIdle(t *testing.T) {
	t.Parallel()
	push, pushed := make(chan struct{}), make(chan struct{})
	p := server(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-push
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		close(pushed)
		_, _ = io.Copy(io.Discard, r)
	})
	conn := take(t, p)
	if _, _, err := ask(t, conn, "GET"); err != nil {
		t.Fatal(err)
	}
	p.Put(conn)
	if p.Waiting() != 1 {
		t.Fatal("not kept")
	}
	close(push)
	<-pushed
	if got := p.Take(); got != nil {
		t.Error("a connection with bytes that nobody asked for was taken")
	}
}

func TestClosedWhileIdle(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	p := server(t, func(c net.Conn, r *bufio.Reader) {
		says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1)(c, r)
		c.Close()
		close(closed)
	})
	conn := take(t, p)
	if _, _, err := ask(t, conn, "GET"); err != nil {
		t.Fatal(err)
	}
	p.Put(conn)
	<-closed
	if p.Take() != nil {
		t.Error("a closed connection was taken")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
	p := upstream.NewPool(upstream.Target{Address: s.Listener.Addr().String(), TLS: config})
	defer p.Close()
	first := take(t, p)
	for i := range 3 {
		conn := first
		if i > 0 {
			conn = p.Take()
			if conn != first {
				t.Fatalf("exchange %d is on another connection", i)
			}
			conn.Begin(time.Second, time.Minute)
		}
		if _, body, err := ask(t, conn, "GET"); err != nil || body != "ok" {
			t.Fatalf("%q, %v", body, err)
		}
		p.Put(conn)
	}
	other := upstream.NewPool(upstream.Target{Address: s.Listener.Addr().String(), TLS: &tls.Config{ServerName: "example.com"}})
	if _, err := other.Dial(t.Context()); err == nil {
		t.Error("an unknown certificate was accepted")
	}
}

// A TLS record may carry more than the answer: what is left in it counts as
// unasked.
func TestTLSLeftover(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	config := s.TLS.Clone()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s.Close()
	config.NextProtos = nil
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	// The answer fills the 4 KiB buffer exactly; the rest stays in the record.
	head := "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nX-Pad: "
	head += strings.Repeat("p", 4096-4000-len(head)-4) + "\r\n\r\n"
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, head+strings.Repeat("b", 4000)+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	p := upstream.NewPool(upstream.Target{Address: ln.Addr().String(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
	defer p.Close()
	conn := take(t, p)
	if _, body, err := ask(t, conn, "GET"); err != nil || len(body) != 4000 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	p.Put(conn)
	if p.Take() != nil {
		t.Error("a connection with decrypted leftovers was taken")
	}
}

func TestTickAndInterrupt(t *testing.T) {
	t.Parallel()
	p := server(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	conn := take(t, p)
	if _, err := conn.ReadHead(impatient{}, "GET", false); !errors.Is(err, errEnough) {
		t.Errorf("tick: %v", err)
	}
	conn = take(t, p)
	conn.Begin(time.Hour, time.Minute) // at most a second, and the interrupt does not wait for it
	conn.Interrupt()
	if _, err := conn.ReadHead(impatient{}, "GET", false); !errors.Is(err, errEnough) {
		t.Errorf("interrupt: %v", err)
	}
	conn.Close()
}

// An interrupt that comes too late, when the connection serves somebody else,
// does no harm.
func TestLateInterrupt(t *testing.T) {
	t.Parallel()
	p := server(t, says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 2))
	conn := take(t, p)
	if _, _, err := ask(t, conn, "GET"); err != nil {
		t.Fatal(err)
	}
	conn.Interrupt()
	p.Put(conn)
	if again := take(t, p); again != conn {
		t.Fatal("another connection")
	}
	if _, body, err := ask(t, conn, "GET"); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestReapAndLimit(t *testing.T) {
	t.Parallel()
	p := server(t, says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1000))
	a, b := take(t, p), take(t, p)
	for _, c := range []*upstream.Conn{a, b} {
		if _, _, err := ask(t, c, "GET"); err != nil {
			t.Fatal(err)
		}
		p.Put(c)
	}
	if p.Reap(time.Now()); p.Waiting() != 2 {
		t.Error("reaped too early")
	}
	if p.Reap(time.Now().Add(time.Minute)); p.Waiting() != 0 {
		t.Error("not reaped")
	}
	p.Close()
	c := take(t, p)
	if _, _, err := ask(t, c, "GET"); err != nil {
		t.Fatal(err)
	}
	if p.Put(c); p.Waiting() != 0 {
		t.Error("a closed pool keeps connections")
	}
}

func TestDialRefused(t *testing.T) {
	t.Parallel()
	refused := errors.New("not there")
	p := upstream.NewPool(upstream.Target{Address: "127.0.0.1:1", Control: func(string, string, syscall.RawConn) error { return refused }})
	if _, err := p.Dial(context.Background()); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func TestHasToken(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, v := range []string{"close", "Close", "keep-alive, close", "a,CLOSE ,b", "closed", "", "enclose", ",,close"} {
		got[v] = upstream.HasToken([]byte(v), "close")
	}
	want := map[string]bool{"close": true, "Close": true, "keep-alive, close": true, "a,CLOSE ,b": true, "closed": false, "": false, "enclose": false, ",,close": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
