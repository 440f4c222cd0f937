package web

import (
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
)

// Version is what a tag stands for: how far the tenant's change log was read,
// and the record's revision, 0 for a list.
type Version struct {
	Position uint64
	Rev      int64
}

// Tag returns the ETag of a version, quotes included, such as "12-345".
func Tag(position uint64, rev int64) string {
	return `"` + strconv.FormatUint(position, 10) + "-" + strconv.FormatInt(rev, 10) + `"`
}

// ParseTag reads one tag. Weak ones count like strong ones: proxies that
// compress an answer weaken its tag.
func ParseTag(tag string) (Version, bool) {
	tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return Version{}, false
	}
	pos, rev, found := strings.Cut(tag[1:len(tag)-1], "-")
	position, errPos := strconv.ParseUint(pos, 10, 64)
	revision, errRev := strconv.ParseInt(rev, 10, 64)
	if !found || errPos != nil || errRev != nil || revision < 0 {
		return Version{}, false
	}
	return Version{Position: position, Rev: revision}, true
}

// Match is an If-Match (RFC 9110, section 13.1.1). The zero Match asks for
// nothing.
type Match struct {
	Any      bool // "*": whatever the version
	Versions []Version
}

// Asked tells whether there was an If-Match at all.
func (m Match) Asked() bool { return m.Any || len(m.Versions) > 0 }

// Reached checks a read: fault.Stale when none of the positions is reached yet,
// so that the caller would not see what it wrote.
func (m Match) Reached(position uint64) error {
	if !m.Asked() || m.Any {
		return nil
	}
	for _, v := range m.Versions {
		if v.Position <= position {
			return nil
		}
	}
	return fault.New(fault.Stale, "This server has not seen the version in If-Match yet. Try again.", nil)
}

// Holds checks a write to one record: fault.Stale when it has moved on.
func (m Match) Holds(rev int64) error {
	if !m.Asked() || m.Any {
		return nil
	}
	for _, v := range m.Versions {
		if v.Rev == rev {
			return nil
		}
	}
	return fault.New(fault.Stale, "The object has changed since the version in If-Match.", nil)
}

// IfMatch reads the If-Match of a request. Tags that are not ours match nothing:
// one alone gives fault.Stale, as a tag of a former life of the server would.
func IfMatch(c *fiber.Ctx) (Match, error) {
	var m Match
	value := Header(c, fiber.HeaderIfMatch)
	if strings.TrimSpace(value) == "*" {
		return Match{Any: true}, nil
	}
	for part := range strings.SplitSeq(value, ",") {
		if v, ok := ParseTag(part); ok {
			m.Versions = append(m.Versions, v)
		}
	}
	if value != "" && !m.Asked() {
		return m, fault.New(fault.Stale, "The If-Match of this request does not come from this server.", nil)
	}
	return m, nil
}
