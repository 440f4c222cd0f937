package idp

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
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// lease is how long a creator has between claiming a pool and confirming it.
const lease = time.Minute

// claim says which IDP of a workspace stands for a pool, or has an e-mail domain.
// There is one record for each workspace and pool or domain, so the unique id
// alone decides between creators:
//
//	claim until lease --> pending IDP --> claim held --> IDP not pending
//
// A pending IDP is there only once all its claims are held. A claim is void when
// it is not held and its lease is over, or held by an IDP that is gone or has
// given the domain up: then the next creator takes it over by compare-and-swap,
// and the slow one, whose own compare-and-swap fails, undoes its pending IDP. So
// there never are two, wherever a creator stops.
type claim struct {
	IDP   string    `json:"idp"`
	Epoch string    `json:"epoch"` // of the IDP
	Held  bool      `json:"held"`
	Lease time.Time `json:"lease"`
}

// want is one claim that an IDP needs.
type want struct {
	id     string
	domain string // empty: the claim of the pool
}

// wants returns the claims that an IDP needs, in the order in which everybody
// takes them.
func (p *IDP) wants() []want {
	var ws []want
	if p.Method == IdentityPool {
		ws = append(ws, want{id: store.ID(p.WorkspaceID, p.IdentityPoolID)})
	}
	for _, d := range slices.Sorted(slices.Values(p.Discovery.Domains)) {
		ws = append(ws, want{id: store.ID(p.WorkspaceID, "domain", d), domain: d})
	}
	return ws
}

func (r *idpRecord) id() string { return store.ID(r.Value.WorkspaceID, r.Value.ID) }

// errTaken says what another IDP has already.
func (p *IDP) errTaken(w want, cause error) error {
	e := &fault.Error{Kind: fault.Unprocessable, Cause: cause}
	if w.domain == "" {
		e.Field, e.Public = "identity_pool_id", "This identity pool has an IDP in this workspace already; there can be only one."
		return e
	}
	e.Field = fmt.Sprintf("discovery_settings.domains[%d]", slices.Index(p.Discovery.Domains, w.domain))
	e.Public = fmt.Sprintf("The domain %s belongs to another IDP of this workspace already.", w.domain)
	return e
}

// create stores a pending record and makes it visible.
func (k *Keeper) create(ctx context.Context, rec idpRecord) (store.Row[idpRecord], error) {
	wants := rec.Value.wants()
	mine, err := k.take(ctx, &rec, wants)
	if err != nil {
		return store.Row[idpRecord]{}, err
	}
	rec.Pending = len(wants) > 0
	row, err := k.insert(ctx, rec)
	if err != nil {
		return row, errors.Join(err, k.drop(ctx, mine))
	}
	if err := k.hold(ctx, &rec.Value, wants, mine); err != nil {
		return row, errors.Join(err, ignore(k.idps.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev)), k.drop(ctx, mine))
	}
	if err := k.still(ctx, &rec); err != nil {
		return row, errors.Join(err, ignore(k.idps.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev)), k.release(ctx, rec))
	}
	if !rec.Pending {
		return row, nil
	}
	rec.Pending = false
	next, err := k.idps.Swap(ctx, rec.Value.TenantID, row.ID, row.Rev, rec)
	if errors.Is(err, store.ErrStale) {
		// Updated meanwhile: it was there since its claims were held.
		next, err = k.idps.Get(ctx, rec.Value.TenantID, row.ID)
		if err == nil && next.Value.Epoch != rec.Epoch {
			err = store.ErrNotFound // deleted, and made again by somebody else
		}
	}
	return next, record.Fault(err, thing)
}

// take makes or takes over claims, all or none.
func (k *Keeper) take(ctx context.Context, rec *idpRecord, wants []want) ([]store.Row[claim], error) {
	mine := make([]store.Row[claim], 0, len(wants))
	for _, w := range wants {
		row, err := k.claim(ctx, rec, w)
		if err != nil {
			return nil, errors.Join(err, k.drop(ctx, mine))
		}
		mine = append(mine, row)
	}
	return mine, nil
}

// drop gives claims up that were taken and not changed since.
func (k *Keeper) drop(ctx context.Context, mine []store.Row[claim]) error {
	var errs []error
	for _, row := range mine {
		errs = append(errs, ignore(k.claims.DeleteIf(ctx, row.Tenant, row.ID, row.Rev)))
	}
	return errors.Join(errs...)
}

// hold confirms claims, once what they are for is written. It keeps mine at the
// revisions that it made.
func (k *Keeper) hold(ctx context.Context, p *IDP, wants []want, mine []store.Row[claim]) error {
	for i := range mine {
		mine[i].Value.Held = true
		row, err := k.claims.Swap(ctx, p.TenantID, mine[i].ID, mine[i].Rev, mine[i].Value)
		if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) {
			err = p.errTaken(wants[i], err)
		}
		if err != nil {
			return err
		}
		mine[i] = row
	}
	return nil
}

// claim makes or takes over one claim for a record.
func (k *Keeper) claim(ctx context.Context, rec *idpRecord, w want) (store.Row[claim], error) {
	tenant := rec.Value.TenantID
	c := claim{IDP: rec.Value.ID, Epoch: rec.Epoch, Lease: k.config.Now().Add(lease)}
	for {
		row, err := k.claims.Create(ctx, tenant, w.id, c)
		if !errors.Is(err, store.ErrExists) {
			return row, err
		}
		row, err = k.claims.Get(ctx, tenant, w.id)
		if errors.Is(err, store.ErrNotFound) {
			continue // released between the two
		}
		if err != nil {
			return row, err
		}
		free := row.Value.Epoch == rec.Epoch // what it had before
		if !free {
			free, err = k.void(ctx, &rec.Value, rec.WorkspaceEpoch, row.Value, w)
		}
		if err != nil {
			return row, err
		}
		if !free {
			return row, rec.Value.errTaken(w, nil)
		}
		row, err = k.claims.Swap(ctx, tenant, w.id, row.Rev, c)
		if ignore(err) == nil && err != nil {
			continue // somebody else was faster: look again
		}
		return row, err
	}
}

// void tells whether a claim in the workspace of p at this epoch stands for
// nothing. Somebody who stopped in the middle of an update may have written an IDP
// with a domain whose claim is not held: what is there counts.
func (k *Keeper) void(ctx context.Context, p *IDP, epoch string, c claim, w want) (bool, error) {
	if !c.Held && (w.domain == "" || !k.config.Now().After(c.Lease)) {
		return k.config.Now().After(c.Lease), nil
	}
	row, err := k.idps.Get(ctx, p.TenantID, store.ID(p.WorkspaceID, c.IDP))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	gone := row.Value.Epoch != c.Epoch || row.Value.WorkspaceEpoch != epoch || !c.Held && row.Value.Pending
	if w.domain != "" {
		gone = gone || !slices.Contains(row.Value.Value.Discovery.Domains, w.domain)
	}
	return gone, err
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
	for _, w := range old.Value.Value.wants() {
		row, err := k.claims.Get(ctx, old.Tenant, w.id)
		if errors.Is(err, store.ErrNotFound) {
			return true, nil
		}
		if err != nil || row.Value.Epoch != old.Value.Epoch {
			return err == nil, err
		}
		if row.Value.Held {
			continue
		}
		if !k.config.Now().After(row.Value.Lease) {
			return false, nil
		}
		err = k.claims.DeleteIf(ctx, old.Tenant, row.ID, row.Rev)
		return err == nil, ignore(err)
	}
	return false, nil
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
	for _, w := range r.Value.wants() {
		c, err := k.claims.Get(ctx, row.Tenant, w.id)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil || !c.Value.Held || c.Value.Epoch != r.Epoch {
			return false, err
		}
	}
	return true, nil
}

// still fails when the parents of a record have gone since they were looked up:
// what deleted them may not have seen it.
func (k *Keeper) still(ctx context.Context, rec *idpRecord) error {
	epoch, err := k.config.Workspace(ctx, rec.Value.TenantID, rec.Value.WorkspaceID)
	if err != nil {
		return err
	}
	pool, err := k.parent(ctx, &rec.Value)
	if err != nil {
		return err
	}
	if epoch != rec.WorkspaceEpoch || pool.Epoch != rec.PoolEpoch {
		return fault.New(fault.Conflict, "The workspace or the identity pool was replaced meanwhile; try again.", nil)
	}
	return nil
}

// release removes the claims of a record that is gone, unless they are another's.
func (k *Keeper) release(ctx context.Context, rec idpRecord) error {
	var errs []error
	for _, w := range rec.Value.wants() {
		row, err := k.claims.Get(ctx, rec.Value.TenantID, w.id)
		if err == nil && row.Value.Epoch == rec.Epoch {
			err = k.claims.DeleteIf(ctx, rec.Value.TenantID, row.ID, row.Rev)
		}
		errs = append(errs, ignore(err))
	}
	return errors.Join(errs...)
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
