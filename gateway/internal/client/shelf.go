package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// entity is a record that belongs to a workspace and has an id of its own in
// the tenant: Service, Scope, Claim.
type entity[T any] interface {
	*T
	place() place
}

// place points to the members that all entities have.
type place struct {
	tenant, workspace, id, name *string
	rev                         *int64
}

func (p place) key() tenant.Key { return tenant.Key{Tenant: *p.tenant, Workspace: *p.workspace} }

// shelfRecord is an entity as it is stored, in its tenant by its id.
type shelfRecord[T any] struct {
	Value          T      `json:"value"`
	TenantEpoch    string `json:"tenant_epoch"`
	WorkspaceEpoch string `json:"workspace_epoch"`
}

// shelf keeps entities of one kind. Safe for concurrent use.
type shelf[T any, P entity[T]] struct {
	config Config
	what   string
	table  *store.Table[shelfRecord[T]]
}

func openShelf[T any, P entity[T]](ctx context.Context, s *store.Store, c Config, name, what string) (*shelf[T, P], error) {
	index := func(order func(place) string) func(*shelfRecord[T]) (store.Key, bool) {
		return func(r *shelfRecord[T]) (store.Key, bool) {
			at := P(&r.Value).place()
			return store.Key{Equal: *at.workspace, Order: order(at)}, true
		}
	}
	table, err := store.Declare(ctx, s, store.Spec[shelfRecord[T]]{Name: name, Indexes: map[string]func(*shelfRecord[T]) (store.Key, bool){
		"id":   index(func(p place) string { return *p.id }),
		"name": index(func(p place) string { return strings.ToLower(*p.name) }),
	}})
	if err != nil {
		return nil, err
	}
	return &shelf[T, P]{config: c, what: what, table: table}, nil
}

// workspace returns the workspace that an entity names.
func (s *shelf[T, P]) workspace(ctx context.Context, v P) (tenant.Workspace, error) {
	at := v.place()
	if *at.workspace == "" {
		return tenant.Workspace{}, fault.At(fault.Unprocessable, "authorization_server_id", "is required")
	}
	return s.config.Workspace(ctx, at.key())
}

// in checks that an id, given as the member field of another entity, is of the
// workspace.
func (s *shelf[T, P]) in(ctx context.Context, w *tenant.Workspace, field, id string) error {
	row, err := s.table.Get(ctx, w.TenantID, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (*P(&row.Value.Value).place().workspace != w.ID || !row.Value.belongs(w)) {
		return fault.At(fault.Unprocessable, field, "names no "+s.what+" of this workspace")
	}
	return err
}

// create stores a checked entity that has an id, under w as it was read.
func (s *shelf[T, P]) create(ctx context.Context, w *tenant.Workspace, v T) (T, error) {
	at := P(&v).place()
	if err := record.ID("id", *at.id); err != nil {
		return v, err
	}
	row, err := s.table.Create(ctx, *at.tenant, *at.id, shelfRecord[T]{Value: v, TenantEpoch: w.TenantEpoch, WorkspaceEpoch: w.Epoch})
	if err != nil {
		return v, record.Fault(err, s.what)
	}
	if err := s.config.still(ctx, w); err != nil {
		return v, errors.Join(err, s.table.DeleteIf(ctx, *at.tenant, *at.id, row.Rev))
	}
	*at.rev = row.Rev
	return v, s.changed(ctx, at)
}

func (s *shelf[T, P]) changed(ctx context.Context, at place) error {
	return s.config.changed(ctx, changes.KindWorkspace, at.key(), *at.workspace)
}

// get returns an entity, or NotFound also when its workspace has gone.
func (s *shelf[T, P]) get(ctx context.Context, tenantID, id string) (T, error) {
	var none T
	row, err := s.table.Get(ctx, tenantID, id)
	if err != nil {
		return none, record.Fault(err, s.what)
	}
	w, err := s.config.Workspace(ctx, P(&row.Value.Value).place().key())
	if fault.Is(err, fault.NotFound) || err == nil && !row.Value.belongs(&w) {
		return none, record.Fault(fmt.Errorf("%s %q outlived its workspace: %w", s.what, id, store.ErrNotFound), s.what)
	}
	if err != nil {
		return none, err
	}
	return s.load(row), nil
}

func (r *shelfRecord[T]) belongs(w *tenant.Workspace) bool {
	return r.WorkspaceEpoch == w.Epoch && r.TenantEpoch == w.TenantEpoch
}

func (s *shelf[T, P]) load(row store.Row[shelfRecord[T]]) T {
	*P(&row.Value.Value).place().rev = row.Rev
	return row.Value.Value
}

// update replaces an entity in place; alter gets the old one and the new one
// and may refuse or fill in. A workspace that v names must be the old one's.
func (s *shelf[T, P]) update(ctx context.Context, v T, alter func(old, next P) error) (T, error) {
	at := P(&v).place()
	if _, err := s.get(ctx, *at.tenant, *at.id); err != nil {
		return v, err
	}
	row, err := record.Change(ctx, s.table, *at.tenant, *at.id, *at.rev, func(r *shelfRecord[T]) error {
		old, next := r.Value, v
		from, to := P(&old).place(), P(&next).place()
		if *to.workspace == "" {
			*to.workspace = *from.workspace
		}
		if *to.workspace != *from.workspace {
			return fault.At(fault.Unprocessable, "authorization_server_id", fmt.Sprintf("is %q and cannot be changed", *from.workspace))
		}
		if err := alter(&old, &next); err != nil {
			return err
		}
		r.Value = next
		return nil
	})
	if err != nil {
		return v, record.Fault(err, s.what)
	}
	v = s.load(row)
	return v, s.changed(ctx, P(&v).place())
}

// remove deletes an entity at revision rev, or whatever it is when rev is 0.
func (s *shelf[T, P]) remove(ctx context.Context, v T, rev int64) error {
	at := P(&v).place()
	if err := record.Remove(ctx, s.table, *at.tenant, *at.id, rev); err != nil {
		return record.Fault(err, s.what)
	}
	return s.changed(ctx, at)
}

// all returns every entity of a workspace in the order of an index.
func (s *shelf[T, P]) all(ctx context.Context, w *tenant.Workspace, index string) ([]T, error) {
	list := []T{}
	err := s.table.All(ctx, w.TenantID, store.Query{Index: index, Equal: w.ID}, func(row store.Row[shelfRecord[T]]) bool {
		if row.Value.belongs(w) {
			list = append(list, s.load(row))
		}
		return true
	})
	return list, err
}

// of is all for a workspace by its key.
func (s *shelf[T, P]) of(ctx context.Context, key tenant.Key) ([]T, error) {
	w, err := s.config.Workspace(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.all(ctx, &w, "name")
}

func (s *shelf[T, P]) page(ctx context.Context, key tenant.Key, index string, p store.Page, keep func(*T) bool) ([]T, error) {
	w, err := s.config.Workspace(ctx, key)
	if err != nil {
		return nil, err
	}
	rows, err := record.Pick(ctx, s.table, key.Tenant, store.Query{Index: index, Equal: key.Workspace}, p,
		func(r *shelfRecord[T]) bool { return r.belongs(&w) && keep(&r.Value) })
	if err != nil {
		return nil, err
	}
	list := make([]T, len(rows))
	for i, row := range rows {
		list[i] = s.load(row)
	}
	return list, nil
}

// seed stores entities that a workspace starts with. What is there already
// stays, so it may be repeated; an id that another workspace has taken gives way
// to a random one, and seed returns the new id by the old. It writes no change
// entry.
func (s *shelf[T, P]) seed(ctx context.Context, w *tenant.Workspace, list []T) (map[string]string, error) {
	renamed := map[string]string{}
	items := make([]store.Item[shelfRecord[T]], len(list))
	for i := range list {
		items[i] = store.Item[shelfRecord[T]]{
			ID: *P(&list[i]).place().id, Value: shelfRecord[T]{Value: list[i], TenantEpoch: w.TenantEpoch, WorkspaceEpoch: w.Epoch},
		}
	}
	for i, err := range s.table.CreateMany(ctx, w.TenantID, items) {
		if errors.Is(err, store.ErrExists) {
			renamed[items[i].ID], err = s.yield(ctx, w, items[i])
		}
		if err != nil {
			return nil, fmt.Errorf("seed %s %q: %w", s.what, items[i].ID, err)
		}
	}
	return renamed, nil
}

// yield returns the id under which an item is there or, when its own is taken,
// was stored.
func (s *shelf[T, P]) yield(ctx context.Context, w *tenant.Workspace, item store.Item[shelfRecord[T]]) (string, error) {
	row, err := s.table.Get(ctx, w.TenantID, item.ID)
	if err != nil {
		return "", err
	}
	if *P(&row.Value.Value).place().workspace == w.ID && row.Value.belongs(w) {
		return item.ID, nil
	}
	id := vault.NewID()
	*P(&item.Value.Value).place().id = id
	_, err = s.table.Create(ctx, w.TenantID, id, item.Value)
	return id, err
}

func (s *shelf[T, P]) purge(ctx context.Context, key tenant.Key) error {
	var ids []string
	err := s.table.All(ctx, key.Tenant, store.Query{Index: "id", Equal: key.Workspace}, func(row store.Row[shelfRecord[T]]) bool {
		ids = append(ids, row.ID)
		return true
	})
	for _, id := range ids {
		if gone := s.table.Delete(ctx, key.Tenant, id); gone != nil && !errors.Is(gone, store.ErrNotFound) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
