package idp

import (
	"errors"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Reason says which check ended a sign-in at an OpenID provider: for the log and
// for tests, never for the person.
type Reason string

// The reasons, in the order in which the checks are made.
const (
	ReasonFlow       Reason = "flow"         // what was begun is not this IDP's, or is too old
	ReasonState      Reason = "state"        // RFC 6749, 10.12
	ReasonAnswerISS  Reason = "response_iss" // RFC 9207: another provider answered
	ReasonRefused    Reason = "refused"      // the provider answered with an error
	ReasonCode       Reason = "code"         // no code, or more than one
	ReasonDiscovery  Reason = "discovery"    // the provider's metadata cannot be had or used
	ReasonBusy       Reason = "busy"         // too many sign-ins wait for this provider
	ReasonExchange   Reason = "exchange"     // the token endpoint gave no tokens: code, PKCE, client
	ReasonAway       Reason = "unreachable"  // the token or userinfo endpoint does not answer
	ReasonNoIDToken  Reason = "id_token"     // there is none
	ReasonMalformed  Reason = "malformed"    // the ID token is no JWT with the members it needs
	ReasonAlg        Reason = "alg"          // an algorithm that is not allowed: none, HS256
	ReasonKeys       Reason = "jwks"         // the provider's keys cannot be had
	ReasonKey        Reason = "kid"          // none of the keys has this id
	ReasonSignature  Reason = "signature"    // it is not the provider's
	ReasonIssuer     Reason = "iss"
	ReasonAudience   Reason = "aud"
	ReasonAuthorized Reason = "azp"
	ReasonExpired    Reason = "exp"
	ReasonNotYet     Reason = "nbf"
	ReasonIssued     Reason = "iat"
	ReasonNonce      Reason = "nonce"
	ReasonAtHash     Reason = "at_hash"
	ReasonSubject    Reason = "sub"
	ReasonAuthTime   Reason = "auth_time" // older than was asked for
	ReasonUserinfo   Reason = "userinfo"
)

// RefusedError is why nobody is signed in. It reads as a fault: Unavailable when
// the provider cannot be reached, BadGateway when what it says does not hold,
// Denied when it refused the person, Invalid when what the browser brought is of
// no sign-in here.
type RefusedError struct {
	IDP    string
	Reason Reason
	// Provider is the error that the provider named (RFC 6749, 4.1.2.1 and 5.2),
	// such as access_denied; empty when it named none. It is the provider's word:
	// show it nowhere.
	Provider string
	Cause    error
}

// Error returns the check and its cause, for the log.
func (e *RefusedError) Error() string {
	s := fmt.Sprintf("IDP %s: check %s", e.IDP, e.Reason)
	if e.Provider != "" {
		s += fmt.Sprintf(": the provider says %q", e.Provider)
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Cause }

// ReasonOf returns the check that ended a sign-in, "" for another error.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

// refused returns the error of a check as a fault with the sentence for the
// person.
func refused(p *IDP, why Reason, cause error) error {
	return refusedBy(p, why, "", cause)
}

func refusedBy(p *IDP, why Reason, code string, cause error) error {
	kind, say := sentence(why, code)
	return fault.New(kind, say, &RefusedError{IDP: p.ID, Reason: why, Provider: code, Cause: cause})
}

func sentence(why Reason, code string) (fault.Kind, string) {
	switch why {
	case ReasonFlow, ReasonState, ReasonCode:
		return fault.Invalid, "This sign-in was not begun here, or has been open for too long. Start again."
	case ReasonDiscovery, ReasonBusy, ReasonKeys, ReasonAway:
		return fault.Unavailable, "The sign-in service that you chose cannot be reached at the moment. Try again in a minute, or sign in another way."
	case ReasonRefused:
		switch code {
		case "access_denied":
			return fault.Denied, "The sign-in was cancelled, or the sign-in service did not allow it."
		case "login_required", "interaction_required", "consent_required", "account_selection_required":
			return fault.Denied, "The sign-in service needs you to sign in there again."
		case "temporarily_unavailable", "server_error":
			return fault.Unavailable, "The sign-in service that you chose cannot be used at the moment. Try again in a minute, or sign in another way."
		}
	}
	return fault.BadGateway, "The sign-in service that you chose gave an answer that cannot be trusted, so you are not signed in. Try again, or sign in another way."
}
