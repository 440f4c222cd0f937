package limit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

const tooMany = "Too many requests" // the published words (API, section 1.2)

// Rule is how many attempts one key of a kind has.
type Rule struct {
	Max    int           // attempts in a window; 0 or less: no limit
	Window time.Duration // begins with the first attempt; 0 means Block
	Block  time.Duration // how long the key is refused once it is over; 0: until the window ends
}

// AttemptsConfig configures Attempts.
type AttemptsConfig struct {
	// Rule returns the rule of a kind in a tenant. Nil means 5 attempts, then a
	// minute of refusal.
	Rule func(ctx context.Context, tenant, kind string) (Rule, error)
	Now  func() time.Time
}

// Attempts count tries at something that can be guessed or overused, in the
// store: all gateways see one count, and a restart does not reset it. A key is
// whatever the tries are counted for, such as pool and user; it is stored as a
// hash. Safe for concurrent use.
type Attempts struct {
	config AttemptsConfig
	table  *store.Table[counter]
}

// counter is the record of one key. It expires with its last effect.
type counter struct {
	Count int       `json:"count"`
	Ends  time.Time `json:"ends"`           // of the window
	Until time.Time `json:"until,omitzero"` // refused until
}

func (c *counter) lasts() time.Time {
	if c.Until.After(c.Ends) {
		return c.Until
	}
	return c.Ends
}

// OpenAttempts declares the table.
func OpenAttempts(ctx context.Context, s *store.Store, c AttemptsConfig) (*Attempts, error) {
	if c.Rule == nil {
		c.Rule = func(context.Context, string, string) (Rule, error) {
			return Rule{Max: 5, Block: time.Minute}, nil
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[counter]{Name: "attempts", Expires: (*counter).lasts})
	if err != nil {
		return nil, fmt.Errorf("attempts: %w", err)
	}
	return &Attempts{config: c, table: table}, nil
}

// Take counts one attempt, before the work that it pays for: attempts that run
// side by side are all counted. It returns nil while the key is within its rule,
// else a fault.TooMany whose RetryAfter is the time until the next attempt
// counts; refused attempts are not written and do not prolong the refusal. When
// the store fails the error says so and the work must not be done.
func (a *Attempts) Take(ctx context.Context, tenant, kind, key string) error {
	rule, err := a.config.Rule(ctx, tenant, kind)
	if err != nil {
		return fmt.Errorf("attempts: rule of %s: %w", kind, err)
	}
	if rule.Max <= 0 {
		return nil
	}
	id := attemptID(kind, key)
	for { // each round that fails means that somebody else's attempt was counted
		done, err := a.try(ctx, tenant, kind, id, rule)
		if done || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("attempts: %w", err)
		}
	}
}

// try counts once; false when another attempt was faster.
func (a *Attempts) try(ctx context.Context, tenant, kind, id string, rule Rule) (bool, error) {
	now := a.config.Now()
	row, err := a.table.Get(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		next, _ := counter{}.take(now, rule)
		_, err = a.table.Create(ctx, tenant, id, next)
		return raced(err, store.ErrExists)
	}
	if err != nil {
		return false, fmt.Errorf("attempts: %w", err)
	}
	next, wait := row.Value.take(now, rule)
	if next != row.Value {
		_, err = a.table.Swap(ctx, tenant, id, row.Rev, next)
		if done, err := raced(err, store.ErrStale); !done || err != nil {
			return done, err
		}
	}
	if wait <= 0 {
		return true, nil
	}
	return true, &fault.Error{
		Kind:       fault.TooMany,
		Public:     tooMany,
		RetryAfter: wait,
		Cause:      fmt.Errorf("attempts: over %d for %s", rule.Max, kind),
	}
}

// raced reads the outcome of a write that somebody else may have been faster at.
func raced(err, lost error) (done bool, _ error) {
	if errors.Is(err, lost) || errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("attempts: %w", err)
	}
	return true, nil
}

// take returns the counter after one more attempt, and how long to wait when it
// is refused.
func (c counter) take(now time.Time, rule Rule) (counter, time.Duration) {
	if wait := c.Until.Sub(now); wait > 0 {
		return c, wait
	}
	if !c.Until.IsZero() || !c.Ends.After(now) {
		c = counter{Ends: now.Add(rule.window())}
	}
	if c.Count >= rule.Max { // the rule was made stricter meanwhile, or this is one too many
		c.Until = c.Ends
		if rule.Block > 0 {
			c.Until = now.Add(rule.Block)
		}
		return c, c.Until.Sub(now)
	}
	c.Count++
	return c, 0
}

func (r Rule) window() time.Duration {
	if r.Window > 0 {
		return r.Window
	}
	if r.Block > 0 {
		return r.Block
	}
	return time.Minute
}

// Clear forgets the attempts of a key: after a success.
func (a *Attempts) Clear(ctx context.Context, tenant, kind, key string) error {
	err := a.table.Delete(ctx, tenant, attemptID(kind, key))
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("attempts: clear: %w", err)
}

// attemptID hides the key: it may be what somebody typed into a form.
func attemptID(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return store.ID(kind, hex.EncodeToString(sum[:]))
}
