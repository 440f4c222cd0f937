package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds the line before a chunk with its extensions, and a trailer
// line.
const maxLine = 2 << 10

// Whole returns the body if all of it, with whatever ends it, has already
// arrived, and tells whether it did. It never waits and comes before Next. The
// bytes are valid until the connection is read again.
func (c *Conn) Whole() ([]byte, bool) {
	switch {
	case c.done:
		return nil, true
	case c.toClose:
		return nil, false
	case c.chunked:
		return c.wholeChunks()
	case int64(c.w-c.r) < c.left:
		return nil, false
	}
	body := c.buf[c.r : c.r+int(c.left)]
	c.r, c.left, c.done = c.r+len(body), 0, true
	return body, true
}

// wholeChunks joins the chunks of a body in Scratch, if the last is there.
func (c *Conn) wholeChunks() ([]byte, bool) {
	b, at, body := c.buf[:c.w], c.r, c.Scratch[:0]
	for {
		n, size, err := chunkLine(b[at:])
		if err != nil || n == 0 {
			return nil, false // Next says what is wrong
		}
		at += n
		if size == 0 {
			break
		}
		if int64(len(b)-at) < size+2 || b[at+int(size)] != '\r' || b[at+int(size)+1] != '\n' {
			return nil, false
		}
		body = append(body, b[at:at+int(size)]...)
		at += int(size) + 2
	}
	c.Scratch = body
	if !bytes.HasPrefix(b[at:], []byte("\r\n")) {
		return nil, false // a trailer, or not yet the end
	}
	c.r, c.done = at+2, true
	return body, true
}

// Ready tells whether bytes of the body are at hand, so that Next will return
// some without waiting.
func (c *Conn) Ready() bool {
	if c.done || c.r == c.w {
		return false
	}
	if !c.chunked || c.left > 0 {
		return true
	}
	at := c.r
	if c.begun {
		at += 2
	}
	if at >= c.w {
		return false
	}
	n, size, err := chunkLine(c.buf[at:c.w])
	return err == nil && n > 0 && size > 0 && at+n < c.w
}

// Next returns the next bytes of the body, at least one, or io.EOF after its
// end. They are valid until the connection is read again.
func (c *Conn) Next(t Ticker) ([]byte, error) {
	if c.done {
		return nil, io.EOF
	}
	if c.chunked && c.left == 0 {
		if err := c.nextChunk(t); err != nil {
			return nil, err
		}
	}
	if c.r == c.w {
		if len(c.buf) < large && (c.toClose || c.left > int64(len(c.buf))) {
			c.grow(large)
		}
		err := c.fill(t)
		if errors.Is(err, ErrClosed) && c.toClose {
			c.done = true
			return nil, io.EOF
		}
		if err != nil {
			return nil, err
		}
	}
	p := c.buf[c.r:c.w]
	if !c.toClose {
		if int64(len(p)) > c.left {
			p = p[:c.left]
		}
		c.left -= int64(len(p))
		c.done = c.left == 0 && !c.chunked
	}
	c.r += len(p)
	return p, nil
}

// nextChunk reads the line before the next chunk; io.EOF after the last.
func (c *Conn) nextChunk(t Ticker) error {
	if c.begun {
		if err := c.lineEnd(t); err != nil {
			return err
		}
	}
	for {
		n, size, err := chunkLine(c.buf[c.r:c.w])
		if err != nil {
			return err
		}
		if n > 0 {
			c.r += n
			c.left, c.begun = size, true
			if size == 0 {
				return c.trailer(t)
			}
			return nil
		}
		if err := c.fill(t); err != nil {
			return err
		}
	}
}

// lineEnd reads the CRLF behind a chunk.
func (c *Conn) lineEnd(t Ticker) error {
	for c.w-c.r < 2 {
		if err := c.fill(t); err != nil {
			return err
		}
	}
	if c.buf[c.r] != '\r' || c.buf[c.r+1] != '\n' {
		return fmt.Errorf("%w: a chunk is longer than it says", ErrMalformed)
	}
	c.r += 2
	return nil
}

// trailer drops the trailer section and returns io.EOF: fields behind a body are
// not passed on (RFC 9110, section 6.5.1).
func (c *Conn) trailer(t Ticker) error {
	for total := 0; total <= maxHead; {
		line := c.buf[c.r:c.w]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			if i == 0 || line[i-1] != '\r' {
				return fmt.Errorf("%w: trailer line %.60q", ErrMalformed, line[:i])
			}
			c.r += i + 1
			total += i + 1
			if i == 1 {
				c.done = true
				return io.EOF
			}
			if _, _, ok := field(line[:i-1]); !ok {
				return fmt.Errorf("%w: trailer line %.60q", ErrMalformed, line[:i])
			}
			continue
		}
		if len(line) > maxLine {
			break
		}
		if err := c.fill(t); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: its trailer is too long", ErrMalformed)
}

// chunkLine reads the size of a chunk (RFC 9112, section 7.1) and returns the
// length of its line, 0 when it is not all there.
func chunkLine(b []byte) (n int, size int64, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxLine {
			return 0, 0, fmt.Errorf("%w: a chunk's line is too long", ErrMalformed)
		}
		return 0, 0, nil
	}
	if end == 0 || b[end-1] != '\r' || end > maxLine {
		return 0, 0, fmt.Errorf("%w: chunk line %.60q", ErrMalformed, b[:end])
	}
	line := b[:end-1]
	digits := 0
	for digits < len(line) {
		d := hexDigit(line[digits])
		if d < 0 {
			break
		}
		size = size<<4 | int64(d)
		digits++
	}
	rest := bytes.TrimLeft(line[digits:], " \t")
	if digits == 0 || digits > 15 || len(rest) > 0 && rest[0] != ';' {
		return 0, 0, fmt.Errorf("%w: chunk line %.60q", ErrMalformed, line)
	}
	return end + 1, size, nil
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
