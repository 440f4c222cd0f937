package ops

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

// Check is one thing that must work for the gateway to be of use.
type Check struct {
	Name string
	Run  func(ctx context.Context) error // nil error: it works. Safe for concurrent use
	// Reported checks are shown but do not decide: the gateway stays in service
	// without them.
	Reported bool
}

// Config says what to answer.
type Config struct {
	Checks  []Check
	Metrics *Metrics
	Version string
	Log     *slog.Logger     // nil: nothing is logged
	Timeout time.Duration    // for each check; 0: 2 s
	Keep    time.Duration    // how long a result is answered again; 0: 1 s
	Now     func() time.Time // nil: time.Now
}

// Handler answers /healthz, /readyz and /metrics. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	started  time.Time
	draining atomic.Bool

	mu   sync.Mutex
	last readiness
	at   time.Time
}

var _ web.Area = (*Handler)(nil)

// New returns a handler.
func New(cfg Config) *Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Keep <= 0 {
		cfg.Keep = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Handler{cfg: cfg, started: cfg.Now()}
}

// Mount adds the routes. GET routes answer HEAD too.
func (h *Handler) Mount(r fiber.Router) {
	r.Get("/healthz", h.healthz)
	r.Get("/readyz", h.readyz)
	r.Get("/metrics", h.metrics)
}

// Drain makes /readyz answer 503 from now on, so that balancers send no more
// requests while those that run come to an end.
func (h *Handler) Drain() { h.draining.Store(true) }

// health is the answer of /healthz.
type health struct {
	Status  string `json:"status"`
	Version string `json:"version,omitempty"`
	Uptime  string `json:"uptime"`
}

func (h *Handler) healthz(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(health{Status: "ok", Version: h.cfg.Version, Uptime: h.cfg.Now().Sub(h.started).Truncate(time.Second).String()})
}

// readiness is the answer of /readyz.
type readiness struct {
	Status string            `json:"status"` // ready, not_ready, draining
	Checks map[string]result `json:"checks"`
}

type result struct {
	Status   string `json:"status"` // ok, failed
	Error    string `json:"error,omitempty"`
	TookMS   int64  `json:"took_ms"`
	Reported bool   `json:"reported,omitempty"`
}

func (h *Handler) readyz(c *fiber.Ctx) error {
	r := h.ready()
	if h.draining.Load() {
		r.Status = "draining"
	}
	if r.Status != "ready" {
		c.Status(fiber.StatusServiceUnavailable)
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(r)
}

// ready runs the checks, or returns what they said a moment ago: probes of many
// balancers cost the store no more than one.
func (h *Handler) ready() readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && h.cfg.Now().Sub(h.at) < h.cfg.Keep {
		return h.last
	}
	before := h.last
	h.last, h.at = h.run(), h.cfg.Now()
	h.report(before)
	return h.last
}

// run runs all checks at once.
func (h *Handler) run() readiness {
	results := make([]result, len(h.cfg.Checks))
	var wg sync.WaitGroup
	for i, check := range h.cfg.Checks {
		wg.Go(func() { results[i] = h.try(check) })
	}
	wg.Wait()
	r := readiness{Status: "ready", Checks: map[string]result{}}
	for i, check := range h.cfg.Checks {
		r.Checks[check.Name] = results[i]
		if results[i].Status != "ok" && !check.Reported {
			r.Status = "not_ready"
		}
	}
	return r
}

// try runs one check. One that ignores its deadline is left behind.
func (h *Handler) try(check Check) result {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.Timeout)
	defer cancel()
	begin := time.Now()
	said := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				said <- fmt.Errorf("panic: %v", p)
			}
		}()
		said <- check.Run(ctx)
	}()
	var err error
	select {
	case err = <-said:
	case <-ctx.Done():
		err = fault.New(fault.Unavailable, "No answer in "+h.cfg.Timeout.String()+".", ctx.Err())
	}
	r := result{Status: "ok", TookMS: time.Since(begin).Milliseconds(), Reported: check.Reported}
	if err != nil {
		r.Status, r.Error = "failed", err.Error()
	}
	return r
}

// report logs checks that changed, so that the log says when something went away
// and when it came back.
func (h *Handler) report(before readiness) {
	for name, now := range h.last.Checks {
		was, known := before.Checks[name]
		switch {
		case now.Status == "failed" && (!known || was.Status == "ok"):
			h.cfg.Log.Error("check failed", "check", name, "error", now.Error)
		case now.Status == "ok" && known && was.Status == "failed":
			h.cfg.Log.Info("check works again", "check", name)
		}
	}
}

func (h *Handler) metrics(c *fiber.Ctx) error {
	if h.cfg.Metrics == nil {
		return fault.New(fault.NotFound, "There are no metrics here.", nil)
	}
	return h.cfg.Metrics.answer(c)
}
