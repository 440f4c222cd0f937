package tenant

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// MinSecret is the least number of characters of a secret that a caller chooses.
const MinSecret = 32

var (
	color         = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$`)
)

// check reports the first member that breaks a rule, after fill.
func (w *Workspace) check() error {
	for _, part := range []func() error{
		w.checkEnums, w.checkLists, w.checkTexts, w.checkTTLs, w.checkObjects, w.checkSecrets, w.checkAttributes, w.checkIssuer,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	if n := w.DeviceAuthorization.UserCodeLength; n < 6 || n > 64 {
		return fault.At(fault.Unprocessable, "device_authorization.user_code_length", "must be between 6 and 64")
	}
	return nil
}

func (w *Workspace) checkEnums() error {
	for _, e := range []struct {
		field, value string
		allowed      []string
	}{
		{"type", w.Type, types},
		{"profile", w.Profile, profiles},
		{"key_type", w.KeyType, keyTypes},
		{"access_token_strategy", w.AccessTokenStrategy, strategies},
		{"subject_format", w.SubjectFormat, formats},
		{"idp_discovery.discovery_mode", w.IDPDiscovery.Mode, discoveryModes},
	} {
		if err := record.OneOf(e.field, e.value, e.allowed); err != nil {
			return err
		}
	}
	return nil
}

func (w *Workspace) checkLists() error {
	for _, l := range []struct {
		field           string
		values, allowed []string
	}{
		{"grant_types", w.GrantTypes, grantTypes},
		{"response_types", w.ResponseTypes, responseTypes},
		{"token_endpoint_auth_methods", w.TokenEndpointAuthMethods, authMethods},
		{"token_endpoint_authn_methods", w.TokenEndpointAuthnMethods, authMethods},
		{"token_endpoint_auth_signing_alg_values", w.TokenEndpointAuthSigningAlgs, signingAlgs},
		{"subject_identifier_types", w.SubjectIdentifierTypes, subjectTypes},
		{"authentication_mechanisms", w.AuthenticationMechanisms, mechanisms},
		{"advanced.disallowed_response_modes", w.Advanced.DisallowedResponseModes, responseModes},
	} {
		if err := record.Each(l.field, l.values, l.allowed); err != nil {
			return err
		}
	}
	return nil
}

func (w *Workspace) checkTexts() error {
	if err := record.Text("name", w.Name, 200); err != nil {
		return err
	}
	if err := record.Text("description", w.Description, record.MaxText); err != nil {
		return err
	}
	if !color.MatchString(w.Color) {
		return fault.At(fault.Unprocessable, "color", "must be a colour such as #007FFF")
	}
	if err := record.URL("logo_uri", w.LogoURI); err != nil {
		return err
	}
	return record.URL("sso.post_logout_url", w.SSO.PostLogoutURL)
}

func (w *Workspace) checkTTLs() error {
	for _, d := range []struct {
		field string
		value store.Duration
	}{
		{"access_token_ttl", w.AccessTokenTTL},
		{"id_token_ttl", w.IDTokenTTL},
		{"refresh_token_ttl", w.RefreshTokenTTL},
		{"authorization_code_ttl", w.AuthorizationCodeTTL},
		{"pushed_authorization_request_ttl", w.PARTTL},
		{"cookie_max_age", w.CookieMaxAge},
		{"sso.max_age", w.SSO.MaxAge},
		{"sso.max_idle", w.SSO.MaxIdle},
		{"device_authorization.request_ttl", w.DeviceAuthorization.RequestTTL},
	} {
		if d.value < 0 {
			return fault.At(fault.Unprocessable, d.field, "must not be negative")
		}
	}
	if time.Duration(w.ClientRegistration.RegistrationTokenTTL) < 24*time.Hour {
		return fault.At(fault.Unprocessable, "dynamic_client_registration.registration_access_token_ttl", "must be at least 24h0m0s")
	}
	return nil
}

func (w *Workspace) checkObjects() error {
	for _, o := range []struct {
		field string
		raw   *json.RawMessage
	}{
		{"metadata", &w.Metadata},
		{"styling", &w.Styling},
		{"jwks", &w.JWKS},
		{"advanced.cookies_configuration", &w.Advanced.Cookies},
		{"dynamic_client_registration.payload", &w.ClientRegistration.Payload},
	} {
		if err := record.Object(o.field, o.raw); err != nil {
			return err
		}
	}
	return nil
}

func (w *Workspace) checkSecrets() error {
	say := fmt.Sprintf("must have at least %d characters", MinSecret)
	if w.Secret != "" && len(w.Secret) < MinSecret {
		return fault.At(fault.Unprocessable, "secret", say)
	}
	for i, s := range w.RotatedSecrets {
		if len(s) < MinSecret {
			return fault.At(fault.Unprocessable, fmt.Sprintf("rotated_secrets[%d]", i), say)
		}
	}
	return nil
}

func (w *Workspace) checkAttributes() error {
	const most = 500
	if len(w.AuthenticationContext.Attributes) > most {
		return fault.At(fault.Unprocessable, "authentication_context_settings.attributes", fmt.Sprintf("must hold at most %d attributes", most))
	}
	seen := map[string]bool{}
	for i, a := range w.AuthenticationContext.Attributes {
		at := fmt.Sprintf("authentication_context_settings.attributes[%d]", i)
		if !attributeName.MatchString(a.Name) {
			return fault.At(fault.Unprocessable, at+".name", "must have 1 to 128 characters out of A-Z a-z 0-9 _ . : / -")
		}
		if seen[a.Name] {
			return fault.At(fault.Unprocessable, at+".name", "is declared twice")
		}
		seen[a.Name] = true
		if err := record.OneOf(at+".type", a.Type, attributeTypes); err != nil {
			return err
		}
	}
	return nil
}

// checkIssuer holds a chosen issuer to RFC 8414, section 2. The built-in
// workspaces keep theirs: tokens for the API are judged by it.
func (w *Workspace) checkIssuer() error {
	if w.CustomIssuerURL == "" {
		return nil
	}
	if w.Builtin() {
		return fault.At(fault.Unprocessable, "custom_issuer_url", "cannot be set on a built-in workspace")
	}
	if err := record.URL("custom_issuer_url", w.CustomIssuerURL); err != nil {
		return err
	}
	u, err := url.Parse(w.CustomIssuerURL)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fault.At(fault.Unprocessable, "custom_issuer_url", "must have no query and no fragment")
	}
	return nil
}
