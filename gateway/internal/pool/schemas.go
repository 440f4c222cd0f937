package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Schemas keeps the schemas of tenants. Safe for concurrent use.
type Schemas struct {
	config     *Config
	table      *store.Table[Schema]
	validators *validators
	used       func(ctx context.Context, tenant, id string) (bool, error)
	// over are schemas that an import is about to write: see Keeper.Plan.
	over map[string]json.RawMessage
}

func openSchemas(ctx context.Context, s *store.Store, c *Config) (*Schemas, error) {
	t, err := store.Declare(ctx, s, store.Spec[Schema]{Name: "schemas"})
	return &Schemas{config: c, table: t, validators: newValidators()}, err
}

// Seed gives a tenant the predefined schemas, or their present text when it has
// an older one. It may be called again.
func (k *Schemas) Seed(ctx context.Context, tenant string) error {
	for _, s := range predefined() {
		s.TenantID, s.CreatedAt, s.UpdatedAt = tenant, k.config.Now().UTC(), k.config.Now().UTC()
		_, err := k.table.Create(ctx, tenant, s.ID, s)
		if errors.Is(err, store.ErrExists) {
			err = k.renew(ctx, tenant, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *Schemas) renew(ctx context.Context, tenant string, s Schema) error {
	row, err := k.table.Get(ctx, tenant, s.ID)
	if err != nil || bytes.Equal(row.Value.Schema, s.Schema) {
		return err
	}
	s.CreatedAt = row.Value.CreatedAt
	_, err = k.table.Swap(ctx, tenant, s.ID, row.Rev, s)
	if errors.Is(err, store.ErrStale) { // another gateway does the same
		return nil
	}
	return err
}

// Create stores a schema. Without an id it gets a random one. Errors:
// Unprocessable naming the member, Conflict for the id.
func (k *Schemas) Create(ctx context.Context, tenant string, s Schema) (Schema, error) {
	s.ID = orElse(s.ID, vault.NewID())
	if err := record.ID("id", s.ID); err != nil {
		return Schema{}, err
	}
	s.TenantID, s.CreatedAt, s.UpdatedAt = tenant, k.config.Now().UTC(), k.config.Now().UTC()
	if err := s.check(); err != nil {
		return Schema{}, err
	}
	epoch, err := k.config.parent(ctx, tenant)
	if err != nil {
		return Schema{}, err
	}
	row, err := k.table.Create(ctx, tenant, s.ID, s)
	if err != nil {
		return Schema{}, record.Fault(err, "schema")
	}
	if err := k.config.orphan(ctx, tenant, epoch); err != nil {
		return Schema{}, errors.Join(err, k.table.DeleteIf(ctx, tenant, s.ID, row.Rev))
	}
	return k.written(ctx, row, audit.ActionCreated)
}

// Get returns a schema, or NotFound.
func (k *Schemas) Get(ctx context.Context, tenant, id string) (Schema, error) {
	row, err := k.table.Get(ctx, tenant, id)
	if err != nil {
		return Schema{}, record.Fault(err, "schema")
	}
	return shown(row), nil
}

// Update replaces name, description and text of a schema; s.Rev is the revision
// the caller has seen, or 0. Users are not checked again: their payload is when
// it is next written. A system schema is Denied.
func (k *Schemas) Update(ctx context.Context, tenant string, s Schema) (Schema, error) {
	if err := s.check(); err != nil {
		return Schema{}, err
	}
	row, err := record.Change(ctx, k.table, tenant, s.ID, s.Rev, func(old *Schema) error {
		if old.System {
			return fault.New(fault.Denied, "A system schema cannot be changed.", nil)
		}
		old.Name, old.Description, old.Schema, old.System = s.Name, s.Description, s.Schema, s.System
		old.UpdatedAt = k.config.Now().UTC()
		return nil
	})
	if err != nil {
		return Schema{}, record.Fault(err, "schema")
	}
	return k.written(ctx, row, audit.ActionUpdated)
}

// Delete removes a schema at revision rev, or whatever it is when rev is 0. A
// system schema is Denied, one that a pool or a user refers to is Conflict.
func (k *Schemas) Delete(ctx context.Context, tenant, id string, rev int64) error {
	row, err := k.table.Get(ctx, tenant, id)
	if err == nil && rev != 0 && row.Rev != rev {
		err = store.ErrStale
	}
	if err != nil {
		return record.Fault(err, "schema")
	}
	if row.Value.System {
		return fault.New(fault.Denied, "A system schema cannot be deleted.", nil)
	}
	used, err := k.used(ctx, tenant, id)
	if err != nil {
		return err
	}
	if used {
		return fault.New(fault.Conflict, "A pool or a user still refers to this schema.", nil)
	}
	if err := k.table.DeleteIf(ctx, tenant, id, row.Rev); err != nil {
		return record.Fault(err, "schema")
	}
	_, err = k.written(ctx, row, audit.ActionDeleted)
	return err
}

// List returns all schemas of a tenant in the order of their ids.
func (k *Schemas) List(ctx context.Context, tenant string) ([]Schema, error) {
	list := []Schema{}
	err := k.table.All(ctx, tenant, store.Query{}, func(row store.Row[Schema]) bool {
		list = append(list, shown(row))
		return true
	})
	return list, err
}

// written tells the logs of a write.
func (k *Schemas) written(ctx context.Context, row store.Row[Schema], action string) (Schema, error) {
	s := shown(row)
	if err := k.config.changed(ctx, changes.KindSchema, row.Tenant, row.ID); err != nil {
		return s, err
	}
	return s, k.config.record(ctx, row.Tenant, nil, "", audit.SubjectSchema, action, map[string]any{
		"schema_id": s.ID, "name": s.Name, "description": s.Description, "system": s.System,
		"created_at": s.CreatedAt, "updated_at": s.UpdatedAt,
	})
}

// validate applies a schema to an object that a user is to have. field is the
// member that holds the object; the one that names the schema is field_schema_id.
// Nothing (nil) fits every schema.
func (k *Schemas) validate(ctx context.Context, tenant, id, field string, raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	if id == "" {
		_, err := parse(field, raw, maxObject)
		return err
	}
	text, err := k.text(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return fault.At(fault.Unprocessable, field+"_schema_id", fmt.Sprintf("there is no schema %q", id))
	}
	if err != nil {
		return err
	}
	s, err := k.validators.compile("schema", text)
	if err != nil {
		return fmt.Errorf("stored schema %q: %w", id, errors.New(err.Error())) // ours to mend, not the caller's
	}
	return check(s, field, raw)
}

// text returns a schema's text, or store.ErrNotFound.
func (k *Schemas) text(ctx context.Context, tenant, id string) (json.RawMessage, error) {
	if text, ok := k.over[id]; ok {
		return text, nil
	}
	row, err := k.table.Get(ctx, tenant, id)
	return row.Value.Schema, err
}

// exists reports Unprocessable when a schema that is referred to is missing; no
// reference is fine.
func (k *Schemas) exists(ctx context.Context, tenant, field, id string) error {
	if id == "" {
		return nil
	}
	_, err := k.text(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("there is no schema %q", id))
	}
	return err
}

func shown(row store.Row[Schema]) Schema {
	s := row.Value
	s.Rev = row.Rev
	return s
}
