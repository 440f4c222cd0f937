package openid

import (
	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func (h *Handler) userinfo(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	raw := signin.BearerToken(web.Header(c, "Authorization"))
	if raw == "" {
		return &web.OAuthError{
			Code: "invalid_token", Description: "Send the access token in the Authorization header.",
			Hint: "Authorization: Bearer TOKEN", Challenge: `Bearer realm="gatepost"`, // RFC 6750, section 3.1: no error code
		}
	}
	b, err := h.Signin.Bearer(ctx, space, "", raw)
	if err != nil {
		return err
	}
	claims, err := h.Signin.UserInfo(ctx, space, b)
	if err != nil {
		return err
	}
	return c.JSON(claims)
}
