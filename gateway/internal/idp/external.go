package idp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gatepost/gatepost/authctx"
)

const (
	maxSubject = 255 // characters (OpenID Connect Core, 2)
	maxACR     = 255
)

// Person is who an IDP that stands for no pool says has signed in.
type Person struct {
	Subject    string         // as the IDP knows them; one IDP never gives it to two
	Attributes map[string]any // what the IDP's mappings read
	AMR        []string       // as the IDP says (RFC 8176)
	ACR        string         // empty: authctx.DefaultACR
	AuthTime   time.Time      // when they proved it; zero: now
	SessionID  string         // of the provider's session, for its logouts; may be empty
}

// External returns the base of an authentication context for a person of an IDP
// that stands for no pool (published flows 8, steps 1 and 2): attributes, mappings,
// then the sealed attributes, which no mapping can set. A static_amr that is not
// empty replaces amr. now becomes auth_time where the IDP gave none or one to
// come. The error of a mapping names it, for the log, and the person must not be
// signed in.
func External(p IDP, who Person, subjectFormat string, now time.Time) (authctx.Context, error) {
	if p.Method == IdentityPool {
		return authctx.Context{}, fmt.Errorf("IDP %s stands for a pool", p.ID)
	}
	if err := checkSubject(who.Subject); err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s: %w", p.ID, err)
	}
	mapped, err := authctx.Map(who.Attributes, p.Mappings)
	if err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s: %w", p.ID, err)
	}
	id := authctx.Identity{
		Subject: Subject(subjectFormat, p.ID, who.Subject), IDPSubject: who.Subject, Tenant: p.TenantID,
		AuthTime: who.AuthTime, AMR: methods(who.AMR), ACR: class(who.ACR),
	}
	if id.AuthTime.IsZero() || id.AuthTime.After(now) {
		id.AuthTime = now
	}
	if len(p.StaticAMR) > 0 {
		id.AMR = p.StaticAMR
	}
	c, err := authctx.New(mapped, id)
	if err != nil {
		return authctx.Context{}, fmt.Errorf("IDP %s: %w", p.ID, err)
	}
	return c, nil
}

// checkSubject refuses what cannot name a person.
func checkSubject(sub string) error {
	switch {
	case sub == "":
		return errors.New("the subject is missing")
	case !utf8.ValidString(sub) || utf8.RuneCountInString(sub) > maxSubject:
		return fmt.Errorf("the subject has more than %d characters, or is no text", maxSubject)
	}
	for _, r := range sub {
		if r < 0x20 || r == 0x7f {
			return errors.New("the subject holds control characters")
		}
	}
	return nil
}

// methods keeps what can be a name of a method, each once.
func methods(said []string) []string {
	var out []string
	for _, m := range said {
		if amr.MatchString(m) && !slices.Contains(out, m) && len(out) < maxAMR {
			out = append(out, m)
		}
	}
	return out
}

// class drops what cannot be a name of a class.
func class(acr string) string {
	if len(acr) > maxACR || !utf8.ValidString(acr) {
		return ""
	}
	for _, r := range acr {
		if r < 0x20 || r == 0x7f {
			return ""
		}
	}
	return acr
}

// standard puts right what some providers write in standard claims (OpenID
// Connect Core, 5.1) in a way of their own: a proof of an address as a text, a
// time as a text.
func standard(claims map[string]any) {
	for _, name := range []string{"email_verified", "phone_number_verified"} {
		switch claims[name] {
		case "true":
			claims[name] = true
		case "false":
			claims[name] = false
		}
	}
	if text, ok := claims["updated_at"].(string); ok {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			delete(claims, "updated_at")
			return
		}
		claims["updated_at"] = json.Number(fmt.Sprint(at.Unix()))
	}
}
