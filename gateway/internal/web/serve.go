package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Headers of every answer.
const (
	headerTrace       = "X-Trace-ID"
	headerCorrelation = "X-Correlation-ID"
)

type stateKey struct{}

// state is what the edge keeps of a running request.
type state struct {
	visit  Visit
	server *Server
	start  time.Time
	body   []byte // once Body has read it
	area   string
	reason string // the cause of an error answer, for the log
}

// stateOf returns the state of a request. Every request has one before a
// handler sees it; the empty one is for contexts made by hand.
func stateOf(ctx *fasthttp.RequestCtx) *state {
	if st, ok := ctx.UserValue(stateKey{}).(*state); ok {
		return st
	}
	return &state{}
}

// begin reads the request and keeps its state.
func (s *Server) begin(ctx *fasthttp.RequestCtx) (*state, *refusal) {
	st := &state{server: s, start: time.Now()}
	no := s.arrive(ctx, &st.visit)
	ctx.SetUserValue(stateKey{}, st)
	return st, no
}

// serve stands before fiber.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	st, known := ctx.UserValue(stateKey{}).(*state) // from expect
	var no *refusal
	if !known {
		st, no = s.begin(ctx)
	}
	if no != nil {
		s.refuse(ctx, st, no)
		return
	}
	s.run(ctx, st)
	s.end(ctx, st, "")
}

// run calls the handlers. A panic of theirs becomes a 500 with an id.
func (s *Server) run(ctx *fasthttp.RequestCtx, st *state) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			ctx.Response.Reset()
			_ = s.errors.write(ctx, err, s.errors.family(st)) // always nil
			ctx.SetConnectionClose()
		}
	}()
	s.next(ctx)
}

// end completes the answer and tells log and metrics of it.
func (s *Server) end(ctx *fasthttp.RequestCtx, st *state, refused string) {
	h := &ctx.Response.Header
	h.Set(headerTrace, st.visit.TraceID)
	if st.visit.CorrelationID != "" {
		h.Set(headerCorrelation, st.visit.CorrelationID)
	}
	if h.ConnectionClose() || ctx.Request.IsBodyStream() {
		if c, ok := unwrap(ctx.Conn()); ok {
			c.linger.Store(true)
		}
	}
	status := h.StatusCode()
	if ctx.Hijacked() && status == fasthttp.StatusOK {
		status = fasthttp.StatusSwitchingProtocols
	}
	s.tell(st, status, size(ctx), refused)
}

// size returns the bytes of the answer's body, -1 for a stream of unknown
// length.
func size(ctx *fasthttp.RequestCtx) int {
	if ctx.Response.IsBodyStream() || ctx.IsHead() {
		return max(ctx.Response.Header.ContentLength(), -1)
	}
	return len(ctx.Response.Body())
}

// tell logs one line and passes a sample on. Query values are never logged: they
// carry codes and states.
func (s *Server) tell(st *state, status, bytes int, refused string) {
	took := time.Since(st.start)
	s.cfg.Observe(Sample{Method: methodLabel(st.visit.Method), Area: st.area, Status: status, Duration: took, Refused: refused})
	if s.cfg.NoAccessLog || !s.cfg.Log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	v := &st.visit
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("method", v.Method), slog.String("host", v.Host), slog.String("path", v.Path), slog.Int("status", status),
		slog.Duration("took", took), slog.Int("bytes", bytes), slog.String("trace_id", v.TraceID), slog.Any("client_ip", v.ClientIP))
	if v.CorrelationID != "" {
		attrs = append(attrs, slog.String("correlation_id", v.CorrelationID))
	}
	if refused != "" {
		attrs = append(attrs, slog.String("refused", refused))
	}
	if st.reason != "" {
		attrs = append(attrs, slog.String("reason", st.reason))
	}
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// Label names the area that answers the request in the metrics. Use few names.
func Label(c *fiber.Ctx, area string) { stateOf(c.Context()).area = area }

func methodLabel(m string) string {
	if slices.Contains(fiber.DefaultMethods, m) {
		return m
	}
	return "other"
}

// refuse answers a request that must not reach a handler and ends the
// connection: whoever framed it badly may have put a second one behind it.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, st *state, no *refusal) {
	st.reason = no.say
	s.errors.answer(ctx, problemOf(no.status, no.say, st), s.errors.family(st))
	ctx.SetConnectionClose()
	s.end(ctx, st, no.reason)
}

// expect runs before the body of a request that waits for permission.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	st, no := s.begin(ctx)
	switch {
	case no != nil:
		st.reason = no.say
		s.tell(st, no.status, 0, no.reason)
		return no.status
	case s.cfg.Expect == nil:
		return fasthttp.StatusContinue
	}
	status := s.cfg.Expect(st.visit, &ctx.Request.Header)
	if status != fasthttp.StatusContinue {
		if c, ok := unwrap(ctx.Conn()); ok {
			c.linger.Store(true)
		}
		s.tell(st, status, 0, "")
	}
	return status
}

// unread answers what fasthttp could not read as a request.
func (s *Server) unread(ctx *fasthttp.RequestCtx, err error) {
	st := &state{server: s, start: time.Now()}
	st.visit.TraceID, st.visit.PeerIP = newTraceID(), peer(ctx.RemoteAddr())
	st.visit.ClientIP = st.visit.PeerIP
	no := unreadable(err)
	ctx.Response.Reset()
	switch {
	case no.status == fasthttp.StatusRequestHeaderFieldsTooLarge && len(s.cfg.HeadersTooLarge) > 0:
		ctx.SetStatusCode(no.status)
		ctx.SetContentType("text/html; charset=utf-8")
		ctx.Response.Header.Set("Content-Security-Policy", s.cfg.HeadersTooLargeCSP)
		ctx.SetBody(s.cfg.HeadersTooLarge)
	default:
		s.errors.answer(ctx, problemOf(no.status, no.say, st), familyREST)
	}
	ctx.Response.Header.Set(headerTrace, st.visit.TraceID)
	if c, ok := unwrap(ctx.Conn()); ok {
		c.linger.Store(true)
	}
	s.cfg.Observe(Sample{Method: "other", Status: no.status, Refused: no.reason})
	s.logUnread(st, no, err)
}

// logUnread logs what is worth it, and at most ten lines a second of it: these
// requests cost their sender nothing.
func (s *Server) logUnread(st *state, no *refusal, err error) {
	level := slog.LevelWarn
	if no.reason == "timeout" || no.reason == "gone" {
		level = slog.LevelDebug
	}
	ok, missed := s.quiet.take(st.start)
	if !ok {
		return
	}
	s.cfg.Log.LogAttrs(context.Background(), level, "request refused before it could be read",
		slog.Int("status", no.status), slog.String("refused", no.reason), slog.Any("client_ip", st.visit.ClientIP),
		slog.String("trace_id", st.visit.TraceID), slog.String("error", err.Error()), slog.Int("lines_left_out", missed))
}

// unreadable sorts fasthttp's errors.
func unreadable(err error) *refusal {
	var timeout net.Error
	var small *fasthttp.ErrSmallBuffer
	var handshake tls.RecordHeaderError
	switch {
	case errors.As(err, &small):
		return &refusal{fasthttp.StatusRequestHeaderFieldsTooLarge, "headers", "The headers of this request are too large. A browser that sends too many cookies should delete those of this site."}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &refusal{fasthttp.StatusRequestTimeout, "timeout", "The request did not arrive in time."}
	case errors.Is(err, errBareLF):
		return &refusal{fasthttp.StatusBadRequest, "framing", "The request is refused: " + errBareLF.Error() + "."}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &handshake), errors.As(err, &timeout):
		return &refusal{fasthttp.StatusBadRequest, "gone", "The request ended early."}
	}
	return &refusal{fasthttp.StatusBadRequest, "parse", "This is not a well-formed HTTP request."}
}

// sampler lets ten events a second through and counts the others.
type sampler struct {
	mu     sync.Mutex
	second int64
	seen   int
	missed int
}

func (s *sampler) take(now time.Time) (ok bool, missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() != s.second {
		s.second, s.seen = now.Unix(), 0
	}
	if s.seen++; s.seen > 10 {
		s.missed++
		return false, 0
	}
	missed, s.missed = s.missed, 0
	return true, missed
}
