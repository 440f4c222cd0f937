package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
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

// An answer that breaks off reaches the client as one that breaks off.

// A body that ends early is never shown to the app as a whole one.

// An app may answer before it has read the body; neither side then waits for

// the other.

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

// A session that expires ends its streams without anybody saying so.

// A request that waits for its answer ends with its session too.

// A stream that is stuck in a client which does not read ends with its session

// all the same.

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

// Nothing is left running when all is over.
