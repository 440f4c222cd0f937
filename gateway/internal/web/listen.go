package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Listening says where to listen.
type Listening struct {
	Addr     string // host:port; port 0 takes a free one
	CertFile string // PEM chain; with KeyFile the listener speaks TLS
	KeyFile  string
	// ClientCertificates asks every client for a certificate and takes any, or
	// none: see Certificates.
	ClientCertificates bool

	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
}

// Listen opens a TCP listener, with TLS 1.2 or newer when a certificate is
// given. The files are looked at again when they change: a broken new pair is
// logged and the old one stays. The error is one line for the operator.
func Listen(ctx context.Context, cfg Listening) (net.Listener, error) {
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("TLS needs both a certificate file and a key file")
	}
	var secure *tls.Config
	if cfg.CertFile != "" {
		c, err := newCertificate(cfg)
		if err != nil {
			return nil, err
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: c.current}
		if cfg.ClientCertificates {
			secure.ClientAuth = tls.RequestClientCert
		}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another program uses this port", cfg.Addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)", cfg.Addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", cfg.Addr, err)
	}
	if secure != nil {
		ln = tls.NewListener(ln, secure)
	}
	return ln, nil
}

// certificate is a pair of files and the last good pair read from them.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]fileStamp
	checked time.Time
}

// fileStamp tells one content of a file from the next.
type fileStamp struct {
	mod  time.Time
	size int64
}

func newCertificate(cfg Listening) (*certificate, error) {
	c := &certificate{certFile: cfg.CertFile, keyFile: cfg.KeyFile, log: cfg.Log, now: cfg.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	stamp, err := c.stat()
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate %s with the key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair, c.stamp, c.checked = &pair, stamp, c.now()
	return c, nil
}

// current returns the pair for a handshake. The files are looked at no more
// than once a second.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.checked) < time.Second {
		return c.pair, nil
	}
	c.checked = now
	stamp, err := c.stat()
	if err != nil {
		c.log.Error("cannot look at the TLS certificate; the old one stays", "error", err)
		return c.pair, nil
	}
	if stamp == c.stamp {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	c.stamp = stamp // a broken pair is logged once, and tried again when it changes
	if err != nil {
		c.log.Error("the new TLS certificate cannot be used; the old one stays", "file", c.certFile, "error", err)
		return c.pair, nil
	}
	c.log.Info("TLS certificate reloaded", "file", c.certFile)
	c.pair = &pair
	return c.pair, nil
}

func (c *certificate) stat() (s [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return s, fmt.Errorf("stat: %w", err)
		}
		s[i] = fileStamp{mod: info.ModTime(), size: info.Size()}
	}
	return s, nil
}
