package idp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The methods: what an IDP connects to (published API 16.2).
const (
	IdentityPool = "identity_pool" // an identity pool of the tenant
	OIDC         = "oidc"          // any OpenID provider
	Custom       = "custom"        // a login page of the operator's own
	Static       = "static"        // users of a sandbox
)

// The ways in which an oidc IDP authenticates at its provider.
const (
	AuthSecret = "client_secret"
	AuthKey    = "private_key_jwt"
	AuthNone   = "none"
)

// The types of a custom IDP; they mean nothing here but their predefined
// attributes.
const (
	CustomGeneric     = "generic"
	CustomCloudentity = "cloudentity"
)

const (
	maxScopes   = 50
	maxClientID = 500
	openidScope = "openid"
)

// scopeToken is RFC 6749, section 3.3.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`)

// Settings are the settings of the IDP's method; one member at most is set. The
// administration API writes that member in the place of the whole; nested, as
// here, they stand in configuration trees (published API 16.2).
type Settings struct {
	OIDC   *OIDCSettings   `json:"oidc,omitempty"`
	Custom *CustomSettings `json:"custom,omitempty"`
	Static *StaticSettings `json:"static,omitempty"`
}

// OIDCSettings say where an OpenID provider is and how to speak with it. The
// issuer is part of who the people are and never changes.
type OIDCSettings struct {
	AuthenticationMethod string   `json:"authentication_method"` // AuthSecret, AuthKey or AuthNone
	ClientID             string   `json:"client_id"`             // what the provider calls us
	GetUserInfo          bool     `json:"get_user_info"`         // ask the userinfo endpoint as well
	IssuerURL            string   `json:"issuer_url"`
	Scopes               []string `json:"scopes"` // openid is always asked for
	SendLoginHint        bool     `json:"send_login_hint"`
	UsePKCE              bool     `json:"use_pkce"` // required of the provider; used anyway where it is offered
}

// CustomSettings say where the operator's login page is.
type CustomSettings struct {
	LoginURL string `json:"login_url"`
	Type     string `json:"type"` // CustomGeneric or CustomCloudentity
}

// StaticSettings are those of a sandbox.
type StaticSettings struct {
	Hint bool `json:"hint"` // show the users' names on the login page
}

// IssuerURL returns the issuer of an oidc IDP, or "".
func (p *IDP) IssuerURL() string {
	if p.Settings.OIDC == nil {
		return ""
	}
	return p.Settings.OIDC.IssuerURL
}

// LoginURL returns the login page of a custom IDP, or "".
func (p *IDP) LoginURL() string {
	if p.Settings.Custom == nil {
		return ""
	}
	return p.Settings.Custom.LoginURL
}

// defaultName returns the label of an IDP that nobody named.
func (p *IDP) defaultName() string {
	switch p.Method {
	case OIDC:
		return hostOf(p.IssuerURL())
	case Custom:
		return hostOf(p.LoginURL())
	}
	return "Sandbox"
}

// fillMethod puts the defaults of the method's settings in, and takes those of
// other methods away.
func (p *IDP) fillMethod() {
	s := Settings{}
	switch p.Method {
	case OIDC:
		s.OIDC = cloneOr(p.Settings.OIDC)
		s.OIDC.fill()
	case Custom:
		s.Custom = cloneOr(p.Settings.Custom)
		s.Custom.LoginURL = strings.TrimSpace(s.Custom.LoginURL)
		if s.Custom.Type == "" {
			s.Custom.Type = CustomGeneric
		}
	case Static:
		s.Static = cloneOr(p.Settings.Static)
	}
	p.Settings = s
}

// cloneOr returns a copy, of the zero value when there is none: what the caller
// handed over stays theirs.
func cloneOr[T any](v *T) *T {
	var c T
	if v != nil {
		c = *v
	}
	return &c
}

func (s *OIDCSettings) fill() {
	if s.AuthenticationMethod == "" {
		s.AuthenticationMethod = AuthSecret
	}
	s.IssuerURL = normalIssuer(s.IssuerURL)
	if s.Scopes == nil {
		s.Scopes = []string{openidScope, "email", "profile"}
	}
	scopes := make([]string, 0, len(s.Scopes))
	for _, scope := range s.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	s.Scopes = scopes
}

// checkMethod reports the first member of the method's settings that breaks a
// rule.
func (p *IDP) checkMethod() error {
	if p.Method == IdentityPool {
		if p.IdentityPoolID == "" {
			return fault.At(fault.Unprocessable, "identity_pool_id", "is required")
		}
		return nil
	}
	if p.IdentityPoolID != "" {
		return fault.At(fault.Unprocessable, "identity_pool_id", "must be empty: an IDP of this method stands for no pool")
	}
	switch p.Method {
	case OIDC:
		return p.Settings.OIDC.check()
	case Custom:
		return p.Settings.Custom.check()
	case Static:
		return nil
	}
	return fault.At(fault.Unprocessable, "method", `must be "identity_pool", "oidc", "custom" or "static"`)
}

func (s *OIDCSettings) check() error {
	if err := checkIssuer("settings.issuer_url", s.IssuerURL); err != nil {
		return err
	}
	if s.ClientID == "" {
		return fault.At(fault.Unprocessable, "settings.client_id", "is required")
	}
	if err := visible("settings.client_id", s.ClientID, maxClientID); err != nil {
		return err
	}
	if err := record.OneOf("settings.authentication_method", s.AuthenticationMethod, []string{AuthSecret, AuthKey, AuthNone}); err != nil {
		return err
	}
	if len(s.Scopes) > maxScopes {
		return fault.At(fault.Unprocessable, "settings.scopes", fmt.Sprintf("must hold at most %d scopes", maxScopes))
	}
	for i, scope := range s.Scopes {
		if !scopeToken.MatchString(scope) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("settings.scopes[%d]", i), "must be a scope: visible characters without a space, \" and \\")
		}
	}
	return nil
}

func (s *CustomSettings) check() error {
	if err := checkPage("settings.login_url", s.LoginURL); err != nil {
		return err
	}
	return record.OneOf("settings.type", s.Type, []string{CustomGeneric, CustomCloudentity})
}

// predefinedMappings returns the mappings of a new IDP. Of an OpenID provider
// they are the standard claims (OpenID Connect Core, 5.1): its groups mean
// something here only when somebody says so. A login page and a sandbox are the
// operator's own, and say all that they want.
func predefinedMappings(method string) []authctx.Mapping {
	switch method {
	case OIDC:
		return slices.DeleteFunc(authctx.PredefinedMappings(), func(m authctx.Mapping) bool { return m.Target == "groups" })
	case Static:
		return []authctx.Mapping{{Source: ".", Target: ".", Type: authctx.Any, Mode: authctx.Dynamic}}
	}
	return authctx.PredefinedMappings()
}

// Base is an IDP without settings, as lists show it: the published type IDPBase.
type Base struct {
	IDP

	Settings struct{} `json:"settings,omitzero"`
}

// Bases returns IDPs as lists show them.
func Bases(list []IDP) []Base {
	out := make([]Base, len(list))
	for i := range list {
		out[i].IDP = list[i]
	}
	return out
}

// Stateful returns for how long the context of people who come by this IDP is
// kept, 0 for not at all (published API 16.3).
func (c *Configuration) Stateful() store.Duration {
	if !c.EnableStatefulCtx {
		return 0
	}
	return c.StatefulCtxDuration
}
