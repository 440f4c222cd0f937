package api_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/api"
	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const (
	houseBase = "http://localhost:8080"
	bodyLimit = 20_000
)

// house is the identity API of one process behind a real listener, over the
// memory store, with the tenants acme and other.
type house struct {
	t        testing.TB
	clock    *storetest.Clock
	faulty   *storetest.Faulty
	store    *store.Store
	log      *changes.Log
	marks    *grant.Marks
	audit    *audit.Recorder
	sessions *session.Keeper
	codes    *grant.Codes
	grants   *grant.Keeper
	tenants  *tenant.Keeper
	roles    *role.Roles
	clients  *client.Keeper
	pools    *pool.Keeper
	idps     *idp.Keeper
	live     *live.Cache
	signin   *signin.Service
	parts    api.Parts
	url      string
	table    []published
	mu       sync.Mutex
	seen     map[string]bool // lines of the table that succeeded

	admin  string // a token with the role admin on acme
	system string // a token of acme's workspace system with all scopes
	other  string // a token with the role admin on other
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, clock: storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), faulty: storetest.NewFaulty(storetest.Memory(t))}
	h.store = store.New(h.faulty, h.clock.Now)
	h.table, h.seen = readTable(t), map[string]bool{}
	h.open()
	h.serve()
	h.admin, h.system = h.tenant("acme")
	h.other, _ = h.tenant("other")
	return h
}

// ok fails the test for an error.
func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) changed(ctx context.Context, e changes.Entry) error { return h.marks.Append(ctx, e) }

// open joins the keepers as package gateway does.
func (h *house) open() {
	h.t.Helper()
	ctx, now := h.t.Context(), h.clock.Now
	ring, err := vault.New([]vault.Key{vault.GenerateKey()})
	h.ok(err)
	h.log, err = changes.Open(ctx, h.store, changes.Config{Now: now})
	h.ok(err)
	h.marks, err = grant.OpenMarks(ctx, h.store, grant.MarksConfig{Append: h.log.Append, Life: time.Hour * 1000, Now: now})
	h.ok(err)
	h.audit, err = audit.Open(ctx, h.store, audit.Config{Now: now})
	h.ok(err)
	h.sessions, err = session.Open(ctx, h.store, session.Config{
		Append: h.marks.Append, Generation: h.marks.Generation, Now: now,
		Dead: func(s *session.Session) bool {
			return h.marks.Dead(grant.Ref{
				Tenant: s.Tenant, Workspace: s.Workspace, Pool: s.Pool, User: s.User, Subject: s.Subject, IDP: s.IDP,
				Session: s.Root(), Issued: s.Created,
			})
		},
	})
	h.ok(err)
	h.codes, err = grant.OpenCodes(ctx, h.store, now)
	h.ok(err)
	h.grants, err = grant.Open(ctx, h.store, grant.Config{Ring: ring, Marks: h.marks, Now: now})
	h.ok(err)
	once, err := grant.OpenOnce(ctx, h.store)
	h.ok(err)
	tokens, err := token.Open(ctx, h.store, token.Config{Base: houseBase, Ring: ring, Now: now})
	h.ok(err)
	logins, err := login.Open(ctx, h.store, login.Config{Ring: ring, Now: now})
	h.ok(err)
	h.openKeepers(ctx, ring)
	routes, err := route.Open(ctx, h.store, route.Config{Scheme: "http", Changed: h.changed, Epoch: h.epoch, Now: now})
	h.ok(err)
	flags, err := flag.Open(ctx, h.store, flag.Config{Now: now})
	h.ok(err)
	rules, err := limit.OpenRules(ctx, h.store, limit.RulesConfig{Now: now})
	h.ok(err)
	plenty := limit.Rate{Rate: 1_000_000, Burst: 1_000_000} // the clock stands still: nothing fills up again
	rates, err := limit.OpenRates(ctx, h.store, limit.RatesConfig{Now: now, Global: map[string]limit.Rate{
		limit.ModuleAdminAPI: plenty, limit.ModuleSystemAPI: plenty, limit.ModuleIdentityAPI: plenty,
	}})
	h.ok(err)
	h.live, err = live.New(live.Config{
		Workspace: h.tenants.Workspaces.Get, IDPs: h.idps.List, Scopes: h.clients.Scopes.All, Claims: h.clients.Claims.All,
		Client: h.clients.Clients.Get, ClientsOf: h.clients.Clients.All, Now: now,
	})
	h.ok(err)
	listeners, err := session.OpenParticipants(ctx, h.store, now)
	h.ok(err)
	opaque, err := grant.OpenOpaque(ctx, h.store)
	h.ok(err)
	consents, err := grant.OpenConsents(ctx, h.store, grant.ConsentsConfig{Marks: h.marks, Life: time.Hour * 1000, Now: now})
	h.ok(err)
	h.signin, err = signin.New(signin.Config{
		Base: houseBase, Ring: ring, Live: h.live, Logins: logins, Sessions: h.sessions, Marks: h.marks, Codes: h.codes,
		Participants: listeners, Opaque: opaque, Consents: consents, ClientsOf: h.clients.Clients.All,
		Grants: h.grants, Once: once, Flags: flags, Tokens: tokens, Users: h.pools.Users, Audit: h.audit, Now: now,
	})
	h.ok(err)
	first, err := setup.Open(ctx, setup.Config{
		Store: h.store, Base: houseBase, Tenants: h.tenants, Roles: h.roles, Clients: h.clients, Schemas: h.pools.Schemas,
		Pools: h.pools.Pools, Users: h.pools.Users, Groups: h.pools.Groups, IDPs: h.idps, Routes: routes, Now: now,
	})
	h.ok(err)
	h.ok(first.Root(ctx))
	h.parts = api.Parts{
		Base: houseBase, Store: h.store, Ring: ring, Signin: h.signin, Setup: first, Tenants: h.tenants, Roles: h.roles,
		Clients: h.clients, IDPs: h.idps, Pools: h.pools.Pools, Schemas: h.pools.Schemas, Users: h.pools.Users, Groups: h.pools.Groups,
		Flags: flags, Rules: rules, Rates: rates, Routes: routes, Position: h.log.Position, MaxBody: bodyLimit, Now: now,
	}
	h.log.Subscribe(func(entries []changes.Entry) {
		h.marks.Apply(entries)
		h.sessions.Apply(entries)
		tokens.Apply(entries)
		h.roles.Apply(entries)
		h.live.Apply(entries)
	})
}

func (h *house) openKeepers(ctx context.Context, ring *vault.Ring) {
	h.t.Helper()
	now := h.clock.Now
	var err error
	h.tenants, err = tenant.Open(ctx, h.store, tenant.Config{Ring: ring, Changed: h.changed, Record: h.audit.Record})
	h.ok(err)
	h.roles, err = role.Open(ctx, h.store, role.Config{Now: now, Changed: h.changed, Record: h.audit.Record})
	h.ok(err)
	h.clients, err = client.Open(ctx, h.store, client.Config{
		Ring: ring, Now: now, Workspace: h.tenants.Workspaces.Get, Changed: h.changed, Record: h.audit.Record,
	})
	h.ok(err)
	h.pools, err = pool.Open(ctx, h.store, pool.Config{
		Ring: ring, Audit: h.audit, Now: now, Changed: h.changed,
		TenantEpoch: func(ctx context.Context, id string) (string, error) {
			v, err := h.tenants.Tenants.Get(ctx, id)
			return v.Epoch, err
		},
		Linked: func(ctx context.Context, tenantID, poolID string) error {
			list, err := h.idps.ListByPool(ctx, tenantID, poolID)
			if err == nil && len(list) > 0 {
				err = fault.New(fault.Conflict, "The pool has IDPs.", nil)
			}
			return err
		},
	})
	h.ok(err)
	h.idps, err = idp.Open(ctx, h.store, idp.Config{
		Now: now, Changed: h.changed, Record: h.audit.Record, Workspace: h.epoch, Ring: ring, Clients: h.clients.Clients,
		Pool: func(ctx context.Context, tenantID, id string) (idp.Pool, error) {
			p, err := h.pools.Pools.Get(ctx, tenantID, id)
			return idp.Pool{Name: p.Name, Epoch: p.Epoch}, err
		},
	})
	h.ok(err)
}

func (h *house) epoch(ctx context.Context, tenantID, id string) (string, error) {
	v, err := h.tenants.Workspaces.Get(ctx, tenant.Key{Tenant: tenantID, Workspace: id})
	return v.Epoch, err
}

func (h *house) serve() {
	h.t.Helper()
	srv := web.New(web.Config{MaxBody: bodyLimit, Unavailable: []error{store.ErrUnavailable}, NoAccessLog: true})
	h.parts.Errors = srv.Errors()
	a, err := api.New(h.t.Context(), h.parts)
	h.ok(err)
	a.Mount(srv.App())
	ln, err := (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	h.ok(err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			h.t.Error(err)
		}
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.url = "http://" + ln.Addr().String()
}

// tenant makes a tenant with the workspace default and returns tokens of its two
// API clients.
func (h *house) tenant(id string) (adminToken, systemToken string) {
	h.t.Helper()
	made, err := h.parts.Setup.Tenant(h.t.Context(), tenant.Tenant{ID: id, Name: id}, true)
	h.ok(err)
	for _, c := range made.Clients {
		switch {
		case c.ClientName != "API client":
		case c.WorkspaceID == tenant.Admin:
			adminToken = h.token(c)
		default:
			systemToken = h.token(c)
		}
	}
	return adminToken, systemToken
}

// token is what client_credentials gives a client.
func (h *house) token(c client.Client) string {
	h.t.Helper()
	space, err := h.live.Space(h.t.Context(), c.TenantID, c.WorkspaceID)
	h.ok(err)
	proven, err := h.signin.AuthenticateClient(h.t.Context(), space, signin.Credentials{Client: c.ClientID, Secret: c.ClientSecret, Method: c.TokenEndpointAuthMethod})
	h.ok(err)
	set, err := h.signin.ClientCredentials(h.t.Context(), space, proven, signin.Holder{}, nil)
	h.ok(err)
	return set.AccessToken
}

// caller makes an API client in a workspace of acme and returns its token.
func (h *house) caller(workspace string, scopes ...string) (client.Client, string) {
	h.t.Helper()
	c, err := h.clients.Clients.Create(h.t.Context(), client.Client{
		TenantID: "acme", WorkspaceID: workspace, ClientName: "a caller", GrantTypes: []string{"client_credentials"},
		ResponseTypes: []string{}, Scopes: scopes,
	})
	h.ok(err)
	return c, h.token(c)
}

// holder makes an API client that holds a role, as "admin" on the tenant,
// "manager@default" on a workspace or "user_manager@default/people" on a pool,
// and returns its token.
func (h *house) holder(what string) string {
	h.t.Helper()
	c, raw := h.caller(tenant.Admin)
	name, on := h.resource(what)
	h.ok(h.roles.Grant(h.t.Context(), on, role.Client("acme", c.ClientID, c.Epoch), name))
	return raw
}

func (h *house) resource(what string) (string, role.Resource) {
	h.t.Helper()
	ctx := h.t.Context()
	name, at, _ := strings.Cut(what, "@")
	workspace, poolID, _ := strings.Cut(at, "/")
	owner, err := h.tenants.Tenants.Get(ctx, "acme")
	h.ok(err)
	on := role.Resource{Tenant: role.Ref{ID: owner.ID, Epoch: owner.Epoch}}
	if workspace != "" {
		epoch, err := h.epoch(ctx, "acme", workspace)
		h.ok(err)
		on.Workspace = role.Ref{ID: workspace, Epoch: epoch}
	}
	if poolID != "" {
		p, err := h.pools.Pools.Get(ctx, "acme", poolID)
		h.ok(err)
		on.Pool = role.Ref{ID: p.ID, Epoch: p.Epoch}
	}
	return name, on
}

// connect makes the IDP of a workspace of acme that stands for a pool.
func (h *house) connect(workspace, poolID string) idp.IDP {
	h.t.Helper()
	p, err := h.idps.Create(h.t.Context(), idp.IDP{TenantID: "acme", WorkspaceID: workspace, IdentityPoolID: poolID})
	h.ok(err)
	return p
}

// kept counts the records of acme in a table whose JSON contains a text,
// whatever they mean.
func (h *house) kept(table, text string) int {
	h.t.Helper()
	recs, err := h.faulty.Scan(h.t.Context(), table, store.Scan{Tenant: "acme", Limit: 10_000, Now: h.clock.Now()})
	h.ok(err)
	n := 0
	for _, rec := range recs {
		var raw json.RawMessage
		h.ok(rec.Decode(&raw))
		if strings.Contains(string(raw), text) {
			n++
		}
	}
	return n
}

// person signs a user in to the workspace admin by an IDP and returns the
// session and an access token that a client got for it.
func (h *house) person(by idp.IDP, userID string) (*session.Session, string) {
	h.t.Helper()
	return h.bound(by, userID, signin.Holder{})
}

// bound is person for a token that is bound to keys.
func (h *house) bound(by idp.IDP, userID string, keys signin.Holder) (*session.Session, string) {
	h.t.Helper()
	ctx := h.t.Context()
	u, err := h.pools.Users.Get(ctx, "acme", by.IdentityPoolID, userID)
	h.ok(err)
	space, err := h.live.Space(ctx, "acme", tenant.Admin)
	h.ok(err)
	c, err := h.clients.Clients.Create(ctx, client.Client{
		TenantID: "acme", WorkspaceID: tenant.Admin, ClientName: "an app", GrantTypes: []string{"authorization_code"},
		ResponseTypes: []string{"code"}, RedirectURIs: client.URIs{"http://localhost/callback"},
	})
	h.ok(err)
	_, on, err := h.sessions.Start(ctx, "acme", session.Session{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Pool: u.PoolID, User: u.ID, UserEpoch: u.Epoch, IDP: by.ID,
		Subject: idp.Subject("hash", by.ID, u.ID), AuthTime: h.clock.Now(),
	})
	h.ok(err)
	code, err := h.codes.Issue(ctx, "acme", grant.Code{RedirectURI: "http://localhost/callback", Terms: grant.Terms{
		Workspace: space.ID, WorkspaceEpoch: space.Epoch, Client: c.ClientID, ClientEpoch: c.Epoch, Pool: u.PoolID, User: u.ID,
		UserEpoch: u.Epoch, IDP: by.ID, Subject: on.Subject, Session: on.ID, AuthTime: on.AuthTime,
	}}, time.Minute)
	h.ok(err)
	set, err := h.signin.Redeem(ctx, space, &c, keys, signin.Redemption{Code: code, RedirectURI: "http://localhost/callback"})
	h.ok(err)
	return on, set.AccessToken
}
