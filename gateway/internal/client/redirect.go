package client

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxURI = 2048

// dangerous are schemes that a browser would run or read from, in whatever
// application type.
var dangerous = []string{
	"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem", "ftp", "ws", "wss", "mailto", "tel",
}

// wrongRedirect says what is wrong with a redirect URI to be registered, or "":
// absolute, without fragment (RFC 6749, section 3.1.2), https or http to this
// machine, and for native applications a scheme of their own (RFC 8252, section
// 7.1).
func wrongRedirect(uri string, native bool) string {
	u, err := url.Parse(uri)
	switch {
	case strings.ContainsFunc(uri, unsafe):
		return "must be percent-encoded ASCII without spaces and backslashes"
	case err != nil || u.Scheme == "" || len(uri) > maxURI:
		return "must be an absolute address"
	case strings.Contains(uri, "#"):
		return "must have no fragment"
	case u.User != nil:
		return "must have no user name"
	default:
		return wrongScheme(u, native)
	}
}

func wrongScheme(u *url.URL, native bool) string {
	switch {
	case u.Scheme == "https" || u.Scheme == "http":
		return wrongWeb(u)
	case !native:
		return `must be https, or http to this machine, unless application_type is "native"`
	case slices.Contains(dangerous, u.Scheme):
		return "has a scheme that is not an application's"
	default:
		return ""
	}
}

// unsafe characters are read differently by different browsers.
func unsafe(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>", r) }

func wrongWeb(u *url.URL) string {
	switch {
	case u.Hostname() == "" || strings.ContainsAny(u.Host, "*%"):
		return "must name one host"
	case u.Port() != "" && !validPort(u.Port()):
		return "must have a port between 1 and 65535"
	case u.Scheme == "http" && !thisMachine(u.Hostname()):
		return "must be https: http is for addresses of this machine only"
	default:
		return ""
	}
}

// thisMachine: names below localhost never leave the machine (RFC 6761, section
// 6.3).
func thisMachine(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// AllowsRedirect tells whether an authorization response may go to uri: it is
// registered character by character (RFC 9700, section 2.1), or the client is
// native and uri differs from a registered loopback address in its port only (RFC
// 8252, section 7.3). A public client that is no native one has no such liberty:
// its pages listen where they were registered.
func (c *Client) AllowsRedirect(uri string) bool { return c.allows(c.RedirectURIs, uri) }

// AllowsLogoutRedirect is AllowsRedirect for the address after a logout.
func (c *Client) AllowsLogoutRedirect(uri string) bool {
	return c.allows(c.PostLogoutRedirectURIs, uri)
}

func (c *Client) allows(registered []string, uri string) bool {
	if uri == "" {
		return false
	}
	if slices.Contains(registered, uri) {
		return true
	}
	if c.ApplicationType != Native {
		return false
	}
	bare, ok := WithoutPort(uri)
	return ok && slices.ContainsFunc(registered, func(r string) bool {
		other, ok := WithoutPort(r)
		return ok && other == bare
	})
}

// WithoutPort cuts the port out of an http address whose host is one of the
// loopback names, and is false for every other text. What it keeps is compared
// byte by byte, so it need not understand it.
func WithoutPort(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", false
	}
	for _, name := range []string{"127.0.0.1", "[::1]", "localhost"} {
		after, ok := strings.CutPrefix(rest, name)
		if !ok {
			continue
		}
		if port, found := strings.CutPrefix(after, ":"); found {
			end := strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' })
			if end < 0 {
				end = len(port)
			}
			if !validPort(port[:end]) {
				return "", false
			}
			after = port[end:]
		}
		if after != "" && after[0] != '/' && after[0] != '?' {
			return "", false
		}
		return "http://" + name + after, true
	}
	return "", false
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && len(port) <= 5
}

func host(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
