package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// CookieNames returns the names of all cookies of a request in the order they
// were sent, repeated ones included.
func CookieNames(c *fiber.Ctx) []string {
	var names []string
	for _, line := range c.Context().Request.Header.PeekAll(fiber.HeaderCookie) {
		for pair := range strings.SplitSeq(string(line), ";") {
			name, _, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
