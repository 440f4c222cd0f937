package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Auditor keeps audit events; audit.Recorder is one.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// Guard bounds guessing at somebody's secrets; limit.Guard is one. who is the
// pool and the user's id with a slash between, or, for tries at nobody, the pool
// and what was typed after "/?". Take comes before the work and fails when there
// were too many.
type Guard interface {
	Take(ctx context.Context, tenant, kind, who string) error
	Clear(ctx context.Context, tenant, kind, who string) error
}

// Config joins what the keepers need. Ring is required. Nil funcs and nil
// interfaces do nothing.
type Config struct {
	Ring      *vault.Ring          // seals TOTP secrets
	Passwords *credential.Verifier // nil: one without a gate, which only tests should use
	Guard     Guard
	Audit     Auditor
	Now       func() time.Time // nil: time.Now
	// Changed writes to the change log: configuration after its write, revocations
	// before and after what they announce.
	Changed func(context.Context, changes.Entry) error
	// TenantEpoch returns the epoch of a tenant, or NotFound. Pools and schemas are
	// then created only under a tenant that is still there afterwards.
	TenantEpoch func(ctx context.Context, tenant string) (string, error)
	// Linked is asked before a pool is deleted; its error refuses. It is where the
	// IDPs that stand for the pool are looked at.
	Linked func(ctx context.Context, tenant, pool string) error
	// SearchTime bounds a walk through the users of a pool; zero means two seconds.
	SearchTime time.Duration
}

// Keeper joins the keepers of this package. Safe for concurrent use.
type Keeper struct {
	Schemas     *Schemas
	Pools       *Pools
	Users       *Users
	Groups      *Groups
	MFASessions *MFASessions
}

// Open declares the tables and returns their keepers.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Ring == nil {
		return nil, errors.New("pool: a key ring is needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Passwords == nil {
		c.Passwords = credential.NewVerifier(credential.Config{Now: c.Now})
	}
	c.SearchTime = orElse(c.SearchTime, 2*time.Second)
	names, err := declareClaims(ctx, s)
	if err != nil {
		return nil, err
	}
	schemas, err := openSchemas(ctx, s, &c)
	if err != nil {
		return nil, err
	}
	pools, err := openPools(ctx, s, &c, names, schemas)
	if err != nil {
		return nil, err
	}
	mfa, err := openMFA(ctx, s, &c, pools)
	if err != nil {
		return nil, err
	}
	users, err := openUsers(ctx, s, &c, names, pools, mfa)
	if err != nil {
		return nil, err
	}
	if users.groups, err = openGroups(ctx, s, &c, names, pools, users); err != nil {
		return nil, err
	}
	schemas.used = func(ctx context.Context, tenant, id string) (bool, error) {
		return inUse(ctx, tenant, id, pools.uses, users.uses)
	}
	pools.users = users
	return &Keeper{Schemas: schemas, Pools: pools, Users: users, Groups: users.groups, MFASessions: mfa}, nil
}

func inUse(ctx context.Context, tenant, id string, by ...func(context.Context, string, string) (bool, error)) (bool, error) {
	for _, uses := range by {
		if used, err := uses(ctx, tenant, id); used || err != nil {
			return used, err
		}
	}
	return false, nil
}

func (c *Config) changed(ctx context.Context, kind, tenant, id string) error {
	if c.Changed == nil {
		return nil
	}
	return c.Changed(ctx, changes.Entry{Kind: kind, Tenant: tenant, ID: id, At: c.Now()})
}

// revoke announces that what a user has signed in to is over. An empty user
// means all users of the pool.
func (c *Config) revoke(ctx context.Context, tenant, pool, user string) error {
	return c.changed(ctx, changes.KindRevokeUser, tenant, pool+"/"+user)
}

// record keeps an audit event; p may be nil for what belongs to no pool.
func (c *Config) record(ctx context.Context, at string, p *Pool, user, subject, action string, payload any) error {
	if c.Audit == nil {
		return nil
	}
	raw, err := json.Marshal(map[string]any{subject + "_" + action: payload})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	e := audit.Event{Tenant: at, Workspace: tenant.Admin, Subject: subject, Action: action, Time: c.Now(), Payload: raw}
	e.Metadata = map[string]any{"affected_user_id": user}
	if p != nil {
		e.Metadata["affected_user_pool_id"] = p.ID
		e.Workspace = orElse(p.WorkspaceID, tenant.Admin)
	}
	return c.Audit.Record(ctx, e)
}

// parent returns the epoch of a tenant, or "" when nobody can tell.
func (c *Config) parent(ctx context.Context, tenant string) (string, error) {
	if c.TenantEpoch == nil {
		return "", nil
	}
	return c.TenantEpoch(ctx, tenant)
}

// orphan reports NotFound when the tenant is not the same as before.
func (c *Config) orphan(ctx context.Context, tenant, epoch string) error {
	now, err := c.parent(ctx, tenant)
	if err == nil && now != epoch {
		return fault.New(fault.NotFound, "There is no such tenant.", nil)
	}
	return err
}
