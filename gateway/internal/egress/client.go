package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// ErrTooLarge is in the chain of the error that ends a body over Limits.Body.
var ErrTooLarge = errors.New("the answer is over its size limit")

// Limits bound one call, redirects included. Zero fields have the defaults.
type Limits struct {
	Body      int64         // bytes of one answer, after decompression; 1 MiB
	Header    int64         // bytes of one answer's header; 64 KiB
	Time      time.Duration // from the call to the end of the body; 10 s
	Redirects int           // followed; 5. Negative: none, the redirect is the answer
	TLS       *tls.Config   // nil: the system's roots, TLS 1.2 and newer
}

func (l Limits) filled() Limits {
	if l.Body == 0 {
		l.Body = 1 << 20
	}
	if l.Header == 0 {
		l.Header = 64 << 10
	}
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Redirects == 0 {
		l.Redirects = 5
	}
	if l.TLS == nil {
		l.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return l
}

// Client returns an HTTP client whose every connection g has allowed. It has no
// cookie jar and uses no proxy. Reading a body over the limit fails with
// ErrTooLarge, an address that g refuses fails with ErrRefused, both in the
// chain of a *fault.Error. It is safe for concurrent use; keep it: it owns a pool
// of connections.
func Client(g *Guard, limits Limits) *http.Client {
	l := limits.filled()
	dialer := &net.Dialer{Timeout: min(l.Time, 5*time.Second), Control: g.Control, Resolver: g.Resolver}
	return &http.Client{
		Timeout:       l.Time,
		CheckRedirect: l.redirect,
		Transport: &capped{limit: l.Body, next: &http.Transport{
			Proxy:                  nil, // it would dial in our place
			DialContext:            dialer.DialContext,
			TLSClientConfig:        l.TLS.Clone(),
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    min(l.Time, 5*time.Second),
			ResponseHeaderTimeout:  l.Time,
			MaxResponseHeaderBytes: l.Header,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
		}},
	}
}

// redirect checks what the dialer cannot see. Credentials travel in bodies and
// in headers that net/http does not know for such, so another origin gets
// neither.
func (l Limits) redirect(next *http.Request, via []*http.Request) error {
	if l.Redirects < 0 {
		return http.ErrUseLastResponse
	}
	if len(via) > l.Redirects {
		return fault.New(fault.BadGateway, fmt.Sprintf("The address redirects more than %d times.", l.Redirects), nil)
	}
	last := via[len(via)-1].URL
	if next.URL.Scheme != "https" && next.URL.Scheme != last.Scheme {
		return fault.New(fault.BadGateway, "The address redirects to a weaker scheme.", fmt.Errorf("from %s to %s", last.Redacted(), next.URL.Redacted()))
	}
	next.Header.Del("Referer") // the query of the last address is nobody's business
	if origin(next.URL) == origin(last) {
		return nil
	}
	if next.Body != nil && next.Body != http.NoBody {
		return fault.New(fault.BadGateway, "The address redirects a request with a body to another origin.", fmt.Errorf("from %s to %s", last.Redacted(), next.URL.Redacted()))
	}
	for name := range next.Header {
		switch name {
		case "Accept", "Accept-Language", "User-Agent":
		default:
			next.Header.Del(name)
		}
	}
	return nil
}

// origin is scheme, host and port (RFC 6454, 4), with the port always written.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// capped bounds the bodies of answers.
type capped struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (c *capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err // http.Client wraps it with method and address
	}
	if resp.ContentLength > c.limit && r.Method != http.MethodHead {
		return nil, errors.Join(tooLarge(c.limit), resp.Body.Close())
	}
	resp.Body = &body{ReadCloser: resp.Body, left: c.limit, limit: c.limit}
	return resp, nil
}

// CloseIdleConnections lets http.Client close what waits.
func (c *capped) CloseIdleConnections() {
	if x, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		x.CloseIdleConnections()
	}
}

type body struct {
	io.ReadCloser
	left, limit int64
	over        bool
}

// Read implements io.Reader. It asks for one byte more than is left: a body of
// exactly the limit is whole.
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		b.over = true
		return int(b.left), tooLarge(b.limit)
	}
	b.left -= int64(n)
	return n, err
}

func tooLarge(limit int64) error {
	return fault.New(fault.BadGateway, fmt.Sprintf("The answer is larger than %d bytes.", limit), ErrTooLarge)
}
