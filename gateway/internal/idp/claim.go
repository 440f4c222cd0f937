package idp

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
)

// lease is how long a creator has between claiming a pool and confirming it.
const lease = time.Minute

// claim says which IDP of a workspace stands for a pool. There is one record for
// each workspace and pool, so the unique id alone decides between creators:
//
//	claim until lease --> pending IDP --> claim held --> IDP not pending
//
// A pending IDP is there only once its claim is held. A claim is void when it is
// not held and its lease is over, or held by an IDP that is gone: then the next
// creator takes it over by compare-and-swap, and the slow one, whose own
// compare-and-swap fails, undoes its pending IDP. So there never are two, wherever
// a creator stops.
type claim struct {
	IDP   string    `json:"idp"`
	Epoch string    `json:"epoch"` // of the IDP
	Held  bool      `json:"held"`
	Lease time.Time `json:"lease"`
}

func claimID(p *IDP) string { return store.ID(p.WorkspaceID, p.IdentityPoolID) }

func (r *idpRecord) id() string { return store.ID(r.Value.WorkspaceID, r.Value.ID) }

func errSecond(cause error) error {
	return &fault.Error{
		Kind: fault.Unprocessable, Field: "identity_pool_id",
		Public: "This identity pool has an IDP in this workspace already; there can be only one.", Cause: cause,
	}
}

// create stores a pending record and makes it visible.
func (k *Keeper) create(ctx context.Context, rec idpRecord) (store.Row[idpRecord], error) {
	mine, err := k.claim(ctx, rec)
	if err != nil {
		return store.Row[idpRecord]{}, err
	}
	row, err := k.insert(ctx, rec)
	if err != nil {
		return row, errors.Join(err, ignore(k.claims.DeleteIf(ctx, rec.Value.TenantID, mine.ID, mine.Rev)))
	}
	mine.Value.Held = true
	if _, err := k.claims.Swap(ctx, rec.Value.TenantID, mine.ID, mine.Rev, mine.Value); err != nil {
		undone := ignore(k.idps.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev))
		if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) {
			err = errSecond(err)
		}
		return row, errors.Join(err, undone)
	}
	if err := k.still(ctx, &rec); err != nil {
		return row, errors.Join(err, ignore(k.idps.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev)), k.release(ctx, rec))
	}
	rec.Pending = false
	next, err := k.idps.Swap(ctx, rec.Value.TenantID, row.ID, row.Rev, rec)
	if errors.Is(err, store.ErrStale) {
		// Updated meanwhile: it was there since the claim was held.
		next, err = k.idps.Get(ctx, rec.Value.TenantID, row.ID)
		if err == nil && next.Value.Epoch != rec.Epoch {
			err = store.ErrNotFound // deleted, and made again by somebody else
		}
	}
	return next, record.Fault(err, thing)
}

// claim makes or takes over the claim of the record's pool.
func (k *Keeper) claim(ctx context.Context, rec idpRecord) (store.Row[claim], error) {
	tenant, id := rec.Value.TenantID, claimID(&rec.Value)
	c := claim{IDP: rec.Value.ID, Epoch: rec.Epoch, Lease: k.config.Now().Add(lease)}
	for {
		row, err := k.claims.Create(ctx, tenant, id, c)
		if !errors.Is(err, store.ErrExists) {
			return row, err
		}
		row, err = k.claims.Get(ctx, tenant, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // released between the two
		}
		if err != nil {
			return row, err
		}
		void, err := k.void(ctx, tenant, rec.Value.WorkspaceID, rec.WorkspaceEpoch, row.Value)
		if err != nil {
			return row, err
		}
		if !void {
			return row, errSecond(nil)
		}
		row, err = k.claims.Swap(ctx, tenant, id, row.Rev, c)
		if ignore(err) == nil && err != nil {
			continue // somebody else was faster: look again
		}
		return row, err
	}
}

// void tells whether a claim of a workspace at this epoch stands for nothing.
func (k *Keeper) void(ctx context.Context, tenant, workspace, epoch string, c claim) (bool, error) {
	if !c.Held {
		return k.config.Now().After(c.Lease), nil
	}
	row, err := k.idps.Get(ctx, tenant, store.ID(workspace, c.IDP))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return row.Value.Epoch != c.Epoch || row.Value.WorkspaceEpoch != epoch, err
}

// insert stores a record, over one of a former workspace with the same ids.
func (k *Keeper) insert(ctx context.Context, rec idpRecord) (store.Row[idpRecord], error) {
	tenant, id := rec.Value.TenantID, rec.id()
	row, err := k.idps.Create(ctx, tenant, id, rec)
	if !errors.Is(err, store.ErrExists) {
		return row, err
	}
	var taken error = &fault.Error{Kind: fault.Unprocessable, Field: "id", Public: "There is an IDP with this id already.", Cause: err}
	old, err := k.idps.Get(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return old, taken
	}
	if err != nil {
		return old, err
	}
	free, err := k.abandoned(ctx, old, rec.WorkspaceEpoch)
	if err != nil {
		return old, err
	}
	if !free {
		return old, taken
	}
	row, err = k.idps.Swap(ctx, tenant, id, old.Rev, rec)
	if ignore(err) == nil && err != nil {
		err = taken
	}
	return row, err
}

// abandoned tells whether a row may be written over: it belongs to a former
// workspace, or its creator stopped half-way and can no longer get its claim.
func (k *Keeper) abandoned(ctx context.Context, old store.Row[idpRecord], epoch string) (bool, error) {
	if old.Value.WorkspaceEpoch != epoch {
		return true, nil
	}
	if !old.Value.Pending {
		return false, nil
	}
	row, err := k.claims.Get(ctx, old.Tenant, claimID(&old.Value.Value))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil || row.Value.Epoch != old.Value.Epoch {
		return err == nil, err
	}
	if row.Value.Held || !k.config.Now().After(row.Value.Lease) {
		return false, nil
	}
	err = k.claims.DeleteIf(ctx, old.Tenant, row.ID, row.Rev)
	return err == nil, ignore(err)
}

// there tells whether a row is an IDP of its workspace at this epoch.
func (k *Keeper) there(ctx context.Context, row store.Row[idpRecord], epoch string) (bool, error) {
	r := row.Value
	if r.WorkspaceEpoch != epoch {
		return false, nil
	}
	if !r.Pending {
		return true, nil
	}
	c, err := k.claims.Get(ctx, row.Tenant, claimID(&r.Value))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return c.Value.Held && c.Value.Epoch == r.Epoch, err
}

// still fails when the parents of a record have gone since they were looked up:
// what deleted them may not have seen it.
func (k *Keeper) still(ctx context.Context, rec *idpRecord) error {
	epoch, err := k.config.Workspace(ctx, rec.Value.TenantID, rec.Value.WorkspaceID)
	if err != nil {
		return err
	}
	pool, err := k.pool(ctx, &rec.Value)
	if err != nil {
		return err
	}
	if epoch != rec.WorkspaceEpoch || pool.Epoch != rec.PoolEpoch {
		return fault.New(fault.Conflict, "The workspace or the identity pool was replaced meanwhile; try again.", nil)
	}
	return nil
}

// release removes the claim of a record that is gone, unless it is another's.
func (k *Keeper) release(ctx context.Context, rec idpRecord) error {
	row, err := k.claims.Get(ctx, rec.Value.TenantID, claimID(&rec.Value))
	if err == nil && row.Value.Epoch == rec.Epoch {
		err = k.claims.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev)
	}
	return ignore(err)
}

// ignore drops the errors that say that there is nothing left to clean up.
func ignore(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrStale) {
		return nil
	}
	return err
}

// written announces a write and keeps its audit event. The published events
// have none for IDPs (published API 23): it is an update of the workspace.
func (k *Keeper) written(ctx context.Context, row store.Row[idpRecord], what string) (IDP, error) {
	p := open(row)
	if k.config.Changed != nil {
		e := changes.Entry{Kind: changes.KindIDP, Tenant: p.TenantID, Workspace: p.WorkspaceID, ID: p.ID, At: k.config.Now()}
		if err := k.config.Changed(ctx, e); err != nil {
			return p, fmt.Errorf("announce IDP %s: %w", p.ID, err)
		}
	}
	if k.config.Record == nil {
		return p, nil
	}
	payload, err := json.Marshal(map[string]any{"server_updated": map[string]any{"id": p.WorkspaceID, "idp": &p, "idp_change": what}})
	if err != nil {
		return p, fmt.Errorf("audit event: %w", err)
	}
	return p, k.config.Record(ctx, audit.Event{
		Tenant: p.TenantID, Workspace: p.WorkspaceID, Time: k.config.Now(),
		Subject: audit.SubjectServer, Action: audit.ActionUpdated, Payload: payload,
		Metadata: map[string]any{"identity_pool_id": p.IdentityPoolID},
	})
}
