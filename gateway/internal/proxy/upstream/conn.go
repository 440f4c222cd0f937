package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// The errors of this package. Callers compare with errors.Is.
var (
	// ErrMalformed is in the chain when an upstream breaks HTTP in a way that
	// leaves its framing in doubt.
	ErrMalformed = errors.New("malformed answer of the upstream")
	// ErrClosed is returned when the upstream ends the connection before the end
	// of the answer.
	ErrClosed = errors.New("the upstream closed the connection")
)

// Ticker is asked about once a step while nothing arrives. An error ends the
// waiting and is returned as it is.
type Ticker interface{ Tick() error }

// Sizes of buffers.
const (
	small   = 4 << 10  // for heads, and answers that come with them
	large   = 32 << 10 // for streams
	maxHead = 64 << 10 // an answer with a longer head is refused
)

// Conn is one connection to an upstream. It belongs to one exchange at a time;
// only Write may run beside the reading methods, and Close and Interrupt beside
// everything.
type Conn struct {
	Scratch []byte // for the exchange's own use; kept with the connection

	nc       net.Conn
	tls      bool
	raw      syscall.RawConn
	step     time.Duration
	deadline time.Time     // of reading, as last set
	patience time.Duration // for one write
	writeBy  time.Time     // deadline of writing, as last set

	buf  []byte
	r, w int // buf[r:w] is unread

	head     Head
	left     int64 // bytes of a fixed body, or of the current chunk
	chunked  bool
	toClose  bool // the body ends with the connection
	begun    bool // of a chunked body: a chunk was read, so CRLF comes before the next
	done     bool // the answer was read to its end
	keep     bool // framing and both ends allow another exchange
	answered bool // a byte arrived in this exchange

	exchanges int
	idleSince time.Time
	probe     func(fd uintptr)
	quiet     bool
}

func newConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, buf: make([]byte, small), step: time.Second}
	under := nc
	if t, ok := nc.(*tls.Conn); ok {
		under, c.tls = t.NetConn(), true
	}
	if sc, ok := under.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.probe = func(fd uintptr) { c.quiet = quiet(int(fd)) }
	return c
}

// Begin readies the connection for an exchange whose Ticker is asked every step
// while nothing arrives, and whose writes may take up to patience each.
func (c *Conn) Begin(step, patience time.Duration) {
	c.done, c.keep, c.answered, c.begun = false, false, false, false
	if step <= 0 || step > time.Second {
		step = time.Second
	}
	if step != c.step {
		c.step, c.deadline = step, time.Time{}
	}
	if patience != c.patience {
		c.patience, c.writeBy = patience, time.Time{}
	}
	c.exchanges++
}

// Fresh tells whether this is the connection's first exchange.
func (c *Conn) Fresh() bool { return c.exchanges == 1 }

// Answered tells whether any byte arrived in this exchange.
func (c *Conn) Answered() bool { return c.answered }

// Write sends bytes of a request. It may run beside the reading methods. It
// fails when the upstream takes nothing for as long as Begin allowed.
func (c *Conn) Write(p []byte) error {
	if now := time.Now(); c.writeBy.Sub(now) < c.patience/2 {
		c.writeBy = now.Add(c.patience)
		if err := c.nc.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	_, err := c.nc.Write(p)
	return err
}

// Interrupt lets reading fail with os.ErrDeadlineExceeded now, which asks the
// Ticker. The caller makes the Ticker fail first, so that it stays failed.
func (c *Conn) Interrupt() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// Close ends the connection at once.
func (c *Conn) Close() { c.nc.Close() }

// NetConn returns the connection and the bytes that were read from it and not
// used: after a 101 answer it is no longer HTTP.
func (c *Conn) NetConn() (net.Conn, []byte) {
	_ = c.nc.SetDeadline(time.Time{})
	return c.nc, c.buf[c.r:c.w]
}

// fill reads more bytes behind those unread.
func (c *Conn) fill(t Ticker) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r == 0 {
			return ErrMalformed // callers grow the buffer as far as they allow
		}
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	for {
		// A deadline costs more than a look at the clock, so one serves many reads.
		if now := time.Now(); c.deadline.Sub(now) < c.step/2 {
			c.deadline = now.Add(c.step)
			if err := c.nc.SetReadDeadline(c.deadline); err != nil {
				return err
			}
		}
		n, err := c.nc.Read(c.buf[c.w:])
		c.w += n
		if n > 0 {
			c.answered = true
			return nil
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.deadline = time.Time{}
			if err := t.Tick(); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			return ErrClosed
		case err != nil:
			return err
		}
	}
}

// grow makes the buffer hold n bytes.
func (c *Conn) grow(n int) {
	buf := make([]byte, n)
	c.w = copy(buf, c.buf[c.r:c.w])
	c.r, c.buf = 0, buf
}

// reusable tells whether another exchange may follow.
func (c *Conn) reusable() bool { return c.done && c.keep && c.r == c.w }

// alive tells whether the connection is open and nothing arrived on it since
// its last exchange.
func (c *Conn) alive() bool {
	if c.raw == nil {
		return false
	}
	c.quiet = false
	if c.raw.Control(c.probe) != nil || !c.quiet {
		return false
	}
	return !c.tls || c.decrypted()
}

// decrypted tells whether the TLS layer holds no bytes of its own: a record may
// carry more than the answer that was read from it.
func (c *Conn) decrypted() bool {
	c.deadline = time.Time{}
	if c.nc.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := c.nc.Read(c.buf[:1])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
