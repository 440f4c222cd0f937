package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
)

// tunnel carries the bytes of an upgraded connection in both directions until
// one end closes, nothing passes for too long, or the session ends.
type tunnel struct {
	client, app net.Conn
	early       []byte // of the app, behind its head
	idle        time.Duration
	why         func() error // it is to end: see life.over
	frames      *frames      // what the app sends, if it is WebSocket
	last        atomic.Int64 // when a byte passed, Unix nanoseconds
	over        atomic.Bool

	mu   sync.Mutex
	gone bool // the client's connection is no longer ours
}

const (
	smallCopy = 4 << 10
	largeCopy = 32 << 10
	grace     = 5 * time.Second        // for the other end, after one has closed
	farewell  = 300 * time.Millisecond // for the client to answer a close frame
)

// What a WebSocket client is told.
const (
	codeEnded   = 4401 // private use (RFC 6455, section 7.4.2): signed out
	textEnded   = "The session ended."
	codeStopped = 1001 // going away (section 7.4.1)
	textStopped = "The gateway stops."
)

// tunnel takes the client's connection over after a 101.
func (x *exchange) tunnel(h *upstream.Head) error {
	if !switched(h, x.out.protocol) {
		return x.fail(fmt.Errorf("%w: it switched to another protocol than %s", upstream.ErrMalformed, x.out.protocol))
	}
	head := upgradeHead(h, x.out.protocol, x.visit.TraceID)
	app, early := x.conn.NetConn()
	t := &tunnel{app: app, early: bytes.Clone(early), idle: time.Duration(x.plan.route.Timeouts.Tunnel)}
	if x.out.protocol == "websocket" {
		t.frames = &frames{}
	}
	// What waited so far was the handshake; from now on an end has to reach the
	// copying, not the reading of a head.
	x.long.close()
	x.long = nil
	long := x.p.long.add(x.p.cfg.Door, x.id, x.p.cfg.Now(), t.wake)
	long.yield()
	t.why = long.over
	x.ctx.SetStatusCode(h.Status)
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(c net.Conn) {
		defer long.close()
		defer app.Close()
		defer t.release()
		t.take(c)
		if _, err := c.Write(head); err == nil {
			t.run()
		}
	})
	return nil
}

// switched tells whether a 101 names the protocol that was asked for.
func switched(h *upstream.Head, protocol string) bool {
	named, up := false, false
	for _, f := range h.Fields {
		switch {
		case bytes.EqualFold(f.Name, []byte("Upgrade")):
			named = bytes.EqualFold(f.Value, []byte(protocol))
		case bytes.EqualFold(f.Name, []byte("Connection")):
			up = up || upstream.HasToken(f.Value, "upgrade")
		}
	}
	return named && up
}

// run copies until the connection has ended.
func (t *tunnel) run() {
	t.last.Store(time.Now().UnixNano())
	up := make(chan struct{})
	go func() {
		defer close(up)
		t.up()
	}()
	t.down()
	why := t.why()
	t.halt()
	<-up
	if why != nil {
		sever(t.app) // nothing of the client reaches it any more
		t.farewell(why)
	}
}

// sever closes a connection without the good-bye of TLS, which would wait for an
// app that does not read.
func sever(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	c.Close()
}

// up copies from the client to the app. When the client has closed, the app may
// finish what it is saying.
func (t *tunnel) up() {
	t.copy(t.app, t.client, nil)
	if w, ok := t.app.(interface{ CloseWrite() error }); ok && !t.stopped() {
		_ = w.CloseWrite()
	}
	time.AfterFunc(grace, t.halt)
}

// down copies from the app to the client. When the app has closed, nothing the
// client says matters.
func (t *tunnel) down() {
	if len(t.early) > 0 {
		if _, err := t.client.Write(t.early); err != nil {
			return
		}
		t.frames.feed(t.early)
	}
	t.copy(t.client, t.app, t.frames)
}

// take makes c the client's end.
func (t *tunnel) take(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.client = c
}

// release lets go of the client's end: fasthttp uses it again.
func (t *tunnel) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
}

// wake interrupts what waits for the app, in either direction, or writes to the
// client, so that the tunnel's end is seen.
func (t *tunnel) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.app.SetDeadline(time.Unix(1, 0))
	if t.client != nil && !t.gone {
		_ = t.client.SetWriteDeadline(time.Now().Add(farewell))
	}
}

// halt lets both directions end now.
func (t *tunnel) halt() {
	t.over.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.app.SetDeadline(time.Unix(1, 0)) // writing, too: it may not read
	if !t.gone {
		_ = t.client.SetReadDeadline(time.Unix(1, 0))
	}
}

// stopped tells whether to end. It is asked after a deadline was set, because
// whoever stops the tunnel first says so and then sets a deadline in the past.
func (t *tunnel) stopped() bool { return t.over.Load() || t.why() != nil }

// copy moves bytes until an end, an error, silence or the end of the tunnel.
func (t *tunnel) copy(to, from net.Conn, f *frames) {
	buf := make([]byte, smallCopy) // most sockets are quiet, and there may be many
	for {
		if from.SetReadDeadline(time.Now().Add(t.idle)) != nil || t.stopped() {
			return
		}
		n, err := from.Read(buf)
		if n > 0 {
			t.last.Store(time.Now().UnixNano())
			if !t.pass(to, buf[:n]) {
				return
			}
			f.feed(buf[:n])
		}
		if n == smallCopy {
			buf = make([]byte, largeCopy)
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || t.silent()) {
			return
		}
	}
}

// pass writes what one end said. At the tunnel's end nothing more is passed on.
func (t *tunnel) pass(to net.Conn, p []byte) bool {
	if to.SetWriteDeadline(time.Now().Add(t.idle)) != nil || t.stopped() {
		return false
	}
	_, err := to.Write(p)
	return err == nil
}

// silent tells whether neither direction carried a byte for as long as is
// allowed.
func (t *tunnel) silent() bool {
	return time.Since(time.Unix(0, t.last.Load())) >= t.idle
}

// farewell tells a WebSocket client why its connection ends, if the last frame
// to it was complete, and waits a moment for its answer.
func (t *tunnel) farewell(why error) {
	if t.frames == nil || !t.frames.between() {
		return
	}
	frame := closeFrame(codeEnded, textEnded)
	if errors.Is(why, errStopped) {
		frame = closeFrame(codeStopped, textStopped)
	}
	if t.client.SetDeadline(time.Now().Add(farewell)) != nil {
		return
	}
	if _, err := t.client.Write(frame); err == nil {
		_, _ = io.Copy(io.Discard, t.client)
	}
}
