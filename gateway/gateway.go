package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/job"
	"github.com/gatepost/gatepost/gateway/internal/ops"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Config is the configuration of a gateway and what a program adds to it.
type Config struct {
	config.Config
	// Listener replaces listen.public when a program has opened it already.
	Listener net.Listener
	Version  string           // of the program, for metrics and health
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: time.Now

	demo   bool         // known users are fine here
	driver store.Driver // instead of the configured store, for tests of faults
}

// Gateway is a gateway whose listeners are open.
type Gateway struct {
	parts
	web      *web.Server
	proxy    *proxy.Proxy
	health   *ops.Handler
	healthy  *web.Server // answers the ops listener
	jobs     *job.Runner
	public   net.Listener
	ops      net.Listener // nil: off
	operator net.Listener
}

// New opens the store and the listeners. Nothing is served before Run. An error
// leaves nothing open; it is one line for the operator.
func New(ctx context.Context, c Config) (_ *Gateway, err error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Log = orDiscard(c.Log)
	g := &Gateway{parts: parts{cfg: c, metrics: ops.NewMetrics(c.Version)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if err := g.listen(ctx); err != nil {
		return nil, err
	}
	g.egress = egress.Client(&egress.Guard{Allow: config.Prefixes(c.Egress.Allow), Own: g.ownAddresses()}, egress.Limits{})
	if g.ring, err = openRing(c.Config); err != nil {
		return nil, err
	}
	driver := c.driver
	if driver == nil {
		if driver, err = openDriver(ctx, c.Store, c.Log); err != nil {
			return nil, err
		}
	}
	g.store = store.New(driver, c.Now)
	g.store.Failed = g.metrics.StoreError
	if err := g.parts.open(ctx); err != nil {
		return nil, err
	}
	if err := g.refuseDemo(ctx); err != nil {
		return nil, err
	}
	if err := g.claimOwnHosts(ctx); err != nil {
		return nil, err
	}
	return g, g.mount(ctx)
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

func (g *Gateway) listen(ctx context.Context) (err error) {
	g.public = g.cfg.Listener
	if g.public == nil {
		l := g.cfg.Listen.Public
		g.public, err = web.Listen(ctx, web.Listening{
			Addr: l.Address, CertFile: string(l.TLS.Certificate), KeyFile: string(l.TLS.Key), Log: g.cfg.Log,
			ClientCertificates: l.TLS.ClientCertificates == config.Request,
		})
		if err != nil {
			return fmt.Errorf("listen.public: %w", err)
		}
	}
	if address := g.cfg.Listen.Ops.Address; address != config.Off {
		if g.ops, err = web.Listen(ctx, web.Listening{Addr: address}); err != nil {
			return fmt.Errorf("listen.ops: %w", err)
		}
	}
	return nil
}

// claimOwnHosts keeps tenants from claiming the hosts of the gateway itself.
func (g *Gateway) claimOwnHosts(ctx context.Context) error {
	if err := g.routes.Reserve(ctx, route.ForBase, hostOf(g.cfg.BaseURL)); err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	if g.cfg.Extensions.BaseURL == "" {
		return nil
	}
	if err := g.routes.Reserve(ctx, route.ForExtensions, hostOf(g.cfg.Extensions.BaseURL)); err != nil {
		return fmt.Errorf("extensions.base_url: %w", err)
	}
	return nil
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

func scheme(base string) string {
	s, _, _ := strings.Cut(base, "://")
	return s
}

// Addr returns the address of the public listener.
func (g *Gateway) Addr() string { return g.public.Addr().String() }

// OpsAddr returns the address of the ops listener, or "" when it is off.
func (g *Gateway) OpsAddr() string {
	if g.ops == nil {
		return ""
	}
	return g.ops.Addr().String()
}

// drainTime is how long running requests may end after ctx. What is left before
// the lastWords of it is cut, and told so.
const (
	drainTime = 10 * time.Second
	lastWords = 2 * time.Second
)

// Run serves until ctx ends, lets running requests end, and closes everything.
// It returns nil after an orderly end.
func (g *Gateway) Run(ctx context.Context) error {
	g.cfg.Log.Info("gatepost serves", "base_url", g.cfg.BaseURL, "listen", g.Addr(), "ops", g.OpsAddr(), "store", g.store.Name())
	g.announceSetup(ctx)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return g.web.Serve(g.public) })
	group.Go(func() error { return g.log.Run(running) })
	group.Go(func() error { return g.jobs.Run(running) })
	group.Go(func() error { return g.messages.Run(running) })
	group.Go(func() error { return g.signin.Tell(running) })
	if g.ops != nil {
		group.Go(func() error { return g.healthy.Serve(g.ops) })
	}
	group.Go(func() error { return serveHTTP(running, g.operator, g.operatorHandler()) })
	group.Go(func() error {
		<-running.Done()
		g.drain(context.WithoutCancel(running), drainTime)
		return nil
	})
	err := group.Wait()
	return errors.Join(unlessEnded(ctx, err), g.Close())
}

// unlessEnded drops an error that only says that ctx has ended: that is how Run
// is told to end.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// drain says good-bye to streams and WebSockets and lets running requests end.
// Clients that take too long are told so and lose their connection; that is no
// failure of ours.
func (g *Gateway) drain(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := time.AfterFunc(limit-lastWords, g.proxy.Close)
	defer last.Stop()
	g.health.Drain()
	g.proxy.Drain(ctx)
	if err := errors.Join(g.web.Shutdown(ctx), g.healthy.Shutdown(ctx)); err != nil {
		g.cfg.Log.Warn("not every request came to its end", "error", err)
	}
}

// serveHTTP answers on a listener of ours until ctx ends; nil listens nowhere.
func serveHTTP(ctx context.Context, ln net.Listener, h http.Handler) error {
	if ln == nil {
		return nil
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close releases what New opened. Run has done so when it returns; calling it
// again does nothing.
func (g *Gateway) Close() error {
	err := closeAll(g.public, g.ops, g.operator)
	if g.proxy != nil {
		g.proxy.Close()
	}
	if g.store != nil {
		err = errors.Join(err, g.store.Close())
		g.store = nil
	}
	return err
}

// closeAll closes the listeners that are open.
func closeAll(list ...net.Listener) error {
	var errs []error
	for _, ln := range list {
		if ln == nil {
			continue
		}
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// refuseDemo keeps known passwords from being served to others.
func (g *Gateway) refuseDemo(ctx context.Context) error {
	demo, err := g.setup.IsDemo(ctx)
	if err != nil || !demo || g.cfg.demo {
		return err
	}
	return fmt.Errorf("%s holds a demo, whose passwords everybody knows: give this gateway a data_dir of its own", g.store.Name())
}

// announceSetup logs the link for the first set-up of an empty installation. A
// gateway that cannot make one serves all the same: somebody else may be at it.
func (g *Gateway) announceSetup(ctx context.Context) {
	needed, err := g.setup.Needed(ctx)
	if err == nil && !needed {
		return
	}
	var link string
	if err == nil {
		link, err = g.setupLink(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.cfg.Log.Warn("no link for the first set-up: `gatepost setup-link` makes one", "error", err)
		}
		return
	}
	g.cfg.Log.Warn("nobody can administer this gateway yet: open the link within the hour, or run `gatepost setup`", "link", link)
}

func (g *Gateway) setupLink(ctx context.Context) (string, error) {
	token, err := g.setup.NewLink(ctx)
	return g.cfg.BaseURL + "/setup?token=" + url.QueryEscape(token), err
}
