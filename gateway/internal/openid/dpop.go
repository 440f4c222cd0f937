package openid

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// bearerOf returns the access token that a request to a resource of a workspace
// carries in its Authorization header (RFC 6750, section 2.1). path is the
// resource's address below the issuer, such as "/userinfo". Errors are answers
// of the OAuth family with their challenge.
func (h *Handler) bearerOf(ctx context.Context, c *fiber.Ctx, space *live.Space, path string) (*signin.Bearer, error) {
	raw := signin.BearerToken(web.Header(c, "Authorization"))
	if raw == "" {
		return nil, &web.OAuthError{
			Code: "invalid_token", Description: "Send the access token in the Authorization header.",
			Hint: "Authorization: Bearer TOKEN", Challenge: `Bearer realm="gatepost"`, // RFC 6750, section 3.1: no error code
		}
	}
	return h.Signin.Bearer(ctx, space, "", raw)
}
