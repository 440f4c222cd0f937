package gateway

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/api"
	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/job"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/openid"
	"github.com/gatepost/gatepost/gateway/internal/ops"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/portal"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// mount builds the server: who answers which host, and in which order the areas
// are asked on our own.
func (g *Gateway) mount(ctx context.Context) error {
	pages, err := page.New()
	if err != nil {
		return err
	}
	g.web = web.New(g.edge(pages))
	errs := g.web.Errors()
	g.proxy = proxy.New(proxy.Config{
		Table: g.routes.Table, Door: &door{signin: g.signin, live: g.live, fresh: g.log.Fresh}, Errors: errs,
		Page:       func(w io.Writer, n proxy.Notice) error { return pages.Render(w, page.Theme{}, noticePage(n)) },
		FormAction: []string{g.cfg.BaseURL}, Own: g.ownAddresses(), Log: g.cfg.Log, Now: g.cfg.Now,
		Decided: g.metrics.Decision, Answered: g.metrics.Upstream,
	})
	hosts := web.Hosts{Own: g.origins, App: g.proxy.App, Listed: g.origins, Asset: pages.Asset}
	g.web.App().Use(hosts.Handler(errs))
	people := &portal.Portal{
		Base: g.cfg.BaseURL, Signin: g.signin, Live: g.live, Pools: g.pools.Pools, Schemas: g.pools.Schemas, SelfService: g.self,
		Rates: g.rates, Setup: g.setup, Pages: pages, Errors: errs, Ring: g.ring, Now: g.cfg.Now,
		RelatedOrigins: g.cfg.WebAuthn.RelatedOrigins,
	}
	apps, err := api.New(ctx, api.Parts{
		Base: g.cfg.BaseURL, Store: g.store, Ring: g.ring, Signin: g.signin, Setup: g.setup, Tenants: g.tenants, Roles: g.roles,
		Clients: g.clients, IDPs: g.idps, Pools: g.pools.Pools, Schemas: g.pools.Schemas, Users: g.pools.Users, MFASessions: g.pools.MFASessions, SelfService: g.self, Groups: g.pools.Groups, Codes: g.otps,
		Flags: g.flags, Rules: g.rules, Rates: g.rates, Routes: g.routes, Errors: errs, Public: api.Public(g.cfg.PublicAPI), Position: g.log.Position, MaxBody: int64(g.cfg.Limits.Body), Now: g.cfg.Now,
	})
	if err != nil {
		return err
	}
	oauth := &openid.Handler{Signin: g.signin, Live: g.live, Rates: g.rates, Clients: g.clients.Clients, Registrations: openid.Registrations(g.cfg.Now), Position: g.log.Position, Errors: errs, Go: people.Go, Browser: portal.Browser}
	oauth.SelfService(g.web.App())
	for _, area := range []web.Area{
		apps,
		oauth,
		people,
	} {
		area.Mount(g.web.App())
	}
	g.web.App().Use(func(c *fiber.Ctx) error {
		return errs.Any(c, fault.New(fault.NotFound, "There is nothing at this address.", nil))
	})
	if err := g.watch(); err != nil {
		return err
	}
	g.mountOps()
	g.addJobs()
	return g.listenOperator(ctx)
}

// origins are our own, as browsers reach them.
func (g *Gateway) origins() []string {
	list := []string{g.cfg.BaseURL}
	if g.cfg.Extensions.BaseURL != "" {
		list = append(list, g.cfg.Extensions.BaseURL)
	}
	return list
}

// ownAddresses are the listeners that no upstream may be: a route to the ops
// listener would hand it to strangers.
func (g *Gateway) ownAddresses() []netip.AddrPort {
	var own []netip.AddrPort
	for _, a := range []string{g.Addr(), g.OpsAddr()} {
		if at, err := netip.ParseAddrPort(a); err == nil {
			own = append(own, at)
		}
	}
	return own
}

// noticePage is a page of the proxy that is no error.
func noticePage(n proxy.Notice) page.Page {
	if n.Form != "" {
		return page.ConfirmSignOut{Action: n.Form, StayURL: n.Link}
	}
	m := page.Message{Title: n.Title, Say: []string{n.Text}, TraceID: n.TraceID}
	if n.Link != "" {
		m.Links = []page.Link{{Label: n.LinkText, URL: n.Link, NewTab: n.NewTab}}
	}
	return m
}

// addJobs adds what happens in the background.
func (g *Gateway) addJobs() {
	g.jobs = job.New(g.cfg.Log)
	g.jobs.Observe = g.metrics.Job
	g.jobs.Add("sweep expired records", time.Minute, func(ctx context.Context) error {
		_, err := g.store.Sweep(ctx, 2000)
		return err
	})
	g.jobs.Add("send messages", notify.Every, g.messages.Deliver)
	g.jobs.Add("rotate keys", time.Minute, g.tokens.RotateDue)
	g.jobs.Add("tell clients of logouts", signin.RedeliverEvery, g.signin.Redeliver)
	g.jobs.Add("load routes", 30*time.Second, g.routes.Load)
	g.jobs.Add("finish new tenants", time.Minute, g.setup.Finish)
	g.jobs.Add("finish deletions of tenants", time.Minute, g.tenants.Finish)
	g.jobs.Add("finish deletions of pools", time.Minute, g.pools.Pools.Finish)
}

// edge is how the public listener treats its clients.
func (g *Gateway) edge(pages *page.Pages) web.Config {
	l := g.cfg.Limits
	tooLarge, csp := pages.HeadersTooLarge()
	return web.Config{
		Log: g.cfg.Log, Trusted: config.Prefixes(g.cfg.TrustedProxies),
		HeaderBytes: int(l.Header), MaxConns: l.Connections, MaxConnsPerIP: l.ConnectionsPerClient, MaxBody: int64(l.Body),
		HeaderTimeout: time.Duration(l.Timeouts.Header), BodyIdle: time.Duration(l.Timeouts.Body),
		WriteIdle: time.Duration(l.Timeouts.Write), IdleTimeout: time.Duration(l.Timeouts.Idle),
		Page: pages.Problem, HeadersTooLarge: tooLarge, HeadersTooLargeCSP: csp,
		Unavailable: []error{store.ErrUnavailable}, Observe: g.metrics.Request,
		Expect: func(v web.Visit, h *fasthttp.RequestHeader) int { return g.proxy.Expect(v, h) },
	}
}

// mountOps builds the server for health and metrics.
func (g *Gateway) mountOps() {
	g.health = ops.New(ops.Config{
		Metrics: g.metrics, Version: g.cfg.Version, Log: g.cfg.Log, Now: g.cfg.Now,
		Checks: []ops.Check{
			{Name: "store", Run: g.store.Ping},
			{Name: "change_log", Run: func(context.Context) error { return g.log.Fresh() }},
		},
	})
	g.healthy = web.New(web.Config{Log: g.cfg.Log, NoAccessLog: true})
	g.health.Mount(g.healthy.App())
}

func errLinked(list []idp.IDP) error {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.WorkspaceID + "/" + p.ID
	}
	slices.Sort(names)
	return fault.New(fault.Conflict, fmt.Sprintf("The pool is connected to workspaces by these IDPs: %s. Delete them first, or send with_idp=true.", strings.Join(names, ", ")), nil)
}
