package openid

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// holder returns what the tokens that a client asks for will be bound to: the key
// of its DPoP proof (RFC 9449, section 5) and its TLS certificate (RFC 8705,
// section 3).
func (h *Handler) holder(ctx context.Context, c *fiber.Ctx, space *live.Space, who *client.Client) (signin.Holder, error) {
	by, err := h.Signin.CheckProof(ctx, space, h.proven(c, space, tokenEndpoint))
	if err != nil {
		return signin.Holder{}, err
	}
	by.Certificate = who.Thumbprint // the proof is spent with what the tokens are for
	return by, signin.Holds(who, by)
}

// proven is what a DPoP proof of a request must say. The address is made from the
// issuer: the Host header is the caller's word.
func (h *Handler) proven(c *fiber.Ctx, space *live.Space, path string) signin.Request {
	return signin.Request{
		Proofs: web.Headers(c, "DPoP"), Method: web.Read(c).Method, URL: h.Signin.Tokens.Issuer(space.Tenant, space.ID) + path,
	}
}

// bearerOf returns the access token that a request to a resource of a workspace
// carries in its Authorization header, as signin.Present does. path is the
// resource's address below the issuer, such as "/userinfo".
func (h *Handler) bearerOf(ctx context.Context, c *fiber.Ctx, space *live.Space, path string) (*signin.Bearer, error) {
	return h.bearerBy(ctx, c, space, path, web.Header(c, "Authorization"))
}

// bearerBy is bearerOf for a request that says elsewhere what belongs into its
// Authorization header.
func (h *Handler) bearerBy(ctx context.Context, c *fiber.Ctx, space *live.Space, path, authorization string) (*signin.Bearer, error) {
	return h.Signin.Present(ctx, space, signin.Presentation{
		Authorization: authorization, Request: h.proven(c, space, path), Certificate: certificate(c),
	})
}

// certificate is the x5t#S256 of the TLS certificate that a request came with, or
// empty.
func certificate(c *fiber.Ctx) string {
	if chain := web.Certificates(c); len(chain) > 0 {
		return client.CertificateThumbprint(chain[0])
	}
	return ""
}
