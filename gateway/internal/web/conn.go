package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

var errBareLF = errors.New("a line of the request does not end with CR LF")

// phase is where a connection stands between requests.
type phase uint8

const (
	waiting phase = iota // no byte of the next request has been read
	heading              // its header block is being read
	passing              // the header block is over, or came with an earlier read
)

// conn is a client's connection. It limits how long one write may take, so that
// a client that does not read cannot hold memory while a long stream may last,
// and refuses header lines that end with a bare LF as they arrive.
type conn struct {
	net.Conn
	home *edge
	from ipKey

	// Used by the goroutine that reads.
	phase    phase
	cr       bool // the last byte was CR
	line     bool // the current line has begun
	nonEmpty bool // a line with something in it was seen

	deadline atomic.Int64 // when the write deadline was set, Unix nanoseconds
	linger   atomic.Bool  // the client may still be sending
	closed   atomic.Bool
}

// Read reads and watches the header block.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 || c.phase == passing {
		return n, err
	}
	if c.phase == waiting {
		c.phase, c.cr, c.line, c.nonEmpty = heading, false, false, false
	}
	if !c.watch(p[:n]) {
		return 0, errBareLF
	}
	return n, err
}

// watch follows the lines of the header block and reports whether all of them
// end with CR LF. It stops at the empty line.
func (c *conn) watch(b []byte) bool {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			c.line = c.line || len(b) > 1 || b[0] != '\r'
			c.cr = b[len(b)-1] == '\r'
			return true
		}
		cr := c.cr
		if i > 0 {
			cr = b[i-1] == '\r'
		}
		if !cr {
			return false
		}
		empty := !c.line && i < 2 && (i == 0 || b[0] == '\r')
		if empty && c.nonEmpty {
			c.phase = passing
			return true
		}
		c.nonEmpty = c.nonEmpty || !empty
		c.cr, c.line = false, false
		b = b[i+1:]
	}
	return true
}

// state follows fasthttp's view of the connection. A request that becomes active
// without a read was in the buffer already: what comes next is not its start.
func (c *conn) state(s fasthttp.ConnState) {
	switch {
	case s == fasthttp.StateIdle:
		c.phase = waiting
	case s == fasthttp.StateActive && c.phase == waiting:
		c.phase = passing
	}
}

// Write gives every write a deadline of its own. Setting one costs a timer, so
// it is renewed only when an eighth of it has passed.
func (c *conn) Write(p []byte) (int, error) {
	now := time.Now()
	idle := c.home.writeIdle
	if now.UnixNano()-c.deadline.Load() > int64(idle/8) {
		if err := c.SetWriteDeadline(now.Add(idle)); err != nil {
			return 0, err
		}
		c.deadline.Store(now.UnixNano())
	}
	return c.Conn.Write(p)
}

// NetConn returns the connection underneath. It is only for looking at the
// socket, as the proxy does to see whether a client that waits has left.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close ends the connection. When the client may still be sending, it first lets
// the answer arrive: closing with unread input makes the kernel reset the
// connection, and the client would lose the answer (RFC 9112, section 9.6).
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.home.left(c)
	defer c.home.closed()
	if c.linger.Load() {
		c.drain()
	}
	return c.Conn.Close()
}

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

func (c *conn) drain() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	raw := c.Conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}
	end := time.Now().Add(lingerTime)
	if raw.SetReadDeadline(end) != nil {
		return
	}
	if n, _ := io.CopyN(io.Discard, raw, lingerBytes); n == lingerBytes {
		// A large upload: the client stands still now and reads the answer.
		rest := time.NewTimer(time.Until(end))
		defer rest.Stop()
		<-rest.C
	}
}

// secureConn is a conn over TLS; fasthttp knows TLS by these methods.
type secureConn struct {
	*conn
	tls *tls.Conn
}

// Handshake runs the handshake. Somebody who speaks plain HTTP to a TLS port is
// told so.
func (c *secureConn) Handshake() error {
	err := c.tls.HandshakeContext(context.Background()) // the connection has a deadline
	var bad tls.RecordHeaderError
	if errors.As(err, &bad) && bad.Conn != nil && looksLikeHTTP(bad.RecordHeader) {
		_, _ = io.WriteString(bad.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+
			"This port speaks HTTPS. Use an address that begins with https://\n")
		_ = bad.Conn.Close()
	}
	return err
}

// ConnectionState returns the state of the TLS connection.
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

func looksLikeHTTP(h [5]byte) bool {
	switch string(h[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// unwrap returns our end of a connection that fasthttp serves.
func unwrap(c net.Conn) (*conn, bool) {
	switch c := c.(type) {
	case *conn:
		return c, true
	case *secureConn:
		return c.conn, true
	}
	return nil, false
}
