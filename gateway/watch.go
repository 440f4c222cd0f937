package gateway

import (
	"context"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
)

// recorded counts the audit events that have a number of their own.
func (p *parts) recorded(subject, action string) {
	switch {
	case subject == audit.SubjectLogin:
		p.metrics.SignIn(action)
	case subject == audit.SubjectAccessToken && action == audit.ActionIssued:
		p.metrics.Token()
	}
}

// hashing is the gate before password hashes, which tells of those that it has
// no room for.
type hashing struct {
	credential.Gate
	refused func()
}

// Do runs fn, or returns an error without having run it.
func (h hashing) Do(ctx context.Context, tenant string, fn func()) error {
	err := h.Gate.Do(ctx, tenant, fn)
	if fault.Is(err, fault.Unavailable) {
		h.refused()
	}
	return err
}

// watch adds the numbers that are read at every scrape. All are in memory.
func (g *Gateway) watch() error {
	for _, w := range []struct {
		name, help string
		read       func() float64
	}{
		{"gate_running", "Password hashes under way.", func() float64 { n, _ := g.gate.Load(); return float64(n) }},
		{"gate_waiting", "Password hashes that wait for their turn.", func() float64 { _, n := g.gate.Load(); return float64(n) }},
		{"change_log_position", "Number of the last change that was applied here.", func() float64 { return float64(g.log.Position()) }},
		{"change_log_stale_seconds", "Time since the end of the change log was seen, 0 while it is followed.", func() float64 { return g.log.Stale().Seconds() }},
		{"routes", "Routes in force.", func() float64 { return float64(len(g.routes.Table().Routes())) }},
		{"proxy_lasting", "Streams, long waits and upgraded connections.", func() float64 { return float64(g.proxy.Lasting()) }},
	} {
		if err := g.metrics.Watch(w.name, w.help, w.read); err != nil {
			return err
		}
	}
	return nil
}
