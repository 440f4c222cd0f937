package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Security is what a page may do in a browser. The zero value is the strictest:
// own styles, scripts, images and forms, no frames around it.
type Security struct {
	// FormAction lists where forms may lead besides this origin: the addresses
	// of the login's registered redirect URI. A browser that follows a form's
	// redirect checks that target too.
	FormAction []string
	// Images lists origins that images may come from, such as a logo's.
	Images []string
	// Scripts lists hashes or origins for script-src besides 'self'.
	Scripts []string
	// KeepOpener leaves out Cross-Origin-Opener-Policy. Pages that an app opens
	// in a pop-up to sign people in need it, or the app loses its pop-up.
	KeepOpener bool
	// HTTPS adds Strict-Transport-Security.
	HTTPS bool
}

// Apply sets the headers on the answer. HSTS is sent when the request came by
// https, whatever HTTPS says.
func (s Security) Apply(c *fiber.Ctx) {
	s.set(c.Context())
}

func (s Security) set(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", s.Policy())
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
	if !s.KeepOpener {
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	if s.HTTPS || stateOf(ctx).visit.Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// Policy returns the Content-Security-Policy. Entries that are no source are
// left out: what is not listed is not allowed.
func (s Security) Policy() string {
	var b strings.Builder
	b.WriteString("default-src 'none'; style-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	b.WriteString("; script-src 'self'")
	for _, src := range s.Scripts {
		if !strings.ContainsAny(src, " ;,") && !strings.Contains(src, "unsafe") {
			b.WriteString(" " + src)
		}
	}
	b.WriteString("; img-src 'self' data:")
	sources(&b, s.Images)
	b.WriteString("; form-action 'self'")
	sources(&b, s.FormAction)
	return b.String()
}

// sources appends the CSP sources of addresses, each once.
func sources(b *strings.Builder, addresses []string) {
	var seen []string
	for _, a := range addresses {
		if src, ok := source(a); ok && !slices.Contains(seen, src) {
			seen = append(seen, src)
			b.WriteString(" " + src)
		}
	}
}

// source returns what stands for an address in a policy: its origin, or its
// scheme for the private-use schemes of native apps (RFC 8252, section 7.1).
func source(address string) (string, bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "" || u.Scheme == "javascript" || u.Scheme == "data":
		return "", false
	case u.Scheme != "http" && u.Scheme != "https":
		return u.Scheme + ":", true
	case u.Host == "" || strings.ContainsAny(u.Host, " ;,'\"*"):
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}

// SameOrigin refuses, with fault.Denied, a request that changes something and
// that a page of another origin made: Sec-Fetch-Site says so or, from browsers
// that do not send it, Origin does. origin is our own, such as
// "https://id.example". GET, HEAD and OPTIONS pass, and so do requests with
// neither header: no browser makes them. Forms carry a token besides.
func SameOrigin(c *fiber.Ctx, origin string) error {
	switch string(c.Context().Method()) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions:
		return nil
	}
	site, from := Header(c, "Sec-Fetch-Site"), Header(c, fiber.HeaderOrigin)
	switch site {
	case "same-origin", "none":
		return nil
	case "":
		if from == "" || strings.EqualFold(from, origin) {
			return nil
		}
	}
	return fault.New(fault.Denied, "This form was sent from another site. Open the page again and repeat.", nil)
}
