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
// asks for more work than this program will do for one password (ErrCost).
var ErrMalformed = errors.New("malformed password hash")

// ErrCost is the ErrMalformed of a hash that is in order but too expensive: of
// its memory, rounds or lanes one is over the bounds of this package.
var ErrCost = fmt.Errorf("%w: too expensive", ErrMalformed)

// match tells whether a password, at most MaxBytes long, belongs to a hash that
// has been read. It compares in constant time.
type match func(password string) bool

// reader reads the stored hashes of one form, which owns recognises by how they
// begin. Error: ErrMalformed.
type reader struct {
	owns func(stored string) bool
	read func(stored string) (match, error)
}

// scheme is a form that this program also writes.
type scheme struct {
	reader
	method  Method
	make    func(password string) (string, error)
	current func(stored string) bool // false: made with other parameters than make uses
	dummy   string                   // a hash that make could have written and nobody knows the password of
}

// schemes lists every method.
func schemes() []scheme {
	return []scheme{
		{reader{isArgon2, readArgon2}, Argon2, makeArgon2, currentArgon2, dummyArgon2},
		{reader{isBcrypt, readBcrypt}, Bcrypt, makeBcrypt, currentBcrypt, dummyBcrypt},
		{reader{isPBKDF2, readPBKDF2}, PBKDF2, makePBKDF2, currentPBKDF2, dummyPBKDF2},
		{reader{isSHA, readSHA}, SHA, makeSHA, isSHA, dummySHA},
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

// Current tells whether stored is what Make would write today for m. Of a hash
// that is not, the password should be hashed again when it is next seen.
func Current(m Method, stored string) bool {
	s, ok := find(m)
	return ok && s.owns(stored) && s.current(stored)
}

// Usable tells whether Check can compare passwords with stored, without doing
// the work: an import asks before it stores. Errors: ErrMalformed, ErrCost.
func Usable(stored string) error {
	_, err := read(stored)
	return err
}

// encode hashes a normalised password.
func encode(m Method, password string) (string, error) {
	s, ok := find(m)
	if !ok {
		return "", fmt.Errorf("unknown hashing method %q", m)
	}
	return s.make(password)
}

// read finds out the form of a stored hash and reads it.
func read(stored string) (match, error) {
	// Base64 decoders skip line ends.
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(stored) > maxStored || strings.ContainsFunc(stored, odd) {
		return nil, ErrMalformed
	}
	for _, s := range schemes() {
		if s.owns(stored) {
			return s.read(stored)
		}
	}
	return readForeign(stored)
}

// maxStored is the longest stored hash: every form with its longest salt fits.
const maxStored = 1 << 10

// fields splits "$a$b$c" into its parts and reports whether there are n.
func fields(stored string, n int) ([]string, bool) {
	parts := strings.Split(strings.TrimPrefix(stored, "$"), "$")
	return parts, strings.HasPrefix(stored, "$") && len(parts) == n
}
