package signin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
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
	Client       string // may be empty beside an assertion
	Secret       string
	Method       string // client_secret_basic, client_secret_post or none; "" with an assertion
	Assertion    string
	Endpoint     string              // the address that was called, a possible audience of the assertion
	Certificates []*x509.Certificate // of the TLS connection, the client's own first
}

// errClient is the one answer to whoever is not the client they claim to be.
func errClient(cause error) error {
	return refuse("invalid_client", "The client is unknown or its credentials are wrong.", cause)
}

// AuthenticateClient checks a client's credentials (RFC 6749, section 2.3; RFC
// 7523, section 2.2; RFC 8705, section 2). Whether the client is unknown, inactive
// or has other credentials, the answer is the same; for secrets its cost is, too.
// The proxy's client redeems in process and never comes here.
func (s *Service) AuthenticateClient(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	var c *client.Client
	var err error
	switch {
	case cr.Assertion != "":
		c, err = s.byAssertion(ctx, space, cr)
	case cr.Method == client.AuthNone:
		c, err = s.withoutSecret(ctx, space, cr)
	default:
		c, err = s.bySecret(ctx, space, cr)
	}
	if err != nil || !c.CertificateBoundTokens || len(cr.Certificates) == 0 {
		return c, err
	}
	bound := *c // what the cache holds is everybody's
	bound.Thumbprint = client.CertificateThumbprint(cr.Certificates[0])
	return &bound, nil
}

// AuthMethods are the ways in which a client of the workspace may authenticate.
func (s *Service) AuthMethods(space *live.Space) []string {
	return slices.DeleteFunc(slices.Clone(space.Workspace.TokenEndpointAuthMethods), func(m string) bool {
		switch m {
		case client.AuthTLS:
			return s.ClientCAs == nil
		case client.AuthOwnTLS:
			return !s.ClientCertificates
		case client.AuthAny:
			return true
		}
		return false
	})
}

// AssertionAlgs are the algorithms by which clients of the workspace may sign
// assertions.
func (s *Service) AssertionAlgs(space *live.Space) []string {
	return slices.DeleteFunc(client.AssertionAlgs(), func(alg string) bool {
		return !slices.Contains(space.Workspace.TokenEndpointAuthSigningAlgs, alg)
	})
}

func (s *Service) methodAllowed(space *live.Space, method string) error {
	if slices.Contains(space.Workspace.TokenEndpointAuthMethods, method) {
		return nil
	}
	return refuse("invalid_client", "The workspace does not allow the authentication method "+method+" (token_endpoint_auth_methods).", nil)
}

// activeClient returns an active client, or nil when there is none.
func (s *Service) activeClient(ctx context.Context, space *live.Space, id string) (*client.Client, error) {
	c, err := s.Client(ctx, space, id)
	if id == ProxyClient || fault.Is(err, fault.NotFound) || (err == nil && !c.Active()) {
		return nil, nil
	}
	return c, err
}

// bySecret bounds guessing at secrets by the rule of limit.KindClientAuthentication,
// for each client and network, whether or not there is such a client: beyond it the
// right secret is refused as well. Only wrong ones are counted. Who has presented
// none here of late is not looked up, so that a right secret costs the store
// nothing; of a hundred guesses at the same moment each wrong one still counts.
func (s *Service) bySecret(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	if err := s.methodAllowed(space, cr.Method); err != nil {
		return nil, err
	}
	who := space.ID + "/" + cr.Client
	key := sha256.Sum256([]byte(space.Tenant + "\x00" + who + "\x00" + limit.OriginOf(ctx).Network))
	c, wrong := s.checkSecret(ctx, space, cr)
	if wrong != nil && fault.Read(wrong).Kind != fault.Unauthenticated {
		return nil, wrong
	}
	if _, before := s.wrong.GetIfPresent(key); wrong == nil && !before {
		return c, nil
	}
	s.wrong.Set(key, struct{}{})
	if err := s.Guard.Take(ctx, space.Tenant, limit.KindClientAuthentication, who); err != nil {
		return nil, err
	}
	if wrong != nil {
		return nil, wrong
	}
	s.wrong.Invalidate(key)
	return c, s.Guard.Refund(ctx, space.Tenant, limit.KindClientAuthentication, who)
}

// checkSecret returns the client whose secret was presented in the way that it uses.
func (s *Service) checkSecret(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	c, err := s.activeClient(ctx, space, cr.Client)
	if err != nil {
		return nil, err
	}
	if err := client.Prove(c, cr.Secret, s.Now()); err != nil {
		return nil, err
	}
	if m := c.TokenEndpointAuthMethod; m != cr.Method && m != client.AuthAny {
		return nil, errClient(fmt.Errorf("client %s authenticates by %s, not %s", cr.Client, m, cr.Method))
	}
	return c, nil
}

// withoutSecret is for clients that name themselves only: public ones, and those
// whose TLS certificate speaks for them.
func (s *Service) withoutSecret(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	c, err := s.activeClient(ctx, space, cr.Client)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errClient(fmt.Errorf("client %q is unknown or inactive", cr.Client))
	}
	switch c.TokenEndpointAuthMethod {
	case client.AuthNone:
	case client.AuthTLS:
		err = c.ProveSubject(cr.Certificates, s.ClientCAs, s.Now())
	case client.AuthOwnTLS:
		err = s.ClientKeys.VerifyCertificate(ctx, c, cr.Certificates, s.Now())
	default:
		err = fmt.Errorf("client %s authenticates by %s", cr.Client, c.TokenEndpointAuthMethod)
	}
	if err != nil {
		return nil, errClient(err)
	}
	return c, s.methodAllowed(space, c.TokenEndpointAuthMethod)
}
