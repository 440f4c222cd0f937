package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/ops"
	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/google/go-cmp/cmp"
)

// serve mounts h on a listener of its own and returns its address.
func serve(t *testing.T, h *ops.Handler) string {
	t.Helper()
	ln, err := web.Listen(t.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := web.New(web.Config{NoAccessLog: true})
	h.Mount(s.App())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

type ready struct {
	Status string
	Checks map[string]struct {
		Status, Error string
		Reported      bool
	}
}

func readyz(t *testing.T, base string) (int, ready) {
	t.Helper()
	status, body := get(t, base+"/readyz")
	var r ready
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return status, r
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	base := serve(t, ops.New(ops.Config{Version: "1.2.3", Checks: []ops.Check{{Name: "store", Run: func(context.Context) error { return errors.New("away") }}}}))
	status, body := get(t, base+"/healthz")
	if status != 200 || !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, `"version":"1.2.3"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	ok := func(context.Context) error { return nil }
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for _, tc := range []struct {
		name   string
		checks []ops.Check
		status int
		want   map[string]string // status and error of each
	}{
		{"nothing to check", nil, 200, map[string]string{}},
		{"all well", []ops.Check{{Name: "store", Run: ok}, {Name: "log", Run: ok}}, 200, map[string]string{"store": "ok ", "log": "ok "}},
		{"one fails", []ops.Check{{Name: "store", Run: func(context.Context) error { return errors.New("disk gone") }}, {Name: "log", Run: ok}}, 503, map[string]string{"store": "failed disk gone", "log": "ok "}},
		{"reported only", []ops.Check{{Name: "idp", Reported: true, Run: func(context.Context) error { return errors.New("away") }}, {Name: "log", Run: ok}}, 200, map[string]string{"idp": "failed away", "log": "ok "}},
		{"deadline kept", []ops.Check{{Name: "slow", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}}, 503, map[string]string{"slow": "failed "}},
		{"deadline ignored", []ops.Check{{Name: "deaf", Run: func(context.Context) error { <-never; return nil }}}, 503, map[string]string{"deaf": "failed "}},
		{"panics", []ops.Check{{Name: "bad", Run: func(context.Context) error { panic("oh") }}}, 503, map[string]string{"bad": "failed panic: oh"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, ops.New(ops.Config{Checks: tc.checks, Timeout: 50 * time.Millisecond}))
			status, r := readyz(t, base)
			got := map[string]string{}
			for name, c := range r.Checks {
				if strings.HasPrefix(tc.name, "deadline") {
					c.Error = ""
				}
				got[name] = c.Status + " " + c.Error
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || status != tc.status || (r.Status == "ready") != (status == 200) {
				t.Errorf("status %d, %s (-want +got):\n%s", status, r.Status, diff)
			}
		})
	}
}

func TestReadyzKeepsResultsForAMomentAndLogsChanges(t *testing.T) {
	t.Parallel()
	var now, runs atomic.Int64
	var broken atomic.Bool
	var log bytes.Buffer
	h := ops.New(ops.Config{
		Now: func() time.Time { return time.Unix(now.Load(), 0) }, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Checks: []ops.Check{{Name: "store", Run: func(context.Context) error {
			runs.Add(1)
			if broken.Load() {
				return errors.New("away")
			}
			return nil
		}}},
	})
	base := serve(t, h)
	for step, want := range []struct {
		seconds int64
		broken  bool
		status  int
		runs    int64
	}{{0, false, 200, 1}, {0, true, 200, 1}, {1, true, 503, 2}, {1, true, 503, 3}, {1, false, 200, 4}} {
		now.Add(want.seconds)
		broken.Store(want.broken)
		if status, _ := readyz(t, base); status != want.status || runs.Load() != want.runs {
			t.Errorf("step %d: status %d after %d runs", step, status, runs.Load())
		}
	}
	if s := log.String(); strings.Count(s, "check failed") != 1 || strings.Count(s, "check works again") != 1 {
		t.Errorf("log: %s", s)
	}
	h.Drain()
	if status, r := readyz(t, base); status != 503 || r.Status != "draining" {
		t.Errorf("draining: %d %s", status, r.Status)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := ops.NewMetrics("1.2.3")
	base := serve(t, ops.New(ops.Config{Metrics: m}))
	m.Request(web.Sample{Method: "GET", Area: "app", Status: 200, Duration: 3 * time.Millisecond})
	m.Request(web.Sample{Method: "other", Status: 400, Refused: "framing"})
	m.Decision("allow")
	m.Upstream("ok", time.Millisecond)
	m.SignIn("succeeded")
	m.Token()
	m.StoreError("users", "get")
	m.GateRefused()
	m.Job("sweep", time.Second, errors.New("x"))
	if err := m.Watch("gate_queue", "Waiting password checks.", func() float64 { return 7 }); err != nil {
		t.Fatal(err)
	}
	status, body := get(t, base+"/metrics")
	for _, want := range []string{
		`gatepost_build_info{go="go1.`, `version="1.2.3"} 1`,
		`gatepost_http_requests_total{area="app",code="200",method="GET"} 1`,
		`gatepost_http_requests_total{area="none",code="400",method="other"} 1`,
		`gatepost_http_request_duration_seconds_bucket{area="app",le="0.005"} 1`,
		`gatepost_http_refused_total{reason="framing"} 1`,
		`gatepost_proxy_decisions_total{outcome="allow"} 1`,
		`gatepost_proxy_upstream_seconds_count{outcome="ok"} 1`,
		`gatepost_sign_ins_total{outcome="succeeded"} 1`,
		`gatepost_access_tokens_issued_total 1`,
		`gatepost_store_errors_total{operation="get",table="users"} 1`,
		`gatepost_gate_refused_total 1`,
		`gatepost_job_duration_seconds_sum{job="sweep"} 1`,
		`gatepost_job_errors_total{job="sweep"} 1`,
		`gatepost_gate_queue 7`,
		`go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if status != 200 || t.Failed() {
		t.Logf("%d %s", status, body)
	}
	if err := m.Watch("gate_queue", "Again.", func() float64 { return 0 }); err == nil {
		t.Error("a taken name was accepted")
	}
	// Another gateway of the process has numbers of its own.
	other := serve(t, ops.New(ops.Config{Metrics: ops.NewMetrics("x")}))
	if _, body := get(t, other+"/metrics"); strings.Contains(body, `area="app"`) {
		t.Error("two registries share their numbers")
	}
}

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	base := serve(t, ops.New(ops.Config{}))
	for _, path := range []string{"/metrics", "/", "/debug/pprof/"} {
		if status, _ := get(t, base+path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}
