package session

import (
	"context"
	"errors"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// List returns a user's live sessions on the base host, in every workspace, oldest
// first, at most 100.
func (k *Keeper) List(ctx context.Context, tenant, pool, user string) ([]*Session, error) {
	return k.list(ctx, tenant, store.Query{Index: "user", Equal: store.ID(pool, user)})
}

// ListSubject is List for whoever a subject of a workspace stands for, in that
// workspace.
func (k *Keeper) ListSubject(ctx context.Context, tenant, workspace, subject string) ([]*Session, error) {
	return k.list(ctx, tenant, store.Query{Index: "subject", Equal: store.ID(workspace, subject)})
}

func (k *Keeper) list(ctx context.Context, tenant string, q store.Query) ([]*Session, error) {
	rows, err := k.table.Find(ctx, tenant, q, store.Page{Limit: 100})
	if err != nil {
		return nil, err
	}
	live := make([]*Session, 0, len(rows))
	for _, row := range rows {
		s := row.Value
		s.ID, s.Tenant = row.ID, row.Tenant
		if !k.Dead(&s) {
			live = append(live, &s)
		}
	}
	return live, nil
}

// Clear removes the stored sessions of a user, but for those to keep, after
// their revocation was announced.
func (k *Keeper) Clear(ctx context.Context, tenant, pool, user string, keep ...string) error {
	return k.clear(ctx, tenant, store.Query{Index: "user", Equal: store.ID(pool, user)}, keep...)
}

// ClearSubject is Clear for whoever a subject of a workspace stands for.
func (k *Keeper) ClearSubject(ctx context.Context, tenant, workspace, subject string, keep ...string) error {
	return k.clear(ctx, tenant, store.Query{Index: "subject", Equal: store.ID(workspace, subject)}, keep...)
}

// ClearIDP is Clear for everybody who came to a workspace by an IDP.
func (k *Keeper) ClearIDP(ctx context.Context, tenant, workspace, idp string) error {
	return k.clear(ctx, tenant, store.Query{Index: "idp", Equal: store.ID(workspace, idp)})
}

func (k *Keeper) clear(ctx context.Context, tenant string, q store.Query, keep ...string) error {
	var ids []string
	err := k.table.All(ctx, tenant, q, func(r store.Row[Session]) bool {
		if !slices.Contains(keep, r.ID) {
			ids = append(ids, r.ID)
		}
		return true
	})
	for _, id := range ids {
		err = errors.Join(err, k.remove(ctx, tenant, id))
	}
	return err
}
