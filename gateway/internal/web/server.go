package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Config says how a Server treats its clients. Every zero value has a safe
// meaning.
type Config struct {
	Log *slog.Logger // nil: nothing is logged

	// Trusted are the proxies whose X-Forwarded-For, -Proto and -Host count.
	// Empty trusts nobody.
	Trusted []netip.Prefix

	HeaderBytes   int           // limit of request line and headers; 0: 32 KiB
	HeaderTimeout time.Duration // from the first byte to the end of the headers; 0: 15 s
	BodyIdle      time.Duration // between two reads of a body; 0: 60 s
	WriteIdle     time.Duration // for one write to a client; 0: 60 s
	IdleTimeout   time.Duration // between two requests; 0: 90 s
	MaxConns      int           // connections at once on one listener, upgraded ones too; 0: 10 000
	MaxConnsPerIP int           // of one client, proxies and loopback excepted; 0: no limit
	MaxBody       int64         // for Decode and Form; 0: 1 MiB

	// Page writes an HTML page about a problem. Nil: a bare page.
	Page func(w io.Writer, p Problem) error
	// HeadersTooLarge is the page for 431. It is all that a browser with too
	// many cookies can load from this host, so it brings its own style, which
	// HeadersTooLargeCSP must allow. Nil: a line of text.
	HeadersTooLarge    []byte
	HeadersTooLargeCSP string
	// Unavailable lists errors that read as fault.Unavailable when nothing in
	// the chain is a *fault.Error, such as store.ErrUnavailable.
	Unavailable []error

	// Expect judges a request that waits with "Expect: 100-continue" before its
	// body is sent: fasthttp.StatusContinue lets it come, any other status is
	// the answer and ends the connection. It must not write to h. Nil lets all
	// come.
	Expect func(v Visit, h *fasthttp.RequestHeader) int
	// Observe is told of every answer. It must not block. Nil: nobody is told.
	Observe func(Sample)
	// NoAccessLog leaves out the line that is otherwise logged for every answer.
	NoAccessLog bool
}

// Sample describes one answer for the metrics.
type Sample struct {
	Method   string // "other" unless it is a common one
	Area     string // what Label said: "own", "app", "none" by Hosts, or empty
	Status   int
	Duration time.Duration // until the handler returned; streams go on after it
	Refused  string        // why it never reached a handler: framing, host, path, method, headers, timeout, parse, connections; or empty
}

func (c Config) defaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Sample) {}
	}
	orInt(&c.HeaderBytes, 32<<10)
	orInt(&c.MaxConns, 10_000)
	orInt(&c.MaxBody, 1<<20)
	orInt(&c.HeaderTimeout, 15*time.Second)
	orInt(&c.BodyIdle, 60*time.Second)
	orInt(&c.WriteIdle, 60*time.Second)
	orInt(&c.IdleTimeout, 90*time.Second)
	return c
}

func orInt[T int | int64 | time.Duration](v *T, or T) {
	if *v <= 0 {
		*v = or
	}
}

// Server answers HTTP/1.1 on listeners. It is safe for concurrent use once its
// areas are mounted.
type Server struct {
	cfg    Config
	app    *fiber.App
	errors *Errors
	next   fasthttp.RequestHandler // fiber
	quiet  sampler

	base context.Context // ends when open connections are cut
	cut  context.CancelFunc

	mu    sync.Mutex
	edges []*edge
	ended bool // Shutdown has begun
}

// Area is a part of the product that mounts its own routes.
type Area interface {
	Mount(r fiber.Router)
}

// New returns a server without routes.
func New(cfg Config) *Server {
	cfg = cfg.defaults()
	s := &Server{cfg: cfg, errors: &Errors{log: cfg.Log, page: cfg.Page, unavailable: cfg.Unavailable}}
	s.base, s.cut = context.WithCancel(context.Background())
	s.app = fiber.New(fiber.Config{
		AppName:                      "",
		CaseSensitive:                true,
		StrictRouting:                true,
		Immutable:                    true, // a belt: see Read
		DisableStartupMessage:        true,
		DisablePreParseMultipartForm: true, // would spool uploads into temporary files
		StreamRequestBody:            true,
		ReadBufferSize:               cfg.HeaderBytes,
		ReadTimeout:                  cfg.HeaderTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		Concurrency:                  2 * cfg.MaxConns, // the edge counts; a worker ends a moment after its connection
		RequestMethods:               methods(),
		ErrorHandler:                 s.errors.Any,
	})
	srv := s.app.Server()
	s.next = srv.Handler
	srv.Handler = s.serve
	srv.ErrorHandler = s.unread
	srv.ExpectHandler = s.expect
	srv.ConnState = func(c net.Conn, state fasthttp.ConnState) {
		if c, ok := unwrap(c); ok {
			c.state(state)
		}
	}
	// The header timeout is over once the headers are here; bodies have their own.
	srv.HeaderReceived = func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
		return fasthttp.RequestConfig{ReadTimeout: cfg.BodyIdle}
	}
	srv.CloseOnShutdown = true
	srv.SecureErrorLogMessage = true
	return s
}

// methods are those of the IANA registry that web applications use, WebDAV's
// among them. Others get 400 from fiber.
func methods() []string {
	return slices.Concat(fiber.DefaultMethods, []string{
		"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "MKCALENDAR", "ACL", "BIND", "UNBIND", "REBIND", "VERSION-CONTROL",
		"CHECKIN", "CHECKOUT", "UNCHECKOUT", "MERGE", "LABEL", "UPDATE", "ORDERPATCH", "MKACTIVITY", "MKWORKSPACE", "BASELINE-CONTROL", "LINK", "UNLINK", "QUERY",
	})
}

// App returns the fiber application, to mount areas on.
func (s *Server) App() *fiber.App { return s.app }

// Errors returns the functions that turn errors into answers.
func (s *Server) Errors() *Errors { return s.errors }

// Serve answers connections of ln until [Server.Shutdown], then returns nil. It
// closes ln.
func (s *Server) Serve(ln net.Listener) error {
	e := newEdge(ln, s.cfg, s.overfull)
	s.mu.Lock()
	late := s.ended
	s.edges = append(s.edges, e)
	s.mu.Unlock()
	if late {
		return e.Close()
	}
	if err := s.app.Listener(e); err != nil {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// overfull tells of a connection that found no place. Only the limit of all is
// the operator's affair: at most ten lines a second.
func (s *Server) overfull(status int) {
	s.cfg.Observe(Sample{Method: "other", Status: status, Refused: "connections"})
	if status != fasthttp.StatusServiceUnavailable {
		return
	}
	if ok, missed := s.quiet.take(time.Now()); ok {
		s.cfg.Log.Warn("connection refused: so many are open already", "limit", s.cfg.MaxConns, "lines_left_out", missed)
	}
}

// Shutdown stops accepting, lets running requests end, and cuts what is open
// when ctx ends; then it returns ctx's error. Streams learn of it by the Done of
// their fiber.Ctx.Context.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ended = true
	edges := slices.Clone(s.edges)
	s.mu.Unlock()
	err := s.app.ShutdownWithContext(ctx)
	s.cut()
	for _, e := range edges {
		_ = e.Close() // open if its Serve has only begun, so that fasthttp did not know it
		e.closeAll()
	}
	if err != nil {
		return fmt.Errorf("connections were cut: %w", err)
	}
	return nil
}

// Context returns a context for the work of one request. It ends after limit, or
// when the server cuts its connections. A client that leaves is not noticed:
// fasthttp sees it only when it writes.
func Context(c *fiber.Ctx, limit time.Duration) (context.Context, context.CancelFunc) {
	base := context.Background()
	if s := stateOf(c.Context()).server; s != nil {
		base = s.base
	}
	return context.WithTimeout(base, limit)
}
