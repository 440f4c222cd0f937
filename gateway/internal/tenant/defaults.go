package tenant

import (
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The enumerations of a Server (published API, section 15).
var (
	types    = []string{TypeAdmin, TypeDeveloper, TypeSystem, TypeRegular, TypeOrganization}
	profiles = []string{
		"default", "demo", "workforce", "consumer", "partners", "third_party", "fapi_advanced", "fapi_rw", "fapi_ro",
		"openbanking_uk_fapi_advanced", "openbanking_uk", "openbanking_br", "openbanking_br_unico", "cdr_australia",
		"cdr_australia_fapi_rw", "fdx", "openbanking_ksa", "fapi_20_security", "fapi_20_message_signing", "connect_id",
	}
	keyTypes   = []string{"rsa", "ecdsa", "ps"}
	strategies = []string{"jwt", "opaque"}
	formats    = []string{"hash", "legacy"}
	grantTypes = []string{
		"authorization_code", "implicit", "client_credentials", "refresh_token", "password",
		"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:openid:params:grant-type:ciba",
		"urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code",
	}
	responseTypes = []string{
		"code", "token", "id_token", "code id_token", "token id_token", "token code", "token id_token code", "none",
	}
	responseModes = []string{"query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt"}
	authMethods   = []string{
		"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
		"self_signed_tls_client_auth", "tls_client_auth", "none", "unspecified",
	}
	signingAlgs      = []string{"RS256", "ES256", "PS256", "HS256"}
	subjectTypes     = []string{"public", "pairwise"}
	mechanisms       = []string{"totp", "password", "otp", "email_otp", "sms_otp", "webauthn"}
	discoveryModes   = []string{"", "domain_matching", "script_execution"}
	attributeTypes   = []string{"number", "string", "bool", "object", "number_array", "string_array", "bool_array", "object_array", "any"}
	defaultGrants    = []string{"authorization_code", "implicit", "client_credentials", "refresh_token"}
	defaultResponses = responseTypes[:7] // all but none
	defaultMethods   = authMethods[:7]   // all but unspecified
)

// GrantTypes returns the grant types that a workspace or a client may name.
func GrantTypes() []string { return slices.Clone(grantTypes) }

// ResponseTypes returns the response types that a workspace or a client may name.
func ResponseTypes() []string { return slices.Clone(responseTypes) }

// AuthMethods returns the ways of client authentication at the token endpoint
// that a workspace or a client may name.
func AuthMethods() []string { return slices.Clone(authMethods) }

// Attributes returns the predefined attributes of a new workspace (the published API,
// section 16.4).
func Attributes() []Attribute {
	typed := map[string]string{
		"scp": "string_array", "groups": "string_array", "email_verified": "bool",
		"phone_number_verified": "bool", "updated_at": "number",
	}
	names := []string{
		"sub", "scp", "groups", "email", "email_verified", "phone_number", "phone_number_verified",
		"address.formatted", "address.street_address", "address.locality", "address.region", "address.country",
		"address.postal_code", "name", "given_name", "middle_name", "family_name", "nickname",
		"preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale",
		"updated_at", "idp_sub", "customer_id",
	}
	list := make([]Attribute, len(names))
	for i, name := range names {
		list[i] = Attribute{Name: name, Type: "string"}
		if t, ok := typed[name]; ok {
			list[i].Type = t
		}
	}
	return list
}

// fill puts defaults where a member is missing: an empty text, a zero duration,
// a list that is null. An empty list stays empty: it allows nothing.
func (w *Workspace) fill() {
	text(&w.Type, TypeRegular)
	text(&w.Profile, "default")
	text(&w.Color, "#007FFF")
	text(&w.KeyType, "ecdsa")
	text(&w.AccessTokenStrategy, "jwt")
	text(&w.SubjectFormat, "hash")
	text(&w.DynamicScopeSeparator, ".")
	text(&w.DeviceAuthorization.UserCodeCharacterSet, "base20")
	if w.Version == 0 {
		w.Version = 3
	}
	if w.DeviceAuthorization.UserCodeLength == 0 {
		w.DeviceAuthorization.UserCodeLength = 8
	}
	list(&w.GrantTypes, defaultGrants)
	list(&w.ResponseTypes, defaultResponses)
	list(&w.TokenEndpointAuthMethods, w.TokenEndpointAuthnMethods)
	list(&w.TokenEndpointAuthMethods, defaultMethods)
	list(&w.TokenEndpointAuthSigningAlgs, signingAlgs)
	list(&w.SubjectIdentifierTypes, subjectTypes)
	list(&w.ScopeClaimFormats, []string{"scp_array"})
	list(&w.AuthenticationMechanisms, mechanisms)
	for _, d := range []struct {
		ttl   *store.Duration
		value time.Duration
	}{
		{&w.AccessTokenTTL, time.Hour},
		{&w.IDTokenTTL, time.Hour},
		{&w.RefreshTokenTTL, 720 * time.Hour},
		{&w.AuthorizationCodeTTL, 10 * time.Minute},
		{&w.PARTTL, time.Minute},
		{&w.DeviceAuthorization.RequestTTL, 30 * time.Minute},
		{&w.ClientRegistration.RegistrationTokenTTL, 720 * time.Hour},
	} {
		if *d.ttl == 0 {
			*d.ttl = store.Duration(d.value)
		}
	}
	if w.AuthenticationContext.Attributes == nil {
		w.AuthenticationContext.Attributes = Attributes()
	}
	w.EnableIDPDiscovery = w.IDPDiscovery.Enabled
}

func text(into *string, value string) {
	if *into == "" {
		*into = value
	}
}

func list(into *[]string, value []string) {
	if *into == nil {
		*into = slices.Clone(value)
	}
}
