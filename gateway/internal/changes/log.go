package changes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config configures a Log. Zero fields have the defaults.
type Config struct {
	Interval  time.Duration // between two looks for the next slot; 500 ms
	Retention time.Duration // slots are kept at least so long; 24 h
	MaxStale  time.Duration // Fresh fails when the last good read is longer ago; 10 s
	Now       func() time.Time
	Log       *slog.Logger
}

// Log is one process's view of the change log. Safe for concurrent use.
type Log struct {
	config Config
	table  *store.Table[slot]

	turn        chan struct{} // holds one token: who has it reads, writes and applies
	subscribers []func([]Entry)
	last        int64 // revision of the slot at position: another log has another one there
	failing     bool  // the last read failed, and was logged

	position atomic.Uint64
	read     atomic.Pointer[time.Time] // when the log was last known to its end

	mu    sync.Mutex
	group *group // open for more entries; nil: none waits
}

// slot is the record of one position.
type slot struct {
	At      time.Time `json:"at"`
	Entries []Entry   `json:"entries"`
}

const (
	tenant   = "-"             // the log belongs to no tenant
	digits   = 20              // of the largest position
	batch    = 100             // slots read at once
	patience = 5 * time.Second // for one write
)

// Open declares the table and stands at the end of the log: entries up to there
// are never delivered, so load what they are about afterwards.
func Open(ctx context.Context, s *store.Store, c Config) (*Log, error) {
	c.Interval = orElse(c.Interval, 500*time.Millisecond)
	c.Retention = orElse(c.Retention, 24*time.Hour)
	c.MaxStale = orElse(c.MaxStale, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	table, err := store.Declare(ctx, s, store.Spec[slot]{Name: "changes"})
	if err != nil {
		return nil, fmt.Errorf("change log: %w", err)
	}
	l := &Log{config: c, table: table, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	if err := l.jump(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func orElse(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Subscribe adds a function that gets every later entry, in order, once, one
// call at a time. A nil slice means: drop every cache, entries may have been
// missed. fn must be quick and must not call Append or CatchUp. Call Subscribe
// before Run and before the first Append.
func (l *Log) Subscribe(fn func([]Entry)) {
	<-l.turn
	defer l.pass()
	l.subscribers = append(l.subscribers, fn)
}

// Position returns the number of the last slot that was applied here.
func (l *Log) Position() uint64 { return l.position.Load() }

// Stale returns for how long the end of the log has not been seen; 0 means that
// the last look, or the one before, did.
func (l *Log) Stale() time.Duration {
	if d := l.away(); d > 2*l.config.Interval {
		return d
	}
	return 0
}

// Fresh returns a fault.Unavailable when the log has not been read for MaxStale:
// revocations may then have been missed.
func (l *Log) Fresh() error {
	d := l.Stale()
	if d <= l.config.MaxStale {
		return nil
	}
	return &fault.Error{
		Kind:       fault.Unavailable,
		Public:     "The gateway has lost touch with its store; try again shortly.",
		RetryAfter: time.Second,
		Cause:      fmt.Errorf("change log: not read for %v", d.Round(time.Millisecond)),
	}
}

// Run follows the log until ctx ends, and then returns nil. Failures to read are
// logged and show in Stale and Fresh.
func (l *Log) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.trimmer(ctx) })
	tick := time.NewTicker(l.config.Interval)
	defer tick.Stop()
	for {
		l.poll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// poll looks once, and never for so long that staleness could go unnoticed.
func (l *Log) poll(ctx context.Context) {
	once, cancel := context.WithTimeout(ctx, l.config.MaxStale)
	defer cancel()
	err := l.CatchUp(once)
	if ctx.Err() != nil {
		return
	}
	<-l.turn
	defer l.pass()
	if err != nil && !l.failing {
		l.config.Log.Error("the change log cannot be read", "err", err)
	}
	if err == nil && l.failing {
		l.config.Log.Info("the change log is read again", "position", l.Position())
	}
	l.failing = err != nil
}

// CatchUp applies everything up to the end of the log now.
func (l *Log) CatchUp(ctx context.Context) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.pass()
	return l.follow(ctx)
}

// take waits for the turn.
func (l *Log) take(ctx context.Context) error {
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("change log: %w", ctx.Err())
	}
}

func (l *Log) pass() { l.turn <- struct{}{} }

// follow reads and applies to the end. The caller has the turn, as for all below.
func (l *Log) follow(ctx context.Context) error {
	if l.away() > l.config.Retention/2 {
		return l.skip(ctx, "away for too long")
	}
	for {
		rows, err := l.next(ctx)
		if errors.Is(err, errOther) {
			return l.skip(ctx, "the log is not the one that was read before")
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.ID != name(l.Position()+1) {
				return l.gap(ctx)
			}
			l.apply(row)
		}
		if len(rows) < batch {
			l.atEnd()
			return nil
		}
	}
}

// errOther means that the slot at the position is gone or not the one that was
// applied: a backup was put back, or everything up to there was removed.
var errOther = errors.New("change log: another log")

// next reads what follows the position. It reads the slot there once more, which
// costs nothing and shows whether this still is the same log.
func (l *Log) next(ctx context.Context) ([]store.Row[slot], error) {
	at := l.Position()
	rows, err := l.table.Find(ctx, tenant, store.Query{From: name(max(at, 1))}, store.Page{Limit: batch + 1})
	if err != nil {
		return nil, fmt.Errorf("change log: %w", err)
	}
	if at == 0 {
		return rows, nil
	}
	if len(rows) == 0 || rows[0].ID != name(at) || rows[0].Rev != l.last {
		return nil, errOther
	}
	return rows[1:], nil
}

// gap is called when a slot after the next one was read. A scan may pass the
// place of a slot just before it is made; a slot that is missing for good was
// removed.
func (l *Log) gap(ctx context.Context) error {
	row, err := l.table.Get(ctx, tenant, name(l.Position()+1))
	if errors.Is(err, store.ErrNotFound) {
		return l.skip(ctx, "the next slot is gone")
	}
	if err != nil {
		return fmt.Errorf("change log: %w", err)
	}
	l.apply(row)
	return l.follow(ctx)
}

// skip goes to the end without reading what is between.
func (l *Log) skip(ctx context.Context, why string) error {
	from := l.Position()
	if err := l.jump(ctx); err != nil {
		return err
	}
	l.config.Log.Warn("the change log was left; all caches are dropped", "why", why, "from", from, "to", l.Position())
	l.deliver(nil)
	return nil
}

// jump stands at the last slot, or at 0 when there is none.
func (l *Log) jump(ctx context.Context) error {
	rows, err := l.table.Range(ctx, tenant, "", store.Page{Desc: true, Limit: 1})
	if err != nil {
		return fmt.Errorf("change log: %w", err)
	}
	var end uint64
	l.last = 0
	if len(rows) > 0 {
		if end, err = strconv.ParseUint(rows[0].ID, 10, 64); err != nil {
			return fmt.Errorf("change log: slot %q has no number: %w", rows[0].ID, err)
		}
		l.last = rows[0].Rev
	}
	l.position.Store(end)
	l.atEnd()
	return nil
}

// apply delivers the slot after the position.
func (l *Log) apply(row store.Row[slot]) {
	l.last = row.Rev
	l.position.Add(1)
	if len(row.Value.Entries) > 0 {
		l.deliver(row.Value.Entries)
	}
}

func (l *Log) deliver(entries []Entry) {
	for _, fn := range l.subscribers {
		if !l.call(fn, entries) {
			l.call(fn, nil)
		}
	}
}

// call contains a subscriber's panic: the log goes on for the others, and this
// one starts over.
func (l *Log) call(fn func([]Entry), entries []Entry) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			l.config.Log.Error("a subscriber of the change log failed", "panic", r, "position", l.Position())
		}
	}()
	fn(entries)
	return true
}

// atEnd notes that everything in the log was applied just now.
func (l *Log) atEnd() {
	now := l.config.Now()
	l.read.Store(&now)
}

func (l *Log) away() time.Duration { return since(l.config.Now(), *l.read.Load()) }

// since is the longer of what the steady and the wall clock say: the first
// stands still while a machine sleeps, the second may be put back.
func since(now, then time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)), 0)
}

func name(n uint64) string { return fmt.Sprintf("%0*d", digits, n) }
