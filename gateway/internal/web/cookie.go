package web

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// HostPrefix makes a browser accept a cookie only from this very host, over
// https and for all paths (RFC 6265bis, section 4.1.3.2).
const HostPrefix = "__Host-"

// Cookie is a cookie to set. It is always HttpOnly, belongs to the host that
// sets it, and is for all paths unless Path says otherwise.
type Cookie struct {
	Name   string
	Value  string        // cookie-octets of RFC 6265, section 4.1.1
	Path   string        // empty: "/"
	MaxAge time.Duration // 0: until the browser closes; negative: delete now
	Secure bool
	Strict bool // SameSite=Strict instead of Lax
	None   bool // SameSite=None, for pages that others embed; needs Secure
}

// Header returns the value of the Set-Cookie header, or an error when a browser
// would refuse the cookie or read it as something else.
func (k Cookie) Header() (string, error) {
	if err := k.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(k.Name + "=" + k.Value + "; Path=")
	b.WriteString(or(k.Path, "/"))
	switch {
	case k.MaxAge < 0:
		b.WriteString("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	case k.MaxAge > 0:
		fmt.Fprintf(&b, "; Max-Age=%d", int64((k.MaxAge+time.Second-1)/time.Second))
	}
	b.WriteString("; HttpOnly")
	if k.Secure {
		b.WriteString("; Secure")
	}
	switch {
	case k.None:
		b.WriteString("; SameSite=None")
	case k.Strict:
		b.WriteString("; SameSite=Strict")
	default:
		b.WriteString("; SameSite=Lax")
	}
	return b.String(), nil
}

func (k Cookie) check() error {
	path := or(k.Path, "/")
	switch {
	case k.Name == "" || holds(k.Name, `()<>@,;:\"/[]?={}`):
		return fmt.Errorf("cookie name %q is not a token", k.Name)
	case holds(k.Value, `",;\`):
		return fmt.Errorf("the value of cookie %q holds a character that cookies cannot", k.Name)
	case path[0] != '/' || holds(path, ";"):
		return fmt.Errorf("cookie %q has the bad path %q", k.Name, path)
	}
	return k.checkScope(path)
}

// holds tells whether s has a byte of bad, or one that is not visible ASCII.
func holds(s, bad string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(bad, r) })
}

// checkScope holds the cookie to what its name and attributes promise.
func (k Cookie) checkScope(path string) error {
	switch {
	case hasPrefixFold(k.Name, HostPrefix) && (!k.Secure || path != "/"):
		return fmt.Errorf("cookie %q needs Secure and the path /", k.Name)
	case hasPrefixFold(k.Name, "__Secure-") && !k.Secure:
		return fmt.Errorf("cookie %q needs Secure", k.Name)
	case k.None && (!k.Secure || k.Strict):
		return fmt.Errorf("cookie %q: SameSite=None needs Secure", k.Name)
	}
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// SetCookie adds a cookie to the answer.
func SetCookie(c *fiber.Ctx, k Cookie) error {
	value, err := k.Header()
	if err != nil {
		return err
	}
	c.Context().Response.Header.Add(fiber.HeaderSetCookie, value)
	return nil
}

// Cookies returns the values of all cookies of that name in the order of the
// wire. A browser may hold several, set for other paths or by an older
// deployment, and sends all of them: whoever expects one must try each.
func Cookies(c *fiber.Ctx, name string) []string {
	return CookiesOf(&c.Context().Request.Header, name)
}

// CookiesOf is [Cookies] for code that has only the headers.
func CookiesOf(h *fasthttp.RequestHeader, name string) []string {
	var values []string
	for header, line := range Lines(h) {
		if !named(header, "cookie") {
			continue
		}
		for pair := range bytes.SplitSeq(line, []byte{';'}) {
			if key, value, ok := bytes.Cut(pair, []byte{'='}); ok && string(trim(key)) == name {
				values = append(values, string(trim(value)))
			}
		}
	}
	return values
}

// StripCookies returns a Cookie header value without the cookies that names
// picks. It returns header itself when there are none, else a new slice, empty
// when nothing is left. A pair without '=' is shown to names as a whole: some
// servers read it as a name, some as a value.
func StripCookies(header []byte, names func(name []byte) bool) []byte {
	var kept []byte
	cut, start := false, 0
	for start <= len(header) {
		end := bytes.IndexByte(header[start:], ';')
		if end < 0 {
			end = len(header)
		} else {
			end += start
		}
		pair := header[start:end]
		key, _, _ := bytes.Cut(pair, []byte{'='})
		drop := names(trim(key))
		if drop && !cut {
			cut = true
			kept = append(make([]byte, 0, len(header)), bytes.TrimRight(header[:start], "; \t")...)
		}
		if cut && !drop {
			kept = appendPair(kept, trim(pair))
		}
		start = end + 1
	}
	if !cut {
		return header
	}
	return kept
}

func appendPair(dst, pair []byte) []byte {
	if len(pair) == 0 {
		return dst
	}
	if len(dst) > 0 {
		dst = append(dst, "; "...)
	}
	return append(dst, pair...)
}
