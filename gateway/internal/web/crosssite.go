package web

import "github.com/gofiber/fiber/v2"

// CrossSitePost tells whether a page of another site made the browser post. Such
// a request carries no SameSite=Lax cookies, so it looks as if nobody were
// signed in.
func CrossSitePost(c *fiber.Ctx) bool {
	return Read(c).Method == fiber.MethodPost && Header(c, "Sec-Fetch-Site") == "cross-site"
}

// maxAgain bounds a posted form that becomes an address.
const maxAgain = 8 << 10

// Again redirects a posted form to the same path as a GET with the same
// parameters, which carries the browser's cookies. It is for endpoints that take
// both methods. Errors are those of [Form], and fault.TooLarge.
func Again(c *fiber.Ctx) error {
	values, err := Form(c)
	if err != nil {
		return err
	}
	query := values.Encode()
	if len(query) > maxAgain {
		return tooLarge()
	}
	return SeeOther(c, Read(c).Path+"?"+query)
}
