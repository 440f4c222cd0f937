package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// script is a connection that says what it was given, a few bytes at a time.
type script struct {
	rest []byte
	step int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.step)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
func (*script) Write(p []byte) (int, error)      { return len(p), nil }
func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return nil }
func (*script) RemoteAddr() net.Addr             { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

type forever struct{}

func (forever) Tick() error { return nil }

// FuzzAnswer reads an answer in pieces of different sizes, which must not change
// what it says, and compares it with what net/http reads. A connection is kept
// only when both agree where the answer ends.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n",
		"HTTP/1.0 200\r\n\r\nrest", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nx", "HTTP/1.1 304 x\nContent-Length: 9\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nConnection: close, x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), byte(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, step byte) {
		status, body, kept, err := readAll(raw, 1+int(step))
		status2, body2, kept2, err2 := readAll(raw, 1<<20)
		if status != status2 || !bytes.Equal(body, body2) || (err == nil) != (err2 == nil) || err == nil && kept != kept2 && !kept {
			t.Fatalf("%q: in pieces %d %q %v %v, at once %d %q %v %v", raw, status, body, kept, err, status2, body2, kept2, err2)
		}
		if err != nil || !kept2 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(raw))
		res, err := http.ReadResponse(r, nil)
		for err == nil && res.StatusCode < 200 {
			res, err = http.ReadResponse(r, nil)
		}
		if err != nil {
			return // net/http is stricter here; that the connection is kept does no harm
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != status || !bytes.Equal(got, body) || r.Buffered() > 0 {
			t.Fatalf("%q: here %d %q, net/http %d %q %v with %d bytes left", raw, status, body, res.StatusCode, got, err, r.Buffered())
		}
	})
}

// readAll reads the answer to a GET and tells whether the connection would be
// kept.
func readAll(raw []byte, step int) (status int, body []byte, kept bool, err error) {
	c := newConn(&script{rest: raw, step: step})
	c.Begin(time.Second, time.Second)
	h, err := c.ReadHead(forever{}, "GET", false)
	if err != nil {
		return 0, nil, false, err
	}
	status = h.Status
	if b, ok := c.Whole(); ok {
		return status, bytes.Clone(b), c.reusable(), nil
	}
	for {
		p, err := c.Next(forever{})
		if errors.Is(err, io.EOF) {
			return status, body, c.reusable(), nil
		}
		if err != nil {
			return status, nil, false, err
		}
		body = append(body, p...)
	}
}
