package web

import (
	"bytes"
	"net/http"

	"github.com/valyala/fasthttp"
)

// OAuthError is an error of an OAuth endpoint (RFC 6749, section 5.2).
type OAuthError struct {
	Code        string // such as "invalid_grant"
	Description string // for developers; printable ASCII without quotes and backslashes
	Hint        string // error_hint of published API §1.2; may be empty
	Status      int    // 0: 401 for invalid_client and invalid_token, 403 for access_denied and insufficient_scope, else 400
	Challenge   string // WWW-Authenticate; empty: Basic when the client used it, Bearer for bearer errors
	Cause       error  // logged, never shown; may be nil
}

// Error returns code, description and cause, for logs.
func (e *OAuthError) Error() string {
	s := e.Code
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *OAuthError) Unwrap() error { return e.Cause }

func (e *OAuthError) status() int {
	if e.Status != 0 {
		return e.Status
	}
	switch e.Code {
	case "invalid_client", "invalid_token":
		return http.StatusUnauthorized
	case "insufficient_scope", "access_denied":
		return http.StatusForbidden
	case "server_error":
		return http.StatusInternalServerError
	case "temporarily_unavailable":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// oauthBody is published API §1.2, "OAuth generic", with RFC 6749's members.
type oauthBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Code        int    `json:"error_code"`
	Hint        string `json:"error_hint,omitempty"`
	TraceID     string `json:"trace_id,omitempty"`
}

func writeOAuth(ctx *fasthttp.RequestCtx, p Problem) {
	b := oauthBody{Error: oauthCode(p.Status), Description: p.Say, Code: p.Status, TraceID: p.TraceID}
	if p.Field != "" {
		b.Description = p.Field + ": " + p.Say
	}
	challenge := ""
	if p.oauth != nil {
		b.Error, b.Description, b.Hint, challenge = p.oauth.Code, p.oauth.Description, p.oauth.Hint, p.oauth.Challenge
	}
	ctx.Response.Header.Set("Pragma", "no-cache") // RFC 6749, section 5.1
	if p.Status == http.StatusUnauthorized && challenge == "" {
		challenge = challengeFor(ctx, b.Error)
	}
	if challenge != "" {
		ctx.Response.Header.Set("WWW-Authenticate", challenge)
	}
	writeJSON(ctx, b)
}

// challengeFor answers in the scheme that the client used (RFC 6749, section
// 5.2; RFC 6750, section 3).
func challengeFor(ctx *fasthttp.RequestCtx, code string) string {
	scheme, _, _ := bytes.Cut(ctx.Request.Header.Peek("Authorization"), []byte{' '})
	if named(scheme, "basic") || code == "invalid_client" {
		return `Basic realm="gatepost"`
	}
	return bearerChallenge(ctx)
}

// oauthCode names a status for an error that has no OAuth code of its own.
func oauthCode(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status == http.StatusForbidden:
		return "access_denied"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request"
}
