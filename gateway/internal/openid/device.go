package openid

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const deviceEndpoint = "/device/authorization"

// Public clients begin without any credential, and each beginning is a record: a
// network begins so many at once, and one more each second.
const devicesAtOnce = 100

// mountDevice adds the device authorization endpoint (RFC 8628, section 3.1).
func (h *Handler) mountDevice(r fiber.Router, oauth fiber.Handler) {
	begun := limit.NewBuckets(limit.BucketsConfig{Rate: 1, Burst: devicesAtOnce, Now: h.Signin.Now})
	h.endpoint(r, "/:tid/:wid"+deviceEndpoint, oauth, h.cors, h.rated(func(c *fiber.Ctx) error {
		tenant, err := web.Param(c, "tid")
		if err != nil {
			return err
		}
		if err := begun.Take(tenant + "/" + limit.Network(web.Read(c).ClientIP)); err != nil {
			return err
		}
		return h.device(c)
	}), fiber.MethodPost)
}

func (h *Handler) device(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
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
	if _, err := h.granting(ctx, space, who, signin.GrantDevice); err != nil {
		return err
	}
	r := login.Request{Scopes: strings.Fields(f.get("scope"))}
	if err := checkScopes(f, &r, space, who); err != nil {
		return err
	}
	start, err := h.Signin.BeginDevice(ctx, space, who, slices.Clip(r.Scopes), web.Read(c).ClientIP.String())
	if err != nil {
		return err
	}
	return c.JSON(start)
}

// byDevice is the grant of a device code (RFC 8628, section 3.4).
func (h *Handler) byDevice(ctx context.Context, a asking) (signin.TokenSet, error) {
	if a.form.get("device_code") == "" {
		return signin.TokenSet{}, refuse("invalid_request", "device_code is required.", nil)
	}
	set, err := h.Signin.RedeemDevice(ctx, a.space, a.client, a.by, a.form.get("device_code"))
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Code == "access_denied" { // here an answer like the others (RFC 8628, section 3.5)
		err = &web.OAuthError{Code: f.Code, Status: fiber.StatusBadRequest, Description: f.Public, Hint: f.Public}
	}
	return set, err
}
