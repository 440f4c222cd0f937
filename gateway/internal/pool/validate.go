package pool

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// place is where a compiled schema stands. Nothing is ever loaded from it.
const place = "schema:///"

// validators keeps compiled schemas by their content, so that a changed schema
// is never served from the past. Safe for concurrent use.
type validators struct {
	mu   sync.Mutex
	most int
	kept map[[sha256.Size]byte]*jsonschema.Schema
}

func newValidators() *validators {
	return &validators{most: 512, kept: map[[sha256.Size]byte]*jsonschema.Schema{}}
}

// compile returns the validator of a schema. Its error is a fault that names the
// member; field is the path of the schema itself.
func (v *validators) compile(field string, raw json.RawMessage) (*jsonschema.Schema, error) {
	sum := sha256.Sum256(raw)
	v.mu.Lock()
	s := v.kept[sum]
	v.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := compile(field, raw)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.kept) >= v.most {
		clear(v.kept) // compiling again is cheap, and so many are rare
	}
	v.kept[sum] = s
	return s, nil
}

func compile(field string, raw json.RawMessage) (*jsonschema.Schema, error) {
	m, err := parse(field, raw, maxSchema)
	if err != nil {
		return nil, err
	}
	doc, err := (&reducer{left: maxSchemas}).reduce(field, 0, m)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2019)
	c.UseLoader(closed{})
	if err := c.AddResource(place, doc); err != nil {
		return nil, fault.New(fault.Unprocessable, "The schema cannot be used.", err)
	}
	s, err := c.Compile(place)
	if err != nil {
		return nil, misshapen(field, doc, err)
	}
	return s, nil
}

// closed loads nothing: a schema cannot make the gateway read files or call out.
type closed struct{}

func (closed) Load(url string) (any, error) { return nil, fmt.Errorf("%s: schemas stand alone", url) }

// misshapen names the place in a schema that is wrong.
func misshapen(field string, doc any, err error) error {
	if bad, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if inner, ok := errors.AsType[*jsonschema.ValidationError](bad.Err); ok {
			return explain(field, doc, inner)
		}
	}
	if bad, ok := errors.AsType[*jsonschema.InvalidRegexError](err); ok {
		at := field + strings.ReplaceAll(bad.URL[strings.IndexByte(bad.URL, '#')+1:], "/", ".")
		return &fault.Error{Kind: fault.Unprocessable, Field: at, Public: "is not a regular expression that can be used (RE2 syntax)", Cause: err}
	}
	return &fault.Error{Kind: fault.Unprocessable, Field: field, Public: "is not a schema that can be used", Cause: err}
}

// check applies a compiled schema to an object. Its error is a fault that names
// the member; field is the path of the object itself.
func check(s *jsonschema.Schema, field string, raw json.RawMessage) error {
	m, err := parse(field, raw, maxObject)
	if err != nil {
		return err
	}
	err = s.Validate(m)
	if bad, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return explain(field, m, bad)
	}
	if err != nil {
		return fmt.Errorf("validate %s: %w", field, err)
	}
	return nil
}

// explain turns the first innermost cause into a fault; doc is what was validated.
func explain(field string, doc any, e *jsonschema.ValidationError) error {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	at := field
	for _, part := range e.InstanceLocation {
		at, doc = step(at, doc, part)
	}
	out := &fault.Error{Kind: fault.Unprocessable, Field: at, Cause: e}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		out.Field, out.Public = at+"."+k.Missing[0], "is required"
	case *kind.AdditionalProperties:
		out.Field, out.Public = at+"."+k.Properties[0], "is not allowed"
	case *kind.Pattern:
		out.Public = "does not have the required form"
	case *kind.FalseSchema:
		out.Public = "is not allowed"
	default:
		out.Public = e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	}
	return out
}

// step goes one part down a value and adds it to the path.
func step(path string, doc any, part string) (string, any) {
	if list, ok := doc.([]any); ok {
		i, err := strconv.Atoi(part)
		if err != nil || i < 0 || i >= len(list) {
			return path, nil
		}
		return path + "[" + part + "]", list[i]
	}
	m, _ := doc.(map[string]any)
	return path + "." + part, m[part]
}
