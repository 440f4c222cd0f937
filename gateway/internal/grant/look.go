package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Standing is what a refresh token stands for, as somebody who asks learns it.
type Standing struct {
	Renewal
	Created time.Time // when the grant began
	Good    bool      // it could be spent now; else it belongs to a live grant and was used before
}

// Look returns what a refresh token stands for and spends nothing. ErrInvalid when
// it is none, or its grant has ended.
func (k *Keeper) Look(ctx context.Context, tenant, token string) (Standing, error) {
	id, n, mac, ok := parse(token)
	if !ok {
		return Standing{}, fmt.Errorf("%w: not a refresh token", ErrInvalid)
	}
	row, err := k.table.Get(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return Standing{}, fmt.Errorf("%w: no such grant", ErrInvalid)
	}
	if err != nil {
		return Standing{}, err
	}
	row, _, err = k.find(ctx, tenant, id, row.Value.Client, n, mac)
	if err != nil {
		return Standing{}, err
	}
	v := verdict(row.Value, n, k.Now(), k.Grace)
	return Standing{
		Renewal: Renewal{Grant: id, Terms: row.Value.Terms, Expires: row.Value.Expires},
		Created: row.Value.Created, Good: v == rotate || v == again,
	}, nil
}
