package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
)

// failing serves one error by each family.
func failing(t *testing.T, err error) *harness {
	t.Helper()
	cfg := web.Config{
		Unavailable: []error{store.ErrUnavailable},
		Page: func(w io.Writer, p web.Problem) error {
			_, err := fmt.Fprintf(w, "<p>%d %s %s", p.Status, p.Say, p.TraceID)
			return err
		},
	}
	return start(t, cfg, func(s *web.Server) {
		fail := func(*fiber.Ctx) error { return err }
		s.App().Group("/rest", web.With(s.Errors().REST)).Get("/", fail)
		s.App().Group("/oauth", web.With(s.Errors().OAuth)).Get("/", fail)
		s.App().Group("/page", web.With(s.Errors().Page)).Get("/", fail)
		s.App().Get("/any", fail)
	})
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret cause")
	for _, tc := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{cause, 500, "internal_error", ""},
		{fault.New(fault.Internal, "x", cause), 500, "internal_error", ""},
		{fault.New(fault.Invalid, "x", cause), 400, "invalid_request", ""},
		{fault.New(fault.Unauthenticated, "x", cause), 401, "unauthenticated", ""},
		{fault.New(fault.Denied, "x", cause), 403, "access_denied", ""},
		{fault.New(fault.NotFound, "x", cause), 404, "not_found", ""},
		{fault.New(fault.Conflict, "x", cause), 409, "conflict", ""},
		{fault.New(fault.Stale, "x", cause), 412, "stale_version", ""},
		{fault.New(fault.TooLarge, "x", cause), 413, "too_large", ""},
		{fault.New(fault.Unprocessable, "x", cause), 422, "unprocessable", ""},
		{fault.New(fault.TooMany, "x", cause), 429, "too_many_requests", "5"},
		{&fault.Error{Kind: fault.TooMany, Public: "x", RetryAfter: 1500 * time.Millisecond, Cause: cause}, 429, "too_many_requests", "2"},
		{fault.New(fault.Unavailable, "x", cause), 503, "unavailable", "5"},
		{fault.New(fault.BadGateway, "x", cause), 502, "bad_gateway", ""},
		{fmt.Errorf("pool: get: %w", errors.Join(store.ErrUnavailable, cause)), 503, "unavailable", "5"},
		{&fault.Error{Kind: fault.Conflict, Code: "name_taken", Public: "x", Cause: cause}, 409, "name_taken", ""},
		{fiber.ErrNotFound, 404, "not_found", ""},
		{fiber.ErrMethodNotAllowed, 405, "method_not_allowed", ""},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			t.Parallel()
			h := failing(t, tc.err)
			for _, path := range []string{"/rest/", "/oauth/", "/page/", "/any"} {
				res := h.get(t, path)
				body := text(t, res)
				if res.StatusCode != tc.status || res.Header.Get("Retry-After") != tc.retry || res.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: status %d, headers %v", path, res.StatusCode, res.Header)
				}
				if strings.Contains(body, "secret") || !strings.Contains(body, res.Header.Get("X-Trace-ID")) {
					t.Errorf("%s: body %s", path, body)
				}
				if path != "/rest/" {
					continue
				}
				var b web.ErrorBody
				if err := json.Unmarshal([]byte(body), &b); err != nil || b.ErrorCode != tc.code || b.StatusCode != tc.status || b.Error == "" {
					t.Errorf("%s: %v, %s", path, err, body)
				}
			}
			if log := h.log.String(); tc.status >= 500 != strings.Contains(log, "level=ERROR") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestRESTBodyNamesTheField(t *testing.T) {
	t.Parallel()
	h := failing(t, fmt.Errorf("users: %w", fault.At(fault.Invalid, "identifiers[0].type", "must be a string")))
	res := h.get(t, "/rest/")
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"error": "identifiers[0].type: must be a string", "error_code": "invalid_request", "status_code": 400.0,
		"details": map[string]any{"field": "identifiers[0].type", "trace_id": res.Header.Get("X-Trace-ID")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOAuthBody(t *testing.T) {
	t.Parallel()
	basic := []string{"Authorization", "Basic eDp5"}
	for _, tc := range []struct {
		name      string
		err       error
		header    []string
		status    int
		want      map[string]any
		challenge string
	}{
		{
			"grant", &web.OAuthError{Code: "invalid_grant", Description: "The code is spent.", Hint: "Begin again."}, nil, 400,
			map[string]any{"error": "invalid_grant", "error_description": "The code is spent.", "error_code": 400.0, "error_hint": "Begin again."},
			"",
		},
		{
			"client by Basic", &web.OAuthError{Code: "invalid_client"}, basic, 401,
			map[string]any{"error": "invalid_client", "error_code": 401.0},
			`Basic realm="gatepost"`,
		},
		{
			"token", &web.OAuthError{Code: "invalid_token"},
			[]string{"Authorization", "Bearer x"},
			401,
			map[string]any{"error": "invalid_token", "error_code": 401.0},
			`Bearer realm="gatepost", error="invalid_token"`,
		},
		{
			"no token", &web.OAuthError{Code: "invalid_token"}, nil, 401,
			map[string]any{"error": "invalid_token", "error_code": 401.0},
			`Bearer realm="gatepost"`,
		},
		{
			"own challenge", &web.OAuthError{Code: "use_dpop_nonce", Status: 401, Challenge: "DPoP"}, nil, 401,
			map[string]any{"error": "use_dpop_nonce", "error_code": 401.0},
			"DPoP",
		},
		{
			"own status, wrapped", fmt.Errorf("token: %w", &web.OAuthError{Code: "invalid_request", Status: 404, Cause: errors.New("hidden")}), nil, 404,
			map[string]any{"error": "invalid_request", "error_code": 404.0},
			"",
		},
		{
			"other error", errors.New("hidden"), nil, 500,
			map[string]any{"error": "server_error", "error_description": "Something went wrong on our side.", "error_code": 500.0},
			"",
		},
		{
			"fault", fault.At(fault.Invalid, "limit", "must be a number"), nil, 400,
			map[string]any{"error": "invalid_request", "error_description": "limit: must be a number", "error_code": 400.0},
			"",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := failing(t, tc.err)
			res := h.get(t, "/oauth/", tc.header...)
			var got map[string]any
			if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			delete(got, "trace_id")
			if diff := cmp.Diff(tc.want, got); diff != "" || res.StatusCode != tc.status {
				t.Errorf("status %d (-want +got):\n%s", res.StatusCode, diff)
			}
			if c := res.Header.Get("WWW-Authenticate"); c != tc.challenge {
				t.Errorf("challenge %q", c)
			}
		})
	}
}

func TestAnyChoosesByTheVisitor(t *testing.T) {
	t.Parallel()
	h := failing(t, fault.New(fault.NotFound, "No such thing.", nil))
	if res := h.get(t, "/any", "Accept", "text/html"); !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("a browser gets %v", res.Header)
	}
	if res := h.get(t, "/nothing/here", "Accept", "application/json"); res.Header.Get("Content-Type") != "application/json" || res.StatusCode != 404 {
		t.Errorf("a program gets %d %v", res.StatusCode, res.Header)
	}
}

func TestPageThatFailsStillAnswers(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{Page: func(io.Writer, web.Problem) error { return errors.New("broken template") }}, func(s *web.Server) {
		s.App().Get("/", func(*fiber.Ctx) error { return fault.New(fault.Denied, "Not <you>.", nil) })
	})
	res := h.get(t, "/", "Accept", "text/html")
	if body := text(t, res); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "Not &lt;you&gt;.") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if !strings.Contains(h.log.String(), "broken template") {
		t.Errorf("log: %s", h.log.String())
	}
}
