package idp

import (
	"fmt"
	"regexp"

	"github.com/gatepost/gatepost/authctx"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The most that lists may hold.
const (
	maxName    = 200
	maxAMR     = 32
	maxDomains = 500
)

var (
	domain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)
	amr    = regexp.MustCompile(`^[!-~]{1,64}$`) // RFC 8176, section 6: case-sensitive names
)

// check reports the first member that breaks a rule, after fill.
func (p *IDP) check() error {
	if err := record.ID("id", p.ID); err != nil {
		return err
	}
	for _, part := range []func() error{p.checkMethod, p.checkTexts, p.checkAMR, p.checkDomains, p.checkContext} {
		if err := part(); err != nil {
			return err
		}
	}
	if p.Configuration.StatefulCtxDuration < 0 {
		return fault.At(fault.Unprocessable, "config.stateful_ctx_duration", "must not be negative")
	}
	if err := record.Object("jit", &p.JIT); err != nil {
		return err
	}
	return p.checkJIT()
}

func (p *IDP) checkTexts() error {
	if err := record.Text("name", p.Name, maxName); err != nil {
		return err
	}
	if err := record.URL("logo_uri", p.LogoURI); err != nil {
		return err
	}
	for _, id := range []struct{ field, value string }{
		{"workspace_id", p.OtherWorkspace},
		{"post_authn_app_id", p.PostAuthnApp()},
	} {
		if id.value == "" {
			continue
		}
		if err := record.ID(id.field, id.value); err != nil {
			return err
		}
	}
	return nil
}

func (p *IDP) checkAMR() error {
	if len(p.StaticAMR) > maxAMR {
		return fault.At(fault.Unprocessable, "static_amr", fmt.Sprintf("must hold at most %d methods", maxAMR))
	}
	for i, m := range p.StaticAMR {
		if !amr.MatchString(m) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("static_amr[%d]", i), "must have 1 to 64 visible ASCII characters")
		}
	}
	return nil
}

func (p *IDP) checkDomains() error {
	if len(p.Discovery.Domains) > maxDomains {
		return fault.At(fault.Unprocessable, "discovery_settings.domains", fmt.Sprintf("must hold at most %d domains", maxDomains))
	}
	for i, d := range p.Discovery.Domains {
		if len(d) > 253 || !domain.MatchString(d) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("discovery_settings.domains[%d]", i), "must be a domain such as example.com, in its ASCII form")
		}
	}
	return nil
}

func (p *IDP) checkContext() error {
	if ps := authctx.CheckAttributes(p.Attributes); len(ps) > 0 {
		return fault.At(fault.Unprocessable, "attributes"+ps[0].Field, ps[0].Say)
	}
	if ps := authctx.CheckMappings(p.Mappings); len(ps) > 0 {
		return fault.At(fault.Unprocessable, "mappings"+ps[0].Field, ps[0].Say)
	}
	return nil
}
