package client

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Rotate gives a client a new secret and returns it. The old one stays valid
// beside it: for ever when revokeAfter is 0, else for that long; of older ones
// the newest two are kept (published API, section 17).
func (k *Clients) Rotate(ctx context.Context, tenantID, id string, revokeAfter time.Duration, rev int64) (string, Client, error) {
	if revokeAfter < 0 {
		return "", Client{}, fault.At(fault.Invalid, "auto_revoke_after", "must not be negative")
	}
	if _, err := k.Get(ctx, tenantID, id); err != nil {
		return "", Client{}, err
	}
	oneWay, err := k.oneWay(ctx, tenantID)
	if err != nil {
		return "", Client{}, err
	}
	secret := vault.NewSecret()
	fresh, err := k.keep(tenantID, id, secret, oneWay)
	if err != nil {
		return "", Client{}, err
	}
	now := k.config.Now()
	c, err := k.change(ctx, tenantID, id, rev, func(r *clientRecord) {
		var kept []secretRecord
		if old := r.Secret; old.Hash != "" {
			old.Ends = r.Value.ClientSecretExpiresAt * 1000
			if end := now.Add(revokeAfter).UnixMilli(); revokeAfter > 0 && (old.Ends == 0 || end < old.Ends) {
				old.Ends = end
			}
			kept = append(kept, old)
		}
		for _, old := range r.Rotated {
			if !old.over(now) && len(kept) < maxRotated {
				kept = append(kept, old)
			}
		}
		r.Secret, r.Rotated = fresh, kept
		r.Value.ClientSecretExpiresAt = 0
	})
	return secret, c, err
}

// RevokeRotated makes all older secrets of a client invalid.
func (k *Clients) RevokeRotated(ctx context.Context, tenantID, id string, rev int64) (Client, error) {
	if _, err := k.Get(ctx, tenantID, id); err != nil {
		return Client{}, err
	}
	return k.change(ctx, tenantID, id, rev, func(r *clientRecord) { r.Rotated = nil })
}

func (k *Clients) change(ctx context.Context, tenantID, id string, rev int64, alter func(*clientRecord)) (Client, error) {
	now := k.config.Now().UTC().Truncate(time.Millisecond)
	row, err := record.Change(ctx, k.table, tenantID, id, rev, func(r *clientRecord) error {
		alter(r)
		r.Value.UpdatedAt = now
		return nil
	})
	if err != nil {
		return Client{}, record.Fault(err, thisClient)
	}
	return k.written(ctx, row, audit.ActionUpdated)
}

// DropSealed removes the sealed copies of all secrets of a tenant, which is what
// turning client_secrets_stored_as_one_way_hash on means for those there are.
// It may be repeated after a failure.
func (k *Clients) DropSealed(ctx context.Context, tenantID string) error {
	var ids []string
	err := k.table.All(ctx, tenantID, store.Query{}, func(row store.Row[clientRecord]) bool {
		ids = append(ids, row.ID)
		return true
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, err := k.table.Update(ctx, tenantID, id, func(r *clientRecord) error {
			r.Secret.Sealed = ""
			for i := range r.Rotated {
				r.Rotated[i].Sealed = ""
			}
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}
