package openid

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// client returns the client that a request to the token endpoint, or to another
// one where clients authenticate, comes from (RFC 6749, section 2.3). f is the
// body of the request.
func (h *Handler) client(ctx context.Context, c *fiber.Ctx, space *live.Space, f form) (*client.Client, error) {
	cred, err := readCredentials(web.Header(c, "Authorization"), f)
	if err != nil {
		return nil, err
	}
	cred.Endpoint = h.Signin.Base + web.Read(c).Path
	cred.Certificates = web.Certificates(c)
	ctx = limit.WithOrigin(ctx, limit.Origin{Network: limit.Network(web.Read(c).ClientIP)})
	return h.Signin.AuthenticateClient(ctx, space, cred)
}

// readCredentials takes the client's credentials from the Authorization header
// or the body, never from the query, and from one place only (RFC 6749, section
// 2.3.1).
func readCredentials(authorization string, f form) (signin.Credentials, error) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	switch {
	case f.get("client_assertion") != "" || f.get("client_assertion_type") != "":
		return readAssertion(authorization, f)
	case authorization == "":
		c := signin.Credentials{Client: f.get("client_id"), Secret: f.get("client_secret"), Method: client.AuthNone}
		if c.Secret != "" {
			c.Method = client.AuthPost
		}
		if c.Client == "" {
			return c, unauthenticated("The client did not authenticate: send HTTP Basic, or client_id in the body.")
		}
		return c, nil
	case !strings.EqualFold(scheme, "Basic"):
		return signin.Credentials{}, unauthenticated("The Authorization header must be HTTP Basic here.")
	case f.get("client_secret") != "":
		return signin.Credentials{}, refuse("invalid_request", "The client authenticated twice: by HTTP Basic and in the body.", nil)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return signin.Credentials{}, unauthenticated("The Basic credentials are not base64.")
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return signin.Credentials{}, unauthenticated("The Basic credentials have no colon.")
	}
	c := signin.Credentials{Method: client.AuthBasic}
	if c.Client, err = url.QueryUnescape(id); err != nil {
		return c, unauthenticated("The Basic user name is not form-urlencoded.")
	}
	if c.Secret, err = url.QueryUnescape(secret); err != nil {
		return c, unauthenticated("The Basic password is not form-urlencoded.")
	}
	if body := f.get("client_id"); body != "" && body != c.Client {
		return c, refuse("invalid_request", "client_id in the body is not the client that authenticated.", nil)
	}
	return c, nil
}

// assertionType is the only kind of client assertion (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func readAssertion(authorization string, f form) (signin.Credentials, error) {
	switch {
	case authorization != "" || f.get("client_secret") != "":
		return signin.Credentials{}, refuse("invalid_request", "The client authenticated twice: by a client_assertion and by a secret.", nil)
	case f.get("client_assertion_type") != assertionType:
		return signin.Credentials{}, unauthenticated("client_assertion_type must be " + assertionType + ".")
	case f.get("client_assertion") == "":
		return signin.Credentials{}, unauthenticated("client_assertion is missing.")
	}
	return signin.Credentials{Client: f.get("client_id"), Assertion: f.get("client_assertion")}, nil
}

// describeClients says in the discovery document how clients authenticate and
// register.
func (h *Handler) describeClients(ctx context.Context, space *live.Space, doc map[string]any) error {
	methods := h.Signin.AuthMethods(space)
	var algs []string
	for _, alg := range h.Signin.AssertionAlgs(space) {
		method := client.AuthKeyJWT
		if alg == "HS256" {
			method = client.AuthSecretJWT
		}
		if slices.Contains(methods, method) {
			algs = append(algs, alg)
		}
	}
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		doc[endpoint+"_endpoint_auth_methods_supported"] = methods
		if len(algs) > 0 {
			doc[endpoint+"_endpoint_auth_signing_alg_values_supported"] = algs
		}
	}
	if h.Signin.ClientCertificates {
		doc["tls_client_certificate_bound_access_tokens"] = true
	}
	on, err := h.Signin.Flags.On(ctx, space.Tenant, flag.DynamicClientRegistration)
	if on && space.Workspace.ClientRegistration.Enabled && !space.BuiltIn() {
		doc["registration_endpoint"] = h.Signin.Tokens.Issuer(space.Tenant, space.ID) + registerPath
	}
	return err
}

func unauthenticated(say string) *fault.Error {
	e := fault.New(fault.Unauthenticated, say, nil)
	e.Code = "invalid_client"
	return e
}
