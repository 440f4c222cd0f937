package web_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

func hosts(t *testing.T, cfg web.Config) *harness {
	t.Helper()
	cfg.Page = func(w io.Writer, p web.Problem) error {
		_, err := fmt.Fprintf(w, "%+v", *p.UnknownHost)
		return err
	}
	return start(t, cfg, func(s *web.Server) {
		dispatch := web.Hosts{
			Own: func() []string { return []string{"http://id.example", "https://secure.example"} },
			App: func(scheme, host string) fiber.Handler {
				if host != "app.example" {
					return nil
				}
				return func(c *fiber.Ctx) error { return c.SendString("app " + scheme + " " + web.Read(c).Path) }
			},
			Asset: func(path string) (web.Asset, bool) {
				return web.Asset{Type: "text/css", Body: []byte("p{}")}, path == web.AssetPrefix+"1/x.css"
			},
		}
		s.App().Use(dispatch.Handler(s.Errors()))
		s.App().Get("/own/:id", func(c *fiber.Ctx) error { return c.SendString("own " + c.Params("id")) })
	})
}

func TestHosts(t *testing.T) {
	t.Parallel()
	h := hosts(t, web.Config{})
	for _, tc := range []struct {
		name, host, path string
		status           int
		want             string
	}{
		{"own", "id.example", "/own/1", 200, "own 1"},
		{"own, default port and other case", "ID.Example:80", "/own/1", 200, "own 1"},
		{"own, unknown path", "id.example", "/nothing", 404, "There is nothing at this address."},
		{"own, several readings", "id.example", "/own//1", 400, "several readings"},
		{"own, encoded", "id.example", "/%6fwn/1", 400, "several readings"},
		{"app", "app.example", "/own/1", 200, "app http /own/1"},
		{"app, several readings are its router's matter", "app.example", "/a//b;c", 200, "app http /a//b;c"},
		{"unknown", "other.example:8080", "/own/1", 421, "does not serve http://other.example:8080. It serves http://id.example, https://secure.example"},
		{"other port", "id.example:81", "/own/1", 421, "does not serve"},
		{"other scheme", "secure.example", "/own/1", 421, "does not serve http://secure.example"},
		{"subdomain", "x.id.example", "/own/1", 421, "does not serve"},
		{"asset anywhere", "other.example", "/.gatepost/assets/1/x.css", 200, "p{}"},
		{"no such asset", "other.example", "/.gatepost/assets/2/x.css", 404, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := h.get(t, tc.path, "Host", tc.host)
			if body := text(t, res); res.StatusCode != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("status %d, body %s", res.StatusCode, body)
			}
		})
	}
	if res := h.get(t, "/.gatepost/assets/1/x.css"); !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Type") != "text/css" {
		t.Errorf("asset headers: %v", res.Header)
	}
}

func TestUnknownHostSaysWhatToChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		trusted []netip.Prefix
		host    string
		header  []string
		want    string
	}{
		{"host", nil, "other.example", nil, "Host:other.example Scheme:http SchemeOnly:false Forwarded:false"},
		{"scheme", nil, "secure.example", nil, "Host:secure.example Scheme:http SchemeOnly:true Forwarded:false"},
		{"proxy that is not trusted", nil, "secure.example", []string{"X-Forwarded-Proto", "https"}, "Scheme:http SchemeOnly:true Forwarded:true Peer:127.0.0.1"},
		{"proxy that is trusted", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, "x.example", []string{"X-Forwarded-Proto", "https"}, "Scheme:https SchemeOnly:false Forwarded:false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := hosts(t, web.Config{Trusted: tc.trusted})
			res := h.get(t, "/", append(tc.header, "Host", tc.host, "Accept", "text/html")...)
			if body := text(t, res); res.StatusCode != 421 || !strings.Contains(body, tc.want) {
				t.Errorf("status %d, body %s", res.StatusCode, body)
			}
		})
	}
}
