package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Shapes of answers of the hostile app.
const (
	shapeFixed   = iota
	shapeChunked // many small chunks
	shapeWhole   // chunked, in one write
	shapeSlow    // fixed, with waits
	shapeClose   // ends with the connection
	shapeCut     // fixed, and ends early
	shapeReset   // a reset in the middle
	shapeExtra   // more bytes than announced, of the next answer to be
	shapeLate    // such bytes, a little later
	shapeEarly   // answers before it reads the body
	shapeHead    // HEAD-like: 304 with a body all the same
	shapeEndless // never ends
	shapes
)

// speaker is an app all of whose bytes carry the token of their request.
func speaker(t *testing.T, conns, requests *atomic.Int64) string {
	t.Helper()
	return rawApp(t, func(c net.Conn, r *bufio.Reader) {
		conns.Add(1)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			requests.Add(1)
			if !speak(c, req) {
				return
			}
		}
	})
}

// speak answers one request and tells whether the connection goes on.
func speak(c net.Conn, req *http.Request) bool {
	token := req.Header.Get("X-Token")
	shape, _ := strconv.Atoi(req.URL.Query().Get("shape"))
	size, _ := strconv.Atoi(req.URL.Query().Get("size"))
	body := bytes.Repeat([]byte(token+"|"), size)
	head := "HTTP/1.1 200 OK\r\nX-Token: " + token + "\r\n"
	if shape == shapeEarly {
		_, _ = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
		_, err := io.CopyN(io.Discard, req.Body, 1<<20)
		return errors.Is(err, io.EOF)
	}
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return false
	}
	if bad := foreign(sent, token); bad != "" {
		body = []byte("UPLOAD MIXED UP: " + bad)
		shape = shapeFixed
	}
	switch shape {
	case shapeChunked, shapeWhole:
		var b bytes.Buffer
		b.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := min(10*(1+len(token)), len(rest))
			if shape == shapeWhole {
				n = len(rest)
			}
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\n\r\n")
		_, err = c.Write(b.Bytes())
	case shapeSlow:
		_, err = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n", head, len(body))
		for rest := body; len(rest) > 0 && err == nil; {
			n := min(1+len(rest)/3, len(rest))
			_, err = c.Write(rest[:n])
			rest = rest[n:]
			runtime.Gosched()
		}
	case shapeClose:
		_, _ = fmt.Fprintf(c, "%s\r\n%s", head, body)
		return false
	case shapeCut:
		_, _ = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", head, len(body)+10, body)
		return false
	case shapeReset:
		_, _ = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", head, 2*len(body)+1, body)
		_ = c.(*net.TCPConn).SetLinger(0)
		return false
	case shapeExtra:
		// What comes in a later segment cannot be told from an answer to the next
		// request: no client of HTTP/1.1 can.
		body = body[:min(len(body), 1000/(len(token)+1)*(len(token)+1))]
		_, err = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nX-Token: EVIL-%s\r\nContent-Length: 4\r\n\r\nEVIL", head, len(body), body, token)
	case shapeHead:
		_, err = fmt.Fprintf(c, "HTTP/1.1 304 Not Modified\r\nX-Token: %s\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
	case shapeEndless:
		_, err = fmt.Fprintf(c, "%sTransfer-Encoding: chunked\r\n\r\n", head)
		for err == nil {
			_, err = fmt.Fprintf(c, "%x\r\n%s|\r\n", len(token)+1, token)
		}
	default:
		_, err = fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	return err == nil
}

// foreign returns the beginning of what is not a repetition of the token.
func foreign(b []byte, token string) string {
	want := bytes.Repeat([]byte(token+"|"), len(b)/(len(token)+1)+1)[:len(b)]
	if bytes.Equal(b, want) {
		return ""
	}
	at := 0
	for b[at] == want[at] {
		at++
	}
	return fmt.Sprintf("at %d of %d: %.80q", at, len(b), b[at:])
}

// visitor sends requests on connections of its own and looks at every byte.
type visitor struct {
	g    *gate
	id   int
	rnd  *rand.Rand
	conn net.Conn
	in   *bufio.Reader
}

// visit makes one request. It returns what must never happen.
func (v *visitor) visit(n int) error {
	if v.conn == nil {
		c, err := net.Dial("tcp", v.g.addr)
		if err != nil {
			return err
		}
		v.conn, v.in = c, bufio.NewReader(c)
	}
	token := fmt.Sprintf("t%d-%d", v.id, n)
	shape, size := v.rnd.IntN(shapes), []int{0, 1, 20, 200, 2000, 10_000}[v.rnd.IntN(6)]
	abort := v.rnd.IntN(4) == 0 || shape == shapeEndless
	_ = v.conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, err := v.conn.Write(v.request(token, shape, size))
	if err == nil && (!abort || v.rnd.IntN(2) == 0) {
		var res *http.Response
		if res, err = http.ReadResponse(v.in, nil); err == nil {
			return v.look(res, token, abort)
		}
	}
	v.leave() // being cut off is allowed
	return nil
}

// request is a GET, or a POST whose body carries the token too.
func (v *visitor) request(token string, shape, size int) []byte {
	var b bytes.Buffer
	method := "GET"
	if shape == shapeEarly || v.rnd.IntN(3) == 0 {
		method = "POST"
	}
	fmt.Fprintf(&b, "%s /?shape=%d&size=%d HTTP/1.1\r\nHost: app.test\r\nX-Token: %s\r\n", method, shape, size, token)
	body := strings.Repeat(token+"|", v.rnd.IntN(6000))
	switch {
	case method == "GET":
		b.WriteString("\r\n")
	case v.rnd.IntN(2) == 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for len(body) > 0 {
			n := min(1+v.rnd.IntN(20_000), len(body))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		b.WriteString("0\r\n\r\n")
	}
	return b.Bytes()
}

// look judges an answer, all of it or, to leave early, a part.
func (v *visitor) look(res *http.Response, token string, abort bool) error {
	defer res.Body.Close()
	var src io.Reader = res.Body
	if abort {
		src = io.LimitReader(src, int64(v.rnd.IntN(10_000)))
	}
	body, err := io.ReadAll(src)
	if res.StatusCode >= 400 { // the proxy's own
		if bytes.Contains(body, []byte("|")) || res.Header.Get("X-Token") != "" {
			return fmt.Errorf("%s: an error with an answer's bytes: %s", token, body)
		}
	} else if got := res.Header.Get("X-Token"); got != token {
		return fmt.Errorf("%s got the answer to %q", token, got)
	} else if bad := foreign(body, token); bad != "" {
		return fmt.Errorf("%s got foreign bytes %s", token, bad)
	}
	if abort || err != nil || res.Close {
		v.leave()
	}
	return nil
}

func (v *visitor) leave() {
	if v.conn == nil {
		return
	}
	if v.rnd.IntN(2) == 0 {
		_ = v.conn.(*net.TCPConn).SetLinger(0)
	}
	v.conn.Close()
	v.conn = nil
}

// No byte of one answer ever reaches another request, whatever the clients and
// the app do to their connections.
func TestNoCrossTalk(t *testing.T) {
	t.Parallel()
	each := 120
	if rounds, err := strconv.Atoi(os.Getenv("GATEPOST_FAULT_ROUNDS")); err == nil {
		each *= 10 * rounds
	}
	var conns, requests atomic.Int64
	g := open(t, to(speaker(t, &conns, &requests), public))
	var all sync.WaitGroup
	for id := range 24 {
		all.Go(func() {
			v := &visitor{g: g, id: id, rnd: rand.New(rand.NewPCG(uint64(id), uint64(time.Now().UnixNano())))}
			defer v.leave()
			for n := range each {
				if err := v.visit(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d requests reached the app on %d connections", requests.Load(), conns.Load())
	if requests.Load() < conns.Load()*5/4 {
		t.Errorf("connections were hardly used again: %d requests on %d", requests.Load(), conns.Load())
	}
}
