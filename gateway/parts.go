package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/ops"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// parts are the opened packages, from the store up to what the handlers use.
type parts struct {
	cfg     Config
	metrics *ops.Metrics
	ring    *vault.Ring
	store   *store.Store
	// egress calls addresses that people wrote: the public ones and egress.allow.
	egress *http.Client

	log       *changes.Log
	audit     *audit.Recorder
	flags     *flag.Flags
	gate      *limit.Gate
	rules     *limit.Rules
	guard     *limit.Guard
	rates     *limit.Rates
	marks     *grant.Marks
	sessions  *session.Keeper
	listeners *session.Participants
	codes     *grant.Codes
	grants    *grant.Keeper
	once      *grant.Once
	opaque    *grant.Opaque
	requests  *grant.Requests
	consents  *grant.Consents
	devices   *grant.Devices
	tokens    *token.Tokens
	logins    *login.Keeper
	tenants   *tenant.Keeper
	roles     *role.Roles
	routes    *route.Keeper
	clients   *client.Keeper
	pools     *pool.Keeper
	passwords *credential.Verifier
	messages  *notify.Notifier
	otps      *code.Keeper
	self      *selfservice.Service
	idps      *idp.Keeper
	live      *live.Cache
	signin    *signin.Service
	setup     *setup.Setup
}

// open opens every part on the store, lower rows first.
func (p *parts) open(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"key ring", p.openRing},
		{"change log", p.openLog},
		{"limits", p.openLimits},
		{"sessions and tokens", p.openSessions},
		{"tenants", p.openTenants},
		{"users", p.openPools},
		{"messages and codes", p.openMessages},
		{"routes", p.openRoutes},
		{"sign-in", p.openSignin},
		{"set-up", p.openSetup},
	} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	p.follow()
	return nil
}

func (p *parts) openRing(ctx context.Context) error {
	return verifyRing(ctx, p.store, p.ring, string(p.cfg.Keys.File))
}

func (p *parts) openLog(ctx context.Context) (err error) {
	p.log, err = changes.Open(ctx, p.store, changes.Config{
		MaxStale: time.Duration(p.cfg.MaxStale), Now: p.cfg.Now, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	p.marks, err = grant.OpenMarks(ctx, p.store, grant.MarksConfig{Append: p.log.Append, Life: live.MaxLife, Now: p.cfg.Now})
	if err != nil {
		return err
	}
	p.audit, err = audit.Open(ctx, p.store, audit.Config{Now: p.cfg.Now, Recorded: p.recorded})
	return err
}

// changed announces one change: revocations become marks first.
// What people allowed goes with what they allowed it to.
func (p *parts) changed(ctx context.Context, e changes.Entry) error {
	if err := p.marks.Append(ctx, e); err != nil {
		return err
	}
	switch e.Kind {
	case changes.KindRevokeClient:
		return p.consents.ClearClient(ctx, e.Tenant, e.ID)
	case changes.KindRevokeWorkspace:
		return p.consents.ClearWorkspace(ctx, e.Tenant, e.Workspace)
	}
	return nil
}

func (p *parts) openLimits(ctx context.Context) (err error) {
	h := p.cfg.Limits.Hashing
	p.gate = limit.NewGate(limit.Config{Parallel: h.Parallel, Queue: h.Queue, Wait: time.Duration(h.Wait)})
	if p.rules, err = limit.OpenRules(ctx, p.store, limit.RulesConfig{Changed: p.protection, Now: p.cfg.Now}); err != nil {
		return err
	}
	if p.guard, err = limit.OpenGuard(ctx, p.store, limit.GuardConfig{Rule: p.rules.Rule, Now: p.cfg.Now}); err != nil {
		return err
	}
	if p.rates, err = limit.OpenRates(ctx, p.store, limit.RatesConfig{Now: p.cfg.Now}); err != nil {
		return err
	}
	p.flags, err = flag.Open(ctx, p.store, flag.Config{
		Defaults: p.cfg.Flags, Now: p.cfg.Now,
		Changed: func(ctx context.Context, tenant, name string) error {
			if err := p.changed(ctx, changes.Entry{Kind: changes.KindFlag, Tenant: tenant, ID: name}); err != nil {
				return err
			}
			return p.hashed(ctx, tenant, name)
		},
	})
	return err
}

// oneWay tells whether a tenant keeps hashes of client secrets only.
func (p *parts) oneWay(ctx context.Context, tenant string) (bool, error) {
	return p.flags.On(ctx, tenant, flag.ClientSecretsOneWay)
}

// hashed removes the copies of client secrets that can be read where a tenant has
// just switched them off.
func (p *parts) hashed(ctx context.Context, tenant, name string) error {
	if name != flag.ClientSecretsOneWay {
		return nil
	}
	if on, err := p.oneWay(ctx, tenant); err != nil || !on {
		return err
	}
	return p.clients.Clients.DropSealed(ctx, tenant)
}

// protection records what a tenant did to its limits for guessing.
func (p *parts) protection(ctx context.Context, set limit.Protection, deleted bool) error {
	raw, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	e := audit.Event{Tenant: set.TenantID, Workspace: tenant.Admin, Subject: audit.SubjectBruteForce, Action: audit.ActionUpdated, Payload: raw}
	if deleted {
		e.Action = audit.ActionDeleted
	}
	return p.audit.Record(ctx, e)
}

func (p *parts) openSessions(ctx context.Context) (err error) {
	p.sessions, err = session.Open(ctx, p.store, session.Config{
		Idle: time.Duration(p.cfg.Session.Idle), Absolute: time.Duration(p.cfg.Session.Absolute),
		StepUp: time.Duration(p.cfg.Session.StepUp), Cached: p.cfg.Session.Cached,
		Append: p.marks.Append, Dead: p.ended, Generation: p.marks.Generation, Log: p.cfg.Log, Now: p.cfg.Now,
	})
	if err != nil {
		return err
	}
	if p.listeners, err = session.OpenParticipants(ctx, p.store, p.cfg.Now); err != nil {
		return err
	}
	if p.codes, err = grant.OpenCodes(ctx, p.store, p.cfg.Now); err != nil {
		return err
	}
	if p.once, err = grant.OpenOnce(ctx, p.store); err != nil {
		return err
	}
	if p.opaque, err = grant.OpenOpaque(ctx, p.store); err != nil {
		return err
	}
	if p.devices, err = grant.OpenDevices(ctx, p.store, p.ring, p.cfg.Now); err != nil {
		return err
	}
	p.consents, err = grant.OpenConsents(ctx, p.store, grant.ConsentsConfig{Marks: p.marks, Life: live.MaxLife, Now: p.cfg.Now})
	if err != nil {
		return err
	}
	if p.requests, err = grant.OpenRequests(ctx, p.store, p.cfg.Now); err != nil {
		return err
	}
	p.grants, err = grant.Open(ctx, p.store, grant.Config{Ring: p.ring, Marks: p.marks, Now: p.cfg.Now})
	if err != nil {
		return err
	}
	p.tokens, err = token.Open(ctx, p.store, token.Config{Base: p.cfg.BaseURL, Ring: p.ring, Changed: p.changed, Now: p.cfg.Now})
	if err != nil {
		return err
	}
	p.logins, err = login.Open(ctx, p.store, login.Config{Ring: p.ring, Now: p.cfg.Now})
	return err
}

// ended tells whether a session was ended by a mark.
func (p *parts) ended(s *session.Session) bool {
	return p.marks.Dead(signin.Ref(s))
}

func (p *parts) openTenants(ctx context.Context) (err error) {
	p.tenants, err = tenant.Open(ctx, p.store, tenant.Config{
		Ring: p.ring, Changed: p.changed, Record: p.audit.Record,
		Purge: func(ctx context.Context, k tenant.Key) error { return p.setup.Purge(ctx, k) },
	})
	if err != nil {
		return err
	}
	p.roles, err = role.Open(ctx, p.store, role.Config{Now: p.cfg.Now, Changed: p.changed, Record: p.audit.Record})
	if err != nil {
		return err
	}
	p.clients, err = client.Open(ctx, p.store, client.Config{
		Ring: p.ring, Now: p.cfg.Now, Egress: p.egress, OneWay: p.oneWay, Workspace: p.tenants.Workspaces.Get, Changed: p.changed, Record: p.audit.Record,
	})
	return err
}

func (p *parts) openPools(ctx context.Context) (err error) {
	p.passwords = credential.NewVerifier(credential.Config{Gate: hashing{p.gate, p.metrics.GateRefused}, Now: p.cfg.Now})
	p.pools, err = pool.Open(ctx, p.store, pool.Config{
		Ring: p.ring, Passwords: p.passwords,
		Guard: p.guard, Audit: p.audit, Now: p.cfg.Now, Changed: p.changed, TenantEpoch: p.tenantEpoch, Linked: p.linked,
	})
	if err != nil {
		return err
	}
	p.idps, err = idp.Open(ctx, p.store, idp.Config{
		Workspace: p.workspaceEpoch,
		Pool: func(ctx context.Context, tenant, id string) (idp.Pool, error) {
			found, err := p.pools.Pools.Get(ctx, tenant, id)
			return idp.Pool{Name: found.Name, Epoch: found.Epoch}, err
		},
		Ring: p.ring, Clients: p.clients.Clients,
		Changed: p.changed, Record: p.audit.Record, Now: p.cfg.Now,
	})
	return err
}

func (p *parts) tenantEpoch(ctx context.Context, id string) (string, error) {
	t, err := p.tenants.Tenants.Get(ctx, id)
	return t.Epoch, err
}

func (p *parts) workspaceEpoch(ctx context.Context, t, id string) (string, error) {
	w, err := p.tenants.Workspaces.Get(ctx, tenant.Key{Tenant: t, Workspace: id})
	return w.Epoch, err
}

func (p *parts) openRoutes(ctx context.Context) (err error) {
	p.routes, err = route.Open(ctx, p.store, route.Config{
		Scheme: scheme(p.cfg.BaseURL), Static: p.cfg.StaticRoutes(), StaticHosts: p.cfg.StaticHosts(),
		Own:     map[string]string{route.ForBase: hostOf(p.cfg.BaseURL), route.ForExtensions: hostOf(p.cfg.Extensions.BaseURL)},
		Changed: p.changed, Epoch: p.workspaceEpoch, Log: p.cfg.Log, Now: p.cfg.Now,
	})
	return err
}

func (p *parts) openSignin(context.Context) (err error) {
	p.live, err = live.New(live.Config{
		Workspace: p.tenants.Workspaces.Get, IDPs: p.idps.List, Scopes: p.clients.Scopes.All, Claims: p.clients.Claims.All,
		Client: p.clients.Clients.Get, ClientsOf: p.clients.Clients.All, Now: p.cfg.Now,
	})
	if err != nil {
		return err
	}
	tls := p.cfg.Listen.Public.TLS
	clientCAs, err := tls.ClientCAs()
	if err != nil {
		return fmt.Errorf("listen.public.tls.client_ca: %w", err)
	}
	p.signin, err = signin.New(signin.Config{
		ClientCertificates: tls.ClientCertificates == config.Request, ClientCAs: clientCAs,
		Base: p.cfg.BaseURL, Ring: p.ring, Live: p.live, Logins: p.logins, Sessions: p.sessions, Participants: p.listeners, Marks: p.marks, Codes: p.codes,
		Grants: p.grants, Once: p.once, Opaque: p.opaque, Requests: p.requests, Consents: p.consents, Devices: p.devices, Guard: p.guard, Flags: p.flags, Egress: p.egress, ClientKeys: p.clients.Keys, ClientSecrets: p.clients.Clients.Secrets, Tokens: p.tokens, Pools: p.pools.Pools, Users: p.pools.Users, MFASessions: p.pools.MFASessions,
		SelfService: p.self, ClientsOf: p.clients.Clients.All, Audit: p.audit, HostSpace: p.hostSpace, Log: p.cfg.Log, Now: p.cfg.Now,
	})
	return err
}

// hostSpace returns the workspace whose routes a host has.
func (p *parts) hostSpace(host string) (tenantID, workspace string, ok bool) {
	on := p.routes.Table().On(host)
	if len(on) == 0 {
		return "", "", false
	}
	return on[0].Tenant, on[0].Workspace, true
}

func (p *parts) openSetup(ctx context.Context) (err error) {
	p.setup, err = setup.Open(ctx, setup.Config{
		Store: p.store, Base: p.cfg.BaseURL, Tenants: p.tenants, Roles: p.roles, Clients: p.clients,
		Schemas: p.pools.Schemas, Pools: p.pools.Pools, Users: p.pools.Users, Groups: p.pools.Groups, IDPs: p.idps, Routes: p.routes,
		Keys: p.tokens.Clear, Now: p.cfg.Now, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := p.setup.Root(ctx); err != nil {
		return err
	}
	if err := p.routes.ReserveStatic(ctx); err != nil {
		return err
	}
	return p.routes.Load(ctx)
}

// follow lets every cache hear of changes. Marks come first: the others ask
// them.
func (p *parts) follow() {
	p.log.Subscribe(func(entries []changes.Entry) {
		if entries == nil {
			p.reloadMarks()
		}
		p.marks.Apply(entries)
		p.sessions.Apply(entries)
		p.signin.Apply(entries)
		p.tokens.Apply(entries)
		p.roles.Apply(entries)
		p.live.Apply(entries)
		p.routes.Follow(entries)
		if entries == nil {
			p.flags.Drop("")
		}
		for _, e := range entries {
			if e.Kind == changes.KindFlag || e.Kind == changes.KindTenant {
				p.flags.Drop(e.Tenant)
			}
		}
	})
}

func (p *parts) reloadMarks() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.marks.Load(ctx); err != nil {
		p.cfg.Log.Error("revocations not loaded", "error", err)
	}
}

// linked refuses the deletion of a pool that IDPs stand for.
func (p *parts) linked(ctx context.Context, tenantID, poolID string) error {
	list, err := p.idps.ListByPool(ctx, tenantID, poolID)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return errLinked(list)
	}
	return nil
}
