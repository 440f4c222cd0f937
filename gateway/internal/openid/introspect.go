package openid

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const (
	introspectionEndpoint = "/oauth2/introspect"
	revocationEndpoint    = "/oauth2/revoke"
)

// introspect is the introspection endpoint (RFC 7662, section 2): for an access
// token, or for a client that authenticates.
func (h *Handler) introspect(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	unkept(c)
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	who, f, err := h.asker(ctx, c, space, introspectionEndpoint, signin.ScopeIntrospect)
	if err != nil {
		return err
	}
	v, err := h.Signin.Introspect(ctx, space, who, signin.Inspection{
		Token: f.get("token"), Refresh: f.get("token_type_hint") == "refresh_token", Extend: extends(c),
	})
	if err != nil {
		return err
	}
	return c.JSON(v)
}

// asker reads a request about a token: the form, and who sends it. A public client
// proves nothing, so it may end its tokens and not look at any.
func (h *Handler) asker(ctx context.Context, c *fiber.Ctx, space *live.Space, path, scope string) (signin.Asker, form, error) {
	f, err := bodyForm(c)
	if err != nil {
		return signin.Asker{}, nil, err
	}
	if err := unqueried(c, "token", "access_token", "client_secret", "client_assertion"); err != nil {
		return signin.Asker{}, nil, err
	}
	who, err := h.identified(ctx, c, space, f, path, scope)
	if err != nil {
		return signin.Asker{}, nil, err
	}
	if f.get("token") == "" {
		return signin.Asker{}, nil, refuse("invalid_request", "token is required.", nil)
	}
	return who, f, nil
}

func (h *Handler) identified(ctx context.Context, c *fiber.Ctx, space *live.Space, f form, path, scope string) (signin.Asker, error) {
	scheme, _, _ := strings.Cut(web.Header(c, "Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP") {
		if f.get("client_secret") != "" || f.get("client_assertion") != "" {
			return signin.Asker{}, refuse("invalid_request", "The request has an access token and credentials of a client: send one of them.", nil)
		}
		b, err := h.bearerOf(ctx, c, space, path)
		if err != nil {
			return signin.Asker{}, err
		}
		return h.Signin.BearerAsks(ctx, space, b, scope)
	}
	who, err := h.client(ctx, c, space, f)
	if err != nil {
		return signin.Asker{}, err
	}
	if who.Public() && scope != signin.ScopeRevoke {
		return signin.Asker{}, unauthenticated("A public client cannot look at tokens: it has no credentials.")
	}
	asker := signin.ClientAsks(who, scope)
	asker.All = asker.All && !who.Public() // its name is no secret
	return asker, nil
}

// unqueried refuses credentials in the address: addresses are logged and kept
// (RFC 6750, section 5.3; RFC 9700, section 4.3.2).
func unqueried(c *fiber.Ctx, names ...string) error {
	q, err := web.Query(c)
	if err != nil {
		return err
	}
	for _, name := range names {
		if q.Has(name) {
			return refuse("invalid_request", name+" must not be in the address: send it in the body or in the Authorization header.", nil)
		}
	}
	return nil
}

// extends tells whether the request uses the session of the token that it is
// about (published API, section 28).
func extends(c *fiber.Ctx) bool {
	return !strings.EqualFold(strings.TrimSpace(web.Header(c, "SSO-Session-Extend")), "false")
}

// unkept marks an answer that nobody may keep (RFC 6749, section 5.1).
func unkept(c *fiber.Ctx) {
	c.Set("Cache-Control", "no-store")
	c.Set("Pragma", "no-cache")
}
