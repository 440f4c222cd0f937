package web

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// locate finds the innermost member that cannot be read into its type and says
// what it must be. encoding/json names no index of an array and nothing at all
// for types that read themselves, so the document is taken apart once more, only
// after a failure.
func locate(body []byte, into any, cause error) error {
	m, inner := descend(member{"", body, reflect.TypeOf(into)}, cause)
	f := &fault.Error{Kind: fault.Invalid, Field: m.at, Public: expected(m.typ, inner), Cause: cause}
	// A type that reads itself may know the member better.
	if own, ok := errors.AsType[*fault.Error](inner); ok && own.Field != "" {
		f.Field = join(m.at, own.Field)
	}
	if f.Field == "" {
		f.Public = "The body " + f.Public
	}
	return f
}

// descend follows the first member that fails, as long as there is one, and
// returns the innermost with its error.
func descend(m member, cause error) (member, error) {
	for m.typ.Kind() == reflect.Pointer && !readsItself(m.typ) {
		m.typ = m.typ.Elem()
	}
	if readsItself(m.typ) {
		return m, cause
	}
	for _, part := range members(m.at, m.raw, m.typ) {
		if err := json.Unmarshal(part.raw, reflect.New(part.typ).Interface()); err != nil {
			return descend(part, err)
		}
	}
	return m, cause
}

// member is a part of a document and the type that it is read into.
type member struct {
	at  string
	raw json.RawMessage
	typ reflect.Type
}

func members(at string, raw json.RawMessage, typ reflect.Type) []member {
	switch typ.Kind() {
	case reflect.Struct:
		return structMembers(at, raw, typ)
	case reflect.Map:
		return mapMembers(at, raw, typ)
	case reflect.Slice, reflect.Array:
		var parts []json.RawMessage
		if json.Unmarshal(raw, &parts) != nil {
			return nil
		}
		out := make([]member, len(parts))
		for i, p := range parts {
			out[i] = member{at + "[" + strconv.Itoa(i) + "]", p, typ.Elem()}
		}
		return out
	default:
		return nil
	}
}

func structMembers(at string, raw json.RawMessage, typ reflect.Type) []member {
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return nil
	}
	var out []member
	for _, field := range reflect.VisibleFields(typ) {
		name, tagged := memberName(field)
		if field.Anonymous && !tagged || name == "" {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(parts)) {
			if strings.EqualFold(key, name) {
				out = append(out, member{join(at, key), parts[key], field.Type})
			}
		}
	}
	return out
}

// memberName returns the JSON name of a field, empty for one that has none.
func memberName(f reflect.StructField) (name string, tagged bool) {
	tag := f.Tag.Get("json")
	if tag == "-" || !f.IsExported() && !f.Anonymous {
		return "", true
	}
	if name, _, _ = strings.Cut(tag, ","); name != "" {
		return name, true
	}
	return f.Name, false
}

func mapMembers(at string, raw json.RawMessage, typ reflect.Type) []member {
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return nil
	}
	var out []member
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		out = append(out, member{join(at, key), parts[key], typ.Elem()})
	}
	return out
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

func readsItself(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// expected says what a value of this type must be in JSON.
func expected(typ reflect.Type, cause error) string {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	var f *fault.Error
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(cause, &f):
		return f.Public
	case typ == reflect.TypeFor[time.Time]():
		return "must be a time such as 2006-01-02T15:04:05Z"
	case readsItself(typ) && errors.As(cause, &mismatch):
		return "must be a string"
	case readsItself(typ):
		return cause.Error()
	}
	switch typ.Kind() {
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return whole(typ, "a whole number")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return whole(typ, "a whole number that is not negative")
	case reflect.Float32, reflect.Float64:
		return "must be a number"
	case reflect.Slice, reflect.Array:
		return list(typ)
	case reflect.Map, reflect.Struct:
		return "must be an object"
	default:
		return "has the wrong type"
	}
}

func list(typ reflect.Type) string {
	if typ.Elem().Kind() == reflect.Uint8 {
		return "must be a base64 string"
	}
	return "must be a list"
}

func whole(typ reflect.Type, what string) string {
	if typ.Bits() == 64 {
		return "must be " + what
	}
	return fmt.Sprintf("must be %s of at most %d bits", what, typ.Bits())
}
