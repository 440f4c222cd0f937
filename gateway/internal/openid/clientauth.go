package openid

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// credentials are how a client authenticates at the token endpoint.
type credentials struct {
	id, secret string
	method     string // client_secret_basic, client_secret_post or none
}

// readCredentials takes the client's credentials from the Authorization header
// or the body, never from the query, and from one place only (RFC 6749, section
// 2.3.1).
func readCredentials(authorization string, f form) (credentials, error) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	switch {
	case f.get("client_assertion") != "" || f.get("client_assertion_type") != "":
		return credentials{}, unauthenticated("Client assertions are not supported.")
	case authorization == "":
		c := credentials{id: f.get("client_id"), secret: f.get("client_secret"), method: "none"}
		if c.secret != "" {
			c.method = "client_secret_post"
		}
		if c.id == "" {
			return c, unauthenticated("The client did not authenticate: send HTTP Basic, or client_id in the body.")
		}
		return c, nil
	case !strings.EqualFold(scheme, "Basic"):
		return credentials{}, unauthenticated("The Authorization header must be HTTP Basic here.")
	case f.get("client_secret") != "":
		return credentials{}, refuse("invalid_request", "The client authenticated twice: by HTTP Basic and in the body.", nil)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return credentials{}, unauthenticated("The Basic credentials are not base64.")
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return credentials{}, unauthenticated("The Basic credentials have no colon.")
	}
	c := credentials{method: "client_secret_basic"}
	if c.id, err = url.QueryUnescape(id); err != nil {
		return c, unauthenticated("The Basic user name is not form-urlencoded.")
	}
	if c.secret, err = url.QueryUnescape(secret); err != nil {
		return c, unauthenticated("The Basic password is not form-urlencoded.")
	}
	if body := f.get("client_id"); body != "" && body != c.id {
		return c, refuse("invalid_request", "client_id in the body is not the client that authenticated.", nil)
	}
	return c, nil
}

func unauthenticated(say string) *fault.Error {
	e := fault.New(fault.Unauthenticated, say, nil)
	e.Code = "invalid_client"
	return e
}
