package signin

import (
	"context"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
)

// Client returns a client of the workspace, or fault.NotFound: a client of
// another workspace does not exist here. The proxy's client is in every
// workspace.
func (s *Service) Client(ctx context.Context, space *live.Space, id string) (*client.Client, error) {
	if id == ProxyClient {
		return &client.Client{
			ClientID: ProxyClient, ClientName: "Protected apps", WorkspaceID: space.ID, ClientStatus: client.StatusActive,
			GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, TokenEndpointAuthMethod: "none",
			Scopes: []string{"openid"}, Epoch: space.Epoch, Trusted: true,
		}, nil
	}
	c, err := s.Live.Client(ctx, space.Tenant, id)
	if err != nil {
		return nil, err
	}
	if c.WorkspaceID != space.ID || c.WorkspaceEpoch != space.Epoch {
		return nil, fault.New(fault.NotFound, "There is no such client.", nil)
	}
	return c, nil
}

// AllowsRedirect tells whether an authorization response for the client may go
// to uri.
func (s *Service) AllowsRedirect(space *live.Space, c *client.Client, uri string) bool {
	if c.ClientID == ProxyClient {
		return s.proxyAllows(space, uri)
	}
	return c.AllowsRedirect(uri)
}

// Credentials are how a client says who it is.
type Credentials struct {
	Client string
	Secret string
	Method string // client_secret_basic, client_secret_post or none
}

// AuthenticateClient checks a client's credentials (RFC 6749, section 2.3).
// Whatever is wrong, the answer and its cost are the same. The proxy's client
// redeems in process and never comes here.
func (s *Service) AuthenticateClient(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	bad := func(cause error) error {
		return refuse("invalid_client", "The client is unknown or its credentials are wrong.", cause)
	}
	c, err := s.Client(ctx, space, cr.Client)
	if cr.Client == ProxyClient || fault.Is(err, fault.NotFound) {
		c, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if cr.Method == client.AuthNone {
		if c == nil || c.TokenEndpointAuthMethod != "none" || !c.Active() {
			return nil, bad(err)
		}
		return c, nil
	}
	if err := client.Prove(c, cr.Secret, s.Now()); err != nil {
		return nil, err
	}
	if c.TokenEndpointAuthMethod != cr.Method {
		return nil, bad(fmt.Errorf("client %s authenticates by %s, not %s", cr.Client, c.TokenEndpointAuthMethod, cr.Method))
	}
	return c, nil
}
