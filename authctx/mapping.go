package authctx

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Mode says where a mapping's value comes from.
type Mode string

// The modes. The empty mode reads as Dynamic.
const (
	Dynamic Mode = "dynamic" // copied from the source
	Static  Mode = "static"  // written down in the mapping
)

// Mapping copies one attribute of an IDP's data to a place in the context, or
// writes a fixed value there (admin.yaml, Mapping).
type Mapping struct {
	Source            string          `json:"source"` // path in the data; "." is all of it
	Target            string          `json:"target"` // path in the context; "." pastes an object's members at the top
	Type              Type            `json:"type"`   // of the target
	Mode              Mode            `json:"mode"`
	Static            json.RawMessage `json:"static,omitempty"` // the value of a static mapping
	AllowWeakDecoding bool            `json:"allow_weak_decoding"`
}

// String describes the mapping for people: "phone -> phone_number (string)".
func (m Mapping) String() string {
	source := m.Source
	if m.Mode == Static {
		source = "static value"
	}
	return fmt.Sprintf("%s -> %s (%s)", source, m.Target, m.Type)
}

// MappingError says which mapping could not be carried out and why. It names
// types and paths, never a value.
type MappingError struct {
	Index   int // place in the list, from 0
	Mapping Mapping
	Cause   error
}

// Error names the mapping as people count, from 1.
func (e *MappingError) Error() string {
	return fmt.Sprintf("mapping %d, %s: %s", e.Index+1, e.Mapping, e.Cause)
}

// Unwrap returns the cause.
func (e *MappingError) Unwrap() error { return e.Cause }

// Map carries out the mappings in order, later ones over earlier ones, and
// returns the values they give. A source that is missing or null is skipped.
// The error joins one MappingError for each mapping that failed; the values
// that could be mapped are returned with it, but a sign-in must not go on: the
// one that failed might have been meant to take something away. source is not
// changed, and the result shares nothing with it.
func Map(source map[string]any, mappings []Mapping) (map[string]any, error) {
	from, err := normalObject(source, 0)
	if err != nil {
		return nil, fmt.Errorf("the data to map %w", err)
	}
	into := map[string]any{}
	var errs []error
	for i, m := range mappings {
		if err := m.apply(from, into); err != nil {
			errs = append(errs, &MappingError{Index: i, Mapping: m, Cause: err})
		}
	}
	return into, errors.Join(errs...)
}

func (m Mapping) apply(from, into map[string]any) error {
	if !m.Type.Valid() {
		return fmt.Errorf("%q is not a type", m.Type)
	}
	if err := checkPath(m.Target); err != nil {
		return fmt.Errorf("the target %w", err)
	}
	v, err := m.value(from)
	if err != nil || v == nil {
		return err
	}
	v, err = convert(v, m.Type, m.AllowWeakDecoding)
	if err != nil {
		return fmt.Errorf("the value %w", err)
	}
	if m.Target != whole {
		return put(into, m.Target, clone(v))
	}
	members, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("the value is %s, and only an object can be pasted at the top", kind(v))
	}
	for name := range members {
		into[name] = clone(members[name])
	}
	return nil
}

// value returns what to write, or nil when there is nothing.
func (m Mapping) value(from map[string]any) (any, error) {
	switch m.Mode {
	case Static:
		return m.static()
	case Dynamic, "":
	default:
		return nil, fmt.Errorf("%q is not a mode", m.Mode)
	}
	if m.Source == whole {
		return from, nil
	}
	v, _ := find(from, m.Source)
	return v, nil
}

func (m Mapping) static() (any, error) {
	if len(m.Static) == 0 {
		return nil, errors.New("a static mapping needs a value")
	}
	v, err := decode(m.Static)
	if err == nil {
		v, err = normal(v, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("the static value %w", err)
	}
	return v, nil
}

// CheckMappings returns everything that can be known to be wrong with a list of
// mappings before there is any data. It returns nil when nothing is.
func CheckMappings(ms []Mapping) []Problem {
	if len(ms) > maxMappings {
		return []Problem{{"", fmt.Sprintf("There may be at most %d mappings.", maxMappings)}}
	}
	var ps []Problem
	for i, m := range ms {
		for _, p := range m.problems() {
			ps = append(ps, Problem{fmt.Sprintf("[%d].%s", i, p.Field), p.Say})
		}
	}
	return ps
}

func (m Mapping) problems() []Problem {
	var ps []Problem
	if err := checkPath(m.Target); err != nil {
		ps = append(ps, Problem{"target", fmt.Sprintf("The target %s.", err)})
	}
	if !m.Type.Valid() {
		ps = append(ps, Problem{"type", fmt.Sprintf("%q is not a type: use number, string, bool, object, one of these with _array, or any.", m.Type)})
	} else if m.Target == whole && m.Type != Object && m.Type != Any {
		ps = append(ps, Problem{"type", fmt.Sprintf("Only an object can be pasted at the top, and %s is not one.", article(m.Type))})
	}
	return append(ps, m.sourceProblems()...)
}

func (m Mapping) sourceProblems() []Problem {
	switch m.Mode {
	case Dynamic, "":
		if err := checkPath(m.Source); err != nil {
			return []Problem{{"source", fmt.Sprintf("The source %s.", err)}}
		}
		return nil
	case Static:
		return m.staticProblems()
	}
	return []Problem{{"mode", fmt.Sprintf("%q is not a mode: use dynamic or static.", m.Mode)}}
}

func (m Mapping) staticProblems() []Problem {
	v, err := m.static()
	if err == nil && v == nil {
		err = errors.New("a static mapping needs a value that is not null")
	}
	if err == nil && m.Type.Valid() {
		if _, err = convert(v, m.Type, m.AllowWeakDecoding); err != nil {
			err = fmt.Errorf("the static value %w", err)
		}
	}
	if err != nil {
		return []Problem{{"static", sentence(err)}}
	}
	return nil
}

// sentence makes an error into a sentence.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
