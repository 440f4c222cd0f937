package route

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Problems returns everything that is wrong with a route in its normal form.
// Each is a *fault.Error that names the field and what is allowed.
func (r *Route) Problems() []error {
	var found problems
	found.host("host", r.Host)
	found.prefix(r.PathPrefix)
	found.upstream(r.Upstream)
	oneOf(&found, "policy", r.Policy, Public, SignedIn)
	oneOf(&found, "headers.preset", r.Headers.Preset, AuthRequest, RemoteUser, NoHeaders)
	oneOf(&found, "when_stale", r.WhenStale, Refuse, Serve)
	for i, c := range r.Credentials {
		oneOf(&found, fmt.Sprintf("credentials[%d]", i), c, Session, Bearer)
	}
	found.custom(r.Headers)
	found.upgrades(r.Upgrades)
	for i, o := range r.AllowedOrigins {
		if !goodOrigin(o) {
			found.add(fmt.Sprintf("allowed_origins[%d]", i), "Give an origin as the browser sends it, such as \"https://admin.example.com\".")
		}
	}
	found.timeouts(r.Timeouts)
	if r.MaxBody < -1 {
		found.add("max_body", "Give a number of bytes, 0 for the default or -1 for no limit.")
	}
	if len(r.Name) > 200 {
		found.add("name", "At most 200 characters.")
	}
	return found
}

type problems []error

func (p *problems) add(field, say string) {
	*p = append(*p, fault.At(fault.Unprocessable, field, say))
}

func oneOf[T ~string](p *problems, field string, v T, allowed ...T) {
	if slices.Contains(allowed, v) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = strconv.Quote(string(a))
	}
	p.add(field, fmt.Sprintf("%q is not allowed here; allowed are %s.", v, strings.Join(names, ", ")))
}

func (p *problems) host(field, host string) {
	const say = "Give a host name as the browser sends it, such as \"wiki.example.com\" or \"app.localhost:8080\"."
	name, port := splitPort(host)
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			p.add(field, say)
			return
		}
	}
	if !goodName(name) {
		p.add(field, say)
	}
}

// goodName tells whether name is a DNS name of letters, digits and hyphens, or
// an IP address; IPv6 in brackets.
func goodName(name string) bool {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return ok && err == nil && a.Is6() && a.Zone() == "" && a.String() == inner
	}
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !goodLabel(label) {
			return false
		}
	}
	return true
}

// goodLabel tells whether a label has letters, digits and inner hyphens; the
// underscore is not DNS, but names inside networks have it.
func goodLabel(label string) bool {
	if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// goodOrigin tells whether o is the serialisation of an origin (RFC 6454,
// section 6.2), which has one spelling. Apps outside a browser's pages have
// schemes of their own. "null" is everybody's and therefore nobody's.
func goodOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != o || strings.HasSuffix(u.Host, ":") {
		return false
	}
	switch port := u.Port(); {
	case u.Scheme == "http" && port == "80", u.Scheme == "https" && port == "443":
		return false
	}
	var found problems
	found.host("", u.Host)
	return len(found) == 0
}

func (p *problems) prefix(prefix string) {
	if !web.PlainPath(prefix) {
		p.add("path_prefix", "Give whole path segments without escapes, such as \"/\" or \"/wiki\".")
		return
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
	if strings.EqualFold("/"+first, Reserved) {
		p.add("path_prefix", "Paths under "+Reserved+" belong to the gateway.")
	}
}

func (p *problems) upstream(raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add("upstream", "Give an http or https URL, such as \"http://10.0.0.5:3000\".")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		p.add("upstream", "No user, query or fragment here: only scheme, host, port and path.")
	case u.Path != "" && !web.PlainPath(u.EscapedPath()):
		p.add("upstream", "The path may hold only whole segments without escapes.")
	}
}

func (p *problems) timeouts(t Timeouts) {
	for _, f := range []struct {
		name string
		v    int64
	}{{"connect", int64(t.Connect)}, {"response", int64(t.Response)}, {"idle", int64(t.Idle)}, {"tunnel", int64(t.Tunnel)}} {
		if f.v < int64(MinTimeout) {
			p.add("timeouts."+f.name, "Give at least "+MinTimeout.String()+", such as \"30s\", or 0 for the default.")
		}
	}
}

func (p *problems) upgrades(names []string) {
	for i, n := range names {
		low := strings.ToLower(n)
		// h2c inside a tunnel would be a second, unchecked HTTP connection.
		if !token(n) || n != low || low == "h2" || low == "h2c" || strings.HasPrefix(low, "http/") || low == "tls" {
			p.add(fmt.Sprintf("upgrades[%d]", i), "Give a protocol name in lower case, such as \"websocket\"; HTTP and TLS are not tunnelled.")
		}
	}
}

func (p *problems) custom(h Headers) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(h.Custom)) {
		field := "headers.custom[" + strconv.Quote(name) + "]"
		low := strings.ToLower(name)
		switch {
		case !plainHeader(name):
			p.add(field, "A header name has letters, digits and hyphens only.")
		case !yours(low):
			p.add(field, "This header has a meaning of its own in HTTP or at the gateway; choose another, such as \"X-App-Team\".")
		case seen[low], slices.Contains(PresetHeaders(h.Preset), low):
			p.add(field, "This header is already set by the preset or under another spelling.")
		}
		seen[low] = true
		if path := h.Custom[name]; path == "" || len(path) > 200 || strings.ContainsAny(path, " \t\r\n") {
			p.add(field, "Give the path of an attribute, such as \"email\" or \"business_metadata.team\".")
		}
	}
}

// PresetHeaders returns the names that a preset sets, in lower case.
func PresetHeaders(p Preset) []string {
	switch p {
	case AuthRequest:
		return []string{"x-auth-request-user", "x-auth-request-email", "x-auth-request-preferred-username", "x-auth-request-groups"}
	case RemoteUser:
		return []string{"remote-user", "remote-name", "remote-email", "remote-groups"}
	}
	return nil
}

// plainHeader tells whether a name survives every server's folding unchanged:
// an underscore or a dot would not.
func plainHeader(name string) bool {
	if name == "" || len(name) > 100 {
		return false
	}
	for i := range len(name) {
		c := name[i] | 0x20
		if (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') && name[i] != '-' {
			return false
		}
	}
	return true
}

// yours tells whether a header, in lower case, may carry an attribute.
func yours(low string) bool {
	switch low {
	case "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-name":
		return true // what some apps read identity from
	}
	for _, p := range []string{
		"accept", "access-control-", "content-", "if-", "proxy", "sec-", "x-gatepost-", "x-forwarded-", "x-http-method", "transfer-",
	} {
		if strings.HasPrefix(low, p) {
			return false
		}
	}
	switch low {
	case "authorization", "cache-control", "connection", "cookie", "cookie2", "date", "expect", "forwarded", "from", "host", "http2-settings",
		"keep-alive", "max-forwards", "origin", "pragma", "range", "referer", "te", "trailer", "upgrade", "user-agent", "via", "warning",
		"x-requested-with", "x-trace-id", "x-correlation-id", "x-real-ip":
		return false
	}
	return true
}

// token tells whether s is a token of RFC 9110 section 5.6.2.
func token(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}
