package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Decode reads the JSON object body into a value. Unknown members are ignored
// (published API, section 1.1); a member of a wrong type gives a fault.Invalid
// that names it. T must not implement json.Unmarshaler by calling Decode.
func Decode[T any](body []byte, into *T) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return fault.New(fault.Invalid, "The body must be a JSON object.", err)
	}
	// encoding/json does not say where a text such as a duration stood, so each
	// member is tried by itself.
	for _, name := range slices.Sorted(maps.Keys(members)) {
		one, _ := json.Marshal(map[string]json.RawMessage{name: members[name]}) // came from valid JSON
		var probe T
		if err := json.Unmarshal(one, &probe); err != nil {
			return misfit(name, err)
		}
	}
	return fault.New(fault.Invalid, "The body does not have the expected shape.", err)
}

func misfit(name string, err error) *fault.Error {
	e := &fault.Error{Kind: fault.Invalid, Field: name, Public: err.Error(), Cause: err}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field != "" {
			e.Field = wrong.Field
		}
		e.Public = fmt.Sprintf("must be %s, not %s", describe(wrong.Type), wrong.Value)
	}
	return e
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

// Has tells whether the JSON object body has a member of that name that is not
// null.
func Has(body []byte, name string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return false
	}
	v, ok := members[name]
	return ok && !bytes.Equal(v, []byte("null"))
}

// Members returns those members of the JSON object body that names lists and
// that are not null, as one object; nil when there are none.
func Members(body []byte, names []string) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fault.New(fault.Invalid, "The body must be a JSON object.", err)
	}
	kept := map[string]json.RawMessage{}
	for _, name := range names {
		if v, ok := all[name]; ok && !bytes.Equal(v, []byte("null")) {
			kept[name] = v
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	out, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("keep members: %w", err)
	}
	return out, nil
}

// Join returns known, which must marshal as an object, followed by the members
// of the object extra. The two must not have members in common.
func Join(known any, extra json.RawMessage) ([]byte, error) {
	out, err := json.Marshal(known)
	if err != nil {
		return nil, fmt.Errorf("join members: %w", err)
	}
	more := bytes.TrimSpace(extra)
	if len(more) <= 2 { // nothing, or {}
		return out, nil
	}
	if len(out) <= 2 {
		return more, nil
	}
	out[len(out)-1] = ','
	return append(out, more[1:]...), nil
}
