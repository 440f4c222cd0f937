package authctx

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// DefaultACR is the authentication context class of a sign-in that says nothing
// else (published API 16.4).
const DefaultACR = "1"

// Identity is who signed in and how: what no mapping, script or app may forge.
type Identity struct {
	Subject    string    // "sub" as tokens carry it
	IDPSubject string    // "idp_sub" as the IDP knows the person
	Tenant     string    // "tenant"
	Pool       string    // "pool"; empty when the person is in none
	AuthTime   time.Time // "auth_time", kept in whole seconds (OpenID Connect Core, 2)
	AMR        []string  // "amr" (RFC 8176)
	ACR        string    // "acr"; empty means DefaultACR
}

// Context is what is known of a person who signs in: a base, and the patches
// that scripts and apps laid over it. It is immutable and safe for concurrent
// use. The zero Context is empty.
type Context struct {
	base    map[string]any
	patches []Patch
	view    map[string]any // base with the patches; never stored
}

// New returns a context without patches. The sealed attributes, amr and acr
// come from id alone: values of their names in values are dropped.
func New(values map[string]any, id Identity) (Context, error) {
	base, err := normalObject(values, 0)
	if err != nil {
		return Context{}, fmt.Errorf("the authentication context %w", err)
	}
	dropNulls(base)
	for _, name := range sealed() {
		delete(base, name)
	}
	setText(base, attrSubject, id.Subject)
	setText(base, attrIDPSubject, id.IDPSubject)
	setText(base, attrTenant, id.Tenant)
	setText(base, attrPool, id.Pool)
	delete(base, attrAMR)
	if len(id.AMR) > 0 {
		base[attrAMR] = texts(id.AMR)
	}
	base[attrACR] = DefaultACR
	setText(base, attrACR, id.ACR)
	if !id.AuthTime.IsZero() {
		base[attrAuthTime] = json.Number(strconv.FormatInt(id.AuthTime.Unix(), 10))
	}
	return Context{base: base, view: base}, nil
}

func setText(m map[string]any, name, s string) {
	if s != "" {
		m[name] = s
	}
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// dropNulls removes top-level attributes that are null: they are absent.
func dropNulls(m map[string]any) {
	for name := range m {
		if m[name] == nil {
			delete(m, name)
		}
	}
}

// Lookup returns the value at a path of the view. The value is the caller's
// own copy.
func (c Context) Lookup(path string) (any, bool) {
	v, ok := find(c.view, path)
	if !ok {
		return nil, false
	}
	return clone(v), true
}

// String returns the string at a path, or "" when there is none.
func (c Context) String(path string) string {
	v, _ := find(c.view, path)
	s, _ := v.(string)
	return s
}

// Bool returns whether the value at a path is true.
func (c Context) Bool(path string) bool {
	v, _ := find(c.view, path)
	b, _ := v.(bool)
	return b
}

// Strings returns the strings of the array at a path and leaves out elements
// that are none. It is nil when there is no array.
func (c Context) Strings(path string) []string {
	v, _ := find(c.view, path)
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Subject returns sub, as tokens carry it.
func (c Context) Subject() string { return c.String(attrSubject) }

// IDPSubject returns idp_sub: the person as the IDP knows them; the user's id for
// an identity pool.
func (c Context) IDPSubject() string { return c.String(attrIDPSubject) }

// Pool returns the identity pool the person is in, or "".
func (c Context) Pool() string { return c.String(attrPool) }

// ACR returns the authentication context class.
func (c Context) ACR() string { return c.String(attrACR) }

// AMR returns the authentication methods (RFC 8176).
func (c Context) AMR() []string { return c.Strings(attrAMR) }

// AuthTime returns when the person proved who they are, in whole seconds; zero
// when that is not known.
func (c Context) AuthTime() time.Time {
	n, _ := c.view[attrAuthTime].(json.Number)
	s, err := n.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// View returns the base with all patches laid over it, as the caller's own
// copy. It is what scripts, apps and claims read.
func (c Context) View() map[string]any { return cloneObject(c.view) }

// Patches returns the patches in the order they were applied, as the caller's
// own copy.
func (c Context) Patches() []Patch {
	out := make([]Patch, len(c.patches))
	for i, p := range c.patches {
		out[i] = Patch{Author: p.Author, Set: cloneObject(p.Set)}
	}
	return out
}

// Base returns the context without its patches.
func (c Context) Base() Context { return Context{base: c.base, view: c.base} }

// Equal tells whether both contexts have the same base and the same patches.
func (c Context) Equal(other Context) bool {
	if len(c.patches) != len(other.patches) || !equalObjects(c.base, other.base) {
		return false
	}
	for i, p := range c.patches {
		if p.Author != other.patches[i].Author || !equalObjects(p.Set, other.patches[i].Set) {
			return false
		}
	}
	return true
}

// stored is how a context is written. The view is left out: it follows.
type stored struct {
	Base    map[string]any `json:"base"`
	Patches []Patch        `json:"patches,omitempty"`
}

// MarshalJSON writes base and patches. The same context gives the same bytes:
// names are sorted and numbers keep their text.
func (c Context) MarshalJSON() ([]byte, error) {
	base := c.base
	if base == nil {
		base = map[string]any{}
	}
	return json.Marshal(stored{Base: base, Patches: c.patches})
}

// UnmarshalJSON reads what MarshalJSON wrote. It trusts it: only the gateway's
// own store may be read this way.
func (c *Context) UnmarshalJSON(b []byte) error {
	v, err := decode(b)
	if err != nil {
		return fmt.Errorf("authentication context: %w", err)
	}
	if v == nil {
		*c = Context{}
		return nil
	}
	var s struct {
		Base    json.RawMessage
		Patches []struct {
			Author Author
			Set    json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("authentication context: %w", err)
	}
	base, err := object(s.Base)
	if err != nil {
		return fmt.Errorf("authentication context: base %w", err)
	}
	next := Context{base: base, view: base}
	for i, p := range s.Patches {
		set, err := object(p.Set)
		if err != nil {
			return fmt.Errorf("authentication context: patch %d %w", i, err)
		}
		next = next.with(Patch{Author: p.Author, Set: set})
	}
	*c = next
	return nil
}

func object(b json.RawMessage) (map[string]any, error) {
	if len(b) == 0 {
		return map[string]any{}, nil
	}
	v, err := decode(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, notA(v, Object)
	}
	return normalObject(m, 0)
}
