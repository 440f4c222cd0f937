package proxy

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
)

// upload streams a request's body while the answer is waited for: an upstream
// may answer before it has read everything, and then neither side may wait for
// the other.
type upload struct {
	conn    *upstream.Conn
	src     io.Reader
	chunked bool

	taken atomic.Bool  // the whole body was read from the client
	bytes atomic.Int64 // read so far
	done  chan struct{}
	err   error // after done; a *clientError if the client is to blame

	seen  int64 // bytes at the last tick
	quiet int   // ticks without any
}

// Room in a buffer before and behind the bytes of a chunk.
const (
	roomBefore = 10 // 8 hexadecimal digits, CR LF
	roomBehind = 2
)

// buffers are for copying; what they hold has no meaning.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 32<<10)
	return &b
}}

func startUpload(conn *upstream.Conn, src io.Reader, length int64) *upload {
	u := &upload{conn: conn, src: src, chunked: length < 0, done: make(chan struct{})}
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.done)
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := u.src.Read((*buf)[roomBefore : len(*buf)-roomBehind])
		u.bytes.Add(int64(n))
		if err != nil && !errors.Is(err, io.EOF) {
			u.err = &clientError{err}
			u.conn.Close() // half a request is no request
			return
		}
		last := err != nil
		if last {
			u.taken.Store(true) // before the upstream can know, so before it can answer all of it
		}
		if n > 0 {
			if u.err = u.conn.Write(u.frame(*buf, n)); u.err != nil {
				return // the answer, if there is one, says why
			}
		}
		if last {
			if u.chunked {
				u.err = u.conn.Write([]byte("0\r\n\r\n"))
			}
			return
		}
	}
}

// frame returns the n bytes in buf as they go on the wire.
func (u *upload) frame(buf []byte, n int) []byte {
	if !u.chunked {
		return buf[roomBefore : roomBefore+n]
	}
	return frameChunk(buf, n)
}

// frameChunk makes a chunk (RFC 9112, section 7.1) of the n bytes that begin at
// roomBefore.
func frameChunk(buf []byte, n int) []byte {
	var digits [8]byte
	hex := strconv.AppendUint(digits[:0], uint64(n), 16) //nolint:gosec // n is a length
	start := roomBefore - 2 - len(hex)
	copy(buf[start:], hex)
	buf[roomBefore-2], buf[roomBefore-1] = '\r', '\n'
	end := roomBefore + n
	buf[end], buf[end+1] = '\r', '\n'
	return buf[start : end+2]
}

// busy tells whether the body is still under way.
func (u *upload) busy() bool {
	select {
	case <-u.done:
		return false
	default:
		return true
	}
}

// stalled tells, asked at every tick, whether nothing came for as long as idle.
func (u *upload) stalled(idle, step time.Duration) bool {
	now := u.bytes.Load()
	if now != u.seen {
		u.seen, u.quiet = now, 0
		return false
	}
	u.quiet++
	return time.Duration(u.quiet)*step > idle
}

// complete tells whether the upstream got all of the body. A body that was read
// to its end is waited for a little: its last bytes may just be on their way.
func (u *upload) complete() bool {
	if u.taken.Load() {
		t := time.NewTimer(lastBytes)
		defer t.Stop()
		select {
		case <-u.done:
		case <-t.C:
		}
	}
	return !u.busy() && u.err == nil
}

const lastBytes = 250 * time.Millisecond

// end stops reading the client and returns when nobody reads it. The upstream's
// connection is closed already, or closes here.
func (u *upload) end(ctx *fasthttp.RequestCtx) {
	u.conn.Close()
	for wait := time.Millisecond; u.busy(); wait = min(2*wait, 50*time.Millisecond) {
		// The reader may just be setting a deadline of its own: until it has ended,
		// its last word may be another one.
		_ = ctx.SetReadDeadline(time.Unix(1, 0))
		t := time.NewTimer(wait)
		select {
		case <-u.done:
			t.Stop()
			return
		case <-t.C:
		}
	}
}
