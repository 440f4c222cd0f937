package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const thisTenant = "tenant"

// tenantRecord is a tenant as it is stored, in the root tenant.
type tenantRecord struct {
	Value    Tenant `json:"value"` // without keys
	Keys     string `json:"keys,omitempty"`
	Epoch    string `json:"epoch"`
	Deleting bool   `json:"deleting,omitempty"`
}

func (r *tenantRecord) due() time.Time { return dueNow(r.Deleting) }

// Tenants keeps tenants. Safe for concurrent use.
type Tenants struct {
	config     Config
	store      *store.Store
	table      *store.Table[tenantRecord]
	workspaces *Workspaces
}

// Create stores a new tenant and returns it. Without an id it gets a slug of its
// name, or a random one. Errors: Unprocessable, Conflict for a taken id.
func (t *Tenants) Create(ctx context.Context, v Tenant) (Tenant, error) {
	if err := v.check(); err != nil {
		return Tenant{}, err
	}
	if v.ID != "" {
		if err := checkTenantID(v.ID); err != nil {
			return Tenant{}, err
		}
		return t.insert(ctx, v)
	}
	for _, id := range candidates(v.Name, checkTenantID) {
		v.ID = id
		made, err := t.insert(ctx, v)
		if !fault.Is(err, fault.Conflict) {
			return made, err
		}
	}
	return Tenant{}, errors.New("no free id for a new tenant")
}

// Root returns the root tenant and creates it when there is none.
func (t *Tenants) Root(ctx context.Context) (Tenant, error) {
	made, err := t.insert(ctx, Tenant{ID: Root, Name: "System"})
	if fault.Is(err, fault.Conflict) {
		return t.Get(ctx, Root)
	}
	return made, err
}

// candidates are ids to try in turn: the slug of a name, the slug with a random
// end, a random one.
func candidates(name string, check func(string) error) []string {
	random := vault.NewID()
	slug := record.Slug(name)
	if slug == "" {
		return []string{random}
	}
	list := []string{slug + "-" + random[:8], random}
	if check(slug) == nil {
		list = append([]string{slug}, list...)
	}
	return list
}

func (t *Tenants) insert(ctx context.Context, v Tenant) (Tenant, error) {
	rec := tenantRecord{Value: v, Epoch: vault.NewID()}
	if err := t.seal(&rec); err != nil {
		return Tenant{}, err
	}
	row, err := t.table.Create(ctx, Root, v.ID, rec)
	if err != nil {
		return Tenant{}, record.Fault(err, thisTenant)
	}
	made, err := t.open(row)
	if err != nil {
		return Tenant{}, err
	}
	return made, t.config.changed(ctx, changes.Entry{Kind: changes.KindTenant, Tenant: v.ID, ID: v.ID})
}

// Get returns a tenant, or NotFound also while it is being deleted.
func (t *Tenants) Get(ctx context.Context, id string) (Tenant, error) {
	row, err := t.table.Get(ctx, Root, id)
	if err == nil && row.Value.Deleting {
		err = fmt.Errorf("tenant %q is being deleted: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return Tenant{}, record.Fault(err, thisTenant)
	}
	return t.open(row)
}

// List returns all tenants by id, those alone whose metadata match when filter
// is not empty: {"metadata":{...}}, scalars equal, arrays contain.
func (t *Tenants) List(ctx context.Context, filter string) ([]Tenant, error) {
	q, err := parseQuery(filter)
	if err != nil {
		return nil, err
	}
	list := []Tenant{}
	var bad error
	err = t.table.All(ctx, Root, store.Query{}, func(row store.Row[tenantRecord]) bool {
		if row.Value.Deleting || !q.keeps(&row.Value.Value) {
			return true
		}
		var v Tenant
		if v, bad = t.open(row); bad == nil {
			list = append(list, v)
		}
		return bad == nil
	})
	return list, errors.Join(err, bad)
}

// Update replaces a tenant (published API, section 27); its id and epoch stay.
// v.Rev, when it is not 0, is the revision the caller has seen: Stale when the
// tenant has moved on.
func (t *Tenants) Update(ctx context.Context, v Tenant) (Tenant, error) {
	if err := v.check(); err != nil {
		return Tenant{}, err
	}
	row, err := record.Change(ctx, t.table, Root, v.ID, v.Rev, func(r *tenantRecord) error {
		if r.Deleting {
			return store.ErrNotFound
		}
		keys := r.Keys
		r.Value, r.Keys = v, ""
		if v.JWKS == nil {
			r.Keys = keys // a body without keys keeps those there are
			return nil
		}
		return t.seal(r)
	})
	if err != nil {
		return Tenant{}, record.Fault(err, thisTenant)
	}
	made, err := t.open(row)
	if err != nil {
		return Tenant{}, err
	}
	return made, t.config.changed(ctx, changes.Entry{Kind: changes.KindTenant, Tenant: v.ID, ID: v.ID})
}

// Delete ends a tenant with all it contains, at revision rev or whatever it is
// when rev is 0. The root tenant cannot be deleted: Denied. After a failure the
// tenant is gone for every reader and Delete or Finish carries on.
func (t *Tenants) Delete(ctx context.Context, id string, rev int64) error {
	if id == Root {
		return fault.New(fault.Denied, "The root tenant cannot be deleted.", nil)
	}
	row, err := t.table.Get(ctx, Root, id)
	if err != nil {
		return record.Fault(err, thisTenant)
	}
	if !row.Value.Deleting {
		row, err = record.Change(ctx, t.table, Root, id, rev, func(r *tenantRecord) error {
			r.Deleting = true
			return nil
		})
		if err != nil {
			return record.Fault(err, thisTenant)
		}
	}
	return t.finish(ctx, row)
}

func (t *Tenants) finish(ctx context.Context, row store.Row[tenantRecord]) error {
	id := row.ID
	var spaces []Workspace
	err := t.workspaces.each(ctx, id, func(r *workspaceRecord) { spaces = append(spaces, Workspace(r.Value)) })
	if err != nil {
		return err
	}
	for i := range spaces {
		err := t.config.changed(ctx, changes.Entry{Kind: changes.KindRevokeWorkspace, Tenant: id, Workspace: spaces[i].ID, ID: spaces[i].ID})
		if err != nil {
			return err
		}
	}
	if err := t.config.changed(ctx, changes.Entry{Kind: changes.KindTenant, Tenant: id, ID: id}); err != nil {
		return err
	}
	if err := t.config.purge(ctx, Key{Tenant: id}); err != nil {
		return fmt.Errorf("purge tenant %q: %w", id, err)
	}
	for i := range spaces { // the tenant's own log goes with it, so the root tenant keeps these
		if err := t.config.record(ctx, Key{Tenant: Root, Workspace: Admin}, audit.ActionDeleted, &spaces[i]); err != nil {
			return err
		}
	}
	if err := t.store.Purge(ctx, id); err != nil {
		return err
	}
	err = t.table.DeleteIf(ctx, Root, id, row.Rev)
	if errors.Is(err, store.ErrNotFound) { // another gateway was faster
		return nil
	}
	return err
}

func (t *Tenants) finishAll(ctx context.Context) error {
	rows, err := t.table.Due(ctx, 100)
	for _, row := range rows {
		err = errors.Join(err, t.finish(ctx, row))
	}
	return err
}

// seal moves the keys out of the value, sealed.
func (t *Tenants) seal(r *tenantRecord) error {
	r.Keys = ""
	if r.Value.JWKS != nil {
		sealed, err := t.config.Ring.Seal(r.Value.JWKS, vault.AAD(Root, "tenants", r.Value.ID, "jwks"))
		if err != nil {
			return fmt.Errorf("seal keys of tenant %q: %w", r.Value.ID, err)
		}
		r.Keys = sealed
	}
	r.Value.JWKS = nil
	return nil
}

func (t *Tenants) open(row store.Row[tenantRecord]) (Tenant, error) {
	v := row.Value.Value
	v.Epoch, v.Rev = row.Value.Epoch, row.Rev
	if row.Value.Keys == "" {
		return v, nil
	}
	keys, err := t.config.Ring.Open(row.Value.Keys, vault.AAD(Root, "tenants", v.ID, "jwks"))
	if err != nil {
		return Tenant{}, fmt.Errorf("keys of tenant %q: %w", v.ID, err)
	}
	v.JWKS = json.RawMessage(keys)
	return v, nil
}
