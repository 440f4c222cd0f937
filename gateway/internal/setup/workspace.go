package setup

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Grant types with long names (RFC 7523, section 8.1; RFC 8693, section 2.1; RFC
// 8628, section 3.4).
const (
	grantJWT      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantDevice   = "urn:ietf:params:oauth:grant-type:device_code"
)

// Scopes of a client through which people sign in, and of one in which they
// look after themselves.
var (
	signInScopes  = []string{"openid", "profile", "email", "offline_access"}
	selfScopes    = []string{"view_ss_profile", "manage_ss_profile", "view_sessions", "manage_sessions", "manage_tokens"}
	personGrants  = []string{"authorization_code", "refresh_token"}
	machineGrants = []string{"client_credentials", grantJWT, grantExchange}
	// everyGrant is what the default workspace offers: all that there is.
	everyGrant    = slices.Concat(personGrants, machineGrants, []string{grantDevice})
	loopbackURIs  = client.URIs{"http://127.0.0.1/callback", "http://localhost/callback", "http://[::1]/callback"}
	codeResponses = []string{"code"}
)

// Workspace creates a workspace in w.TenantID with the services, scopes, claims
// and portal client that it comes with, with withDemoClient also a client to try
// sign-ins with. Without an id it gets one made of its name. Errors: NotFound
// for the tenant, Unprocessable, Conflict for a taken id. After any other error
// nothing is left; where even that could not be done, Finish completes the
// workspace.
func (s *Setup) Workspace(ctx context.Context, w tenant.Workspace, withDemoClient bool) (made tenant.Workspace, err error) {
	list := ids(w.ID, w.Name)
	for i, id := range list {
		w.ID = id
		made, err = s.tryWorkspace(ctx, w, withDemoClient)
		if i == len(list)-1 || !tryNext(err) {
			break
		}
	}
	return made, err
}

func (s *Setup) tryWorkspace(ctx context.Context, w tenant.Workspace, withDemoClient bool) (tenant.Workspace, error) {
	if err := record.ID("id", w.ID); err != nil {
		return tenant.Workspace{}, err
	}
	if err := record.ID("tenant_id", w.TenantID); err != nil {
		return tenant.Workspace{}, err
	}
	if _, err := s.config.Tenants.Workspaces.Get(ctx, w.Key()); !gone(err) {
		return tenant.Workspace{}, taken(err, "workspace")
	}
	end, err := s.begin(ctx, note{Tenant: w.TenantID, Workspace: w.ID, Demo: withDemoClient})
	if err != nil {
		return tenant.Workspace{}, err
	}
	made, err := s.config.Tenants.Workspaces.Create(ctx, w)
	if made.Epoch == "" {
		return tenant.Workspace{}, s.refused(ctx, err, end)
	}
	if err == nil {
		_, err = s.furnish(ctx, &made, withDemoClient)
	}
	if err == nil {
		err = end(ctx)
	}
	if err != nil {
		return tenant.Workspace{}, s.undo(ctx, err, end, func(ctx context.Context) error {
			return s.config.Tenants.Workspaces.Delete(ctx, made.Key(), made.Rev)
		})
	}
	return made, nil
}

// workspace returns a workspace that every new tenant has, and makes it where it
// is missing.
func (s *Setup) workspace(ctx context.Context, w tenant.Workspace) (tenant.Workspace, error) {
	found, err := s.config.Tenants.Workspaces.Get(ctx, w.Key())
	if !gone(err) {
		return found, err
	}
	create := s.config.Tenants.Workspaces.CreateBuiltin
	if w.ID == defaultID {
		w.Name, create = "Default", s.config.Tenants.Workspaces.Create
		w.GrantTypes = slices.Clone(everyGrant)
	}
	made, err := create(ctx, w)
	if fault.Is(err, fault.Conflict) { // somebody else makes the same
		return s.config.Tenants.Workspaces.Get(ctx, w.Key())
	}
	return made, err
}

// furnish makes what belongs to a workspace of any type where it is missing, and
// returns the clients among that.
func (s *Setup) furnish(ctx context.Context, w *tenant.Workspace, withDemoClient bool) ([]client.Client, error) {
	if err := s.config.Clients.Seed(ctx, w); err != nil {
		return nil, err
	}
	wanted := []client.Client{s.portal(w)}
	if withDemoClient {
		wanted = append(wanted, demoClient(w, derived(w, "demo"), "Demo client"))
	}
	clients := make([]client.Client, 0, 2)
	for _, want := range wanted {
		c, err := s.client(ctx, want, true)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// PortalID returns the id of the client of a workspace's user portal.
func PortalID(w *tenant.Workspace) string { return derived(w, "portal") }

// portal is the client of a workspace's user portal.
func (s *Setup) portal(w *tenant.Workspace) client.Client {
	return client.Client{
		ClientID: PortalID(w), TenantID: w.TenantID, WorkspaceID: w.ID, ClientName: "User portal",
		Description: "Where people see and change their own account.", System: true, Trusted: true,
		TokenEndpointAuthMethod: client.AuthNone, GrantTypes: personGrants, ResponseTypes: codeResponses,
		RedirectURIs: client.URIs{
			s.config.Base + "/" + w.TenantID + "/" + w.ID + "/app",
			s.config.Base + "/" + w.TenantID + "/" + w.ID + "/device", // comes back from the sign-in, too
		},
		Scopes: slices.Concat(signInScopes[:3], selfScopes),
	}
}

// demoClient is a public client for a program on the machine of whoever tries it
// (RFC 8252): its redirect URIs hold any port.
func demoClient(w *tenant.Workspace, id, name string) client.Client {
	return client.Client{
		ClientID: id, TenantID: w.TenantID, WorkspaceID: w.ID, ClientName: name,
		Description: "For trying out sign-ins.", ApplicationType: client.Native, Trusted: true,
		TokenEndpointAuthMethod: client.AuthNone, GrantTypes: personGrants, ResponseTypes: codeResponses,
		RedirectURIs: slices.Clone(loopbackURIs), PostLogoutRedirectURIs: slices.Clone(loopbackURIs), Scopes: signInScopes,
	}
}

// derived returns the id of a client that a workspace comes with, in the style
// of generated ones. It follows from the epoch, so that whoever completes the
// workspace makes the same client, and from nothing that somebody else could
// have taken before.
func derived(w *tenant.Workspace, purpose string) string {
	sum := sha256.Sum256([]byte(w.Epoch + "/" + purpose))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:12]))
}

// client returns a client with its secret, and makes it where it is missing.
// With renew, addresses and scopes follow want.
func (s *Setup) client(ctx context.Context, want client.Client, renew bool) (client.Client, error) {
	c, err := s.config.Clients.Clients.Find(ctx, want.Key(), want.ClientID)
	if gone(err) {
		c, err = s.config.Clients.Clients.Create(ctx, want)
		if err == nil {
			return c, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return client.Client{}, err
		}
		conflict := err
		if c, err = s.config.Clients.Clients.Find(ctx, want.Key(), want.ClientID); gone(err) {
			err = conflict // another workspace has it
		}
	}
	if err != nil {
		return client.Client{}, err
	}
	if renew {
		if c, err = s.renew(ctx, c, want); err != nil {
			return client.Client{}, err
		}
	}
	return c, s.reveal(ctx, &c)
}

// renew gives a client the addresses and scopes of want.
func (s *Setup) renew(ctx context.Context, c, want client.Client) (client.Client, error) {
	if same(c.Scopes, want.Scopes) && same(c.RedirectURIs, want.RedirectURIs) {
		return c, nil
	}
	c.Scopes, c.RedirectURIs, c.PostLogoutRedirectURIs = want.Scopes, want.RedirectURIs, want.PostLogoutRedirectURIs
	next, err := s.config.Clients.Clients.Update(ctx, c)
	if fault.Is(err, fault.Stale) { // another gateway does the same
		return s.config.Clients.Clients.Find(ctx, want.Key(), want.ClientID)
	}
	return next, err
}

func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// reveal sets the secret of a client that was there already. Where only its hash
// is kept nobody can tell it, so the client gets another one.
func (s *Setup) reveal(ctx context.Context, c *client.Client) error {
	if c.Public() {
		return nil
	}
	if err := s.config.Clients.Clients.Reveal(ctx, c); err != nil || c.ClientSecret != "" {
		return err
	}
	secret, next, err := s.config.Clients.Clients.Rotate(ctx, c.TenantID, c.ClientID, 0, 0)
	if err != nil {
		return err
	}
	*c = next
	c.ClientSecret = secret
	return nil
}
