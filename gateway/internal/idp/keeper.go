package idp

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

const thing = "IDP"

// Pool is what the keeper needs to know of an identity pool.
type Pool struct{ Name, Epoch string }

// Config joins what a Keeper needs. Workspace and Pool are required; another
// nil func does nothing.
type Config struct {
	// Workspace returns the epoch of a live workspace, or fault.NotFound.
	Workspace func(ctx context.Context, tenant, workspace string) (epoch string, err error)
	// Pool returns a live identity pool, or fault.NotFound.
	Pool func(ctx context.Context, tenant, pool string) (Pool, error)
	// Changed writes to the change log, after the configuration was written.
	Changed func(context.Context, changes.Entry) error
	// Record keeps an audit event.
	Record func(context.Context, audit.Event) error
	Now    func() time.Time // nil: time.Now
}

// idpRecord is an IDP as it is stored, under workspace and id.
type idpRecord struct {
	Value          IDP    `json:"value"`
	Epoch          string `json:"epoch"`
	WorkspaceEpoch string `json:"workspace_epoch"`
	PoolEpoch      string `json:"pool_epoch"`
	Pending        bool   `json:"pending,omitempty"` // there only if its claim says so
}

func (r *idpRecord) byPool() (store.Key, bool) {
	return store.Key{Equal: r.Value.IdentityPoolID, Order: store.ID(r.Value.WorkspaceID, r.Value.ID)}, true
}

func open(row store.Row[idpRecord]) IDP {
	p := row.Value.Value
	p.Epoch, p.WorkspaceEpoch, p.PoolEpoch, p.Rev = row.Value.Epoch, row.Value.WorkspaceEpoch, row.Value.PoolEpoch, row.Rev
	return p
}

// Keeper keeps IDPs. Safe for concurrent use.
type Keeper struct {
	config Config
	idps   *store.Table[idpRecord]
	claims *store.Table[claim]
}

// Open declares the tables.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Workspace == nil || c.Pool == nil {
		return nil, errors.New("idp: Workspace and Pool are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	idps, err := store.Declare(ctx, s, store.Spec[idpRecord]{
		Name:    "idps",
		Indexes: map[string]func(*idpRecord) (store.Key, bool){"pool": (*idpRecord).byPool},
	})
	if err != nil {
		return nil, err
	}
	claims, err := store.Declare(ctx, s, store.Spec[claim]{Name: "idp_claims"})
	if err != nil {
		return nil, err
	}
	return &Keeper{config: c, idps: idps, claims: claims}, nil
}

// Create connects a pool to the workspace p.WorkspaceID of p.TenantID and
// returns the IDP with id, epochs and defaults filled in. Errors: NotFound for
// the workspace; Unprocessable for a bad member, an id that is taken, an unknown
// pool, and a pool that has an IDP in the workspace already. Of several racing
// creators for one pool at most one succeeds.
func (k *Keeper) Create(ctx context.Context, p IDP) (IDP, error) {
	p.ClientID = ""
	p.fill()
	workspace, err := k.config.Workspace(ctx, p.TenantID, p.WorkspaceID)
	if err != nil {
		return IDP{}, err
	}
	if err := p.check(); err != nil {
		return IDP{}, err
	}
	pool, err := k.pool(ctx, &p)
	if err != nil {
		return IDP{}, err
	}
	rec := idpRecord{Value: p, Epoch: vault.NewID(), WorkspaceEpoch: workspace, PoolEpoch: pool.Epoch, Pending: true}
	row, err := k.create(ctx, rec)
	if err != nil {
		return IDP{}, err
	}
	return k.written(ctx, row, "created")
}

// pool looks up the pool of an IDP and names the IDP after it.
func (k *Keeper) pool(ctx context.Context, p *IDP) (Pool, error) {
	pool, err := k.config.Pool(ctx, p.TenantID, p.IdentityPoolID)
	if fault.Is(err, fault.NotFound) {
		return Pool{}, &fault.Error{Kind: fault.Unprocessable, Field: "identity_pool_id", Public: "There is no such identity pool.", Cause: err}
	}
	if p.Name == "" {
		p.Name = pool.Name
	}
	return pool, err
}

// Get returns an IDP of a workspace. NotFound for the workspace or the IDP.
func (k *Keeper) Get(ctx context.Context, tenant, workspace, id string) (IDP, error) {
	epoch, err := k.config.Workspace(ctx, tenant, workspace)
	if err != nil {
		return IDP{}, err
	}
	row, err := k.find(ctx, tenant, workspace, id, epoch)
	if err != nil {
		return IDP{}, record.Fault(err, thing)
	}
	return open(row), nil
}

// find returns a row that is there, of a workspace at this epoch.
func (k *Keeper) find(ctx context.Context, tenant, workspace, id, epoch string) (store.Row[idpRecord], error) {
	row, err := k.idps.Get(ctx, tenant, store.ID(workspace, id))
	if err != nil {
		return row, err
	}
	there, err := k.there(ctx, row, epoch)
	if err == nil && !there {
		err = store.ErrNotFound
	}
	return row, err
}

// Update replaces an IDP as a whole: members that are missing go back to their
// defaults. Pool, method, client and epochs stay. p.Rev 0 means whatever
// revision it is. Errors: NotFound, Stale, Unprocessable.
func (k *Keeper) Update(ctx context.Context, p IDP) (IDP, error) {
	epoch, err := k.config.Workspace(ctx, p.TenantID, p.WorkspaceID)
	if err != nil {
		return IDP{}, err
	}
	was, err := k.find(ctx, p.TenantID, p.WorkspaceID, p.ID, epoch)
	if err != nil {
		return IDP{}, record.Fault(err, thing)
	}
	p.fill()
	p.ClientID = was.Value.Value.ClientID
	if err := p.check(); err != nil {
		return IDP{}, err
	}
	if err := k.samePool(ctx, &p, was.Value); err != nil {
		return IDP{}, err
	}
	row, err := record.Change(ctx, k.idps, p.TenantID, was.ID, p.Rev, func(r *idpRecord) error {
		if r.Epoch != was.Value.Epoch {
			return store.ErrNotFound
		}
		r.Value, r.Pending = p, false
		return nil
	})
	if err != nil {
		return IDP{}, record.Fault(err, thing)
	}
	return k.written(ctx, row, "updated")
}

// samePool refuses an update that would put other people behind the IDP: users
// of another pool may have the same ids, and so the same subjects.
func (k *Keeper) samePool(ctx context.Context, p *IDP, was idpRecord) error {
	if p.IdentityPoolID != was.Value.IdentityPoolID {
		return fault.At(fault.Unprocessable, "identity_pool_id", "cannot be changed: delete the IDP and create another one")
	}
	pool, err := k.pool(ctx, p)
	if err == nil && pool.Epoch != was.PoolEpoch {
		return fault.At(fault.Unprocessable, "identity_pool_id", "names a pool that was deleted and made again: delete the IDP and create another one")
	}
	return err
}

// Delete removes an IDP. The caller ends its sessions first; that those which
// begin meanwhile end as well is what the epoch is for. rev 0 means whatever
// revision it is. Errors: NotFound, Stale.
func (k *Keeper) Delete(ctx context.Context, tenant, workspace, id string, rev int64) error {
	epoch, err := k.config.Workspace(ctx, tenant, workspace)
	if err != nil {
		return err
	}
	row, err := k.remove(ctx, tenant, workspace, id, epoch, rev)
	if err != nil {
		return record.Fault(err, thing)
	}
	// A claim that stays behind is void, since its IDP is gone.
	_ = k.release(ctx, row.Value)
	_, err = k.written(ctx, row, "deleted")
	return err
}

// remove deletes exactly the row that it returns.
func (k *Keeper) remove(ctx context.Context, tenant, workspace, id, epoch string, rev int64) (store.Row[idpRecord], error) {
	for {
		row, err := k.find(ctx, tenant, workspace, id, epoch)
		if err != nil {
			return row, err
		}
		if rev != 0 && rev != row.Rev {
			return row, store.ErrStale
		}
		err = k.idps.DeleteIf(ctx, tenant, row.ID, row.Rev)
		if rev != 0 || !errors.Is(err, store.ErrStale) {
			return row, err
		}
	}
}

// List returns all IDPs of a workspace in the order of the chooser: by
// display_order, then name, then id. NotFound for the workspace.
func (k *Keeper) List(ctx context.Context, tenant, workspace string) ([]IDP, error) {
	epoch, err := k.config.Workspace(ctx, tenant, workspace)
	if err != nil {
		return nil, err
	}
	same := func(string) (string, error) { return epoch, nil }
	return k.list(ctx, tenant, store.Query{Equal: store.Prefix(workspace)}, same)
}

// ListByPool returns the IDPs of all workspaces that stand for a pool, in the
// order of List. It is empty for a pool that does not exist.
func (k *Keeper) ListByPool(ctx context.Context, tenant, pool string) ([]IDP, error) {
	return k.list(ctx, tenant, store.Query{Index: "pool", Equal: pool}, func(workspace string) (string, error) {
		epoch, err := k.config.Workspace(ctx, tenant, workspace)
		if fault.Is(err, fault.NotFound) {
			return "", nil // no record has an empty epoch
		}
		return epoch, err
	})
}

func (k *Keeper) list(ctx context.Context, tenant string, q store.Query, epoch func(workspace string) (string, error)) ([]IDP, error) {
	var rows []store.Row[idpRecord]
	err := k.idps.All(ctx, tenant, q, func(row store.Row[idpRecord]) bool {
		rows = append(rows, row)
		return true
	})
	if err != nil {
		return nil, err
	}
	list := make([]IDP, 0, len(rows))
	for _, row := range rows {
		e, err := epoch(row.Value.Value.WorkspaceID)
		if err != nil {
			return nil, err
		}
		there, err := k.there(ctx, row, e)
		if err != nil {
			return nil, err
		}
		if there {
			list = append(list, open(row))
		}
	}
	slices.SortStableFunc(list, func(a, b IDP) int {
		return cmp.Or(cmp.Compare(a.DisplayOrder, b.DisplayOrder), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.WorkspaceID, b.WorkspaceID), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Purge removes what is kept for a workspace that is being deleted. It tells
// nobody, and may be repeated after a failure.
func (k *Keeper) Purge(ctx context.Context, tenant, workspace string) error {
	if err := purge(ctx, k.idps, tenant, workspace); err != nil {
		return err
	}
	return purge(ctx, k.claims, tenant, workspace)
}

func purge[T any](ctx context.Context, t *store.Table[T], tenant, workspace string) error {
	var ids []string
	err := t.All(ctx, tenant, store.Query{Equal: store.Prefix(workspace)}, func(row store.Row[T]) bool {
		ids = append(ids, row.ID)
		return true
	})
	for _, id := range ids {
		if gone := t.Delete(ctx, tenant, id); !errors.Is(gone, store.ErrNotFound) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
