package client

import (
	"encoding/json"
	"slices"
	"time"
)

// Service groups scopes. Its JSON is the published type Service (the published API,
// section 26).
type Service struct {
	ID                string    `json:"id"`
	TenantID          string    `json:"tenant_id"`
	WorkspaceID       string    `json:"authorization_server_id"`
	Name              string    `json:"name"`
	Description       string    `json:"description"`
	Type              string    `json:"type"` // user, oauth2, oidc, system or openbanking
	CustomAudience    string    `json:"custom_audience"`
	GatewayID         string    `json:"gateway_id"`
	System            bool      `json:"system"` // came with the workspace
	WithSpecification bool      `json:"with_specification"`
	UpdatedAt         time.Time `json:"updated_at"`

	Rev int64 `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

func (s *Service) place() place {
	return place{tenant: &s.TenantID, workspace: &s.WorkspaceID, id: &s.ID, name: &s.Name, rev: &s.Rev}
}

// Audience returns what stands for the service in a token's aud: its custom
// audience, else its id.
func (s *Service) Audience() string {
	if s.CustomAudience != "" {
		return s.CustomAudience
	}
	return s.ID
}

// Scope is what a client may ask for. Its JSON is the published type
// ScopeWithServiceID.
type Scope struct {
	ID            string          `json:"id"`
	TenantID      string          `json:"tenant_id"`
	WorkspaceID   string          `json:"authorization_server_id"`
	ServiceID     string          `json:"service_id,omitempty"`
	Name          string          `json:"name"`
	DisplayName   string          `json:"display_name"`
	Description   string          `json:"description"`
	Implicit      bool            `json:"implicit"`       // asked for although the request does not
	ImplicitGrant bool            `json:"implicit_grant"` // needs no consent
	Transient     bool            `json:"transient"`      // its grant is not kept
	Metadata      json.RawMessage `json:"metadata,omitempty"`

	Rev int64 `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

func (s *Scope) place() place {
	return place{tenant: &s.TenantID, workspace: &s.WorkspaceID, id: &s.ID, name: &s.Name, rev: &s.Rev}
}

// ScopeView is the published type ScopeWithService.
type ScopeView struct {
	Scope
	Service     *Service `json:"service,omitempty"`
	WithService bool     `json:"with_service"`
}

// Claim puts a value into tokens. Its JSON is the published type Claim.
type Claim struct {
	ID             string   `json:"id"`
	TenantID       string   `json:"tenant_id"`
	WorkspaceID    string   `json:"authorization_server_id"`
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	Type           string   `json:"type"`        // id_token, access_token or saml_assertion
	SourceType     string   `json:"source_type"` // authnCtx, client ...
	SourcePath     string   `json:"source_path"` // dotted
	Mapping        string   `json:"mapping"`     // deprecated twin of SourcePath
	Scopes         []string `json:"scopes"`      // one granted suffices; empty: always
	Opaque         bool     `json:"opaque"`      // only at userinfo and introspection
	Verified       bool     `json:"verified"`
	SAMLName       string   `json:"saml_name,omitempty"`
	SAMLNameFormat string   `json:"saml_name_format,omitempty"`

	Rev int64 `json:"-"` // revision of the record; given to an update, 0 means whatever it is
}

func (c *Claim) place() place {
	return place{tenant: &c.TenantID, workspace: &c.WorkspaceID, id: &c.ID, name: &c.Name, rev: &c.Rev}
}

// Released tells whether the granted scopes let the claim out.
func (c *Claim) Released(granted []string) bool {
	return len(c.Scopes) == 0 || slices.ContainsFunc(c.Scopes, func(s string) bool { return slices.Contains(granted, s) })
}
