package signin

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
)

func (s *Service) byAssertion(ctx context.Context, space *live.Space, cr Credentials) (*client.Client, error) {
	a, err := s.readAssertion(space, cr.Assertion, cr.Endpoint)
	if err != nil {
		return nil, refuse("invalid_client", fault.Read(err).Public, err)
	}
	if cr.Client != "" && cr.Client != a.Subject {
		return nil, refuse("invalid_client", "client_id in the body is not the sub of the assertion.", nil)
	}
	if err := s.methodAllowed(space, a.Method()); err != nil {
		return nil, err
	}
	c, err := s.activeClient(ctx, space, a.Subject)
	if err != nil {
		return nil, err
	}
	if c == nil || c.TokenEndpointAuthMethod != a.Method() {
		return nil, errClient(fmt.Errorf("no client %q authenticates by %s", a.Subject, a.Method()))
	}
	if err := s.signed(ctx, c, a); err != nil {
		return nil, err
	}
	return c, s.spendAssertion(ctx, c, a, "invalid_client")
}

// readAssertion parses an assertion and checks everything but who signed it: the
// workspace must allow its algorithm (token_endpoint_auth_signing_alg_values). Its
// audience is the issuer, the token endpoint or the address that was called.
func (s *Service) readAssertion(space *live.Space, raw, endpoint string) (*client.Assertion, error) {
	a, err := client.ParseAssertion(raw)
	if err != nil {
		return nil, err
	}
	if alg := a.Algorithm(); !slices.Contains(s.AssertionAlgs(space), alg) {
		return nil, fault.New(fault.Unauthenticated, "The workspace does not allow assertions signed by "+alg+" (token_endpoint_auth_signing_alg_values).", nil)
	}
	audiences := []string{s.Tokens.Issuer(space.Tenant, space.ID), s.Base + "/" + space.Tenant + "/" + space.ID + "/oauth2/token"}
	if endpoint != "" {
		audiences = append(audiences, endpoint)
	}
	return a, a.Check(audiences, s.Now())
}

// signed checks that the client made an assertion, by the algorithm that it
// registered.
func (s *Service) signed(ctx context.Context, c *client.Client, a *client.Assertion) error {
	if alg := c.TokenEndpointAuthSigningAlg; alg != "" && alg != a.Algorithm() {
		return errClient(fmt.Errorf("client %s signs by %s, not %s", c.ClientID, alg, a.Algorithm()))
	}
	if a.Method() == client.AuthKeyJWT {
		if err := s.ClientKeys.Verify(ctx, c, a); err != nil {
			return errClient(err)
		}
		return nil
	}
	secrets, err := s.ClientSecrets(ctx, c)
	if err != nil {
		return err
	}
	if len(secrets) == 0 {
		return refuse("invalid_client", "client_secret_jwt needs the client's secret, and only a hash of it is kept "+
			"(client_secrets_stored_as_one_way_hash): use private_key_jwt.", nil)
	}
	if err := a.VerifySecret(secrets); err != nil {
		return errClient(err)
	}
	return nil
}

// spendAssertion lets an assertion be used once, whatever for.
func (s *Service) spendAssertion(ctx context.Context, c *client.Client, a *client.Assertion, code string) error {
	fresh, err := s.Once.Use(ctx, c.TenantID, "assertion "+c.ClientID, a.ID, a.Expires.Add(client.AssertionLeeway))
	if err == nil && !fresh {
		err = refuse(code, "The assertion was used before: each needs a jti of its own.", nil)
	}
	return err
}

// Vouch takes an assertion as an authorization grant (RFC 7523, section 2.1): c,
// which has authenticated, signed it by its registered keys. It returns the sub,
// which is the client itself. Every refusal is invalid_grant.
func (s *Service) Vouch(ctx context.Context, space *live.Space, c *client.Client, raw string) (string, error) {
	a, err := s.readAssertion(space, raw, "")
	if err != nil {
		return "", refuse("invalid_grant", fault.Read(err).Public, err)
	}
	if a.Subject != c.ClientID {
		return "", refuse("invalid_grant", "The assertion must have iss and sub "+c.ClientID+": nobody vouches for a person here.", nil)
	}
	if err := s.ClientKeys.Verify(ctx, c, a); err != nil {
		return "", refuse("invalid_grant", "No key in the client's jwks or jwks_uri made the assertion's signature.", err)
	}
	return a.Subject, s.spendAssertion(ctx, c, a, "invalid_grant")
}
