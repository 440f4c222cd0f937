package openid

import (
	"context"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
)

func (h *Handler) token(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
	c.Set("Pragma", "no-cache")
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	f, err := bodyForm(c)
	if err != nil {
		return err
	}
	who, err := h.client(ctx, c, space, f)
	if err != nil {
		return err
	}
	set, err := h.grant(ctx, space, who, f)
	if err != nil {
		return err
	}
	return c.JSON(set)
}

func (h *Handler) grant(ctx context.Context, space *live.Space, who *client.Client, f form) (signin.TokenSet, error) {
	kind := f.get("grant_type")
	supported := []string{"authorization_code", "refresh_token", "client_credentials"}
	switch {
	case kind == "":
		return signin.TokenSet{}, refuse("invalid_request", "grant_type is required.", nil)
	case !slices.Contains(supported, kind):
		return signin.TokenSet{}, refuse("unsupported_grant_type", "grant_type may be "+strings.Join(supported, ", ")+".", nil)
	case !slices.Contains(who.GrantTypes, kind):
		return signin.TokenSet{}, refuse("unauthorized_client", "The client may not use the grant type "+kind+".", nil)
	}
	scopes := strings.Fields(f.get("scope"))
	switch kind {
	case "authorization_code":
		if f.get("code") == "" {
			return signin.TokenSet{}, refuse("invalid_request", "code is required.", nil)
		}
		return h.Signin.Redeem(ctx, space, who, f.get("code"), f.get("redirect_uri"), f.get("code_verifier"))
	case "refresh_token":
		if f.get("refresh_token") == "" {
			return signin.TokenSet{}, refuse("invalid_request", "refresh_token is required.", nil)
		}
		return h.Signin.Refresh(ctx, space, who, f.get("refresh_token"), scopes)
	default:
		return h.Signin.ClientCredentials(ctx, space, who, scopes)
	}
}
