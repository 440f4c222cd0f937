package ops

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the numbers of one gateway, in a registry of their own, so that
// several gateways can live in one process. Labels never hold what a stranger
// can choose: no hosts, paths, users or tenants. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	refused   *prometheus.CounterVec
	decisions *prometheus.CounterVec
	upstream  *prometheus.HistogramVec
	signIns   *prometheus.CounterVec
	tokens    prometheus.Counter
	store     *prometheus.CounterVec
	gate      prometheus.Counter
	jobs      *prometheus.HistogramVec
	jobErrors *prometheus.CounterVec
}

// fast covers what stays in the process, slow what leaves it; in seconds.
func fast() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func slow() []float64 { return []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300} }

// NewMetrics returns metrics that have counted nothing yet.
func NewMetrics(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gatepost", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "gatepost", Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		requests:  counter("http_requests_total", "Answers by area (own pages and API, app, none), method and status code.", "area", "method", "code"),
		durations: histogram("http_request_duration_seconds", "Time until the handler returned; streams go on after it.", fast(), "area"),
		refused:   counter("http_refused_total", "Requests and connections refused before any handler, by reason.", "reason"),
		decisions: counter("proxy_decisions_total", "What was decided about requests to apps.", "outcome"),
		upstream:  histogram("proxy_upstream_seconds", "Time until an app's answer began or did not, by outcome.", fast(), "outcome"),
		signIns:   counter("sign_ins_total", "Sign-ins that succeeded, and attempts that failed, by outcome.", "outcome"),
		tokens:    counter("access_tokens_issued_total", "Access tokens issued.").WithLabelValues(),
		store:     counter("store_errors_total", "Operations for which the store was not available, by table and operation.", "table", "operation"),
		gate:      counter("gate_refused_total", "Password hashes that the hashing gate had no room for.").WithLabelValues(),
		jobs:      histogram("job_duration_seconds", "Runs of background work.", slow(), "job"),
		jobErrors: counter("job_errors_total", "Runs of background work that failed.", "job"),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "gatepost", Name: "build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info,
		m.requests, m.durations, m.refused, m.decisions, m.upstream, m.signIns, m.tokens, m.store, m.gate, m.jobs, m.jobErrors)
	return m
}

// Request counts an answer: it is what web.Config.Observe asks for.
func (m *Metrics) Request(s web.Sample) {
	if s.Refused != "" {
		m.refused.WithLabelValues(s.Refused).Inc()
	}
	area := s.Area
	if area == "" {
		area = "none"
	}
	m.requests.WithLabelValues(area, s.Method, strconv.Itoa(s.Status)).Inc()
	m.durations.WithLabelValues(area).Observe(s.Duration.Seconds())
}

// Decision counts what was decided about a request to an app: it is what
// proxy.Config.Decided asks for.
func (m *Metrics) Decision(outcome string) { m.decisions.WithLabelValues(outcome).Inc() }

// Upstream counts an app's answer: it is what proxy.Config.Answered asks for.
func (m *Metrics) Upstream(outcome string, took time.Duration) {
	m.upstream.WithLabelValues(outcome).Observe(took.Seconds())
}

// SignIn counts a sign-in that "succeeded", or an attempt that "failed".
func (m *Metrics) SignIn(outcome string) { m.signIns.WithLabelValues(outcome).Inc() }

// Token counts an issued access token.
func (m *Metrics) Token() { m.tokens.Inc() }

// StoreError counts a failed operation of the store: it is what store.Store.Failed
// asks for.
func (m *Metrics) StoreError(table, operation string) {
	m.store.WithLabelValues(table, operation).Inc()
}

// GateRefused counts a password hash that the hashing gate had no room for.
func (m *Metrics) GateRefused() { m.gate.Inc() }

// Job counts a run of background work.
func (m *Metrics) Job(name string, took time.Duration, err error) {
	m.jobs.WithLabelValues(name).Observe(took.Seconds())
	if err != nil {
		m.jobErrors.WithLabelValues(name).Inc()
	}
}

// Watch adds a number that read returns at every scrape, such as the length of a
// queue, as gatepost_<name>. The error says that the name is taken.
func (m *Metrics) Watch(name, help string, read func() float64) error {
	err := m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "gatepost", Name: name, Help: help}, read))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// answer writes all metrics in the format that the scraper asks for.
func (m *Metrics) answer(c *fiber.Ctx) error {
	req, err := http.NewRequestWithContext(c.UserContext(), http.MethodGet, "/metrics", nil)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, name := range []string{fiber.HeaderAccept, fiber.HeaderAcceptEncoding} {
		req.Header.Set(name, web.Header(c, name))
	}
	w := &page{header: http.Header{}, status: http.StatusOK}
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, req)
	for name, values := range w.header {
		for _, v := range values {
			c.Set(name, v)
		}
	}
	return c.Status(w.status).Send(w.body.Bytes())
}

// page takes what promhttp writes.
type page struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the headers to fill.
func (p *page) Header() http.Header { return p.header }

// Write keeps a part of the body.
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// WriteHeader keeps the status.
func (p *page) WriteHeader(status int) { p.status = status }
