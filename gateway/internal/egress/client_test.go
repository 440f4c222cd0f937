package egress_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/fault"
)

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, g *egress.Guard, l egress.Limits) *http.Client {
	t.Helper()
	c := egress.Client(g, l)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// loopback is a client that may call 127.0.0.1 and nothing else of this machine.
func loopback(t *testing.T, l egress.Limits) *http.Client {
	t.Helper()
	return client(t, &egress.Guard{Allow: prefixes("127.0.0.1/32")}, l)
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(c, req)
}

func do(c *http.Client, req *http.Request) (string, error) {
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), errors.Join(err, resp.Body.Close())
}

func TestRefusedByDefault(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	s := server(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	c := client(t, &egress.Guard{}, egress.Limits{})
	for _, url := range []string{s.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port} {
		_, err := get(t, c, url)
		if err == nil {
			t.Errorf("%s was called", url)
		}
		if strings.Contains(url, "//127.0.0.1:") && !(errors.Is(err, egress.ErrRefused) && fault.Is(err, fault.Denied)) {
			t.Errorf("%s: %v, want ErrRefused as fault.Denied", url, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests arrived", hits.Load())
	}
}

func TestAllowedByPrefix(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	if got, err := get(t, loopback(t, egress.Limits{}), s.URL); err != nil || got != "hello" {
		t.Errorf("get = %q, %v", got, err)
	}
}

// The environment is not read, or this server would see the call.
func TestNoProxyFromEnvironment(t *testing.T) {
	var hits atomic.Int32
	proxy := server(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	if _, err := get(t, loopback(t, egress.Limits{}), "http://192.0.2.1/"); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("get = %v, want ErrRefused from dialling the address itself", err)
	}
	if hits.Load() != 0 {
		t.Error("the call went through the proxy")
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/inside":
			inside.Add(1)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/to":
			http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusTemporaryRedirect)
		default:
			_, _ = io.WriteString(w, "end")
		}
	})
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	cases := []struct {
		name, path, want string
		limits           egress.Limits
		refused          bool // by the guard
	}{
		{"same origin", "/once", "end", egress.Limits{}, false},
		{"forbidden address", "/to?url=http://127.0.0.2" + port + "/inside", "", egress.Limits{}, true},
		{"metadata", "/to?url=http://169.254.169.254/latest/", "", egress.Limits{}, true},
		{"mapped metadata", "/to?url=http://[::ffff:a9fe:a9fe]/", "", egress.Limits{}, true},
		{"file", "/to?url=file:///etc/passwd", "", egress.Limits{}, false},
		{"loop", "/loop", "", egress.Limits{}, false},
		{"none followed", "/once", "<a href=\"/end\">Found</a>.\n\n", egress.Limits{Redirects: -1}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := get(t, loopback(t, c.limits), s.URL+c.path)
			if c.want != "" && (err != nil || got != c.want) {
				t.Errorf("get = %q, %v; want %q", got, err, c.want)
			}
			if c.want == "" && err == nil {
				t.Errorf("get = %q, want an error", got)
			}
			if errors.Is(err, egress.ErrRefused) != c.refused {
				t.Errorf("get = %v, want refused by the guard: %v", err, c.refused)
			}
		})
	}
	if inside.Load() != 0 {
		t.Error("a redirect reached the forbidden address")
	}
}

func TestOtherOriginGetsNoSecrets(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	other := server(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	c := loopback(t, egress.Limits{})

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/?token=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-Api-Key": {"secret"}, "Authorization": {"Bearer secret"}, "Cookie": {"a=secret"}, "Accept": {"text/plain"}}
	if _, err := do(c, req); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), "secret") {
			t.Errorf("the other origin got %s: %q", name, values)
		}
	}
	if got.Get("Accept") != "text/plain" {
		t.Errorf("Accept = %q, want it kept", got.Get("Accept"))
	}

	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("client_secret=secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(c, post); !fault.Is(err, fault.BadGateway) {
		t.Errorf("a body redirected to another origin: %v, want fault.BadGateway", err)
	}
	if len(seen) != 0 {
		t.Error("the other origin got the body")
	}
}

func TestNoDowngrade(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	plain := server(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = io.WriteString(w, r.Proto)
			return
		}
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer s.Close()
	trusting, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	c := loopback(t, egress.Limits{TLS: trusting.TLSClientConfig})
	if got, err := get(t, c, s.URL+"/"); err != nil || got == "" {
		t.Fatalf("https = %q, %v", got, err)
	}
	if _, err := get(t, c, s.URL+"/down"); !fault.Is(err, fault.BadGateway) || hits.Load() != 0 {
		t.Errorf("https to http: %v and %d requests, want fault.BadGateway and none", err, hits.Load())
	}
	if _, err := get(t, loopback(t, egress.Limits{}), s.URL+"/"); err == nil {
		t.Error("a certificate that the system does not know was taken")
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil {
			t.Error(err)
		}
		text := bytes.Repeat([]byte("x"), n)
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", strconv.Itoa(n))
			_, _ = w.Write(text)
		case "/stream":
			_ = http.NewResponseController(w).Flush() // no length then
			_, _ = w.Write(text)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(text)
			_ = z.Close()
		}
	})
	c := loopback(t, egress.Limits{Body: limit})
	for _, path := range []string{"/length", "/stream", "/gzip"} {
		for n, ok := range map[int]bool{0: true, limit - 1: true, limit: true, limit + 1: false, 100 * limit: false} {
			got, err := get(t, c, s.URL+path+"?n="+strconv.Itoa(n))
			if ok && (err != nil || len(got) != n) {
				t.Errorf("%s %d: %d bytes, %v", path, n, len(got), err)
			}
			if !ok && !(errors.Is(err, egress.ErrTooLarge) && fault.Is(err, fault.BadGateway)) {
				t.Errorf("%s %d: %v, want ErrTooLarge as fault.BadGateway", path, n, err)
			}
			if len(got) > limit {
				t.Errorf("%s %d: %d bytes came through", path, n, len(got))
			}
		}
	}
	head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, s.URL+"/length?n=5000", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(c, head); err != nil {
		t.Errorf("HEAD of something large: %v", err)
	}
}

func TestTimeCoversBody(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the rest never comes
	})
	_, err := get(t, loopback(t, egress.Limits{Time: 50 * time.Millisecond}), s.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("get = %v, want a timeout", err)
	}
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 20_000)) })
	if _, err := get(t, loopback(t, egress.Limits{Header: 10_000}), s.URL); err == nil {
		t.Error("20 kB of header came through a limit of 10 kB")
	}
}

// A name that has a good address when somebody looks and a bad one when the
// client dials.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	s := server(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	var asked atomic.Int32
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go nameServer(theirs, func() [4]byte {
			if asked.Add(1) == 1 {
				return [4]byte{93, 184, 216, 34}
			}
			return [4]byte{127, 0, 0, 1}
		})
		return ours, nil
	}}
	g := &egress.Guard{Resolver: resolver}
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	if err != nil || len(first) != 1 {
		t.Fatalf("look up = %v, %v", first, err)
	}
	if err := g.Check(netip.AddrPortFrom(first[0], 80)); err != nil {
		t.Fatalf("the first address must look good: %v", err)
	}
	_, err = get(t, client(t, g, egress.Limits{}), "http://rebind.example."+s.URL[strings.LastIndex(s.URL, ":"):])
	if !errors.Is(err, egress.ErrRefused) {
		t.Errorf("get = %v, want ErrRefused", err)
	}
	if hits.Load() != 0 || asked.Load() < 2 {
		t.Errorf("%d requests arrived after %d look-ups", hits.Load(), asked.Load())
	}
}

// nameServer answers questions for IPv4 addresses over a stream (RFC 1035,
// 4.2.2) and knows no others.
func nameServer(conn net.Conn, address func() [4]byte) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
			return
		}
		q := m.Questions[0]
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
				Body:   &dnsmessage.AResource{A: address()},
			}}
		}
		answer, err := m.Pack()
		if err != nil {
			return
		}
		binary.BigEndian.PutUint16(size[:], uint16(len(answer)))
		if _, err := conn.Write(append(size[:], answer...)); err != nil {
			return
		}
	}
}
