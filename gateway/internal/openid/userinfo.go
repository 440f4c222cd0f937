package openid

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const userinfoEndpoint = "/userinfo"

// userinfo is the UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).
func (h *Handler) userinfo(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	unkept(c)
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	b, err := h.bearer(ctx, c, space)
	if err != nil {
		return err
	}
	claims, who, err := h.Signin.UserInfo(ctx, space, b, extends(c))
	if err != nil {
		return err
	}
	if alg := who.UserinfoSignedResponseAlg; alg == "" || alg == "none" { // not signed
		return c.JSON(claims)
	}
	signed, err := h.Signin.SignUserInfo(ctx, space, who, claims)
	if err != nil {
		return err
	}
	c.Set("Content-Type", "application/jwt")
	return c.SendString(signed)
}

// bearer returns the access token of the Authorization header, or of the form
// that a POST carries (RFC 6750, section 2.2), never of the query and never of
// two places (section 2).
func (h *Handler) bearer(ctx context.Context, c *fiber.Ctx, space *live.Space) (*signin.Bearer, error) {
	if err := unqueried(c, "access_token"); err != nil {
		return nil, err
	}
	if web.Read(c).Method != fiber.MethodPost {
		return h.bearerOf(ctx, c, space, userinfoEndpoint)
	}
	f, err := bodyForm(c)
	if err != nil {
		return nil, err
	}
	raw := f.get("access_token")
	switch {
	case raw == "":
		return h.bearerOf(ctx, c, space, userinfoEndpoint)
	case web.Header(c, "Authorization") != "":
		return nil, refuse("invalid_request", "The access token is in two places: send it once.", nil)
	}
	return h.bearerBy(ctx, c, space, userinfoEndpoint, "Bearer "+raw)
}
