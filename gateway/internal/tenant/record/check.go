package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// MaxText is the most characters that a name or a description may have where
// the caller does not say otherwise.
const MaxText = 1000

var idShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// ID checks the shape of an id chosen by a caller. "." and ".." and everything
// else that begins with a dot is refused, because ids stand in paths.
func ID(field, id string) error {
	if !idShape.MatchString(id) || strings.HasPrefix(id, ".") {
		return fault.At(fault.Unprocessable, field,
			"must have 1 to 128 characters out of A-Z a-z 0-9 . _ - and not begin with a dot")
	}
	return nil
}

// Slug turns a name into an id of lower-case letters, digits and dashes, at
// most 64 characters; it is empty when the name has no such letter or digit.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 64 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// OneOf checks an enumeration. Its error names the member and what is allowed.
func OneOf(field, value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fault.At(fault.Unprocessable, field,
		fmt.Sprintf("%q is not one of %s", cut(value), list(allowed)))
}

// Each checks a list of values of an enumeration. A value may not come twice.
func Each(field string, values, allowed []string) error {
	for i, v := range values {
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := OneOf(at, v, allowed); err != nil {
			return err
		}
		if slices.Contains(values[:i], v) {
			return fault.At(fault.Unprocessable, at, fmt.Sprintf("%q is there twice", cut(v)))
		}
	}
	return nil
}

// Text checks that a text has at most limit characters and none that controls
// a terminal or a page, apart from line breaks and tabs.
func Text(field, value string, limit int) error {
	if !utf8.ValidString(value) {
		return fault.At(fault.Unprocessable, field, "must be valid UTF-8")
	}
	if utf8.RuneCountInString(value) > limit {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("must have at most %d characters", limit))
	}
	for _, r := range value {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return fault.At(fault.Unprocessable, field, "must not hold control characters")
		}
	}
	return nil
}

// URL checks an address that a page links to or the gateway calls: absolute,
// http or https, with a host, without user information. Empty is allowed.
func URL(field, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil || len(value) > 2048 {
		return fault.At(fault.Unprocessable, field, "must be an absolute http or https address")
	}
	return nil
}

// Object checks that a free-form member is a JSON object and turns null into
// nothing.
func Object(field string, raw *json.RawMessage) error {
	text := bytes.TrimSpace(*raw)
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		*raw = nil
		return nil
	}
	if text[0] != '{' || !json.Valid(text) {
		return fault.At(fault.Unprocessable, field, "must be an object")
	}
	return nil
}

func list(allowed []string) string {
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = `"` + a + `"`
	}
	return strings.Join(quoted, ", ")
}

func cut(value string) string {
	const most = 64
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "..."
}
