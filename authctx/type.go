package authctx

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Type is the declared type of an attribute or of a mapping's target.
type Type string

// The types of the contract (admin.yaml, AuthenticationContextAttribute).
const (
	Number      Type = "number"
	String      Type = "string"
	Bool        Type = "bool"
	Object      Type = "object"
	NumberArray Type = "number_array"
	StringArray Type = "string_array"
	BoolArray   Type = "bool_array"
	ObjectArray Type = "object_array"
	Any         Type = "any"
)

// Valid tells whether t is one of the declared types.
func (t Type) Valid() bool {
	switch t {
	case Number, String, Bool, Object, NumberArray, StringArray, BoolArray, ObjectArray, Any:
		return true
	}
	return false
}

// element returns the type of an array's elements.
func (t Type) element() (Type, bool) {
	e, ok := strings.CutSuffix(string(t), "_array")
	return Type(e), ok
}

// kind names what a JSON value is, for sentences. It never shows the value: it
// may be personal, and the sentence goes into a log.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}

func article(t Type) string {
	switch t {
	case Object, ObjectArray, Any:
		return "an " + string(t)
	}
	return "a " + string(t)
}

func notA(v any, t Type) error { return fmt.Errorf("is %s, not %s", kind(v), article(t)) }

// convert returns v as a value of type t. Without weak, v must already be one.
// With weak, the conversions of the contract are made (Mapping,
// allow_weak_decoding); what it does not list is an error.
func convert(v any, t Type, weak bool) (any, error) {
	if t == Any {
		return v, nil
	}
	if e, ok := t.element(); ok {
		return convertArray(v, t, e, weak)
	}
	if is(v, t) {
		return v, nil
	}
	if !weak {
		return nil, notA(v, t)
	}
	switch t {
	case Number:
		return weakNumber(v)
	case String:
		return weakString(v)
	case Bool:
		return weakBool(v)
	}
	return weakObject(v)
}

func is(v any, t Type) bool {
	switch v.(type) {
	case bool:
		return t == Bool
	case string:
		return t == String
	case json.Number:
		return t == Number
	case map[string]any:
		return t == Object
	}
	return false
}

func convertArray(v any, t, e Type, weak bool) (any, error) {
	list, ok := v.([]any)
	if !ok {
		if !weak {
			return nil, notA(v, t)
		}
		if m, ok := v.(map[string]any); ok && len(m) == 0 {
			return []any{}, nil
		}
		list = []any{v}
	}
	out := make([]any, len(list))
	for i := range list {
		got, err := convert(list[i], e, weak)
		if err != nil && ok {
			return nil, fmt.Errorf("has an element %d that %w", i, err)
		}
		if err != nil {
			return nil, notA(v, t)
		}
		out[i] = got
	}
	return out, nil
}

func weakNumber(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return json.Number("1"), nil
		}
		return json.Number("0"), nil
	case string:
		return parseNumber(v)
	}
	return nil, notA(v, Number)
}

// parseNumber reads an integer with the base that its prefix implies (0x, 0b,
// 0o, 0), else a decimal fraction.
func parseNumber(s string) (any, error) {
	bad := errors.New("is a string that is not a number")
	if len(s) > 128 {
		return nil, bad
	}
	if i, ok := new(big.Int).SetString(s, 0); ok {
		return json.Number(i.String()), nil
	}
	if strings.Trim(s, "+-.eE0123456789") != "" || !strings.ContainsAny(s, ".eE") {
		return nil, bad // not decimal, or a bad integer such as 089
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, bad
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
}

func weakString(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return "1", nil
		}
		return "0", nil
	case json.Number:
		return plain(v)
	}
	return nil, notA(v, String)
}

// plain writes a number in base 10 without an exponent.
func plain(n json.Number) (any, error) {
	if _, _, found := cutExponent(string(n)); !found {
		return string(n), nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, errors.New("is a number too large to be written out")
	}
	return strconv.FormatFloat(f, 'f', -1, 64), nil
}

func weakBool(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return !sameNumber(string(v), "0"), nil
	case string:
		b, err := strconv.ParseBool(v) // accepts exactly the contract's list
		if err != nil {
			return nil, errors.New("is a string that is not a bool")
		}
		return b, nil
	}
	return nil, notA(v, Bool)
}

// weakObject merges an array of objects; later ones win.
func weakObject(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, notA(v, Object)
	}
	out := map[string]any{}
	for i := range list {
		m, ok := list[i].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("has an element %d that %w", i, notA(list[i], Object))
		}
		for name := range m {
			out[name] = m[name]
		}
	}
	return out, nil
}
