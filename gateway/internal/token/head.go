package token

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// head says which of a workspace's keys of one use sign. It is one record, so
// that a rotation happens as a whole or not at all.
type head struct {
	Workspace string         `json:"workspace"`
	Epoch     string         `json:"epoch"`
	KeyType   string         `json:"key_type"` // the workspace's
	Use       string         `json:"use"`
	Own       string         `json:"own"`     // the algorithm that signs unless told otherwise
	Next      string         `json:"next"`    // Own after the next rotation
	Current   map[string]int `json:"current"` // by algorithm: the key that signs; the one after it is published
	Rotated   time.Time      `json:"rotated,omitzero"`
	Automatic Automatic      `json:"automatic"`
}

func (h *head) workspace(tenant string) Workspace {
	return Workspace{Tenant: tenant, ID: h.Workspace, Epoch: h.Epoch, KeyType: h.KeyType}
}

func headID(w Workspace, use string) string { return store.ID(w.ID, w.Epoch, use) }

// head returns the head of one use. Where there is none it makes the first two
// keys and then the head; of gateways that do so at once one writes each record
// and the others read it.
func (t *Tokens) head(ctx context.Context, w Workspace, use string) (store.Row[head], error) {
	row, err := t.heads.Get(ctx, w.Tenant, headID(w, use))
	if !gone(err) {
		return row, err
	}
	alg := first(w, use)
	if err := t.pair(ctx, w, use, alg); err != nil {
		return row, err
	}
	row, err = t.heads.Create(ctx, w.Tenant, headID(w, use), head{
		Workspace: w.ID, Epoch: w.Epoch, KeyType: w.KeyType, Use: use, Own: alg, Next: alg, Current: map[string]int{alg: 1},
	})
	if errors.Is(err, store.ErrExists) {
		return t.heads.Get(ctx, w.Tenant, headID(w, use))
	}
	return row, err
}

// pair publishes the first two keys of an algorithm.
func (t *Tokens) pair(ctx context.Context, w Workspace, use, alg string) error {
	return errors.Join(t.publish(ctx, w, use, alg, 1), t.publish(ctx, w, use, alg, 2))
}

// begin makes keys for an algorithm that the workspace has not used yet.
func (t *Tokens) begin(ctx context.Context, w Workspace, use, alg string) error {
	if !slices.Contains(Algorithms(), alg) {
		return fmt.Errorf("no key signs by %q: it may be %s", alg, strings.Join(Algorithms(), ", "))
	}
	for {
		row, err := t.head(ctx, w, use)
		if err != nil || row.Value.Current[alg] > 0 {
			return err
		}
		if err := t.pair(ctx, w, use, alg); err != nil {
			return err
		}
		h := row.Value
		h.Current = maps.Clone(h.Current)
		h.Current[alg] = 1
		_, err = t.heads.Swap(ctx, w.Tenant, row.ID, row.Rev, h)
		if errors.Is(err, store.ErrStale) {
			continue
		}
		return errors.Join(err, t.changed(ctx, w))
	}
}

// Rotate lets the next key of every algorithm sign, publishes another one after
// it, and returns the key that the workspace signs with now. keyType (rsa, ecdsa
// or ps; "" is the workspace's own) is that of the key published now, by which
// the workspace will sign after the rotation that follows this one: every key
// has been published for a while before it signs. Rotated keys verify until they
// are revoked, or nothing that they signed can be alive. Errors: fault.Conflict when
// too many keys verify, or somebody else was faster.
func (t *Tokens) Rotate(ctx context.Context, w Workspace, use, keyType string) (Listed, error) {
	alg := first(w, use)
	if keyType != "" && use == UseSig {
		alg = string(Algorithm(keyType))
	}
	row, err := t.head(ctx, w, use)
	if err != nil {
		return Listed{}, err
	}
	if err := t.rotate(ctx, w, row, alg, row.Value.Automatic); err != nil {
		return Listed{}, err
	}
	all, err := t.List(ctx, w, use)
	return all.Current, err
}

func (t *Tokens) rotate(ctx context.Context, w Workspace, row store.Row[head], next string, auto Automatic) error {
	h := row.Value
	if err := t.tidy(ctx, w, &h); err != nil {
		return err
	}
	current := map[string]int{}
	for alg, n := range h.Current {
		if err := t.publish(ctx, w, h.Use, alg, n+2); err != nil {
			return err
		}
		current[alg] = n + 1
	}
	if current[next] == 0 {
		if err := t.pair(ctx, w, h.Use, next); err != nil {
			return err
		}
		current[next] = 1
	}
	h.Current, h.Own, h.Next, h.Rotated, h.Automatic = current, h.Next, next, t.Now(), auto
	_, err := t.heads.Swap(ctx, w.Tenant, row.ID, row.Rev, h)
	if errors.Is(err, store.ErrStale) {
		return fault.New(fault.Conflict, "The keys were changed by somebody else at the same time. Look at them again.", err)
	}
	return errors.Join(err, t.changed(ctx, w))
}

// Listed is a key as it is shown: never its private half.
type Listed struct {
	Key

	Number int
}

// Keys are the keys of one use.
type Keys struct {
	Current Listed   // signs
	Next    Listed   // published, signs after the next rotation
	Others  []Listed // current and next keys of algorithms that only some clients asked for
	Rotated []Listed // no longer sign, still verify; the newest first
	Revoked []Listed // neither; the newest first
}

// Verifying returns the keys whose signatures hold: all but the revoked ones.
func (k *Keys) Verifying() []Listed {
	return slices.Concat([]Listed{k.Current, k.Next}, k.Others, k.Rotated)
}

// List returns the keys of one use.
func (t *Tokens) List(ctx context.Context, w Workspace, use string) (Keys, error) {
	row, err := t.head(ctx, w, use)
	if err != nil {
		return Keys{}, err
	}
	rows, err := t.stored(ctx, w, use)
	if err != nil {
		return Keys{}, err
	}
	var out Keys
	h := row.Value
	for _, r := range rows {
		k := Listed{Key: r.Value, Number: numberOf(r.ID)}
		k.Private = ""
		switch n := h.Current[k.Alg]; {
		case !k.Revoked.IsZero():
			out.Revoked = append(out.Revoked, k)
		case k.Number < n:
			out.Rotated = append(out.Rotated, k)
		case k.Alg == h.Own && k.Number == n:
			out.Current = k
		case k.Alg == h.Next && k.Number == h.next():
			out.Next = k
		default:
			out.Others = append(out.Others, k)
		}
	}
	newest := func(a, b Listed) int { return b.Created.Compare(a.Created) }
	slices.SortStableFunc(out.Rotated, newest)
	slices.SortStableFunc(out.Revoked, newest)
	return out, nil
}

// next is the number of the key that signs after the next rotation.
func (h *head) next() int {
	return h.Current[h.Next] + 1
}

// Revoke makes a rotated key worthless: what it signed is refused from now on,
// on every gateway. Errors: fault.NotFound; fault.Invalid for a key that still
// signs or is about to.
func (t *Tokens) Revoke(ctx context.Context, w Workspace, use, kid string) (Listed, error) {
	at, err := t.head(ctx, w, use)
	if err != nil {
		return Listed{}, err
	}
	rows, err := t.stored(ctx, w, use)
	if err != nil {
		return Listed{}, err
	}
	i := slices.IndexFunc(rows, func(r store.Row[Key]) bool { return r.Value.KID == kid })
	if i < 0 {
		return Listed{}, fault.New(fault.NotFound, "There is no such key.", nil)
	}
	row := rows[i]
	k := Listed{Key: row.Value, Number: numberOf(row.ID)}
	if k.Number >= at.Value.Current[k.Alg] {
		return Listed{}, fault.At(fault.Invalid, "kid", "is a key that signs or is about to; rotate the keys first")
	}
	if k.Revoked.IsZero() {
		k.Revoked, k.Private = t.Now(), "" // it is shown, and of no use any more
		if _, err := t.table.Swap(ctx, w.Tenant, row.ID, row.Rev, k.Key); err != nil && !errors.Is(err, store.ErrStale) {
			return Listed{}, err
		}
	}
	k.Private = ""
	rows[i].Value = k.Key
	return k, errors.Join(t.changed(ctx, w), t.forget(ctx, w.Tenant, surplus(rows)))
}
