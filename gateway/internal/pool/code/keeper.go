package code

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Guard counts tries; limit.Guard is one. Take comes before the work and fails
// when there were too many.
type Guard interface {
	Take(ctx context.Context, tenant, kind, who string) error
	Clear(ctx context.Context, tenant, kind, who string) error
}

// Config configures a Keeper. Ring and Guard are required.
type Config struct {
	Ring  *vault.Ring
	Guard Guard
	Now   func() time.Time // nil: time.Now
}

// Keeper issues and takes codes. Safe for concurrent use.
type Keeper struct {
	config Config
	table  *store.Table[Record]
}

// Record is a code as it is stored and dumped.
type Record struct {
	ID        string          `json:"id"`
	Pool      string          `json:"pool"`
	PoolEpoch string          `json:"pool_epoch"`
	User      string          `json:"user"`
	UserEpoch string          `json:"user_epoch"`
	Type      Type            `json:"type"`
	Address   string          `json:"address,omitempty"`
	Hash      []byte          `json:"hash"` // HMAC, see Keeper.parts
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	Made      time.Time       `json:"made"`
	Expires   time.Time       `json:"expires"`
}

// Open declares the table.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	if c.Ring == nil || c.Guard == nil {
		return nil, errors.New("codes: a key ring and a guard are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Record]{Name: "user_codes", Expires: func(r *Record) time.Time { return r.Expires }})
	if err != nil {
		return nil, fmt.Errorf("codes: %w", err)
	}
	return &Keeper{config: c, table: table}, nil
}

// Issue makes a code. It kills the former one of the user and type, of
// VerifyAddress the former one of that address too. Errors: Unprocessable for a
// length or a life out of bounds, or VerifyAddress without an address.
func (k *Keeper) Issue(ctx context.Context, s Subject, spec Spec) (Issued, error) {
	if err := spec.complete(); err != nil {
		return Issued{}, err
	}
	if s.nobody() {
		return Issued{}, errors.New("codes: nobody has codes")
	}
	digits, err := draw(spec.Length)
	if err != nil {
		return Issued{}, err
	}
	now := k.config.Now().UTC()
	r := Record{
		ID: vault.NewID(), Pool: s.Pool, PoolEpoch: s.PoolEpoch, User: s.User, UserEpoch: s.UserEpoch,
		Type: spec.Type, Address: spec.Address, Metadata: spec.Metadata, Data: spec.Data, Made: now, Expires: now.Add(spec.TTL),
	}
	r.Hash = k.config.Ring.MAC(purpose, parts(s.Tenant, &r, digits)...)
	if err := k.put(ctx, s.Tenant, r); err != nil {
		return Issued{}, err
	}
	return Issued{ID: r.ID, Code: digits, Extended: Extend(s.User, digits), Expires: r.Expires}, nil
}

// complete fills in the defaults and checks.
func (c *Spec) complete() error {
	length, ttl := c.Type.Defaults()
	if c.Length == 0 {
		c.Length = length
	}
	if c.TTL == 0 {
		c.TTL = ttl
	}
	if c.Length < MinLength || c.Length > MaxLength {
		return fault.At(fault.Unprocessable, "length", fmt.Sprintf("must be between %d and %d digits", MinLength, MaxLength))
	}
	if c.TTL < 0 || c.TTL > MaxTTL {
		return fault.At(fault.Unprocessable, "ttl", fmt.Sprintf("must be positive and at most %v", MaxTTL))
	}
	if c.Type == VerifyAddress && c.Address == "" {
		return fault.At(fault.Unprocessable, "address", "is required")
	}
	return nil
}

// draw returns random digits, each equally likely.
func draw(length int) (string, error) {
	end := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(length)), nil)
	n, err := rand.Int(rand.Reader, end)
	if err != nil {
		return "", fmt.Errorf("codes: draw: %w", err)
	}
	return fmt.Sprintf("%0*d", length, n), nil
}

const purpose = "one-time code"

// parts are what a code's HMAC is over. They name ids and no epochs, so that a
// dump can be brought back under the same key ring; that a code of a former life
// of the pool or user is not found is the record's id and its epochs' business.
func parts(tenant string, r *Record, digits string) []string {
	return []string{tenant, r.Pool, r.User, string(r.Type), r.Address, digits}
}

// key is the id of a code's record.
func (r *Record) key() string {
	if r.Type == VerifyAddress {
		return store.ID(r.PoolEpoch, r.User, string(r.Type), r.Address)
	}
	return store.ID(r.PoolEpoch, r.User, string(r.Type))
}

// put writes r in the place of what is there.
func (k *Keeper) put(ctx context.Context, tenant string, r Record) error {
	for {
		_, err := k.table.Create(ctx, tenant, r.key(), r)
		if errors.Is(err, store.ErrExists) {
			_, err = k.table.Update(ctx, tenant, r.key(), func(old *Record) error { *old = r; return nil })
		}
		if !errors.Is(err, store.ErrNotFound) { // taken or expired meanwhile
			return wrap(err)
		}
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("codes: %w", err)
}
