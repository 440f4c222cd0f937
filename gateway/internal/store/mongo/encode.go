package mongo

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// encode returns what the driver writes for v: nil, a bool, number, string,
// bson.Binary, bson.D or bson.A.
func (c *codec) encode(v reflect.Value) (any, error) {
	s := c.shape(v.Type())
	if s != plain && !v.CanInterface() {
		return nil, fmt.Errorf("an embedded, unexported %s cannot be stored by its own methods", v.Type())
	}
	switch s {
	case moment, text:
		return encodeText(v)
	case rawJSON:
		return encodeJSON(v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return c.encode(v.Elem())
	case reflect.Struct:
		return c.encodeStruct(v)
	case reflect.Map:
		return c.encodeMap(v)
	case reflect.Slice:
		if v.IsNil() {
			return nil, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return bson.Binary{Data: v.Bytes()}, nil
		}
		return c.encodeList(v)
	case reflect.Array:
		return c.encodeList(v)
	}
	return encodeScalar(v)
}

func encodeScalar(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.String:
		return clean(v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if v.Uint() > math.MaxInt64 {
			return strconv.FormatUint(v.Uint(), 10), nil // BSON has no unsigned numbers
		}
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, nil
		}
		return nil, fmt.Errorf("%v has no place in JSON", v.Float())
	}
	return nil, fmt.Errorf("values of type %s cannot be stored", v.Type())
}

// clean makes each byte that is not UTF-8 a U+FFFD, as encoding/json does.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func (c *codec) encodeStruct(v reflect.Value) (any, error) {
	doc := bson.D{}
	for _, f := range c.members(v.Type()) {
		m, ok := member(v, f.index)
		if !ok || f.omitEmpty && isEmpty(m) || f.omitZero && isZero(m) {
			continue
		}
		value, err := c.encode(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		doc = append(doc, bson.E{Key: f.key, Value: value})
	}
	return doc, nil
}

// member returns a field, unless it is in an embedded struct that is not there.
func member(v reflect.Value, index []int) (reflect.Value, bool) {
	for i, n := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	return v, true
}

// isEmpty is what omitempty of encoding/json means.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// isZero is what omitzero of encoding/json means.
func isZero(v reflect.Value) bool {
	if v.IsZero() || !v.CanInterface() {
		return v.IsZero()
	}
	z, ok := v.Interface().(interface{ IsZero() bool })
	return ok && z.IsZero()
}

func (c *codec) encodeMap(v reflect.Value) (any, error) {
	if v.IsNil() {
		return nil, nil
	}
	values := make(map[string]reflect.Value, v.Len())
	for key, value := range v.Seq2() {
		values[escapeKey(clean(key.String()))] = value
	}
	doc := make(bson.D, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value, err := c.encode(values[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		doc = append(doc, bson.E{Key: key, Value: value})
	}
	return doc, nil
}

func (c *codec) encodeList(v reflect.Value) (any, error) {
	list := make(bson.A, v.Len())
	for i := range list {
		value, err := c.encode(v.Index(i))
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		list[i] = value
	}
	return list, nil
}

// reach returns v itself or, where that may be had, a pointer to it, so that
// methods on the pointer are found.
func reach(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}

func encodeText(v reflect.Value) (any, error) {
	m, ok := reach(v).(encoding.TextMarshaler)
	if !ok {
		return encodeScalar(v) // its method wants a pointer that is not to be had, as in a map
	}
	b, err := m.MarshalText()
	if err != nil {
		return nil, err
	}
	return string(b), nil
}

// encodeJSON keeps v as JSON text, null as BSON's own.
func encodeJSON(v reflect.Value) (any, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // raw JSON stays as it was written
	if err := enc.Encode(reach(v)); err != nil {
		return nil, err
	}
	s := string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	if s == "null" {
		return nil, nil
	}
	return s, nil
}
