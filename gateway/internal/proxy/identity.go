package proxy

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/route"
)

// assertionHeader carries the signed statement of who passes.
const assertionHeader = "X-Gatepost-Assertion"

// block is the ready identity lines of one route.
type block struct {
	route *route.Route
	until time.Time
	lines []byte
}

// maxBlocks bounds what one identity keeps; more routes on one host are rare,
// and only cost building the lines again.
const maxBlocks = 8

// lines returns the identity headers for a plan's route: each line with its
// CRLF. They are made once and sent again until the assertion in them is half
// through its life.
func (id *Identity) lines(ctx context.Context, door Door, p *plan, now time.Time) ([]byte, error) {
	known := id.ready.Load()
	if known != nil {
		for i := range *known {
			if b := &(*known)[i]; b.route == p.route && now.Before(b.until) {
				return b.lines, nil
			}
		}
	}
	b := block{route: p.route, until: now.Add(time.Hour), lines: p.appendIdentity(nil, id)}
	if p.route.Assertion {
		text, err := door.Assertion(ctx, id, p.route.Origin)
		if err != nil {
			return nil, err
		}
		b.lines = appendValue(b.lines, assertionHeader, text)
		b.until = now.Add(AssertionReuse)
	}
	next := []block{b}
	if known != nil {
		for _, old := range *known {
			if old.route.ID != p.route.ID && len(next) < maxBlocks {
				next = append(next, old)
			}
		}
	}
	id.ready.Store(&next) // another request may have won: both blocks are good
	return b.lines, nil
}

// appendIdentity appends the headers of the route's preset and its own.
func (p *plan) appendIdentity(dst []byte, id *Identity) []byte {
	switch p.route.Headers.Preset {
	case route.AuthRequest:
		dst = appendValue(dst, "X-Auth-Request-User", id.Subject)
		dst = appendValue(dst, "X-Auth-Request-Email", id.Email)
		dst = appendValue(dst, "X-Auth-Request-Preferred-Username", id.Username)
		dst = appendGroups(dst, "X-Auth-Request-Groups", id.Groups)
	case route.RemoteUser:
		dst = appendValue(dst, "Remote-User", id.Username)
		dst = appendValue(dst, "Remote-Name", id.Name)
		dst = appendValue(dst, "Remote-Email", id.Email)
		dst = appendGroups(dst, "Remote-Groups", id.Groups)
	case route.NoHeaders:
	}
	for _, name := range slices.Sorted(maps.Keys(p.route.Headers.Custom)) {
		path := p.route.Headers.Custom[name]
		if path == "groups" {
			dst = appendGroups(dst, name, id.Groups)
		} else if v, ok := id.attribute(path); ok {
			dst = appendValue(dst, name, v)
		}
	}
	return dst
}

// attribute returns the value of a path. The common claims need no Attribute.
func (id *Identity) attribute(path string) (string, bool) {
	switch path {
	case "sub":
		return id.Subject, id.Subject != ""
	case "preferred_username":
		return id.Username, id.Username != ""
	case "email":
		return id.Email, id.Email != "" // verified, or not at all
	case "name":
		return id.Name, id.Name != ""
	}
	if id.Attribute == nil {
		return "", false
	}
	return id.Attribute(path)
}

// appendGroups appends a header line with names joined by commas, unless there
// are none. A comma inside a name would make two groups of one, so it is escaped
// as control characters are.
func appendGroups(dst []byte, name string, groups []string) []byte {
	if len(groups) == 0 {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	for i, g := range groups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendEscaped(dst, g, ",")
	}
	return append(dst, "\r\n"...)
}

// appendValue appends a header line unless the value is empty.
func appendValue(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = appendEscaped(dst, value, "")
	return append(dst, "\r\n"...)
}

// appendEscaped appends a value as a header can carry it. Letters outside ASCII
// are sent as UTF-8. What a header cannot hold, what a server would trim off and
// the characters in also are percent-encoded and never dropped: two identities
// must not become one. A percent sign is encoded where two hexadecimal digits
// follow it, so an escape always is one of ours.
func appendEscaped(dst []byte, value, also string) []byte {
	for i := range len(value) {
		b := value[i]
		edge := i == 0 || i == len(value)-1
		switch {
		case b < ' ', b == 0x7f, b == ' ' && edge, strings.IndexByte(also, b) >= 0,
			b == '%' && i+2 < len(value) && hexDigit(value[i+1]) && hexDigit(value[i+2]):
			const hex = "0123456789ABCDEF"
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

func hexDigit(b byte) bool { return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f' }
