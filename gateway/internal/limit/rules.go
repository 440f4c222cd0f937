package limit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The bounds of a tenant's own rule.
const (
	maxAttempts = 1000
	minBlock    = time.Second
	maxBlock    = 24 * time.Hour
)

// Protection is a tenant's own rule for one kind of tries (published API, section
// 24). The window is the kind's, whatever the block.
type Protection struct {
	TenantID      string         `json:"tenant_id"`
	ProtectedType string         `json:"protected_type"`
	MaxAttempts   int            `json:"max_attempts"` // 0: no limit
	BlockDuration store.Duration `json:"block_duration"`
	Rev           int64          `json:"-"`
}

// RulesConfig configures Rules. Nil fields do nothing but Now, which is then
// time.Now.
type RulesConfig struct {
	// Changed is told of every write, after it.
	Changed func(ctx context.Context, p Protection, deleted bool) error
	Now     func() time.Time
}

// Rules are the tenants' own rules for guessing. Safe for concurrent use.
type Rules struct {
	changed func(ctx context.Context, p Protection, deleted bool) error
	own     *settings[protection]
}

// protection is a Protection in the store; its id is the kind.
type protection struct {
	Max   int            `json:"max"`
	Block store.Duration `json:"block"`
}

// OpenRules declares the table.
func OpenRules(ctx context.Context, s *store.Store, c RulesConfig) (*Rules, error) {
	own, err := openSettings[protection](ctx, s, "brute_force_limits", c.Now)
	if err != nil {
		return nil, err
	}
	if c.Changed == nil {
		c.Changed = func(context.Context, Protection, bool) error { return nil }
	}
	return &Rules{changed: c.Changed, own: own}, nil
}

// Rule returns what holds for a kind in a tenant: the tenant's own rule, at most
// a second old, or the default. It is made for GuardConfig. A kind that is not
// declared is an error, never a kind without a limit.
func (r *Rules) Rule(ctx context.Context, tenant, kind string) (Rule, error) {
	rule, err := known(kind)
	if err != nil {
		return rule, err
	}
	own, ok, err := r.own.get(ctx, tenant, kind)
	if err != nil || !ok {
		return rule, err
	}
	rule.Max, rule.Block = own.Max, time.Duration(own.Block)
	return rule, nil
}

func known(kind string) (Rule, error) {
	rule, ok := Default(kind)
	if !ok {
		return rule, fmt.Errorf("limit: %q is no kind of tries", kind)
	}
	return rule, nil
}

// List returns the tenant's own rules in the order of their kinds.
func (r *Rules) List(ctx context.Context, tenant string) ([]Protection, error) {
	rows, err := r.own.all(ctx, tenant)
	if err != nil {
		return nil, err
	}
	list := make([]Protection, len(rows))
	for i := range rows {
		list[i] = view(&rows[i])
	}
	return list, nil
}

// Get returns the tenant's own rule of a kind, or NotFound.
func (r *Rules) Get(ctx context.Context, tenant, kind string) (Protection, error) {
	row, err := r.own.table.Get(ctx, tenant, kind)
	if err != nil {
		return Protection{}, unset(err)
	}
	return view(&row), nil
}

// Set gives a tenant a rule of its own, over revision p.Rev, or whatever there is
// for 0. Errors: Unprocessable for a kind that is not known and values out of
// bounds, Stale.
func (r *Rules) Set(ctx context.Context, p Protection) (Protection, error) {
	if err := p.check(); err != nil {
		return p, err
	}
	row, err := r.own.set(ctx, p.TenantID, p.ProtectedType, protection{Max: p.MaxAttempts, Block: p.BlockDuration}, p.Rev)
	if err != nil {
		return p, unset(err)
	}
	p = view(&row)
	if err := r.changed(ctx, p, false); err != nil {
		return p, fmt.Errorf("limits: %s is set, but announcing it failed: %w", p.ProtectedType, err)
	}
	return p, nil
}

func (p *Protection) check() error {
	if _, ok := Default(p.ProtectedType); !ok {
		return fault.At(fault.Unprocessable, "protected_type",
			fmt.Sprintf("%.64q is not one of %s", p.ProtectedType, strings.Join(Kinds(), ", ")))
	}
	if p.MaxAttempts < 0 || p.MaxAttempts > maxAttempts {
		return fault.At(fault.Unprocessable, "max_attempts", fmt.Sprintf("must be between 0 (no limit) and %d", maxAttempts))
	}
	block := time.Duration(p.BlockDuration)
	if p.MaxAttempts == 0 && block == 0 {
		return nil
	}
	if block < minBlock || block > maxBlock {
		return fault.At(fault.Unprocessable, "block_duration", fmt.Sprintf("must be between %v and %v", minBlock, maxBlock))
	}
	return nil
}

// Delete takes a tenant's own rule away at revision rev, or whatever it is for 0:
// the default holds again. Errors: NotFound, Stale.
func (r *Rules) Delete(ctx context.Context, tenant, kind string, rev int64) error {
	old, err := r.Get(ctx, tenant, kind)
	if err != nil {
		return err
	}
	if err := r.own.remove(ctx, tenant, kind, rev); err != nil {
		return unset(err)
	}
	if err := r.changed(ctx, old, true); err != nil {
		return fmt.Errorf("limits: %s is back to its default, but announcing it failed: %w", kind, err)
	}
	return nil
}

func view(row *store.Row[protection]) Protection {
	return Protection{
		TenantID: row.Tenant, ProtectedType: row.ID, MaxAttempts: row.Value.Max, BlockDuration: row.Value.Block, Rev: row.Rev,
	}
}

// unset tells a caller what the store said about a setting.
func unset(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "The tenant has no limit of its own here.", err)
	}
	if errors.Is(err, store.ErrStale) {
		return fault.New(fault.Stale, "The limit was changed meanwhile.", err)
	}
	return fmt.Errorf("limits: %w", err)
}

// sorted returns the names of a map in order.
func sorted[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
