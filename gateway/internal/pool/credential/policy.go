package credential

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Policy is a pool's password_policy: minimum counts of characters, a class of
// the estimator, and how many former passwords may not come back.
type Policy struct {
	CapitalLetters    uint     `json:"capital_letters"`
	Digits            uint     `json:"digits"`
	LowercaseLetters  uint     `json:"lowercase_letters"`
	MinLength         uint     `json:"min_length"`
	NotUsedSince      uint     `json:"not_used_since"`
	SpecialCharacters uint     `json:"special_characters"`
	Strength          Strength `json:"strength"`
}

// DefaultPolicy is that of a new pool: ten characters that are not among the
// first an attacker tries.
func DefaultPolicy() Policy { return Policy{MinLength: 10, Strength: Weak} }

// maxHistory bounds not_used_since: each former password costs a hash.
const maxHistory = 24

// Problem says what is wrong with a policy: a member and a sentence. Both are
// empty when nothing is.
func (p Policy) Problem() (member, say string) {
	switch {
	case p.MinLength > MaxLength:
		return "min_length", fmt.Sprintf("A password has at most %d characters.", MaxLength)
	case max(p.CapitalLetters, p.Digits, p.LowercaseLetters, p.SpecialCharacters) > MaxLength,
		p.CapitalLetters+p.Digits+p.LowercaseLetters+p.SpecialCharacters > MaxLength:
		return "min_length", fmt.Sprintf("The counts ask for more than the %d characters that a password may have.", MaxLength)
	case p.NotUsedSince > maxHistory:
		return "not_used_since", fmt.Sprintf("At most %d former passwords are remembered.", maxHistory)
	case p.Strength != "" && !p.Strength.Known():
		return "strength", "Use any, weak, fair, strong or very_strong."
	}
	return "", ""
}

// Problems lists, as sentences for the person, how a password breaks the policy;
// none means that it may be used. about are words an attacker would try for this
// person, such as their identifiers and names.
func (e *Estimator) Problems(p Policy, password string, about ...string) []string {
	norm, ok := Normalize(password)
	if !ok {
		if password == "" {
			return []string{"The password is empty."}
		}
		return []string{fmt.Sprintf("The password is longer than %d characters, or not text.", MaxLength)}
	}
	var out []string
	need := func(have, want uint, what string) {
		if have < want {
			out = append(out, fmt.Sprintf("The password needs at least %d %s.", want, what))
		}
	}
	n := count(norm)
	need(uint(utf8.RuneCountInString(norm)), p.MinLength, "characters")
	need(n.upper, p.CapitalLetters, "capital letters")
	need(n.lower, p.LowercaseLetters, "small letters")
	need(n.digit, p.Digits, "digits")
	need(n.other, p.SpecialCharacters, "special characters")
	if len(out) == 0 && e.Class(norm, about...).below(p.Strength) {
		out = append(out, "The password is too easy to guess.")
	}
	return out
}

type counts struct{ upper, lower, digit, other uint }

// count sorts characters into the policy's kinds. Letters without case are of
// none; whatever is neither letter nor digit is special, blanks included.
func count(password string) counts {
	var n counts
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			n.upper++
		case unicode.IsLower(r):
			n.lower++
		case unicode.IsDigit(r):
			n.digit++
		case !unicode.IsLetter(r):
			n.other++
		}
	}
	return n
}
