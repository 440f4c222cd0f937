package proxy

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/proxy/upstream"
)

// relay passes an answer on: with its body when all of it is here, else as a
// stream.
func (x *exchange) relay(h *upstream.Head) {
	resp := &x.ctx.Response
	resp.SetStatusCode(h.Status)
	resp.Header.SetNoDefaultContentType(true)
	for _, f := range h.Fields {
		x.relayField(h, f)
	}
	if x.early = x.up != nil && !x.up.complete(); x.early {
		// It answered before the body's end: the rest is not wanted, and the
		// client's connection is of no use afterwards.
		resp.SetConnectionClose()
	}
	if x.visit.Method == fasthttp.MethodHead && h.Declared >= 0 {
		resp.Header.SetContentLength(int(h.Declared))
	}
	if body, ok := x.conn.Whole(); ok {
		if len(body) > 0 {
			resp.SetBody(body)
		}
		x.finish()
		return
	}
	x.stream(h.Length, eventStream(resp.Header.ContentType()))
}

// eventStream tells whether a Content-Type is that of server-sent events.
func eventStream(value []byte) bool {
	media, _, _ := bytes.Cut(value, []byte{';'})
	return bytes.EqualFold(bytes.TrimSpace(media), []byte("text/event-stream"))
}

// relayField copies one header of an answer unless it concerns the connection
// (RFC 9110, section 7.6.1), is set by the edge, or would meddle with our
// cookies.
func (x *exchange) relayField(h *upstream.Head, f upstream.Field) {
	header := &x.ctx.Response.Header
	var buf [32]byte
	switch string(lowerInto(buf[:0], f.Name)) {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info", "te", "trailer", "transfer-encoding",
		"upgrade", "content-length", "date", "x-trace-id":
		return
	case "set-cookie":
		if setsOurs(f.Value) {
			return
		}
	case "location", "content-location":
		header.Add(string(f.Name), x.plan.public(string(f.Value)))
		return
	}
	if h.Names(f.Name) {
		return
	}
	header.AddBytesKV(f.Name, f.Value)
}

// lowerInto appends name in lower case, or nothing when there is no room: no
// name that matters is so long.
func lowerInto(dst, name []byte) []byte {
	if len(name) > cap(dst) {
		return dst
	}
	for _, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		dst = append(dst, b)
	}
	return dst
}

// upgradeHead returns the head of a 101 answer for the client.
func upgradeHead(h *upstream.Head, protocol, trace string) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\nX-Trace-Id: " + trace + "\r\n")
	var buf [32]byte
	for _, f := range h.Fields {
		switch string(lowerInto(buf[:0], f.Name)) {
		case "connection", "upgrade", "keep-alive", "proxy-connection", "content-length", "transfer-encoding", "x-trace-id", "trailer", "te":
			continue
		case "set-cookie":
			if setsOurs(f.Value) {
				continue
			}
		}
		b.Write(f.Name)
		b.WriteString(": ")
		b.Write(f.Value)
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
