package code

import (
	"context"
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Drop kills the codes of a user, of the named types or all. Codes end by
// themselves, too: with their user's epoch and their time.
func (k *Keeper) Drop(ctx context.Context, s Subject, types ...Type) error {
	if s.nobody() {
		return nil
	}
	if len(types) == 0 {
		return k.purge(ctx, s.Tenant, store.Prefix(s.PoolEpoch, s.User))
	}
	for _, t := range types {
		r := Record{PoolEpoch: s.PoolEpoch, User: s.User, Type: t}
		if t == VerifyAddress {
			if err := k.purge(ctx, s.Tenant, store.Prefix(s.PoolEpoch, s.User, string(t))); err != nil {
				return err
			}
			continue
		}
		if err := k.table.Delete(ctx, s.Tenant, r.key()); err != nil && !errors.Is(err, store.ErrNotFound) {
			return wrap(err)
		}
	}
	return nil
}

// purge removes all codes below a prefix.
func (k *Keeper) purge(ctx context.Context, tenant, prefix string) error {
	for {
		rows, err := k.table.Range(ctx, tenant, prefix, store.Page{Limit: 200})
		if err != nil || len(rows) == 0 {
			return wrap(err)
		}
		for _, row := range rows {
			if err := k.table.Delete(ctx, tenant, row.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return wrap(err)
			}
		}
	}
}

// All calls yield for every live code of a life of a pool, as it is stored, until
// yield returns false.
func (k *Keeper) All(ctx context.Context, tenant, poolEpoch string, yield func(Record) bool) error {
	err := k.table.All(ctx, tenant, store.Query{Equal: store.Prefix(poolEpoch)}, func(row store.Row[Record]) bool {
		return yield(row.Value)
	})
	return wrap(err)
}

// Restore writes a code as All gave it, with the epochs that its pool and user
// have now, in the place of the one that the user has of that type. It is good
// only if it was made under a key of this ring for a user of the same id.
func (k *Keeper) Restore(ctx context.Context, tenant string, r Record) error {
	return k.put(ctx, tenant, r)
}
