package limit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The modules whose requests are limited apart (published API, section 24, which
// names none).
const (
	ModuleIdentityPublic = "identity_public" // hosted pages and public endpoints of pools
	ModuleIdentityAPI    = "identity_api"    // /api/identity
	ModuleAdminAPI       = "admin_api"       // /api/admin
	ModuleSystemAPI      = "system_api"      // /api/system
	ModuleToken          = "oauth2_token"    // token endpoints
)

// Rate is how many requests one network may send to one module of a tenant.
type Rate struct {
	Rate   int            `json:"rate"`   // requests in a period
	Burst  int            `json:"burst"`  // requests at once, after a while of silence
	Period store.Duration `json:"period"` // zero: a second
}

// rates are what holds where nothing else is set. They are there to keep one
// network from using a gateway up, so they are far above what people do; the
// APIs and the token endpoint serve backends that send everything from one
// address.
var rates = map[string]Rate{
	ModuleIdentityPublic: {Rate: 200, Burst: 400, Period: store.Duration(time.Second)},
	ModuleIdentityAPI:    {Rate: 2000, Burst: 4000, Period: store.Duration(time.Second)}, // imports
	ModuleAdminAPI:       {Rate: 200, Burst: 400, Period: store.Duration(time.Second)},
	ModuleSystemAPI:      {Rate: 1000, Burst: 2000, Period: store.Duration(time.Second)},
	ModuleToken:          {Rate: 1000, Burst: 2000, Period: store.Duration(time.Second)},
}

const (
	maxRate   = 1_000_000
	maxPeriod = time.Hour
	maxKeys   = 100_000 // buckets kept
)

// RatesConfig configures Rates. Zero fields have the defaults.
type RatesConfig struct {
	Global map[string]Rate // by module, over the program's own
	Now    func() time.Time
}

// Rates limit requests by tenant, module and key, in this process alone: with n
// gateways behind a balancer that spreads them a network has n times as much.
// Safe for concurrent use.
type Rates struct {
	global  map[string]Rate
	own     *settings[Rate]
	buckets *Buckets
}

// OpenRates declares the table. An unknown module, or a rate out of bounds, in
// Global is an error.
func OpenRates(ctx context.Context, s *store.Store, c RatesConfig) (*Rates, error) {
	r := &Rates{global: maps.Clone(rates), buckets: NewBuckets(BucketsConfig{Size: maxKeys, Now: c.Now})}
	for module, rate := range c.Global {
		if err := errors.Join(r.module(module), rate.complete()); err != nil {
			return nil, fmt.Errorf("rate limit of %s: %w", module, err)
		}
		r.global[module] = rate
	}
	own, err := openSettings[Rate](ctx, s, "rate_limits", c.Now)
	r.own = own
	return r, err
}

// Take takes one request of a key, which is mostly a network, out of what it has
// in a module of a tenant. The error is a fault.TooMany that says when to come
// again. While the store is away what was read last holds, or the global rate.
func (r *Rates) Take(ctx context.Context, tenant, module, key string) error {
	rate, ok := r.global[module]
	if !ok {
		return fmt.Errorf("limits: %q is no module", module)
	}
	if own, set, err := r.own.get(ctx, tenant, module); err == nil && set {
		rate = own
	}
	return r.buckets.take(store.ID(tenant, module, key), rate.token(), rate.Burst)
}

// token is the time in which a bucket gains one request.
func (r Rate) token() time.Duration { return max(time.Duration(r.Period)/time.Duration(r.Rate), 1) }

// Global returns what holds where a tenant has nothing of its own. The caller may
// change the result.
func (r *Rates) Global() map[string]Rate { return maps.Clone(r.global) }

// List returns what a tenant has of its own, by module.
func (r *Rates) List(ctx context.Context, tenant string) (map[string]Rate, error) {
	rows, err := r.own.all(ctx, tenant)
	list := make(map[string]Rate, len(rows))
	for _, row := range rows {
		list[row.ID] = row.Value
	}
	return list, err
}

// Set gives a tenant its own rate in a module. Errors: NotFound for a module that
// is not known, Unprocessable for a rate out of bounds.
func (r *Rates) Set(ctx context.Context, tenant, module string, rate Rate) error {
	if err := r.module(module); err != nil {
		return err
	}
	if err := rate.complete(); err != nil {
		return err
	}
	if _, err := r.own.set(ctx, tenant, module, rate, 0); err != nil {
		return unset(err)
	}
	return nil
}

// Delete takes a tenant's own rate away. Errors: NotFound.
func (r *Rates) Delete(ctx context.Context, tenant, module string) error {
	if err := r.module(module); err != nil {
		return err
	}
	if err := r.own.remove(ctx, tenant, module, 0); err != nil {
		return unset(err)
	}
	return nil
}

// module refuses a name that is not known.
func (r *Rates) module(name string) error {
	if _, ok := r.global[name]; ok {
		return nil
	}
	return fault.At(fault.NotFound, "module", fmt.Sprintf("There is no module %.64q; there are %s.", name, strings.Join(sorted(r.global), ", ")))
}

// complete fills in the period and checks the bounds.
func (r *Rate) complete() error {
	if r.Period == 0 {
		r.Period = store.Duration(time.Second)
	}
	switch {
	case r.Rate < 1 || r.Rate > maxRate:
		return fault.At(fault.Unprocessable, "rate", fmt.Sprintf("must be between 1 and %d", maxRate))
	case r.Burst < 1 || r.Burst > maxRate:
		return fault.At(fault.Unprocessable, "burst", fmt.Sprintf("must be between 1 and %d", maxRate))
	case time.Duration(r.Period) < time.Second || time.Duration(r.Period) > maxPeriod:
		return fault.At(fault.Unprocessable, "period", fmt.Sprintf("must be between %v and %v", time.Second, maxPeriod))
	}
	return nil
}
