package openid

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const registerPath = "/oauth2/register"

// scopeRegister is what an initial access token must carry (RFC 7591, section 3).
const scopeRegister = "dcr_register"

// mountRegister adds the endpoints of dynamic registration (RFC 7591, RFC 7592).
func (h *Handler) mountRegister(r fiber.Router, oauth fiber.Handler) {
	one := "/:tid/:wid" + registerPath + "/:cid"
	r.Post("/:tid/:wid"+registerPath, oauth, h.rated(h.register))
	r.Get(one, oauth, h.rated(h.managed(h.registered)))
	r.Put(one, oauth, h.rated(h.managed(h.reregister)))
	r.Delete(one, oauth, h.rated(h.managed(h.unregister)))
}

// Registrations returns the buckets for Handler.Registrations: one network may
// register thirty clients at once, and then one every ten seconds.
func Registrations(now func() time.Time) *limit.Buckets {
	return limit.NewBuckets(limit.BucketsConfig{Rate: 0.1, Burst: 30, Now: now})
}

func denied(say string) error {
	return &web.OAuthError{Code: "access_denied", Description: say, Hint: say}
}

// registering returns the workspace of a request and its settings for dynamic
// registration, if it is on there.
func (h *Handler) registering(ctx context.Context, c *fiber.Ctx) (*live.Space, tenant.ClientRegistration, error) {
	space, err := h.space(ctx, c)
	if err != nil {
		return nil, tenant.ClientRegistration{}, err
	}
	set := space.Workspace.ClientRegistration
	on, err := h.Signin.Flags.On(ctx, space.Tenant, flag.DynamicClientRegistration)
	switch {
	case err != nil:
	case !on:
		err = denied("Dynamic client registration is switched off for this tenant (feature flag " + flag.DynamicClientRegistration + ").")
	case !set.Enabled:
		err = denied("Dynamic client registration is not enabled in this workspace (dynamic_client_registration.enabled).")
	case space.BuiltIn():
		err = denied("The workspaces that administer a tenant take no dynamic registrations: their clients' tokens are good for its API.")
	}
	return space, set, err
}

// register is the client registration endpoint (RFC 7591, section 3). An initial
// access token counts also where none is required: who brings one may have grants
// that others may not.
func (h *Handler) register(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
	c.Set("Pragma", "no-cache")
	space, set, err := h.registering(ctx, c)
	if err != nil {
		return err
	}
	if h.Registrations != nil {
		if err := h.Registrations.Take(space.Tenant + " " + limit.Network(web.Read(c).ClientIP)); err != nil {
			return err
		}
	}
	how := client.Registering{}
	vouched := set.InitialAccessToken.Required || web.Header(c, "Authorization") != ""
	if vouched {
		b, err := h.initial(ctx, c, space)
		if err != nil {
			return err
		}
		how.Admit = func(ctx context.Context) error { return h.Signin.SpendToken(ctx, space, b) }
	}
	if err := terms(&how, set, c); err != nil {
		return err
	}
	who, err := h.readClient(ctx, c, space, nil, vouched)
	if err != nil {
		return asMetadata(err)
	}
	made, token, err := h.Clients.Register(ctx, who, how)
	if fault.Is(err, fault.Denied) {
		return denied(ascii(fault.Read(err).Public))
	}
	if err != nil {
		return asMetadata(err)
	}
	c.Status(fiber.StatusCreated)
	return h.answerClient(c, space, &made, token)
}

// initial returns the initial access token of a registration.
func (h *Handler) initial(ctx context.Context, c *fiber.Ctx, space *live.Space) (*signin.Bearer, error) {
	b, err := h.bearerOf(ctx, c, space, registerPath)
	if err != nil {
		return nil, err
	}
	if !b.Has(scopeRegister) {
		return nil, &web.OAuthError{
			Code: "insufficient_scope", Description: "Registration needs an access token with the scope " + scopeRegister + ".",
			Hint:      "Get one by client_credentials; each is good for one registration.",
			Challenge: `Bearer realm="gatepost", error="insufficient_scope", scope="` + scopeRegister + `"`,
		}
	}
	return b, nil
}

// terms says what the registration access token will be like.
func terms(how *client.Registering, set tenant.ClientRegistration, c *fiber.Ctx) error {
	how.NoToken, how.Life = set.DisableTokenManagement, time.Duration(set.RegistrationTokenTTL)
	if set.DisableTokenExpiry {
		how.Life = 0
	}
	if how.Thumbprint = certificate(c); !set.CertificateBoundTokenOnly {
		how.Thumbprint = ""
	} else if how.Thumbprint == "" {
		return refuse("invalid_request", "Registration tokens of this workspace are bound to a TLS client certificate: call by TLS with one.", nil)
	}
	return nil
}

// managing is a client that manages its registration.
type managing struct {
	space *live.Space
	set   tenant.ClientRegistration
	who   client.Client
	token string // its registration access token; empty when it came with an access token
}

// managed lets those through who may manage a registration: whoever has its
// registration access token or, where the workspace gives none, an access token
// of the client's own (RFC 7592, section 2).
func (h *Handler) managed(next func(context.Context, *fiber.Ctx, managing) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := audited(c)
		defer cancel()
		c.Set("Cache-Control", "no-store")
		c.Set("Pragma", "no-cache")
		space, set, err := h.registering(ctx, c)
		if err != nil {
			return err
		}
		id, err := web.Param(c, "cid")
		if err != nil {
			return err
		}
		m := managing{space: space, set: set}
		if set.DisableTokenManagement {
			m.who, err = h.ownClient(ctx, c, space, id)
		} else {
			m.token = signin.BearerToken(web.Header(c, "Authorization"))
			m.who, err = h.Clients.Registered(ctx, space.Tenant, id, m.token, certificate(c))
		}
		switch {
		case err != nil:
			return err
		case m.who.WorkspaceID != space.ID || m.who.WorkspaceEpoch != space.Epoch:
			return notManaged()
		case !m.who.Active():
			return denied("The client is inactive.")
		}
		return next(ctx, c, m)
	}
}

func notManaged() error {
	e := fault.New(fault.Unauthenticated, "The registration access token is missing, expired or not this client's.", nil)
	e.Code = "invalid_token"
	return e
}

// ownClient returns a client that calls with an access token of its own.
func (h *Handler) ownClient(ctx context.Context, c *fiber.Ctx, space *live.Space, id string) (client.Client, error) {
	b, err := h.bearerOf(ctx, c, space, registerPath+"/"+id)
	if err != nil {
		return client.Client{}, err
	}
	if b.Client != id || b.User != "" {
		return client.Client{}, notManaged()
	}
	who, err := h.Clients.Get(ctx, space.Tenant, id)
	if fault.Is(err, fault.NotFound) || (err == nil && !who.DynamicallyRegistered) {
		return who, notManaged()
	}
	return who, err
}

// registered is a read of a registration (RFC 7592, section 2.1).
func (h *Handler) registered(ctx context.Context, c *fiber.Ctx, m managing) error {
	if err := h.Clients.Reveal(ctx, &m.who); err != nil {
		return err
	}
	return h.answerClient(c, m.space, &m.who, m.token)
}

// reregister replaces a registration (RFC 7592, section 2.2).
func (h *Handler) reregister(ctx context.Context, c *fiber.Ctx, m managing) error {
	next, err := h.readClient(ctx, c, m.space, &m.who, false)
	if err != nil {
		return asMetadata(err)
	}
	var fresh *client.Registering
	if m.token != "" && !m.set.DisableTokenRotation {
		fresh = &client.Registering{}
		if err := terms(fresh, m.set, c); err != nil {
			return err
		}
	}
	made, token, err := h.Clients.Reregister(ctx, next, m.who, fresh)
	if err != nil {
		return asMetadata(err)
	}
	if token == "" {
		token = m.token
	}
	if err := h.Clients.Reveal(ctx, &made); err != nil {
		return err
	}
	return h.answerClient(c, m.space, &made, token)
}

// unregister removes a client and all that it was given (RFC 7592, section 2.3).
func (h *Handler) unregister(ctx context.Context, c *fiber.Ctx, m managing) error {
	if err := h.Clients.Delete(ctx, m.who.TenantID, m.who.ClientID, m.who.Rev); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// answerClient writes the client information response (RFC 7591, section 3.2.1;
// RFC 7592, section 3).
func (h *Handler) answerClient(c *fiber.Ctx, space *live.Space, who *client.Client, token string) error {
	all, err := who.Registration()
	if err != nil {
		return err
	}
	more := map[string]string{"registration_client_uri": h.Signin.Tokens.Issuer(space.Tenant, space.ID) + registerPath + "/" + who.ClientID}
	if token != "" {
		more["registration_access_token"] = token
	}
	for name, v := range more {
		if all[name], err = json.Marshal(v); err != nil {
			return err
		}
	}
	return c.JSON(all)
}
