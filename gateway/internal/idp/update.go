package idp

import (
	"context"
	"errors"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Update replaces an IDP as a whole: members that are missing go back to their
// defaults, but for credentials, which stay. Method, pool, issuer, client and
// epochs stay: others would put other people behind the IDP. p.Rev 0 means
// whatever revision it is. Errors: NotFound, Stale, Unprocessable.
func (k *Keeper) Update(ctx context.Context, p IDP) (IDP, error) {
	epoch, err := k.config.Workspace(ctx, p.TenantID, p.WorkspaceID)
	if err != nil {
		return IDP{}, err
	}
	var made string // of the first one seen: another is not the one to update
	for {
		was, err := k.find(ctx, p.TenantID, p.WorkspaceID, p.ID, epoch)
		if err == nil && made != "" && was.Value.Epoch != made {
			err = store.ErrNotFound
		}
		if err == nil && p.Rev != 0 && p.Rev != was.Rev {
			err = store.ErrStale
		}
		if err != nil {
			return IDP{}, record.Fault(err, thing)
		}
		made = was.Value.Epoch
		row, err := k.replace(ctx, p, was)
		if p.Rev == 0 && errors.Is(err, store.ErrStale) && ctx.Err() == nil {
			continue // claims were taken for what it was: look again
		}
		if err != nil {
			return IDP{}, record.Fault(err, thing)
		}
		return k.written(ctx, row, "updated")
	}
}

// replace writes p over the row, with the claims that it needs and the row had
// not. Those that it gives up are void from then on.
func (k *Keeper) replace(ctx context.Context, p IDP, was store.Row[idpRecord]) (store.Row[idpRecord], error) {
	next := was.Value
	if err := k.next(ctx, &p, was); err != nil {
		return was, err
	}
	next.Value, next.Pending = p, false
	var err error
	if next.Sealed, err = k.resealed(&next.Value, was); err != nil {
		return was, err
	}
	had := was.Value.Value.wants()
	wants := slices.DeleteFunc(p.wants(), func(w want) bool { return slices.Contains(had, w) })
	mine, err := k.take(ctx, &next, wants)
	if err != nil {
		return was, err
	}
	row, err := k.idps.Swap(ctx, p.TenantID, was.ID, was.Rev, next)
	if err != nil {
		return row, errors.Join(err, k.drop(ctx, mine))
	}
	if err := k.hold(ctx, &p, wants, mine); err != nil {
		_, back := k.idps.Swap(ctx, p.TenantID, row.ID, row.Rev, was.Value)
		return row, errors.Join(err, ignore(back), k.drop(ctx, mine))
	}
	return row, nil
}

// next completes and checks what an update makes of a row.
func (k *Keeper) next(ctx context.Context, p *IDP, was store.Row[idpRecord]) error {
	old := &was.Value.Value
	if p.Method != "" && p.Method != old.Method {
		return fault.At(fault.Unprocessable, "method", "cannot be changed: delete the IDP and create another one")
	}
	p.Method = old.Method
	p.fill()
	p.ClientID = old.ClientID
	if err := p.check(); err != nil {
		return err
	}
	if old.Method == IdentityPool {
		return k.samePool(ctx, p, was.Value)
	}
	if p.Method == OIDC && !sameIssuer(p.IssuerURL(), old.IssuerURL()) {
		return fault.At(fault.Unprocessable, "settings.issuer_url",
			"cannot be changed: people of another provider may have the same subjects; delete the IDP and create another one")
	}
	_, err := k.parent(ctx, p)
	return err
}

// resealed takes the credentials out of p and returns them sealed, with what was
// left out as it was.
func (k *Keeper) resealed(p *IDP, was store.Row[idpRecord]) (string, error) {
	before := open(was)
	old, err := unseal(k.config.Ring, &before)
	if err != nil {
		return "", err
	}
	credentials, err := p.takeCredentials(old)
	p.Credentials, p.Sealed = nil, ""
	if err != nil {
		return "", err
	}
	return seal(k.config.Ring, p, credentials)
}

// samePool refuses an update that would put other people behind the IDP: users
// of another pool may have the same ids, and so the same subjects.
func (k *Keeper) samePool(ctx context.Context, p *IDP, was idpRecord) error {
	if p.IdentityPoolID != was.Value.IdentityPoolID {
		return fault.At(fault.Unprocessable, "identity_pool_id", "cannot be changed: delete the IDP and create another one")
	}
	pool, err := k.parent(ctx, p)
	if err == nil && pool.Epoch != was.PoolEpoch {
		return fault.At(fault.Unprocessable, "identity_pool_id", "names a pool that was deleted and made again: delete the IDP and create another one")
	}
	return err
}
