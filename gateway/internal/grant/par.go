package grant

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// PushedPrefix begins the request_uri of every pushed authorization request (RFC
// 9126, section 2.2).
const PushedPrefix = "urn:ietf:params:oauth:request_uri:"

// Pushed is an authorization request that a client sent ahead of the browser.
type Pushed struct {
	Workspace      string    `json:"workspace"`
	WorkspaceEpoch string    `json:"workspace_epoch"`
	Client         string    `json:"client"`
	ClientEpoch    string    `json:"client_epoch"`
	Params         string    `json:"params"`             // urlencoded
	DPoPKey        string    `json:"dpop_jkt,omitempty"` // thumbprint of the key that the client has shown (RFC 9449, section 10.1)
	Expires        time.Time `json:"expires"`
}

// Requests keeps pushed authorization requests (RFC 9126). Safe for concurrent
// use.
type Requests struct {
	table *store.Table[Pushed]
	now   func() time.Time
}

// OpenRequests declares the table.
func OpenRequests(ctx context.Context, s *store.Store, now func() time.Time) (*Requests, error) {
	if now == nil {
		now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Pushed]{
		Name:    "pushed_requests",
		Expires: func(p *Pushed) time.Time { return p.Expires },
	})
	if err != nil {
		return nil, err
	}
	return &Requests{table, now}, nil
}

// Push stores a request for ttl and returns the request_uri that stands for it:
// 256 random bits, of which the store sees only the hash.
func (r *Requests) Push(ctx context.Context, tenant string, p Pushed, ttl time.Duration) (string, error) {
	secret := vault.NewSecret()
	p.Expires = r.now().Add(ttl)
	if _, err := r.table.Create(ctx, tenant, vault.Hash(secret), p); err != nil {
		return "", err
	}
	return PushedPrefix + secret, nil
}

// Take removes and returns the request that uri stands for, if it is like mine:
// of the same workspace and client, epochs included. Of any number of callers
// exactly one gets it, the others ErrInvalid; so does who comes with another
// client, and that leaves it where it is.
func (r *Requests) Take(ctx context.Context, tenant, uri string, mine Pushed) (Pushed, error) {
	secret, ok := strings.CutPrefix(uri, PushedPrefix)
	if !ok || len(secret) != 43 { // 256 bits in base64url
		return Pushed{}, ErrInvalid
	}
	id := vault.Hash(secret)
	row, err := r.table.Get(ctx, tenant, id)
	if err == nil && (!mine.owns(row.Value) || !r.now().Before(row.Value.Expires)) {
		return Pushed{}, ErrInvalid
	}
	if err == nil {
		row, err = r.table.Take(ctx, tenant, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return Pushed{}, ErrInvalid
	}
	return row.Value, err
}

func (p Pushed) owns(other Pushed) bool {
	return p.Workspace == other.Workspace && p.WorkspaceEpoch == other.WorkspaceEpoch &&
		p.Client == other.Client && p.ClientEpoch == other.ClientEpoch
}
