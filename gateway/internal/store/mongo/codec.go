package mongo

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// codec turns values into BSON and back with the meaning of encoding/json. It
// is safe for concurrent use.
type codec struct {
	shapes sync.Map // reflect.Type -> shape
	fields sync.Map // reflect.Type of structs -> []field
}

// shape is how values of a type are kept.
type shape uint8

const (
	plain   shape = iota // by its kind
	moment               // a time, as text with nanoseconds
	text                 // what MarshalText gives
	rawJSON              // JSON text: raw JSON, any, own MarshalJSON, arrays in arrays
)

var (
	timeType        = reflect.TypeFor[time.Time]()
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (c *codec) shape(t reflect.Type) shape {
	if s, ok := c.shapes.Load(t); ok {
		return s.(shape)
	}
	s := shapeOf(t)
	c.shapes.Store(t, s)
	return s
}

func shapeOf(t reflect.Type) shape {
	has := func(iface reflect.Type) bool { return t.Implements(iface) || reflect.PointerTo(t).Implements(iface) }
	switch {
	case t.Kind() == reflect.Pointer:
		return plain
	case t == timeType:
		return moment
	case has(jsonMarshaler), has(jsonUnmarshaler):
		return rawJSON
	case has(textMarshaler) && has(textUnmarshaler):
		return text
	}
	switch t.Kind() {
	case reflect.Interface:
		return rawJSON
	case reflect.Map:
		if t.Key().Kind() != reflect.String || t.Elem().Kind() == reflect.Interface || reflect.PointerTo(t.Key()).Implements(textUnmarshaler) {
			return rawJSON
		}
	case reflect.Slice, reflect.Array:
		return listShape(t)
	}
	return plain
}

// listShape keeps lists of lists as text, because some servers have no arrays
// in arrays.
func listShape(t reflect.Type) shape {
	elem := t.Elem()
	for elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	inner := elem.Kind() == reflect.Slice || elem.Kind() == reflect.Array
	if elem.Kind() == reflect.Interface || inner && shapeOf(elem) == plain && elem.Elem().Kind() != reflect.Uint8 {
		return rawJSON
	}
	return plain
}

// field is a member of a struct.
type field struct {
	name      string // as in JSON
	key       string // the same, as it may stand in BSON
	index     []int
	omitEmpty bool
	omitZero  bool
}

// members returns the fields that encoding/json would use, by its rules for
// embedded structs.
func (c *codec) members(t reflect.Type) []field {
	if f, ok := c.fields.Load(t); ok {
		return f.([]field)
	}
	f := membersOf(t)
	c.fields.Store(t, f)
	return f
}

// candidate is a field with what decides between several of one name.
type candidate struct {
	field
	tagged bool
}

func membersOf(t reflect.Type) []field {
	all := collect(t, nil, map[reflect.Type]bool{})
	var fields []field
	for _, f := range all {
		rivals := slices.DeleteFunc(slices.Clone(all), func(o candidate) bool { return o.name != f.name })
		if dominant(f, rivals) {
			fields = append(fields, f.field)
		}
	}
	return fields
}

// dominant tells whether f stands for its name: it is the only one at the least
// depth, or the only tagged one there.
func dominant(f candidate, rivals []candidate) bool {
	for _, o := range rivals {
		if slices.Equal(o.index, f.index) {
			continue
		}
		depth, other := len(f.index), len(o.index)
		if other < depth || other == depth && (o.tagged || !f.tagged) {
			return false
		}
	}
	return true
}

func collect(t reflect.Type, index []int, inside map[reflect.Type]bool) []candidate {
	if inside[t] {
		return nil
	}
	inside[t] = true
	defer delete(inside, t)
	var all []candidate
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(index), i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		embedded := f.Type
		if f.Anonymous && embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		within := f.Anonymous && embedded.Kind() == reflect.Struct
		if !f.IsExported() && !within {
			continue
		}
		if within && name == "" {
			all = append(all, collect(embedded, at, inside)...)
			continue
		}
		c := candidate{tagged: name != "", field: field{name: name, index: at}}
		if name == "" {
			c.name = f.Name
		}
		c.key = escapeKey(c.name)
		for opt := range strings.SplitSeq(opts, ",") {
			c.omitEmpty = c.omitEmpty || opt == "omitempty"
			c.omitZero = c.omitZero || opt == "omitzero"
		}
		all = append(all, c)
	}
	return all
}

// keyEscaper makes any string a name that every server takes: no dot, no zero
// byte, no dollar; the empty one is a lone percent sign.
var (
	keyEscaper   = strings.NewReplacer("%", "%25", ".", "%2E", "$", "%24", "\x00", "%00")
	keyUnescaper = strings.NewReplacer("%25", "%", "%2E", ".", "%24", "$", "%00", "\x00")
)

func escapeKey(s string) string {
	if s == "" {
		return "%"
	}
	return keyEscaper.Replace(s)
}

func unescapeKey(s string) string {
	if s == "%" {
		return ""
	}
	return keyUnescaper.Replace(s)
}
