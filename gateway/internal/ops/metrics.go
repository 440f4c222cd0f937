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
	tokens    *prometheus.CounterVec
	store     *prometheus.CounterVec
	gate      *prometheus.CounterVec
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
		upstream:  histogram("proxy_upstream_seconds", "Time until an app's first byte, by outcome.", fast(), "outcome"),
		signIns:   counter("sign_ins_total", "Ends of sign-ins, by outcome.", "outcome"),
		tokens:    counter("tokens_issued_total", "Tokens issued, by kind.", "kind"),
		store:     counter("store_errors_total", "Failed operations of the store, by table and operation.", "table", "operation"),
		gate:      counter("gate_refused_total", "Password checks refused because the hashing gate was full, by reason.", "reason"),
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

// Decision counts what was decided about a request to an app, such as "allow",
// "sign_in" or "deny".
func (m *Metrics) Decision(outcome string) { m.decisions.WithLabelValues(outcome).Inc() }

// Upstream counts an app's answer: "ok", "error", "timeout" or "aborted".
func (m *Metrics) Upstream(outcome string, firstByte time.Duration) {
	m.upstream.WithLabelValues(outcome).Observe(firstByte.Seconds())
}

// SignIn counts the end of a sign-in, such as "done", "wrong_password" or
// "denied".
func (m *Metrics) SignIn(outcome string) { m.signIns.WithLabelValues(outcome).Inc() }

// Token counts an issued token by its kind.
func (m *Metrics) Token(kind string) { m.tokens.WithLabelValues(kind).Inc() }

// StoreError counts a failed operation of the store.
func (m *Metrics) StoreError(table, operation string) {
	m.store.WithLabelValues(table, operation).Inc()
}

// GateRefused counts a password check that the hashing gate did not take:
// "full" or "late".
func (m *Metrics) GateRefused(reason string) { m.gate.WithLabelValues(reason).Inc() }

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
	return m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "gatepost", Name: name, Help: help}, read))
}

// WatchEach adds a group of numbers that read returns at every scrape by the
// value of one label, such as the rows of each table. The values must be few.
func (m *Metrics) WatchEach(name, help, label string, read func() map[string]float64) error {
	return m.register(&group{desc: prometheus.NewDesc("gatepost_"+name, help, []string{label}, nil), read: read})
}

func (m *Metrics) register(c prometheus.Collector) error {
	if err := m.registry.Register(c); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// group is a gauge for every entry of a map.
type group struct {
	desc *prometheus.Desc
	read func() map[string]float64
}

// Describe tells the registry of the one metric.
func (g *group) Describe(to chan<- *prometheus.Desc) { to <- g.desc }

// Collect reads the map.
func (g *group) Collect(to chan<- prometheus.Metric) {
	for value, n := range g.read() {
		metric, err := prometheus.NewConstMetric(g.desc, prometheus.GaugeValue, n, value)
		if err != nil {
			metric = prometheus.NewInvalidMetric(g.desc, err)
		}
		to <- metric
	}
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
