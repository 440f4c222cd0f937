package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway"
)

// Pages of a client may call everything that people do to themselves, and pages of
// others nothing of it.
func TestPagesOfClientsCallTheSelfService(t *testing.T) {
	t.Parallel()
	w := &world{Running: gateway.Start(t), t: t}
	const ours, others = "http://127.0.0.1:5173", "https://evil.example" // the demo's public client is a native one
	at := strings.NewReplacer("{tid}", w.Demo.Tenant, "{aid}", w.Demo.Workspace, "{wid}", w.Demo.Workspace)
	n := 0
	for _, l := range readTable(t) {
		if !strings.HasPrefix(l.caller, "user") {
			continue
		}
		n++
		path := hole.ReplaceAllString(at.Replace(l.path), "x")
		for origin, want := range map[string]string{ours: ours, others: ""} {
			a := w.send(t, http.MethodOptions, path, "", "", "Origin", origin, "Access-Control-Request-Method", l.method)
			may := strings.Contains(a.header.Get("Access-Control-Allow-Methods"), l.method) && strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "DPoP")
			if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != want || may != (want != "") {
				t.Errorf("preflight of %s %s from %s: %d %v", l.method, path, origin, a.status, a.header)
			}
			b := w.send(t, l.method, path, "nobody", "", "Origin", origin)
			if b.status != http.StatusUnauthorized || b.header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("%s %s from %s: %d %v", l.method, path, origin, b.status, b.header)
			}
		}
	}
	if n < 20 {
		t.Errorf("the table has %d such operations", n)
	}
}
