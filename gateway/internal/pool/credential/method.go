package credential

import (
	"errors"
	"fmt"
	"strings"
)

// Method is the value of a pool's password_settings.hashing_method.
type Method string

// The methods that new hashes can be made with.
const (
	Argon2 Method = "argon2" // argon2id (RFC 9106), the default
	Bcrypt Method = "bcrypt"
	PBKDF2 Method = "pbkdf2" // PBKDF2-HMAC-SHA-256 (RFC 8018)
	// SHA is one round of salted SHA-512. It is cheap to guess against and only
	// here for pools whose hashes must be read by another system.
	SHA Method = "sha"
)

// Known tells whether m is one of the methods.
func (m Method) Known() bool {
	_, ok := find(m)
	return ok
}

// ErrMalformed means that a stored hash is of no known method, is damaged, or
// asks for more work than this program will do for one password.
var ErrMalformed = errors.New("malformed or too expensive password hash")

// scheme is how one method writes and reads its hashes. password has been
// normalised and is at most MaxBytes long.
type scheme struct {
	method  Method
	owns    func(stored string) bool
	make    func(password string) (string, error)
	verify  func(stored, password string) (bool, error) // ErrMalformed, or whether it matches
	current func(stored string) bool                    // false: made with other parameters than make uses
	dummy   string                                      // a hash that make could have written and nobody knows the password of
}

// schemes lists every method.
func schemes() []scheme {
	return []scheme{
		{Argon2, isArgon2, makeArgon2, verifyArgon2, currentArgon2, dummyArgon2},
		{Bcrypt, isBcrypt, makeBcrypt, verifyBcrypt, currentBcrypt, dummyBcrypt},
		{PBKDF2, isPBKDF2, makePBKDF2, verifyPBKDF2, currentPBKDF2, dummyPBKDF2},
		{SHA, isSHA, makeSHA, verifySHA, isSHA, dummySHA},
	}
}

func find(m Method) (scheme, bool) {
	for _, s := range schemes() {
		if s.method == m {
			return s, true
		}
	}
	return scheme{}, false
}

func owner(stored string) (scheme, bool) {
	for _, s := range schemes() {
		if s.owns(stored) {
			return s, true
		}
	}
	return scheme{}, false
}

// Current tells whether stored is what Make would write today for m. Of a hash
// that is not, the password should be hashed again when it is next seen.
func Current(m Method, stored string) bool {
	s, ok := find(m)
	return ok && s.owns(stored) && s.current(stored)
}

// make hashes a normalised password.
func encode(m Method, password string) (string, error) {
	s, ok := find(m)
	if !ok {
		return "", fmt.Errorf("unknown hashing method %q", m)
	}
	return s.make(password)
}

// compare tells whether a normalised password matches.
func compare(stored, password string) (bool, error) {
	s, ok := owner(stored)
	if !ok {
		return false, ErrMalformed
	}
	return s.verify(stored, password)
}

// fields splits "$a$b$c" into its parts and reports whether there are n.
func fields(stored string, n int) ([]string, bool) {
	parts := strings.Split(strings.TrimPrefix(stored, "$"), "$")
	return parts, strings.HasPrefix(stored, "$") && len(parts) == n
}
