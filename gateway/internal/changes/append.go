package changes

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/store"
)

// largest is how many entries a group takes before the next one is opened.
const largest = 256

// group is the entries of one slot to be.
type group struct {
	entries  []Entry
	done     chan struct{} // closed when position and err are set
	position uint64
	err      error
}

// Append adds entries in order to the log and returns the number of their slot.
// When it returns without an error they are stored, and applied in this process.
// Entries of callers that come together share a slot. After an error they may
// have been written or not: append again, subscribers take an entry twice. No
// entries: the present position.
func (l *Log) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	if len(entries) == 0 {
		return l.Position(), nil
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("append to the change log: %w", err)
	}
	g := l.join(ctx, entries)
	select {
	case <-g.done:
		return g.position, g.err
	case <-ctx.Done(): // the group is written all the same: others wait for it
		return 0, fmt.Errorf("append to the change log: %w", ctx.Err())
	}
}

// join puts entries into the group that waits, or opens one.
func (l *Log) join(ctx context.Context, entries []Entry) *group {
	now := l.config.Now().UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.group
	if g == nil || len(g.entries) >= largest {
		g = &group{done: make(chan struct{})}
		l.group = g
		go l.write(context.WithoutCancel(ctx), g)
	}
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = now
		}
		g.entries = append(g.entries, e)
	}
	return g
}

// write waits for the turn, closes the group and gives it the next free slot.
func (l *Log) write(ctx context.Context, g *group) {
	defer close(g.done)
	<-l.turn
	defer l.pass()
	l.mu.Lock()
	if l.group == g {
		l.group = nil
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if g.err = l.create(ctx, g.entries); g.err == nil {
		g.position = l.Position()
	}
}

// create makes the slot after the position. Where another gateway was faster its
// slot is applied first: nothing is ever created past a slot that was not read.
// Who was away finds the end first: the slot after its position may be one that
// was removed.
func (l *Log) create(ctx context.Context, entries []Entry) error {
	if l.away() > l.config.Retention/2 {
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
	for {
		at := l.config.Now().UTC()
		row, err := l.table.Create(ctx, tenant, name(l.Position()+1), slot{At: at, Entries: entries})
		if err == nil {
			l.apply(row)
			l.atEnd()
			return nil
		}
		if !errors.Is(err, store.ErrExists) {
			return fmt.Errorf("append to the change log: %w", err)
		}
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
}
