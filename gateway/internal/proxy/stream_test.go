package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// call sends a request and returns the answer with its body still open.
func (g *gate) call(req *http.Request) *http.Response {
	g.t.Helper()
	res, err := g.client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return res
}

// read reads n bytes, or fails when they do not come.
func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		b := make([]byte, n)
		k, _ := io.ReadFull(r, b)
		got <- string(b[:k])
	}()
	s := wait(t, "bytes of a stream", got)
	if len(s) != n {
		t.Fatalf("the stream ended after %q", s)
	}
	return s
}

// Each event arrives before the next one is written, whatever the framing is.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int{"unknown length": 0, "known length": 3 * 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			g := open(t, to(app(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if length > 0 {
					w.Header().Set("Content-Length", fmt.Sprint(length))
				}
				w.WriteHeader(200)
				w.(http.Flusher).Flush() // the head comes before the first event
				for i := range 3 {
					<-next
					_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
				}
				<-next
			})))
			res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
			for i := range 3 {
				next <- struct{}{}
				if got := read(t, res.Body, 9); got != fmt.Sprintf("data: %d\n\n", i) {
					t.Errorf("got %q", got)
				}
			}
			next <- struct{}{}
			if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
				t.Errorf("at the end: %q, %v", rest, err)
			}
		})
	}
}

// The app reads the first part of an upload before the client has sent the rest.
func TestUploadIsStreamed(t *testing.T) {
	t.Parallel()
	part := strings.Repeat("x", 20_000)
	for name, known := range map[string]bool{"chunked": false, "known length": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := make(chan string)
			g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, 10_000)
				n, _ := io.ReadFull(r.Body, b)
				first <- string(b[:n])
				rest, err := io.ReadAll(r.Body)
				_, _ = fmt.Fprint(w, n+len(rest), err, r.ContentLength)
			})))
			src, sink := io.Pipe()
			req := g.request("POST", "http://app.test/", src, signedIn()...)
			want := "60000 <nil> -1"
			if known {
				req.ContentLength, want = 60_000, "60000 <nil> 60000"
			}
			done := make(chan string, 1)
			go func() {
				res, err := g.client().Do(req)
				if err != nil {
					done <- err.Error()
					return
				}
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				done <- string(b)
			}()
			if _, err := io.WriteString(sink, part); err != nil {
				t.Fatal(err)
			}
			if got := wait(t, "first part at the app", first); got != part[:10_000] {
				t.Errorf("first part is %d bytes", len(got))
			}
			for range 2 {
				if _, err := io.WriteString(sink, part); err != nil {
					t.Fatal(err)
				}
			}
			_ = sink.Close()
			if got := wait(t, "answer", done); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Both bodies flow at the same time.
func TestBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.WriteHeader(200)
		_ = rc.Flush()
		b := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}
			_, _ = w.Write(bytes.ToUpper(b))
			_ = rc.Flush()
		}
	})))
	c, r := g.raw("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, word := range []string{"hello", "world", "again"} {
		_, _ = fmt.Fprintf(c, "5\r\n%s\r\n", word)
		if got := read(t, res.Body, 5); got != strings.ToUpper(word) {
			t.Errorf("got %q", got)
		}
	}
	_, _ = io.WriteString(c, "0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			if r.URL.Path == "/known" {
				w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
			}
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
			return
		}
		_, _ = io.WriteString(w, big)
	})))
	if _, body := g.get("http://app.test/", signedIn()...); body != big {
		t.Errorf("download: %d bytes", len(body))
	}
	for _, path := range []string{"/known", "/unknown"} {
		if _, body := g.do(g.request("POST", "http://app.test"+path, strings.NewReader(big), signedIn()...)); body != big {
			t.Errorf("%s: %d bytes came back", path, len(body))
		}
	}
}

// A client that leaves takes its request with it: while it waits, while it
// receives, and while it sends.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	const head = " / HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n"
	for name, request := range map[string]string{
		"waiting":        "GET" + head + "X-Mode: wait\r\n\r\n",
		"receiving":      "GET" + head + "X-Mode: stream\r\n\r\n",
		"receiving idle": "GET" + head + "X-Mode: idle\r\n\r\n",
		"sending":        "POST" + head + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, gone := make(chan struct{}), make(chan struct{})
			g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				defer close(gone)
				switch r.Header.Get("X-Mode") {
				case "stream":
					for {
						if _, err := w.Write(bytes.Repeat([]byte("x"), 10_000)); err != nil {
							return
						}
					}
				case "idle":
					_, _ = io.WriteString(w, "one")
					w.(http.Flusher).Flush()
				case "":
					_, _ = io.Copy(io.Discard, r.Body)
					return
				}
				<-r.Context().Done()
			})))
			c, _ := g.raw(request)
			wait(t, "request at the app", arrived)
			c.Close()
			wait(t, "the app to be told", gone)
		})
	}
}

func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	talk := func(answer string) func(t *testing.T) string {
		return func(t *testing.T) string {
			return rawApp(t, func(c net.Conn, r *bufio.Reader) {
				if _, err := readHead(r); err == nil {
					_, _ = io.WriteString(c, answer)
				}
				if answer == "" {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
			})
		}
	}
	for _, c := range []struct {
		name   string
		url    func(t *testing.T) string
		change func(*route.Route)
		status int
	}{
		{"refused", func(t *testing.T) string {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			return "http://" + ln.Addr().String()
		}, nil, 502},
		{"no such name", func(*testing.T) string { return "http://no-such-host.invalid" }, nil, 502},
		{"reset", talk(""), nil, 502},
		{"not HTTP", talk("SSH-2.0-x\r\n\r\n"), nil, 502},
		{"two lengths", talk("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), nil, 502},
		{"cut in the head", talk("HTTP/1.1 200 OK\r\nConte"), nil, 502},
		{"plain behind https", func(t *testing.T) string {
			return strings.Replace(talk("HTTP/1.1 200 OK\r\n\r\n")(t), "http:", "https:", 1)
		}, nil, 502},
		{"silent", func(t *testing.T) string {
			return rawApp(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		}, func(r *route.Route) { r.Timeouts.Response = store.Duration(50 * time.Millisecond) }, 504},
		{"private network that was not granted", func(t *testing.T) string { return app(t, echoHeaders) }, func(r *route.Route) { r.Source = route.FromAPI }, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := to(c.url(t))
			if c.change != nil {
				c.change(&r)
			}
			g := open(t, r)
			res, text := g.get("http://app.test/", signedIn()...)
			if res.StatusCode != c.status || !strings.Contains(text, res.Header.Get("X-Trace-Id")) || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
				t.Errorf("%s %s", res.Status, text)
			}
			res, text = g.get("http://app.test/", append(signedIn(), "Accept", "text/html")...)
			if res.StatusCode != c.status || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				t.Errorf("page: %s %s", res.Status, text)
			}
		})
	}
}

// An answer that breaks off reaches the client as one that breaks off.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"fixed":      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
		"chunked":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
		"in a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this",
		"bad chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := open(t, to(rawApp(t, func(c net.Conn, r *bufio.Reader) {
				if _, err := readHead(r); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			})))
			res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
			b, err := io.ReadAll(res.Body)
			if err == nil || string(b) != "only this" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	}), func(r *route.Route) { r.MaxBody = 100_000 }))
	for _, c := range []struct {
		size    int
		chunked bool
		status  int
	}{{100_000, false, 200}, {100_000, true, 200}, {100_001, false, 413}, {100_001, true, 413}, {5_000_000, true, 413}, {5_000_000, false, 413}, {5, true, 200}, {0, false, 200}} {
		var body io.Reader = strings.NewReader(strings.Repeat("x", c.size))
		if c.chunked {
			body = io.MultiReader(body)
		}
		res, text := g.do(g.request("POST", "http://app.test/", body, signedIn()...))
		if res.StatusCode != c.status || c.status == 200 && text != fmt.Sprintf("%d <nil>", c.size) {
			t.Errorf("%+v: %s %s", c, res.Status, text)
		}
	}
}

// A body that ends early is never shown to the app as a whole one.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"short fixed":   "Content-Length: 20000\r\n\r\n" + strings.Repeat("x", 15_000),
		"short chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"bad chunk":     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := make(chan error, 1)
			g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				result <- err
			})))
			c, r := g.raw("POST / HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n" + body)
			_ = c.(*net.TCPConn).CloseWrite()
			if err := wait(t, "the app", result); err == nil {
				t.Error("the app took it for complete")
			}
			if res, err := http.ReadResponse(r, nil); err == nil && res.StatusCode != 400 {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
}

// An app may answer before it has read the body; neither side then waits for
// the other.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]string{
		"whole":    "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!",
		"streamed": "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\nX: y\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
				if _, err := readHead(r); err == nil {
					_, _ = io.WriteString(c, early)
					_, _ = r.Peek(1 << 20) // stays open and reads nothing to speak of
				}
			})
			g := open(t, to(url, func(r *route.Route) { r.MaxBody = -1 }))
			c, r := g.raw("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n")
			stop := make(chan struct{})
			t.Cleanup(func() { <-stop })
			go func() { // an upload without an end
				defer close(stop)
				chunk := "1000\r\n" + strings.Repeat("x", 4096) + "\r\n"
				for {
					if _, err := io.WriteString(c, chunk); err != nil {
						return
					}
				}
			}()
			res, body := answer(t, r)
			if res.StatusCode != 413 || body != "no!" || !res.Close {
				t.Errorf("%s %q", res.Status, body)
			}
			c.Close()
		})
	}
}

func TestHTTP10(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			for range 3 {
				_, _ = io.WriteString(w, "part;")
				w.(http.Flusher).Flush()
			}
			return
		}
		_, _ = io.WriteString(w, "whole")
	}), public))
	for path, want := range map[string]string{"/": "whole", "/stream": "part;part;part;"} {
		_, r := g.raw("GET " + path + " HTTP/1.0\r\nHost: app.test\r\n\r\n")
		all, err := io.ReadAll(r)
		head, body, _ := strings.Cut(string(all), "\r\n\r\n")
		if err != nil || body != want || strings.Contains(strings.ToLower(head), "chunked") || !strings.Contains(head, "X-Trace-Id") {
			t.Errorf("%s: %v\n%s", path, err, all)
		}
	}
}

func TestHEAD(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/204":
			w.WriteHeader(204)
		default:
			w.Header().Set("Content-Length", "12345")
			_, _ = io.WriteString(w, strings.Repeat("x", 12345))
		}
	}), public))
	_, r := g.raw("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\nHEAD / HTTP/1.1\r\nHost: app.test\r\n\r\nGET /304 HTTP/1.1\r\nHost: app.test\r\n\r\n" +
		"GET /204 HTTP/1.1\r\nHost: app.test\r\n\r\nGET /204 HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
	for _, want := range []struct {
		method string
		status int
		length int64
	}{{"HEAD", 200, 12345}, {"HEAD", 200, 12345}, {"GET", 304, 0}, {"GET", 204, 0}, {"GET", 204, 0}} {
		res, err := http.ReadResponse(r, &http.Request{Method: want.method})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || len(b) > 0 || res.StatusCode != want.status || want.length > 0 && res.ContentLength != want.length {
			t.Errorf("%+v: %s %d %q %v", want, res.Status, res.ContentLength, b, err)
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("left over: %q", rest)
	}
}

// A stream ends with its session, at once, and looks unfinished.
func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(g *gate){
		"signed out": func(g *gate) { g.door.end(aliceValue) },
		"shut down":  func(g *gate) { g.proxy.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "one")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(gone)
			})))
			res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
			read(t, res.Body, 3)
			wait(t, "watch", g.door.watched)
			end(g)
			wait(t, "the app to be told", gone)
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("the client took the stream for complete")
			}
			eventually(t, "the watch to be given up", func() bool { return g.door.watching() == 0 })
		})
	}
}

// A session that expires ends its streams without anybody saying so.
func TestStreamEndsWhenItsSessionExpires(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})))
	g.door.sessions["short"] = &proxy.Identity{Session: "s", Subject: "x", Expires: time.Now().Add(100 * time.Millisecond)}
	res := g.call(g.request("GET", "http://app.test/", nil, "Cookie", cookieName+"=short"))
	done := make(chan error, 1)
	go func() { _, err := io.ReadAll(res.Body); done <- err }()
	if err := wait(t, "end of the stream", done); err == nil {
		t.Error("the client took the stream for complete")
	}
}

// A request that waits for its answer ends with its session too.
func TestWaitingEndsWithTheSession(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := open(t, to(app(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })))
	done := make(chan int, 1)
	go func() {
		res, err := g.client().Do(g.request("GET", "http://app.test/", nil, signedIn()...))
		if err != nil {
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	wait(t, "watch", g.door.watched) // after the first tick
	g.door.end(aliceValue)
	if status := wait(t, "answer", done); status != 401 {
		t.Errorf("status %d", status)
	}
	wait(t, "the app to be told", gone)
}

func TestSilentStreamEnds(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), func(r *route.Route) { r.Timeouts.Idle = store.Duration(50 * time.Millisecond) }))
	res := g.call(g.request("GET", "http://app.test/", nil, signedIn()...))
	if b, err := io.ReadAll(res.Body); err == nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
}

// A stream that is stuck in a client which does not read ends with its session
// all the same.
func TestStuckStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := open(t, to(app(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 100_000)); err != nil {
				return
			}
		}
	})))
	g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nCookie: " + cookieName + "=" + aliceValue + "\r\n\r\n") // and never reads
	wait(t, "watch", g.door.watched)
	g.door.end(aliceValue)
	wait(t, "the app to be told", gone)
}

// Everything works behind TLS as well.
func TestBehindTLS(t *testing.T) {
	t.Parallel()
	gone, next := make(chan struct{}), make(chan struct{})
	g := openTLS(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			for range 2 {
				_, _ = io.WriteString(w, "event")
				w.(http.Flusher).Flush()
				<-next
			}
		case "/wait":
			<-r.Context().Done()
			close(gone)
		default:
			echoHeaders(w, r)
		}
	})))
	_, body := g.get("https://app.test/", signedIn()...)
	if !strings.Contains(body, "X-Forwarded-Proto: https") || !strings.Contains(body, "for-https://app.test") {
		t.Errorf("the app got\n%s", body)
	}
	res := g.call(g.request("GET", "https://app.test/events", nil, signedIn()...))
	for range 2 {
		if got := read(t, res.Body, 5); got != "event" {
			t.Errorf("got %q", got)
		}
		next <- struct{}{}
	}
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := g.client().Do(g.request("GET", "https://app.test/wait", nil, signedIn()...).WithContext(ctx)); err == nil {
			res.Body.Close()
		}
	}()
	<-g.door.watched // of the events
	wait(t, "watch", g.door.watched)
	leave()
	wait(t, "the app to be told", gone)
	<-done
}

func TestContentTypeIsTheApps(t *testing.T) {
	t.Parallel()
	g := open(t, to(rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), public))
	if res, _ := g.get("http://app.test/"); res.Header["Content-Type"] != nil {
		t.Errorf("%q", res.Header["Content-Type"])
	}
}

// What is not safe to repeat is sent once.
func TestRetries(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 200, "POST": 502, "DELETE": 502, "PATCH": 502} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			conns := make(chan int, 10)
			url := rawApp(t, func(c net.Conn, r *bufio.Reader) {
				for i := 0; ; i++ {
					if _, err := readHead(r); err != nil {
						return
					}
					if i == 1 { // the second request of a connection is met by a reset
						_ = c.(*net.TCPConn).SetLinger(0)
						return
					}
					conns <- 1
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			g := open(t, to(url, public))
			g.get("http://app.test/")
			<-conns
			res, _ := g.do(g.request(method, "http://app.test/", nil))
			if res.StatusCode != want {
				t.Errorf("%s", res.Status)
			}
		})
	}
}

// Nothing is left running when all is over.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("traffic", func(t *testing.T) {
		g := open(t, to(app(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/early" {
				w.WriteHeader(413)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices a client that left only after it
			switch r.URL.Path {
			case "/stream":
				_, _ = io.WriteString(w, "one")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			case "/wait":
				<-r.Context().Done()
			}
		})))
		for range 20 {
			for _, path := range []string{"/stream", "/wait", "/early", "/echo"} {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				req := g.request("POST", "http://app.test"+path, io.MultiReader(strings.NewReader(strings.Repeat("x", 50_000))), signedIn()...).WithContext(ctx)
				if res, err := g.client().Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				cancel()
			}
		}
	})
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+2 })
}
