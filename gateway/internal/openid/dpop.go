package openid

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// holder returns what the tokens that a client asks for will be bound to: the key
// of its DPoP proof (RFC 9449, section 5) and its TLS certificate (RFC 8705,
// section 3).
func (h *Handler) holder(ctx context.Context, c *fiber.Ctx, space *live.Space, who *client.Client) (signin.Holder, error) {
	key, err := h.Signin.ProveKey(ctx, space, h.proven(c, space, tokenEndpoint, ""))
	if err != nil {
		return signin.Holder{}, err
	}
	by := signin.Holder{Key: key, Certificate: who.Thumbprint}
	return by, signin.Holds(who, by)
}

// proven is what a DPoP proof of a request must say. The address is made from the
// issuer: the Host header is the caller's word.
func (h *Handler) proven(c *fiber.Ctx, space *live.Space, path, token string) signin.Request {
	r := signin.Request{
		Method: web.Read(c).Method, URL: h.Signin.Tokens.Issuer(space.Tenant, space.ID) + path, Token: token,
	}
	for _, v := range c.Context().Request.Header.PeekAll("DPoP") {
		r.Proofs = append(r.Proofs, string(v))
	}
	return r
}

// bearerOf returns the access token that a request to a resource of a workspace
// carries in its Authorization header: as Bearer (RFC 6750, section 2.1), or as
// DPoP with a proof that its holder made it (RFC 9449, section 7). path is the
// resource's address below the issuer, such as "/userinfo". Errors are answers of
// the OAuth family with their challenge.
func (h *Handler) bearerOf(ctx context.Context, c *fiber.Ctx, space *live.Space, path string) (*signin.Bearer, error) {
	on, err := h.Signin.DPoP(ctx, space)
	if err != nil {
		return nil, err
	}
	header := web.Header(c, "Authorization")
	scheme, raw, _ := strings.Cut(header, " ")
	if on && strings.EqualFold(scheme, "DPoP") {
		b, err := h.proofBearer(ctx, c, space, path, strings.TrimSpace(raw))
		return b, challenged(err)
	}
	by := signin.Holder{Certificate: certificate(c)}
	if raw = signin.BearerToken(header); raw == "" {
		e := &web.OAuthError{
			Code: "invalid_token", Description: "Send the access token in the Authorization header.",
			Hint: "Authorization: Bearer TOKEN", Challenge: `Bearer realm="gatepost"`, // RFC 6750, section 3.1: no error code
		}
		if on {
			e.Challenge += ", " + dpopChallenge("")
		}
		return nil, e
	}
	return h.Signin.Held(ctx, space, "", raw, by)
}

// proofBearer checks an access token that is sent with a DPoP proof.
func (h *Handler) proofBearer(ctx context.Context, c *fiber.Ctx, space *live.Space, path, raw string) (*signin.Bearer, error) {
	if raw == "" || len(raw) > maxToken {
		return nil, unbound("The access token is missing or too long.")
	}
	key, err := h.Signin.ProveKey(ctx, space, h.proven(c, space, path, raw))
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, client.WrongProof("is missing: send it in the DPoP header", nil)
	}
	b, err := h.Signin.Held(ctx, space, "", raw, signin.Holder{Key: key, Certificate: certificate(c)})
	if err == nil && b.Bound.Key == "" {
		err = unbound("The access token is not bound to a key: send it as Bearer.")
	}
	return b, err
}

// maxToken bounds what is hashed for a proof, in bytes.
const maxToken = 16 << 10

func unbound(say string) error {
	e := fault.New(fault.Unauthenticated, say, nil)
	e.Code = "invalid_token"
	return e
}

// challenged gives what a caller with a DPoP proof did wrong the challenge of that
// scheme (RFC 9449, section 7.1).
func challenged(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || (f.Code != client.CodeBadProof && f.Code != "invalid_token") {
		return err
	}
	return &web.OAuthError{
		Code: f.Code, Description: ascii(f.Public), Hint: ascii(f.Public), Status: fiber.StatusUnauthorized,
		Challenge: dpopChallenge(f.Code), Cause: errors.New(err.Error()), // a cause in words: the answer is decided
	}
}

func dpopChallenge(code string) string {
	challenge := "DPoP "
	if code != "" {
		challenge += `error="` + code + `", `
	}
	return challenge + `algs="` + strings.Join(client.ProofAlgs(), " ") + `"`
}

// certificate is the x5t#S256 of the TLS certificate that a request came with, or
// empty.
func certificate(c *fiber.Ctx) string {
	if chain := web.Certificates(c); len(chain) > 0 {
		return client.CertificateThumbprint(chain[0])
	}
	return ""
}
