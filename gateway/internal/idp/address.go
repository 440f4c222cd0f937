package idp

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

const maxAddress = 2048

// normalIssuer writes scheme and host in lower case and leaves the port of the
// scheme out. The rest of an issuer is compared letter by letter (OpenID
// Connect Discovery, 4.3) and stays. What is no address comes back as it is, for
// checkIssuer.
func normalIssuer(text string) string {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return text
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.String()
}

// checkIssuer refuses what cannot be an issuer (OpenID Connect Discovery, 3):
// https, no query, no fragment; http for a provider on this machine, which the
// egress guard lets through only where the operator granted it.
func checkIssuer(field, text string) error {
	if text == "" {
		return fault.At(fault.Unprocessable, field, "is required")
	}
	u, err := secureURL(text)
	if err != nil {
		return fault.At(fault.Unprocessable, field, err.Error())
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#") {
		return fault.At(fault.Unprocessable, field, "must have neither a query nor a fragment")
	}
	if strings.HasSuffix(u.Path, "/.well-known/openid-configuration") {
		return fault.At(fault.Unprocessable, field, "must be the issuer itself, without /.well-known/openid-configuration")
	}
	return nil
}

// checkPage refuses what a browser should not be sent to.
func checkPage(field, text string) error {
	if text == "" {
		return fault.At(fault.Unprocessable, field, "is required")
	}
	u, err := secureURL(text)
	if err != nil {
		return fault.At(fault.Unprocessable, field, err.Error())
	}
	if u.Fragment != "" || strings.Contains(text, "#") {
		return fault.At(fault.Unprocessable, field, "must have no fragment")
	}
	return nil
}

// secureURL reads an https address, or one of http on this machine.
func secureURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxAddress || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("must be an absolute https address of at most %d characters", maxAddress)
	case u.User != nil:
		return nil, fmt.Errorf("must hold neither a name nor a password")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("must be an https address; http is for this machine alone (localhost, 127.0.0.1, [::1])")
}

// loopback tells whether a host name can only mean this machine (RFC 6761, 6.3).
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// sameIssuer compares issuers apart from a slash at the end, which people
// forget and which names no other provider.
func sameIssuer(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}

// hostOf returns the host of an address, for logs.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	host, _, err := net.SplitHostPort(u.Host)
	if err != nil {
		return u.Host
	}
	return host
}
