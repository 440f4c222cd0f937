package role

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config joins what a keeper of roles needs; a nil func does nothing.
type Config struct {
	Now     func() time.Time // nil: time.Now
	Changed func(context.Context, changes.Entry) error
	Record  func(context.Context, audit.Event) error
}

// Roles keeps roles and judges by them. Safe for concurrent use. Apply must be
// subscribed to the change log.
type Roles struct {
	config Config
	table  *store.Table[grant]
	cache  cache
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Roles, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[grant]{
		Name: "roles",
		Indexes: map[string]func(*grant) (store.Key, bool){
			"subject": (*grant).bySubject, "resource": (*grant).byResource,
		},
	})
	if err != nil {
		return nil, err
	}
	return &Roles{config: c, table: table, cache: cache{now: c.Now, lists: map[cacheKey]cached{}}}, nil
}

// Grant gives a subject a role on a resource; that it has it already is fine.
// Both must carry their epochs, so the caller has looked at them. Errors:
// Unprocessable for a role or a type that does not fit.
func (r *Roles) Grant(ctx context.Context, on Resource, to Subject, role string) error {
	g, err := newGrant(on, to, role)
	if err != nil {
		return err
	}
	_, err = r.table.Create(ctx, on.Tenant.ID, g.id(), g)
	if errors.Is(err, store.ErrExists) {
		row, err := r.table.Get(ctx, on.Tenant.ID, g.id())
		if err != nil || row.Value == g {
			return err
		}
		// It belongs to an earlier subject or resource of that name.
		_, err = r.table.Swap(ctx, on.Tenant.ID, g.id(), row.Rev, g)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return r.written(ctx, g, audit.ActionGranted)
}

// Revoke takes a role away. Errors: NotFound when the subject does not hold it,
// Unprocessable for the last administrator of a tenant.
func (r *Roles) Revoke(ctx context.Context, on Resource, from Subject, role string) error {
	g, err := newGrant(on, from, role)
	if err != nil {
		return err
	}
	if role == Admin && on.Kind() == KindTenant {
		if err := r.notLast(ctx, on, g); err != nil {
			return err
		}
	}
	err = r.table.Delete(ctx, on.Tenant.ID, g.id())
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "The subject does not hold this role here.", err)
	}
	if err != nil {
		return err
	}
	return r.written(ctx, g, audit.ActionRevoked)
}

func newGrant(on Resource, who Subject, role string) (grant, error) {
	if !slices.Contains(roles(on.Kind()), role) {
		return grant{}, fault.At(fault.Unprocessable, "role", fmt.Sprintf("must be one of %q on this resource", roles(on.Kind())))
	}
	if err := who.check(); err != nil {
		return grant{}, err
	}
	who.TenantID = on.Tenant.ID
	g := grant{Subject: who, SubjectEpoch: who.Epoch, Resource: on, Role: role}
	g.Subject.Epoch = ""
	if g.SubjectEpoch == "" || on.self().Epoch == "" || on.Tenant.ID == "" {
		return grant{}, fmt.Errorf("role %s of %s: the epoch of the subject or the resource is missing", role, who.key())
	}
	return g, nil
}

func (r *Roles) notLast(ctx context.Context, on Resource, g grant) error {
	admins, mine := 0, false
	err := r.each(ctx, on, func(other *grant) {
		if other.Role == Admin {
			admins++
			mine = mine || other.id() == g.id()
		}
	})
	if err == nil && mine && admins == 1 {
		return fault.New(fault.Unprocessable, "The last administrator of a tenant cannot be removed.", nil)
	}
	return err
}

// List returns who holds roles on a resource: users and IDPs, in a stable order.
func (r *Roles) List(ctx context.Context, on Resource) ([]Assignment, error) {
	return r.assignments(ctx, on, func(s Subject) bool { return s.Type != SubjectClient })
}

// Clients returns which API clients hold roles on a resource.
func (r *Roles) Clients(ctx context.Context, on Resource) ([]Assignment, error) {
	return r.assignments(ctx, on, func(s Subject) bool { return s.Type == SubjectClient })
}

func (r *Roles) assignments(ctx context.Context, on Resource, keep func(Subject) bool) ([]Assignment, error) {
	list := []Assignment{}
	err := r.each(ctx, on, func(g *grant) {
		if keep(g.Subject) {
			list = append(list, Assignment{Subject: g.holder(), Role: g.Role})
		}
	})
	return list, err
}

// each visits the grants on exactly this resource.
func (r *Roles) each(ctx context.Context, on Resource, visit func(*grant)) error {
	return r.table.All(ctx, on.Tenant.ID, store.Query{Index: "resource", Equal: on.key()}, func(row store.Row[grant]) bool {
		if row.Value.Resource.self() == on.self() {
			visit(&row.Value)
		}
		return true
	})
}

// Held returns the roles of one subject in its tenant.
func (r *Roles) Held(ctx context.Context, who Subject) ([]Held, error) {
	grants, err := r.grants(ctx, who)
	if err != nil {
		return nil, err
	}
	list := make([]Held, len(grants))
	for i, g := range grants {
		list[i] = held(g.Resource, g.Role)
	}
	return list, nil
}

// Forget removes all roles of a subject that has been deleted. Its epoch may be
// empty: then whatever carries its name goes.
func (r *Roles) Forget(ctx context.Context, who Subject) error {
	return r.forget(ctx, who.TenantID, store.Query{Index: "subject", Equal: who.key()}, func(g *grant) bool {
		return who.Epoch == "" || g.SubjectEpoch == who.Epoch
	})
}

// ForgetResource removes all roles on a workspace or pool that has been
// deleted. Its epoch may be empty: then whatever carries its name goes.
func (r *Roles) ForgetResource(ctx context.Context, on Resource) error {
	return r.forget(ctx, on.Tenant.ID, store.Query{Index: "resource", Equal: on.key()}, func(g *grant) bool {
		return on.self().Epoch == "" || g.Resource.self().Epoch == on.self().Epoch
	})
}

func (r *Roles) forget(ctx context.Context, tenant string, q store.Query, gone func(*grant) bool) error {
	var found []grant
	err := r.table.All(ctx, tenant, q, func(row store.Row[grant]) bool {
		if gone(&row.Value) {
			found = append(found, row.Value)
		}
		return true
	})
	if err != nil {
		return err
	}
	for i := range found {
		if err := r.table.Delete(ctx, tenant, found[i].id()); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := r.changed(ctx, &found[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Roles) changed(ctx context.Context, g *grant) error {
	r.cache.drop(g.Resource.Tenant.ID)
	if r.config.Changed == nil {
		return nil
	}
	return r.config.Changed(ctx, changes.Entry{Kind: changes.KindRole, Tenant: g.Resource.Tenant.ID, ID: g.Subject.key()})
}

// written tells the change log and the audit log (RoleGrantAuditPayload).
func (r *Roles) written(ctx context.Context, g grant, action string) error {
	if err := r.changed(ctx, &g); err != nil || r.config.Record == nil {
		return err
	}
	at := "admin"
	if g.Resource.Kind() == KindWorkspace {
		at = g.Resource.Workspace.ID
	}
	resource := held(g.Resource, "")
	payload, err := json.Marshal(map[string]any{"role_" + action: map[string]any{
		"role": g.Role, "subject": g.Subject,
		"resource": map[string]string{
			"type": resource.Type, "tenant_id": resource.TenantID,
			"workspace_id": resource.WorkspaceID, "identity_pool_id": resource.PoolID,
		},
	}})
	if err != nil {
		return fmt.Errorf("audit event: %w", err)
	}
	return r.config.Record(ctx, audit.Event{
		Tenant: g.Resource.Tenant.ID, Workspace: at, Subject: audit.SubjectRole, Action: action, Payload: payload,
		Metadata: map[string]any{"affected_user_id": g.Subject.UserID, "affected_user_pool_id": g.Subject.PoolID},
	})
}
