package upstream

import (
	"bytes"
	"fmt"
)

// Field is one header line. Its bytes are valid until the connection is read
// again.
type Field struct{ Name, Value []byte }

// Head is the head of an answer. It is valid until the connection is read
// again.
type Head struct {
	Status int
	Fields []Field // in the order of the wire, all of them
	// Length is the number of body bytes, -1 when only the end of the body will
	// tell, and 0 when there is none.
	Length int64
	// Declared is the Content-Length as sent, -1 when there was none. For HEAD
	// and 304 it speaks of a body that does not follow.
	Declared int64

	major11   bool
	closes    bool
	keeps     bool
	chunked   bool
	encodings int
	listed    bool // Connection names more than close and keep-alive
}

// The most interim answers (RFC 9110, section 15.2) before the final one.
const maxInterim = 20

// ReadHead reads the head of the final answer to a request with that method.
// 101 is final if upgrade says that one was asked for, and malformed otherwise.
func (c *Conn) ReadHead(t Ticker, method string, upgrade bool) (*Head, error) {
	for range maxInterim {
		h, err := c.readHead(t)
		if err != nil {
			return nil, err
		}
		switch {
		case h.Status == 101 && upgrade:
			return h, nil
		case h.Status == 101:
			return nil, fmt.Errorf("%w: 101 without being asked", ErrMalformed)
		case h.Status >= 200:
			c.frame(method)
			return h, nil
		}
	}
	return nil, fmt.Errorf("%w: too many interim answers", ErrMalformed)
}

func (c *Conn) readHead(t Ticker) (*Head, error) {
	if c.r == c.w {
		if err := c.fill(t); err != nil {
			return nil, err
		}
	}
	for {
		n := headEnd(c.buf[c.r:c.w])
		if n > 0 {
			text := c.buf[c.r : c.r+n]
			c.r += n
			return &c.head, c.head.parse(text)
		}
		if c.w-c.r >= maxHead {
			return nil, fmt.Errorf("%w: its head is longer than %d bytes", ErrMalformed, maxHead)
		}
		if c.w-c.r == len(c.buf) {
			c.grow(min(2*len(c.buf), maxHead))
		}
		if err := c.fill(t); err != nil {
			return nil, err
		}
	}
}

// headEnd returns the length of the head with its empty line, or 0. Lines may
// end in LF alone (RFC 9112, section 2.2).
func headEnd(b []byte) int {
	from := 0
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		i += from + 1
		switch {
		case i < len(b) && b[i] == '\n':
			return i + 1
		case i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n':
			return i + 2
		}
		from = i
	}
}

func (h *Head) parse(text []byte) error {
	*h = Head{Fields: h.Fields[:0], Declared: -1}
	line, rest := cutLine(text)
	if err := h.statusLine(line); err != nil {
		return err
	}
	for {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		name, value, ok := field(line)
		if !ok {
			return fmt.Errorf("%w: header line %.60q", ErrMalformed, line)
		}
		h.Fields = append(h.Fields, Field{name, value})
		if err := h.note(name, value); err != nil {
			return err
		}
	}
	if h.encodings > 0 && (h.encodings > 1 || !h.chunked || !h.major11) {
		return fmt.Errorf("%w: transfer coding other than chunked", ErrMalformed)
	}
	return nil
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, nil
	}
	line, rest = b[:i], b[i+1:]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, rest
}

// statusLine reads "HTTP/1.1 200 OK" (RFC 9112, section 4).
func (h *Head) statusLine(line []byte) error {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return fmt.Errorf("%w: status line %.60q", ErrMalformed, line)
	}
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return fmt.Errorf("%w: status line %.60q", ErrMalformed, line)
		}
		h.Status = h.Status*10 + int(d-'0')
	}
	if h.Status < 100 || h.Status > 999 {
		return fmt.Errorf("%w: status %d", ErrMalformed, h.Status)
	}
	h.major11 = line[7] == '1'
	return nil
}

// field splits a header line (RFC 9112, section 5). A folded line, a space
// before the colon and control characters are refused.
func field(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name, value = line[:i], line[i+1:]
	for _, b := range name {
		if !tokenBytes[b] {
			return nil, nil, false
		}
	}
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for n := len(value); n > 0 && (value[n-1] == ' ' || value[n-1] == '\t'); n = len(value) {
		value = value[:n-1]
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return nil, nil, false
		}
	}
	return name, value, true
}

// tokenBytes are the bytes of a token (RFC 9110, section 5.6.2).
var tokenBytes = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[b] = true
	}
	return t
}()

// note keeps what a header line says of framing.
func (h *Head) note(name, value []byte) error {
	switch len(name) {
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			n, ok := number(value)
			if !ok || h.Declared >= 0 && h.Declared != n {
				return fmt.Errorf("%w: Content-Length %.60q", ErrMalformed, value)
			}
			h.Declared = n
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			h.encodings++
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	case len("Connection"):
		if bytes.EqualFold(name, []byte("Connection")) {
			closes, keeps := HasToken(value, "close"), HasToken(value, "keep-alive")
			h.closes, h.keeps = h.closes || closes, h.keeps || keeps
			h.listed = h.listed || !closes && !keeps || bytes.IndexByte(value, ',') >= 0
		}
	}
	return nil
}

// number reads digits alone, at most 18 of them.
func number(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, true
}

// HasToken tells whether a comma-separated header value holds a token, in any
// case.
func HasToken(value []byte, want string) bool { return hasTokenBytes(value, []byte(want)) }

func hasTokenBytes(value, want []byte) bool {
	for item := range bytes.SplitSeq(value, []byte{','}) {
		if bytes.EqualFold(bytes.TrimSpace(item), want) {
			return true
		}
	}
	return false
}

// frame decides how the body ends (RFC 9112, section 6.3).
func (c *Conn) frame(method string) {
	h := &c.head
	c.keep = !h.closes && (h.major11 || h.keeps)
	c.chunked, c.toClose, c.left, c.begun = false, false, 0, false
	switch {
	case method == "HEAD" || h.Status == 304:
		c.done = true
	case h.Status == 204:
		c.done = true
		c.keep = c.keep && h.Declared <= 0 && !h.chunked // a body may follow all the same
	case h.chunked:
		c.chunked = true
		c.keep = c.keep && h.Declared < 0 // both framings: one of them is a lie
		h.Length = -1
	case h.Declared >= 0:
		c.left, h.Length = h.Declared, h.Declared
		c.done = h.Declared == 0
	default:
		c.toClose, c.keep, h.Length = true, false, -1
	}
}

// Names tells whether a Connection header of the answer names this header, which
// is then meant for the next hop alone (RFC 9110, section 7.6.1).
func (h *Head) Names(name []byte) bool {
	if !h.listed {
		return false
	}
	for _, f := range h.Fields {
		if len(f.Name) == len("Connection") && bytes.EqualFold(f.Name, []byte("Connection")) && hasTokenBytes(f.Value, name) {
			return true
		}
	}
	return false
}
