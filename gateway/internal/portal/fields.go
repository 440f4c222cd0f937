package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/page"
	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// profilePrefix begins the names of inputs that are members of the payload.
const profilePrefix = "payload."

// property is what a form can ask of a member of a payload.
type property struct {
	Title  string   `json:"title"`
	About  string   `json:"description"`
	Type   string   `json:"type"`
	Enum   []string `json:"enum"`
	Hidden bool     `json:"hidden"`
}

// shape is the part of a payload's schema that a form shows: the members at the
// top that are text, number or yes and no.
type shape struct {
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
}

// shape reads the schema of a pool's payloads.
func (p *Portal) shape(ctx context.Context, owner *pool.Pool) (shape, error) {
	found, err := p.Schemas.Get(ctx, owner.TenantID, owner.PayloadSchemaID)
	if err != nil {
		return shape{}, err
	}
	var s shape
	if err := json.Unmarshal(found.Schema, &s); err != nil {
		return shape{}, fmt.Errorf("schema %s: %w", found.ID, err)
	}
	maps.DeleteFunc(s.Properties, func(_ string, v property) bool {
		return v.Hidden || !slices.Contains([]string{"string", "number", "integer", "boolean"}, v.Type)
	})
	if found.ID == pool.DefaultPayload { // it has a member for every claim; a registration asks for what it must
		maps.DeleteFunc(s.Properties, func(name string, _ property) bool { return !slices.Contains(s.Required, name) })
	}
	if s.composes() {
		delete(s.Properties, "name")
	}
	return s, nil
}

// composes tells whether the full name is made of two others.
func (s *shape) composes() bool {
	_, given := s.Properties["given_name"]
	_, family := s.Properties["family_name"]
	needs := func(name string) bool { return slices.Contains(s.Required, name) }
	return given && family && needs("given_name") && needs("family_name") && needs("name")
}

// autocomplete are the browser's words for well-known members (HTML, autofill).
var autocomplete = map[string]string{
	"name": "name", "given_name": "given-name", "family_name": "family-name", "middle_name": "additional-name",
	"nickname": "nickname", "birthdate": "bday", "website": "url", "organization": "organization", "company": "organization",
}

// profileFields are the inputs for a payload: required ones first, as the schema
// lists them, then the others by name.
func (p *Portal) profileFields(ctx context.Context, owner *pool.Pool, typed map[string]string) ([]page.FormField, error) {
	s, err := p.shape(ctx, owner)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range s.Required {
		if _, ok := s.Properties[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	list := make([]page.FormField, len(names))
	for i, name := range names {
		v := s.Properties[name]
		f := page.FormField{
			Name: profilePrefix + name, Label: v.Title, Hint: v.About, Kind: page.FieldText, Value: typed[name],
			Required: slices.Contains(s.Required, name), Autocomplete: autocomplete[name],
		}
		if f.Label == "" {
			f.Label = strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
		}
		switch {
		case len(v.Enum) > 0:
			f.Kind = page.FieldSelect
			for _, o := range v.Enum {
				f.Options = append(f.Options, page.Choice{ID: o, Name: o})
			}
		case v.Type == "boolean":
			f.Kind = page.FieldCheckbox
		case v.Type == "number" || v.Type == "integer":
			f.Kind = page.FieldNumber
		case name == "birthdate":
			f.Kind = page.FieldDate
		}
		list[i] = f
	}
	return list, nil
}

// profile makes a payload of what was typed. What the schema does not show is
// not taken, so a form cannot write what it was not asked.
func (p *Portal) profile(ctx context.Context, owner *pool.Pool, typed map[string]string) (json.RawMessage, error) {
	s, err := p.shape(ctx, owner)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, v := range s.Properties {
		text := strings.TrimSpace(typed[name])
		switch {
		case v.Type == "boolean":
			out[name] = text == "true" || text == "on"
		case text == "":
			if slices.Contains(s.Required, name) {
				return nil, fault.At(fault.Unprocessable, "payload."+name, "is required")
			}
		case v.Type == "number" || v.Type == "integer":
			if _, err := strconv.ParseFloat(text, 64); err != nil {
				return nil, fault.At(fault.Unprocessable, "payload."+name, "must be a number")
			}
			out[name] = json.Number(text)
		default:
			out[name] = text
		}
	}
	if s.composes() {
		out["name"] = strings.TrimSpace(fmt.Sprint(out["given_name"], " ", out["family_name"]))
	}
	return json.Marshal(out)
}

// flat reads the members of a payload that a form shows.
func flat(payload json.RawMessage) map[string]string {
	var all map[string]any
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	_ = d.Decode(&all) // made by profile
	out := map[string]string{}
	for name, v := range all {
		out[name] = fmt.Sprint(v)
	}
	return out
}
