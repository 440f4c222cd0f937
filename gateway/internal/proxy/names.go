package proxy

import (
	"bytes"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// kind says what the proxy does with a header line of a request.
type kind uint8

const (
	keep   kind = iota
	drop        // hop-by-hop, rebuilt by us, or reserved for us
	cookie      // passed on without our cookies
	authorization
	connection
	upgrade
)

// reserved are the beginnings of folded names that only the proxy may set, so
// that no client can speak for it.
var reserved = []string{
	"x-auth-request-", "x-forwarded-", "x-gatepost-", "remote-", "x-remote-", "x-original-", "x-envoy-", "proxy-",
}

// classify tells what to do with a header of that folded name, which is not
// empty.
func classify(folded []byte) kind {
	switch string(folded) {
	case "cookie":
		return cookie
	case "authorization":
		return authorization
	case "connection":
		return connection
	case "upgrade":
		return upgrade
	case "host", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "trailers", "expect", "http2-settings", "proxy",
		"forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip", "client-ip", "cf-connecting-ip", "fastly-client-ip",
		"x-rewrite-url", "x-forwarded", "x-trace-id", "x-auth-request", "x-gatepost", "cookie2":
		return drop
	}
	switch folded[0] {
	case 'x', 'r', 'p': // the first letters of all of them
		for _, p := range reserved {
			if len(folded) > len(p) && string(folded[:len(p)]) == p {
				return drop
			}
		}
	}
	return keep
}

// foldInto appends name to dst as servers may read it: lower case, and every
// character that is neither letter nor digit as '-'. It is stricter than
// [web.Fold], since some servers turn all of them into one.
func foldInto(dst, name []byte) []byte {
	at := len(dst)
	dst = web.AppendFold(dst, name)
	for i := at; i < len(dst); i++ {
		if b := dst[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			dst[i] = '-'
		}
	}
	return dst
}

const cookiePrefix = "gp-"

// ours tells whether a cookie of that name is Gatepost's: such cookies are cut
// from what apps get, and apps cannot set them. Both spellings count, whatever
// the scheme is.
func ours(name []byte) bool {
	name = bytes.TrimPrefix(name, []byte(web.HostPrefix))
	return len(name) >= len(cookiePrefix) && string(name[:len(cookiePrefix)]) == cookiePrefix
}

// setsOurs tells whether a Set-Cookie value would give a browser a cookie that
// comes back under a name of ours. A cookie without a name comes back as its
// bare value, so what stands behind "=" counts as well.
func setsOurs(value []byte) bool {
	pair, _, _ := bytes.Cut(value, []byte{';'})
	pair = bytes.TrimLeft(pair, " \t=")
	name, _, _ := bytes.Cut(pair, []byte{'='})
	return ours(bytes.TrimRight(name, " \t"))
}

// ownCookies returns the cookies of a request that are ours.
func ownCookies(values [][]byte) []OwnCookie {
	var own []OwnCookie
	for _, value := range values {
		for pair := range bytes.SplitSeq(value, []byte{';'}) {
			name, v, ok := bytes.Cut(pair, []byte{'='})
			if name = bytes.TrimSpace(name); ok && ours(name) {
				own = append(own, OwnCookie{Name: string(name), Value: strings.TrimSpace(string(v))})
			}
		}
	}
	return own
}
