package proxy

import (
	"errors"
	"io"
	"net"
	"time"
)

// stream is the body of an answer on its way to a client. fasthttp calls it
// after the handler, in the goroutine of the client's connection, and closes
// it. It is never used again.
type stream struct {
	x    *exchange
	size int64 // -1: not known
	rest []byte
}

// stream lets the answer's body follow as it arrives. events says that it is one
// that browsers open again by themselves.
func (x *exchange) stream(size int64, events bool) {
	x.body = true
	x.lasts()
	if events {
		x.long.yield()
	}
	s := &stream{x: x, size: size}
	if size < 0 && !x.ctx.Request.Header.IsHTTP11() {
		s.untilClose()
		return
	}
	resp := &x.ctx.Response
	// The head goes out at once; what follows is written past fasthttp's buffer,
	// which would hold bytes back until it is full.
	resp.ImmediateHeaderFlush = true
	resp.SetBodyStream(s, int(size))
}

// SupportsBodyWriteTo makes fasthttp use WriteTo.
func (s *stream) SupportsBodyWriteTo() bool { return true }

// WriteTo copies the body to the client's connection, each part as soon as it
// is there. fasthttp has flushed the head and writes nothing before it returns;
// behind a body of unknown length it then writes the last chunk.
func (s *stream) WriteTo(io.Writer) (int64, error) {
	if s.size < 0 {
		return s.chunks(s.x.ctx.Conn())
	}
	return s.plain(s.x.ctx.Conn())
}

// next returns the next bytes of the body.
func (s *stream) next() ([]byte, error) {
	if err := s.x.long.over(); err != nil {
		return nil, err
	}
	p, err := s.x.conn.Next(s.x)
	s.x.quiet = 0
	return p, err
}

func (s *stream) plain(w io.Writer) (n int64, err error) {
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
}

// chunks writes the body in chunks, as few as there are waits.
func (s *stream) chunks(w io.Writer) (n int64, err error) {
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	room := (*buf)[roomBefore : len(*buf)-roomBehind]
	for {
		k, err := s.gather(room)
		if k > 0 {
			if _, err := w.Write(frameChunk(*buf, k)); err != nil {
				return n, err
			}
			n += int64(k)
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// gather waits for bytes of the body and takes as many as are there.
func (s *stream) gather(room []byte) (n int, err error) {
	for {
		if len(s.rest) == 0 {
			if s.rest, err = s.next(); err != nil {
				return n, err
			}
		}
		k := copy(room[n:], s.rest)
		n += k
		s.rest = s.rest[k:]
		if len(s.rest) > 0 || !s.x.conn.Ready() {
			return n, nil
		}
	}
}

// Read reads the body for whoever does not use WriteTo.
func (s *stream) Read(p []byte) (int, error) { return s.gather(p) }

// Close ends the exchange, whether the body was read to its end or not.
func (s *stream) Close() error {
	if s.x.conn != nil {
		s.x.finish()
	}
	return nil
}

// untilClose is for clients of HTTP/1.0, which know no chunks: the body ends
// with the connection.
func (s *stream) untilClose() {
	ctx := s.x.ctx
	ctx.Response.SetConnectionClose()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		defer func() { _ = s.Close() }()
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			return
		}
		if _, err := c.Write(ctx.Response.Header.AppendBytes(nil)); err == nil {
			_, _ = s.plain(c)
		}
	})
}
