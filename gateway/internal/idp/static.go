package idp

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Verify checks a name and a password against the users of a static IDP from a
// keeper. An unknown name and a wrong password give one and the same answer,
// Unauthenticated, after the same work: every user's name and password are
// compared, by hashes of equal length. The caller counts attempts.
func (k *Keeper) Verify(p IDP, username, password string) (Person, error) {
	if p.Method != Static {
		return Person{}, fmt.Errorf("IDP %s is no sandbox", p.ID)
	}
	if err := k.Reveal(&p); err != nil {
		return Person{}, err
	}
	var users []StaticUser
	if p.Credentials != nil && p.Credentials.Static != nil {
		users = p.Credentials.Static.Users
	}
	name, secret := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	found := -1
	for i := range users {
		n, s := sha256.Sum256([]byte(users[i].Username)), sha256.Sum256([]byte(users[i].Password))
		right := subtle.ConstantTimeCompare(n[:], name[:]) & subtle.ConstantTimeCompare(s[:], secret[:])
		found = subtle.ConstantTimeSelect(right, i, found)
	}
	if found < 0 {
		return Person{}, fault.New(fault.Unauthenticated, "The name or the password is wrong.", nil)
	}
	return users[found].person()
}

// Hints returns the names of a sandbox's users for its login page, when its
// settings say that they are shown.
func (k *Keeper) Hints(p IDP) ([]string, error) {
	if p.Settings.Static == nil || !p.Settings.Static.Hint {
		return nil, nil
	}
	if err := k.Reveal(&p); err != nil {
		return nil, err
	}
	var names []string
	if p.Credentials != nil && p.Credentials.Static != nil {
		for _, u := range p.Credentials.Static.Users {
			names = append(names, u.Username)
		}
	}
	return names, nil
}

// person returns who a sandbox's user is: the additional attributes, over them
// the authentication context, over it the members with a name of their own.
func (u *StaticUser) person() (Person, error) {
	values, err := payload(u.AdditionalAttributes)
	if err != nil {
		return Person{}, fmt.Errorf("additional_attributes of sandbox user: %w", err)
	}
	context, err := payload(u.AuthenticationContext)
	if err != nil {
		return Person{}, fmt.Errorf("authentication_context of sandbox user: %w", err)
	}
	maps.Copy(values, context)
	if u.Email != "" {
		values["email"], values["email_verified"] = u.Email, u.EmailVerified
	}
	if u.PhoneNumber != "" {
		values["phone_number"], values["phone_number_verified"] = u.PhoneNumber, u.PhoneNumberVerified
	}
	if _, ok := values["preferred_username"]; !ok {
		values["preferred_username"] = u.Username
	}
	return Person{Subject: u.Username, Attributes: values, AMR: []string{"pwd"}}, nil
}
