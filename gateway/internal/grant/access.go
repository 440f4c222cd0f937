package grant

import (
	"context"
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// List returns the live grants of a person in a workspace, the oldest first.
func (k *Keeper) List(ctx context.Context, tenant, workspace, epoch string, who Person) ([]Grant, error) {
	var list []Grant
	err := k.table.All(ctx, tenant, grantsOf(workspace, who), func(r store.Row[Grant]) bool {
		g := r.Value
		current := g.Workspace == workspace && g.WorkspaceEpoch == epoch && (who.UserEpoch == "" || g.UserEpoch == who.UserEpoch)
		if current && !k.dead(tenant, r.ID, &g) {
			list = append(list, g)
		}
		return true
	})
	return list, err
}

// ClearAccess removes the stored grants of one client from one person in a
// workspace after their revocation was announced; see [Consents.Withdraw].
func (k *Keeper) ClearAccess(ctx context.Context, tenant, workspace, client string, who Person) error {
	var ids []string
	err := k.table.All(ctx, tenant, grantsOf(workspace, who), func(r store.Row[Grant]) bool {
		if g := r.Value; g.Workspace == workspace && g.Client == client && k.dead(tenant, r.ID, &g) {
			ids = append(ids, r.ID)
		}
		return true
	})
	for _, id := range ids {
		err = errors.Join(err, k.remove(ctx, tenant, id))
	}
	return err
}

func grantsOf(workspace string, who Person) store.Query {
	if who.User == "" {
		return store.Query{Index: "subject", Equal: store.ID(workspace, who.Subject)}
	}
	return store.Query{Index: "user", Equal: store.ID(who.Pool, who.User)}
}
