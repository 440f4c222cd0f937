package web

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"net/netip"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Visit is a request as everything behind the edge may know it: plain values
// that outlive the handler.
type Visit struct {
	Method        string
	Scheme        string // "http" or "https", as the client used it
	Host          string // lower case, with the port as sent
	Path          string // canonical, see Canonical
	RawQuery      string
	Ambiguous     bool       // see Path.Ambiguous
	ClientIP      netip.Addr // the zero Addr on a connection without addresses
	PeerIP        netip.Addr // the other end of the connection, perhaps a proxy
	UserAgent     string
	TraceID       string // 32 hex digits, new for every request
	CorrelationID string // the caller's own, or empty
	Navigation    bool   // a browser loads this page into a tab
}

// Origin returns scheme and host, such as "https://app.example".
func (v Visit) Origin() string { return v.Scheme + "://" + v.Host }

// Read returns the request of c. It was put together before any handler ran;
// calling it again costs a copy.
func Read(c *fiber.Ctx) Visit { return stateOf(c.Context()).visit }

// Certificates returns the TLS certificates that the client of c presented, its
// own first; it has proven that it holds the key of that one. Nobody has checked
// who issued them. Where the listener does not ask for them there are none.
func Certificates(c *fiber.Ctx) []*x509.Certificate {
	if state := c.Context().TLSConnectionState(); state != nil {
		return state.PeerCertificates
	}
	return nil
}

// refusal is an answer given before any handler runs.
type refusal struct {
	status int
	reason string // for log and metrics, one of few
	say    string
}

// arrive reads a request, or says why it is not let in.
func (s *Server) arrive(ctx *fasthttp.RequestCtx, v *Visit) *refusal {
	h := &ctx.Request.Header
	v.TraceID = newTraceID()
	v.Method = string(h.Method())
	v.PeerIP = peer(ctx.RemoteAddr())
	f, why := scan(h.RawHeaders())
	v.CorrelationID = correlation(f.correlation)
	v.Navigation = f.navigation()
	v.UserAgent = string(h.UserAgent())
	o := origin{scheme: "http", host: lower(h.Host())}
	if ctx.IsTLS() {
		o.scheme = "https"
	}
	believe(s.cfg.Trusted, v.PeerIP, h, &o)
	v.ClientIP, v.Scheme, v.Host = o.client, o.scheme, o.host
	if why != "" {
		return &refusal{fasthttp.StatusBadRequest, "framing", "The request is refused: " + why + "."}
	}
	return s.target(h, v)
}

// target checks method, host and path.
func (s *Server) target(h *fasthttp.RequestHeader, v *Visit) *refusal {
	if v.Method == fasthttp.MethodConnect || v.Method == fasthttp.MethodTrace {
		return &refusal{fasthttp.StatusMethodNotAllowed, "method", "The method " + v.Method + " is not served."}
	}
	if proto := string(h.Protocol()); proto != "HTTP/1.1" && proto != "HTTP/1.0" {
		return &refusal{fasthttp.StatusBadRequest, "framing", "Only HTTP versions 1.0 and 1.1 are served."}
	}
	if !validHost(h.Host()) {
		return &refusal{fasthttp.StatusBadRequest, "host", "The Host of this request is not a host name."}
	}
	if authority, _ := splitTarget(h.RequestURI()); authority != nil && lower(authority) != lower(h.Host()) {
		return &refusal{fasthttp.StatusBadRequest, "host", "The request names one host in its address and another one in Host."}
	}
	p, err := Canonical(h.RequestURI())
	if err != nil {
		return &refusal{fasthttp.StatusBadRequest, "path", err.Error()}
	}
	v.Path, v.RawQuery, v.Ambiguous = p.Path, p.RawQuery, p.Ambiguous
	return nil
}

// correlation returns the caller's id if it can stand in a log and a header.
func correlation(b []byte) string {
	if len(b) > 128 {
		return ""
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}

func newTraceID() string {
	var raw [16]byte
	var text [32]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	hex.Encode(text[:], raw[:])
	return string(text[:])
}
