package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/egress"
	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
	"github.com/gatepost/gatepost/gateway/internal/route"
)

// plan is what the proxy works out once for a route.
type plan struct {
	route  *route.Route
	pool   *upstream.Pool
	cookie string              // name of the session cookie
	custom map[string]struct{} // folded names of identity headers of the whole host
	step   time.Duration       // between two looks at an exchange that waits
}

// plans are the plans of one route.Table. They are immutable.
type plans struct {
	table *route.Table
	by    []*plan // by Route.Index
}

// poolKey tells which routes may share connections: a tenant's own, to the same
// place under the same rules.
type poolKey struct {
	tenant, upstream, networks string
	everywhere                 bool
	connect                    time.Duration
}

// plans returns the plans of the table as it stands.
func (p *Proxy) plans() *plans {
	t := p.cfg.Table()
	if ps := p.current.Load(); ps != nil && ps.table == t {
		return ps
	}
	return p.replan(t)
}

// replan makes the plans of a new table. Pools live on as long as a route uses
// them.
func (p *Proxy) replan(t *route.Table) *plans {
	p.planning.Lock()
	defer p.planning.Unlock()
	if ps := p.current.Load(); ps != nil && ps.table == t {
		return ps
	}
	ps := &plans{table: t}
	pools := map[poolKey]*upstream.Pool{}
	for _, r := range t.Routes() {
		key := poolKey{r.Tenant, r.Upstream, fmt.Sprint(r.Networks), r.AnyNetwork, time.Duration(r.Timeouts.Connect)}
		if pools[key] == nil {
			if pools[key] = p.pools[key]; pools[key] == nil {
				pools[key] = p.pool(r)
			}
		}
		ps.by = append(ps.by, &plan{
			route: r, pool: pools[key], cookie: p.cfg.Door.CookieName(r), custom: customNames(t.On(r.Host)),
			step: max(route.MinTimeout, min(time.Second, time.Duration(r.Timeouts.Response), time.Duration(r.Timeouts.Idle))),
		})
	}
	for key, pool := range p.pools {
		if pools[key] == nil {
			pool.Close()
		}
	}
	p.pools = pools
	p.current.Store(ps)
	return ps
}

// pool returns a pool for a route's upstream, whose addresses are judged as they
// are dialled.
func (p *Proxy) pool(r *route.Route) *upstream.Pool {
	guard := &egress.Guard{Allow: r.Networks, Own: p.cfg.Own}
	if r.AnyNetwork {
		guard.Allow = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	port := r.URL.Port()
	target := upstream.Target{Control: guard.Control, Connect: time.Duration(r.Timeouts.Connect)}
	if r.URL.Scheme == "https" {
		target.TLS = p.cfg.TLS.Clone()
		if target.TLS == nil {
			target.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		target.TLS.ServerName = r.URL.Hostname()
		target.TLS.NextProtos = []string{"http/1.1"}
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	target.Address = net.JoinHostPort(r.URL.Hostname(), port)
	return upstream.NewPool(target)
}

// customNames returns the folded names of the identity headers of all routes of
// a host, so that one route's client cannot write another one's headers.
func customNames(on []*route.Route) map[string]struct{} {
	names := map[string]struct{}{}
	for _, r := range on {
		for name := range r.Headers.Custom {
			names[string(foldInto(nil, []byte(name)))] = struct{}{}
		}
	}
	return names
}

// appendPath appends the upstream's path for a canonical path.
func (p *plan) appendPath(dst []byte, path string) []byte {
	dst = append(dst, p.route.URL.EscapedPath()...)
	if p.route.StripPrefix && p.route.PathPrefix != "/" {
		if path = path[len(p.route.PathPrefix):]; path == "" {
			path = "/"
		}
	}
	return append(dst, path...)
}

// public returns a Location of the upstream as the browser must see it: what
// points into the upstream points to the route instead.
func (p *plan) public(location string) string {
	rest, ok := strings.CutPrefix(location, p.route.Upstream)
	if !ok || rest != "" && rest[0] != '/' && rest[0] != '?' && rest[0] != '#' {
		return location
	}
	prefix := ""
	if p.route.StripPrefix && p.route.PathPrefix != "/" {
		prefix = p.route.PathPrefix
	}
	if rest == "" || rest[0] != '/' {
		rest = "/" + rest
	}
	return p.route.Origin + prefix + rest
}
