package setup

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Config joins the keepers that a Setup works on. Keys, Now and Log may be nil.
type Config struct {
	Store   *store.Store
	Base    string // the gateway's base URL
	Tenants *tenant.Keeper
	Roles   *role.Roles
	Clients *client.Keeper
	Schemas *pool.Schemas
	Pools   *pool.Pools
	Users   *pool.Users
	Groups  *pool.Groups
	IDPs    *idp.Keeper
	Routes  *route.Keeper
	// Keys removes the signing keys of a workspace that is being deleted.
	Keys func(ctx context.Context, tenant, workspace string) error
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger
}

// Setup creates and removes what spans several packages. Safe for concurrent
// use, also by several gateways on one store.
type Setup struct {
	config Config
	notes  *store.Table[note]
	first  *store.Table[first]
}

// Open declares the tables.
func Open(ctx context.Context, c Config) (*Setup, error) {
	if c.Store == nil || c.Tenants == nil || c.Roles == nil || c.Clients == nil || c.Schemas == nil ||
		c.Pools == nil || c.Users == nil || c.Groups == nil || c.IDPs == nil || c.Routes == nil {
		return nil, errors.New("setup: a keeper is missing")
	}
	c.Base = strings.TrimRight(c.Base, "/")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	notes, err := store.Declare(ctx, c.Store, store.Spec[note]{Name: "setup_notes", Due: func(n *note) time.Time { return n.At }})
	if err != nil {
		return nil, err
	}
	once, err := store.Declare(ctx, c.Store, store.Spec[first]{Name: "setup"})
	if err != nil {
		return nil, err
	}
	return &Setup{config: c, notes: notes, first: once}, nil
}

// Root makes the root tenant with its workspaces admin and system, their
// scopes, claims and portal clients, where they are missing. It is meant for
// every start. It makes no API client: those come with the first set-up. When
// the base URL is another one than at the last start, the redirect URIs of all
// portal clients follow it.
func (s *Setup) Root(ctx context.Context) error {
	if _, _, err := s.root(ctx); err != nil {
		return err
	}
	return s.move(ctx)
}

// move lets the portal clients of all tenants follow the base URL. It is
// recorded last, so that an interrupted move is done again.
func (s *Setup) move(ctx context.Context) error {
	f, err := s.state(ctx)
	if err != nil || f.Base == s.config.Base {
		return err
	}
	tenants, err := s.config.Tenants.Tenants.List(ctx, "")
	if err != nil {
		return err
	}
	for i := range tenants {
		if err := s.moveTenant(ctx, tenants[i].ID); err != nil {
			return err
		}
	}
	return s.change(ctx, func(f *first) error {
		f.Base = s.config.Base
		return nil
	})
}

func (s *Setup) moveTenant(ctx context.Context, id string) error {
	spaces, err := s.config.Tenants.Workspaces.All(ctx, id)
	if err != nil {
		return err
	}
	for i := range spaces {
		// What is deleted, or not complete yet, needs no move.
		c, err := s.config.Clients.Clients.Find(ctx, spaces[i].Key(), PortalID(&spaces[i]))
		if err == nil {
			_, err = s.renew(ctx, c, s.portal(&spaces[i]))
		}
		if err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// root returns the root tenant and its workspaces.
func (s *Setup) root(ctx context.Context) (tenant.Tenant, []tenant.Workspace, error) {
	t, err := s.config.Tenants.Tenants.Root(ctx)
	if err != nil {
		return t, nil, err
	}
	if err := s.config.Schemas.Seed(ctx, t.ID); err != nil {
		return t, nil, err
	}
	var spaces []tenant.Workspace
	for _, id := range []string{tenant.Admin, tenant.System} {
		w, err := s.workspace(ctx, tenant.Workspace{TenantID: t.ID, ID: id})
		if err != nil {
			return t, nil, err
		}
		if _, err := s.furnish(ctx, &w, false); err != nil {
			return t, nil, err
		}
		spaces = append(spaces, w)
	}
	return t, spaces, nil
}

// TokenURL returns the address where a client of a workspace gets tokens.
func (s *Setup) TokenURL(k tenant.Key) string { return tokenURL(s.config.Base, k) }

func tokenURL(base string, k tenant.Key) string {
	return base + "/" + k.Tenant + "/" + k.Workspace + "/oauth2/token"
}

// after is a short context for what must be done although the caller's context
// may have ended.
func after(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}

func gone(err error) bool { return fault.Is(err, fault.NotFound) || errors.Is(err, store.ErrNotFound) }

// interrupted is what a caller sees of a name that is taken by an attempt which
// stopped half-way: such claims lapse after a minute.
func interrupted(cause error) error {
	return &fault.Error{
		Kind: fault.Unavailable, Public: "An earlier attempt was interrupted; try again in a minute.", RetryAfter: time.Minute, Cause: cause,
	}
}
