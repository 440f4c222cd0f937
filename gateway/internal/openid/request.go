package openid

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/signin"
)

// responseModes are what an authorization response of a workspace may travel in.
// block_response_modes without a list of disallowed ones leaves the default alone.
func responseModes(space *live.Space) []string {
	adv := &space.Workspace.Advanced
	if adv.BlockResponseModes && len(adv.DisallowedResponseModes) == 0 {
		return []string{"query"}
	}
	return slices.DeleteFunc([]string{"query", "fragment", "form_post"}, func(mode string) bool {
		return slices.Contains(adv.DisallowedResponseModes, mode)
	})
}

// target is target for a client of a workspace.
func (h *Handler) target(space *live.Space, who *client.Client, f form) (string, error) {
	return target(f, who, func(uri string) bool { return h.Signin.AllowsRedirect(space, who, uri) })
}

// target returns the redirect URI of a request: the one sent, if the client
// registered it, or the only one registered. Errors are for a page: an
// unchecked address never becomes a redirect (RFC 6749, section 4.1.2.1).
func target(f form, c *client.Client, allows func(string) bool) (string, error) {
	uri := f.get("redirect_uri")
	if uri == "" {
		if len(c.RedirectURIs) == 1 {
			return c.RedirectURIs[0], nil
		}
		return "", fault.At(fault.Invalid, "redirect_uri", "is required: the client has registered several or none")
	}
	if u, err := url.Parse(uri); err != nil || u.Scheme == "" || u.Fragment != "" || !allows(uri) {
		return "", fault.At(fault.Invalid, "redirect_uri", "is not registered for this client")
	}
	return uri, nil
}

// parse checks the rest of an authorization request. Its errors carry an OAuth
// code and go back to the client.
func parse(f form, space *live.Space, c *client.Client, redirectURI string) (login.Request, error) {
	r := login.Request{
		Client: c.ClientID, RedirectURI: redirectURI, State: f.get("state"), Nonce: f.get("nonce"), MaxAge: -1,
		Scopes: strings.Fields(f.get("scope")), Prompt: strings.Fields(f.get("prompt")),
		LoginHint: f.get("login_hint"), IDPHint: f.get("idp_hint"), RedirectSent: f.get("redirect_uri") != "",
		ACRValues: strings.Fields(f.get("acr_values")),
	}
	for _, check := range []func(form, *login.Request, *live.Space, *client.Client) error{
		checkMode, checkSizes, checkType, checkPKCE, checkScopes, checkPrompt, checkMaxAge, checkClaims, checkACR,
	} {
		if err := check(f, &r, space, c); err != nil {
			return r, err
		}
	}
	return r, nil
}

// checkMode comes first, so that every other error travels as the client asked.
func checkMode(f form, r *login.Request, space *live.Space, _ *client.Client) error {
	mode, all := f.get("response_mode"), responseModes(space)
	if mode == "" && slices.Contains(all, "query") {
		return nil
	}
	if len(all) == 0 {
		return refuse("invalid_request", "The workspace allows no response_mode.", nil)
	}
	if mode == "" || !slices.Contains(all, mode) {
		if !slices.Contains(all, "query") {
			r.ResponseMode = all[0] // in which the error travels
		}
		return refuse("invalid_request", "response_mode may be "+strings.Join(all, ", ")+".", nil)
	}
	r.ResponseMode = mode
	return nil
}

// checkSizes bounds what is kept while the person signs in.
func checkSizes(f form, r *login.Request, _ *live.Space, _ *client.Client) error {
	for _, x := range []struct {
		name string
		max  int
	}{
		{"state", 2048}, {"nonce", 512}, {"scope", 2048}, {"acr_values", 512}, {"login_hint", 512}, {"idp_hint", 128}, {"id_token_hint", 8192},
	} {
		if len(f.get(x.name)) > x.max {
			if x.name == "state" {
				r.State = "" // too long to be sent back
			}
			return refuse("invalid_request", fmt.Sprintf("%s is longer than %d bytes.", x.name, x.max), nil)
		}
	}
	return nil
}

func checkType(f form, _ *login.Request, _ *live.Space, c *client.Client) error {
	switch {
	case f.get("request") != "":
		return refuse("request_not_supported", "Request objects are not supported.", nil)
	case f.get("request_uri") != "":
		return refuse("request_uri_not_supported", "request_uri is not supported.", nil)
	case f.get("response_type") == "":
		return refuse("invalid_request", "response_type is required.", nil)
	case f.get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type may be code.", nil)
	case !slices.Contains(c.GrantTypes, "authorization_code"):
		return refuse("unauthorized_client", "The client may not use the grant type authorization_code.", nil)
	}
	return nil
}

// checkPKCE requires S256 of public clients (RFC 9700, section 2.1.1) and where
// the workspace asks for it. plain protects from nothing and is refused.
func checkPKCE(f form, r *login.Request, space *live.Space, c *client.Client) error {
	r.Challenge = f.get("code_challenge")
	method := f.get("code_challenge_method")
	if r.Challenge == "" {
		if method != "" {
			return refuse("invalid_request", "code_challenge_method needs a code_challenge.", nil)
		}
		if c.TokenEndpointAuthMethod == "none" || space.EnforcePKCE {
			return refuse("invalid_request", "PKCE is required: send code_challenge with code_challenge_method=S256.", nil)
		}
		return nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(r.Challenge)
	if method != "S256" || err != nil || len(raw) != 32 {
		return refuse("invalid_request", "code_challenge must be a base64url SHA-256 and code_challenge_method must be S256.", err)
	}
	return nil
}

// checkScopes judges the scopes that a person is asked for, and adds those that
// are asked for although the request does not (published API, section 26), as far
// as the client is subscribed to them.
func checkScopes(_ form, r *login.Request, space *live.Space, c *client.Client) error {
	for _, scope := range r.Scopes {
		if _, known := space.Scopes[scope]; !known {
			return refuse("invalid_scope", fmt.Sprintf("The workspace has no scope %q.", scope), nil)
		}
		if !slices.Contains(c.Scopes, scope) {
			return refuse("invalid_scope", fmt.Sprintf("The client is not subscribed to the scope %q.", scope), nil)
		}
	}
	for _, scope := range c.Scopes {
		if space.Scopes[scope].Implicit {
			r.Scopes = append(r.Scopes, scope)
		}
	}
	slices.Sort(r.Scopes)
	r.Scopes = slices.Compact(r.Scopes)
	return nil
}

func checkPrompt(_ form, r *login.Request, _ *live.Space, _ *client.Client) error {
	known := []string{"none", "login", "consent", "select_account"}
	for _, p := range r.Prompt {
		if !slices.Contains(known, p) {
			return refuse("invalid_request", "prompt may hold "+strings.Join(known, ", ")+".", nil)
		}
	}
	if r.Asks("none") && len(r.Prompt) > 1 {
		return refuse("invalid_request", "prompt=none excludes every other value.", nil)
	}
	return nil
}

func checkMaxAge(f form, r *login.Request, _ *live.Space, _ *client.Client) error {
	text := f.get("max_age")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return refuse("invalid_request", "max_age must be a number of seconds.", err)
	}
	r.MaxAge = time.Duration(n) * time.Second
	return nil
}

func checkClaims(f form, r *login.Request, space *live.Space, _ *client.Client) (err error) {
	if raw := f.get("claims"); raw != "" {
		r.Claims, err = signin.ReadAsked(space, raw)
	}
	return err
}

// checkACR fills in what the client wants of every sign-in when a request says
// nothing (OpenID Connect Dynamic Client Registration 1.0, section 2).
func checkACR(_ form, r *login.Request, _ *live.Space, c *client.Client) error {
	if len(r.ACRValues) == 0 {
		r.ACRValues = slices.Clone(c.DefaultACRValues)
	}
	return nil
}
