package authctx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested. Deeper values are of no
// use as attributes and only cost time.
const maxDepth = 64

var errDepth = fmt.Errorf("is nested deeper than %d levels", maxDepth)

// normal returns a deep copy of v as a JSON value. It takes every Go value that
// encoding/json can encode.
func normal(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		return strings.ToValidUTF8(v, "\uFFFD"), nil
	case json.Number:
		return number(v)
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case []any:
		return normalArray(v, depth)
	case map[string]any:
		return normalObject(v, depth)
	}
	return reencode(v, depth)
}

func normalArray(v []any, depth int) (any, error) {
	out := make([]any, len(v))
	for i := range v {
		e, err := normal(v[i], depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func normalObject(v map[string]any, depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	out := make(map[string]any, len(v))
	for name := range v {
		if !utf8.ValidString(name) {
			return nil, errors.New("has a name that is not valid UTF-8")
		}
		e, err := normal(v[name], depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = e
	}
	return out, nil
}

// number checks that the text of n is a JSON number.
func number(n json.Number) (any, error) {
	s := string(n)
	if s == "" || (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || !json.Valid([]byte(s)) || strings.TrimSpace(s) != s {
		return nil, errors.New("holds a number that is not one in JSON")
	}
	return n, nil
}

// reencode turns any other Go value into a JSON value by way of its encoding.
func reencode(v any, depth int) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot be written as JSON: %w", err)
	}
	out, err := decode(b)
	if err != nil {
		return nil, err
	}
	return normal(out, depth)
}

// decode reads one JSON value and keeps the text of numbers.
func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("is not valid JSON: %w", err)
	}
	if d.More() {
		return nil, errors.New("is more than one JSON value")
	}
	return v, nil
}

// clone returns a deep copy of a JSON value.
func clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case map[string]any:
		return cloneObject(v)
	}
	return v
}

func cloneObject(v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for name := range v {
		out[name] = clone(v[name])
	}
	return out
}

// equal tells whether two JSON values are the same. Numbers are compared by
// value: a script that gives back 1700000000 as 1.7e9 has not changed it.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || sameNumber(string(a), string(b)))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && equalObjects(a, b)
	}
	switch b.(type) {
	case json.Number, []any, map[string]any:
		return false
	}
	return a == b
}

func equalObjects(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		other, ok := b[name]
		if !ok || !equal(a[name], other) {
			return false
		}
	}
	return true
}

// decimal is a number as 0.digits times ten to the power of exp. Digits have no
// zeros at either end, so equal numbers are equal decimals.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

// sameNumber compares by digits and never by computing a power: "1e999999999"
// must not cost more than its ten bytes.
func sameNumber(a, b string) bool {
	x, okX := parseDecimal(a)
	y, okY := parseDecimal(b)
	return okX && okY && x == y
}

func parseDecimal(s string) (decimal, bool) {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, power, found := cutExponent(s)
	if found {
		e, err := strconv.ParseInt(power, 10, 64)
		if err != nil || e > math.MaxInt32 || e < math.MinInt32 {
			return decimal{}, false
		}
		d.exp = e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exp += int64(len(whole))
	digits := strings.TrimLeft(whole+fraction, "0")
	d.exp -= int64(len(whole) + len(fraction) - len(digits))
	d.digits = strings.TrimRight(digits, "0")
	if d.digits == "" {
		return decimal{}, true // zero has no sign
	}
	return d, true
}

func cutExponent(s string) (mantissa, power string, found bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
