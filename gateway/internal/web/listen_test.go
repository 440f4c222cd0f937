package web_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

// certificate writes a new self-signed pair with this common name.
func certificate(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"id.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	return certFile, keyFile
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// served returns the common name of the certificate that a handshake shows.
func served(t *testing.T, addr string, cfg *tls.Config) (string, error) {
	t.Helper()
	cfg.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestListenTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certificate(t, dir, "first")
	var now atomic.Int64
	log := &lockedBuffer{}
	ln, err := web.Listen(t.Context(), web.Listening{
		Addr: "127.0.0.1:0", CertFile: certFile, KeyFile: keyFile, Log: slog.New(slog.NewTextHandler(log, nil)),
		Now: func() time.Time { return time.Unix(now.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := startOn(t, ln, web.Config{}, func(s *web.Server) {
		s.App().Get("/", func(c *fiber.Ctx) error { return c.SendString(web.Read(c).Origin()) })
	})
	step := func(seconds int64, want string) {
		t.Helper()
		now.Add(seconds)
		if got, err := served(t, h.addr, &tls.Config{}); err != nil || got != want {
			t.Errorf("at %d s: %q, %v; want %q", now.Load(), got, err, want)
		}
	}
	step(0, "first")
	certificate(t, dir, "second one") // another size, should the clock of the file system be coarse
	step(0, "first")                  // looked at no more than once a second
	step(1, "second one")
	write(t, certFile, []byte("broken"))
	step(1, "second one")
	if !strings.Contains(log.String(), "the old one stays") {
		t.Errorf("log: %s", log)
	}
	certificate(t, dir, "the third one")
	step(1, "the third one")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	step(1, "the third one")

	if _, err := served(t, h.addr, &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Get("https://" + h.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := text(t, res); got != "https://"+h.addr {
		t.Errorf("got %q", got)
	}
	plain, err := http.Get("http://" + h.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if got := text(t, plain); plain.StatusCode != 400 || !strings.Contains(got, "https://") {
		t.Errorf("plain HTTP on the TLS port: %d %q", plain.StatusCode, got)
	}
}

// TestSmugglingOverTLS: the guards see what is inside.
func TestSmugglingOverTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certificate(t, t.TempDir(), "x")
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0", CertFile: certFile, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	h := startOn(t, ln, web.Config{}, func(s *web.Server) {
		s.App().Use(func(c *fiber.Ctx) error { return c.SendString("reached") })
	})
	c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte("GET / HTTP/1.1\nHost: x\r\n\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 400 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certificate(t, dir, "x")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		name string
		cfg  web.Listening
		want string
	}{
		{"port taken", web.Listening{Addr: taken.Addr().String()}, "cannot listen on " + taken.Addr().String() + ": another program uses this port"},
		{"no address", web.Listening{Addr: "127.0.0.1"}, "cannot listen on 127.0.0.1: "},
		{"certificate without key", web.Listening{Addr: "127.0.0.1:0", CertFile: certFile}, "TLS needs both"},
		{"no such file", web.Listening{Addr: "127.0.0.1:0", CertFile: certFile + "x", KeyFile: keyFile}, "no such file"},
		{"not a key", web.Listening{Addr: "127.0.0.1:0", CertFile: certFile, KeyFile: certFile}, "load the TLS certificate "},
	} {
		ln, err := web.Listen(t.Context(), tc.cfg)
		if err == nil {
			_ = ln.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// from gives connections another address than loopback, which is not limited.
type from struct {
	net.Listener
	ip    string
	fails atomic.Int64
}

func (l *from) Accept() (net.Conn, error) {
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &fromConn{c, l.ip}, nil
}

type fromConn struct {
	net.Conn
	ip string
}

func (c *fromConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.ip), 1))
}

func TestConnectionsOfOneClient(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, ip string
		limited  bool
	}{
		{"client", "203.0.113.7", true},
		{"client on IPv6", "2001:db8::7", true},
		{"proxy", "10.0.0.1", false},
		{"this machine", "127.0.0.1", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			h := startOn(t, &from{Listener: ln, ip: tc.ip}, web.Config{MaxConnsPerIP: 2, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, func(s *web.Server) {
				s.App().Get("/", func(c *fiber.Ctx) error { return c.SendString(web.Read(c).ClientIP.String()) })
			})
			var open []net.Conn
			for i := range 3 {
				c, answer, err := h.ask(t, "/")
				open = append(open, c)
				if err == nil && answer != tc.ip {
					t.Errorf("the client's address is %s", answer)
				}
				if (err != nil) != (tc.limited && i == 2) {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			for _, c := range open {
				_ = c.Close()
			}
			h.again(t, "/")
		})
	}
}

// TestOutOfFiles: fasthttp ends its loop at the first error of Accept.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &from{Listener: ln, ip: "203.0.113.7"}
	l.fails.Store(3)
	h := startOn(t, l, web.Config{}, func(s *web.Server) {
		s.App().Get("/", func(c *fiber.Ctx) error { return c.SendString("ok") })
	})
	if res := h.get(t, "/"); res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	if !strings.Contains(h.log.String(), "limit of open files") {
		t.Errorf("log: %s", h.log)
	}
}

// TestClientCertificates: a listener that asks takes any certificate, or none;
// one that does not ask gets none.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certificate(t, t.TempDir(), "server")
	ownCert, ownKey := certificate(t, t.TempDir(), "robot")
	pair, err := tls.LoadX509KeyPair(ownCert, ownKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		asks  bool
		certs []tls.Certificate
		want  string
	}{{true, []tls.Certificate{pair}, "robot"}, {true, nil, "nobody"}, {false, []tls.Certificate{pair}, "nobody"}} {
		ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0", CertFile: certFile, KeyFile: keyFile, ClientCertificates: tc.asks})
		if err != nil {
			t.Fatal(err)
		}
		h := startOn(t, ln, web.Config{}, func(s *web.Server) {
			s.App().Use(func(c *fiber.Ctx) error {
				who := "nobody"
				if chain := web.Certificates(c); len(chain) > 0 {
					who = chain[0].Subject.CommonName
				}
				return c.SendString(who)
			})
		})
		c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, Certificates: tc.certs})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 16)
		n, _ := res.Body.Read(got)
		_ = res.Body.Close()
		_ = c.Close()
		if string(got[:n]) != tc.want {
			t.Errorf("asks %v, %d certificates: %s", tc.asks, len(tc.certs), got[:n])
		}
	}
}
