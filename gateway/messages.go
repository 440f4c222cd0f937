package gateway

import (
	"context"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// openMessages opens what codes are made, sent and taken with.
func (p *parts) openMessages(ctx context.Context) error {
	mail, err := p.cfg.Mail.Sender()
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	templates, err := notify.LoadTemplates(string(p.cfg.Messages.Templates))
	if err != nil {
		return fmt.Errorf("messages.templates: %w", err)
	}
	p.messages, err = notify.Open(ctx, p.store, notify.Config{
		Ring: p.ring, Mail: mail, SMS: p.cfg.SMS.Sender(p.egress), Templates: templates, Limits: p.cfg.Messages.Limits,
		Now: p.cfg.Now, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	codes, err := code.Open(ctx, p.store, code.Config{Ring: p.ring, Guard: p.guard, Now: p.cfg.Now})
	if err != nil {
		return err
	}
	p.otps = codes
	p.self, err = selfservice.Open(ctx, p.store, selfservice.Config{
		Base: p.cfg.BaseURL, Ring: p.ring, Pools: p.pools.Pools, Users: p.pools.Users, Codes: codes, Messages: p.messages,
		Passwords: p.passwords, Audit: p.audit, Brand: p.brand, Log: p.cfg.Log, Now: p.cfg.Now,
		Target: func(ctx context.Context, tenantID, workspace, address string) bool {
			return p.signin.AllowsTarget(ctx, tenantID, workspace, address)
		},
	})
	return err
}

// brand is how messages of a workspace look. One that cannot be read looks like
// nobody's: a message must not fail for its colours.
func (p *parts) brand(ctx context.Context, tenantID, workspace string) notify.Brand {
	if workspace != "" {
		w, err := p.tenants.Workspaces.Get(ctx, tenant.Key{Tenant: tenantID, Workspace: workspace})
		if err == nil {
			return notify.Brand{Name: w.Name, LogoURL: w.LogoURI, Accent: w.Color}
		}
	}
	t, err := p.tenants.Tenants.Get(ctx, tenantID)
	if err != nil {
		return notify.Brand{}
	}
	return notify.Brand{Name: t.Name}
}
