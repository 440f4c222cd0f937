package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Every is how often Deliver should run.
const Every = 5 * time.Second

// Run delivers the messages of this process's Send as they come, until ctx ends;
// it waits for those under way and returns nil. What it does not get to is left
// to Deliver.
func (n *Notifier) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range n.config.Workers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case at := <-n.kicks:
					n.kicked(ctx, at)
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (n *Notifier) kicked(ctx context.Context, at place) {
	row, err := n.table.Get(ctx, at.tenant, at.id)
	if err == nil && (row.Value.State != Queued || row.Value.Due.After(n.config.Now())) {
		return // the job was faster
	}
	if err == nil {
		_, err = n.deliver(ctx, row)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
		n.log.Error("a message could not be taken from the outbox", "tenant", at.tenant, "message_id", at.id, "err", err)
	}
}

// Deliver tries every message that is due, of all tenants, and returns when none
// is left: the job that every gateway runs. Letters that are not taken are no
// error here: they are in the log and in the outbox.
func (n *Notifier) Deliver(ctx context.Context) error {
	const batch = 64
	for {
		rows, err := n.table.Due(ctx, batch)
		if err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		mine := make([]bool, len(rows))
		group, within := errgroup.WithContext(ctx)
		group.SetLimit(n.config.Workers)
		for i, row := range rows {
			group.Go(func() (err error) {
				mine[i], err = n.deliver(within, row)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		// A batch that others were faster at in whole is theirs.
		if !slices.Contains(mine, true) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// deliver tries one message and tells whether it was ours to try. The error is
// the store's.
func (n *Notifier) deliver(ctx context.Context, row store.Row[record]) (bool, error) {
	// The lease: until it ends nobody else finds the message due.
	now := n.config.Now()
	late := !row.Value.Expires.After(now)
	row.Value.Due = now.Add(n.config.Lease)
	if !late {
		row.Value.Tries++
	}
	row, err := n.table.Swap(ctx, row.Tenant, row.ID, row.Rev, row.Value)
	if lost(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if late {
		return true, n.finish(ctx, row, Dead, strings.TrimSpace("it expired before it could be sent "+row.Value.Answer))
	}
	answer, err := n.try(ctx, row)
	// What happened is written down even when ctx has ended meanwhile.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err == nil {
		return true, n.finish(note, row, Sent, answer)
	}
	if permanent(err) {
		return true, n.finish(note, row, Dead, answer)
	}
	return true, n.again(note, row, answer)
}

// try makes the letter and gives it to the sender. The answer is fit for logs,
// also that of an error.
func (n *Notifier) try(ctx context.Context, row store.Row[record]) (string, error) {
	r := row.Value
	c, err := n.open(row)
	if err != nil { // another gateway may have the key
		return err.Error(), err
	}
	clean := func(s string) string { return redact(s, c.To, c.Data.Link, c.Data.Code) }
	sender := n.sender(r.Channel)
	if sender == nil { // likewise
		err := fmt.Errorf("no sender for %s is configured here", r.Channel)
		return err.Error(), err
	}
	l := Letter{ID: row.ID, Tenant: row.Tenant, Workspace: r.Workspace, Kind: r.Kind, To: c.To, Date: n.config.Now()}
	if err := n.config.Templates.render(&l, r.Channel, view(c.To, c.Brand, c.Data)); err != nil {
		return clean(err.Error()), &Failure{Permanent: true, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	answer, err := sender.Send(ctx, l)
	if err != nil {
		answer = err.Error()
	}
	return clean(answer), err
}

// finish notes the end of a message and forgets what it said.
func (n *Notifier) finish(ctx context.Context, row store.Row[record], state State, answer string) error {
	now := n.config.Now()
	r := row.Value
	r.State, r.Sealed, r.Due, r.Done, r.Answer = state, "", time.Time{}, now, answer
	r.Gone = now.Add(keepSent)
	level, say := slog.LevelInfo, "a message was sent"
	if state == Dead {
		r.Gone = now.Add(keepDead)
		level, say = slog.LevelError, "a message was given up"
	}
	return n.write(ctx, row, r, level, say)
}

// again puts a message back for a later try, or gives it up when that would be
// too late.
func (n *Notifier) again(ctx context.Context, row store.Row[record], answer string) error {
	r := row.Value
	next := n.config.Now().Add(n.pause(r.Tries))
	if !next.Before(r.Expires) {
		return n.finish(ctx, row, Dead, answer)
	}
	r.Due, r.Answer = next, answer
	return n.write(ctx, row, r, slog.LevelWarn, "a message could not be sent yet")
}

// pause is how long to wait after so many tries: a little more or less, so that
// messages that failed together do not come back together.
func (n *Notifier) pause(tries int) time.Duration {
	steps := []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	}
	step := steps[min(max(tries, 1), len(steps))-1]
	return time.Duration(float64(step) * (0.8 + 0.4*n.config.Random()))
}

// write stores an outcome and tells of it.
func (n *Notifier) write(ctx context.Context, row store.Row[record], r record, level slog.Level, say string) error {
	_, err := n.table.Swap(ctx, row.Tenant, row.ID, row.Rev, r)
	row.Value = r
	e := entry(row)
	n.log.Log(ctx, level, say, "tenant", e.Tenant, "workspace", e.Workspace, "message_id", e.ID, "kind", e.Kind,
		"channel", e.Channel, "to", e.To, "try", e.Tries, "answer", e.Answer)
	if n.config.Outcome != nil {
		n.config.Outcome(ctx, e)
	}
	if lost(err) { // the lease ended, or the tenant was deleted, meanwhile
		n.log.Warn("somebody else has had this message meanwhile: it may be sent twice", "tenant", e.Tenant, "message_id", e.ID)
		return nil
	}
	return err
}

// lost tells whether somebody else was faster, or the message is gone.
func lost(err error) bool {
	return errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound)
}
