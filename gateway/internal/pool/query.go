package pool

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Query selects users: all members that are set must hold.
type Query struct {
	// UserKey: an identifier or a verified address begins or ends with it, or the
	// id is it.
	UserKey string
	// Payload and Metadata: the user's object has these members; a scalar is
	// equal, a list contains. Objects are compared member by member.
	Payload  map[string]any
	Metadata map[string]any
}

func (q Query) empty() bool { return q.UserKey == "" && len(q.Payload) == 0 && len(q.Metadata) == 0 }

// ParseQuery reads the query parameter of a list of users: JSON such as
// {"user_key":"john"}. The empty text selects all. Errors: Invalid for what is
// no JSON object, Unprocessable for a member that is unknown or of a wrong type:
// ignoring it would show users that were not asked for.
func ParseQuery(text string) (Query, error) {
	var q Query
	if strings.TrimSpace(text) == "" {
		return q, nil
	}
	if len(text) > maxObject {
		return q, fault.At(fault.TooLarge, "query", "is too long")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil || d.More() || members == nil {
		return q, &fault.Error{Kind: fault.Invalid, Field: "query", Public: "must be a JSON object", Cause: err}
	}
	if err := bounded("query", members, 0); err != nil {
		return q, err
	}
	for name, v := range members {
		ok := false
		switch name {
		case "user_key":
			q.UserKey, ok = v.(string)
		case "payload":
			q.Payload, ok = v.(map[string]any)
		case "metadata":
			q.Metadata, ok = v.(map[string]any)
		}
		if !ok && v != nil {
			return q, fault.At(fault.Unprocessable, "query", "may have user_key (a text), payload and metadata (objects)")
		}
	}
	return q, nil
}

// affix is what the names of the users looked for begin or end with: one of
// several spellings each.
type affix struct{ begin, end []string }

// affixes returns the spellings of a search key.
func affixes(text string, insensitive bool) affix {
	if len(text) > maxName {
		return affix{}
	}
	bare := strings.TrimSpace(norm.NFKC.String(text))
	begin := distinct(key(canonical(text), insensitive), key(bare, insensitive))
	end := begin
	if !insensitive { // the domain of an address is in lower case
		end = distinct(append(begin, strings.ToLower(bare))...)
	}
	return affix{begin, end}
}

// distinct returns the texts that are not empty, each once.
func distinct(texts ...string) []string {
	out := slices.Clone(texts)
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return s == "" })
}

// matches tells whether a user is selected.
func (q Query) matches(u *User, by affix) bool {
	return (q.UserKey == "" || u.ID == q.UserKey || slices.ContainsFunc(u.names(), by.fits)) &&
		holdsObject(u.Payload, q.Payload) && holdsObject(u.Metadata, q.Metadata)
}

// fits tells whether a name begins or ends with one of the spellings.
func (a affix) fits(n name) bool {
	if n.Source == TypeWebAuthn {
		return false
	}
	return slices.ContainsFunc(a.begin, func(s string) bool { return strings.HasPrefix(n.Key, s) }) ||
		slices.ContainsFunc(a.end, func(s string) bool { return strings.HasSuffix(n.Key, s) })
}

func holdsObject(raw json.RawMessage, want map[string]any) bool {
	if len(want) == 0 {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var have map[string]any
	return d.Decode(&have) == nil && fits(have, want)
}

// fits tells whether a value meets a filter: a list contains what is asked for
// (each of it, when that is a list too), an object has its members, and a scalar
// is equal.
func fits(have, want any) bool {
	if list, ok := have.([]any); ok {
		wanted, many := want.([]any)
		if !many {
			wanted = []any{want}
		}
		for _, w := range wanted {
			if !slices.ContainsFunc(list, func(h any) bool { return fits(h, w) }) {
				return false
			}
		}
		return true
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for name, inner := range w {
			if v, there := h[name]; !there || !fits(v, inner) {
				return false
			}
		}
		return true
	case json.Number:
		h, ok := have.(json.Number)
		return ok && sameNumber(h, w)
	case []any:
		return false
	}
	return have == want
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	if whole(a) && whole(b) {
		return false // a float would round what is large
	}
	x, errX := strconv.ParseFloat(a.String(), 64)
	y, errY := strconv.ParseFloat(b.String(), 64)
	return errX == nil && errY == nil && x == y
}

func whole(n json.Number) bool { return !strings.ContainsAny(n.String(), ".eE") }
