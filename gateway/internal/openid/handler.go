package openid

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Handler serves the OAuth 2.0 and OpenID Connect endpoints. Its fields are set
// before Mount.
type Handler struct {
	Signin *signin.Service
	Live   *live.Cache
	Rates  *limit.Rates // nil: requests are not limited
	Errors *web.Errors
	// Go answers with what signin decided: cookies, and a redirect or a form.
	Go func(c *fiber.Ctx, out signin.Outcome) error
	// Browser reads the request's cookies and addresses.
	Browser func(c *fiber.Ctx) signin.Browser
}

// requestLimit bounds the work for one request.
const requestLimit = 15 * time.Second

// Mount adds the endpoints. Errors before a redirect URI was checked are pages.
func (h *Handler) Mount(r fiber.Router) {
	page := web.With(h.Errors.Page)
	oauth := web.With(func(c *fiber.Ctx, err error) error { return h.Errors.OAuth(c, asOAuth(err)) })
	r.Get("/.well-known/oauth-authorization-server/:tid/:wid", oauth, h.metadata)
	r.Get("/:tid/:wid/.well-known/openid-configuration", oauth, h.metadata)
	r.Get("/:tid/:wid/.well-known/jwks.json", oauth, h.jwks("sig"))
	r.Get("/:tid/:wid/assertion/jwks.json", oauth, h.jwks("assertion"))
	r.Get("/:tid/:wid/oauth2/authorize", page, h.authorize)
	r.Post("/:tid/:wid/oauth2/authorize", page, h.authorize)
	r.Post("/:tid/:wid/oauth2/token", oauth, h.rated(h.token))
	r.Get("/:tid/:wid/userinfo", oauth, h.userinfo)
	r.Post("/:tid/:wid/userinfo", oauth, h.userinfo)
}

// rated limits how often one network asks for tokens.
func (h *Handler) rated(next fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if h.Rates != nil {
			tenant, err := web.Param(c, "tid")
			if err != nil {
				return err
			}
			ctx, cancel := web.Context(c, requestLimit)
			defer cancel()
			if err := h.Rates.Take(ctx, tenant, limit.ModuleToken, limit.Network(web.Read(c).ClientIP)); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// space returns the workspace of the address, or fault.NotFound.
func (h *Handler) space(ctx context.Context, c *fiber.Ctx) (*live.Space, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return nil, err
	}
	workspace, err := web.Param(c, "wid")
	if err != nil {
		return nil, err
	}
	return h.Live.Space(ctx, tenant, workspace)
}

func bodyForm(c *fiber.Ctx) (form, error) {
	v, err := web.Form(c)
	if err != nil {
		return nil, err
	}
	return once(v)
}

func (h *Handler) jwks(use string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		space, err := h.space(ctx, c)
		if err != nil {
			return err
		}
		doc, err := h.Signin.Tokens.JWKS(ctx, space.Token(), use)
		if err != nil {
			return err
		}
		public(c)
		c.Set("Content-Type", "application/jwk-set+json")
		return c.Send(doc)
	}
}

// public marks an answer that everybody may read and keep for a while.
func public(c *fiber.Ctx) {
	c.Set("Cache-Control", "public, max-age=300")
	c.Set("Access-Control-Allow-Origin", "*")
}
