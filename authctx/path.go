package authctx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// whole is the path of everything.
const whole = "."

// find looks a path up. A name that itself holds dots, such as a claim named by
// a URL, is found as well: the longest match at each level comes first.
func find(v any, path string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return findName(v, path)
	case []any:
		return findElement(v, path)
	}
	return nil, false
}

func findName(v map[string]any, path string) (any, bool) {
	if got, ok := v[path]; ok {
		return got, true
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] != '.' {
			continue
		}
		child, ok := v[path[:i]]
		if !ok {
			continue
		}
		if got, ok := find(child, path[i+1:]); ok {
			return got, true
		}
	}
	return nil, false
}

func findElement(v []any, path string) (any, bool) {
	head, rest, more := strings.Cut(path, ".")
	i, err := strconv.ParseUint(head, 10, 31)
	if err != nil || int(i) >= len(v) {
		return nil, false
	}
	if !more {
		return v[i], true
	}
	return find(v[i], rest)
}

// put sets the value at a path of v and makes the objects that are missing on
// the way. A value in the way that is not an object is an error.
func put(v map[string]any, path string, value any) error {
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			v[name] = value
			return nil
		}
		switch next := v[name].(type) {
		case nil:
			child := map[string]any{}
			v[name] = child
			v = child
		case map[string]any:
			v = next
		default:
			return fmt.Errorf("%q in the target is already %s, not an object", name, kind(next))
		}
		path = rest
	}
}

// checkPath says what is wrong with a path, or nil.
func checkPath(path string) error {
	if path == whole {
		return nil
	}
	if path == "" {
		return errors.New("is missing")
	}
	if len(path) > 256 {
		return errors.New("is longer than 256 bytes")
	}
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			return errors.New("has an empty name between its dots")
		}
	}
	if strings.Count(path, ".") >= maxDepth/2 {
		return fmt.Errorf("has more than %d names", maxDepth/2)
	}
	return nil
}
