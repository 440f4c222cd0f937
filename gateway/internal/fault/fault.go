package fault

import (
	"errors"
	"time"
)

// Kind says what went wrong in terms the caller can act on.
type Kind uint8

// The kinds. Internal is the zero value, so an error that nobody classified
// never turns into the client's fault.
const (
	Internal        Kind = iota // a defect or an unexpected failure here
	Invalid                     // malformed input: JSON, query, parameter
	Unauthenticated             // no credential, or one that does not hold
	Denied                      // known caller, not allowed
	NotFound                    // no such object for this caller
	Conflict                    // the name, id or state is taken
	Stale                       // the caller's version is not the current one
	TooLarge                    // the body or a value is over its limit
	Unprocessable               // well-formed, but breaks a rule
	TooMany                     // slow down; RetryAfter says how long
	Unavailable                 // a part that is needed is away; try again
	BadGateway                  // an upstream failed
)

// Error is a kind, a public sentence and a private cause. It is immutable
// after its construction and safe for concurrent use.
type Error struct {
	Kind       Kind
	Public     string        // one sentence, shown to the caller
	Field      string        // path of the offending member, such as "identifiers[0].type"; may be empty
	Code       string        // stable machine-readable code; empty means the kind's own
	RetryAfter time.Duration // for TooMany and Unavailable; zero means not said
	Cause      error         // logged, never shown; may be nil
}

// New returns an error of that kind. say is shown to the caller, cause is only
// logged and may be nil.
func New(kind Kind, say string, cause error) *Error {
	return &Error{Kind: kind, Public: say, Cause: cause}
}

// At returns an error of that kind about one member of the input; field is its
// path in the caller's own words.
func At(kind Kind, field, say string) *Error {
	return &Error{Kind: kind, Field: field, Public: say}
}

// Error returns the public sentence and the causes, for logs.
func (e *Error) Error() string {
	s := e.Public
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Read returns the first *Error in err's chain. Any other error reads as
// Internal with a neutral sentence and err as its cause. Read(nil) is nil.
func Read(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Public: "Something went wrong on our side.", Cause: err}
}

// Is tells whether err reads as kind.
func Is(err error, kind Kind) bool {
	return err != nil && Read(err).Kind == kind
}
