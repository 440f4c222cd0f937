package openid

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// parPath is the pushed authorization request endpoint below the issuer.
const parPath = "/par"

const (
	parLife    = time.Minute      // where the workspace says nothing
	maxPARLife = 10 * time.Minute // whatever the workspace says
	maxPush    = 16 << 10         // bytes of one pushed request
)

// Public clients push without any credential, and each request that they push is
// a record: a network keeps so many at once, and two more each second.
const (
	pushesAtOnce    = 100
	pushesPerSecond = 2
)

// mountPush adds the pushed authorization request endpoint.
func (h *Handler) mountPush(r fiber.Router, oauth fiber.Handler) {
	pushed := limit.NewBuckets(limit.BucketsConfig{Rate: pushesPerSecond, Burst: pushesAtOnce, Now: h.Signin.Now})
	h.endpoint(r, "/:tid/:wid"+parPath, oauth, h.cors, h.rated(func(c *fiber.Ctx) error { return h.push(c, pushed) }), fiber.MethodPost)
}

// parameters are those of an authorization request that mean something here. No
// other is kept, above all no credential of the client.
func parameters() []string {
	return []string{
		"response_type", "response_mode", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
		"prompt", "max_age", "login_hint", "idp_hint", "id_token_hint", "acr_values", "claims", "dpop_jkt",
	}
}

// pushAnswer is the answer of the endpoint (RFC 9126, section 2.2).
type pushAnswer struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
}

// push takes an authorization request from a client and keeps it for the browser
// that will come with its request_uri (RFC 9126, section 2). All that
// /oauth2/authorize would refuse is refused here. pushed limits how many a network
// has kept by public clients.
func (h *Handler) push(c *fiber.Ctx, pushed *limit.Buckets) error {
	ctx, cancel := audited(c)
	defer cancel()
	c.Set("Cache-Control", "no-store")
	space, err := h.space(ctx, c)
	if err != nil {
		return err
	}
	if space.Workspace.Advanced.DisablePAR {
		return fault.New(fault.NotFound, "Pushed authorization requests are switched off here (advanced.disable_par).", nil)
	}
	f, err := bodyForm(c)
	if err != nil {
		return err
	}
	who, err := h.client(ctx, c, space, f)
	if err != nil {
		return err
	}
	key, err := h.Signin.ProveKey(ctx, space, h.proven(c, space, parPath))
	if err != nil {
		return err
	}
	in := incoming{form: f, pushed: true, key: key}
	if err := h.pushable(ctx, space, who, in); err != nil {
		return err
	}
	params := url.Values{}
	for _, name := range parameters() {
		if v := f.get(name); v != "" {
			params.Set(name, v)
		}
	}
	p := owned(space, who)
	if p.Params, p.DPoPKey = params.Encode(), key; len(p.Params) > maxPush {
		return fault.New(fault.TooLarge, "The authorization request is longer than 16 KB.", nil)
	}
	if who.Public() {
		if err := pushed.Take(space.Tenant + "/" + limit.Network(web.Read(c).ClientIP)); err != nil {
			return err
		}
	}
	life := parLife
	if own := time.Duration(space.Workspace.PARTTL); own > 0 {
		life = min(own, maxPARLife)
	}
	uri, err := h.Signin.Requests.Push(ctx, space.Tenant, p, life)
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusCreated).JSON(pushAnswer{RequestURI: uri, ExpiresIn: int64(life / time.Second)})
}

// pushable checks a request that its client pushes.
func (h *Handler) pushable(ctx context.Context, space *live.Space, who *client.Client, in incoming) error {
	f := in.form
	if f.get("request_uri") != "" {
		return refuse("invalid_request", "request_uri cannot be pushed.", nil) // RFC 9126, section 2.1
	}
	if id := f.get("client_id"); id != "" && id != who.ClientID {
		return refuse("invalid_request", "client_id is not the client that authenticated.", nil)
	}
	uri, err := h.target(space, who, f)
	if err != nil {
		return err
	}
	_, err = h.read(ctx, space, who, in, uri)
	return err
}

// owned is a pushed request that belongs to a client.
func owned(space *live.Space, who *client.Client) grant.Pushed {
	return grant.Pushed{Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: who.ClientID, ClientEpoch: who.Epoch}
}

// received returns the authorization request that a browser brings: its own
// parameters, or those that the client pushed before, of which nothing in the
// address changes anything (RFC 9126, section 4; RFC 9101, section 6.3). A
// request_uri is taken once; its errors are for a page.
func (h *Handler) received(ctx context.Context, space *live.Space, who *client.Client, f form) (incoming, error) {
	uri := f.get("request_uri")
	if space.Workspace.Advanced.DisablePAR || !strings.HasPrefix(uri, grant.PushedPrefix) {
		return incoming{form: f}, nil
	}
	p, err := h.Signin.Requests.Take(ctx, space.Tenant, uri, owned(space, who))
	if errors.Is(err, grant.ErrInvalid) {
		return incoming{}, refuse("invalid_request_uri", "This sign-in link was used already or has expired. Please go back to the app and start again.", err)
	}
	if err != nil {
		return incoming{}, err
	}
	pushed, err := parseForm(p.Params)
	return incoming{form: pushed, pushed: true, key: p.DPoPKey}, err
}

// mustPush refuses a request that the workspace or the client wants to be pushed
// (RFC 9126, sections 5 and 6). Our own clients, which begin in process, are not
// asked to.
func mustPush(space *live.Space, who *client.Client, in incoming) error {
	want := (space.Workspace.RequirePAR || who.RequirePAR) && !who.System && who.ClientID != signin.ProxyClient
	if !want || in.pushed {
		return nil
	}
	return refuse("invalid_request", "Push the authorization request first (RFC 9126): this client or workspace requires it.", nil)
}

// keyOf returns the thumbprint that a code will be bound to: dpop_jkt, or the key
// of the proof that the request was pushed with (RFC 9449, sections 10 and 10.1).
func keyOf(in incoming) (string, error) {
	jkt := in.form.get("dpop_jkt")
	if jkt == "" {
		return in.key, nil
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(jkt); err != nil || len(raw) != 32 {
		return "", refuse("invalid_request", "dpop_jkt must be the base64url SHA-256 thumbprint of a key.", err)
	}
	if in.key != "" && in.key != jkt {
		return "", refuse(client.CodeBadProof, "dpop_jkt is not the key of the DPoP proof.", nil)
	}
	return jkt, nil
}
