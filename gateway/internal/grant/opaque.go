package grant

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// OpaqueToken is what an opaque access token stands for.
type OpaqueToken struct {
	Workspace string          `json:"workspace"`
	Epoch     string          `json:"epoch"`  // the workspace's
	Claims    json.RawMessage `json:"claims"` // what a JWT would say
	Expires   time.Time       `json:"expires"`
}

// Opaque keeps opaque access tokens. What ends them before their time are the
// marks, as with any other token. Safe for concurrent use.
type Opaque struct{ table *store.Table[OpaqueToken] }

// OpenOpaque declares the table.
func OpenOpaque(ctx context.Context, s *store.Store) (*Opaque, error) {
	table, err := store.Declare(ctx, s, store.Spec[OpaqueToken]{
		Name:    "access_tokens",
		Expires: func(t *OpaqueToken) time.Time { return t.Expires },
	})
	if err != nil {
		return nil, err
	}
	return &Opaque{table}, nil
}

// Issue stores v and returns the token that stands for it: 256 random bits, of
// which the store sees only the hash.
func (o *Opaque) Issue(ctx context.Context, tenant string, v OpaqueToken) (string, error) {
	raw := vault.NewSecret()
	_, err := o.table.Create(ctx, tenant, vault.Hash(raw), v)
	return raw, err
}

// Look returns what a token of a workspace stands for, or ErrInvalid. What does
// not look like a token costs nothing, an unknown one a single read.
func (o *Opaque) Look(ctx context.Context, tenant, workspace, epoch, raw string) (OpaqueToken, error) {
	if !opaque(raw) {
		return OpaqueToken{}, ErrInvalid
	}
	row, err := o.table.Get(ctx, tenant, vault.Hash(raw))
	if errors.Is(err, store.ErrNotFound) || (err == nil && (row.Value.Workspace != workspace || row.Value.Epoch != epoch)) {
		return OpaqueToken{}, ErrInvalid
	}
	return row.Value, err
}

// opaque tells whether raw could be a token of [Opaque.Issue]: 43 characters of
// base64url.
func opaque(raw string) bool {
	if len(raw) != 43 {
		return false
	}
	for i := range len(raw) {
		c := raw[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
