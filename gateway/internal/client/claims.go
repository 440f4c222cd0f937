package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Values of a claim's members.
const (
	ClaimIDToken     = "id_token"
	ClaimAccessToken = "access_token"
	SourceContext    = "authnCtx"
	SourceClient     = "client" // a path in the client as the API shows it
)

var claimTypes = []string{ClaimIDToken, ClaimAccessToken, "saml_assertion"}

// protected are the claims that say what a token is, the gateway's own "clm",
// "person" and "via" among them.
var protected = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid", "cnf", "act",
	"client_id", "scope", "scp", "tid", "aid", "idp", "idp_method", "idp_sub", "pool_id", "grant_id", "acr", "amr", "st", "clm", "person", "via",
}

// Protected tells whether a claim says what a token is: no definition sets it. Of a
// dotted name the head counts, since what is nested lands in it.
func Protected(name string) bool {
	head, _, _ := strings.Cut(name, ".")
	return slices.Contains(protected, head)
}

// Claims keeps claims. Safe for concurrent use.
type Claims struct {
	shelf *shelf[Claim, *Claim]
}

// check fills in the deprecated twin and reports the first member that breaks a
// rule.
func (c *Claim) check() error {
	if c.SourcePath == "" && c.Mapping != "" {
		c.SourcePath = c.Mapping
		if c.SourceType == "" {
			c.SourceType = SourceContext
		}
	}
	c.Mapping = ""
	if c.SourceType == SourceContext {
		c.Mapping = c.SourcePath
	}
	if c.Scopes == nil {
		c.Scopes = []string{}
	}
	for _, r := range []struct{ field, value string }{
		{"name", c.Name}, {"type", c.Type}, {"source_type", c.SourceType}, {"source_path", c.SourcePath},
	} {
		if r.value == "" {
			return fault.At(fault.Unprocessable, r.field, "is required")
		}
		if err := record.Text(r.field, r.value, 200); err != nil {
			return err
		}
		if strings.ContainsAny(r.value, "\r\n\t") {
			return fault.At(fault.Unprocessable, r.field, "must be one line")
		}
	}
	if err := record.OneOf("type", c.Type, claimTypes); err != nil {
		return err
	}
	if Protected(c.Name) {
		return fault.At(fault.Unprocessable, "name", fmt.Sprintf("%q says what a token is and cannot be set by a claim", c.Name))
	}
	for i, s := range c.Scopes {
		if !scopeToken.MatchString(s) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("scopes[%d]", i), "is not a scope (RFC 6749, section 3.3)")
		}
	}
	if err := few("scopes", c.Scopes); err != nil {
		return err
	}
	return record.Text("description", c.Description, record.MaxText)
}

// Create stores a new claim; without an id it gets a random one. Errors:
// Unprocessable, NotFound for the workspace, Conflict for a taken id or a name
// that the workspace has for this type of token.
func (k *Claims) Create(ctx context.Context, c Claim) (Claim, error) {
	if err := c.check(); err != nil {
		return Claim{}, err
	}
	w, err := k.shelf.workspace(ctx, &c)
	if err != nil {
		return Claim{}, err
	}
	if err := k.fits(ctx, &w, &c); err != nil {
		return Claim{}, err
	}
	if c.ID == "" {
		c.ID = vault.NewID()
	}
	return k.shelf.create(ctx, &w, c)
}

func (k *Claims) fits(ctx context.Context, w *tenant.Workspace, c *Claim) error {
	all, err := k.shelf.all(ctx, w, "name")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(o Claim) bool { return o.Name == c.Name && o.Type == c.Type && o.ID != c.ID }) {
		return fault.At(fault.Conflict, "name", "is the name of another claim of this type in this workspace")
	}
	return nil
}

// Get returns a claim of a tenant.
func (k *Claims) Get(ctx context.Context, tenantID, id string) (Claim, error) {
	return k.shelf.get(ctx, tenantID, id)
}

// Update replaces a claim.
func (k *Claims) Update(ctx context.Context, c Claim) (Claim, error) {
	if err := c.check(); err != nil {
		return Claim{}, err
	}
	old, err := k.Get(ctx, c.TenantID, c.ID)
	if err != nil {
		return Claim{}, err
	}
	w, err := k.shelf.config.Workspace(ctx, old.place().key())
	if err != nil {
		return Claim{}, err
	}
	if err := k.fits(ctx, &w, &c); err != nil {
		return Claim{}, err
	}
	return k.shelf.update(ctx, c, func(*Claim, *Claim) error { return nil })
}

// Delete removes a claim at revision rev, or whatever it is when rev is 0.
func (k *Claims) Delete(ctx context.Context, tenantID, id string, rev int64) error {
	c, err := k.Get(ctx, tenantID, id)
	if err != nil {
		return err
	}
	return k.shelf.remove(ctx, c, rev)
}

// All returns every claim of a workspace by name.
func (k *Claims) All(ctx context.Context, key tenant.Key) ([]Claim, error) {
	return k.shelf.of(ctx, key)
}
