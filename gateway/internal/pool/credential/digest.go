package credential

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	pbkdf2Rounds = 600_000 // OWASP's recommendation for HMAC-SHA-256
	pbkdf2Key    = 32
	digestSalt   = 16
)

// These two are random bytes.
const (
	dummyPBKDF2 = pbkdf2Prefix + "600000$Hm6HuGT6jIfKMqEfsGuu2A$6isL.SGylkrBK0cXkGQAhiEY95/10RUQ6NzwO1E4M9w"
	dummySHA    = shaPrefix + "96O2gjRHe8ItmTEOqd3Vgw$TC3w4hj5o4gxagu8lo+UisoR6qG6zRQhMfVuUaNmOJqk63HirHAHB5VMLi+3O+xxb9L0+/vA3KLBMO0caIzlVQ"
)

// pbkdf2Prefix begins passlib's form, "$pbkdf2-sha256$rounds$salt$key", whose
// base64 has "." where the standard alphabet has "+", and no padding.
const pbkdf2Prefix = "$pbkdf2-sha256$"

// shaPrefix begins "$sha512$salt$digest" with the standard base64 alphabet, no
// padding, and digest = SHA-512(salt, password).
const shaPrefix = "$sha512$"

func isPBKDF2(stored string) bool { return strings.HasPrefix(stored, pbkdf2Prefix) }

func makePBKDF2(password string) (string, error) {
	salt := random(digestSalt)
	key, err := pbkdf2.Key(sha256.New, password, salt, pbkdf2Rounds, pbkdf2Key)
	if err != nil {
		return "", fmt.Errorf("pbkdf2: %w", err)
	}
	return pbkdf2Prefix + strconv.Itoa(pbkdf2Rounds) + "$" + adapted(salt) + "$" + adapted(key), nil
}

func readPBKDF2(stored string) (match, error) {
	d, err := parsePBKDF2(stored)
	if err != nil {
		return nil, err
	}
	return d.match, nil
}

func currentPBKDF2(stored string) bool {
	d, err := parsePBKDF2(stored)
	return err == nil && d.rounds == pbkdf2Rounds && len(d.salt) >= digestSalt && len(d.key) == pbkdf2Key
}

func parsePBKDF2(stored string) (derived, error) {
	parts, ok := fields(stored, 4)
	if !ok {
		return derived{}, ErrMalformed
	}
	return parseDerived(sha256.New, parts[1], parts[2], parts[3])
}

func isSHA(stored string) bool { return strings.HasPrefix(stored, shaPrefix) }

func makeSHA(password string) (string, error) {
	salt := random(digestSalt)
	sum := sha512.Sum512(append(salt, password...))
	return shaPrefix + base64.RawStdEncoding.EncodeToString(salt[:digestSalt]) + "$" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}

func readSHA(stored string) (match, error) {
	parts, ok := fields(stored, 3)
	if !ok {
		return nil, ErrMalformed
	}
	enc := base64.RawStdEncoding.Strict()
	salt, err := enc.DecodeString(parts[1])
	want, err2 := enc.DecodeString(parts[2])
	if err != nil || err2 != nil || len(salt) > maxSalt || len(want) != sha512.Size {
		return nil, ErrMalformed
	}
	return func(password string) bool {
		sum := sha512.Sum512(slices.Concat(salt, []byte(password)))
		return subtle.ConstantTimeCompare(sum[:], want) == 1
	}, nil
}

func adapted(b []byte) string {
	return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(b), "+", ".")
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
