package web

import (
	"bytes"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Path is the path of a request as routing, policy and the upstream all see it.
type Path struct {
	Path     string // begins with '/'; the bytes that the client sent
	RawQuery string // without '?', as sent
	// Ambiguous: an upstream may read the path in another way than a policy
	// does. It holds %2f, "//", ';', an encoded unreserved character or a byte
	// that should have been encoded. Such a path is safe only where one policy
	// covers the whole host.
	Ambiguous bool
}

// Canonical checks a request target (RFC 9112, section 3.2; origin form or
// absolute form) and splits it. It returns fault.Invalid for a path that no
// application can need and that servers read differently: bad escapes, %00,
// backslashes plain or encoded, dot-segments plain or encoded (also behind %2f
// and before ';'), fragments, spaces and control characters. It never rewrites:
// what passes is forwarded byte by byte.
func Canonical(requestURI []byte) (Path, error) {
	authority, target := splitTarget(requestURI)
	path, query, _ := bytes.Cut(target, []byte{'?'})
	if len(path) == 0 && authority != nil {
		path = []byte{'/'} // RFC 9112, section 3.2.2
	}
	ambiguous, why := inspect(path)
	if why == "" {
		why = inspectQuery(query)
	}
	if why != "" {
		return Path{}, fault.New(fault.Invalid, "The address of this request is not valid: "+why+".", nil)
	}
	var both strings.Builder // one allocation for two strings
	both.Grow(len(path) + len(query))
	both.Write(path)
	both.Write(query)
	all := both.String()
	return Path{Path: all[:len(path)], RawQuery: all[len(path):], Ambiguous: ambiguous}, nil
}

// PlainPath tells whether a path prefix has one spelling only, so that no other
// request path means the same to an application: it consists of unreserved
// characters (RFC 3986, section 2.3) between single slashes and has no
// dot-segments. Prefixes of route policies must be plain.
func PlainPath(prefix string) bool {
	if prefix == "" || prefix[0] != '/' {
		return false
	}
	for i := range len(prefix) {
		if prefix[i] != '/' && !unreserved(prefix[i]) {
			return false
		}
	}
	ambiguous, why := inspect([]byte(prefix))
	return !ambiguous && why == ""
}

// splitTarget returns the authority of an absolute-form target, nil for the
// origin form, and the path with the query.
func splitTarget(uri []byte) (authority, target []byte) {
	if len(uri) > 0 && uri[0] == '/' {
		return nil, uri
	}
	_, rest, absolute := bytes.Cut(uri, []byte("://"))
	if !absolute {
		return nil, uri
	}
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		return rest[:i], rest[i:]
	}
	return rest, nil
}

// segment follows one path segment and knows whether it is "." or "..".
type segment struct {
	dots  int
	other bool
}

func (s *segment) dotted() bool { return !s.other && (s.dots == 1 || s.dots == 2) }

func (s *segment) add(b byte) {
	if b == '.' && !s.other {
		s.dots++
		return
	}
	s.other = true
}

// inspect returns whether the path has several readings, and why it is refused,
// or "".
func inspect(path []byte) (ambiguous bool, why string) {
	if len(path) == 0 || path[0] != '/' {
		return false, "it does not begin with a slash"
	}
	var seg segment
	for i := 0; i < len(path); i++ {
		b, width, unclear := pathByte(path, i)
		if width == 0 {
			return false, "it holds a broken escape or a character that may not stand in a path"
		}
		ambiguous = ambiguous || unclear
		if b != '/' && b != ';' {
			seg.add(b)
			i += width - 1
			continue
		}
		if seg.dotted() {
			return false, "it holds a dot-segment"
		}
		// What follows ';' is a parameter of the segment to some servers, so the
		// segment is judged there and its rest is taken as harmless.
		seg = segment{other: b == ';'}
		i += width - 1
	}
	if seg.dotted() {
		return false, "it holds a dot-segment"
	}
	return ambiguous, ""
}

// pathByte decodes the character at i. A width of 0 refuses it.
func pathByte(path []byte, i int) (b byte, width int, unclear bool) {
	switch b = path[i]; {
	case b == '%':
		return escape(path, i)
	case b == '/':
		return b, 1, i > 0 && path[i-1] == '/'
	case b == ';':
		return b, 1, true
	case b == '\\' || b == '#' || b <= ' ' || b == 0x7f:
		return b, 0, false
	}
	return b, 1, !pchar(b)
}

// escape decodes the %XX at i.
func escape(path []byte, i int) (b byte, width int, unclear bool) {
	if i+2 >= len(path) {
		return 0, 0, false
	}
	hi, lo := unhex(path[i+1]), unhex(path[i+2])
	if hi < 0 || lo < 0 {
		return 0, 0, false
	}
	b = byte(hi<<4 | lo)
	if b == 0 || b == '\\' {
		return b, 0, false
	}
	return b, 3, b == '/' || unreserved(b)
}

func inspectQuery(query []byte) string {
	for _, b := range query {
		if b <= ' ' || b == 0x7f || b == '#' {
			return "its query holds a character that must be escaped"
		}
	}
	return ""
}

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// unreserved is RFC 3986, section 2.3.
func unreserved(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return b == '-' || b == '.' || b == '_' || b == '~'
}

// pchar is RFC 3986, section 3.3, without escapes.
func pchar(b byte) bool {
	if unreserved(b) {
		return true
	}
	switch b {
	case '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '@':
		return true
	}
	return false
}
