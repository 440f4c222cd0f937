package web

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/valyala/fasthttp"
)

// trusted tells whether addr is one of the proxies in front of us.
func trusted(proxies []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peer returns the address of the other end of the connection, or the zero
// address when it is not an IP connection.
func peer(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// origin is who sent a request and under which address they know us.
type origin struct {
	client netip.Addr
	scheme string
	host   string // lower case
}

// believe takes what the trusted proxies say over what the connection shows. An
// untrusted peer's X-Forwarded-* count for nothing, and Forwarded never does:
// proxies that write X-Forwarded-* pass a client's Forwarded on untouched.
func believe(proxies []netip.Prefix, from netip.Addr, h *fasthttp.RequestHeader, o *origin) {
	o.client = from
	if !from.IsValid() || !trusted(proxies, from) {
		return
	}
	var hops [][]byte
	for name, value := range Lines(h) {
		switch {
		case named(name, "x-forwarded-for"):
			hops = append(hops, bytes.Split(value, []byte{','})...)
		case named(name, "x-forwarded-proto"):
			if s := scheme(last(value)); s != "" {
				o.scheme = s
			}
		case named(name, "x-forwarded-host"):
			if host := last(value); len(host) > 0 && validHost(host) {
				o.host = lower(host)
			}
		}
	}
	o.client = walk(proxies, from, hops)
}

// walk goes from the nearest hop back to the first one that is not a trusted
// proxy: everything to its left is what that hop claims. A hop that cannot be
// read ends the walk at the last address that could.
func walk(proxies []netip.Prefix, from netip.Addr, hops [][]byte) netip.Addr {
	for _, hop := range slices.Backward(hops) {
		addr, ok := hopAddr(string(trim(hop)))
		if !ok {
			return from
		}
		if from = addr; !trusted(proxies, from) {
			return from
		}
	}
	return from
}

// hopAddr reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] and
// [2001:db8::1]:80.
func hopAddr(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}

// last returns the last element of a comma-separated list: the one that the
// nearest proxy wrote.
func last(list []byte) []byte {
	return trim(list[bytes.LastIndexByte(list, ',')+1:])
}

// scheme reads X-Forwarded-Proto; some proxies name the WebSocket schemes.
func scheme(b []byte) string {
	switch {
	case named(b, "https"), named(b, "wss"):
		return "https"
	case named(b, "http"), named(b, "ws"):
		return "http"
	}
	return ""
}

// validHost tells whether b is a host with an optional port, as it may stand in
// Host (RFC 9110, section 7.2). Empty is valid: HTTP/1.0 sends none.
func validHost(b []byte) bool {
	host, port := b, []byte(nil)
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && bytes.IndexByte(b[i:], ']') < 0 {
		host, port = b[:i], b[i+1:]
		if len(port) == 0 || len(port) > 5 || len(host) == 0 {
			return false
		}
	}
	if len(bytes.Trim(port, "0123456789")) > 0 {
		return false
	}
	if len(host) > 1 && host[0] == '[' {
		return validIPv6(host)
	}
	for _, c := range host {
		if !unreserved(c) || c == '~' {
			return false
		}
	}
	return len(host) <= 253
}

// validIPv6 judges an address in brackets.
func validIPv6(host []byte) bool {
	addr, err := netip.ParseAddr(string(host[1 : len(host)-1]))
	return err == nil && host[len(host)-1] == ']' && addr.Is6() && addr.Zone() == ""
}

func lower(b []byte) string { return string(bytes.ToLower(b)) }
