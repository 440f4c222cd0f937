package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
)

// Page bounds a listing. It is spelled out, not named, so that it can be given
// wherever a store.Page is asked for: the two packages stand in one row and do
// not know each other.
type Page = struct {
	After  string
	Before string
	Desc   bool
	Limit  int
}

// The limits of published API §1.4.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// ParsePage reads after_<noun>_id, before_<noun>_id, limit (20; 1 to 100) and
// order (asc, acs, desc; published API §1.4). A bad value is fault.Invalid and names
// the parameter.
func ParsePage(c *fiber.Ctx, noun string) (Page, error) {
	var p Page
	q, err := Query(c)
	if err != nil {
		return p, err
	}
	after, before := "after_"+noun+"_id", "before_"+noun+"_id"
	p.After, p.Before = q.Get(after), q.Get(before)
	if p.After != "" && p.Before != "" {
		return p, fault.At(fault.Invalid, before, "cannot be combined with "+after)
	}
	if p.Limit, err = limit(q); err != nil {
		return p, err
	}
	switch strings.ToLower(q.Get("order")) {
	case "", "asc", "acs":
	case "desc":
		p.Desc = true
	default:
		return p, fault.At(fault.Invalid, "order", "must be asc or desc")
	}
	return p, nil
}

func limit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fault.At(fault.Invalid, "limit", "must be a whole number from 1 to "+strconv.Itoa(maxLimit))
	}
	return n, nil
}

// ParseSort reads sort: one of allowed, of which the first is the default.
// Anything else is fault.Invalid.
func ParseSort(c *fiber.Ctx, allowed ...string) (string, error) {
	q, err := Query(c)
	if err != nil {
		return "", err
	}
	sort := q.Get("sort")
	switch {
	case sort == "" && len(allowed) > 0:
		return allowed[0], nil
	case slices.Contains(allowed, sort):
		return sort, nil
	}
	return "", fault.At(fault.Invalid, "sort", "must be one of "+strings.Join(allowed, ", "))
}
