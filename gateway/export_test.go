package gateway

import (
	"regexp"
	"slices"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/setup"
)

// Running is a gateway with the demo on a store in memory, for tests from outside.
type Running struct {
	Base    string
	Demo    setup.Demo
	Mounted []string // "METHOD path", with {name} for parameters
	// Allow lets a tenant have hosts below TENANT.test.
	Allow func(t *testing.T, tenant string)
}

var parameter = regexp.MustCompile(`:(\w+)`)

// Start runs a gateway until the test ends.
func Start(t *testing.T) Running {
	t.Helper()
	p := growWith(t, func(c *config.Config) {
		c.Mail = config.Mail{Driver: config.Directory, Directory: config.Path(t.TempDir()), From: "gateway@example.com"}
		c.PublicAPI = config.PublicAPI{ConfirmReset: true, VerifyAddress: true}
	})
	r := Running{Base: "http://" + p.Addr(), Demo: p.about, Allow: func(t *testing.T, tenant string) {
		if err := p.routes.Allow(t.Context(), route.Allowance{Tenant: tenant, HostSuffixes: []string{tenant + ".test"}}); err != nil {
			t.Fatal(err)
		}
	}}
	for _, routes := range p.web.App().Stack() {
		for _, one := range routes {
			at := one.Method + " " + parameter.ReplaceAllString(one.Path, "{$1}")
			if !slices.Contains(r.Mounted, at) {
				r.Mounted = append(r.Mounted, at)
			}
		}
	}
	return r
}
