package web

import (
	"bytes"
	"iter"

	"github.com/valyala/fasthttp"
)

// facts is what the edge wants to know from a header block. The slices point
// into the block.
type facts struct {
	hosts, lengths, codings int
	coding                  []byte // the value of Transfer-Encoding

	accept, fetchMode, fetchDest, purpose, requestedWith, correlation []byte
	upgrade                                                           bool
}

// Lines yields name and value of every header line of a request in the order
// and spelling of the wire, trailers left out. The slices are valid until the
// handler returns. Whoever copies a client's headers to an upstream takes them
// from here: other views of fasthttp merge and rename.
func Lines(h *fasthttp.RequestHeader) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		raw := h.RawHeaders()
		for len(raw) > 0 {
			line, rest, _ := bytes.Cut(raw, []byte{'\n'})
			raw = rest
			name, value, found := bytes.Cut(line, []byte{':'})
			if found && !yield(name, bytes.Trim(value, " \t\r")) {
				return
			}
		}
	}
}

// scan walks a header block once. why is the reason to refuse the request, or
// "": shapes that a server in front or behind could frame or read in another
// way (RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 11.2).
func scan(raw []byte) (f facts, why string) {
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\n')
		if i < 1 || raw[i-1] != '\r' {
			return f, "a line does not end with CR LF"
		}
		line := raw[:i-1]
		raw = raw[i+1:]
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return f, "a header is folded over two lines"
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		if len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return f, "a header name holds a space"
		}
		if why := f.framing(name, value); why != "" {
			return f, why
		}
		f.note(name, value)
	}
	return f, f.framed()
}

// framed says why the end of the message is not certain, or "".
func (f *facts) framed() string {
	switch {
	case f.hosts > 1:
		return "there is more than one Host"
	case f.lengths > 1:
		return "there is more than one Content-Length"
	case f.codings > 0 && f.lengths > 0:
		return "there are both Content-Length and Transfer-Encoding"
	case f.codings > 1 || f.codings == 1 && string(f.coding) != "chunked":
		return "the Transfer-Encoding is not exactly chunked"
	}
	return ""
}

// framing counts the headers that say where a message ends and whom it is for,
// and refuses names that some servers read as one of them.
func (f *facts) framing(name, value []byte) string {
	count := &f.hosts
	switch {
	case foldsTo(name, "host"):
	case foldsTo(name, "content-length"):
		count = &f.lengths
	case foldsTo(name, "transfer-encoding"):
		count = &f.codings
		f.coding = trim(value)
	default:
		return ""
	}
	if bytes.ContainsAny(name, "_.") {
		return "a header name looks like one that frames the message"
	}
	*count++
	return ""
}

// note keeps the first value of the headers that describe the visitor.
func (f *facts) note(name, value []byte) {
	var slot *[]byte
	switch {
	case named(name, "accept"):
		slot = &f.accept
	case named(name, "upgrade"):
		f.upgrade = true
	case named(name, "sec-purpose"):
		slot = &f.purpose
	case named(name, "sec-fetch-mode"):
		slot = &f.fetchMode
	case named(name, "sec-fetch-dest"):
		slot = &f.fetchDest
	case named(name, "x-requested-with"):
		slot = &f.requestedWith
	case named(name, "x-correlation-id"):
		slot = &f.correlation
	}
	if slot != nil && *slot == nil {
		*slot = trim(value)
	}
}

// navigation tells whether the request is a person's browser loading a page into
// a tab, so that a redirect to the sign-in page will be seen. Frames, scripts,
// fetches, upgrades and prefetches are not.
func (f *facts) navigation() bool {
	switch {
	case f.upgrade, len(f.purpose) > 0, named(f.requestedWith, "xmlhttprequest"):
		return false
	case len(f.fetchMode) > 0 || len(f.fetchDest) > 0:
		return string(f.fetchMode) == "navigate" && string(f.fetchDest) == "document"
	}
	return bytes.Contains(f.accept, []byte("text/html")) || bytes.Contains(f.accept, []byte("application/xhtml+xml"))
}

// named tells whether name is want, which must be in lower case, in any case.
func named(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != want[i] {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t") }
