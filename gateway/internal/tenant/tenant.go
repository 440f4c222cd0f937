package tenant

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Tenant is the outermost owner of everything. Its JSON is the published type
// Tenant (published API, section 27).
type Tenant struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	URL      string          `json:"url,omitempty"`  // own address; empty: the base URL and the id
	JWKS     json.RawMessage `json:"jwks,omitempty"` // stored sealed and echoed
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Settings Settings        `json:"settings"`
	Styling  json.RawMessage `json:"styling,omitempty"`

	Epoch string `json:"-"` // random; another one after a deletion and a new creation
	Rev   int64  `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

// Settings is the published type TenantSettings.
type Settings struct {
	DefaultTemplateID  string          `json:"default_template_id,omitempty"`
	DefaultWorkspaceID string          `json:"default_workspace_id,omitempty"`
	Security           json.RawMessage `json:"security,omitempty"`
	Translations       json.RawMessage `json:"translations,omitempty"`
	WellKnown          json.RawMessage `json:"well_known,omitempty"`
	Workforce          json.RawMessage `json:"workforce,omitempty"`
}

// check normalises null members and reports the first member that breaks a rule.
func (t *Tenant) check() error {
	if t.Name == "" {
		return fault.At(fault.Unprocessable, "name", "is required")
	}
	if err := record.Text("name", t.Name, 200); err != nil {
		return err
	}
	if err := record.URL("url", t.URL); err != nil {
		return err
	}
	for _, o := range []struct {
		field string
		raw   *json.RawMessage
	}{
		{"jwks", &t.JWKS},
		{"metadata", &t.Metadata},
		{"styling", &t.Styling},
		{"settings.security", &t.Settings.Security},
		{"settings.translations", &t.Settings.Translations},
		{"settings.well_known", &t.Settings.WellKnown},
		{"settings.workforce", &t.Settings.Workforce},
	} {
		if err := record.Object(o.field, o.raw); err != nil {
			return err
		}
	}
	return nil
}

// query is the filter of a tenant list: {"metadata": {...}} (the published API,
// section 1.4).
type query struct {
	metadata map[string]any
}

func parseQuery(text string) (query, error) {
	if text == "" {
		return query{}, nil
	}
	var q struct {
		Metadata map[string]any `json:"metadata"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(&q); err != nil {
		return query{}, &fault.Error{Kind: fault.Invalid, Field: "query", Public: `must be JSON such as {"metadata":{"key":"value"}}`, Cause: err}
	}
	return query{metadata: q.Metadata}, nil
}

func (q query) keeps(t *Tenant) bool {
	if len(q.metadata) == 0 {
		return true
	}
	if len(t.Metadata) == 0 {
		return false
	}
	var have any
	d := json.NewDecoder(bytes.NewReader(t.Metadata))
	d.UseNumber()
	if d.Decode(&have) != nil {
		return false
	}
	return matches(q.metadata, have)
}

// matches: objects match member by member, scalars by equality, and an array
// contains what is asked for.
func matches(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if got, ok := h[k]; !ok || !matches(v, got) {
				return false
			}
		}
		return true
	case []any:
		for _, v := range w {
			if list, ok := have.([]any); !ok || !contains(list, v) {
				return false
			}
		}
		return true
	default:
		if list, ok := have.([]any); ok {
			return contains(list, want)
		}
		return equal(want, have)
	}
}

func contains(list []any, want any) bool {
	for _, have := range list {
		if matches(want, have) {
			return true
		}
	}
	return false
}

func equal(a, b any) bool {
	x, isNumber := a.(json.Number)
	y, both := b.(json.Number)
	if !isNumber || !both {
		return a == b
	}
	if x == y {
		return true
	}
	f, err := strconv.ParseFloat(x.String(), 64)
	g, err2 := strconv.ParseFloat(y.String(), 64)
	return err == nil && err2 == nil && f == g
}
