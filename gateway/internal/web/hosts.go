package web

import (
	"net/netip"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
)

// AssetPrefix begins the addresses of styles, scripts and images of our pages.
// They are served on every host, as pages are shown on every host: an app's
// too, where nothing under /.gatepost/ is ever forwarded.
const AssetPrefix = "/.gatepost/assets/"

// Hosts decides by the host of a request who answers it. It is the first
// handler of a server.
type Hosts struct {
	// Own lists our own origins, such as "https://id.example": what follows in
	// the server's routes answers there.
	Own func() []string
	// App returns the handler of a claimed app host, nil when nobody claims it.
	// host is in lower case, without the default port of scheme. It must be fast.
	App func(scheme, host string) fiber.Handler
	// Listed are the origins to show on the page about an unknown host. Nil:
	// those of Own. Any stranger can see them.
	Listed func() []string
	// Asset returns a file by its path, AssetPrefix included. Nil: there are none.
	Asset func(path string) (Asset, bool)
}

// Asset is a file of our pages. Its address changes with its content.
type Asset struct {
	Type string // media type
	Body []byte
}

// UnknownHost describes a request for a host that is not ours.
type UnknownHost struct {
	Host, Scheme string
	SchemeOnly   bool       // the host is ours, but not by this scheme
	Forwarded    bool       // X-Forwarded-* came from a peer that is not trusted
	Peer         netip.Addr // that peer
	Configured   []string   // origins that are ours
}

// Handler returns the dispatcher. Areas for our own origins are mounted behind
// it.
func (h Hosts) Handler(e *Errors) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v := Read(c)
		if h.Asset != nil && strings.HasPrefix(v.Path, AssetPrefix) {
			return h.serveAsset(c, v)
		}
		host := Authority(v.Scheme, v.Host)
		own, schemeOnly := h.own(v.Scheme, host)
		if own {
			return h.ours(c, v)
		}
		if h.App != nil {
			if handler := h.App(v.Scheme, host); handler != nil {
				Label(c, "app")
				return handler(c)
			}
		}
		Label(c, "none")
		return e.unknownHost(c, h.describe(c, v, schemeOnly))
	}
}

// ours passes a request on to the routes of our own origins. Many policies live
// there, so a path with several readings is refused, and fiber routes by the
// path that was checked.
func (h Hosts) ours(c *fiber.Ctx, v Visit) error {
	Label(c, "own")
	if v.Ambiguous {
		return fault.New(fault.Invalid, "The address of this request has several readings: it holds %2f, //, ; or needless escapes.", nil)
	}
	if c.Path() != v.Path {
		c.Path(v.Path)
	}
	return c.Next()
}

func (h Hosts) own(scheme, host string) (own, schemeOnly bool) {
	for _, origin := range h.Own() {
		s, authority, _ := strings.Cut(origin, "://")
		if Authority(s, authority) != host {
			continue
		}
		if s == scheme {
			return true, false
		}
		schemeOnly = true
	}
	return false, schemeOnly
}

// Authority returns a host in lower case without the default port of its
// scheme, so that equal hosts are equal strings.
func Authority(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

func (h Hosts) describe(c *fiber.Ctx, v Visit, schemeOnly bool) *UnknownHost {
	listed := h.Listed
	if listed == nil {
		listed = h.Own
	}
	forwarded := Header(c, fiber.HeaderXForwardedProto) != "" || Header(c, fiber.HeaderXForwardedHost) != ""
	if s := stateOf(c.Context()).server; s != nil && trusted(s.cfg.Trusted, v.PeerIP) {
		forwarded = false
	}
	return &UnknownHost{Host: v.Host, Scheme: v.Scheme, SchemeOnly: schemeOnly, Forwarded: forwarded, Peer: v.PeerIP, Configured: listed()}
}

func (h Hosts) serveAsset(c *fiber.Ctx, v Visit) error {
	Label(c, "own")
	a, ok := h.Asset(v.Path)
	if !ok || v.Method != fiber.MethodGet && v.Method != fiber.MethodHead {
		return fault.New(fault.NotFound, "There is no such file.", nil)
	}
	c.Set(fiber.HeaderContentType, a.Type)
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Context().Response.SetBodyRaw(a.Body)
	return nil
}

// unknownHost answers 421 (RFC 9110, section 15.5.20).
func (e *Errors) unknownHost(c *fiber.Ctx, u *UnknownHost) error {
	st := stateOf(c.Context())
	say := "This server does not serve " + u.Scheme + "://" + u.Host + ". It serves " + strings.Join(u.Configured, ", ") +
		". Check base_url, the hosts of the routes, and trusted_proxies when a proxy stands in front."
	p := problemOf(fiber.StatusMisdirectedRequest, say, st)
	p.UnknownHost = u
	st.reason = "unknown host"
	e.answer(c.Context(), p, e.family(st))
	return nil
}
