package idp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// User is what an identity-pool IDP needs to know of a pool's user.
type User struct {
	Tenant       string
	Pool         string
	PoolEpoch    string // of the pool when the user was made
	ID           string
	Identifiers  []Identifier // oldest first
	Addresses    []Address    // oldest first
	Payload      json.RawMessage
	Groups       []string
	Updated      time.Time
	SignedInWith string // the identifier that was used; empty when nobody signs in now
}

// The types of identifiers and addresses that have a meaning here (published API 2).
const (
	Email  = "email"
	Mobile = "mobile"
	UID    = "uid"
)

// Identifier is what a user may sign in with.
type Identifier struct{ Type, Value string }

// Address can receive a code.
type Address struct {
	Type     string // Email or Mobile
	Value    string
	Verified bool
	Inactive bool // not to be used
}

// The attributes that a payload never sets. A person may be allowed to edit
// their own payload: it must not make them somebody else, prove an address, or
// put them into a group.
func reserved() []string {
	return []string{
		"sub", "idp_sub", "auth_time", "tenant", "pool", "amr", "acr",
		"email", "email_verified", "phone_number", "phone_number_verified",
		"preferred_username", "groups", "updated_at",
	}
}

// Attributes returns what an identity-pool IDP yields for a user, before its
// mappings: the members of the payload, and over them
//
//   - sub: the user's id
//   - email, email_verified, phone_number, phone_number_verified: the first
//     verified address, else the first address, else the first identifier of
//     that kind, unverified
//   - preferred_username: the first uid, else the e-mail address signed in with,
//     else the first one, else the first phone number
//   - name: from given_name and family_name, when the payload has none
//   - groups, updated_at (seconds since 1970)
//
// The error says that the payload is not an object.
func Attributes(u User) (map[string]any, error) {
	values, err := payload(u.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload of user %s: %w", u.ID, err)
	}
	for _, name := range reserved() {
		delete(values, name)
	}
	values["sub"] = u.ID
	if at, ok := u.address(Email); ok {
		values["email"], values["email_verified"] = at.Value, at.Verified
	}
	if at, ok := u.address(Mobile); ok {
		values["phone_number"], values["phone_number_verified"] = at.Value, at.Verified
	}
	if name := u.username(); name != "" {
		values["preferred_username"] = name
	}
	if _, ok := values["name"]; !ok {
		compose(values)
	}
	values["groups"] = append([]string{}, u.Groups...)
	if !u.Updated.IsZero() {
		values["updated_at"] = u.Updated.Unix()
	}
	return values, nil
}

// payload reads an object and keeps the text of numbers.
func payload(raw json.RawMessage) (map[string]any, error) {
	values := map[string]any{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return values, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	if values == nil { // null
		values = map[string]any{}
	}
	return values, nil
}

// address returns the address of a kind that speaks for the user.
func (u *User) address(kind string) (Address, bool) {
	usable := slices.DeleteFunc(slices.Clone(u.Addresses), func(a Address) bool { return a.Type != kind || a.Inactive })
	if i := slices.IndexFunc(usable, func(a Address) bool { return a.Verified }); i >= 0 {
		return usable[i], true
	}
	if len(usable) > 0 {
		return usable[0], true
	}
	value := u.identifier(kind)
	return Address{Type: kind, Value: value}, value != ""
}

// identifier returns the user's first identifier of a kind, or "".
func (u *User) identifier(kind string) string {
	for _, id := range u.Identifiers {
		if id.Type == kind {
			return id.Value
		}
	}
	return ""
}

func (u *User) username() string {
	if uid := u.identifier(UID); uid != "" {
		return uid
	}
	for _, id := range u.Identifiers {
		if id.Type == Email && strings.EqualFold(id.Value, u.SignedInWith) {
			return id.Value
		}
	}
	if email := u.identifier(Email); email != "" {
		return email
	}
	return u.identifier(Mobile)
}

// compose makes a name out of its parts.
func compose(values map[string]any) {
	given, _ := values["given_name"].(string)
	family, _ := values["family_name"].(string)
	if name := strings.TrimSpace(given + " " + family); name != "" {
		values["name"] = name
	}
}
