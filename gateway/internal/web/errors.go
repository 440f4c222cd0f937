package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// family is a shape of error answers.
type family uint8

const (
	familyREST family = iota
	familyOAuth
	familyPage
)

// Errors turns errors into answers, one function a family. An error that nobody
// classified is a 500 with a neutral sentence and an id that is also in the log.
// It is safe for concurrent use.
type Errors struct {
	log         *slog.Logger
	page        func(w io.Writer, p Problem) error
	unavailable []error
}

// NewErrors returns the functions of a server made elsewhere, for tests of an
// area. Any argument may be nil.
func NewErrors(log *slog.Logger, page func(io.Writer, Problem) error, unavailable ...error) *Errors {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Errors{log: log, page: page, unavailable: unavailable}
}

// Problem is an error as a page shows it.
type Problem struct {
	Status      int
	Code        string // stable, machine-readable
	Say         string // one sentence for the person
	Field       string // the member of the input it is about, or empty
	RetryAfter  time.Duration
	TraceID     string
	UnknownHost *UnknownHost // set when the host is not ours

	oauth     *OAuthError
	challenge string // WWW-Authenticate of a 401; empty: Bearer
}

// Challenged is a fault.Unauthenticated that says how to do better: the
// WWW-Authenticate that its 401 is answered with.
type Challenged struct {
	Err       error
	Challenge string
}

// Error returns what went wrong, for logs.
func (e *Challenged) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *Challenged) Unwrap() error { return e.Err }

// ErrorBody is the JSON body of the REST family (published API §1.2).
type ErrorBody struct {
	Error      string         `json:"error"`
	ErrorCode  string         `json:"error_code"`
	StatusCode int            `json:"status_code"`
	Details    map[string]any `json:"details,omitempty"`
}

// With returns a middleware that answers what the handlers behind it return as
// errors, unknown paths included. answer is a method of [Errors].
func With(answer func(*fiber.Ctx, error) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := c.Next(); err != nil {
			return answer(c, err)
		}
		return nil
	}
}

// REST answers err with a JSON body of the API family.
func (e *Errors) REST(c *fiber.Ctx, err error) error { return e.write(c.Context(), err, familyREST) }

// OAuth answers err with the members of RFC 6749, section 5.2, and those of
// published API §1.2. An *[OAuthError] in the chain says which.
func (e *Errors) OAuth(c *fiber.Ctx, err error) error { return e.write(c.Context(), err, familyOAuth) }

// Page answers err with an HTML page.
func (e *Errors) Page(c *fiber.Ctx, err error) error { return e.write(c.Context(), err, familyPage) }

// Any answers err with a page when a browser is loading one, else as REST.
func (e *Errors) Any(c *fiber.Ctx, err error) error {
	return e.write(c.Context(), err, e.family(stateOf(c.Context())))
}

func (e *Errors) family(st *state) family {
	if st.visit.Navigation {
		return familyPage
	}
	return familyREST
}

// write logs err and answers it. It always returns nil: the error is handled.
func (e *Errors) write(ctx *fasthttp.RequestCtx, err error, f family) error {
	st := stateOf(ctx)
	p := e.problem(err, st)
	st.reason = err.Error()
	e.report(p, err, st)
	e.answer(ctx, p, f)
	return nil
}

// report logs failures of ours with their cause; what callers do wrong is only
// of interest while debugging, and in the access log.
func (e *Errors) report(p Problem, err error, st *state) {
	level, say := slog.LevelDebug, "request answered with an error"
	if p.Status >= http.StatusInternalServerError {
		level, say = slog.LevelError, "request failed"
	}
	v := &st.visit
	e.log.LogAttrs(context.Background(), level, say, slog.Int("status", p.Status), slog.String("trace_id", v.TraceID),
		slog.String("method", v.Method), slog.String("host", v.Host), slog.String("path", v.Path), slog.String("cause", err.Error()))
}

// problem reads err.
func (e *Errors) problem(err error, st *state) Problem {
	var own *fiber.Error
	var oauth *OAuthError
	f := fault.Read(err)
	switch {
	case errors.As(err, &oauth):
		p := problemOf(oauth.status(), oauth.Description, st)
		p.oauth, p.Code = oauth, oauth.Code
		return p
	case f.Kind == fault.Internal && e.isUnavailable(err):
		f = fault.New(fault.Unavailable, "A part of this service is away for a moment. Try again shortly.", err)
	case f.Kind == fault.Internal && errors.As(err, &own):
		return problemOf(own.Code, sentence(own), st)
	}
	p := problemOf(statusOf(f.Kind), f.Public, st)
	p.Field, p.RetryAfter = f.Field, f.RetryAfter
	if f.Code != "" {
		p.Code = f.Code
	}
	var asked *Challenged
	if errors.As(err, &asked) {
		p.challenge = asked.Challenge
	}
	if p.RetryAfter <= 0 && (f.Kind == fault.TooMany || f.Kind == fault.Unavailable) {
		p.RetryAfter = 5 * time.Second
	}
	return p
}

func (e *Errors) isUnavailable(err error) bool {
	for _, u := range e.unavailable {
		if errors.Is(err, u) {
			return true
		}
	}
	return false
}

// problemOf returns a problem with the usual code and sentence of its status.
func problemOf(status int, say string, st *state) Problem {
	if say == "" {
		say = defaultSay(status)
	}
	return Problem{Status: status, Code: codeOf(status), Say: say, TraceID: st.visit.TraceID}
}

// statusOf is the only place that knows both kinds and statuses (published API §1.2).
func statusOf(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Stale:
		return http.StatusPreconditionFailed
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unprocessable:
		return http.StatusUnprocessableEntity
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.BadGateway:
		return http.StatusBadGateway
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// Status returns the HTTP status that err is answered with when it is, or
// wraps, a *fault.Error; any other error is a 500.
func Status(err error) int { return statusOf(fault.Read(err).Kind) }

// codeOf returns the machine-readable name of a status.
func codeOf(status int) string {
	names := map[int]string{
		http.StatusBadRequest: "invalid_request", http.StatusUnauthorized: "unauthenticated", http.StatusForbidden: "access_denied",
		http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "method_not_allowed", http.StatusRequestTimeout: "request_timeout",
		http.StatusConflict: "conflict", http.StatusPreconditionFailed: "stale_version", http.StatusRequestEntityTooLarge: "too_large",
		http.StatusMisdirectedRequest: "unknown_host", http.StatusUnprocessableEntity: "unprocessable", http.StatusTooManyRequests: "too_many_requests",
		http.StatusRequestHeaderFieldsTooLarge: "headers_too_large", http.StatusBadGateway: "bad_gateway", http.StatusServiceUnavailable: "unavailable",
	}
	if name, ok := names[status]; ok {
		return name
	}
	if status >= http.StatusInternalServerError {
		return "internal_error"
	}
	return "invalid_request"
}

func defaultSay(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "Too many requests."
	case http.StatusUnauthorized:
		return "This request needs a valid credential."
	}
	return http.StatusText(status) + "."
}

// sentence replaces fiber's own wording, which repeats the path.
func sentence(err *fiber.Error) string {
	switch err.Code {
	case http.StatusNotFound:
		return "There is nothing at this address."
	case http.StatusMethodNotAllowed:
		return "This address does not take this method."
	}
	return ""
}

// answer writes p.
func (e *Errors) answer(ctx *fasthttp.RequestCtx, p Problem, f family) {
	ctx.Response.ResetBody()
	ctx.SetStatusCode(p.Status)
	h := &ctx.Response.Header
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	switch f {
	case familyPage:
		e.html(ctx, p)
	case familyOAuth:
		writeOAuth(ctx, p)
	case familyREST:
		writeREST(ctx, p)
	}
}

func writeREST(ctx *fasthttp.RequestCtx, p Problem) {
	b := ErrorBody{Error: p.Say, ErrorCode: p.Code, StatusCode: p.Status, Details: map[string]any{"trace_id": p.TraceID}}
	if p.Field != "" {
		b.Error, b.Details["field"] = p.Field+": "+p.Say, p.Field
	}
	if p.Status == http.StatusUnauthorized {
		ctx.Response.Header.Set("WWW-Authenticate", cmp.Or(p.challenge, bearerChallenge(ctx)))
	}
	writeJSON(ctx, b)
}

// bearerChallenge is RFC 6750, section 3: no error code when no token was sent.
func bearerChallenge(ctx *fasthttp.RequestCtx) string {
	if len(ctx.Request.Header.Peek("Authorization")) > 0 {
		return `Bearer realm="gatepost", error="invalid_token"`
	}
	return `Bearer realm="gatepost"`
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil { // plain strings and numbers always marshal
		ctx.SetStatusCode(http.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// html renders the page; one that cannot be rendered becomes a bare one.
func (e *Errors) html(ctx *fasthttp.RequestCtx, p Problem) {
	Security{}.set(ctx)
	ctx.SetContentType("text/html; charset=utf-8")
	var b bytes.Buffer
	if e.page != nil {
		err := e.page(&b, p)
		if err == nil {
			ctx.SetBody(b.Bytes())
			return
		}
		e.log.Error("the error page cannot be rendered", "error", err, "trace_id", p.TraceID)
	}
	ctx.SetBodyString(fmt.Sprintf("<!doctype html><html lang=en><title>%d</title><h1>%s</h1><p>Reference: %s",
		p.Status, html.EscapeString(p.Say), html.EscapeString(p.TraceID)))
}
