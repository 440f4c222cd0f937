package idp

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// version of the published type (admin.yaml, IDPBase).
const version = 3

// IDP is one connection of a workspace to a source of identities. Its JSON is
// the published type IDPBase with the settings nested under their method
// (published API 16.2); credentials are never part of it. IDPs from a keeper have
// every default filled in and are the caller's own.
type IDP struct {
	ID             string `json:"id"`
	TenantID       string `json:"tenant_id"`
	WorkspaceID    string `json:"authorization_server_id"` // the workspace it belongs to
	Name           string `json:"name"`                    // label of its button
	Method         string `json:"method"`
	IdentityPoolID string `json:"identity_pool_id"`
	ClientID       string `json:"client_id"`    // of the client paired with it; not the caller's to set
	OtherWorkspace string `json:"workspace_id"` // stored and given back
	Hidden         bool   `json:"hidden"`       // not on the chooser; discovery, idp_hint and scripts reach it
	Disabled       bool   `json:"disabled"`     // not usable at all
	DisplayOrder   int64  `json:"display_order"`
	LogoURI        string `json:"logo_uri"`
	Version        int64  `json:"version"`

	StaticAMR  []string            `json:"static_amr"` // when not empty, replaces amr
	Attributes []authctx.Attribute `json:"attributes"` // absent: predefined
	Mappings   []authctx.Mapping   `json:"mappings"`   // absent: predefined

	Settings       Settings        `json:"settings,omitzero"` // of its method; none for an identity pool
	Discovery      Discovery       `json:"discovery_settings"`
	JIT            json.RawMessage `json:"jit"` // an object, given back as it came: see Provisioning
	SSO            SSO             `json:"sso_settings"`
	Configuration  Configuration   `json:"config"`
	PostAuthnAppID *string         `json:"post_authn_app_id"` // nil: none
	TokenExchange  TokenExchange   `json:"token_exchange_settings"`

	// Credentials are what a write gives, and what Reveal opens. Whatever a write
	// leaves out stays as it was.
	Credentials *Credentials `json:"-"`
	Sealed      string       `json:"-"` // the credentials as they are stored

	Epoch          string `json:"-"` // random; another one after a deletion and a new creation
	WorkspaceEpoch string `json:"-"` // of its workspace when it was made
	PoolEpoch      string `json:"-"` // of its pool when it was made
	Rev            int64  `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

// Discovery says which identifiers lead to this IDP.
type Discovery struct {
	Domains                 []string `json:"domains"` // of e-mail addresses, lower case
	InstantRedirect         bool     `json:"instant_redirect"`
	FallbackProvider        bool     `json:"fallback_provider"`
	IdentifierBasedMatching bool     `json:"identifier_based_matching"`
}

// SSO lets an IDP stay out of the workspace's single sign-on.
type SSO struct {
	Disabled bool `json:"disabled"`
}

// Configuration holds the IDP's switches. The last two belong to an older
// edition of the API and are written only when they are set (published API 16.3).
type Configuration struct {
	ReloadClaimsAtRefreshToken bool           `json:"reload_claims_at_refresh_token"`
	UseEmbedded                bool           `json:"use_embedded"`
	EnableStatefulCtx          bool           `json:"enable_stateful_ctx,omitempty"`
	StatefulCtxDuration        store.Duration `json:"stateful_ctx_duration,omitempty"`
}

// TokenExchange says whether tokens of this IDP may be exchanged.
type TokenExchange struct {
	Enabled bool `json:"enabled"`
}

// PostAuthnApp returns the id of the custom app to visit after authentication,
// or "".
func (p *IDP) PostAuthnApp() string {
	if p.PostAuthnAppID == nil {
		return ""
	}
	return *p.PostAuthnAppID
}

// fill puts the defaults in (published API 16.2). An empty list of attributes or
// mappings is a choice and stays.
func (p *IDP) fill() {
	if p.ID == "" {
		p.ID = vault.NewID()
	}
	if p.Method == "" {
		p.Method = IdentityPool
	}
	p.Version = version
	p.Name = strings.TrimSpace(p.Name)
	if p.StaticAMR == nil {
		p.StaticAMR = []string{}
	}
	if p.Attributes == nil {
		p.Attributes = authctx.Predefined()
	}
	p.fillMethod()
	p.fillMappings()
	p.fillDomains()
	if len(p.JIT) == 0 || string(p.JIT) == "null" {
		p.JIT = json.RawMessage(`{"enabled":false}`)
	}
	if p.PostAuthnApp() == "" {
		p.PostAuthnAppID = nil
	}
}

func (p *IDP) fillMappings() {
	if p.Mappings == nil {
		p.Mappings = predefinedMappings(p.Method)
		return
	}
	p.Mappings = slices.Clone(p.Mappings)
	for i := range p.Mappings {
		if p.Mappings[i].Mode == "" {
			p.Mappings[i].Mode = authctx.Dynamic
		}
	}
}

func (p *IDP) fillDomains() {
	domains := make([]string, 0, len(p.Discovery.Domains))
	for _, d := range p.Discovery.Domains {
		d = strings.ToLower(strings.TrimSpace(d))
		if !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	p.Discovery.Domains = domains
}
