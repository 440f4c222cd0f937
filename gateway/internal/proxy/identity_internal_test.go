package proxy

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
)

var escape = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// unescape reads a value as the package promises that it can be read.
func unescape(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		b, _ := hex.DecodeString(e[1:])
		return string(b)
	})
}

// Whatever a value is, it comes back as it was, so no two look the same.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a", " %20", "%2%0041", "%%41", "a,b%2", "\r\n%", "%\x004", " ", "%4 1 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, also := range []string{"", ","} {
			got := string(appendEscaped(nil, value, also))
			if unescape(got) != value || strings.ContainsAny(got, "\r\n\x00\x7f\t") || strings.Trim(got, " ") != got || also != "" && strings.Contains(got, also) {
				t.Errorf("%q became %q", value, got)
			}
		}
	})
}
