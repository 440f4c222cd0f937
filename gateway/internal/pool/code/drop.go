package code

import (
	"context"
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Drop kills the codes of a user, of the named types or all: a user who is
// deleted, an address that was removed, a password that was set another way.
func (k *Keeper) Drop(ctx context.Context, s Subject, types ...Type) error {
	if s.nobody() {
		return nil
	}
	if len(types) == 0 {
		_, err := k.purge(ctx, s.Tenant, store.Prefix(s.PoolEpoch, s.User), 0)
		return err
	}
	for _, t := range types {
		r := Record{PoolEpoch: s.PoolEpoch, User: s.User, Type: t}
		if t == VerifyAddress {
			if _, err := k.purge(ctx, s.Tenant, store.Prefix(s.PoolEpoch, s.User, string(t)), 0); err != nil {
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

// Purge removes at most limit codes of a life of a pool and returns how many
// there were.
func (k *Keeper) Purge(ctx context.Context, tenant, poolEpoch string, limit int) (int, error) {
	return k.purge(ctx, tenant, store.Prefix(poolEpoch), limit)
}

// purge removes at most limit codes below a prefix, all for 0.
func (k *Keeper) purge(ctx context.Context, tenant, prefix string, limit int) (int, error) {
	const batch = 200
	done := 0
	for limit == 0 || done < limit {
		n := batch
		if limit > 0 {
			n = min(limit-done, batch)
		}
		rows, err := k.table.Range(ctx, tenant, prefix, store.Page{Limit: n})
		if err != nil || len(rows) == 0 {
			return done, wrap(err)
		}
		for _, row := range rows {
			if err := k.table.Delete(ctx, tenant, row.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return done, wrap(err)
			}
			done++
		}
	}
	return done, nil
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
