package client

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Values of a client's members that the code asks for.
const (
	TypeOAuth2     = "oauth2"
	TypeSAML       = "saml"
	StatusActive   = "active"
	StatusInactive = "inactive"
	AuthBasic      = "client_secret_basic"
	AuthPost       = "client_secret_post"
	AuthSecretJWT  = "client_secret_jwt"
	AuthKeyJWT     = "private_key_jwt"
	AuthTLS        = "tls_client_auth"
	AuthOwnTLS     = "self_signed_tls_client_auth"
	AuthNone       = "none"
	AuthAny        = "unspecified" // Basic or in the body
	Native         = "native"
	Pairwise       = "pairwise"
)

// The enumerations of a client (published API, section 17).
var (
	clientTypes      = []string{TypeOAuth2, TypeSAML}
	statuses         = []string{StatusActive, StatusInactive}
	applicationTypes = []string{"single_page", "server_web", "mobile_desktop", "service", "legacy", "dcr"}
	authAlgs         = []string{"RS256", "ES256", "PS256", "HS256", ""}
	subjectTypes     = []string{"public", Pairwise}
	idTokenAlgs      = []string{"RS256", "ES256", "PS256", ""}
	userinfoAlgs     = []string{"none", "RS256", "ES256"}
	requestAlgs      = []string{"any", "none", "RS256", "ES256", "PS256"}
)

const (
	minSecret = 32
	maxSecret = 1024
	maxList   = 200 // entries of any list of a client
)

// scopeToken is one scope (RFC 6749, section 3.3).
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`)

// fill puts defaults where a member is missing; an empty list stays empty.
func (c *Client) fill() {
	for _, d := range []struct {
		into  *string
		value string
	}{
		{&c.ClientType, TypeOAuth2},
		{&c.ClientStatus, StatusActive},
		{&c.ApplicationType, "web"},
		{&c.TokenEndpointAuthMethod, AuthBasic},
		{&c.SubjectType, "public"},
		{&c.UserinfoSignedResponseAlg, "none"},
		{&c.RequestObjectSigningAlg, "any"},
	} {
		if *d.into == "" {
			*d.into = d.value
		}
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{"authorization_code"}
	}
	if c.ResponseTypes == nil {
		c.ResponseTypes = []string{"code"}
	}
	for _, l := range []*[]string{&c.Audience, &c.DefaultACRValues, (*[]string)(&c.RedirectURIs), (*[]string)(&c.PostLogoutRedirectURIs)} {
		if *l == nil {
			*l = []string{}
		}
	}
	scopes := []string{}
	for _, s := range c.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	c.Scopes, c.Scope = scopes, strings.Join(scopes, " ")
	if len(c.ApplicationTypes) == 0 {
		c.ApplicationTypes = c.kinds()
	}
}

// kinds are the filter tags that follow from what a client is.
func (c *Client) kinds() []string {
	person := slices.ContainsFunc(c.GrantTypes, func(g string) bool { return g != "client_credentials" })
	var kind string
	switch {
	case !person && len(c.GrantTypes) > 0:
		kind = "service"
	case slices.Contains(c.GrantTypes, "password") || slices.Contains(c.GrantTypes, "implicit"):
		kind = "legacy"
	case c.ApplicationType == Native:
		kind = "mobile_desktop"
	case c.Public():
		kind = "single_page"
	default:
		kind = "server_web"
	}
	if c.DynamicallyRegistered {
		return []string{kind, "dcr"}
	}
	return []string{kind}
}

// check reports the first member that breaks a rule, after fill.
func (c *Client) check() error {
	for _, part := range []func() error{
		c.checkEnums, c.checkLists, c.checkTexts, c.checkAddresses, c.checkScopes, c.checkKeys, c.checkSector, c.checkTTLs, c.checkSecrets,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) checkEnums() error {
	for _, e := range []struct {
		field, value string
		allowed      []string
	}{
		{"client_type", c.ClientType, clientTypes},
		{"client_status", c.ClientStatus, statuses},
		{"token_endpoint_auth_method", c.TokenEndpointAuthMethod, tenant.AuthMethods()},
		{"token_endpoint_auth_signing_alg", c.TokenEndpointAuthSigningAlg, authAlgs},
		{"subject_type", c.SubjectType, subjectTypes},
		{"id_token_signed_response_alg", c.IDTokenSignedResponseAlg, idTokenAlgs},
		{"userinfo_signed_response_alg", c.UserinfoSignedResponseAlg, userinfoAlgs},
		{"request_object_signing_alg", c.RequestObjectSigningAlg, requestAlgs},
	} {
		if err := record.OneOf(e.field, e.value, e.allowed); err != nil {
			return err
		}
	}
	return c.checkMethod()
}

// checkMethod refuses a way of authentication that could never succeed.
func (c *Client) checkMethod() error {
	alg := c.TokenEndpointAuthSigningAlg
	switch method := c.TokenEndpointAuthMethod; {
	case method == AuthKeyJWT && alg == "HS256":
		return fault.At(fault.Unprocessable, "token_endpoint_auth_signing_alg", "must be RS256, ES256, PS256 or empty for private_key_jwt")
	case method == AuthSecretJWT && alg != "" && alg != "HS256":
		return fault.At(fault.Unprocessable, "token_endpoint_auth_signing_alg", "must be HS256 or empty for client_secret_jwt")
	case method == AuthTLS && len(c.tlsNames()) > 1:
		return fault.At(fault.Unprocessable, c.tlsNames()[1], "cannot be used together with "+c.tlsNames()[0]+" (RFC 8705, section 2.1.2)")
	}
	return nil
}

func (c *Client) checkLists() error {
	for _, l := range []struct {
		field           string
		values, allowed []string
	}{
		{"grant_types", c.GrantTypes, tenant.GrantTypes()},
		{"response_types", c.ResponseTypes, tenant.ResponseTypes()},
		{"application_types", c.ApplicationTypes, applicationTypes},
	} {
		if err := record.Each(l.field, l.values, l.allowed); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		field  string
		values []string
	}{{"audience", c.Audience}, {"default_acr_values", c.DefaultACRValues}} {
		if err := few(l.field, l.values); err != nil {
			return err
		}
		for i, v := range l.values {
			if v == "" {
				return fault.At(fault.Unprocessable, fmt.Sprintf("%s[%d]", l.field, i), "must not be empty")
			}
			if err := record.Text(fmt.Sprintf("%s[%d]", l.field, i), v, record.MaxText); err != nil {
				return err
			}
		}
	}
	return nil
}

func few(field string, values []string) error {
	if len(values) > maxList {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("must have at most %d entries", maxList))
	}
	return nil
}

func (c *Client) checkTexts() error {
	for _, t := range []struct {
		field, value string
		limit        int
	}{
		{"client_name", c.ClientName, 200},
		{"description", c.Description, record.MaxText},
		{"application_type", c.ApplicationType, 64},
		{"developer_id", c.DeveloperID, 200},
		{"software_id", c.SoftwareID, 200},
		{"software_version", c.SoftwareVersion, 200},
		{"tls_client_auth_subject_dn", c.TLSSubjectDN, record.MaxText},
		{"tls_client_auth_san_dns", c.TLSSANDNS, record.MaxText},
		{"tls_client_auth_san_email", c.TLSSANEmail, record.MaxText},
		{"tls_client_auth_san_ip", c.TLSSANIP, record.MaxText},
		{"tls_client_auth_san_uri", c.TLSSANURI, record.MaxText},
	} {
		if err := record.Text(t.field, t.value, t.limit); err != nil {
			return err
		}
	}
	return record.Object("metadata", &c.Metadata)
}

func (c *Client) checkAddresses() error {
	for _, l := range []struct {
		field string
		uris  []string
	}{{"redirect_uris", c.RedirectURIs}, {"post_logout_redirect_uris", c.PostLogoutRedirectURIs}} {
		if err := few(l.field, l.uris); err != nil {
			return err
		}
		for i, uri := range l.uris {
			if say := wrongRedirect(uri, c.ApplicationType == Native); say != "" {
				return fault.At(fault.Unprocessable, fmt.Sprintf("%s[%d]", l.field, i), say)
			}
		}
	}
	for _, a := range []struct{ field, uri string }{
		{"app_url", c.AppURL},
		{"client_uri", c.ClientURI},
		{"logo_uri", c.LogoURI},
		{"policy_uri", c.PolicyURI},
		{"tos_uri", c.TOSURI},
		{"backchannel_logout_uri", c.BackchannelLogoutURI},
		{"jwks_uri", c.JWKSURI},
		{"sector_identifier_uri", c.SectorIdentifierURI},
	} {
		if err := record.URL(a.field, a.uri); err != nil {
			return err
		}
	}
	for _, a := range []struct{ field, uri string }{{"jwks_uri", c.JWKSURI}, {"sector_identifier_uri", c.SectorIdentifierURI}} {
		if say := trusty(a.uri); say != "" {
			return fault.At(fault.Unprocessable, a.field, say)
		}
	}
	if strings.Contains(c.BackchannelLogoutURI, "#") {
		return fault.At(fault.Unprocessable, "backchannel_logout_uri", "must have no fragment")
	}
	return nil
}

func (c *Client) checkScopes() error {
	if err := few("scopes", c.Scopes); err != nil {
		return err
	}
	for i, s := range c.Scopes {
		if !scopeToken.MatchString(s) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("scopes[%d]", i), "is not a scope (RFC 6749, section 3.3)")
		}
	}
	return nil
}

// checkKeys refuses private keys: whoever sends one has given it away.
func (c *Client) checkKeys() error {
	if err := record.Object("jwks", &c.JWKS); err != nil || c.JWKS == nil {
		return err
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(c.JWKS, &set); err != nil {
		return &fault.Error{Kind: fault.Unprocessable, Field: "jwks", Public: "must be a JSON Web Key Set (RFC 7517)", Cause: err}
	}
	for i, key := range set.Keys {
		for _, private := range []string{"d", "k", "p", "q", "dp", "dq", "qi"} {
			if _, there := key[private]; there {
				return fault.At(fault.Unprocessable, fmt.Sprintf("jwks.keys[%d].%s", i, private), "must not be there: register public keys only")
			}
		}
	}
	if c.JWKSURI != "" && len(set.Keys) > 0 {
		return fault.At(fault.Unprocessable, "jwks_uri", "cannot be used together with jwks (RFC 7591, section 2)")
	}
	return nil
}

// checkSector: pairwise subjects need one sector (OpenID Connect Core 1.0,
// section 8.1).
func (c *Client) checkSector() error {
	if c.SubjectType != Pairwise || c.SectorIdentifierURI != "" {
		return nil
	}
	for _, uri := range c.RedirectURIs {
		if host(uri) != host(c.RedirectURIs[0]) {
			return fault.At(fault.Unprocessable, "sector_identifier_uri", "is required for pairwise subjects when redirect URIs have several hosts")
		}
	}
	return nil
}

func (c *Client) checkTTLs() error {
	for _, d := range []struct {
		field string
		value store.Duration
	}{
		{"token_ttls.access_token_ttl", c.TokenTTLs.AccessToken},
		{"token_ttls.authorization_code_ttl", c.TokenTTLs.AuthorizationCode},
		{"token_ttls.id_token_ttl", c.TokenTTLs.IDToken},
		{"token_ttls.refresh_token_ttl", c.TokenTTLs.RefreshToken},
	} {
		if d.value < 0 {
			return fault.At(fault.Unprocessable, d.field, "must not be negative")
		}
	}
	const year9999 = 253402300799
	if c.ClientSecretExpiresAt < 0 || c.ClientSecretExpiresAt > year9999 {
		return fault.At(fault.Unprocessable, "client_secret_expires_at", "must be a time in seconds since 1970, or 0")
	}
	return nil
}

var hashed = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (c *Client) checkSecrets() error {
	say := fmt.Sprintf("must have %d to %d characters", minSecret, maxSecret)
	if n := len(c.ClientSecret); n > 0 && (n < minSecret || n > maxSecret) {
		return fault.At(fault.Unprocessable, "client_secret", say)
	}
	for i, s := range c.RotatedSecrets {
		if len(s) < minSecret || len(s) > maxSecret {
			return fault.At(fault.Unprocessable, fmt.Sprintf("rotated_secrets[%d]", i), say)
		}
	}
	if c.HashedSecret != "" && !hashed.MatchString(c.HashedSecret) {
		return fault.At(fault.Unprocessable, "hashed_secret", "must be a SHA-256 in 64 lower-case hexadecimal digits")
	}
	return nil
}
