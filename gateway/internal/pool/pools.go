package pool

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// poolSpace is where the names of pools are claimed. It is no epoch.
const poolSpace = "pools"

// poolRecord is a pool as it is stored.
type poolRecord struct {
	Pool        Pool   `json:"pool"`
	Epoch       string `json:"epoch"`
	TenantEpoch string `json:"tenant_epoch"`
	Grave       grave  `json:"grave,omitzero"`
}

func (r *poolRecord) live() bool { return r.Grave.Until.IsZero() }

func (r *poolRecord) byID() (store.Key, bool) { return store.Key{Order: r.Pool.ID}, r.live() }

func (r *poolRecord) byName() (store.Key, bool) {
	return store.Key{Order: strings.ToLower(r.Pool.Name)}, r.live()
}

func (r *poolRecord) names() []name {
	return []name{{Key: key(canonical(r.Pool.Name), true)}}
}

// Pools keeps identity pools. Safe for concurrent use.
type Pools struct {
	config  *Config
	table   *store.Table[poolRecord]
	records *records[poolRecord]
	schemas *Schemas
	users   *Users
	purges  *store.Table[purge]
}

func openPools(ctx context.Context, s *store.Store, c *Config, names *store.Table[claim], schemas *Schemas) (*Pools, error) {
	t, err := store.Declare(ctx, s, store.Spec[poolRecord]{
		Name:    "pools",
		Indexes: map[string]func(*poolRecord) (store.Key, bool){"id": (*poolRecord).byID, "name": (*poolRecord).byName},
		Expires: func(r *poolRecord) time.Time { return r.Grave.Until },
	})
	if err != nil {
		return nil, err
	}
	purges, err := store.Declare(ctx, s, store.Spec[purge]{Name: "pool_purges", Due: func(p *purge) time.Time { return p.At }})
	if err != nil {
		return nil, err
	}
	rs := &records[poolRecord]{
		table:  t,
		claims: &claims{table: names, now: c.Now},
		names:  (*poolRecord).names,
		clone:  func(r poolRecord) poolRecord { return r },
		epoch:  func(r *poolRecord) string { return r.Epoch },
		buried: func(r *poolRecord) *grave { return &r.Grave },
		row:    func(o owner) string { return o.id },
	}
	rs.claims.look = rs.look
	return &Pools{config: c, table: t, records: rs, schemas: schemas, purges: purges}, nil
}

// Create stores a new pool with defaults filled in. Without an id it gets a
// slug of its name, or a random one. Errors: Unprocessable naming the member,
// Conflict for id or name, NotFound for the tenant.
func (k *Pools) Create(ctx context.Context, tenant string, in Input) (Counted, error) {
	p := in.Pool
	if in.IdentifierCaseInsensitive != nil {
		p.IdentifierCaseInsensitive = *in.IdentifierCaseInsensitive
	}
	p.TenantID = tenant
	ids := []string{p.ID}
	if p.ID == "" {
		ids = []string{record.Slug(p.Name), vault.NewID()}
	}
	if err := k.settle(ctx, &p); err != nil {
		return Counted{}, err
	}
	var made Counted
	var err error
	for _, id := range ids {
		if err = record.ID("id", id); err != nil {
			continue
		}
		p.ID = id
		made, err = k.create(ctx, p)
		if !errors.Is(err, store.ErrExists) {
			break
		}
	}
	return made, poolFault(err)
}

func (k *Pools) create(ctx context.Context, p Pool) (Counted, error) {
	epoch, err := k.config.parent(ctx, p.TenantID)
	if err != nil {
		return Counted{}, err
	}
	o := owner{p.TenantID, poolSpace, p.ID}
	row, err := k.records.insert(ctx, o, poolRecord{Pool: p, Epoch: vault.NewID(), TenantEpoch: epoch})
	if err != nil {
		return Counted{}, err
	}
	if err := k.config.orphan(ctx, p.TenantID, epoch); err != nil {
		_, undo := k.records.remove(ctx, o, row.Rev, func(*poolRecord) error { return nil })
		return Counted{}, errors.Join(err, undo)
	}
	return Counted{Pool: row.Value.shown(row.Rev)}, k.written(ctx, row, audit.ActionCreated)
}

// settle fills a pool's defaults and checks it.
func (k *Pools) settle(ctx context.Context, p *Pool) error {
	p.fill()
	if err := p.check(); err != nil {
		return err
	}
	for _, ref := range []struct{ field, id string }{
		{"payload_schema_id", p.PayloadSchemaID},
		{"metadata_schema_id", p.MetadataSchemaID},
		{"business_metadata_schema_id", p.BusinessMetadataSchemaID},
	} {
		if err := k.schemas.exists(ctx, p.TenantID, ref.field, ref.id); err != nil {
			return err
		}
	}
	return nil
}

// Get returns a pool without counters, or NotFound.
func (k *Pools) Get(ctx context.Context, tenant, id string) (Pool, error) {
	row, err := k.records.get(ctx, owner{tenant, poolSpace, id})
	if err != nil {
		return Pool{}, poolFault(err)
	}
	return row.Value.shown(row.Rev), nil
}

// Count adds the number of users to a pool.
func (k *Pools) Count(ctx context.Context, p Pool) (Counted, error) {
	jit, err := k.users.count(ctx, p, kindJIT)
	if err != nil {
		return Counted{}, err
	}
	standard, err := k.users.count(ctx, p, kindStandard)
	return Counted{Pool: p, NumberOfUsers: jit + standard, NumberOfStandardUsers: standard, NumberOfJITUsers: jit}, err
}

// Update replaces a pool: members that are missing go back to their defaults,
// but identifier_case_insensitive and webauthn stay as they are. Id, workspace
// and the system mark cannot be changed. in.Rev is the revision the caller has
// seen, or 0. Errors as for Create, and Unprocessable for a change of
// identifier_case_insensitive in a pool with users.
func (k *Pools) Update(ctx context.Context, tenant string, in Input) (Counted, error) {
	o := owner{tenant, poolSpace, in.ID}
	var was bool
	row, err := k.records.update(ctx, o, in.Rev, func(r *poolRecord) error {
		old, next := r.Pool, in.Pool
		next.ID, next.TenantID, next.WorkspaceID, next.System = old.ID, tenant, old.WorkspaceID, old.System
		next.IdentifierCaseInsensitive = old.IdentifierCaseInsensitive
		if in.IdentifierCaseInsensitive != nil {
			next.IdentifierCaseInsensitive = *in.IdentifierCaseInsensitive
		}
		if next.WebAuthn == nil {
			next.WebAuthn = old.WebAuthn
		}
		if err := k.settle(ctx, &next); err != nil {
			return err
		}
		r.Pool, was = next, old.IdentifierCaseInsensitive
		if next.WebAuthn.rp() != old.WebAuthn.rp() {
			if err := k.refuseWithPasskeys(ctx, tenant, r.Epoch); err != nil {
				return err
			}
		}
		if next.IdentifierCaseInsensitive == was {
			return nil
		}
		return k.refuseWithUsers(ctx, r)
	})
	if err == nil && row.Value.Pool.IdentifierCaseInsensitive != was {
		err = k.confirmCase(ctx, o, row, was)
	}
	if err != nil {
		return Counted{}, poolFault(err)
	}
	if err := k.written(ctx, row, audit.ActionUpdated); err != nil {
		return Counted{}, err
	}
	return k.Count(ctx, row.Value.shown(row.Rev))
}

// refuseWithUsers keeps the way identifiers compare: claims are stored by it.
func (k *Pools) refuseWithUsers(ctx context.Context, r *poolRecord) error {
	n, err := k.Count(ctx, r.shown(0))
	if err == nil && n.NumberOfUsers > 0 {
		err = fault.At(fault.Unprocessable, "identifier_case_insensitive", "cannot be changed once the pool has users")
	}
	return err
}

// refuseWithPasskeys keeps the relying party's id: passkeys are good for the one
// that they were made for, so a change would take them all away.
func (k *Pools) refuseWithPasskeys(ctx context.Context, tenant, epoch string) error {
	rows, err := k.records.claims.table.Range(ctx, tenant, store.Prefix(epoch, TypeWebAuthn), store.Page{Limit: 1})
	if err == nil && len(rows) > 0 {
		err = fault.At(fault.Unprocessable, "webauthn.rp_id", "cannot be changed once somebody in the pool has a passkey")
	}
	return err
}

// confirmCase takes a change of the case back when a user was created at the
// same time. Users.Create looks at the pool after its write as this looks at the
// users after its own, so at least one of the two sees the other.
func (k *Pools) confirmCase(ctx context.Context, o owner, row store.Row[poolRecord], was bool) error {
	refusal := k.refuseWithUsers(ctx, &row.Value)
	if refusal == nil {
		return nil
	}
	_, err := k.records.update(ctx, o, 0, func(r *poolRecord) error {
		r.Pool.IdentifierCaseInsensitive = was
		return nil
	})
	return errors.Join(refusal, err)
}

// Filter selects pools of a tenant.
type Filter struct {
	Workspace string             // only those that belong to it; empty: all
	Search    string             // in id or name, whatever the case
	Visible   func(p *Pool) bool // what the caller may see; nil: all
	Sort      string             // id (also when empty) or name
	Page      store.Page         // cursors are pool ids
}

// List returns a page of a tenant's pools with counters.
func (k *Pools) List(ctx context.Context, tenant string, f Filter) ([]Counted, error) {
	if err := record.OneOf("sort", f.Sort, []string{"", "id", "name"}); err != nil {
		return nil, err
	}
	rows, err := record.Pick(ctx, k.table, tenant, store.Query{Index: orElse(f.Sort, "id")}, f.Page, func(r *poolRecord) bool {
		return (f.Workspace == "" || r.Pool.WorkspaceID == f.Workspace) && record.Matches(f.Search, r.Pool.ID, r.Pool.Name) &&
			(f.Visible == nil || f.Visible(&r.Pool))
	})
	if err != nil {
		return nil, err
	}
	list := make([]Counted, len(rows))
	for i, row := range rows {
		if list[i], err = k.Count(ctx, row.Value.shown(row.Rev)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// uses tells whether a pool refers to a schema.
func (k *Pools) uses(ctx context.Context, tenant, schema string) (used bool, err error) {
	err = k.table.All(ctx, tenant, store.Query{Index: "id"}, func(row store.Row[poolRecord]) bool {
		p := &row.Value.Pool
		used = p.PayloadSchemaID == schema || p.MetadataSchemaID == schema || p.BusinessMetadataSchemaID == schema
		return !used
	})
	return used, err
}

// written tells the logs of a write.
func (k *Pools) written(ctx context.Context, row store.Row[poolRecord], action string) error {
	p := row.Value.Pool
	if err := k.config.changed(ctx, changes.KindPool, p.TenantID, p.ID); err != nil {
		return err
	}
	return k.config.record(ctx, p.TenantID, &p, "", audit.SubjectPool, action, map[string]any{
		"pool_id": p.ID, "name": p.Name, "description": p.Description,
		"authentication_mechanisms": p.AuthenticationMechanisms, "public_registration_allowed": p.PublicRegistrationAllowed,
	})
}

func (r *poolRecord) shown(rev int64) Pool {
	p := r.Pool
	p.Epoch, p.Rev = r.Epoch, rev
	return p
}

// poolFault turns the records' answers into faults.
func poolFault(err error) error {
	if _, ok := errors.AsType[*takenError](err); ok {
		return &fault.Error{Kind: fault.Conflict, Field: "name", Public: "Another pool has this name.", Cause: err}
	}
	return record.Fault(err, "pool")
}
