package route

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Root is the tenant that administers the others; hosts and allowances are its
// records.
const Root = "system"

// Reserved is the path on every app's host that belongs to the gateway and
// never reaches an upstream.
const Reserved = "/.gatepost"

// Policy says who may pass.
type Policy string

// The policies.
const (
	Public   Policy = "public"    // everybody, without identity headers
	SignedIn Policy = "signed_in" // people with a session of the workspace
)

// Credential is a way to prove who asks.
type Credential string

// The credentials of a route.
const (
	Session Credential = "session" // the cookie of this host
	Bearer  Credential = "bearer"  // an access token of the workspace, RFC 6750 section 2.1
)

// Preset names a set of identity headers.
type Preset string

// The presets.
const (
	AuthRequest Preset = "auth-request" // X-Auth-Request-User, -Email, -Preferred-Username, -Groups
	RemoteUser  Preset = "remote-user"  // Remote-User, -Name, -Email, -Groups
	NoHeaders   Preset = "none"
)

// Stale says what happens while the change log cannot be read.
type Stale string

// What a route does with sessions whose end could not be seen.
const (
	Refuse Stale = "refuse" // 503
	Serve  Stale = "serve"  // go on with what is known
)

// Where a route comes from.
const (
	FromAPI  = "api"
	FromFile = "file" // read-only, counts as the root tenant's
)

// Headers says which identity headers the upstream gets.
type Headers struct {
	Preset Preset            `json:"preset"`
	Custom map[string]string `json:"custom,omitempty"` // header name to the path of an attribute, such as "business_metadata.team"
}

// Timeouts bound one exchange. Zero takes the default; less than MinTimeout is
// refused.
type Timeouts struct {
	Connect  store.Duration `json:"connect"`  // to reach the upstream; default 5s
	Response store.Duration `json:"response"` // from the sent request to the first byte of the answer; default 60s
	Idle     store.Duration `json:"idle"`     // without a byte of a body in either direction; default 5m
	Tunnel   store.Duration `json:"tunnel"`   // without a byte on an upgraded connection; default 1h
}

// MinTimeout is the shortest of a route's timeouts: an exchange that waits looks
// around at least as often as the shortest one ends.
const MinTimeout = 100 * time.Millisecond

// Route is one protected app, or one part of it: a host and path prefix, the
// upstream behind them and who may pass. A Route that came out of a Table is
// immutable.
type Route struct {
	ID        string `json:"id"` // derived from host and path prefix
	Tenant    string `json:"tenant_id"`
	Workspace string `json:"workspace_id"`
	Epoch     string `json:"workspace_epoch,omitempty"` // of the workspace when the route was written
	Source    string `json:"source"`                    // FromAPI or FromFile
	Name      string `json:"name,omitempty"`

	Host               string       `json:"host"`        // as the browser sends it: lower case, port unless it is the scheme's own
	PathPrefix         string       `json:"path_prefix"` // whole segments; "/" is everything
	Upstream           string       `json:"upstream"`    // http or https URL, with a path if the app lives below one
	Policy             Policy       `json:"policy"`
	Credentials        []Credential `json:"credentials"`
	Headers            Headers      `json:"headers"`
	Assertion          bool         `json:"assertion"`     // send X-Gatepost-Assertion
	PreserveHost       bool         `json:"preserve_host"` // send the client's Host instead of the upstream's
	StripPrefix        bool         `json:"strip_prefix"`  // cut path_prefix from the path
	MaxBody            int64        `json:"max_body"`      // bytes of a request body; 0 means 100 MiB, -1 no limit
	Timeouts           Timeouts     `json:"timeouts"`
	API                bool         `json:"api"`                  // never answer with a redirect to sign-in
	AllowAmbiguousPath bool         `json:"allow_ambiguous_path"` // let %2f, //, ; and encoded unreserved characters pass
	WhenStale          Stale        `json:"when_stale"`
	Upgrades           []string     `json:"upgrades"` // protocols that an Upgrade header may name; default websocket
	// AllowedOrigins are the origins besides the route's own whose pages may open
	// a WebSocket, or another upgrade, with the visitor's session: the browser
	// sends the cookie even for pages of sibling hosts. They are compared exactly.
	// Requests without an Origin header come from no page and are not held up;
	// neither are bearer tokens and public routes, which lend nobody a session.
	AllowedOrigins []string `json:"allowed_origins,omitempty"`

	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`

	// Set in a Table only.
	Index      int            `json:"-"` // place in Table.Routes
	Origin     string         `json:"-"` // scheme and host as the browser sees them; audience of assertions, base of redirect URIs
	URL        *url.URL       `json:"-"` // Upstream, parsed; the path has no trailing slash
	Networks   []netip.Prefix `json:"-"` // private networks that the upstream may be in
	AnyNetwork bool           `json:"-"` // the upstream may be anywhere: root's route
}

// Accepts tells whether the route takes that credential.
func (r *Route) Accepts(c Credential) bool { return slices.Contains(r.Credentials, c) }

// Covers tells whether a canonical path lies below the route's prefix. Prefixes
// match whole segments: "/admin" covers "/admin" and "/admin/x", not
// "/administrator" and not "/admin;x".
func (r *Route) Covers(path string) bool {
	p := r.PathPrefix
	if p == "/" {
		return true
	}
	return strings.HasPrefix(path, p) && (len(path) == len(p) || path[len(p)] == '/')
}

// ID returns the id of the route at a place: the same place has the same id,
// so that the store's unique ids keep two routes from one place.
func ID(host, prefix string) string {
	sum := sha256.Sum256([]byte(host + "\n" + prefix))
	return "r-" + hex.EncodeToString(sum[:8])
}

// The defaults of a route.
const (
	defaultMaxBody  = 100 << 20
	defaultConnect  = store.Duration(5 * time.Second)
	defaultResponse = store.Duration(60 * time.Second)
	defaultIdle     = store.Duration(5 * time.Minute)
	defaultTunnel   = store.Duration(time.Hour)
)

// Normal returns r with its defaults filled in and host, prefix and upstream in
// their one spelling. It does not judge: Problems does.
func (r Route) Normal() Route {
	r.Host = NormalHost(r.Host)
	r.PathPrefix = normalPrefix(r.PathPrefix)
	r.Upstream = strings.TrimRight(r.Upstream, "/")
	r.ID = ID(r.Host, r.PathPrefix)
	r.Policy = orElse(r.Policy, SignedIn)
	r.Headers.Preset = orElse(r.Headers.Preset, AuthRequest)
	r.WhenStale = orElse(r.WhenStale, Refuse)
	r.Source = orElse(r.Source, FromAPI)
	r.MaxBody = orElse(r.MaxBody, defaultMaxBody)
	r.Timeouts.Connect = orElse(r.Timeouts.Connect, defaultConnect)
	r.Timeouts.Response = orElse(r.Timeouts.Response, defaultResponse)
	r.Timeouts.Idle = orElse(r.Timeouts.Idle, defaultIdle)
	r.Timeouts.Tunnel = orElse(r.Timeouts.Tunnel, defaultTunnel)
	if len(r.Credentials) == 0 {
		r.Credentials = []Credential{Session}
	}
	if r.Upgrades == nil {
		r.Upgrades = []string{"websocket"}
	}
	return r
}

// NormalHost returns a host in its one spelling: lower case, without the dot
// that ends an absolute name.
func NormalHost(host string) string {
	name, port := splitPort(strings.ToLower(strings.TrimSpace(host)))
	name = strings.TrimSuffix(name, ".")
	if port == "" {
		return name
	}
	return name + ":" + port
}

// Hostname returns a host without its port. Hosts are claimed by it: cookies
// do not know ports, so one name never belongs to two workspaces.
func Hostname(host string) string {
	name, _ := splitPort(NormalHost(host))
	return name
}

// splitPort cuts the port from a host; brackets of an IPv6 address stay.
func splitPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return host, ""
	}
	return host[:i], host[i+1:]
}

func normalPrefix(p string) string {
	if p = strings.TrimRight(p, "/"); p == "" {
		return "/"
	}
	return p
}

func orElse[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
