package openid

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// mountAuthorize adds the endpoints that take authorization requests.
func (h *Handler) mountAuthorize(r fiber.Router, oauth fiber.Handler) {
	page := web.With(h.pageOrJSON)
	for _, method := range []string{fiber.MethodGet, fiber.MethodPost} {
		r.Add(method, "/:tid/:wid/oauth2/authorize", page, h.ratedAs(limit.ModuleIdentityPublic, h.authorize))
	}
	h.mountPush(r, oauth)
}

// pageOrJSON answers an error of the authorization endpoint that must not become
// a redirect: with a page, or with the members of OAuth for a program that asks
// for JSON.
func (h *Handler) pageOrJSON(c *fiber.Ctx, err error) error {
	accept := strings.ToLower(web.Header(c, "Accept"))
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html") {
		return h.Errors.OAuth(c, asOAuth(err))
	}
	return h.Errors.Page(c, err)
}

// authorize is the authorization endpoint (RFC 6749, section 3.1; OpenID Connect
// Core 1.0, section 3.1.2).
func (h *Handler) authorize(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	if web.CrossSitePost(c) { // without the browser's Lax cookies; as a GET it has them
		return web.Again(c)
	}
	f, err := authorizeForm(c)
	if err != nil {
		return err
	}
	who, err := h.requester(ctx, space, f.get("client_id"))
	if err != nil {
		return err
	}
	in, err := h.received(ctx, space, who, f)
	if err != nil {
		return err
	}
	uri, err := h.target(space, who, in.form)
	if err != nil {
		return err
	}
	r, err := h.read(ctx, space, who, in, uri)
	if oauth := (*fault.Error)(nil); errors.As(err, &oauth) && oauth.Code != "" {
		return h.Go(c, h.Signin.Deny(ctx, space, r, oauth.Code, ascii(oauth.Public)))
	}
	if err != nil {
		return err
	}
	out, err := h.Signin.Authorize(ctx, space, r, h.Browser(c))
	if err != nil {
		return err
	}
	return h.Go(c, out)
}

// authorizeForm reads an authorization request from the query of a GET or the
// body of a POST (OpenID Connect Core 1.0, section 3.1.2.1).
func authorizeForm(c *fiber.Ctx) (form, error) {
	if web.Read(c).Method == fiber.MethodPost {
		return bodyForm(c)
	}
	return parseForm(web.Read(c).RawQuery)
}

// requester returns the active client that an authorization request names. Its
// errors are for a page.
func (h *Handler) requester(ctx context.Context, space *live.Space, id string) (*client.Client, error) {
	if id == "" {
		return nil, fault.At(fault.Invalid, "client_id", "is required")
	}
	who, err := h.Signin.Client(ctx, space, id)
	if fault.Is(err, fault.NotFound) || (err == nil && !who.Active()) {
		return nil, fault.At(fault.Invalid, "client_id", "is not an active client of this workspace")
	}
	return who, err
}

// incoming is an authorization request as it came.
type incoming struct {
	form   form
	pushed bool
	key    string // thumbprint that was proven when it was pushed
}

// read checks an authorization request whose redirect URI is the client's. Errors
// that carry an OAuth code go back to the client, with what was read so far.
func (h *Handler) read(ctx context.Context, space *live.Space, who *client.Client, in incoming, uri string) (login.Request, error) {
	r, err := parse(in.form, space, who, uri)
	if err == nil {
		err = mustPush(space, who, in)
	}
	if err != nil {
		return r, err
	}
	if hint := in.form.get("id_token_hint"); hint != "" {
		if r.HintSubject, err = h.Signin.Hinted(ctx, space, who, hint); err != nil {
			return r, err
		}
	}
	on, err := h.Signin.DPoP(ctx, space)
	if err != nil || !on {
		return r, err
	}
	r.DPoPKey, err = keyOf(in)
	return r, err
}

// describeRequests adds to a discovery document what holds for authorization
// requests.
func (h *Handler) describeRequests(ctx context.Context, space *live.Space, doc map[string]any) (err error) {
	if doc["acr_values_supported"], err = h.Signin.ACRValues(ctx, space); err != nil {
		return err
	}
	if !space.Workspace.Advanced.DisablePAR { // RFC 9126, section 5
		doc["pushed_authorization_request_endpoint"] = h.Signin.Tokens.Issuer(space.Tenant, space.ID) + parPath
		doc["require_pushed_authorization_requests"] = space.Workspace.RequirePAR
	}
	return nil
}
