package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// The reasons of ours to give an exchange up, besides those of a life.
var (
	errGone = errors.New("the client left")
	errSlow = errors.New("the upstream did not answer in time")
	errIdle = errors.New("nothing arrived for too long")
)

// exchange is one request on its way to an upstream and back. It is made for
// one request and never used again.
type exchange struct {
	p     *Proxy
	ctx   *fasthttp.RequestCtx
	visit web.Visit
	began time.Time // of waiting for the answer

	plan   *plan
	in     inbound
	id     *Identity
	bearer bool
	out    outbound

	conn  *upstream.Conn
	up    *upload // nil: the body, if any, went with the head
	early bool    // the answer came before the body's end
	long  *life   // nil until the exchange turns out to last
	body  bool    // the answer's body is being read
	late  bool    // the session ended behind the request: the app may have received it
	quiet int     // ticks since its last byte
}

// serve answers the request, or returns why it is refused.
func (x *exchange) serve(c *fiber.Ctx) error {
	if ownPath(&x.visit) {
		return x.p.own(c, x)
	}
	src, err := x.decide(c)
	x.p.cfg.Decided(decision(err))
	if err != nil {
		return err
	}
	return x.forward(src)
}

// decide readies a request that may pass. src is its body, if any.
func (x *exchange) decide(c *fiber.Ctx) (src io.Reader, err error) {
	pl, err := x.p.find(&x.visit)
	if err != nil {
		return nil, err
	}
	x.plan, x.began = pl, x.p.cfg.Now()
	if err := x.in.read(x.ctx.Request.Header.RawHeaders(), pl.custom); err != nil {
		return nil, err
	}
	base := context.Background()
	if x.id, x.bearer, err = x.p.admit(base, pl, &x.in); err != nil {
		return nil, err
	}
	x.out = outbound{visit: &x.visit, plan: pl, bearer: x.bearer}
	if x.id != nil {
		if x.out.identity, err = x.id.lines(base, x.p.cfg.Door, pl, x.began); err != nil {
			return nil, err
		}
	}
	if src, err = web.Stream(c, pl.route.MaxBody); err != nil {
		return nil, err
	}
	if src != nil {
		x.out.length = int64(x.ctx.Request.Header.ContentLength())
	} else if x.visit.Method == fasthttp.MethodGet {
		x.out.protocol = x.in.protocol(pl.route.Upgrades)
	}
	if x.out.protocol != "" && x.id != nil && !x.bearer && !x.in.ofOrigin(pl.route) {
		return nil, fault.New(fault.Denied, "A page of another site may not open this connection with your session.", nil)
	}
	return src, nil
}

// forward sends the request and passes the answer on.
func (x *exchange) forward(src io.Reader) error {
	sent := x.p.cfg.Now()
	h, err := x.ask(src, false)
	if err != nil && x.again(src, err) {
		x.drop()
		h, err = x.ask(src, true)
	}
	took := x.p.cfg.Now().Sub(sent)
	if err != nil {
		say := x.fail(err)
		x.p.cfg.Answered(x.outcome(err), took)
		return say
	}
	x.p.cfg.Answered("ok", took)
	if h.Status == fasthttp.StatusSwitchingProtocols {
		return x.tunnel(h)
	}
	x.relay(h)
	return nil
}

// ask sends the request on a connection and reads the head of the answer.
func (x *exchange) ask(src io.Reader, fresh bool) (*upstream.Head, error) {
	if !fresh && x.out.protocol == "" {
		x.conn = x.plan.pool.Take()
	}
	if x.conn == nil {
		var err error
		if x.conn, err = x.plan.pool.Dial(context.Background()); err != nil {
			return nil, err
		}
	}
	r := x.plan.route
	x.conn.Begin(x.plan.step, time.Duration(r.Timeouts.Idle))
	x.conn.Scratch = x.in.appendHead(x.conn.Scratch[:0], &x.out)
	if err := x.send(src); err != nil {
		return nil, err
	}
	return x.conn.ReadHead(x, x.visit.Method, x.out.protocol != "")
}

// ready is how much of a body fasthttp has read before a handler runs.
const ready = 8 << 10

// send writes the head, with a body that is here already, or starts to stream
// the body behind it.
func (x *exchange) send(src io.Reader) error {
	if src == nil {
		return x.conn.Write(x.conn.Scratch)
	}
	if n := x.out.length; n >= 0 && n <= ready {
		at := len(x.conn.Scratch)
		x.conn.Scratch = append(x.conn.Scratch, make([]byte, n)...)
		if _, err := io.ReadFull(src, x.conn.Scratch[at:]); err != nil {
			return &clientError{err}
		}
		return x.conn.Write(x.conn.Scratch)
	}
	if err := x.conn.Write(x.conn.Scratch); err != nil {
		return err
	}
	x.up = startUpload(x.conn, src, x.out.length)
	return nil
}

// again tells whether the request may be sent once more: a connection that had
// waited was closed by the upstream just as it was taken, and sending twice does
// not do twice (RFC 9110, section 9.2.2).
func (x *exchange) again(src io.Reader, err error) bool {
	if x.conn == nil || x.conn.Fresh() || x.conn.Answered() || src != nil || x.out.protocol != "" || ourReason(err) {
		return false
	}
	switch x.visit.Method {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions:
		return true
	}
	return false
}

func ourReason(err error) bool {
	return errors.Is(err, errGone) || isOver(err) || errors.Is(err, errSlow) || errors.Is(err, errIdle) || errors.Is(err, upstream.ErrMalformed)
}

// Tick implements upstream.Ticker: nothing arrived for a step.
func (x *exchange) Tick() error {
	x.lasts()
	t := &x.plan.route.Timeouts
	if err := x.long.over(); err != nil {
		return err
	}
	switch {
	case left(x.ctx.Conn()):
		return errGone
	case x.body:
		x.quiet++
		if time.Duration(x.quiet)*x.plan.step > time.Duration(t.Idle) {
			return errIdle
		}
	case x.up != nil && x.up.busy():
		if x.up.stalled(time.Duration(t.Idle), x.plan.step) {
			return errIdle
		}
		x.began = x.p.cfg.Now()
	case x.p.cfg.Now().Sub(x.began) >= time.Duration(t.Response):
		return errSlow
	}
	return nil
}

// lasts registers the exchange as one that lasts.
func (x *exchange) lasts() {
	if x.long != nil {
		return
	}
	app, client := x.conn, x.ctx.Conn()
	x.long = x.p.long.add(x.p.cfg.Door, x.id, x.p.cfg.Now(), func() {
		app.Interrupt()
		_ = client.SetWriteDeadline(time.Now().Add(farewell)) // it may be waiting for a client that does not read
	})
}

// drop ends what the exchange holds, and its connection.
func (x *exchange) drop() {
	if x.conn != nil {
		x.conn.Close()
	}
	x.endUpload()
	x.conn = nil
	x.long.close()
	x.long = nil
}

// finish ends the exchange after its answer was read and keeps the connection
// if it can serve another one.
func (x *exchange) finish() {
	if x.early {
		x.drop()
		return
	}
	x.plan.pool.Put(x.conn)
	x.conn = nil
	x.long.close()
	x.long = nil
}

// endUpload stops reading the client's body and waits until nobody does.
func (x *exchange) endUpload() {
	if x.up != nil {
		x.up.end(x.ctx)
	}
}

// fail ends the exchange and says what the client is told.
func (x *exchange) fail(err error) error {
	x.drop()
	if isOver(err) { // also behind an upload, whose reader fails as the client's would
		return x.cut(err)
	}
	var client *clientError
	if x.up != nil && errors.As(x.up.err, &client) || errors.As(err, &client) {
		x.ctx.SetConnectionClose()
		if f := fault.Read(client.err); f.Kind != fault.Internal {
			return f
		}
		return fault.New(fault.Invalid, "The body of the request ended early or did not arrive in time.", client.err)
	}
	switch {
	case errors.Is(err, errGone):
		x.ctx.SetConnectionClose()
		x.ctx.SetStatusCode(statusGone)
		return nil
	case errors.Is(err, errSlow), errors.Is(err, errIdle):
		return fmt.Errorf("%s: %w: %w", x.plan.route.Upstream, err, fiber.ErrGatewayTimeout)
	}
	return fault.New(fault.BadGateway, "The app behind this address cannot be reached or does not answer as it should.",
		fmt.Errorf("upstream %s: %w", x.plan.route.Upstream, err))
}

func isOver(err error) bool { return errors.Is(err, errEnded) || errors.Is(err, errStopped) }

// cut says why an exchange was given up that the app had begun to receive. What
// became of it is not known, so nothing is claimed.
func (x *exchange) cut(why error) error {
	x.ctx.SetConnectionClose()
	if errors.Is(why, errStopped) {
		return fault.New(fault.Unavailable,
			"The gateway is stopping and could not wait for the app's answer. This request may have been processed: check before you send it again.", why)
	}
	x.late = true
	return fault.New(fault.Unauthenticated, lateText, why)
}

// statusGone is what the log says of a client that left; nobody receives it.
const statusGone = 499

// clientError is a failure to read the client's body.
type clientError struct{ err error }

// Error says what failed.
func (e *clientError) Error() string { return "body of the client: " + e.err.Error() }

// Unwrap returns the cause.
func (e *clientError) Unwrap() error { return e.err }
