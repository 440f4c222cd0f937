package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const thisWorkspace = "workspace"

// workspaceRecord is a workspace as it is stored, in its tenant.
type workspaceRecord struct {
	Value       plain           `json:"value"` // without secrets and extra members
	Extra       json.RawMessage `json:"extra,omitempty"`
	Secrets     string          `json:"secrets"` // sealed
	TenantEpoch string          `json:"tenant_epoch"`
	Epoch       string          `json:"epoch"`
	Deleting    bool            `json:"deleting,omitempty"`
}

func (r *workspaceRecord) due() time.Time { return dueNow(r.Deleting) }

func (r *workspaceRecord) byID() (store.Key, bool) {
	return store.Key{Order: r.Value.ID}, !r.Deleting
}

func (r *workspaceRecord) byName() (store.Key, bool) {
	return store.Key{Order: strings.ToLower(r.Value.Name)}, !r.Deleting
}

// Workspaces keeps workspaces. Safe for concurrent use.
type Workspaces struct {
	config  Config
	table   *store.Table[workspaceRecord]
	tenants *Tenants
}

// Create stores a new workspace under w.TenantID with defaults, secret and salt
// filled in, and returns it. Without an id it gets a slug of its name, or a
// random one. Errors: NotFound for the tenant, Unprocessable, Conflict.
func (k *Workspaces) Create(ctx context.Context, w Workspace) (Workspace, error) {
	w.fill()
	if w.Builtin() {
		return Workspace{}, fault.At(fault.Unprocessable, "type", `must be "regular" or "organization": the others are built in`)
	}
	if w.ID != "" {
		if err := checkWorkspaceID(w.ID); err != nil {
			return Workspace{}, err
		}
		return k.create(ctx, w)
	}
	for _, id := range candidates(w.Name, checkWorkspaceID) {
		w.ID = id
		made, err := k.create(ctx, w)
		if !fault.Is(err, fault.Conflict) {
			return made, err
		}
	}
	return Workspace{}, errors.New("no free id for a new workspace")
}

// CreateBuiltin stores the workspace Admin or System of a new tenant; w may set
// everything but its type and name. Conflict when the tenant has it already.
func (k *Workspaces) CreateBuiltin(ctx context.Context, w Workspace) (Workspace, error) {
	switch w.ID {
	case Admin:
		w.Type, w.Name = TypeAdmin, "Admin"
	case System:
		w.Type, w.Name = TypeSystem, "System"
	default:
		return Workspace{}, fmt.Errorf("%q is not a built-in workspace", w.ID)
	}
	w.fill()
	return k.create(ctx, w)
}

func (k *Workspaces) create(ctx context.Context, w Workspace) (Workspace, error) {
	if w.Name == "" {
		w.Name = w.ID
	}
	if err := w.check(); err != nil {
		return Workspace{}, err
	}
	parent, err := k.tenants.Get(ctx, w.TenantID)
	if err != nil {
		return Workspace{}, err
	}
	if w.Secret == "" {
		w.Secret = vault.NewSecret()
	}
	if w.SubjectIdentifierSalt == "" {
		w.SubjectIdentifierSalt = vault.NewSecret()
	}
	rec := workspaceRecord{TenantEpoch: parent.Epoch, Epoch: vault.NewID()}
	if err := k.put(&rec, w); err != nil {
		return Workspace{}, err
	}
	row, err := k.table.Create(ctx, w.TenantID, w.ID, rec)
	if err != nil {
		return Workspace{}, record.Fault(err, thisWorkspace)
	}
	// A tenant that was deleted meanwhile must not leave a workspace behind.
	if err := k.still(ctx, parent); err != nil {
		return Workspace{}, errors.Join(err, k.table.DeleteIf(ctx, w.TenantID, w.ID, row.Rev))
	}
	return k.written(ctx, row, audit.ActionCreated)
}

// still checks that a tenant is there and the same as when it was read.
func (k *Workspaces) still(ctx context.Context, t Tenant) error {
	now, err := k.tenants.Get(ctx, t.ID)
	if err == nil && now.Epoch != t.Epoch {
		err = record.Fault(store.ErrNotFound, thisTenant)
	}
	return err
}

// written tells the change log and the audit log of a write.
func (k *Workspaces) written(ctx context.Context, row store.Row[workspaceRecord], action string) (Workspace, error) {
	w, err := k.open(row)
	if err != nil {
		return Workspace{}, err
	}
	if err := k.config.changed(ctx, entry(changes.KindWorkspace, w.Key())); err != nil {
		return w, err
	}
	return w, k.config.record(ctx, w.Key(), action, &w)
}

func entry(kind string, k Key) changes.Entry {
	return changes.Entry{Kind: kind, Tenant: k.Tenant, Workspace: k.Workspace, ID: k.Workspace}
}

// Get returns a workspace, or NotFound also while it is being deleted.
func (k *Workspaces) Get(ctx context.Context, key Key) (Workspace, error) {
	row, err := k.table.Get(ctx, key.Tenant, key.Workspace)
	if err == nil && row.Value.Deleting {
		err = fmt.Errorf("workspace %q is being deleted: %w", key.Workspace, store.ErrNotFound)
	}
	if err != nil {
		return Workspace{}, record.Fault(err, thisWorkspace)
	}
	return k.open(row)
}

// Update replaces a workspace: members that are missing go back to their
// defaults. Id, type, key type, version and epochs stay, and so do secret and
// salt unless w has others. w.Rev as for Tenants.Update.
func (k *Workspaces) Update(ctx context.Context, w Workspace) (Workspace, error) {
	row, err := record.Change(ctx, k.table, w.TenantID, w.ID, w.Rev, func(r *workspaceRecord) error {
		if r.Deleting {
			return store.ErrNotFound
		}
		old, err := k.open(store.Row[workspaceRecord]{ID: w.ID, Value: *r})
		if err != nil {
			return err
		}
		next := w
		if next.Type == "" {
			next.Type = old.Type
		}
		if next.Type != old.Type {
			return fault.At(fault.Unprocessable, "type", fmt.Sprintf("is %q and cannot be changed", old.Type))
		}
		next.KeyType, next.Version = old.KeyType, old.Version
		if next.Secret == "" {
			next.Secret, next.RotatedSecrets = old.Secret, old.RotatedSecrets
		}
		if next.SubjectIdentifierSalt == "" {
			next.SubjectIdentifierSalt = old.SubjectIdentifierSalt
		}
		if next.Name == "" {
			next.Name = next.ID
		}
		next.fill()
		if err := next.check(); err != nil {
			return err
		}
		return k.put(r, next)
	})
	if err != nil {
		return Workspace{}, record.Fault(err, thisWorkspace)
	}
	return k.written(ctx, row, audit.ActionUpdated)
}

// UpdateMetadata replaces the payload of a workspace's metadata and returns it.
func (k *Workspaces) UpdateMetadata(ctx context.Context, key Key, payload json.RawMessage) (Workspace, error) {
	if err := record.Object("payload", &payload); err != nil {
		return Workspace{}, err
	}
	row, err := record.Change(ctx, k.table, key.Tenant, key.Workspace, 0, func(r *workspaceRecord) error {
		if r.Deleting {
			return store.ErrNotFound
		}
		members := map[string]json.RawMessage{}
		if len(r.Value.Metadata) > 0 {
			if err := json.Unmarshal(r.Value.Metadata, &members); err != nil {
				return fmt.Errorf("metadata of workspace %q: %w", key.Workspace, err)
			}
		}
		delete(members, "payload")
		if payload != nil {
			members["payload"] = payload
		}
		raw, err := json.Marshal(members)
		r.Value.Metadata = raw
		return err
	})
	if err != nil {
		return Workspace{}, record.Fault(err, thisWorkspace)
	}
	return k.written(ctx, row, audit.ActionUpdated)
}

// Delete ends a workspace with all below it, at revision rev or whatever it is
// when rev is 0. A built-in one cannot be deleted: Denied. After a failure the
// workspace is gone for every reader and Delete or Finish carries on.
func (k *Workspaces) Delete(ctx context.Context, key Key, rev int64) error {
	row, err := k.table.Get(ctx, key.Tenant, key.Workspace)
	if err != nil {
		return record.Fault(err, thisWorkspace)
	}
	if w := Workspace(row.Value.Value); w.Builtin() {
		return fault.New(fault.Denied, "A built-in workspace cannot be deleted.", nil)
	}
	if !row.Value.Deleting {
		row, err = record.Change(ctx, k.table, key.Tenant, key.Workspace, rev, func(r *workspaceRecord) error {
			r.Deleting = true
			return nil
		})
		if err != nil {
			return record.Fault(err, thisWorkspace)
		}
	}
	return k.finish(ctx, row)
}

func (k *Workspaces) finish(ctx context.Context, row store.Row[workspaceRecord]) error {
	w := Workspace(row.Value.Value)
	for _, kind := range []string{changes.KindRevokeWorkspace, changes.KindWorkspace} {
		if err := k.config.changed(ctx, entry(kind, w.Key())); err != nil {
			return err
		}
	}
	if err := k.config.purge(ctx, w.Key()); err != nil {
		return fmt.Errorf("purge workspace %q: %w", w.ID, err)
	}
	if err := k.config.record(ctx, w.Key(), audit.ActionDeleted, &w); err != nil {
		return err
	}
	err := k.table.DeleteIf(ctx, row.Tenant, row.ID, row.Rev)
	if errors.Is(err, store.ErrNotFound) { // another gateway was faster
		return nil
	}
	return err
}

func (k *Workspaces) finishAll(ctx context.Context) error {
	rows, err := k.table.Due(ctx, 100)
	for _, row := range rows {
		err = errors.Join(err, k.finish(ctx, row))
	}
	return err
}

// Filter selects workspaces of one tenant.
type Filter struct {
	Types    []string // empty: all
	Template *bool
	Search   string     // in id or name, whatever the case
	Sort     string     // id (also when empty) or name
	Page     store.Page // cursors are workspace ids
}

// List returns a page of a tenant's workspaces.
func (k *Workspaces) List(ctx context.Context, tenant string, f Filter) ([]Workspace, error) {
	if err := record.OneOf("sort", f.Sort, []string{"", "id", "name"}); err != nil {
		return nil, err
	}
	for _, t := range f.Types {
		if err := record.OneOf("types", t, types); err != nil {
			return nil, err
		}
	}
	index := "id"
	if f.Sort == "name" {
		index = "name"
	}
	rows, err := record.Pick(ctx, k.table, tenant, store.Query{Index: index}, f.Page, func(r *workspaceRecord) bool {
		v := &r.Value
		return (len(f.Types) == 0 || slices.Contains(f.Types, v.Type)) &&
			(f.Template == nil || *f.Template == v.Template) && record.Matches(f.Search, v.ID, v.Name)
	})
	if err != nil {
		return nil, err
	}
	list := make([]Workspace, len(rows))
	for i, row := range rows {
		if list[i], err = k.open(row); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// All returns every workspace of a tenant by id, but those being deleted.
func (k *Workspaces) All(ctx context.Context, tenant string) ([]Workspace, error) {
	list := []Workspace{}
	var bad error
	err := k.table.All(ctx, tenant, store.Query{Index: "id"}, func(row store.Row[workspaceRecord]) bool {
		var w Workspace
		if w, bad = k.open(row); bad == nil {
			list = append(list, w)
		}
		return bad == nil
	})
	return list, errors.Join(err, bad)
}

// each visits every record of a tenant, also those being deleted.
func (k *Workspaces) each(ctx context.Context, tenant string, visit func(*workspaceRecord)) error {
	return k.table.All(ctx, tenant, store.Query{}, func(row store.Row[workspaceRecord]) bool {
		visit(&row.Value)
		return true
	})
}
