package web

import (
	"errors"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Stream returns the body of a request for reading as it arrives; nil when there
// is none. More than limit bytes (0 or less: any number) end it with
// fault.TooLarge, at once when Content-Length already says so; a body that is
// shorter than announced ends with io.ErrUnexpectedEOF. Between two reads the
// client has Config.BodyIdle.
func Stream(c *fiber.Ctx, limit int64) (io.Reader, error) {
	ctx := c.Context()
	size := int64(ctx.Request.Header.ContentLength())
	if limit > 0 && size > limit {
		return nil, tooLarge()
	}
	src := ctx.RequestBodyStream()
	if src == nil || size == 0 {
		return nil, nil
	}
	idle := 60 * time.Second
	if s := stateOf(ctx).server; s != nil {
		idle = s.cfg.BodyIdle
	}
	return &bodyReader{ctx: ctx, src: src, limit: limit, size: size, idle: idle}, nil
}

func tooLarge() error { return fault.New(fault.TooLarge, "The body is too large.", nil) }

// bodyReader counts a body against its limit and its announced length.
type bodyReader struct {
	ctx   *fasthttp.RequestCtx
	src   io.Reader
	limit int64
	size  int64 // announced; negative: chunked
	read  int64
	idle  time.Duration
	armed time.Time
}

// Read reads a part of the body.
func (b *bodyReader) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.armed) > b.idle/8 {
		if err := b.ctx.SetReadDeadline(now.Add(b.idle)); err != nil {
			return 0, err
		}
		b.armed = now
	}
	if b.limit > 0 && int64(len(p)) > b.limit-b.read+1 {
		p = p[:b.limit-b.read+1]
	}
	n, err := b.src.Read(p)
	b.read += int64(n)
	if b.limit > 0 && b.read > b.limit {
		return 0, tooLarge()
	}
	// fasthttp reports a connection that closed early as a plain end.
	if errors.Is(err, io.EOF) && b.read < b.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Body reads the whole body, at most limit bytes, and returns a copy; empty is
// nil. It may be called again. Errors are fault.TooLarge, or fault.Invalid for a
// body that ends early, does not arrive in time or is compressed.
func Body(c *fiber.Ctx, limit int64) ([]byte, error) {
	ctx := c.Context()
	st := stateOf(ctx)
	if st.body != nil {
		if limit > 0 && int64(len(st.body)) > limit {
			return nil, tooLarge()
		}
		return st.body, nil
	}
	if enc := ctx.Request.Header.Peek("Content-Encoding"); len(enc) > 0 && !named(enc, "identity") {
		return nil, fault.New(fault.Invalid, "Compressed bodies are not read here.", nil)
	}
	src, err := Stream(c, limit)
	if err != nil || src == nil {
		return nil, err
	}
	body, err := io.ReadAll(src)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	st.body = body
	return body, nil
}

func bodyError(err error) error {
	var f *fault.Error
	var timeout net.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &timeout) && timeout.Timeout():
		return fault.New(fault.Invalid, "The body did not arrive in time.", err)
	}
	return fault.New(fault.Invalid, "The body ended early.", err)
}

func maxBody(c *fiber.Ctx) int64 {
	if s := stateOf(c.Context()).server; s != nil {
		return s.cfg.MaxBody
	}
	return 1 << 20
}

// Form reads an application/x-www-form-urlencoded body of at most Config.MaxBody
// bytes. Parameters of the address are not among the values.
func Form(c *fiber.Ctx) (url.Values, error) {
	kind := mediaType(c.Context().Request.Header.ContentType())
	body, err := Body(c, maxBody(c))
	if err != nil {
		return nil, err
	}
	if !named(kind, "application/x-www-form-urlencoded") && (len(body) > 0 || len(kind) > 0) {
		return nil, fault.New(fault.Invalid, "The body must be a form (application/x-www-form-urlencoded).", nil)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "The form is not encoded well.", err)
	}
	return values, nil
}

// Query reads the parameters of the address.
func Query(c *fiber.Ctx) (url.Values, error) {
	values, err := url.ParseQuery(Read(c).RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The query of this address is not encoded well.", err)
	}
	return values, nil
}

// Param returns a parameter of the route, unescaped.
func Param(c *fiber.Ctx, name string) (string, error) {
	value, err := url.PathUnescape(c.Params(name))
	if err != nil {
		return "", fault.At(fault.Invalid, name, "is not encoded well")
	}
	return value, nil
}

// Header returns the first value of a request header, or "".
func Header(c *fiber.Ctx, name string) string {
	return string(c.Context().Request.Header.Peek(name))
}

// Headers returns all values of a request header.
func Headers(c *fiber.Ctx, name string) []string {
	var all []string
	for _, v := range c.Context().Request.Header.PeekAll(name) {
		all = append(all, string(v))
	}
	return all
}

// mediaType returns a Content-Type without its parameters.
func mediaType(contentType []byte) []byte {
	for i, b := range contentType {
		if b == ';' {
			contentType = contentType[:i]
			break
		}
	}
	return trim(contentType)
}
