package client

import (
	"context"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// bundle is a service with its scopes that comes with a workspace.
type bundle struct {
	id, name, kind string // the service's id is {workspace}-{id}
	scopes         []label
}

// label is a scope and what a person who is asked for consent reads.
type label struct{ name, display, description string }

// bundles are what every workspace starts with (published API, section 26). The
// published list does not say which service has the self-service scopes.
var bundles = []bundle{
	{"oauth2", "OAuth 2.0", ServiceOAuth2, []label{
		{"introspect_tokens", "Introspect tokens", "Ask whether a token is valid and whose it is"},
		{"revoke_tokens", "Revoke tokens", "Make tokens invalid"},
		{"list_clients_with_access", "List connected applications", "See the applications that have access to your account"},
		{"revoke_client_access", "Disconnect applications", "Take access to your account away from applications"},
		{"dcr_register", "Register clients", "Register applications dynamically"},
		{"dcr_manage", "Manage registered clients", "Manage dynamically registered applications"},
	}},
	{"profile", "Profile", ServiceOIDC, []label{
		{"openid", "Sign-in", "Know who you are"},
		{"email", "E-mail", "See your e-mail address"},
		{"profile", "Profile", "See your profile, such as your name and picture"},
		{"address", "Address", "See your postal address"},
		{"phone", "Phone", "See your phone number"},
		{"offline_access", "Offline access", "Stay connected while you are away"},
	}},
	{"user-privacy-consent", "User privacy and consent", ServiceSystem, []label{
		{"manage_consents", "Manage consents", "Change what you have agreed to"},
		{"view_consents", "View consents", "See what you have agreed to"},
	}},
	{"transient-one-time-passwords", "Transient one-time passwords", ServiceSystem, []label{
		{"transient_otp", "Transient one-time passwords", "Use one-time passwords that are not kept"},
	}},
	{"self-service", "Self service", ServiceSystem, []label{
		{"view_ss_profile", "View your account", "See your account"},
		{"manage_ss_profile", "Manage your account", "Change your account and how you sign in"},
		{"view_sessions", "View sessions", "See where you are signed in"},
		{"manage_sessions", "Manage sessions", "Sign you out elsewhere"},
		{"manage_tokens", "Manage tokens", "Take back what applications were given"},
	}},
}

// administration are the scopes of the operations that take a token of the
// workspace system: every system:SCOPE of the published API that a workspace has not
// already.
var administration = []label{
	{"identity", "Identity pools", "Manage users and identity pools"},
	{"identity_self_registration", "Self registration", "Generate codes for users"},
	{"manage_configuration", "Manage configuration", "Import and change the configuration"},
	{"read_configuration", "Read configuration", "Export the configuration"},
	{"manage_logins", "Manage logins", "Answer for a custom login page"},
	{"manage_scope_grants", "Manage scope grants", "Answer for a custom consent page"},
	{"manage_post_authn", "Manage post-authentication", "Answer for a post-authentication application"},
	{"view_clients", "View clients", "Read clients"},
	{"manage_clients", "Manage clients", "Rotate and revoke secrets of clients"},
	{"manage_servers", "Manage workspaces", "Delete workspaces"},
	{"view_audit_events", "View audit events", "Read the audit log"},
	{"view_scopes", "View scopes", "Read scopes"},
	{"manage_secrets", "Manage secrets", "Write secrets of scripts"},
	{"read_secrets", "Read secrets", "Read secrets of scripts"},
}

// root are the scopes for operations on tenants. The published API asks for no
// scope there; ours are needed so that not every client of the root tenant's
// workspace system rules over all tenants.
var root = []label{
	{"manage_tenants", "Manage tenants", "Create, change and delete tenants"},
	{"view_tenants", "View tenants", "Read tenants"},
}

// SystemScopes returns the scopes of the administration operations that the
// workspace system of a tenant offers, oauth2's revoke_tokens among them.
func SystemScopes(tenantID string) []string {
	names := []string{"revoke_tokens"}
	for _, s := range system(tenantID).scopes {
		names = append(names, s.name)
	}
	return names
}

func system(tenantID string) bundle {
	b := bundle{"system", "System", ServiceSystem, administration}
	if tenantID == tenant.Root {
		b.scopes = slices.Concat(administration, root)
	}
	return b
}

// Defaults returns what a workspace of a type starts with.
func Defaults(tenantID, workspaceID, typ string) ([]Service, []Scope, []Claim) {
	list := bundles
	if typ == tenant.TypeSystem {
		list = append(slices.Clone(bundles), system(tenantID))
	}
	var services []Service
	var scopes []Scope
	for _, b := range list {
		id := workspaceID + "-" + b.id
		services = append(services, Service{
			ID: id, TenantID: tenantID, WorkspaceID: workspaceID, Name: b.name, Type: b.kind, System: true,
		})
		for _, s := range b.scopes {
			scopes = append(scopes, Scope{
				ID: workspaceID + "-" + s.name, TenantID: tenantID, WorkspaceID: workspaceID, ServiceID: id,
				Name: s.name, DisplayName: s.display, Description: s.description, Transient: s.name == "transient_otp",
			})
		}
	}
	return services, scopes, defaultClaims(tenantID, workspaceID)
}

// defaultClaims puts the predefined attributes into ID tokens, each released by
// the scope of OpenID Connect Core 1.0, section 5.4.
func defaultClaims(tenantID, workspaceID string) []Claim {
	var list []Claim
	for _, a := range tenant.Attributes() {
		scope := "profile"
		switch {
		case slices.Contains([]string{"sub", "scp", "groups", "idp_sub", "customer_id"}, a.Name):
			continue
		case strings.HasPrefix(a.Name, "email"):
			scope = "email"
		case strings.HasPrefix(a.Name, "phone_number"):
			scope = "phone"
		case strings.HasPrefix(a.Name, "address."):
			scope = "address"
		}
		list = append(list, Claim{
			ID: workspaceID + "-id_token-" + a.Name, TenantID: tenantID, WorkspaceID: workspaceID,
			Name: a.Name, Type: ClaimIDToken, SourceType: SourceContext, SourcePath: a.Name, Mapping: a.Name, Scopes: []string{scope},
		})
	}
	return list
}

// Seed stores what a new workspace starts with. It may be repeated after a
// failure; what is there already stays as it is.
func (k *Keeper) Seed(ctx context.Context, w *tenant.Workspace) error {
	services, scopes, claims := Defaults(w.TenantID, w.ID, w.Type)
	now := k.Services.now()
	for i := range services {
		services[i].UpdatedAt = now
	}
	renamed, err := k.Services.shelf.seed(ctx, w, services)
	if err != nil {
		return err
	}
	for i := range scopes {
		if id, ok := renamed[scopes[i].ServiceID]; ok {
			scopes[i].ServiceID = id
		}
	}
	if _, err := k.Scopes.shelf.seed(ctx, w, scopes); err != nil {
		return err
	}
	if _, err := k.Claims.shelf.seed(ctx, w, claims); err != nil {
		return err
	}
	return k.Clients.config.changed(ctx, changes.KindWorkspace, w.Key(), w.ID)
}
