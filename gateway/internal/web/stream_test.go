package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

func bodyServer(t *testing.T, cfg web.Config) *harness {
	t.Helper()
	return start(t, cfg, func(s *web.Server) {
		s.App().Post("/body", func(c *fiber.Ctx) error {
			body, err := web.Body(c, 1000)
			if err != nil {
				return err
			}
			again, err := web.Body(c, 1000)
			if err != nil || string(again) != string(body) {
				return errors.New("the second read differs")
			}
			return c.SendString(fmt.Sprint(len(body)))
		})
		s.App().Post("/stream", func(c *fiber.Ctx) error {
			r, err := web.Stream(c, 0)
			if err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil {
				return fault.New(fault.BadGateway, err.Error(), err)
			}
			return c.SendString(fmt.Sprint(n))
		})
		s.App().Post("/ignore", func(c *fiber.Ctx) error { return fault.New(fault.Denied, "No.", nil) })
		s.App().Post("/form", func(c *fiber.Ctx) error {
			v, err := web.Form(c)
			if err != nil {
				return err
			}
			return c.SendString(v.Encode())
		})
	})
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	h := bodyServer(t, web.Config{})
	big := strings.Repeat("x", 20<<20)
	for _, tc := range []struct {
		name, path, body string
		chunked          bool
		status           int
		want             string
	}{
		{"fits", "/body", strings.Repeat("x", 1000), false, 200, "1000"},
		{"fits, chunked", "/body", strings.Repeat("x", 1000), true, 200, "1000"},
		{"empty", "/body", "", false, 200, "0"},
		{"one over", "/body", strings.Repeat("x", 1001), false, 413, ""},
		{"one over, chunked", "/body", strings.Repeat("x", 1001), true, 413, ""},
		{"far over", "/body", big, false, 413, ""},
		{"far over, chunked", "/body", big, true, 413, ""},
		{"stream without limit", "/stream", big, false, 200, "20971520"},
		{"stream without limit, chunked", "/stream", big, true, 200, "20971520"},
		{"not read at all", "/ignore", big, false, 403, ""},
		{"form", "/form", "a=1&b=%20", false, 200, "a=1&b=+"},
		{"bad form", "/form", "a=%zz", false, 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = io.MultiReader(body) // of unknown length
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.addr+tc.path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			res := h.do(t, req)
			got := text(t, res)
			if res.StatusCode != tc.status || tc.want != "" && got != tc.want {
				t.Errorf("status %d, body %.200q", res.StatusCode, got)
			}
		})
	}
}

// endOfSending closes one direction.
func endOfSending(t *testing.T, c net.Conn) {
	t.Helper()
	tcp, ok := c.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil {
		t.Fatal("cannot close one direction")
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	h := bodyServer(t, web.Config{})
	for _, path := range []string{"/body", "/stream"} { // within the 8 KiB that fasthttp reads ahead
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n%s", path, strings.Repeat("x", 800))
		endOfSending(t, c)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 400 {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
		_ = c.Close()
	}
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Beyond them it takes the end of the connection for the end of the body.
	_, _ = fmt.Fprintf(c, "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n%s", strings.Repeat("x", 80000))
	endOfSending(t, c)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, res); res.StatusCode != 502 || !strings.Contains(body, "unexpected EOF") {
		t.Errorf("a truncated stream reads as complete: %d %s", res.StatusCode, body)
	}
}

func TestSlowClients(t *testing.T) {
	t.Parallel()
	h := bodyServer(t, web.Config{HeaderTimeout: 150 * time.Millisecond, BodyIdle: 150 * time.Millisecond})
	for _, tc := range []struct{ name, send, want string }{
		{"headers", "GET / HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 408 "},
		{"body", "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if answer, closed := h.raw(t, tc.send); !strings.HasPrefix(answer, tc.want) || !closed {
				t.Errorf("closed: %v, answer %q", closed, answer)
			}
		})
	}
}

// TestSlowButSteadyUpload takes several times as long as each of the timeouts.
func TestSlowButSteadyUpload(t *testing.T) {
	t.Parallel()
	h := bodyServer(t, web.Config{HeaderTimeout: 200 * time.Millisecond, BodyIdle: 200 * time.Millisecond, WriteIdle: 200 * time.Millisecond})
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 20 {
		<-time.After(40 * time.Millisecond)
		_, _ = io.WriteString(c, "3\r\nabc\r\n")
	}
	_, _ = io.WriteString(c, "0\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, res); got != "60" {
		t.Errorf("status %d: %s", res.StatusCode, got)
	}
}

// TestLongStream: events flow for longer than any timeout, and the first one
// arrives before the second is written.
func TestLongStream(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	h := start(t, web.Config{HeaderTimeout: 100 * time.Millisecond, BodyIdle: 100 * time.Millisecond, WriteIdle: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond}, func(s *web.Server) {
		s.App().Get("/", func(c *fiber.Ctx) error {
			c.Set("Content-Type", "text/event-stream")
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				for e := range next {
					_, _ = w.WriteString(e)
					_ = w.Flush()
				}
			})
			return nil
		})
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { next <- "data: first\n" }()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	for i := range 8 {
		if i > 0 {
			<-time.After(60 * time.Millisecond)
			next <- fmt.Sprintf("data: %d\n", i)
		}
		if line, err := r.ReadString('\n'); err != nil {
			t.Fatalf("event %d: %q, %v", i, line, err)
		}
	}
	close(next)
}

func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	h := start(t, web.Config{WriteIdle: 200 * time.Millisecond}, func(s *web.Server) {
		s.App().Get("/", func(c *fiber.Ctx) error {
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						failed <- err
						return
					}
				}
			})
			return nil
		})
	})
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-failed:
		t.Logf("the write ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Error("the write never ended")
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{Expect: func(v web.Visit, hd *fasthttp.RequestHeader) int {
		switch {
		case hd.ContentLength() > 1000:
			return 413
		case v.Path == "/private" && len(hd.Peek("Authorization")) == 0:
			return 401
		}
		return fasthttp.StatusContinue
	}}, func(s *web.Server) {
		s.App().Post("/*", func(c *fiber.Ctx) error {
			body, err := web.Body(c, 0)
			if err != nil {
				return err
			}
			return c.SendString("got " + string(body) + " " + web.Read(c).Path)
		})
	})
	const expect = "Host: x\r\nExpect: 100-continue\r\nContent-Length: "
	for _, tc := range []struct{ name, send, want string }{
		{"refused for its size", "POST /a HTTP/1.1\r\n" + expect + "5000\r\n\r\n", "HTTP/1.1 413 "},
		{"refused for its caller", "POST /private HTTP/1.1\r\n" + expect + "5\r\n\r\n", "HTTP/1.1 401 "},
		{"refused by the guard", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + expect + "5\r\n\r\n", "HTTP/1.1 400 "},
		{"refused for its path", "POST /a/../b HTTP/1.1\r\n" + expect + "5\r\n\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			answer, closed := h.raw(t, tc.send)
			if !strings.HasPrefix(answer, tc.want) || !closed || strings.Contains(answer, "got ") {
				t.Errorf("closed: %v, answer %q", closed, answer)
			}
		})
	}
	t.Run("let in", func(t *testing.T) {
		t.Parallel()
		answer, _ := h.raw(t, "POST /private HTTP/1.1\r\nAuthorization: x\r\n"+expect+"5\r\n\r\nhello")
		if !strings.HasPrefix(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ") || !strings.HasSuffix(answer, "got hello /private") {
			t.Errorf("answer %q", answer)
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	s := web.New(web.Config{})
	s.App().Get("/slow", func(c *fiber.Ctx) error {
		close(entered)
		<-release
		return c.SendString("done")
	})
	s.App().Get("/stream", func(c *fiber.Ctx) error {
		drain := c.Context().Done()
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
			_, _ = w.WriteString("x")
			_ = w.Flush()
			<-drain
		})
		return nil
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()

	answer := make(chan string, 2)
	for _, path := range []string{"/slow", "/stream"} {
		go func() {
			res, err := http.Get("http://" + ln.Addr().String() + path)
			if err != nil {
				answer <- err.Error()
				return
			}
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			answer <- string(b)
		}()
	}
	<-entered
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { stopped <- s.Shutdown(ctx) }()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := <-answer; got != "x" {
		t.Errorf("the stream did not end by itself: %q", got)
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the running request got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	entered, ended := make(chan struct{}), make(chan error, 1)
	s := web.New(web.Config{})
	s.App().Get("/", func(c *fiber.Ctx) error {
		ctx, cancel := web.Context(c, time.Minute)
		defer cancel()
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection stayed open")
	}
}

// TestShutdownMeetsServe: whichever comes first, Serve ends and the port is free.
func TestShutdownMeetsServe(t *testing.T) {
	t.Parallel()
	for i := range 60 {
		ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		s, served, stopped := web.New(web.Config{}), make(chan error, 1), make(chan error, 1)
		serve := func() { served <- s.Serve(ln) }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if i%3 > 0 {
			go serve()
		}
		if i%3 == 2 {
			runtime.Gosched()
		}
		stopped <- s.Shutdown(ctx)
		if i%3 == 0 {
			go serve()
		}
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-ctx.Done():
			t.Fatal("Serve goes on after Shutdown")
		}
		if err := <-stopped; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			_ = c.Close()
			t.Error("the listener is still open")
		}
		cancel()
	}
}
