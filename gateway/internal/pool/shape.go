package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// The bounds of a schema and of what it is applied to.
const (
	maxSchema  = 256 << 10 // bytes
	maxNested  = 32        // schemas in schemas
	maxSchemas = 5000      // in one
	maxObject  = 64 << 10  // bytes of a payload or metadata
	maxDepth   = 64        // of a payload or metadata
	maxNumber  = 64        // characters
)

// How a keyword of SupportedJSONSchema (contract, section 2) holds schemas.
type holds uint8

const (
	holdsNone holds = iota
	holdsOne
	holdsList
	holdsMap
)

// keywords are those of SupportedJSONSchema that have a meaning for validation.
// All others, $ref and format among them, are kept with a schema and ignored.
var keywords = map[string]holds{
	"additionalProperties": holdsOne, "contains": holdsOne, "else": holdsOne, "if": holdsOne, "items": holdsOne,
	"not": holdsOne, "propertyNames": holdsOne, "then": holdsOne,
	"allOf": holdsList, "anyOf": holdsList, "oneOf": holdsList,
	"dependentSchemas": holdsMap, "patternProperties": holdsMap, "properties": holdsMap,
	"const": holdsNone, "dependentRequired": holdsNone, "enum": holdsNone,
	"exclusiveMaximum": holdsNone, "exclusiveMinimum": holdsNone, "maximum": holdsNone, "minimum": holdsNone, "multipleOf": holdsNone,
	"maxContains": holdsNone, "minContains": holdsNone, "maxItems": holdsNone, "minItems": holdsNone, "uniqueItems": holdsNone,
	"maxLength": holdsNone, "minLength": holdsNone, "pattern": holdsNone,
	"maxProperties": holdsNone, "minProperties": holdsNone, "required": holdsNone, "type": holdsNone,
}

// reducer copies a schema with the supported keywords alone.
type reducer struct{ left int }

// reduce copies one schema; path is its place for errors.
func (r *reducer) reduce(path string, depth int, v any) (any, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fault.At(fault.Unprocessable, path, "must be a schema: an object, or true or false")
	}
	if r.left--; r.left < 0 || depth > maxNested {
		return nil, fault.At(fault.Unprocessable, path, "holds too many schemas")
	}
	out := map[string]any{}
	for _, word := range slices.Sorted(maps.Keys(m)) {
		how, known := keywords[word]
		if !known {
			continue
		}
		value, err := r.inner(path+"."+word, depth, how, m[word])
		if err != nil {
			return nil, err
		}
		out[word] = value
	}
	return out, nil
}

// inner copies the value of one keyword.
func (r *reducer) inner(path string, depth int, how holds, v any) (any, error) {
	switch how {
	case holdsOne:
		return r.reduce(path, depth+1, v)
	case holdsList:
		list, ok := v.([]any)
		if !ok {
			return nil, fault.At(fault.Unprocessable, path, "must be a list of schemas")
		}
		out := make([]any, len(list))
		for i, v := range list {
			var err error
			if out[i], err = r.reduce(fmt.Sprintf("%s[%d]", path, i), depth+1, v); err != nil {
				return nil, err
			}
		}
		return out, nil
	case holdsMap:
		members, ok := v.(map[string]any)
		if !ok {
			return nil, fault.At(fault.Unprocessable, path, "must be an object of schemas")
		}
		out := make(map[string]any, len(members))
		for _, name := range slices.Sorted(maps.Keys(members)) {
			var err error
			if out[name], err = r.reduce(path+"."+name, depth+1, members[name]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// parse reads one JSON object, keeping the text of numbers, and checks that it
// is within the bounds.
func parse(field string, raw json.RawMessage, most int) (map[string]any, error) {
	if len(raw) > most {
		return nil, fault.At(fault.Unprocessable, field, fmt.Sprintf("must have at most %d bytes", most))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil || m == nil {
		return nil, &fault.Error{Kind: fault.Unprocessable, Field: field, Public: "must be an object", Cause: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.At(fault.Unprocessable, field, "must be one object")
	}
	return m, bounded(field, m, 0)
}

// bounded refuses depth and numbers that would cost more than they are worth.
func bounded(path string, v any, depth int) error {
	if depth > maxDepth {
		return fault.At(fault.Unprocessable, path, "is nested too deeply")
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if err := bounded(path+"."+k, v[k], depth+1); err != nil {
				return err
			}
		}
	case []any:
		for i, v := range v {
			if err := bounded(fmt.Sprintf("%s[%d]", path, i), v, depth+1); err != nil {
				return err
			}
		}
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil || len(v) > maxNumber {
			return fault.At(fault.Unprocessable, path, "is a number out of range")
		}
	}
	return nil
}

// compact is raw without blanks; what is no JSON stays as it is.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
