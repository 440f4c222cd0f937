package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Target says where connections of a Pool go.
type Target struct {
	Address string      // host:port
	TLS     *tls.Config // nil: plain TCP
	// Control is net.Dialer.Control: it sees the address as dialled and may
	// refuse it. Nil allows every address.
	Control func(network, address string, c syscall.RawConn) error
	Connect time.Duration // for dialling with the TLS handshake; 0 means 5 s
	// Idle is how long a connection may wait for its next exchange; 0 means 4 s,
	// which is less than common servers wait before they close (Node 5 s).
	Idle    time.Duration
	MaxIdle int // connections that may wait at once; 0 means 256
}

// Pool keeps connections to one target. Safe for concurrent use.
type Pool struct {
	target Target
	dialer net.Dialer

	mu     sync.Mutex
	idle   []*Conn // the one used last is at the end
	closed bool
}

// NewPool returns an empty pool.
func NewPool(t Target) *Pool {
	if t.Connect <= 0 {
		t.Connect = 5 * time.Second
	}
	if t.Idle <= 0 {
		t.Idle = 4 * time.Second
	}
	if t.MaxIdle <= 0 {
		t.MaxIdle = 256
	}
	return &Pool{target: t, dialer: net.Dialer{Control: t.Control, KeepAlive: 15 * time.Second}}
}

// Take returns a connection that is open and quiet, or nil.
func (p *Pool) Take() *Conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.alive() {
			return c
		}
		c.Close()
	}
}

// Dial opens a connection.
func (p *Pool) Dial(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.target.Connect)
	defer cancel()
	nc, err := p.dialer.DialContext(ctx, "tcp", p.target.Address)
	if err != nil {
		return nil, err
	}
	if p.target.TLS == nil {
		return newConn(nc), nil
	}
	tc := tls.Client(nc, p.target.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS with %s: %w", p.target.Address, err)
	}
	return newConn(tc), nil
}

// Put takes a connection back after its exchange. It closes it unless nothing
// can be left of the exchange.
func (p *Pool) Put(c *Conn) {
	if !c.reusable() {
		c.Close()
		return
	}
	c.idleSince = c.deadline.Add(-c.step) // at most a step ago, and free
	p.mu.Lock()
	full := p.closed || len(p.idle) >= p.target.MaxIdle
	if !full {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if full {
		c.Close()
	}
}

// Reap closes connections that have waited too long.
func (p *Pool) Reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) > p.target.Idle {
		n++
	}
	old := append([]*Conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// Close closes the waiting connections, and the others when they come back.
func (p *Pool) Close() {
	p.mu.Lock()
	old := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// Waiting returns how many connections wait.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}
