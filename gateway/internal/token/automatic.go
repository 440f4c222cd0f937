package token

import (
	"context"
	"errors"
	"time"

	"github.com/adhocore/gronx"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Automatic says when keys rotate by themselves.
type Automatic struct {
	Enabled      bool      `json:"enabled"`
	Cron         string    `json:"cron"` // five fields: minute, hour, day of month, month, day of week; in UTC
	StartingFrom time.Time `json:"starting_from,omitzero"`
	ScheduledAt  time.Time `json:"scheduled_at,omitzero"` // the next rotation; zero when there is none
}

// shortestRotation keeps two rotations apart: a published key needs time to reach
// those who cache the JWK Set.
// Rotated keys verify as long as their tokens live: see mostVerifying.
const shortestRotation = 24 * time.Hour

// plan checks a schedule and sets when it is due next after now.
func (a Automatic) plan(now time.Time) (Automatic, error) {
	a.ScheduledAt = time.Time{}
	if len(a.Cron) > 100 || (a.Cron != "" || a.Enabled) && !gronx.IsValid(a.Cron) {
		return a, fault.At(fault.Invalid, "cron", `must be a cron expression of five fields in UTC, such as "0 3 1 * *" for 3:00 on the first of every month`)
	}
	if !a.Enabled {
		return a, nil
	}
	from := now
	if a.StartingFrom.After(now) {
		from = a.StartingFrom
	}
	next, err := gronx.NextTickAfter(a.Cron, from.UTC(), a.StartingFrom.After(now))
	if err != nil {
		return a, &fault.Error{Kind: fault.Invalid, Field: "cron", Public: "never comes true", Cause: err}
	}
	after, err := gronx.NextTickAfter(a.Cron, next, false)
	if err == nil && after.Sub(next) < shortestRotation {
		return a, fault.At(fault.Invalid, "cron", "rotates too often: once a day is the most")
	}
	a.ScheduledAt = next
	return a, nil
}

// Automatic returns when the keys of one use rotate by themselves.
func (t *Tokens) Automatic(ctx context.Context, w Workspace, use string) (Automatic, error) {
	row, err := t.head(ctx, w, use)
	return row.Value.Automatic, err
}

// SetAutomatic replaces the schedule. Errors: fault.Invalid that names the
// member.
func (t *Tokens) SetAutomatic(ctx context.Context, w Workspace, use string, a Automatic) (Automatic, error) {
	a, err := a.plan(t.Now())
	if err != nil {
		return a, err
	}
	if _, err := t.head(ctx, w, use); err != nil {
		return a, err
	}
	_, err = t.heads.Update(ctx, w.Tenant, headID(w, use), func(h *head) error {
		h.Automatic = a
		return nil
	})
	return a, err
}

// RotateDue rotates the keys whose time has come, at most 100 at a call. Any
// number of gateways may do so at once: each rotation happens once.
func (t *Tokens) RotateDue(ctx context.Context) error {
	rows, err := t.heads.Due(ctx, 100)
	if err != nil {
		return err
	}
	for _, row := range rows {
		err = errors.Join(err, t.rotateDue(ctx, row))
	}
	return err
}

func (t *Tokens) rotateDue(ctx context.Context, row store.Row[head]) error {
	auto, err := row.Value.Automatic.plan(t.Now())
	if err != nil {
		return err
	}
	w := row.Value.workspace(row.Tenant)
	err = t.rotate(ctx, w, row, first(w, row.Value.Use), auto)
	switch {
	case errors.Is(err, store.ErrStale): // another gateway was faster
		return nil
	case errors.Is(err, errCrowded): // not again before the next time
		h := row.Value
		h.Automatic = auto
		if _, late := t.heads.Swap(ctx, w.Tenant, row.ID, row.Rev, h); late != nil && !errors.Is(late, store.ErrStale) {
			err = errors.Join(err, late)
		}
	}
	return err
}
