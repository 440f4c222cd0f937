package code

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Type is what a code is good for.
type Type string

// The types of the published API, section 1.5.
const (
	Activation     Type = "activation"
	ResetPassword  Type = "reset_password"
	ResetTOTP      Type = "reset_totp"
	EnrollWebAuthn Type = "enroll_webauthn"
	Challenge      Type = "challenge"
	VerifyAddress  Type = "verify_address"
	Authentication Type = "authentication"
)

// Types returns the names of all types. The caller may change the result.
func Types() []string {
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = string(t)
	}
	return all
}

var types = []Type{Activation, ResetPassword, ResetTOTP, EnrollWebAuthn, Challenge, VerifyAddress, Authentication}

// Defaults returns the length and the life of a code whose pool does not set
// them: those that are typed at once are short, those that wait in a mailbox are
// not.
func (t Type) Defaults() (length int, ttl time.Duration) {
	if t == Authentication || t == Challenge {
		return 6, 5 * time.Minute
	}
	return 8, time.Hour
}

// The bounds of a code's length and life.
const (
	MinLength = 4
	MaxLength = 16
	MaxTTL    = 90 * 24 * time.Hour
)

// Subject is whose code it is. An empty User, or one that begins with "?", is
// nobody: put what was typed behind the mark, so that tries at nobody are counted
// name by name like tries at somebody.
type Subject struct{ Tenant, Pool, PoolEpoch, User, UserEpoch string }

// Nobody is the mark in front of what was typed where no user is meant by it.
const Nobody = "?"

func (s *Subject) nobody() bool { return s.User == "" || strings.HasPrefix(s.User, Nobody) }

// who is what tries are counted for; limit.Guard's other callers count alike.
func (s *Subject) who(address string) string {
	if s.User == "" {
		return s.Pool + "/" + Nobody + address
	}
	return s.Pool + "/" + s.User
}

// Spec says what code to make. A zero Length or TTL has the type's default.
type Spec struct {
	Type     Type
	Length   int
	TTL      time.Duration
	Address  string          // canonical, where it is sent to; may be empty but for VerifyAddress
	Metadata json.RawMessage // the caller's of the API, for whoever takes the code
	Data     json.RawMessage // our own, for whoever takes the code
}

// Issued is a code as its receiver gets it. It is nowhere else to be had.
type Issued struct {
	ID       string // of the code's record
	Code     string // decimal digits
	Extended string // Extend of the user and the code
	Expires  time.Time
}

// Code is a live code without its digits.
type Code struct {
	Subject
	ID             string
	Type           Type
	Address        string
	Metadata, Data json.RawMessage
	Made, Expires  time.Time

	row string // its place in the store, for Spend
	rev int64
}

// ErrWrong is the one answer to a code that cannot be taken, whatever is wrong
// with it.
var ErrWrong error = fault.New(fault.Unauthenticated, "The code is not right or no longer valid.", nil)

// Extend returns a code that also names its user: base64url without padding of
// user:code (published API, section 1.5).
func Extend(user, code string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(user + ":" + code))
}

// maxExtended is longer than any extended code.
const maxExtended = 512

// Split reads what Extend made; false for anything else, such as a short code.
// Blanks around it are dropped.
func Split(extended string) (user, code string, ok bool) {
	extended = strings.TrimSpace(extended)
	if len(extended) > maxExtended || strings.ContainsAny(extended, "\r\n") { // which the decoder skips
		return "", "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(extended)
	if err != nil {
		return "", "", false
	}
	user, code, ok = strings.Cut(string(raw), ":")
	if !ok || !isID(user) || !isCode(code) {
		return "", "", false
	}
	return user, code, true
}

// isID tells whether s can be the id of a user.
func isID(s string) bool {
	odd := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
	}
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, odd)
}

func isCode(s string) bool {
	odd := func(r rune) bool { return r < '0' || r > '9' }
	return len(s) >= MinLength && len(s) <= MaxLength && !strings.ContainsFunc(s, odd)
}

// maxTyped is how much of what was typed is looked at.
const maxTyped = 64

// normal drops what people and mail programs put between the digits: blanks and
// dashes. What cannot be a code becomes the empty one, which is never right.
func normal(typed string) string {
	if len(typed) > maxTyped {
		return ""
	}
	s := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, typed)
	if !isCode(s) {
		return ""
	}
	return s
}
