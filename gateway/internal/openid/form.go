package openid

import (
	"net/url"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// form is a set of OAuth parameters in which each occurs once (RFC 6749,
// section 3.1); a parameter without a value counts as absent.
type form url.Values

// parseForm reads a query or an urlencoded body.
func parseForm(raw string) (form, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse("invalid_request", "The parameters are not valid application/x-www-form-urlencoded.", err)
	}
	return once(v)
}

// once refuses parameters that occur more than once.
func once(v url.Values) (form, error) {
	for name, values := range v {
		if len(values) > 1 {
			e := fault.At(fault.Invalid, name, "occurs more than once")
			e.Code = "invalid_request"
			return nil, e
		}
	}
	return form(v), nil
}

func (f form) get(name string) string { return url.Values(f).Get(name) }

func refuse(code, say string, cause error) *fault.Error {
	e := fault.New(fault.Invalid, say, cause)
	e.Code = code
	return e
}
