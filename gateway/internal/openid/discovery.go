package openid

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// metadata is the discovery document (OpenID Connect Discovery 1.0, section 3;
// RFC 8414, section 2). It says what works and nothing else.
func (h *Handler) metadata(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	doc := document(space, h.Signin.Tokens.Issuer(space.Tenant, space.ID))
	if err := h.describeTokens(ctx, space, doc); err != nil {
		return err
	}
	if err := h.describeRequests(ctx, space, doc); err != nil {
		return err
	}
	if err := h.describeClients(ctx, space, doc); err != nil {
		return err
	}
	if methods, ok := doc["introspection_endpoint_auth_methods_supported"].([]string); ok { // public clients may not look
		doc["introspection_endpoint_auth_methods_supported"] = slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == client.AuthNone })
	}
	public(c)
	return c.JSON(doc)
}

// describeTokens says which grants there are and how tokens are bound, as the
// workspace and the flags of its tenant have it.
func (h *Handler) describeTokens(ctx context.Context, space *live.Space, doc map[string]any) error {
	kinds, err := h.grantTypes(ctx, space)
	if err != nil {
		return err
	}
	doc["grant_types_supported"] = kinds
	if slices.Contains(kinds, signin.GrantDevice) {
		doc["device_authorization_endpoint"] = h.Signin.Tokens.Issuer(space.Tenant, space.ID) + deviceEndpoint
	}
	on, err := h.Signin.DPoP(ctx, space)
	if on { // RFC 9449, section 5.1
		doc["dpop_signing_alg_values_supported"] = client.ProofAlgs()
	}
	return err
}

func document(space *live.Space, issuer string) map[string]any {
	return map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/oauth2/authorize",
		"token_endpoint":                                 issuer + "/oauth2/token",
		"userinfo_endpoint":                              issuer + "/userinfo",
		"introspection_endpoint":                         issuer + introspectionEndpoint,
		"revocation_endpoint":                            issuer + revocationEndpoint,
		"jwks_uri":                                       issuer + "/.well-known/jwks.json",
		"end_session_endpoint":                           issuer + "/oidc/logout",
		"scopes_supported":                               slices.Sorted(maps.Keys(space.Scopes)),
		"claims_supported":                               claimNames(space),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       responseModes(space),
		"subject_types_supported":                        client.SubjectTypes(&space.Workspace),
		"id_token_signing_alg_values_supported":          token.Algorithms(),
		"userinfo_signing_alg_values_supported":          []string{"ES256", "RS256", "none"}, // what clients may register
		"code_challenge_methods_supported":               []string{"S256"},
		"prompt_values_supported":                        []string{"none", "login", "consent", "select_account"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"claims_parameter_supported":                     true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	}
}

func claimNames(space *live.Space) []string {
	names := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "idp", "idp_method", "tid", "aid"}
	for _, c := range space.Claims {
		if c.Type == "id_token" {
			head, _, _ := strings.Cut(c.Name, ".") // a dotted name nests
			names = append(names, head)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// jwks are the public keys of one use, the next ones among them.
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
