package credential

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
)

// The bounds of salts and keys of every method that lets them vary, in bytes.
const (
	maxSalt = 128
	minKey  = 16
	maxKey  = 128
)

// pbkdf2MaxRounds bounds rounds times blocks of the key.
const pbkdf2MaxRounds = 4_000_000

// derived is a PBKDF2 hash (RFC 8018).
type derived struct {
	function  func() hash.Hash
	rounds    int
	salt, key []byte
}

// match tells whether the password gives the key.
func (d derived) match(password string) bool {
	got, err := pbkdf2.Key(d.function, password, d.salt, d.rounds, len(d.key))
	return err == nil && subtle.ConstantTimeCompare(got, d.key) == 1
}

// parseDerived reads the three parts of passlib's forms.
func parseDerived(function func() hash.Hash, rounds, salt, key string) (derived, error) {
	d := derived{function: function}
	var errs [3]error
	d.rounds, errs[0] = number(rounds)
	d.salt, errs[1] = plainBase64(salt)
	d.key, errs[2] = plainBase64(key)
	for _, err := range errs {
		if err != nil {
			return derived{}, err
		}
	}
	return d, d.check()
}

func (d derived) check() error {
	if d.rounds < 1 || len(d.salt) > maxSalt || len(d.key) < minKey || len(d.key) > maxKey {
		return ErrMalformed
	}
	size := d.function().Size()
	if blocks := (len(d.key) + size - 1) / size; d.rounds > pbkdf2MaxRounds/blocks {
		return ErrCost
	}
	return nil
}

// readPasslib reads "$pbkdf2$rounds$salt$key" (SHA-1) and, by its digest,
// "$pbkdf2-sha512$...". SHA-256 is a scheme of ours.
func readPasslib(function func() hash.Hash) func(string) (match, error) {
	return func(stored string) (match, error) {
		parts, ok := fields(stored, 4)
		if !ok {
			return nil, ErrMalformed
		}
		d, err := parseDerived(function, parts[1], parts[2], parts[3])
		return d.match, err
	}
}

// readLDAPDerived reads "{PBKDF2-SHA256}rounds$salt$key", as passlib writes it
// for directories.
func readLDAPDerived(function func() hash.Hash) func(string) (match, error) {
	return func(stored string) (match, error) {
		_, rest, _ := strings.Cut(stored, "}")
		parts := strings.Split(rest, "$")
		if len(parts) != 3 {
			return nil, ErrMalformed
		}
		d, err := parseDerived(function, parts[0], parts[1], parts[2])
		return d.match, err
	}
}

// readDjango reads "pbkdf2_sha256$rounds$salt$key": the salt is text, the key
// padded base64.
func readDjango(function func() hash.Hash) func(string) (match, error) {
	return func(stored string) (match, error) {
		parts := strings.Split(stored, "$")
		if len(parts) != 4 {
			return nil, ErrMalformed
		}
		d := derived{function: function, salt: []byte(parts[2])}
		var err, err2 error
		d.rounds, err = number(parts[1])
		d.key, err2 = base64.StdEncoding.Strict().DecodeString(parts[3])
		if err != nil || err2 != nil {
			return nil, ErrMalformed
		}
		return d.match, d.check()
	}
}

// functions are the hash functions by their usual names, for PBKDF2 and for
// salted digests.
var functions = map[string]func() hash.Hash{
	"sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// number reads a decimal without sign or leading zeros.
func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case errors.Is(err, strconv.ErrRange) && within(s, "0123456789"):
		return 0, ErrCost
	case err != nil || n < 0 || strconv.Itoa(n) != s:
		return 0, ErrMalformed
	}
	return n, nil
}

// plainBase64 reads base64 without padding, with "." for "+" as passlib has it,
// or without.
func plainBase64(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(strings.ReplaceAll(s, ".", "+"))
	if err != nil {
		return nil, ErrMalformed
	}
	return b, nil
}
