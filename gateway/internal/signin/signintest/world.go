package signintest

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
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
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// AppHost is the host of the demo's app.
const AppHost = "app.localhost:8080"

// World is one process. Its clock moves by a microsecond whenever it is read, so
// that no two things happen at once, and by Pass.
type World struct {
	T      testing.TB
	Base   string
	Demo   setup.Demo
	Hashes atomic.Int64 // passwords hashed so far

	Faulty      *storetest.Faulty
	Store       *store.Store
	Ring        *vault.Ring
	Marks       *grant.Marks
	Audit       *audit.Recorder
	Guard       *limit.Guard
	OTPs        *code.Keeper
	Mail        Mailbox // every message that was sent
	SelfService *selfservice.Service
	Sessions    *session.Keeper
	Listeners   *session.Participants
	Codes       *grant.Codes
	Grants      *grant.Keeper
	Once        *grant.Once
	Opaque      *grant.Opaque
	Requests    *grant.Requests
	Consents    *grant.Consents
	Devices     *grant.Devices
	Flags       *flag.Flags
	Tokens      *token.Tokens
	Logins      *login.Keeper
	Tenants     *tenant.Keeper
	Roles       *role.Roles
	Clients     *client.Keeper
	Pools       *pool.Keeper
	IDPs        *idp.Keeper
	Routes      *route.Keeper
	Live        *live.Cache
	Signin      *signin.Service
	Setup       *setup.Setup

	clock *storetest.Clock
	cheap bool
}

// New returns a world in memory with the demo in it.
func New(t testing.TB, base string) *World {
	t.Helper()
	return On(t, base, storetest.Memory(t))
}

// On is New on a given store.
func On(t testing.TB, base string, driver store.Driver) *World {
	t.Helper()
	w := &World{T: t, Base: base, clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	w.Faulty = storetest.NewFaulty(driver)
	w.Store = store.New(w.Faulty, w.Now)
	for _, open := range []func(context.Context) error{w.openTokens, w.openTenants, w.openPeople, w.openSignin, w.seed} {
		w.OK(open(t.Context()))
	}
	return w
}

// Now is the time in this world.
func (w *World) Now() time.Time {
	w.clock.Advance(time.Microsecond)
	return w.clock.Now()
}

// Pass lets time go by.
func (w *World) Pass(d time.Duration) { w.clock.Advance(d) }

// OK ends the test unless err is nil.
func (w *World) OK(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Do counts a hash and makes it; World is the hashing gate.
func (w *World) Do(_ context.Context, _ string, fn func()) error {
	w.Hashes.Add(1)
	fn()
	return nil
}

func (w *World) changed(ctx context.Context, e changes.Entry) error { return w.Marks.Append(ctx, e) }

// announce is a change log of one gateway.
func (w *World) announce(ctx context.Context, entries ...changes.Entry) (uint64, error) {
	for _, e := range entries {
		if e.Kind == changes.KindPool && !w.cheap {
			w.cheap = true
			if err := w.cheapen(ctx, e); err != nil {
				return 0, err
			}
		}
	}
	w.Marks.Apply(entries)
	w.Sessions.Apply(entries)
	w.Tokens.Apply(entries)
	if w.Live != nil {
		w.Live.Apply(entries)
	}
	if w.Signin != nil {
		w.Signin.Apply(entries)
	}
	return 0, nil
}

// flagged does what setting a flag means for what is stored.
func (w *World) flagged(ctx context.Context, tenant, name string) error {
	if on, err := w.Flags.On(ctx, tenant, flag.ClientSecretsOneWay); err != nil || !on || name != flag.ClientSecretsOneWay {
		return err
	}
	return w.Clients.Clients.DropSealed(ctx, tenant)
}

// cheapen lets the first pool, which has no users yet, hash in a way that costs
// tests nothing.
func (w *World) cheapen(ctx context.Context, e changes.Entry) error {
	p, err := w.Pools.Pools.Get(ctx, e.Tenant, e.ID)
	if err != nil {
		return err
	}
	p.PasswordSettings.HashingMethod = credential.SHA
	_, err = w.Pools.Pools.Update(ctx, e.Tenant, pool.Input{Pool: p})
	return err
}

func (w *World) openTokens(ctx context.Context) (err error) {
	if w.Ring, err = vault.New([]vault.Key{vault.GenerateKey()}); err != nil {
		return err
	}
	if w.Marks, err = grant.OpenMarks(ctx, w.Store, grant.MarksConfig{Append: w.announce, Life: live.MaxLife, Now: w.Now}); err != nil {
		return err
	}
	if w.Audit, err = audit.Open(ctx, w.Store, audit.Config{Now: w.Now}); err != nil {
		return err
	}
	rules, err := limit.OpenRules(ctx, w.Store, limit.RulesConfig{Now: w.Now})
	if err != nil {
		return err
	}
	if w.Flags, err = flag.Open(ctx, w.Store, flag.Config{Now: w.Now, Changed: w.flagged}); err != nil {
		return err
	}
	if w.Guard, err = limit.OpenGuard(ctx, w.Store, limit.GuardConfig{Rule: rules.Rule, Now: w.Now}); err != nil {
		return err
	}
	w.Sessions, err = session.Open(ctx, w.Store, session.Config{
		Append: w.Marks.Append, Generation: w.Marks.Generation, Now: w.Now,
		Dead: func(s *session.Session) bool { return w.Marks.Dead(signin.Ref(s)) },
	})
	if err != nil {
		return err
	}
	if w.Listeners, err = session.OpenParticipants(ctx, w.Store, w.Now); err != nil {
		return err
	}
	if w.Once, err = grant.OpenOnce(ctx, w.Store); err != nil {
		return err
	}
	if w.Requests, err = grant.OpenRequests(ctx, w.Store, w.Now); err != nil {
		return err
	}
	if w.Devices, err = grant.OpenDevices(ctx, w.Store, w.Ring, w.Now); err != nil {
		return err
	}
	if w.Consents, err = grant.OpenConsents(ctx, w.Store, grant.ConsentsConfig{Marks: w.Marks, Life: live.MaxLife, Now: w.Now}); err != nil {
		return err
	}
	if w.Opaque, err = grant.OpenOpaque(ctx, w.Store); err != nil {
		return err
	}
	if w.Codes, err = grant.OpenCodes(ctx, w.Store, w.Now); err != nil {
		return err
	}
	if w.Grants, err = grant.Open(ctx, w.Store, grant.Config{Ring: w.Ring, Marks: w.Marks, Now: w.Now}); err != nil {
		return err
	}
	if w.Tokens, err = token.Open(ctx, w.Store, token.Config{Base: w.Base, Ring: w.Ring, Changed: w.changed, Now: w.Now}); err != nil {
		return err
	}
	w.Logins, err = login.Open(ctx, w.Store, login.Config{Ring: w.Ring, Now: w.Now})
	return err
}

func (w *World) openTenants(ctx context.Context) (err error) {
	w.Tenants, err = tenant.Open(ctx, w.Store, tenant.Config{
		Ring: w.Ring, Changed: w.changed, Record: w.Audit.Record,
		Purge: func(ctx context.Context, k tenant.Key) error { return w.Setup.Purge(ctx, k) },
	})
	if err != nil {
		return err
	}
	if w.Roles, err = role.Open(ctx, w.Store, role.Config{Now: w.Now, Changed: w.changed, Record: w.Audit.Record}); err != nil {
		return err
	}
	w.Clients, err = client.Open(ctx, w.Store, client.Config{
		Egress: http.DefaultClient,
		OneWay: func(ctx context.Context, tenant string) (bool, error) {
			return w.Flags.On(ctx, tenant, flag.ClientSecretsOneWay)
		},
		Ring: w.Ring, Now: w.Now, Workspace: w.Tenants.Workspaces.Get, Changed: w.changed, Record: w.Audit.Record,
	})
	if err != nil {
		return err
	}
	w.Routes, err = route.Open(ctx, w.Store, route.Config{Scheme: "http", Now: w.Now, Changed: w.changed, Epoch: w.epoch})
	return err
}

func (w *World) epoch(ctx context.Context, t, id string) (string, error) {
	v, err := w.Tenants.Workspaces.Get(ctx, tenant.Key{Tenant: t, Workspace: id})
	return v.Epoch, err
}

func (w *World) openPeople(ctx context.Context) (err error) {
	passwords := credential.NewVerifier(credential.Config{
		Gate: w, Now: w.Now, Wait: func(context.Context, time.Duration) error { return nil },
	})
	w.Pools, err = pool.Open(ctx, w.Store, pool.Config{
		Ring: w.Ring, Guard: w.Guard, Audit: w.Audit, Now: w.Now, Changed: w.changed, Passwords: passwords,
	})
	if err != nil {
		return err
	}
	if w.OTPs, err = code.Open(ctx, w.Store, code.Config{Ring: w.Ring, Guard: w.Guard, Now: w.Now}); err != nil {
		return err
	}
	w.SelfService, err = selfservice.Open(ctx, w.Store, selfservice.Config{
		Base: w.Base, Ring: w.Ring, Pools: w.Pools.Pools, Users: w.Pools.Users, Codes: w.OTPs, Messages: &w.Mail,
		Passwords: passwords, Audit: w.Audit, Now: w.Now,
		Target: func(ctx context.Context, t, workspace, address string) bool {
			return w.Signin.AllowsTarget(ctx, t, workspace, address)
		},
	})
	if err != nil {
		return err
	}
	w.IDPs, err = idp.Open(ctx, w.Store, idp.Config{
		Workspace: w.epoch, Changed: w.changed, Record: w.Audit.Record, Now: w.Now,
		Pool: func(ctx context.Context, tenantID, id string) (idp.Pool, error) {
			p, err := w.Pools.Pools.Get(ctx, tenantID, id)
			return idp.Pool{Name: p.Name, Epoch: p.Epoch}, err
		},
	})
	return err
}

func (w *World) openSignin(ctx context.Context) (err error) {
	w.Live, err = live.New(live.Config{
		Workspace: w.Tenants.Workspaces.Get, IDPs: w.IDPs.List, Scopes: w.Clients.Scopes.All, Claims: w.Clients.Claims.All,
		Client: w.Clients.Clients.Get, ClientsOf: w.Clients.Clients.All, Now: w.Now,
	})
	if err != nil {
		return err
	}
	w.Signin, err = signin.New(signin.Config{
		Base: w.Base, Ring: w.Ring, Live: w.Live, Logins: w.Logins, Sessions: w.Sessions, Participants: w.Listeners, Marks: w.Marks, Codes: w.Codes,
		Grants: w.Grants, Once: w.Once, Opaque: w.Opaque, Requests: w.Requests, Consents: w.Consents, Devices: w.Devices, Guard: w.Guard, Flags: w.Flags, Egress: http.DefaultClient, ClientKeys: w.Clients.Keys, ClientSecrets: w.Clients.Clients.Secrets, Tokens: w.Tokens, Pools: w.Pools.Pools, Users: w.Pools.Users, MFASessions: w.Pools.MFASessions,
		SelfService: w.SelfService, ClientsOf: w.Clients.Clients.All, Audit: w.Audit, Now: w.Now,
		HostSpace: func(host string) (string, string, bool) {
			on := w.Routes.Table().On(host)
			if len(on) == 0 {
				return "", "", false
			}
			return on[0].Tenant, on[0].Workspace, true
		},
	})
	if err != nil {
		return err
	}
	w.Setup, err = setup.Open(ctx, setup.Config{
		Store: w.Store, Base: w.Base, Tenants: w.Tenants, Roles: w.Roles, Clients: w.Clients, Schemas: w.Pools.Schemas,
		Pools: w.Pools.Pools, Users: w.Pools.Users, Groups: w.Pools.Groups, IDPs: w.IDPs, Routes: w.Routes, Keys: w.Tokens.Clear, Now: w.Now,
	})
	return err
}

func (w *World) seed(ctx context.Context) (err error) {
	w.Demo, err = w.Setup.Demo(ctx, setup.DemoConfig{AppHost: AppHost, AppUpstream: "http://127.0.0.1:40000"})
	if err != nil {
		return err
	}
	return w.Routes.Load(ctx)
}
