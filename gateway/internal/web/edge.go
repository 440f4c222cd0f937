package web

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// ipKey is the client that connections are counted for: an IPv4 address, or the
// /64 that an IPv6 customer has.
type ipKey netip.Prefix

// edge is the listener that a Server reads from: it counts connections until
// they are closed, upgraded ones too, refuses those that are too many of all or
// of one client, keeps accepting when the process runs out of file descriptors,
// and can end what is open.
type edge struct {
	net.Listener
	log       *slog.Logger
	writeIdle time.Duration
	most      int // connections at once
	perIP     int // of one client; 0: no limit
	trusted   []netip.Prefix
	rejected  func(status int) // called for every connection over a limit

	done     chan struct{}
	doneOnce sync.Once

	mu    sync.Mutex
	total int                // that are not closed yet
	conns map[*conn]struct{} // those without the ones that only linger
	count map[ipKey]int
}

func newEdge(ln net.Listener, cfg Config, rejected func(status int)) *edge {
	return &edge{
		Listener: ln, log: cfg.Log, writeIdle: cfg.WriteIdle, most: cfg.MaxConns, perIP: cfg.MaxConnsPerIP,
		trusted: cfg.Trusted, rejected: rejected, done: make(chan struct{}), conns: map[*conn]struct{}{}, count: map[ipKey]int{},
	}
}

// Accept returns the next connection that is within the limits.
func (e *edge) Accept() (net.Conn, error) {
	wait := 5 * time.Millisecond
	for {
		raw, err := e.Listener.Accept()
		if err != nil {
			if !passingError(err) {
				return nil, err
			}
			e.log.Error("cannot accept connections: raise the limit of open files (ulimit -n)", "error", err, "again_in", wait)
			if !e.pause(wait) {
				return nil, net.ErrClosed
			}
			wait = min(2*wait, time.Second)
			continue
		}
		c := &conn{Conn: raw, home: e, from: keyOf(peer(raw.RemoteAddr()))}
		if status := e.enter(c); status != 0 {
			_ = raw.Close()
			e.rejected(status)
			continue
		}
		if t, ok := raw.(*tls.Conn); ok {
			return &secureConn{conn: c, tls: t}, nil
		}
		return c, nil
	}
}

// passingError tells whether Accept may work again: fasthttp ends its loop at
// the first error.
func passingError(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pause waits and reports whether the listener is still open.
func (e *edge) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-e.done:
		return false
	case <-t.C:
		return true
	}
}

// Close stops accepting; open connections stay.
func (e *edge) Close() error {
	e.doneOnce.Do(func() { close(e.done) })
	return e.Listener.Close()
}

func keyOf(addr netip.Addr) ipKey {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the zero Addr gives the zero Prefix
	return ipKey(p)
}

// enter records a connection and returns 0. When there are too many it returns
// the status that says whose they are: 503 all clients', 429 this client's.
// Proxies and the machine itself stand for many clients and have no limit of
// their own.
func (e *edge) enter(c *conn) (status int) {
	addr := netip.Prefix(c.from).Addr()
	limited := e.perIP > 0 && addr.IsValid() && !addr.IsLoopback() && !trusted(e.trusted, peer(c.RemoteAddr()))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.total >= e.most {
		return fasthttp.StatusServiceUnavailable
	}
	if limited && e.count[c.from] >= e.perIP {
		return fasthttp.StatusTooManyRequests
	}
	e.total++
	e.count[c.from]++
	e.conns[c] = struct{}{}
	return 0
}

// left is called when nobody serves a connection any more.
func (e *edge) left(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	if e.count[c.from]--; e.count[c.from] <= 0 {
		delete(e.count, c.from)
	}
}

// closed makes the place of a connection free.
func (e *edge) closed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total--
}

// closeAll ends every open connection, upgraded ones too.
func (e *edge) closeAll() {
	e.mu.Lock()
	var all []*conn
	for c := range e.conns {
		all = append(all, c)
	}
	e.mu.Unlock()
	for _, c := range all {
		_ = c.Conn.Close()
	}
}
