package openid

import (
	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/signin"
)

// revoke is the revocation endpoint (RFC 7009, section 2). Its answer is the same
// whether there was anything to revoke or not. token_type_hint is not needed: a
// token shows what it is.
func (h *Handler) revoke(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	unkept(c)
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	who, f, err := h.asker(ctx, c, space, revocationEndpoint, signin.ScopeRevoke)
	if err != nil {
		return err
	}
	if err := h.Signin.RevokeToken(ctx, space, who, f.get("token")); err != nil {
		return err
	}
	c.Status(fiber.StatusOK)
	return nil
}
