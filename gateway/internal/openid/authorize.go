package openid

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func (h *Handler) authorize(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	if web.CrossSitePost(c) { // without the browser's Lax cookies; as a GET it has them
		return web.Again(c)
	}
	f, err := authorizeForm(c)
	if err != nil {
		return err
	}
	id := f.get("client_id")
	if id == "" {
		return fault.At(fault.Invalid, "client_id", "is required")
	}
	who, err := h.Signin.Client(ctx, space, id)
	if fault.Is(err, fault.NotFound) || (err == nil && !who.Active()) {
		return fault.At(fault.Invalid, "client_id", "is not an active client of this workspace")
	}
	if err != nil {
		return err
	}
	uri, err := target(f, who, func(uri string) bool { return h.Signin.AllowsRedirect(space, who, uri) })
	if err != nil {
		return err
	}
	r, err := parse(f, space, who, uri)
	if oauth := (*fault.Error)(nil); errors.As(err, &oauth) {
		return h.Go(c, h.Signin.Deny(ctx, space, r, oauth.Code, ascii(oauth.Public)))
	}
	if err != nil {
		return err
	}
	out, err := h.Signin.Authorize(ctx, space, r, h.Browser(c))
	if err != nil {
		return err
	}
	return h.Go(c, out)
}

// authorizeForm reads an authorization request from the query of a GET or the
// body of a POST (OpenID Connect Core 1.0, section 3.1.2.1).
func authorizeForm(c *fiber.Ctx) (form, error) {
	if web.Read(c).Method == fiber.MethodGet {
		return parseForm(web.Read(c).RawQuery)
	}
	return bodyForm(c)
}
