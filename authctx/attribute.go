package authctx

import (
	"fmt"
	"strings"
)

// Attribute declares one attribute: for people who choose what becomes a claim,
// and as the shape of what an IDP yields (published API 16.4). A declaration adds no
// value and hides none.
type Attribute struct {
	Name        string   `json:"name"` // a path such as "address.locality"
	Type        Type     `json:"type"`
	Description string   `json:"description"`
	Labels      []string `json:"labels,omitzero"`
}

// Problem is what is wrong with one member of a declaration.
type Problem struct {
	Field string // path of the member, such as "[2].type"
	Say   string // a sentence for the person who wrote it
}

// Error returns the field and the sentence.
func (p Problem) Error() string { return p.Field + ": " + p.Say }

// The most that one list may hold.
const (
	maxAttributes = 1000
	maxMappings   = 500
)

// CheckAttributes returns everything that is wrong with a list of declarations:
// bad names and types, doubles, and a name below one that is not an object. It
// returns nil when nothing is.
func CheckAttributes(as []Attribute) []Problem {
	if len(as) > maxAttributes {
		return []Problem{{"", fmt.Sprintf("There may be at most %d attributes.", maxAttributes)}}
	}
	var ps []Problem
	types := make(map[string]Type, len(as))
	for i, a := range as {
		at := func(member, format string, args ...any) {
			ps = append(ps, Problem{fmt.Sprintf("[%d].%s", i, member), fmt.Sprintf(format, args...)})
		}
		if err := checkPath(a.Name); err != nil {
			at("name", "The name %s.", err)
		} else if a.Name == whole {
			at("name", "An attribute needs a name.")
		}
		if !a.Type.Valid() {
			at("type", "%q is not a type: use number, string, bool, object, one of these with _array, or any.", a.Type)
		}
		if _, double := types[a.Name]; double {
			at("name", "The attribute %q is declared twice.", a.Name)
		}
		types[a.Name] = a.Type
	}
	return append(ps, checkParents(as, types)...)
}

// checkParents finds attributes below one that cannot hold them.
func checkParents(as []Attribute, types map[string]Type) []Problem {
	var ps []Problem
	for i, a := range as {
		for j := range len(a.Name) {
			if a.Name[j] != '.' {
				continue
			}
			parent, ok := types[a.Name[:j]]
			if ok && parent != Object && parent != Any && !strings.HasSuffix(string(parent), "_array") {
				ps = append(ps, Problem{
					fmt.Sprintf("[%d].name", i),
					fmt.Sprintf("%q lies below %q, which is declared as %s.", a.Name, a.Name[:j], article(parent)),
				})
			}
		}
	}
	return ps
}
