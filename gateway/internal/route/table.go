package route

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
)

// Table finds routes. It is immutable and safe for concurrent use.
type Table struct {
	hosts  map[string]*site
	routes []*Route
}

// site is one host.
type site struct {
	routes  []*Route // longest prefix first
	uniform bool
}

// Match is the answer of a Table.
type Match struct {
	Route *Route // nil: no route covers the path, so it is refused
	Known bool   // the host has routes
	// Uniform: the whole host has one policy, so that paths which servers read in
	// different ways cannot lead around it. A host whose routes leave paths
	// uncovered has two policies: the routes' and the refusal.
	Uniform bool
}

// Match returns the route of a canonical path on a host, given in lower case
// with its port. It does not allocate.
func (t *Table) Match(host, path string) Match {
	s := t.hosts[host]
	if s == nil {
		return Match{}
	}
	m := Match{Known: true, Uniform: s.uniform}
	for _, r := range s.routes {
		if r.Covers(path) {
			m.Route = r
			break
		}
	}
	return m
}

// Routes returns all routes; Route.Index is the place in it. The slice is not
// to be changed.
func (t *Table) Routes() []*Route { return t.routes }

// On returns the routes of a host, longest prefix first. The slice is not to be
// changed.
func (t *Table) On(host string) []*Route {
	if s := t.hosts[host]; s != nil {
		return s.routes
	}
	return nil
}

// Hosts returns the hosts that have routes, sorted.
func (t *Table) Hosts() []string { return slices.Sorted(maps.Keys(t.hosts)) }

// Source is what a Table is compiled from.
type Source struct {
	Scheme     string                // of the apps' origins: http or https
	Routes     []Route               // in normal form
	Allowances map[string]*Allowance // by tenant
}

// Compile makes a Table. A route that does not hold is left out and reported:
// one bad record must not take every app down.
func Compile(src Source) (*Table, []error) {
	t := &Table{hosts: map[string]*site{}}
	var bad []error
	for i := range src.Routes {
		r := src.Routes[i].Normal()
		if err := r.compile(src); err != nil {
			bad = append(bad, fmt.Errorf("route %s (%s%s of %s/%s) is left out: %w", r.ID, r.Host, r.PathPrefix, r.Tenant, r.Workspace, err))
			continue
		}
		s := t.hosts[r.Host]
		if s == nil {
			s = &site{}
			t.hosts[r.Host] = s
		}
		if slices.ContainsFunc(s.routes, func(o *Route) bool { return o.PathPrefix == r.PathPrefix }) {
			bad = append(bad, fmt.Errorf("route %s (%s%s of %s/%s) is left out: the place is taken", r.ID, r.Host, r.PathPrefix, r.Tenant, r.Workspace))
			continue
		}
		r.Index = len(t.routes)
		t.routes = append(t.routes, &r)
		s.routes = append(s.routes, &r)
	}
	for _, s := range t.hosts {
		slices.SortFunc(s.routes, func(a, b *Route) int {
			return cmp.Or(cmp.Compare(len(b.PathPrefix), len(a.PathPrefix)), cmp.Compare(a.PathPrefix, b.PathPrefix))
		})
		s.uniform = uniform(s.routes)
	}
	return t, bad
}

// compile fills the fields that only a Table has.
func (r *Route) compile(src Source) error {
	if bad := r.Problems(); len(bad) > 0 {
		return bad[0]
	}
	u, err := url.Parse(r.Upstream)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	r.URL = u
	r.Origin = src.Scheme + "://" + r.Host
	r.AnyNetwork = r.Source == FromFile || r.Tenant == Root
	if a := src.Allowances[r.Tenant]; a != nil {
		r.Networks = a.networks()
	}
	return nil
}

// uniform tells whether every path of a host has the same policy.
func uniform(rs []*Route) bool {
	last := rs[len(rs)-1]
	if last.PathPrefix != "/" {
		return false
	}
	for _, r := range rs {
		if r.Tenant != last.Tenant || r.Workspace != last.Workspace || r.Policy != last.Policy ||
			!slices.Equal(r.Credentials, last.Credentials) {
			return false
		}
	}
	return true
}

// Allowance is what the root tenant grants another one.
type Allowance struct {
	Tenant string `json:"tenant_id"`
	// HostSuffixes are names that the tenant may claim, with all names below
	// them: "example.com" allows "example.com" and "wiki.example.com".
	HostSuffixes []string `json:"host_suffixes"`
	// UpstreamNetworks are private networks, as CIDR, where its upstreams may
	// be. Public addresses are always allowed.
	UpstreamNetworks []string `json:"upstream_networks"`
}

// networks returns the parsed UpstreamNetworks; malformed ones allow nothing.
func (a *Allowance) networks() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range a.UpstreamNetworks {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}
