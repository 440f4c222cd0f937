package openid

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// What pages of other origins may send, and read of an answer.
const (
	corsHeaders = "Authorization, Content-Type, DPoP, If-Match, SSO-Session-Extend, X-Idempotency-Key"
	corsExposed = "ETag, Retry-After, WWW-Authenticate, X-Trace-ID"
	corsAge     = "600" // seconds; a preflight says what may be sent and not who may read
)

// cors lets pages of the workspace's active clients read what they are answered
// with, errors too: those whose origin is that of a registered redirect URI
// ([live.Cache.AllowsOrigin]). No cookies are sent along. Others get the answer without the headers, which their
// browser keeps from them. methods are those of the address.
func (h *Handler) cors(methods ...string) fiber.Handler {
	allowed := strings.Join(methods, ", ")
	return func(c *fiber.Ctx) error {
		c.Vary("Origin")
		origin := web.Header(c, "Origin")
		preflight := web.Read(c).Method == fiber.MethodOptions && web.Header(c, "Access-Control-Request-Method") != ""
		if origin != "" {
			ours, err := h.allowsOrigin(c, origin)
			if err != nil {
				return err
			}
			if ours {
				c.Set("Access-Control-Allow-Origin", origin)
				c.Set("Access-Control-Expose-Headers", corsExposed)
			}
			if ours && preflight {
				c.Set("Access-Control-Allow-Methods", allowed)
				c.Set("Access-Control-Allow-Headers", corsHeaders)
				c.Set("Access-Control-Max-Age", corsAge)
			}
		}
		if preflight {
			c.Status(fiber.StatusNoContent)
			return nil
		}
		return c.Next()
	}
}

func (h *Handler) allowsOrigin(c *fiber.Ctx, origin string) (bool, error) {
	tenant, err := web.Param(c, "tid")
	if err != nil {
		return false, err
	}
	workspace, err := web.Param(c, "wid")
	if err != nil {
		return false, err
	}
	ctx, cancel := web.Context(c, requestLimit)
	defer cancel()
	return h.Live.AllowsOrigin(ctx, tenant, workspace, origin)
}

// SelfService adds what lets pages of clients call what a workspace has for the
// people themselves: the self-service API, their sessions, tokens and apps. It
// comes before the API.
func (h *Handler) SelfService(r fiber.Router) {
	const space = "/:tid/:wid"
	rest := web.With(h.Errors.REST)
	r.Use(space+"/identity", rest, h.cors(fiber.MethodGet, fiber.MethodPost, fiber.MethodPut, fiber.MethodDelete))
	for path, method := range map[string]string{
		"/sso/sessions": fiber.MethodGet, "/sso/sessions/:sessionID": fiber.MethodDelete, "/tokens": fiber.MethodDelete,
		"/clients": fiber.MethodGet, "/clients/:cid": fiber.MethodDelete,
		"/applications": fiber.MethodGet, "/environment": fiber.MethodGet,
	} {
		r.All(space+path, rest, h.cors(method))
	}
}
