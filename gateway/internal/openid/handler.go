package openid

import (
	"context"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
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
	// Clients keeps the clients that register themselves; Registrations limits how
	// many of a network do, nil: any number.
	Clients       *client.Clients
	Registrations *limit.Buckets
	// Position is how far the change log was read here; nil: nobody asks.
	Position func() uint64
	Errors   *web.Errors
	// Go answers with what signin decided: cookies, and a redirect or a form.
	Go func(c *fiber.Ctx, out signin.Outcome) error
	// Browser reads the request's cookies and addresses.
	Browser func(c *fiber.Ctx) signin.Browser
}

// requestLimit bounds the work for one request.
const requestLimit = 15 * time.Second

// Mount adds the endpoints. Errors before a redirect URI was checked are pages.
func (h *Handler) Mount(r fiber.Router) {
	oauth := web.With(func(c *fiber.Ctx, err error) error { return h.Errors.OAuth(c, asOAuth(err)) })
	h.endpoint(r, "/.well-known/oauth-authorization-server/:tid/:wid", oauth, nil, h.metadata, fiber.MethodGet)
	h.endpoint(r, "/:tid/:wid/.well-known/openid-configuration", oauth, nil, h.metadata, fiber.MethodGet)
	h.endpoint(r, "/:tid/:wid/.well-known/jwks.json", oauth, nil, h.jwks("sig"), fiber.MethodGet)
	h.endpoint(r, "/:tid/:wid/assertion/jwks.json", oauth, nil, h.jwks("assertion"), fiber.MethodGet)
	h.mountAuthorize(r, oauth)
	h.endpoint(r, "/:tid/:wid/oauth2/token", oauth, h.cors, h.rated(h.token), fiber.MethodPost)
	h.endpoint(r, "/:tid/:wid/oauth2/introspect", oauth, nil, h.rated(h.introspect), fiber.MethodPost)
	h.endpoint(r, "/:tid/:wid/oauth2/revoke", oauth, h.cors, h.rated(h.revoke), fiber.MethodPost)
	h.endpoint(r, "/:tid/:wid/userinfo", oauth, h.cors, h.rated(h.userinfo), fiber.MethodGet, fiber.MethodPost)
	h.mountDevice(r, oauth)
	h.mountRegister(r, oauth)
}

// endpoint adds what answers the methods of an address, and refuses the others.
// cors, if any, lets pages of clients read the answers.
func (h *Handler) endpoint(r fiber.Router, path string, errs fiber.Handler, cors func(...string) fiber.Handler, run fiber.Handler, methods ...string) {
	before := []fiber.Handler{errs}
	if cors != nil {
		before = append(before, cors(methods...))
	}
	for _, m := range methods {
		r.Add(m, path, slices.Concat(before, []fiber.Handler{run})...)
		if m == fiber.MethodGet {
			r.Add(fiber.MethodHead, path, slices.Concat(before, []fiber.Handler{run})...)
		}
	}
	r.All(path, slices.Concat(before, []fiber.Handler{wrongMethod(methods...)})...)
}

// rated limits how often one network asks for tokens.
func (h *Handler) rated(next fiber.Handler) fiber.Handler { return h.ratedAs(limit.ModuleToken, next) }

// ratedAs limits how often one network asks for what a module of package limit
// serves.
func (h *Handler) ratedAs(module string, next fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if h.Rates != nil {
			tenant, err := web.Param(c, "tid")
			if err != nil {
				return err
			}
			ctx, cancel := web.Context(c, requestLimit)
			defer cancel()
			if err := h.Rates.Take(ctx, tenant, module, limit.Network(web.Read(c).ClientIP)); err != nil {
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
