package tenant

import (
	"encoding/json"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// AuthenticationContext declares the attributes that an authentication context
// of the workspace may hold.
type AuthenticationContext struct {
	Attributes []Attribute `json:"attributes"`
}

// Attribute is one declared attribute.
type Attribute struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // number, string, bool, object, each of them with _array, or any
	Description string   `json:"description,omitempty"`
	Labels      []string `json:"labels,omitempty"`
}

// SSO is the published type SSOConfiguration.
type SSO struct {
	Enabled               bool           `json:"enabled"`
	Domain                string         `json:"domain,omitempty"`
	LOAThreshold          float64        `json:"loa_threshold,omitempty"`
	LogoutRedirectDomains []string       `json:"logout_redirect_domains,omitempty"`
	MaxAge                store.Duration `json:"max_age"`  // absolute; 0: the sessions' own
	MaxIdle               store.Duration `json:"max_idle"` // sliding; 0: the sessions' own
	PostLogoutURL         string         `json:"post_logout_url,omitempty"`
}

// IDPDiscovery says whether and how a person is led to the right IDP.
type IDPDiscovery struct {
	Enabled bool   `json:"enabled"`
	Mode    string `json:"discovery_mode,omitempty"` // domain_matching, script_execution or empty
}

// WorkspaceSettings is the published type ServerSettings.
type WorkspaceSettings struct {
	DefaultClientID     string `json:"default_client_id,omitempty"`                // for a login without a client
	DefaultPostAuthnCtx string `json:"default_post_authn_ctx_script_id,omitempty"` // for IDPs without a script
}

// ClientRegistration is the published type DynamicClientRegistrationSettings.
type ClientRegistration struct {
	Enabled                   bool               `json:"enabled"`
	DefaultScopes             []string           `json:"default_scopes,omitempty"`
	InitialAccessToken        InitialAccessToken `json:"initial_access_token"`
	RegistrationTokenTTL      store.Duration     `json:"registration_access_token_ttl"`
	DisableTokenExpiry        bool               `json:"disable_registration_access_token_expiry"`
	DisableTokenManagement    bool               `json:"disable_registration_token_management,omitempty"`
	DisableTokenRotation      bool               `json:"disable_registration_token_rotation,omitempty"`
	CertificateBoundTokenOnly bool               `json:"cert_bound_registration_token,omitempty"`
	Payload                   json.RawMessage    `json:"payload,omitempty"`
}

// InitialAccessToken says whether registration needs a token with dcr_register.
type InitialAccessToken struct {
	Required bool `json:"required"`
}

// DeviceAuthorization is the published type DeviceAuthorizationConfiguration.
type DeviceAuthorization struct {
	RequestTTL           store.Duration `json:"request_ttl"`
	UserCodeLength       int            `json:"user_code_length"`
	UserCodeCharacterSet string         `json:"user_code_character_set"`
}

// Advanced is the published type AdvancedConfiguration.
type Advanced struct {
	ACRValues                     []string        `json:"acr_values,omitempty"`
	EnforceACRValues              bool            `json:"enforce_acr_values,omitempty"`
	OnlyMTLSAliases               bool            `json:"advertise_only_mtls_aliases_in_well_known,omitempty"`
	BlockResponseModes            bool            `json:"block_response_modes,omitempty"`
	Cookies                       json.RawMessage `json:"cookies_configuration,omitempty"`
	DisableDCRCertificateBinding  bool            `json:"disable_dcr_client_certificate_bound_access_tokens,omitempty"`
	DisablePAR                    bool            `json:"disable_par,omitempty"`
	DisableRAR                    bool            `json:"disable_rar,omitempty"`
	DisableRefreshTokenCycling    bool            `json:"disable_refresh_token_cycling"` // false: refresh tokens rotate
	NoAccessTokenInQuery          bool            `json:"disallow_access_token_in_query_for_protected_resources,omitempty"`
	NoCodeWithoutJARM             bool            `json:"disallow_code_response_type_without_jarm,omitempty"`
	DisallowedResponseModes       []string        `json:"disallowed_response_modes,omitempty"`
	NoACRInIDToken                bool            `json:"do_not_issue_acr_claim_in_id_token,omitempty"`
	IgnoreUnknownScopesForDCR     bool            `json:"ignore_unknown_scopes_for_dcr,omitempty"`
	RequireRequestObject          bool            `json:"require_request_or_request_uri_parameter,omitempty"`
	ReturnIssuer                  bool            `json:"return_iss_parameter_in_authorization_response,omitempty"`
	StrictPostLogoutRedirectCheck bool            `json:"strict_post_logout_redirect_enforcement,omitempty"`
}
