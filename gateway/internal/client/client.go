package client

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Client is an OAuth application of a workspace. Its JSON is the published type
// ClientAdminResponse, and read from CreateClientAdminRequest (the published API,
// section 17); members that are only stored and echoed are in Extra.
type Client struct {
	ClientID    string `json:"client_id"`
	TenantID    string `json:"tenant_id"`
	WorkspaceID string `json:"authorization_server_id"`
	ClientName  string `json:"client_name"`
	Description string `json:"description"`

	// ClientSecret and RotatedSecrets are set by a creation and by Reveal only.
	ClientSecret          string   `json:"client_secret"`
	RotatedSecrets        []string `json:"rotated_secrets,omitempty"`
	HashedSecret          string   `json:"hashed_secret,omitempty"`  // input of a creation: hexadecimal SHA-256
	ClientSecretExpiresAt int64    `json:"client_secret_expires_at"` // Unix seconds; 0: never
	ClientIDIssuedAt      int64    `json:"client_id_issued_at"`      // Unix seconds

	ClientType       string   `json:"client_type"`       // oauth2 or saml
	ClientStatus     string   `json:"client_status"`     // active or inactive
	ApplicationType  string   `json:"application_type"`  // web, native or what the caller calls it
	ApplicationTypes []string `json:"application_types"` // tags for filters, computed when missing
	Trusted          bool     `json:"trusted"`           // skips consent
	System           bool     `json:"system"`            // built in
	DeveloperID      string   `json:"developer_id"`

	DynamicallyRegistered bool   `json:"dynamically_registered"`
	SoftwareID            string `json:"software_id,omitempty"`
	SoftwareVersion       string `json:"software_version,omitempty"`

	RedirectURIs           URIs     `json:"redirect_uris"`
	PostLogoutRedirectURIs URIs     `json:"post_logout_redirect_uris"`
	GrantTypes             []string `json:"grant_types"`
	ResponseTypes          []string `json:"response_types"`
	Scope                  string   `json:"scope"`  // Scopes, joined by spaces
	Scopes                 []string `json:"scopes"` // subscribed
	Audience               []string `json:"audience"`
	DefaultACRValues       []string `json:"default_acr_values"`

	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method"`
	// TokenEndpointAuthSigningAlg may be empty: any that the workspace supports.
	TokenEndpointAuthSigningAlg string          `json:"token_endpoint_auth_signing_alg"`
	JWKS                        json.RawMessage `json:"jwks,omitempty"` // public keys
	JWKSURI                     string          `json:"jwks_uri"`

	// What a certificate must be for under tls_client_auth (RFC 8705, section
	// 2.1.2): exactly one of them.
	TLSSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSSANEmail  string `json:"tls_client_auth_san_email,omitempty"`
	TLSSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSSANURI    string `json:"tls_client_auth_san_uri,omitempty"`

	SubjectType                string `json:"subject_type"` // public or pairwise
	SectorIdentifierURI        string `json:"sector_identifier_uri"`
	IDTokenSignedResponseAlg   string `json:"id_token_signed_response_alg"` // empty: the workspace's key
	UserinfoSignedResponseAlg  string `json:"userinfo_signed_response_alg"`
	RequestObjectSigningAlg    string `json:"request_object_signing_alg"`
	RequirePAR                 bool   `json:"require_pushed_authorization_requests"`
	DPoPBoundAccessTokens      bool   `json:"dpop_bound_access_tokens"`
	CertificateBoundTokens     bool   `json:"tls_client_certificate_bound_access_tokens"`
	BackchannelLogoutURI       string `json:"backchannel_logout_uri"`
	BackchannelLogoutSessionID bool   `json:"backchannel_logout_session_required"`

	AppURL    string          `json:"app_url"`
	ClientURI string          `json:"client_uri"`
	LogoURI   string          `json:"logo_uri"`
	PolicyURI string          `json:"policy_uri"`
	TOSURI    string          `json:"tos_uri"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`

	UseCustomTokenTTLs bool      `json:"use_custom_token_ttls"`
	TokenTTLs          TokenTTLs `json:"token_ttls"`
	CreatedAt          time.Time `json:"created_at"`
	UpdatedAt          time.Time `json:"updated_at"`

	Extra          json.RawMessage `json:"-"` // an object of the members in echoed
	TenantEpoch    string          `json:"-"`
	WorkspaceEpoch string          `json:"-"`
	Epoch          string          `json:"-"` // random; another one after a deletion and a new creation
	Rev            int64           `json:"-"` // revision of the record; given to an update, 0 means whatever it is

	// Thumbprint is the x5t#S256 of the TLS certificate that the client presented
	// with the request at hand; empty without one. It is set for clients with
	// CertificateBoundTokens only.
	Thumbprint string `json:"-"`

	secrets []proof // the current one first; what Check compares with
}

// TokenTTLs are a client's own lifetimes; zero is the workspace's.
type TokenTTLs struct {
	AccessToken       store.Duration `json:"access_token_ttl"`
	AuthorizationCode store.Duration `json:"authorization_code_ttl"`
	IDToken           store.Duration `json:"id_token_ttl"`
	RefreshToken      store.Duration `json:"refresh_token_ttl"`
}

// URIs is a list of addresses; a bare string is read as a list of one.
type URIs []string

// UnmarshalJSON reads a list or a string.
func (u *URIs) UnmarshalJSON(raw []byte) error {
	var one string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*u = URIs{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(u))
}

// echoed are the members that are stored and given back and mean nothing here.
var echoed = []string{
	"authorization_details_types", "authorization_encrypted_response_alg", "authorization_encrypted_response_enc",
	"authorization_signed_response_alg", "backchannel_authentication_request_signing_alg",
	"backchannel_client_notification_endpoint", "backchannel_token_delivery_mode", "backchannel_user_code_parameter",
	"certificate", "developer_metadata", "fdx", "id_token_encrypted_response_alg", "id_token_encrypted_response_enc",
	"introspection_endpoint_auth_method", "obbr", "organisation_id", "privacy", "request_object_encryption_alg",
	"request_object_encryption_enc", "request_uris", "revocation_endpoint_auth_method", "saml_allowed_attributes",
	"saml_metadata", "saml_metadata_url", "saml_override_attributes", "saml_service_provider_id", "saml_signing_hash",
	"saml_subject_name_id", "saml_subject_name_id_format", "software_statement", "software_statement_payload",
	"token_exchange",
}

// plain is a Client without methods: what is stored, and the typed members on
// the wire.
type plain Client

// UnmarshalJSON reads the published type. "scopes" wins over "scope"; a missing
// token_endpoint_auth_signing_alg is ES256 (HS256 for client_secret_jwt), an
// empty one stays empty. Errors are faults that name the member.
func (c *Client) UnmarshalJSON(body []byte) error {
	var p plain
	if err := record.Decode(body, &p); err != nil {
		return err
	}
	if p.Scopes == nil {
		p.Scopes = strings.Fields(p.Scope)
	}
	if !record.Has(body, "token_endpoint_auth_signing_alg") {
		p.TokenEndpointAuthSigningAlg = "ES256"
		if p.TokenEndpointAuthMethod == "client_secret_jwt" {
			p.TokenEndpointAuthSigningAlg = "HS256"
		}
	}
	extra, err := record.Members(body, echoed)
	if err != nil {
		return err
	}
	p.Extra = extra
	*c = Client(p)
	return nil
}

// MarshalJSON writes the published type, secrets included where they are set.
func (c Client) MarshalJSON() ([]byte, error) {
	return record.Join(plain(c), c.Extra)
}

// Key returns the name of the client's workspace.
func (c *Client) Key() tenant.Key { return tenant.Key{Tenant: c.TenantID, Workspace: c.WorkspaceID} }

// Active tells whether the client may do anything at all.
func (c *Client) Active() bool { return c.ClientStatus == StatusActive }

// Public tells whether the client has no credential of its own (RFC 6749,
// section 2.1).
func (c *Client) Public() bool { return c.TokenEndpointAuthMethod == AuthNone }

// Grants tells whether the client may use a grant type.
func (c *Client) Grants(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// Bare returns a copy without secrets, such as goes into an audit event.
func (c *Client) Bare() Client {
	b := *c
	b.ClientSecret, b.RotatedSecrets, b.HashedSecret = "", nil, ""
	return b
}
