package grant

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

type used struct {
	Expires time.Time `json:"expires"`
}

// Once remembers what may be used a single time: the jti of client assertions
// and of DPoP proofs. Safe for concurrent use.
type Once struct{ table *store.Table[used] }

// OpenOnce declares the table.
func OpenOnce(ctx context.Context, s *store.Store) (*Once, error) {
	table, err := store.Declare(ctx, s, store.Spec[used]{
		Name:    "used_once",
		Expires: func(u *used) time.Time { return u.Expires },
	})
	if err != nil {
		return nil, err
	}
	return &Once{table}, nil
}

// Use takes a value of a purpose, which stays taken until the time given. Of any
// number of callers exactly one gets true.
func (o *Once) Use(ctx context.Context, tenant, purpose, value string, until time.Time) (bool, error) {
	_, err := o.table.Create(ctx, tenant, store.ID(purpose, vault.Hash(value)), used{until})
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
