package authctx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The attributes with rules of their own.
const (
	attrSubject    = "sub"
	attrIDPSubject = "idp_sub"
	attrAuthTime   = "auth_time"
	attrTenant     = "tenant"
	attrPool       = "pool"
	attrAMR        = "amr"
	attrACR        = "acr"
	attrEmail      = "email"
	attrPhone      = "phone_number"
	attrUsername   = "preferred_username"
	attrGroups     = "groups"
	verified       = "_verified" // ending of the attribute that says an address is proven
)

// Why a patch is refused. Callers compare with errors.Is.
var (
	// ErrSealed: the attribute says who the person is, and nobody may change it.
	ErrSealed = errors.New("is sealed")
	// ErrScriptsOnly: amr and acr may be changed by scripts only.
	ErrScriptsOnly = errors.New("may be changed by scripts only")
	// ErrNotAllowed: the assignment's may_set does not name the attribute.
	ErrNotAllowed = errors.New("may be changed only if may_set names it")
	// ErrType: the attribute has a meaning that needs another type.
	ErrType = errors.New("has the wrong type")
)

// AuthorKind says what kind of thing wrote a patch.
type AuthorKind string

// The kinds of authors.
const (
	Script AuthorKind = "script" // JavaScript at an execution point
	App    AuthorKind = "app"    // a custom app, remote or plugin
)

// Author is who wrote a patch.
type Author struct {
	Kind AuthorKind `json:"kind"`
	ID   string     `json:"id"`
}

// String returns the author as logs show it, such as "script roles".
func (a Author) String() string { return string(a.Kind) + " " + a.ID }

// Patch is what one author changed, by top-level name. null means that the
// attribute was removed.
type Patch struct {
	Author Author         `json:"author"`
	Set    map[string]any `json:"set"`
}

// RefusedError says which attribute of a patch was refused and why.
type RefusedError struct {
	Author Author
	Name   string
	Cause  error // one of the errors of this package
}

// Error returns a sentence for the log. It shows no value.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: attribute %q %s", e.Author, e.Name, e.Cause)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Cause }

func sealed() []string {
	return []string{attrSubject, attrIDPSubject, attrAuthTime, attrTenant, attrPool}
}

// Apply returns the context with what author wants to set laid over it, by
// top-level name (published API 19, 20: values are added, the same names
// overwritten; null removes). An attribute with the value it already has is
// ignored, so an author may give the whole context back. These rules hold:
//
//   - sub, idp_sub, auth_time, tenant and pool are sealed;
//   - amr and acr may be changed by scripts only;
//   - email, phone_number, preferred_username, groups and every name that ends
//     in _verified may be changed only if maySet names them;
//   - an address that changes loses its _verified, whatever the patch says; one
//     that was not there before, nor its _verified, gets what the patch says.
//
// Anything else may be set freely. A patch that breaks a rule is refused as a
// whole: the context comes back unchanged, with one RefusedError for each
// attribute, joined. set is not kept.
func (c Context) Apply(author Author, set map[string]any, maySet []string) (Context, error) {
	given, err := normalObject(set, 0)
	if err != nil {
		return c, fmt.Errorf("%s: the patch %w", author, err)
	}
	changed := map[string]any{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if equal(given[name], c.view[name]) { // null equals absent
			continue
		}
		if cause := refuse(author.Kind, name, given[name], maySet); cause != nil {
			errs = append(errs, &RefusedError{Author: author, Name: name, Cause: cause})
			continue
		}
		changed[name] = given[name]
	}
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	if len(changed) == 0 {
		return c, nil
	}
	c.unverify(changed)
	return c.with(Patch{Author: author, Set: changed}), nil
}

// refuse returns why an attribute may not be changed to v, or nil.
func refuse(kind AuthorKind, name string, v any, maySet []string) error {
	switch {
	case name == "":
		return errors.New("has no name")
	case slices.Contains(sealed(), name):
		return ErrSealed
	case (name == attrAMR || name == attrACR) && kind != Script:
		return ErrScriptsOnly
	case guarded(name) && !slices.Contains(maySet, name):
		return ErrNotAllowed
	}
	if t := meaning(name); v != nil || name == attrACR {
		if _, err := convert(v, t, false); err != nil {
			return fmt.Errorf("%w: it %w", ErrType, err)
		}
	}
	return nil
}

// guarded tells whether an attribute may be changed only by a named right.
func guarded(name string) bool {
	switch name {
	case attrEmail, attrPhone, attrUsername, attrGroups:
		return true
	}
	return strings.HasSuffix(name, verified)
}

// meaning returns the type that everybody relies on for an attribute.
func meaning(name string) Type {
	switch name {
	case attrEmail, attrPhone, attrUsername, attrACR:
		return String
	case attrGroups, attrAMR:
		return StringArray
	}
	if strings.HasSuffix(name, verified) {
		return Bool
	}
	return Any
}

// unverify takes the proof from addresses that change. An author who gives the
// whole context back with another address must not pass the old proof on.
func (c Context) unverify(changed map[string]any) {
	for _, name := range slices.Collect(maps.Keys(changed)) {
		proof := name + verified
		_, had := c.view[name]
		_, proven := c.view[proof]
		_, given := changed[proof]
		if proven || had && given || !given && (name == attrEmail || name == attrPhone) {
			changed[proof] = false
		}
	}
}

// with appends a patch whose set nobody else holds.
func (c Context) with(p Patch) Context {
	return Context{
		base:    c.base,
		patches: append(c.patches[:len(c.patches):len(c.patches)], p),
		view:    merge(c.view, p.Set),
	}
}

// merge returns a new object of base with set over it. Values are shared: they
// never change.
func merge(base, set map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(set))
	maps.Copy(out, base)
	for name, v := range set {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = v
	}
	return out
}

// Rebase returns the patches of c over the base of another context of the same
// person: newer data of the IDP with what scripts and apps added. A proof of an
// address that a patch gave is dropped when the address below it has changed.
// A base of somebody else is refused with ErrSealed.
func (c Context) Rebase(base Context) (Context, error) {
	for _, name := range []string{attrSubject, attrIDPSubject, attrTenant, attrPool} {
		if !equal(c.base[name], base.base[name]) {
			return c, fmt.Errorf("the new base is of somebody else: attribute %q %w", name, ErrSealed)
		}
	}
	next, old := base.Base(), c.base
	for _, p := range c.patches {
		set := maps.Clone(p.Set)
		for name := range p.Set {
			address, ok := strings.CutSuffix(name, verified)
			if _, sets := p.Set[address]; ok && !sets && !equal(old[address], next.view[address]) {
				delete(set, name)
			}
		}
		old = merge(old, p.Set)
		if len(set) > 0 {
			next = next.with(Patch{Author: p.Author, Set: set})
		}
	}
	return next, nil
}
