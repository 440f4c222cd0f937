package openid

import (
	"maps"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/live"
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
	alg, err := h.Signin.Tokens.Algorithm(ctx, space.Token())
	if err != nil {
		return err
	}
	doc := document(space, h.Signin.Tokens.Issuer(space.Tenant, space.ID), alg)
	if err := h.describeRequests(ctx, space, doc); err != nil {
		return err
	}
	if err := h.describeClients(ctx, space, doc); err != nil {
		return err
	}
	public(c)
	return c.JSON(doc)
}

func document(space *live.Space, issuer, alg string) map[string]any {
	return map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/oauth2/authorize",
		"token_endpoint":                                 issuer + "/oauth2/token",
		"userinfo_endpoint":                              issuer + "/userinfo",
		"device_authorization_endpoint":                  issuer + deviceEndpoint,
		"jwks_uri":                                       issuer + "/.well-known/jwks.json",
		"end_session_endpoint":                           issuer + "/oidc/logout",
		"scopes_supported":                               slices.Sorted(maps.Keys(space.Scopes)),
		"claims_supported":                               claimNames(space),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       responseModes(space),
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{alg},
		"code_challenge_methods_supported":               []string{"S256"},
		"prompt_values_supported":                        []string{"none", "login", "consent", "select_account"},
		"acr_values_supported":                           []string{"1"},
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	}
}

func claimNames(space *live.Space) []string {
	names := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "idp", "tid", "aid"}
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
