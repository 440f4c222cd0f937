package web

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// maxTarget is the longest path that a sign-in brings a person back to.
const maxTarget = 4096

// SafePath tells whether s may be redirected to after a sign-in and returns it:
// a path of the same origin, with a query and a fragment. It refuses schemes,
// hosts, what browsers read as one ("//x", "/\x", tabs and newlines they drop)
// and every path that [Canonical] refuses. Open redirects of this kind are the
// recurring hole of proxies (GHSA-j7px-6hwj-hpjg).
func SafePath(s string) (string, bool) {
	if len(s) == 0 || len(s) > maxTarget || s[0] != '/' || strings.HasPrefix(s, "//") {
		return "", false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '\\' {
			return "", false
		}
	}
	target, fragment, _ := strings.Cut(s, "#")
	if strings.Contains(fragment, "#") {
		return "", false
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "" || u.Host != "" {
		return "", false
	}
	if _, err := Canonical([]byte(target)); err != nil {
		return "", false
	}
	return s, true
}

// SeeOther redirects with 303, so that a form is not sent again. to must be a
// path that [SafePath] passed or an address that the caller built from
// configuration: nothing is checked here.
func SeeOther(c *fiber.Ctx, to string) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Redirect(to, fiber.StatusSeeOther)
}
