package tenant

import (
	"encoding/json"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Workspace is an authorization server. Its JSON is the published type Server
// (published API, section 15); members that Gatepost only stores and echoes are in
// Extra. Values from a keeper have every default filled in.
type Workspace struct {
	ID       string `json:"id"`
	TenantID string `json:"tenant_id"`
	Name     string `json:"name"`
	Type     string `json:"type"` // one of the Type constants
	Profile  string `json:"profile"`
	Version  int    `json:"version"`

	Description string          `json:"description,omitempty"`
	Color       string          `json:"color"`
	LogoURI     string          `json:"logo_uri,omitempty"`
	Template    bool            `json:"template"`
	Metadata    json.RawMessage `json:"metadata,omitempty"` // {payload, schema}
	Styling     json.RawMessage `json:"styling,omitempty"`

	Secret         string          `json:"secret,omitempty"` // for hashing; at least 32 characters, generated
	RotatedSecrets []string        `json:"rotated_secrets,omitempty"`
	KeyType        string          `json:"key_type"`       // rsa, ecdsa or ps; set at creation only
	JWKS           json.RawMessage `json:"jwks,omitempty"` // input of a creation; the keeper does not store it

	GrantTypes               []string `json:"grant_types"`
	ResponseTypes            []string `json:"response_types"`
	TokenEndpointAuthMethods []string `json:"token_endpoint_auth_methods"`
	// TokenEndpointAuthnMethods is the deprecated twin of TokenEndpointAuthMethods.
	TokenEndpointAuthnMethods     []string `json:"token_endpoint_authn_methods,omitempty"`
	TokenEndpointAuthSigningAlgs  []string `json:"token_endpoint_auth_signing_alg_values"`
	AccessTokenStrategy           string   `json:"access_token_strategy"` // jwt or opaque
	ScopeClaimFormats             []string `json:"scope_claim_formats"`
	SubjectFormat                 string   `json:"subject_format"` // hash or legacy
	SubjectIdentifierTypes        []string `json:"subject_identifier_types"`
	SubjectIdentifierSalt         string   `json:"subject_identifier_algorithm_salt,omitempty"`
	RequirePAR                    bool     `json:"require_pushed_authorization_requests"`
	EnforcePKCE                   bool     `json:"enforce_pkce"`
	EnforcePKCEForPublicClients   bool     `json:"enforce_pkce_for_public_clients"`
	CustomIssuerURL               string   `json:"custom_issuer_url,omitempty"`
	AuthenticationMechanisms      []string `json:"authentication_mechanisms"`
	EnableIDPDiscovery            bool     `json:"enable_idp_discovery"` // deprecated twin of IDPDiscovery.Enabled
	EnforceIDTokenEncryption      bool     `json:"enforce_id_token_encryption,omitempty"`
	BackchannelUserCodeSupported  bool     `json:"backchannel_user_code_parameter_supported,omitempty"`
	DynamicScopeSeparator         string   `json:"dynamic_scope_separator"`
	BackchannelTokenDeliveryModes []string `json:"backchannel_token_delivery_modes_supported,omitempty"`

	AccessTokenTTL       store.Duration `json:"access_token_ttl"`
	IDTokenTTL           store.Duration `json:"id_token_ttl"`
	RefreshTokenTTL      store.Duration `json:"refresh_token_ttl"`
	AuthorizationCodeTTL store.Duration `json:"authorization_code_ttl"`
	PARTTL               store.Duration `json:"pushed_authorization_request_ttl"`
	CookieMaxAge         store.Duration `json:"cookie_max_age"`

	AuthenticationContext AuthenticationContext `json:"authentication_context_settings"`
	SSO                   SSO                   `json:"sso"`
	IDPDiscovery          IDPDiscovery          `json:"idp_discovery"`
	Settings              WorkspaceSettings     `json:"settings"`
	ClientRegistration    ClientRegistration    `json:"dynamic_client_registration"`
	DeviceAuthorization   DeviceAuthorization   `json:"device_authorization"`
	Advanced              Advanced              `json:"advanced"`

	Extra       json.RawMessage `json:"-"` // an object of the members in echoed
	TenantEpoch string          `json:"-"` // of the tenant when the workspace was made
	Epoch       string          `json:"-"` // random; another one after a deletion and a new creation
	Rev         int64           `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

// echoed are the members of a Server that are stored and given back and mean
// nothing here.
var echoed = []string{
	"cdr", "consent_id_namespace", "enable_legacy_clients_with_no_software_statement", "enable_quick_access",
	"enable_trust_anchor", "fdx", "identity_assurance", "issuer_id", "legal_entity", "obbr", "organization",
	"parent_id", "root_cas", "saml", "trust_anchor_configuration",
}

// The types of workspaces.
const (
	TypeAdmin        = "admin"
	TypeDeveloper    = "developer"
	TypeSystem       = "system"
	TypeRegular      = "regular"
	TypeOrganization = "organization"
)

// plain is a Workspace without methods: what is stored, and the typed members
// on the wire.
type plain Workspace

// UnmarshalJSON reads the published type Server. Errors are faults that name the
// member.
func (w *Workspace) UnmarshalJSON(body []byte) error {
	var p plain
	if err := record.Decode(body, &p); err != nil {
		return err
	}
	if p.EnableIDPDiscovery && !record.Has(body, "idp_discovery") {
		p.IDPDiscovery.Enabled = true
	}
	extra, err := record.Members(body, echoed)
	if err != nil {
		return err
	}
	p.Extra = extra
	*w = Workspace(p)
	return nil
}

// MarshalJSON writes the published type Server, secrets included where they are
// set.
func (w Workspace) MarshalJSON() ([]byte, error) {
	return record.Join(plain(w), w.Extra)
}

// Key returns the workspace's name.
func (w *Workspace) Key() Key { return Key{Tenant: w.TenantID, Workspace: w.ID} }

// Builtin tells whether the workspace is one that a tenant always has.
func (w *Workspace) Builtin() bool {
	return w.Type == TypeAdmin || w.Type == TypeSystem || w.Type == TypeDeveloper
}

// Public returns a copy without secrets, keys and salt, such as goes into an
// audit event.
func (w *Workspace) Public() Workspace {
	c := *w
	c.Secret, c.RotatedSecrets, c.JWKS, c.SubjectIdentifierSalt = "", nil, nil, ""
	return c
}

// Summary is the published type WorkspaceResponse without the subject salt.
type Summary struct {
	ID                       string                `json:"id"`
	Name                     string                `json:"name"`
	Type                     string                `json:"type"`
	Profile                  string                `json:"profile"`
	Description              string                `json:"description,omitempty"`
	Color                    string                `json:"color"`
	LogoURI                  string                `json:"logo_uri,omitempty"`
	IssuerURL                string                `json:"issuer_url,omitempty"` // for the caller to set
	Template                 bool                  `json:"template"`
	Metadata                 json.RawMessage       `json:"metadata,omitempty"`
	SubjectFormat            string                `json:"subject_format"`
	AuthenticationMechanisms []string              `json:"authentication_mechanisms"`
	AuthenticationContext    AuthenticationContext `json:"authentication_context_settings"`
	IDPDiscovery             IDPDiscovery          `json:"idp_discovery"`
	Settings                 WorkspaceSettings     `json:"settings"`
	SSO                      SSO                   `json:"sso"`
	ChildOrganizations       int                   `json:"number_of_child_organizations"`
}

// Summary returns the light projection of the workspace.
func (w *Workspace) Summary() Summary {
	return Summary{
		ID: w.ID, Name: w.Name, Type: w.Type, Profile: w.Profile, Description: w.Description,
		Color: w.Color, LogoURI: w.LogoURI, Template: w.Template, Metadata: w.Metadata,
		SubjectFormat: w.SubjectFormat, AuthenticationMechanisms: w.AuthenticationMechanisms,
		AuthenticationContext: w.AuthenticationContext, IDPDiscovery: w.IDPDiscovery,
		Settings: w.Settings, SSO: w.SSO,
	}
}
