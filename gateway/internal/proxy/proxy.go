package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Config joins a Proxy with its neighbours.
type Config struct {
	Table  func() *route.Table // the routes as they stand; must be fast
	Door   Door
	Errors *web.Errors
	// Page writes an HTML page that is no error: see Notice. Nil: a bare page.
	Page func(w io.Writer, n Notice) error
	// FormAction lists where the forms of notices may lead besides this host: a
	// browser checks where their answer redirects, too.
	FormAction []string
	// TLS is the base for https upstreams: roots and versions. Nil: the system's
	// roots, TLS 1.2 and newer.
	TLS *tls.Config
	// Own are this gateway's listeners: no upstream may be one of them.
	Own []netip.AddrPort
	// Decided is told what was decided about each request for an app: "allow",
	// "sign_in", "deny", "refuse" (it cannot be passed on as it is) or "error".
	// Answered is told how an upstream took one that was allowed, and after which
	// time its answer began: "ok", "timeout", "aborted" (not by the upstream) or
	// "error". Both must not block. Nil: nobody is told.
	Decided  func(outcome string)
	Answered func(outcome string, took time.Duration)

	Log *slog.Logger
	Now func() time.Time
}

// Proxy passes requests for app hosts on. Safe for concurrent use.
type Proxy struct {
	cfg     Config
	handler fiber.Handler

	current  atomic.Pointer[plans]
	planning sync.Mutex
	pools    map[poolKey]*upstream.Pool // guarded by planning
	long     lives
	stop     chan struct{}
	stopOnce sync.Once
	stopped  sync.WaitGroup
}

// New returns a Proxy. Close ends it.
func New(c Config) *Proxy {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Errors == nil {
		c.Errors = web.NewErrors(c.Log, nil)
	}
	if c.Page == nil {
		c.Page = barePage
	}
	if c.Decided == nil {
		c.Decided = func(string) {}
	}
	if c.Answered == nil {
		c.Answered = func(string, time.Duration) {}
	}
	p := &Proxy{cfg: c, pools: map[poolKey]*upstream.Pool{}, stop: make(chan struct{})}
	p.handler = p.Handle
	p.stopped.Go(p.reap)
	return p
}

// reap closes connections that wait for too long.
func (p *Proxy) reap() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.planning.Lock()
			for _, pool := range p.pools {
				pool.Reap(now)
			}
			p.planning.Unlock()
		}
	}
}

// Drain ends what has no end of its own to wait for, and whose clients connect
// again: upgraded connections, where a WebSocket client is told by close code
// 1001, and event streams. Those that come later end at once; everything else
// goes on. It returns when they have ended, or when ctx has. Call it when the
// server begins to drain, so that the last words are still sent.
func (p *Proxy) Drain(ctx context.Context) { p.long.drain(ctx) }

// Close ends everything that is under way, within about a second: what has not
// begun to be answered is answered with 503. It closes the connections to
// upstreams that wait. It may be called again.
func (p *Proxy) Close() {
	p.stopOnce.Do(func() { close(p.stop) })
	p.long.endAll()
	p.stopped.Wait()
	p.planning.Lock()
	defer p.planning.Unlock()
	for _, pool := range p.pools {
		pool.Close()
	}
}

// App returns the handler of a host with routes, else nil. It is for
// web.Hosts.App.
func (p *Proxy) App(_, host string) fiber.Handler {
	if p.cfg.Table().On(host) == nil {
		return nil
	}
	return p.handler
}

// Handle answers a request for an app host.
func (p *Proxy) Handle(c *fiber.Ctx) error {
	x := &exchange{p: p, ctx: c.Context(), visit: web.Read(c)}
	if err := x.serve(c); err != nil {
		return p.refuse(c, x, err)
	}
	return nil
}

// find returns the plan for a request. The error says why there is none.
func (p *Proxy) find(v *web.Visit) (*plan, error) {
	ps := p.plans()
	m := ps.table.Match(web.Authority(v.Scheme, v.Host), v.Path)
	switch {
	case m.Route == nil:
		return nil, fault.New(fault.NotFound, "There is nothing at this address.", nil)
	case v.Ambiguous && !m.Uniform && !m.Route.AllowAmbiguousPath:
		return nil, fault.New(fault.Invalid, "The address of this request has several readings (%2f, //, ; or an escape that is not needed), and parts of this site have rules of their own.", nil)
	}
	return ps.by[m.Route.Index], nil
}

// admit applies the route's policy. A public route knows nobody.
func (p *Proxy) admit(ctx context.Context, pl *plan, in *inbound) (id *Identity, bearer bool, err error) {
	if pl.route.Policy == route.Public {
		return nil, false, nil
	}
	if pl.route.Accepts(route.Bearer) {
		if token := bearerToken(in.first(authorization)); token != "" {
			id, err = p.cfg.Door.Bearer(ctx, pl.route, token)
			return id, true, err
		}
	}
	if pl.route.Accepts(route.Session) {
		id, err = p.session(ctx, pl, in)
		return id, false, err
	}
	return nil, false, errSignedOut()
}

func errSignedOut() error { return fault.New(fault.Unauthenticated, "You are not signed in.", nil) }
