package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

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
		}, func(r *route.Route) { r.Timeouts.Response = store.Duration(100 * time.Millisecond) }, 504},
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
