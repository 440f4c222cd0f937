package proxy

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// line is a header line of a request, as places in its raw header block.
type line struct {
	name, colon int32 // raw[name:colon] is the name
	value, end  int32 // raw[value:end] is the value
	kind        kind
}

// inbound is what a client sent, read once. Its bytes are fasthttp's and die
// with the handler.
type inbound struct {
	raw   []byte
	lines []line
	named bool // Connection names headers besides the usual ones
	room  [24]line
}

// read takes a raw header block apart. custom are the folded names of the
// host's own identity headers.
func (in *inbound) read(raw []byte, custom map[string]struct{}) error {
	in.raw, in.lines = raw, in.room[:0]
	var buf [128]byte
	at := 0
	for at < len(raw) {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			n = len(raw) - at
		}
		text := bytes.TrimSuffix(raw[at:at+n], []byte{'\r'})
		start := at
		at += n + 1
		if len(text) == 0 {
			break
		}
		colon := bytes.IndexByte(text, ':')
		if colon <= 0 || text[0] == ' ' || text[0] == '\t' || bytes.IndexByte(text, '\r') >= 0 {
			return fault.New(fault.Invalid, "The request is refused: a header line is malformed.", nil)
		}
		value := bytes.TrimLeft(text[colon+1:], " \t")
		l := line{name: int32(start), colon: int32(start + colon), end: int32(start + len(text))}
		l.value = l.end - int32(len(value))
		folded := foldInto(buf[:0], text[:min(colon, len(buf))])
		l.kind = classify(folded)
		if len(custom) > 0 {
			if _, is := custom[string(folded)]; is {
				l.kind = drop
			}
		}
		if l.kind == connection && !usual(value) {
			in.named = true
		}
		in.lines = append(in.lines, l)
	}
	return nil
}

// usual tells whether a Connection value names no header besides those that are
// never passed on anyway.
func usual(value []byte) bool {
	for item := range bytes.SplitSeq(value, []byte{','}) {
		var buf [32]byte
		item = bytes.TrimSpace(item)
		switch string(foldInto(buf[:0], item[:min(len(item), len(buf))])) {
		case "", "close", "keep-alive", "upgrade", "te", "http2-settings":
		default:
			return false
		}
	}
	return true
}

func (in *inbound) nameOf(l line) []byte  { return in.raw[l.name:l.colon] }
func (in *inbound) valueOf(l line) []byte { return in.raw[l.value:l.end] }

// all returns the values of the lines of one kind.
func (in *inbound) all(k kind) [][]byte {
	var vs [][]byte
	for _, l := range in.lines {
		if l.kind == k {
			vs = append(vs, in.valueOf(l))
		}
	}
	return vs
}

// first returns the value of the first line of one kind, or nil.
func (in *inbound) first(k kind) []byte {
	for _, l := range in.lines {
		if l.kind == k {
			return in.valueOf(l)
		}
	}
	return nil
}

// names tells whether a Connection header names this one (RFC 9110, section
// 7.6.1).
func (in *inbound) names(name []byte) bool {
	for _, l := range in.lines {
		if l.kind != connection {
			continue
		}
		for item := range bytes.SplitSeq(in.valueOf(l), []byte{','}) {
			if bytes.EqualFold(bytes.TrimSpace(item), name) {
				return true
			}
		}
	}
	return false
}

// protocol returns the protocol that the client wants to change to, if the
// request asks for exactly one and the route allows it. Otherwise the request
// goes on as if it had not asked (RFC 9110, section 7.8).
func (in *inbound) protocol(allowed []string) string {
	asked := in.all(upgrade)
	if len(asked) != 1 {
		return ""
	}
	for _, v := range in.all(connection) {
		if !upstream.HasToken(v, "upgrade") {
			continue
		}
		for _, a := range allowed {
			if bytes.EqualFold(asked[0], []byte(a)) {
				return a
			}
		}
	}
	return ""
}

// ofOrigin tells whether the request comes from a page of the route's own origin
// or of one that it allows, or from no page: browsers always say which page opens
// a WebSocket (RFC 6455, section 10.2).
func (in *inbound) ofOrigin(r *route.Route) bool {
	for _, l := range in.lines {
		if !bytes.EqualFold(in.nameOf(l), []byte("Origin")) {
			continue
		}
		if o := string(in.valueOf(l)); o != r.Origin && !slices.Contains(r.AllowedOrigins, o) {
			return false
		}
	}
	return true
}

// outbound is what the one builder of upstream heads needs to know besides the
// client's lines.
type outbound struct {
	visit    *web.Visit
	plan     *plan
	identity []byte // ready lines, each with its CRLF
	length   int64  // of the body; 0: none, -1: chunked
	protocol string // to upgrade to; empty: none
	bearer   bool   // Authorization was the gateway's credential
}

// appendHead appends the head of the upstream's request to dst. It is the only
// function that makes one: requests, retries and upgrades alike get their
// headers here, so that no path can forget to drop what clients must not set.
func (in *inbound) appendHead(dst []byte, o *outbound) []byte {
	dst = in.appendStart(dst, o)
	for _, l := range in.lines {
		switch l.kind {
		case keep:
			if in.named && in.names(in.nameOf(l)) {
				continue
			}
			dst = append(dst, in.raw[l.name:l.end]...)
			dst = append(dst, "\r\n"...)
		case authorization:
			if !o.bearer {
				dst = appendLine(dst, "Authorization", in.valueOf(l))
			}
		case cookie:
			if rest := web.StripCookies(in.valueOf(l), ours); len(rest) > 0 {
				dst = appendLine(dst, "Cookie", rest)
			}
		}
	}
	switch {
	case o.length < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case o.length > 0 || o.visit.Method == "POST" || o.visit.Method == "PUT" || o.visit.Method == "PATCH":
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, o.length, 10)
		dst = append(dst, "\r\n"...)
	}
	if o.protocol != "" {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, o.protocol...)
		dst = append(dst, "\r\n"...)
	}
	dst = appendForwarded(dst, o)
	dst = append(dst, o.identity...)
	return append(dst, "\r\n"...)
}

// appendStart appends the request line and Host.
func (in *inbound) appendStart(dst []byte, o *outbound) []byte {
	v, p := o.visit, o.plan
	dst = append(dst, v.Method...)
	dst = append(dst, ' ')
	dst = p.appendPath(dst, v.Path)
	if v.RawQuery != "" {
		dst = append(dst, '?')
		dst = append(dst, v.RawQuery...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	if p.route.PreserveHost {
		dst = append(dst, p.route.Host...)
	} else {
		dst = append(dst, p.route.URL.Host...)
	}
	return append(dst, "\r\n"...)
}

// appendForwarded appends who asked for what, by which scheme: the values that
// the edge found out, never those of the client (RFC 7239).
func appendForwarded(dst []byte, o *outbound) []byte {
	v, host := o.visit, o.plan.route.Host
	dst = append(dst, "X-Forwarded-Proto: "...)
	dst = append(dst, v.Scheme...)
	dst = append(dst, "\r\nX-Forwarded-Host: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\n"...)
	if v.ClientIP.IsValid() {
		dst = append(dst, "X-Forwarded-For: "...)
		dst = v.ClientIP.AppendTo(dst)
		dst = append(dst, "\r\nForwarded: for="...)
		quoted := v.ClientIP.Is6()
		if quoted {
			dst = append(dst, `"[`...)
		}
		dst = v.ClientIP.AppendTo(dst)
		if quoted {
			dst = append(dst, `]"`...)
		}
		dst = append(dst, `;host="`...)
	} else {
		dst = append(dst, `Forwarded: host="`...)
	}
	dst = append(dst, host...)
	dst = append(dst, `";proto=`...)
	dst = append(dst, v.Scheme...)
	dst = append(dst, "\r\nX-Trace-Id: "...)
	dst = append(dst, v.TraceID...)
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}
