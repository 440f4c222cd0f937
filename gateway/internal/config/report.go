package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong, or that somebody should know.
type Problem struct {
	Source string // file or environment variable; empty when nobody wrote it
	Line   int    // in the file; 0 when the setting is not in it
	Path   string // of the setting, such as "routes[0].host"
	Say    string // what is wrong and what is allowed
}

// Error returns the problem on one line, in the form of a compiler message.
func (p Problem) Error() string {
	var s strings.Builder
	s.WriteString(p.Source)
	if p.Line > 0 {
		s.WriteString(":" + strconv.Itoa(p.Line))
	}
	for _, part := range []string{p.Path, p.Say} {
		if part != "" && s.Len() > 0 {
			s.WriteString(": ")
		}
		s.WriteString(part)
	}
	return s.String()
}

// Report is every problem that was found: those of the file by line, then those
// of the environment by name, then those of settings that nobody made.
type Report []Problem

// Error returns one problem a line.
func (r Report) Error() string {
	lines := make([]string, len(r))
	for i, p := range r {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the report in its order, and nil as an error when it is empty.
func (r Report) sorted() error {
	if len(r) == 0 {
		return nil
	}
	group := func(p Problem) int {
		switch {
		case p.Line > 0:
			return 0
		case p.Source != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(r, func(a, b Problem) int {
		return cmp.Or(group(a)-group(b), cmp.Compare(a.Line, b.Line), strings.Compare(a.Source, b.Source))
	})
	return r
}

// place is where a setting was made.
type place struct {
	source string
	line   int
}

// places remembers where each setting was made, by path.
type places map[string]place

// of returns the place of a path or of the nearest thing around it.
func (ps places) of(path string) place {
	for path != "" {
		if p, ok := ps[path]; ok {
			return p
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{}
}
