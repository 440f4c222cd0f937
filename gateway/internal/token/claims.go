package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Claims are the members of a token's payload.
type Claims map[string]any

// String returns a string claim or "".
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// Strings returns a claim that is a string or an array of strings.
func (c Claims) Strings(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		out := make([]string, 0, len(v))
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// Time returns a NumericDate claim (RFC 7519, section 2) or the zero time.
func (c Claims) Time(name string) time.Time {
	if f, ok := c[name].(float64); ok && f > 0 && f < 1e12 {
		return time.Unix(int64(f), 0)
	}
	return time.Time{}
}

// Issued returns when the token was made, to the nanosecond: its jti says so.
func (c Claims) Issued() time.Time {
	raw, err := base64.RawURLEncoding.DecodeString(c.String("jti"))
	if err != nil || len(raw) != 24 {
		return c.Time("iat")
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(raw[:8])))
}

// NewJTI returns a unique token id that carries the time of its making.
func NewJTI(now time.Time) string {
	var raw [24]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixNano()))
	_, _ = rand.Read(raw[8:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
