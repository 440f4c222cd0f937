package openid

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// audited returns a context for the work of a request, with what audit events
// say about it.
func audited(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	ctx, cancel := web.Context(c, requestLimit)
	v := web.Read(c)
	return audit.With(ctx, audit.Meta{
		IP: v.ClientIP.String(), UserAgent: v.UserAgent, TraceID: v.TraceID, CorrelationID: v.CorrelationID,
	}), cancel
}

// asOAuth gives what a caller did wrong the members of the OAuth family. Faults
// of ours, and those that say when to come back, stay as they are.
func asOAuth(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	e := &web.OAuthError{Code: f.Code, Description: ascii(f.Public), Cause: err}
	if f.Field != "" {
		e.Description = ascii(f.Field + ": " + f.Public)
	}
	e.Hint = e.Description
	switch f.Code {
	case "":
		switch f.Kind {
		case fault.Invalid, fault.NotFound, fault.TooLarge, fault.Unprocessable:
			e.Code, e.Status = "invalid_request", web.Status(err)
		default:
			return err
		}
	case "invalid_token":
		e.Challenge = `Bearer realm="gatepost", error="invalid_token"`
	case "insufficient_scope":
		e.Challenge = `Bearer realm="gatepost", error="insufficient_scope"`
		var missing signin.MissingScope
		if errors.As(err, &missing) {
			e.Challenge += `, scope="` + ascii(string(missing)) + `"`
		}
	}
	var asked *web.Challenged
	if errors.As(err, &asked) {
		e.Status, e.Challenge = fiber.StatusUnauthorized, asked.Challenge
	}
	return e
}

// wrongMethod answers a method that an address does not take (RFC 9110, section
// 15.5.6).
func wrongMethod(methods ...string) fiber.Handler {
	allowed := strings.Join(methods, ", ")
	return func(c *fiber.Ctx) error {
		c.Set("Allow", allowed)
		return &web.OAuthError{
			Code: "invalid_request", Status: fiber.StatusMethodNotAllowed,
			Description: "This address takes " + allowed + ".", Hint: "Use " + allowed + ".",
		}
	}
}

// ascii keeps the characters that an error_description may hold (RFC 6749,
// section 4.1.2.1).
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\' || r < ' ' || r > '~':
			return -1
		}
		return r
	}, s)
}
