package live

import (
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
)

// Space is a workspace as sign-ins and tokens need it. It is shared and must
// not be changed.
type Space struct {
	Tenant string
	ID     string
	Name   string
	Epoch  string

	Workspace   tenant.Workspace
	EnforcePKCE bool
	IDPs        []idp.IDP               // enabled ones, in the order of the chooser
	Scopes      map[string]client.Scope // by name
	Claims      []client.Claim
}

// Token names the workspace as an issuer.
func (s *Space) Token() token.Workspace {
	return token.Workspace{Tenant: s.Tenant, ID: s.ID, Epoch: s.Epoch, KeyType: s.Workspace.KeyType}
}

// BuiltIn tells whether the workspace is one that a tenant always has.
func (s *Space) BuiltIn() bool { return s.Workspace.Builtin() }

// IDP returns an enabled IDP of the workspace.
func (s *Space) IDP(id string) (idp.IDP, bool) {
	i := slices.IndexFunc(s.IDPs, func(p idp.IDP) bool { return p.ID == id })
	if i < 0 {
		return idp.IDP{}, false
	}
	return s.IDPs[i], true
}

// MaxLife bounds every lifetime here: a revocation is remembered for as long,
// and nothing may outlive its revocation.
const MaxLife = 400 * 24 * time.Hour

// CodeTTL returns how long a client's authorization codes live.
func (s *Space) CodeTTL(c *client.Client) time.Duration {
	return ttl(c, c.TokenTTLs.AuthorizationCode, s.Workspace.AuthorizationCodeTTL, 10*time.Minute)
}

// AccessTTL returns how long a client's access tokens live.
func (s *Space) AccessTTL(c *client.Client) time.Duration {
	return ttl(c, c.TokenTTLs.AccessToken, s.Workspace.AccessTokenTTL, time.Hour)
}

// IDTTL returns how long a client's ID tokens live.
func (s *Space) IDTTL(c *client.Client) time.Duration {
	return ttl(c, c.TokenTTLs.IDToken, s.Workspace.IDTokenTTL, time.Hour)
}

// RefreshTTL returns how long a client's grants can be refreshed.
func (s *Space) RefreshTTL(c *client.Client) time.Duration {
	return ttl(c, c.TokenTTLs.RefreshToken, s.Workspace.RefreshTokenTTL, 720*time.Hour)
}

func ttl[D ~int64](c *client.Client, own, space D, def time.Duration) time.Duration {
	switch {
	case c.UseCustomTokenTTLs && own > 0:
		def = time.Duration(own)
	case space > 0:
		def = time.Duration(space)
	}
	return min(def, MaxLife)
}
