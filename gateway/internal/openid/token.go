package openid

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Grant types that are named by a URN.
const (
	grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantExchange  = "urn:ietf:params:oauth:grant-type:token-exchange"
)

const tokenEndpoint = "/oauth2/token"

// asking is a request at the token endpoint, its client authenticated.
type asking struct {
	space  *live.Space
	client *client.Client
	by     signin.Holder
	form   form
}

func (a asking) scopes() []string { return strings.Fields(a.form.get("scope")) }

// granting is how one grant type answers.
type granting func(context.Context, asking) (signin.TokenSet, error)

// grants are the grant types that work here, by name.
func (h *Handler) grants() map[string]granting {
	return map[string]granting{
		"authorization_code": h.byCode,
		"refresh_token":      h.byRefreshToken,
		"client_credentials": h.byClient,
		grantJWTBearer:       h.byAssertion,
		grantExchange:        h.byExchange,
		signin.GrantDevice:   h.byDevice,
	}
}

// grantTypes returns the grant types that a workspace allows, of those that work
// here.
func (h *Handler) grantTypes(ctx context.Context, space *live.Space) ([]string, error) {
	exchange, err := h.Signin.Flags.On(ctx, space.Tenant, flag.TokenExchange)
	if err != nil {
		return nil, err
	}
	known := h.grants()
	return slices.DeleteFunc(slices.Clone(space.Workspace.GrantTypes), func(kind string) bool {
		return known[kind] == nil || (kind == grantExchange && !exchange)
	}), nil
}

// token is the token endpoint (RFC 6749, section 3.2). What every grant needs is
// checked here: no grant type can leave it out.
func (h *Handler) token(c *fiber.Ctx) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
	c.Set("Pragma", "no-cache")
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	if err := h.reached(c); err != nil {
		return err
	}
	f, err := tokenForm(c)
	if err != nil {
		return err
	}
	who, err := h.client(ctx, c, space, f)
	if err != nil {
		return err
	}
	grant, err := h.granting(ctx, space, who, f.get("grant_type"))
	if err != nil {
		return err
	}
	by, err := h.holder(ctx, c, space, who)
	if err != nil {
		return err
	}
	set, err := grant(ctx, asking{space, who, by, f})
	if err != nil {
		return err
	}
	if h.Position != nil {
		c.Set("ETag", web.Tag(h.Position(), 0))
	}
	return c.JSON(set)
}

// reached refuses a caller that knows a later version of the configuration than
// this gateway does (published API 1.3).
func (h *Handler) reached(c *fiber.Ctx) error {
	m, err := web.IfMatch(c)
	if err != nil || h.Position == nil {
		return err
	}
	return m.Reached(h.Position())
}

// tokenForm reads the body of a token request. Of the parameters that an exchange
// may repeat (RFC 8693, section 2.1) all values are kept.
func tokenForm(c *fiber.Ctx) (form, error) {
	v, err := web.Form(c)
	if err != nil {
		return nil, err
	}
	rest := url.Values{}
	for name, values := range v {
		if v.Get("grant_type") != grantExchange || (name != "audience" && name != "resource") {
			rest[name] = values
		}
	}
	if _, err := once(rest); err != nil {
		return nil, err
	}
	return form(v), nil
}

// granting returns what answers a grant type, if the workspace and the client
// allow it.
func (h *Handler) granting(ctx context.Context, space *live.Space, who *client.Client, kind string) (granting, error) {
	if kind == "" {
		return nil, refuse("invalid_request", "grant_type is required.", nil)
	}
	allowed, err := h.grantTypes(ctx, space)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(allowed, kind) {
		return nil, refuse("unsupported_grant_type",
			"grant_type may be "+strings.Join(allowed, ", ")+": the workspace's grant_types say so.", nil)
	}
	if !who.Grants(kind) {
		return nil, refuse("unauthorized_client", "The client may not use the grant type "+kind+": its grant_types say so.", nil)
	}
	return h.grants()[kind], nil
}

func (h *Handler) byCode(ctx context.Context, a asking) (signin.TokenSet, error) {
	if a.form.get("code") == "" {
		return signin.TokenSet{}, refuse("invalid_request", "code is required.", nil)
	}
	return h.Signin.Redeem(ctx, a.space, a.client, a.by, signin.Redemption{
		Code: a.form.get("code"), RedirectURI: a.form.get("redirect_uri"), Verifier: a.form.get("code_verifier"),
	})
}

func (h *Handler) byRefreshToken(ctx context.Context, a asking) (signin.TokenSet, error) {
	if a.form.get("refresh_token") == "" {
		return signin.TokenSet{}, refuse("invalid_request", "refresh_token is required.", nil)
	}
	return h.Signin.Refresh(ctx, a.space, a.client, a.by, a.form.get("refresh_token"), a.scopes())
}

func (h *Handler) byClient(ctx context.Context, a asking) (signin.TokenSet, error) {
	return h.Signin.ClientCredentials(ctx, a.space, a.client, a.by, a.scopes())
}

func (h *Handler) byAssertion(ctx context.Context, a asking) (signin.TokenSet, error) {
	if a.form.get("assertion") == "" {
		return signin.TokenSet{}, refuse("invalid_request", "assertion is required.", nil)
	}
	return h.Signin.JWTBearer(ctx, a.space, a.client, a.by, a.form.get("assertion"), a.scopes())
}

func (h *Handler) byExchange(ctx context.Context, a asking) (signin.TokenSet, error) {
	return h.Signin.Exchange(ctx, a.space, a.client, a.by, signin.Exchange{
		Subject: a.form.get("subject_token"), SubjectType: a.form.get("subject_token_type"),
		Actor: a.form.get("actor_token"), ActorType: a.form.get("actor_token_type"),
		Requested: a.form.get("requested_token_type"), Scopes: a.scopes(),
		Targets: slices.Concat(a.form["audience"], a.form["resource"]),
	})
}
