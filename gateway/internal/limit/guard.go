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

const (
	// totalTimes is how often the rule's Max all unknown sources together may try
	// at one person in a window before they are slowed.
	totalTimes = 20
	// maxWait is the longest that a slowed try is kept waiting, and the longest
	// distance between two of them.
	maxWait = 3 * time.Second
)

// GuardConfig configures a Guard. Zero fields have the defaults.
type GuardConfig struct {
	// Rule returns the rule of a kind in a tenant. Nil: Default.
	Rule func(ctx context.Context, tenant, kind string) (Rule, error)
	Now  func() time.Time
	// Wait returns after d, or with the context's error when that ends sooner.
	Wait func(ctx context.Context, d time.Duration) error
}

// Guard bounds guessing at one person's secrets, without letting a stranger lock
// that person out:
//
//   - Each source has at most the rule's Max tries at who in a sliding window,
//     then is refused for the rule's Block, and longer if the window takes longer.
//     A source is the network of the try, or, when who signed in with this
//     browser before, the browser: that has a count of its own.
//   - All networks together have 20 times Max. Beyond it their tries are spaced
//     out, each waiting at most three seconds for its place, and those that find
//     no place are refused. A browser that is known is not in that count and never
//     waits.
//
// Counts are in the store: all gateways see one. Keys are stored as hashes.
// Safe for concurrent use.
type Guard struct {
	config GuardConfig
	table  *store.Table[tries]
}

var errGuard = errors.New("guard: too many tries")

// OpenGuard declares the table.
func OpenGuard(ctx context.Context, s *store.Store, c GuardConfig) (*Guard, error) {
	if c.Rule == nil {
		c.Rule = func(_ context.Context, _, kind string) (Rule, error) { return known(kind) }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	table, err := store.Declare(ctx, s, store.Spec[tries]{Name: "tries", Expires: func(t *tries) time.Time { return t.Gone }})
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Guard{config: c, table: table}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("guard: %w", ctx.Err())
	}
}

// Take counts one try at who, from the origin of the context, before the work
// that it pays for: tries side by side are all counted. It returns nil when the
// work may be done, perhaps after a while, else a fault.TooMany whose RetryAfter
// is the time until a try can pass; refused tries do not prolong the refusal. A
// rule without Max allows everything. When the store fails the error says so and
// the work must not be done.
func (g *Guard) Take(ctx context.Context, tenant, kind, who string) error {
	rule, err := g.config.Rule(ctx, tenant, kind)
	if err != nil {
		return fmt.Errorf("guard: rule of %s: %w", kind, err)
	}
	if rule.Max <= 0 {
		return nil
	}
	source, known := OriginOf(ctx).source(who)
	own := guardID(kind, who, source)
	if _, err := g.try(ctx, tenant, own, rule.own); err != nil || known {
		return err
	}
	pause, err := g.try(ctx, tenant, guardID(kind, who, ""), rule.total)
	if fault.Is(err, fault.TooMany) { // nothing was tried: the person's own network is not to pay for others
		return errors.Join(err, g.undo(ctx, tenant, own))
	}
	if err != nil || pause <= 0 {
		return err
	}
	return g.config.Wait(ctx, pause)
}

// step counts one try; a fault.TooMany refuses it. It must be pure, and its
// result shares nothing with its argument.
type step func(t tries, now time.Time) (next tries, pause time.Duration, err error)

// try runs a step on the record of a key, again as often as somebody else was
// faster.
func (g *Guard) try(ctx context.Context, tenant, id string, run step) (time.Duration, error) {
	for {
		now := g.config.Now()
		row, err := g.table.Get(ctx, tenant, id)
		fresh := errors.Is(err, store.ErrNotFound)
		if err != nil && !fresh {
			return 0, fmt.Errorf("guard: %w", err)
		}
		next, pause, refused := run(row.Value, now)
		switch {
		case refused != nil && next.Since.Equal(row.Value.Since):
			return 0, refused // nothing to write
		case fresh:
			_, err = g.table.Create(ctx, tenant, id, next)
		default:
			_, err = g.table.Swap(ctx, tenant, id, row.Rev, next)
		}
		done, err := won(err)
		if err != nil {
			return 0, err
		}
		if done {
			return pause, refused
		}
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("guard: %w", err)
		}
	}
}

// won reads the outcome of a write that somebody else may have been faster at.
func won(err error) (bool, error) {
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("guard: %w", err)
	}
	return true, nil
}

// own counts one try of one source.
func (r Rule) own(t tries, now time.Time) (tries, time.Duration, error) {
	window := r.window()
	next := t.forget(now, window)
	full := next.room(now, window, r.Max)
	blocked := min(t.Since.Add(r.Block).Sub(now), r.Block) // or the clock was put back
	if full <= 0 && blocked <= 0 {
		next.Since = time.Time{}
		next.add(now, window)
		return next, 0, nil
	}
	if t.Since.IsZero() { // once for each filling of the window
		next.Since = now
		next.last(now.Add(r.Block))
		blocked = r.Block
	}
	return next, 0, tooManyTries(max(full, blocked))
}

// total counts one try of all sources that are not known.
func (r Rule) total(t tries, now time.Time) (tries, time.Duration, error) {
	window, most := r.window(), totalTimes*r.Max
	next := t.forget(now, window)
	if next.count() < most {
		next.Next = time.Time{}
		next.add(now, window)
		return next, 0, nil
	}
	gap := min(window/time.Duration(most), maxWait)
	place := now
	if after := t.Next.Sub(now); after > 0 {
		place = now.Add(min(after, maxWait+gap)) // or the clock was put back
	}
	pause := place.Sub(now)
	if pause > maxWait {
		return t, 0, tooManyTries(pause)
	}
	next.Next = place.Add(gap)
	next.add(now, window)
	return next, pause, nil
}

func tooManyTries(after time.Duration) error {
	return &fault.Error{Kind: fault.TooMany, Public: tooMany, RetryAfter: after, Cause: errGuard}
}

// undo gives a counted try back.
func (g *Guard) undo(ctx context.Context, tenant, id string) error {
	_, err := g.table.Update(ctx, tenant, id, func(t *tries) error { t.undo(); return nil })
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("guard: %w", err)
}

// Clear forgets the tries of the context's origin at who, after a success. Those
// of others, and the total, stay.
func (g *Guard) Clear(ctx context.Context, tenant, kind, who string) error {
	source, _ := OriginOf(ctx).source(who)
	err := g.table.Delete(ctx, tenant, guardID(kind, who, source))
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("guard: clear: %w", err)
}

// guardID hides who and from where: a name may be what somebody typed into a
// form. The empty source is the total.
func guardID(kind, who, source string) string {
	return store.ID(kind, hash(who), hash(source))
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
