package credential

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The longest password. Both bounds hold after normalisation; NIST SP 800-63B
// asks for at least 64 characters.
const (
	MaxLength = 128 // characters
	MaxBytes  = 512
)

// Normalize puts a password into Unicode form NFKC, so that the same password
// typed on another keyboard gives the same hash (NIST SP 800-63B, 5.1.1.2). It
// reports false for what can be no password: empty, over a bound, or not UTF-8.
// Blanks count and stay.
func Normalize(password string) (string, bool) {
	if password == "" || len(password) > MaxBytes || !utf8.ValidString(password) {
		return "", false
	}
	p := norm.NFKC.String(password)
	if len(p) > MaxBytes || utf8.RuneCountInString(p) > MaxLength {
		return "", false
	}
	return p, true
}
