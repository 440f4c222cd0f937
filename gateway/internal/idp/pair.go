package idp

import (
	"context"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// ScopeManageLogins is the one scope that the client of a custom IDP has. What
// it allows ends at the logins that this IDP handed over.
const ScopeManageLogins = "manage_logins"

// Clients makes and removes the clients of custom IDPs.
type Clients interface {
	Create(ctx context.Context, c client.Client) (client.Client, error)
	Delete(ctx context.Context, tenant, id string, rev int64) error
}

// pair makes the client by which the login page of a custom IDP speaks with us:
// a confidential one of the tenant's workspace system (published API 16.1).
func (k *Keeper) pair(ctx context.Context, p *IDP) error {
	if p.Method != Custom {
		return nil
	}
	if k.config.Clients == nil {
		return fault.At(fault.Unprocessable, "method", "custom is not available here")
	}
	made, err := k.config.Clients.Create(ctx, client.Client{
		TenantID: p.TenantID, WorkspaceID: tenant.System,
		ClientName: p.Name, Description: fmt.Sprintf("Login page of the IDP %s of workspace %s", p.ID, p.WorkspaceID),
		GrantTypes: []string{"client_credentials"}, ResponseTypes: []string{}, Scopes: []string{ScopeManageLogins},
		TokenEndpointAuthMethod: client.AuthBasic,
	})
	if err != nil {
		return fmt.Errorf("client of IDP %s: %w", p.ID, err)
	}
	p.ClientID = made.ClientID
	return nil
}

// unpair removes the client again, with its tokens.
func (k *Keeper) unpair(ctx context.Context, p *IDP) error {
	if p.Method != Custom || p.ClientID == "" || k.config.Clients == nil {
		return nil
	}
	if err := k.config.Clients.Delete(ctx, p.TenantID, p.ClientID, 0); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("client of IDP %s: %w", p.ID, err)
	}
	return nil
}
