package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// AAD names the one place where a sealed value may be opened. The parts are
// length-prefixed: no two places have the same name.
func AAD(tenant, table, id, field string) string {
	var b strings.Builder
	for _, part := range []string{tenant, table, id, field} {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}

// NewSecret returns 256 random bits as 43 characters of base64url without
// padding: for cookies, states and secrets.
func NewSecret() string { return base64.RawURLEncoding.EncodeToString(random(32)) }

// NewID returns a random id: a UUID of version 4 (RFC 9562, 5.4) as 32
// lower-case hexadecimal digits without dashes.
func NewID() string {
	b := random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return hex.EncodeToString(b)
}

// Hash returns the SHA-256 of a secret in lower-case hexadecimal. It is meant
// for secrets of at least 128 random bits: passwords need a slow hash.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
