package pool

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// The types of identifiers and of addresses (the first two).
const (
	Email     = "email"
	Mobile    = "mobile"
	UID       = "uid"
	External  = "external"  // a name that another system gave
	Federated = "federated" // a subject of another identity provider
)

var (
	identifierTypes = []string{Email, Mobile, UID, External, Federated}
	addressTypes    = []string{Email, Mobile}
)

// maxName is the most bytes of an identifier or address: that of a mailbox (RFC
// 5321, 4.5.3.1) with some room.
const maxName = 320

// name is a place in a pool's names: who claims it has that identifier or
// verified address to themselves. E-mail addresses, phone numbers and uids share
// one space (Source is empty); external and federated names stand behind theirs.
type name struct {
	Source string
	Key    string
}

// canonical is the one spelling of what a person may type to be found: Unicode
// form NFKC without blanks around; of what has an at-sign, the part behind the
// last in lower case; of a phone number in international form, E.164. It does
// not look at the type: a uid that looks like an address is the same name as
// that address, so one input never means two people.
func canonical(text string) string {
	text = strings.TrimSpace(norm.NFKC.String(text))
	if number, ok := phone(text); ok {
		return number
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return text[:at] + strings.ToLower(text[at:])
	}
	return text
}

// phone returns the E.164 form of a phone number in international form, with
// the usual signs between its digits, and whether text can be one.
func phone(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, "+")
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -\u2010\u2013.()/", r) {
			return -1
		}
		return r
	}, rest)
	if !ok || !digits(bare) || len(bare) > 20 {
		return "", false
	}
	number, ok := e164("+" + bare)
	if !ok {
		return "", false
	}
	// The rules of some countries take a digit away again and again: then the
	// digits as typed are the one form that stays as it is.
	if again, _ := e164(number); again != number {
		return "+" + bare, true
	}
	return number, true
}

func e164(text string) (string, bool) {
	n, err := phonenumbers.Parse(text, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}

// key turns a canonical spelling into what is compared: in a case-insensitive
// pool Unicode's NFKC_Casefold, else the spelling itself. (Lower case once more:
// Cherokee folds to capitals, and golang.org/x/text swaps its case instead.)
func key(canon string, insensitive bool) string {
	if !insensitive {
		return canon
	}
	return norm.NFKC.String(strings.ToLower(cases.Fold().String(canon)))
}

// lookup is the name that a typed identifier means. What can be none has a name
// that nobody has.
func lookup(text string, insensitive bool) name {
	if len(text) > 2*maxName || !utf8.ValidString(text) {
		return name{}
	}
	return name{Key: key(canonical(text), insensitive)}
}

// spell checks an identifier or address of a type and returns its value and its
// name. field is the path of the member for errors.
func spell(field, kind, text string, metadata json.RawMessage, insensitive bool) (string, name, error) {
	if err := plain(field, text); err != nil {
		return "", name{}, err
	}
	if kind == External || kind == Federated {
		return text, name{Source: source(kind, metadata), Key: text}, nil
	}
	value := canonical(text)
	bad := func(say string) (string, name, error) {
		return "", name{}, fault.At(fault.Unprocessable, field, say)
	}
	_, dialled := phone(value)
	switch {
	case value == "":
		return bad("must not be empty")
	case kind == Email && !mailbox(value):
		return bad("must be an e-mail address")
	case kind == Mobile && !dialled:
		return bad("must be a phone number in international form, such as +48123456789")
	}
	return value, name{Key: key(value, insensitive)}, nil
}

// plain refuses what no identifier can be: empty, long, or with characters that
// cannot be seen.
func plain(field, text string) error {
	if strings.TrimSpace(text) == "" {
		return fault.At(fault.Unprocessable, field, "must not be empty")
	}
	if len(text) > maxName || len(norm.NFKC.String(text)) > maxName {
		return fault.At(fault.Unprocessable, field, "is too long")
	}
	for _, r := range text {
		if r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) {
			return fault.At(fault.Unprocessable, field, "has characters that cannot be shown")
		}
	}
	return nil
}

// source is what an external or federated name stands behind: its type and, when
// its metadata names one, the system or provider that gave it.
func source(kind string, metadata json.RawMessage) string {
	var m struct {
		IDP    string `json:"federated_idp_id"`
		Source string `json:"source"`
	}
	if json.Unmarshal(metadata, &m) != nil {
		return kind + ":"
	}
	if m.IDP != "" {
		return kind + ":" + m.IDP
	}
	return kind + ":" + m.Source
}

// mailbox is generous: one name, one at-sign that counts, one domain, no blanks.
func mailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at <= 64 && at < len(s)-1 && !strings.ContainsFunc(s, unicode.IsSpace) &&
		!strings.ContainsAny(s[at+1:], ",;:<>()[]\\\"") && !strings.Contains(s, "..") &&
		s[at+1] != '.' && !strings.HasSuffix(s, ".")
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// reversed is the key read from its end, for searches by ending.
func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}
