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
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
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
