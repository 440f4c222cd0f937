package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

// harness is a running server and what it logged and observed.
type harness struct {
	*web.Server
	addr string
	log  *lockedBuffer

	mu      sync.Mutex
	samples []web.Sample
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (h *harness) observed() []web.Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]web.Sample(nil), h.samples...)
}

// start runs a server until the test ends. mount adds the handlers.
func start(t *testing.T, cfg web.Config, mount func(s *web.Server)) *harness {
	t.Helper()
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, cfg, mount)
}

func startOn(t *testing.T, ln net.Listener, cfg web.Config, mount func(s *web.Server)) *harness {
	t.Helper()
	h := &harness{addr: ln.Addr().String(), log: &lockedBuffer{}}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg.Observe = func(s web.Sample) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.samples = append(h.samples, s)
	}
	h.Server = web.New(cfg)
	mount(h.Server)
	served := make(chan error, 1)
	go func() { served <- h.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = h.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h
}

// raw sends bytes and returns everything the server answers until it closes the
// connection; closed is false when it kept it open for half a second.
func (h *harness) raw(t *testing.T, send string) (answer string, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	all, err := io.ReadAll(c)
	var timeout net.Error
	return string(all), !(errors.As(err, &timeout) && timeout.Timeout())
}

func (h *harness) get(t *testing.T, target string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h.do(t, req, header...)
}

// do sends a request and reads the whole answer, which stays readable.
func (h *harness) do(t *testing.T, req *http.Request, header ...string) *http.Response {
	t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSmuggling sends, over a socket, every shape that two servers could frame
// or read in two ways. None may reach a handler, and the connection must end:
// what follows on it cannot be trusted.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	h := start(t, web.Config{HeaderTimeout: 200 * time.Millisecond}, func(s *web.Server) {
		s.App().Use(func(c *fiber.Ctx) error { calls.Add(1); return c.SendString("reached") })
	})
	const second = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tc := range []struct{ name, send string }{
		{"CL and TE", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"TE and CL", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
		{"CL zero and TE", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"TE identity", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"},
		{"TE identity and CL", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"},
		{"TE gzip, chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"TE other case", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"},
		{"TE quoted", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
		{"TE twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"TE vertical tab", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
		{"TE with HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"TE with underscore", "POST / HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"CL with dot", "POST / HTTP/1.1\r\nHost: x\r\nContent.Length: 5\r\n\r\n"},
		{"CL twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
		{"CL twice, different", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc"},
		{"CL list", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"},
		{"CL plus sign", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"},
		{"CL hexadecimal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc"},
		{"folded header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n"},
		{"folded TE", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
		{"folded first header", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
		{"Host twice", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
		{"Host twice, equal", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n"},
		{"Host with user", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n"},
		{"Host with path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"},
		{"Host list", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"},
		{"Host with bad port", "GET / HTTP/1.1\r\nHost: x:8a\r\n\r\n"},
		{"bare LF between headers", "GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n"},
		{"bare LF after request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"},
		{"bare LF everywhere", "GET / HTTP/1.1\nHost: x\n\n"},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n"},
		{"bare LF before the request", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"bare CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rTransfer-Encoding: chunked\r\n\r\n"},
		{"NUL in a value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n"},
		{"space in a name", "GET / HTTP/1.1\r\nHost: x\r\nX A: b\r\n\r\n"},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
		{"tab in a name", "GET / HTTP/1.1\r\nHost: x\r\nX\tA: b\r\n\r\n"},
		{"line without colon", "GET / HTTP/1.1\r\nHost: x\r\nX-A\r\n\r\n"},
		{"empty name", "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"},
		{"absolute form, other host", "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"absolute form, user", "GET http://x@y/ HTTP/1.1\r\nHost: y\r\n\r\n"},
		{"absolute form, other port", "GET http://x:81/ HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"authority form", "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"no version", "GET /\r\nHost: x\r\n\r\n"},
		{"unknown version", "GET / HTTP/3.1\r\nHost: x\r\n\r\n"},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"dot-segment", "GET /x/../admin HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"encoded NUL", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer, closed := h.raw(t, tc.send+second)
			if !strings.HasPrefix(answer, "HTTP/1.1 400 ") && !strings.HasPrefix(answer, "HTTP/1.1 405 ") || !closed {
				t.Errorf("closed: %v, answer: %q", closed, answer)
			}
			if n := strings.Count(answer, "HTTP/1.1 "); n > 1 {
				t.Errorf("%d answers: %q", n, answer)
			}
			if n := calls.Swap(0); n != 0 {
				t.Errorf("the handler ran %d times", n)
			}
		})
	}
	for _, s := range h.observed() {
		if s.Refused == "" {
			t.Errorf("not counted as refused: %+v", s)
		}
	}
}

// TestWellFormed: what the guards must let through, in pieces and pipelined.
func TestWellFormed(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{}, func(s *web.Server) {
		s.App().Use(func(c *fiber.Ctx) error {
			body, err := web.Body(c, 1000)
			if err != nil {
				return err
			}
			v := web.Read(c)
			target := v.Path
			if v.RawQuery != "" {
				target += "?" + v.RawQuery
			}
			return c.SendString(fmt.Sprintf("<%s %s%s %s>", v.Method, v.Origin(), target, body))
		})
	})
	for _, tc := range []struct {
		name string
		send []string
		want []string
	}{
		{"chunked", []string{"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n"}, []string{"<POST http://x/a a\nb>"}},
		{"leading empty line", []string{"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"}, []string{"<GET http://x/a >"}},
		{"absolute form", []string{"GET http://X:80/a?b HTTP/1.1\r\nHost: x:80\r\n\r\n"}, []string{"<GET http://x:80/a?b >"}},
		{"HTTP/1.0", []string{"GET /a HTTP/1.0\r\nHost: x\r\n\r\n"}, []string{"<GET http://x/a >"}},
		{"WebDAV", []string{"PROPFIND /a HTTP/1.1\r\nHost: x\r\nDepth: 1\r\n\r\n"}, []string{"<PROPFIND http://x/a >"}},
		{"IPv6 host", []string{"GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"}, []string{"<GET http://[::1]:80/a >"}},
		{
			"pipelined",
			[]string{"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na\nbGET /2 HTTP/1.1\r\nHost: x\r\n\r\nPOST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\n", "\n\n\n"},
			[]string{"<POST http://x/1 a\nb>", "<GET http://x/2 >", "<POST http://x/3 \n\n\n\n>"},
		},
		{
			"in pieces",
			[]string{"GET /1 HT", "TP/1.1\r", "\nHost: x\r\nX-A: b", "\r", "\n", "\r", "\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"},
			[]string{"<GET http://x/1 >", "<GET http://x/2 >"},
		},
		{
			"keep-alive",
			[]string{"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", "\n\n", "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"},
			[]string{"<POST http://x/1 \n\n>", "<GET http://x/2 >"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			go func() {
				for _, s := range tc.send {
					_, _ = io.WriteString(c, s)
					<-time.After(5 * time.Millisecond) // separate segments
				}
			}()
			r := bufio.NewReader(c)
			for _, want := range tc.want {
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := text(t, res); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestRequestHeadersTooLarge(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{HeadersTooLarge: []byte("<h1>Too many cookies</h1>"), HeadersTooLargeCSP: "default-src 'none'"}, func(s *web.Server) {
		s.App().Use(func(c *fiber.Ctx) error { return c.SendString(web.Header(c, "Cookie")[:4]) })
	})
	if res := h.get(t, "/", "Cookie", strings.Repeat("x", 30<<10)); res.StatusCode != http.StatusOK {
		t.Errorf("30 KiB of cookies: status %d", res.StatusCode)
	}
	res := h.get(t, "/", "Cookie", strings.Repeat("x", 40<<10))
	if body := text(t, res); res.StatusCode != 431 || body != "<h1>Too many cookies</h1>" || res.Header.Get("Content-Security-Policy") != "default-src 'none'" || res.Header.Get("X-Trace-ID") == "" {
		t.Errorf("status %d, %v, body %q", res.StatusCode, res.Header, body)
	}
	if log := h.log.String(); !strings.Contains(log, "refused=headers") || !strings.Contains(log, res.Header.Get("X-Trace-ID")) {
		t.Errorf("log: %s", log)
	}
}

func TestPanicBecomesAnAnswerWithItsID(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{}, func(s *web.Server) {
		s.App().Get("/", func(*fiber.Ctx) error { panic("boom") })
	})
	res := h.get(t, "/")
	body := text(t, res)
	id := res.Header.Get("X-Trace-ID")
	if res.StatusCode != 500 || strings.Contains(body, "boom") || !strings.Contains(body, id) || len(id) != 32 {
		t.Errorf("status %d, id %q, body %s", res.StatusCode, id, body)
	}
	if log := h.log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "server_test.go") || !strings.Contains(log, id) {
		t.Errorf("log: %s", log)
	}
}

func TestAnswerHeadersAndAccessLog(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{}, func(s *web.Server) {
		s.App().Get("/a", func(c *fiber.Ctx) error {
			web.Label(c, "own")
			return c.SendString("hello")
		})
	})
	res := h.get(t, "/a?code=secret-code", "X-Correlation-ID", "job-17", "User-Agent", "ua")
	if res.Header.Get("Server") != "" || res.Header.Get("X-Correlation-ID") != "job-17" || len(res.Header.Get("X-Trace-ID")) != 32 {
		t.Errorf("headers: %v", res.Header)
	}
	log := h.log.String()
	for _, want := range []string{"method=GET", "host=" + h.addr, "path=/a", "status=200", "bytes=5", "trace_id=" + res.Header.Get("X-Trace-ID"), "client_ip=127.0.0.1", "correlation_id=job-17", "took="} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %q: %s", want, log)
		}
	}
	if strings.Contains(log, "secret-code") {
		t.Errorf("a query value is in the log: %s", log)
	}
	if s := h.observed(); len(s) != 1 || s[0].Area != "own" || s[0].Status != 200 || s[0].Method != "GET" {
		t.Errorf("observed %+v", s)
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 129), "é"} {
		if res := h.get(t, "/a", "X-Correlation-ID", bad); res.Header.Get("X-Correlation-ID") != "" {
			t.Errorf("the correlation id %q was taken", bad)
		}
	}
}
