package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/route"
)

// scrape returns our lines of /metrics.
func (p *plant) scrape(t *testing.T) []string {
	t.Helper()
	resp, err := http.Get("http://" + p.OpsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return slices.DeleteFunc(strings.Split(string(body), "\n"), func(l string) bool { return !strings.HasPrefix(l, "gatepost_") })
}

// away adds an app whose upstream does not answer.
func (p *plant) away(t *testing.T) string {
	t.Helper()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	at, err := url.Parse(p.app("away"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.routes.Create(t.Context(), route.Route{
		Tenant: p.about.Tenant, Workspace: p.about.Workspace, Host: at.Host, Upstream: gone.URL, Policy: route.Public,
	})
	if err != nil {
		t.Fatal(err)
	}
	return at.String()
}

// The numbers of /metrics move when what they are about happens.
func TestMetricsMove(t *testing.T) {
	t.Parallel()
	p := growWith(t, func(c *config.Config) { c.Listen.Ops.Address = "127.0.0.1:0" })
	away, stranger, right := p.away(t), p.browser(t), p.about.Users[0].Password
	for _, step := range []struct {
		password string
		want     int
	}{{"not the password", http.StatusUnauthorized}, {right, http.StatusOK}} {
		p.about.Users[0].Password = step.password
		if status := p.signIn(t, stranger, "app"); status != step.want {
			t.Fatalf("%s: %d", step.password, status)
		}
	}
	if status, _, _ := p.get(t, stranger, away); status != http.StatusBadGateway {
		t.Fatalf("an app that is away: %d", status)
	}
	p.token(t, p.about.Clients.Root)
	p.store.Down(nil)
	if status := p.signIn(t, p.browser(t), "app"); status != http.StatusServiceUnavailable {
		t.Fatalf("without a store: %d", status)
	}
	p.store.Up()
	lines := p.scrape(t)
	for _, want := range []string{
		`gatepost_sign_ins_total{outcome="failed"} 1`,
		`gatepost_sign_ins_total{outcome="succeeded"} 1`,
		`gatepost_access_tokens_issued_total 1`,
		`gatepost_proxy_decisions_total{outcome="sign_in"} 3`,
		`gatepost_proxy_decisions_total{outcome="allow"} 2`,
		`gatepost_proxy_upstream_seconds_count{outcome="ok"} 1`,
		`gatepost_proxy_upstream_seconds_count{outcome="error"} 1`,
		`gatepost_gate_refused_total 0`,
		`gatepost_gate_running 0`,
		`gatepost_gate_waiting 0`,
		`gatepost_routes 3`,
		`gatepost_proxy_lasting 0`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "gatepost_store_errors_total{") }) {
		t.Error("the store's failure was not counted")
	}
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
}

// busy is a gate that takes nothing.
type busy struct{ err error }

func (b busy) Do(context.Context, string, func()) error { return b.err }

func TestRefusedHashesAreCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"passed", nil, 0},
		{"full", fault.New(fault.Unavailable, "Busy.", nil), 1},
		{"the caller gave up", context.Canceled, 0},
	} {
		n := 0
		if err := (hashing{busy{c.err}, func() { n++ }}).Do(t.Context(), "acme", func() {}); !errors.Is(err, c.err) || n != c.want {
			t.Errorf("%s: %v, %d counted", c.name, err, n)
		}
	}
}
