package credential

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	bcryptCost    = 11 // OWASP asks for 10 at least
	bcryptMaxCost = 15 // about two seconds
	bcryptMax     = 72 // bytes that bcrypt looks at
)

// dummyBcrypt was made of random bytes.
const dummyBcrypt = "$2a$11$jpwCEZ1DN8GwxrtThHFjsOu3/mtjxJMUTQnMsAzpWICDP2m..Mxu2"

// longBcrypt marks a password of more than 72 bytes, which bcrypt would cut off:
// it is hashed with SHA-256 first. The form is passlib's bcrypt_sha256,
// version 1: "$bcrypt-sha256$2b,12$salt$digest".
const longBcrypt = "$bcrypt-sha256$"

func isBcrypt(stored string) bool {
	return strings.HasPrefix(stored, longBcrypt) || strings.HasPrefix(stored, "$2")
}

func makeBcrypt(password string) (string, error) {
	short := len(password) <= bcryptMax
	if !short {
		password = digest(password)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	if short {
		return string(hash), nil
	}
	salt := len("$2a$11$") + 22
	return fmt.Sprintf("%s%s,%d$%s$%s", longBcrypt, hash[1:3], bcryptCost, hash[salt-22:salt], hash[salt:]), nil
}

func readBcrypt(stored string) (match, error) {
	hash, long, err := parseBcrypt(stored)
	if err != nil {
		return nil, err
	}
	return func(password string) bool {
		if long {
			password = digest(password)
		}
		// Made by a program that cut it off; so does the comparison.
		password = password[:min(len(password), bcryptMax)]
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}, nil
}

func currentBcrypt(stored string) bool {
	hash, _, err := parseBcrypt(stored)
	if err != nil {
		return false
	}
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost == bcryptCost
}

// parseBcrypt returns the plain bcrypt hash and whether it is of a digest.
func parseBcrypt(stored string) (hash string, long bool, err error) {
	hash = stored
	if rest, ok := strings.CutPrefix(stored, longBcrypt); ok {
		variant, tail, found := strings.Cut(rest, ",")
		parts := strings.Split(tail, "$")
		if !found || len(parts) != 3 || len(parts[0]) > 2 {
			return "", false, ErrMalformed
		}
		hash, long = fmt.Sprintf("$%s$%02s$%s%s", variant, parts[0], parts[1], parts[2]), true
	}
	if len(hash) != 60 || !slices.Contains(bcryptKinds, hash[:4]) || !within(hash[7:], bcryptAlphabet) {
		return "", false, ErrMalformed
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return "", false, ErrMalformed
	case cost > bcryptMaxCost:
		return "", false, ErrCost
	}
	return hash, long, nil
}

// bcryptKinds are the names of sound bcrypt; 2x is that of a broken one.
var bcryptKinds = []string{"$2a$", "$2b$", "$2y$"}

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// within tells whether s has no character but those of alphabet.
func within(s, alphabet string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
}

func digest(password string) string {
	sum := sha256.Sum256([]byte(password))
	return base64.StdEncoding.EncodeToString(sum[:])
}
