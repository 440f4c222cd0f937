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
	// Ring seals credentials. Without it there are IDPs of pools and login pages
	// only.
	Ring *vault.Ring
	// Clients makes the clients of custom IDPs. Without it there are none.
	Clients Clients
	Now     func() time.Time // nil: time.Now
}

// idpRecord is an IDP as it is stored, under workspace and id.
type idpRecord struct {
	Value          IDP    `json:"value"`
	Epoch          string `json:"epoch"`
	WorkspaceEpoch string `json:"workspace_epoch"`
	PoolEpoch      string `json:"pool_epoch"`
	Sealed         string `json:"sealed,omitempty"`  // Credentials
	Pending        bool   `json:"pending,omitempty"` // there only if its claims say so
}

func (r *idpRecord) byPool() (store.Key, bool) {
	if r.Value.IdentityPoolID == "" {
		return store.Key{}, false
	}
	return store.Key{Equal: r.Value.IdentityPoolID, Order: store.ID(r.Value.WorkspaceID, r.Value.ID)}, true
}

func open(row store.Row[idpRecord]) IDP {
	p := row.Value.Value
	p.Epoch, p.WorkspaceEpoch, p.PoolEpoch, p.Rev = row.Value.Epoch, row.Value.WorkspaceEpoch, row.Value.PoolEpoch, row.Rev
	p.Sealed = row.Value.Sealed
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

// Create connects a source of identities to the workspace p.WorkspaceID of
// p.TenantID and returns the IDP with id, epochs and defaults filled in, without
// its credentials. Errors: NotFound for the workspace; Unprocessable for a bad
// member, an id that is taken, an unknown pool, a pool that has an IDP in the
// workspace already, and an e-mail domain of another IDP. Of several racing
// creators for one pool or domain at most one succeeds. A custom IDP gets a
// client of its own.
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
	credentials, err := p.takeCredentials(nil)
	if err != nil {
		return IDP{}, err
	}
	pool, err := k.parent(ctx, &p)
	if err != nil {
		return IDP{}, err
	}
	sealed, err := seal(k.config.Ring, &p, credentials)
	if err != nil {
		return IDP{}, err
	}
	if err := k.pair(ctx, &p); err != nil {
		return IDP{}, err
	}
	p.Credentials, p.Sealed = nil, ""
	row, err := k.create(ctx, idpRecord{Value: p, Epoch: vault.NewID(), WorkspaceEpoch: workspace, PoolEpoch: pool.Epoch, Sealed: sealed})
	if err != nil {
		return IDP{}, errors.Join(err, k.unpair(context.WithoutCancel(ctx), &p))
	}
	return k.written(ctx, row, "created")
}

// parent looks up the pool that an IDP stands for, the zero one when it stands
// for none, and names the IDP where the caller did not.
func (k *Keeper) parent(ctx context.Context, p *IDP) (Pool, error) {
	if p.Method != IdentityPool {
		if p.Name == "" {
			p.Name = p.defaultName()
		}
		return Pool{}, nil
	}
	pool, err := k.config.Pool(ctx, p.TenantID, p.IdentityPoolID)
	if fault.Is(err, fault.NotFound) {
		return Pool{}, &fault.Error{Kind: fault.Unprocessable, Field: "identity_pool_id", Public: "There is no such identity pool.", Cause: err}
	}
	if p.Name == "" {
		p.Name = pool.Name
	}
	return pool, err
}

// Reveal opens the credentials of an IDP from a keeper into p.Credentials; nil
// when there are none. The caller keeps them out of lists, logs and events.
func (k *Keeper) Reveal(p *IDP) (err error) {
	p.Credentials, err = unseal(k.config.Ring, p)
	return err
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

// Delete removes an IDP, and the client of a custom one. The caller ends its sessions first; that those which
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
	if err := k.unpair(ctx, &row.Value.Value); err != nil {
		return err
	}
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
	var paired []IDP
	err := k.idps.All(ctx, tenant, store.Query{Equal: store.Prefix(workspace)}, func(row store.Row[idpRecord]) bool {
		if row.Value.Value.Method == Custom {
			paired = append(paired, open(row))
		}
		return true
	})
	for i := range paired {
		err = errors.Join(err, k.unpair(ctx, &paired[i]))
	}
	if err == nil {
		err = purge(ctx, k.idps, tenant, workspace)
	}
	if err != nil {
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
