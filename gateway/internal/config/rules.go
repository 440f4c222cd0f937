package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// rules collects what is wrong with a complete configuration.
type rules struct{ found Report }

func (r *rules) add(path, format string, args ...any) {
	r.found = append(r.found, Problem{Path: path, Say: fmt.Sprintf(format, args...)})
}

// problems judges the settings by themselves and together; it looks at nothing
// else on the machine.
func (c *Config) problems() Report {
	r := &rules{}
	r.addresses(c)
	r.networks("trusted_proxies", c.TrustedProxies)
	r.networks("egress.allow", c.Egress.Allow)
	if c.DataDir == "" {
		r.add("data_dir", "wants a directory")
	}
	r.store(c.Store)
	r.mail(c.Mail)
	r.sms(c.SMS)
	r.messages(c.Messages)
	r.webAuthn(c.WebAuthn)
	r.session(c.Session)
	r.between("max_stale", c.MaxStale, time.Second, time.Hour)
	r.limits(c.Limits)
	r.flags(c.Flags)
	r.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	r.oneOf("log.format", c.Log.Format, "text", "json")
	r.apps(c)
	return r.found
}

func (r *rules) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.add(path, "%q is not allowed here; allowed are %s", value, strings.Join(allowed, ", "))
	}
}

func (r *rules) between(path string, value store.Duration, low, high time.Duration) {
	if d := time.Duration(value); d < low || d > high {
		r.add(path, "%s is not between %s and %s", d, low, high)
	}
}

func (r *rules) atLeast(path string, value, low int) {
	if value < low {
		r.add(path, "%d is too small: at least %d", value, low)
	}
}

// addresses judges where the gateway is found and how it is reached.
func (r *rules) addresses(c *Config) {
	base := r.origin("base_url", c.BaseURL)
	public, ops := c.Listen.Public, c.Listen.Ops.Address
	r.address("listen.public.address", public.Address)
	if ops != Off {
		r.address("listen.ops.address", ops)
	}
	if ops == public.Address && !strings.HasSuffix(ops, ":0") {
		r.add("listen.ops.address", "is the address of listen.public: give another, or %q", Off)
	}
	switch {
	case public.TLS.Certificate == "" && public.TLS.Key != "":
		r.add("listen.public.tls.certificate", "is missing: TLS wants a certificate and its key")
	case public.TLS.Certificate != "" && public.TLS.Key == "":
		r.add("listen.public.tls.key", "is missing: TLS wants a certificate and its key")
	}
	r.clientCertificates(public.TLS)
	if base != nil {
		r.transport(c, base)
	}
	if c.Extensions.BaseURL == "" {
		return
	}
	ext := r.origin("extensions.base_url", c.Extensions.BaseURL)
	if base != nil && ext != nil && ext.Hostname() == base.Hostname() {
		r.add("extensions.base_url", "has the host of base_url: pages of plugins need a host of their own")
	}
}

func (r *rules) clientCertificates(t TLS) {
	if t.ClientCertificates != "" {
		r.oneOf("listen.public.tls.client_certificates", t.ClientCertificates, Off, Request)
	}
	switch {
	case t.ClientCertificates == Request && !t.On():
		r.add("listen.public.tls.client_certificates", "needs TLS here: set listen.public.tls.certificate and key")
	case t.ClientCertificates != Request && t.ClientCA != "":
		r.add("listen.public.tls.client_ca", "is for client_certificates: %q", Request)
	}
}

// transport judges whether the scheme that browsers see fits the listener.
func (r *rules) transport(c *Config, base *url.URL) {
	secure := base.Scheme == "https"
	switch {
	case !secure && c.Listen.Public.TLS.On():
		r.add("base_url", "begins with http, but listen.public.tls is set: browsers would see https")
	case secure && !c.Listen.Public.TLS.On() && len(c.TrustedProxies) == 0:
		r.add("base_url", "begins with https, but nothing here speaks it: set listen.public.tls, or name in trusted_proxies the addresses of the proxy that does")
	case !secure && !loopback(base.Hostname()):
		r.add("base_url", "may begin with http only on this machine (localhost, names below it, 127.0.0.1): anywhere else passwords would cross the network in the clear")
	}
}

// origin judges the address of a site: scheme and host, and nothing after them.
func (r *rules) origin(path, value string) *url.URL {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		r.add(path, "%q is not an address such as https://id.example.com", value)
		return nil
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.ForceQuery {
		r.add(path, "%q has more than scheme, host and port", value)
		return nil
	}
	if bad := hostProblem(u.Host); bad != "" {
		r.add(path, "%q is not an address such as https://id.example.com", value)
		return nil
	}
	return u
}

// loopback tells whether a host name can only mean this machine (RFC 6761, 6.3).
func loopback(name string) bool {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func (r *rules) address(path, value string) {
	_, port, err := net.SplitHostPort(value)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		r.add(path, "%q is not an address to listen on, such as 127.0.0.1:8080 or :8080", value)
	}
}

func (r *rules) networks(path string, ns []Network) {
	for i, n := range ns {
		if netip.Prefix(n).Bits() == 0 {
			r.add(fmt.Sprintf("%s[%d]", path, i), "names everybody: list the networks that are meant")
		}
	}
}

func (r *rules) store(s Store) {
	switch s.Driver {
	case Embedded:
		if s.URI != "" {
			r.add("store.uri", "is for driver %s; the driver is %s", Mongo, Embedded)
		}
	case Mongo:
		uri := string(s.URI)
		if !strings.HasPrefix(uri, "mongodb://") && !strings.HasPrefix(uri, "mongodb+srv://") {
			r.add("store.uri", "must begin with mongodb:// or mongodb+srv://")
		}
		if s.Path != "" {
			r.add("store.path", "is for driver %s; the driver is %s", Embedded, Mongo)
		}
		if s.Database == "" || len(s.Database) > 63 || strings.ContainsAny(s.Database, "/\\. \"$*<>:|?") {
			r.add("store.database", "wants a name of 1 to 63 characters without / \\ . \" $ * < > : | ? and spaces")
		}
	default:
		r.oneOf("store.driver", s.Driver, Embedded, Mongo)
	}
}

func (r *rules) session(s Session) {
	const year = 366 * 24 * time.Hour
	r.between("session.idle", s.Idle, time.Minute, year)
	r.between("session.absolute", s.Absolute, time.Minute, year)
	r.between("session.step_up", s.StepUp, time.Minute, year)
	if s.Idle > s.Absolute {
		r.add("session.idle", "%s is longer than session.absolute, which is %s", time.Duration(s.Idle), time.Duration(s.Absolute))
	}
	r.atLeast("session.cached", s.Cached, 100)
}

func (r *rules) limits(l Limits) {
	for _, s := range []struct {
		path           string
		value, low, up Size
	}{
		{"limits.body", l.Body, 64 << 10, 64 << 20},
		{"limits.header", l.Header, 8 << 10, 1 << 20},
	} {
		if s.value < s.low || s.value > s.up {
			r.add(s.path, "%d bytes are not between %dKiB and %dKiB", s.value, s.low>>10, s.up>>10)
		}
	}
	r.atLeast("limits.connections", l.Connections, 10)
	r.atLeast("limits.connections_per_client", l.ConnectionsPerClient, 0)
	r.between("limits.timeouts.header", l.Timeouts.Header, time.Second, time.Hour)
	r.between("limits.timeouts.body", l.Timeouts.Body, time.Second, time.Hour)
	r.between("limits.timeouts.write", l.Timeouts.Write, time.Second, time.Hour)
	r.between("limits.timeouts.idle", l.Timeouts.Idle, time.Second, time.Hour)
	r.atLeast("limits.hashing.parallel", l.Hashing.Parallel, 0)
	r.atLeast("limits.hashing.queue", l.Hashing.Queue, 1)
	r.between("limits.hashing.wait", l.Hashing.Wait, 100*time.Millisecond, time.Minute)
}

func (r *rules) flags(set map[string]bool) {
	known := flag.Known()
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.Name
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains(names, name) {
			r.add("flags."+name, "unknown flag; the flags are %s", strings.Join(names, ", "))
		}
	}
}

// apps judges hosts and routes: each by itself, and that no host has two owners.
func (r *rules) apps(c *Config) {
	owners := map[string]string{}
	own := map[string]string{"base_url": c.BaseURL, "extensions.base_url": c.Extensions.BaseURL}
	for _, setting := range []string{"base_url", "extensions.base_url"} {
		if u, err := url.Parse(own[setting]); err == nil && u.Hostname() != "" {
			owners[route.Hostname(u.Host)] = "the gateway itself (" + setting + ")"
		}
	}
	for i, h := range c.Hosts {
		path := fmt.Sprintf("hosts[%d]", i)
		if bad := hostProblem(h.Host); bad != "" {
			r.add(path+".host", "%s", bad)
		}
		r.owner(path, h.Host, h.Tenant, h.Workspace, owners)
	}
	seen := map[string]string{}
	for i, app := range c.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		rec := app.Record()
		for _, err := range rec.Problems() {
			f := fault.Read(err)
			r.add(path+"."+f.Field, "%s", f.Public)
		}
		r.owner(path, app.Host, app.Tenant, app.Workspace, owners)
		if first, twice := seen[rec.ID]; twice {
			r.add(path, "has the host and path_prefix of %s", first)
		} else {
			seen[rec.ID] = path
		}
	}
}

// owner judges whose a host is, and that nobody else has it.
func (r *rules) owner(path, host, tenant, workspace string, owners map[string]string) {
	bad := false
	for _, id := range []struct{ key, value string }{{"tenant", tenant}, {"workspace", workspace}} {
		if err := record.ID(id.key, id.value); err != nil {
			r.add(path+"."+id.key, "%s", fault.Read(err).Public)
			bad = true
		}
	}
	if bad {
		return
	}
	name, me := route.Hostname(host), "workspace "+tenant+"/"+workspace
	switch other, taken := owners[name]; {
	case !taken:
		owners[name] = me
	case other != me:
		r.add(path+".host", "%s belongs to %s: a host has one owner, whatever the port", name, other)
	}
}

// hostProblem returns what the route package has to say of a host, or "".
func hostProblem(host string) string {
	r := route.Route{Host: host, Upstream: "http://127.0.0.1"}.Normal()
	for _, err := range r.Problems() {
		if f := fault.Read(err); f.Field == "host" {
			return f.Public
		}
	}
	return ""
}
