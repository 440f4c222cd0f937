package openid

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// asMetadata names what is wrong with the metadata of a client in the words of
// RFC 7591, section 3.2.2.
func asMetadata(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != "" || (f.Kind != fault.Unprocessable && f.Kind != fault.Invalid) {
		return err
	}
	e := &fault.Error{Kind: fault.Invalid, Field: f.Field, Public: f.Public, Code: "invalid_client_metadata", Cause: err}
	if strings.HasPrefix(f.Field, "redirect_uris") {
		e.Code = "invalid_redirect_uri"
	}
	return e
}

// unsupported are members that ask for what this server does not do.
var unsupported = []string{
	"id_token_encrypted_response_alg", "userinfo_encrypted_response_alg", "authorization_signed_response_alg",
	"authorization_encrypted_response_alg", "backchannel_token_delivery_mode", "backchannel_client_notification_endpoint",
}

// readClient reads what a client says of itself and judges it by the rules of the
// workspace. old is the client as it is; nil: a new one, which came with an initial
// access token if it is vouched for.
func (h *Handler) readClient(ctx context.Context, c *fiber.Ctx, space *live.Space, old *client.Client, vouched bool) (client.Client, error) {
	var body json.RawMessage
	if err := web.Decode(c, &body); err != nil {
		return client.Client{}, err
	}
	if err := h.wellFormed(body, space, old); err != nil {
		return client.Client{}, err
	}
	who, err := client.ReadRegistration(body)
	if err != nil {
		return who, err
	}
	who.TenantID, who.WorkspaceID = space.Tenant, space.ID
	if space.Workspace.Advanced.DisableDCRCertificateBinding {
		who.CertificateBoundTokens = false
	}
	if err := h.allowedGrants(ctx, space, &who); err != nil {
		return who, err
	}
	if err := ownGrants(&who, old, vouched); err != nil {
		return who, err
	}
	return who, allowedScopes(space, &who, old)
}

// wellFormed judges members that are not part of a client's own metadata.
func (h *Handler) wellFormed(body json.RawMessage, space *live.Space, old *client.Client) error {
	var in struct {
		Statement string `json:"software_statement"`
		ID        string `json:"client_id"`
		Secret    string `json:"client_secret"`
	}
	if err := web.DecodeJSON(body, &in); err != nil {
		return err
	}
	if in.Statement != "" {
		return refuse("invalid_software_statement", "Software statements are not supported here: leave software_statement out.", nil)
	}
	var payload struct {
		Format string `json:"format"`
	}
	if raw := space.Workspace.ClientRegistration.Payload; len(raw) > 0 && json.Unmarshal(raw, &payload) == nil && payload.Format == "jws" {
		return denied("The workspace wants registrations as JWS (dynamic_client_registration.payload.format), which is not supported.")
	}
	for _, name := range unsupported {
		var text map[string]any
		if err := json.Unmarshal(body, &text); err == nil && text[name] != nil && text[name] != "" {
			return fault.At(fault.Unprocessable, name, "asks for what is not supported here")
		}
	}
	if old == nil {
		return nil
	}
	if in.ID != "" && in.ID != old.ClientID {
		return fault.At(fault.Unprocessable, "client_id", "must be that of the registration (RFC 7592, section 2.2)")
	}
	if in.Secret != "" && !old.Check(in.Secret, h.Signin.Now()) {
		return fault.At(fault.Unprocessable, "client_secret", "must be the present one or missing: a client does not choose it (RFC 7592, section 2.2)")
	}
	return nil
}

// allowedGrants judges how a client wants to get tokens and to authenticate.
func (h *Handler) allowedGrants(ctx context.Context, space *live.Space, who *client.Client) error {
	grants, err := h.grantTypes(ctx, space)
	if err != nil {
		return err
	}
	if who.GrantTypes == nil {
		who.GrantTypes = []string{"authorization_code"}
	}
	if who.ResponseTypes == nil {
		who.ResponseTypes = []string{}
		if who.Grants("authorization_code") {
			who.ResponseTypes = []string{"code"}
		}
	}
	if who.TokenEndpointAuthMethod == "" {
		who.TokenEndpointAuthMethod = client.AuthBasic
	}
	if err := record.Each("grant_types", who.GrantTypes, grants); err != nil {
		return err
	}
	if err := record.Each("response_types", who.ResponseTypes, []string{"code"}); err != nil {
		return err
	}
	if err := record.OneOf("token_endpoint_auth_method", who.TokenEndpointAuthMethod, h.Signin.AuthMethods(space)); err != nil {
		return err
	}
	return consistent(who)
}

// ownGrants refuses grants in which no person has a say to clients that nobody
// vouched for.
func ownGrants(who, old *client.Client, vouched bool) error {
	for _, kind := range []string{"client_credentials", grantJWTBearer} {
		if who.Grants(kind) && !vouched && (old == nil || !old.Grants(kind)) {
			return fault.At(fault.Unprocessable, "grant_types",
				kind+" needs a registration with an initial access token (scope "+scopeRegister+")")
		}
	}
	return nil
}

// consistent refuses members that do not go together.
func consistent(who *client.Client) error {
	code := who.Grants("authorization_code")
	keyed := who.TokenEndpointAuthMethod == client.AuthKeyJWT || who.TokenEndpointAuthMethod == client.AuthOwnTLS
	switch {
	case code != slices.Contains(who.ResponseTypes, "code"):
		return fault.At(fault.Unprocessable, "response_types", "code goes together with the grant type authorization_code (RFC 7591, section 2.1)")
	case code && len(who.RedirectURIs) == 0:
		return fault.At(fault.Unprocessable, "redirect_uris", "is required for the grant type authorization_code")
	case keyed && who.JWKSURI == "" && len(who.JWKS) == 0:
		return fault.At(fault.Unprocessable, "jwks", "is required for "+who.TokenEndpointAuthMethod+", or jwks_uri")
	case who.Public() && who.Grants("client_credentials"):
		return fault.At(fault.Unprocessable, "grant_types", "client_credentials needs a client that authenticates")
	}
	return nil
}

// standardScopes are about the person who signs in, who is asked for each (OpenID
// Connect Core 1.0, sections 5.4 and 11).
var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// allowedScopes gives a client that asks for no scopes the default ones. A client
// gives itself no more than those and the standard ones: every other scope is an
// administrator's to give, and refused, or left out where the workspace ignores
// scopes that mean nothing here.
func allowedScopes(space *live.Space, who, old *client.Client) error {
	defaults := space.Workspace.ClientRegistration.DefaultScopes
	if len(who.Scopes) == 0 {
		if who.Scopes = defaults; len(defaults) == 0 {
			who.Scopes = []string{"openid", "address", "email", "phone", "profile"}
		}
		if old != nil {
			who.Scopes = old.Scopes
		}
		who.Scopes = slices.DeleteFunc(slices.Clone(who.Scopes), func(name string) bool { _, known := space.Scopes[name]; return !known })
		return nil
	}
	var kept []string
	for _, name := range who.Scopes {
		_, known := space.Scopes[name]
		given := slices.Contains(standardScopes, name) || slices.Contains(defaults, name) || (old != nil && slices.Contains(old.Scopes, name))
		switch {
		case known && given:
			kept = append(kept, name)
		case space.Workspace.Advanced.IgnoreUnknownScopesForDCR:
		case !known:
			return fault.At(fault.Unprocessable, "scope", "names "+name+", which is no scope of this workspace")
		default:
			return fault.At(fault.Unprocessable, "scope",
				"names "+name+", which only an administrator gives to a client (dynamic_client_registration.default_scopes, or at the client)")
		}
	}
	who.Scopes = kept
	return nil
}
