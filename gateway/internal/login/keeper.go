package login

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config configures a Keeper.
type Config struct {
	Ring *vault.Ring
	Life time.Duration // of a login; 0 means 30 min
	Now  func() time.Time
}

// Keeper seals logins into cookies and stores those that have proven a factor.
// Safe for concurrent use.
type Keeper struct {
	Config
	table *store.Table[Login]
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Life == 0 {
		c.Life = 30 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Login]{
		Name:    "logins",
		Expires: func(l *Login) time.Time { return l.Expires },
	})
	if err != nil {
		return nil, err
	}
	return &Keeper{Config: c, table: table}, nil
}

// ErrGone means that a login is over, another browser's, or never was. It is
// answered with a page that offers to start again.
var ErrGone = fault.New(fault.NotFound, "This sign-in has expired or was begun in another browser. Please start again.", nil)

// cookie is the sealed content of a login's cookie.
type cookie struct {
	Login  *Login `json:"login,omitempty"`  // a login that is nothing but this cookie
	ID     string `json:"id,omitempty"`     // of a stored login
	Secret string `json:"secret,omitempty"` // whose hash the stored login keeps
}

// Begin starts a login. Nothing is stored.
func (k *Keeper) Begin(tenant, workspace, epoch string, r Request) Login {
	now := k.Now()
	return Login{
		ID: vault.NewID(), State: vault.NewSecret(), Tenant: tenant, Workspace: workspace, Epoch: epoch,
		Request: r, Started: now, Expires: now.Add(k.Life),
	}
}

// maxCookie bounds a login's cookie, in bytes: browsers keep no more than 4096.
const maxCookie = 3800

// Seal returns the cookie value of a login that is not stored.
func (k *Keeper) Seal(l Login) (string, error) {
	value, err := k.seal(l.Tenant, l.ID, cookie{Login: &l})
	if err == nil && len(value) > maxCookie {
		return "", fault.New(fault.Invalid, "The sign-in request is too long; send a shorter state, nonce or scope.", nil)
	}
	return value, err
}

func (k *Keeper) seal(tenant, id string, c cookie) (string, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return k.Ring.Seal(raw, vault.AAD(tenant, "logins", id, "cookie"))
}

// Resolve returns the login id of the browser that holds one of the cookie
// values, if state is its state; else ErrGone.
func (k *Keeper) Resolve(ctx context.Context, tenant, id, state string, values []string) (Login, error) {
	for _, value := range values {
		raw, err := k.Ring.Open(value, vault.AAD(tenant, "logins", id, "cookie"))
		if err != nil {
			continue // not ours, or another login's
		}
		var c cookie
		if err := json.Unmarshal(raw, &c); err != nil {
			continue
		}
		l, err := k.resolve(ctx, tenant, id, c)
		if err != nil {
			return Login{}, err
		}
		if subtle.ConstantTimeCompare([]byte(l.State), []byte(state)) != 1 || !k.Now().Before(l.Expires) {
			return Login{}, ErrGone
		}
		return l, nil
	}
	return Login{}, ErrGone
}

func (k *Keeper) resolve(ctx context.Context, tenant, id string, c cookie) (Login, error) {
	if c.Login != nil {
		return *c.Login, nil
	}
	row, err := k.table.Get(ctx, tenant, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Login{}, ErrGone
	}
	if err != nil {
		return Login{}, err
	}
	if c.ID != id || subtle.ConstantTimeCompare([]byte(vault.Hash(c.Secret)), []byte(row.Value.Browser)) != 1 {
		return Login{}, ErrGone
	}
	return row.Value, nil
}

// Keep stores a login that has proven a factor and returns the new value of its
// cookie.
func (k *Keeper) Keep(ctx context.Context, l Login) (string, error) {
	if l.User == "" {
		return "", fmt.Errorf("login %s has proven nothing", l.ID)
	}
	secret := vault.NewSecret()
	l.Browser = vault.Hash(secret)
	if _, err := k.table.Create(ctx, l.Tenant, l.ID, l); err != nil {
		return "", err
	}
	return k.seal(l.Tenant, l.ID, cookie{ID: l.ID, Secret: secret})
}

// Finish takes a stored login away: exactly one caller gets nil, the others
// ErrGone. A login that was never stored is finished by proving its factor.
func (k *Keeper) Finish(ctx context.Context, l Login) error {
	if l.Browser == "" {
		return nil
	}
	_, err := k.table.Take(ctx, l.Tenant, l.ID)
	if errors.Is(err, store.ErrNotFound) {
		return ErrGone
	}
	return err
}
