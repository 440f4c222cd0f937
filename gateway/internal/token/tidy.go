package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

const (
	// longestLife is how long a token can live: live.MaxLife, which bounds every
	// lifetime of a workspace and a client.
	longestLife = 400 * 24 * time.Hour
	// mostVerifying bounds the keys of one use and algorithm that verify, and so the
	// JWK Set. A rotation a day, the most that a schedule may have, keeps some 400.
	mostVerifying = 500
	// mostRevoked is how many revoked keys are kept to be shown.
	mostRevoked = 20
)

// errCrowded is the cause of a refused rotation.
var errCrowded = errors.New("too many keys verify")

// tidy makes room before a rotation: keys whose tokens have all expired are
// deleted, and revoked ones beyond what is shown. It refuses when too many are left.
func (t *Tokens) tidy(ctx context.Context, w Workspace, h *head) error {
	rows, err := t.stored(ctx, w, h.Use)
	if err != nil {
		return err
	}
	old := append(surplus(rows), outlived(rows, h, t.Now())...)
	if err := t.forget(ctx, w.Tenant, old); err != nil {
		return err
	}
	left := map[string]int{}
	for _, r := range rows {
		if !r.Value.Revoked.IsZero() || slices.Contains(old, r.ID) {
			continue
		}
		if left[r.Value.Alg]++; left[r.Value.Alg] >= mostVerifying {
			return fault.New(fault.Conflict, fmt.Sprintf(
				"%d keys of %s verify tokens, which is the most that there may be: revoke old ones first.", left[r.Value.Alg], r.Value.Alg), errCrowded)
		}
	}
	return nil
}

// surplus returns the ids of the revoked keys beyond those that are kept, which
// were revoked first.
func surplus(rows []store.Row[Key]) []string {
	var revoked []store.Row[Key]
	for _, r := range rows {
		if !r.Value.Revoked.IsZero() {
			revoked = append(revoked, r)
		}
	}
	slices.SortStableFunc(revoked, func(a, b store.Row[Key]) int { return b.Value.Revoked.Compare(a.Value.Revoked) })
	var ids []string
	for _, r := range revoked[min(mostRevoked, len(revoked)):] {
		ids = append(ids, r.ID)
	}
	return ids
}

// outlived returns the ids of the rotated keys that signed nothing which can be
// alive. Key n+3 is made when n+2 is about to sign, so that n signs no more: once
// there is an older one than the longest life among those from n+3 on, n is of no
// use.
func outlived(rows []store.Row[Key], h *head, now time.Time) []string {
	last := map[string]int{} // by algorithm: the newest key that is older than the longest life
	for _, r := range rows {
		if n := numberOf(r.ID); now.Sub(r.Value.Created) > longestLife {
			last[r.Value.Alg] = max(last[r.Value.Alg], n)
		}
	}
	var ids []string
	for _, r := range rows {
		n := numberOf(r.ID)
		if k := r.Value; k.Revoked.IsZero() && n < h.Current[k.Alg] && n+3 <= last[k.Alg] {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// forget deletes keys; one that is gone already is no error.
func (t *Tokens) forget(ctx context.Context, tenant string, ids []string) error {
	for _, id := range ids {
		if err := t.table.Delete(ctx, tenant, id); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}
