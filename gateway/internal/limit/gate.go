package limit

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// Config bounds a Gate. Zero fields have the defaults.
type Config struct {
	Parallel int           // calls that run at once; GOMAXPROCS
	Queue    int           // calls that wait, of all tenants; 64. Negative: none
	Wait     time.Duration // the longest a call waits; 2 s
}

// Gate lets a bounded number of expensive calls run at once. Those that wait
// are taken one tenant after the other, so a tenant with many calls delays
// itself. Safe for concurrent use.
type Gate struct {
	config Config

	mu      sync.Mutex
	running int
	waiting int
	lines   map[string]*line // of tenants with at least one waiter
	turn    *line            // whose waiter comes next; a ring through next and prev
}

// line is the queue of one tenant, oldest first.
type line struct {
	tenant     string
	waiters    []*waiter
	next, prev *line
}

type waiter struct {
	let chan bool // true: go; false: pushed out. Buffered
}

// NewGate returns an open gate.
func NewGate(c Config) *Gate {
	if c.Parallel <= 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = 64
	}
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	return &Gate{config: c, lines: map[string]*line{}}
}

// Do runs fn in the caller's goroutine when it is this tenant's turn. It returns
// nil when fn has run, a fault.Unavailable with RetryAfter when the queue is full
// or the wait too long, and the context's error when the caller gave up; fn has
// not run then. A full queue makes room for a tenant that has fewer waiting by
// turning away the last of the tenant that has most.
func (g *Gate) Do(ctx context.Context, tenant string, fn func()) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for a free place: %w", err)
	}
	w, err := g.enter(tenant)
	if err != nil {
		return err
	}
	if w != nil {
		if err := g.wait(ctx, tenant, w); err != nil {
			return err
		}
	}
	defer g.leave()
	fn()
	return nil
}

// Load returns how many calls run and how many wait.
func (g *Gate) Load() (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, g.waiting
}

// enter takes a free place (nil) or a place in the queue.
func (g *Gate) enter(tenant string) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running < g.config.Parallel { // nobody waits then
		g.running++
		return nil, nil
	}
	if g.waiting >= g.config.Queue && !g.makeRoom(tenant) {
		return nil, g.busy("the queue is full")
	}
	w := &waiter{let: make(chan bool, 1)}
	g.push(tenant, w)
	return w, nil
}

func (g *Gate) wait(ctx context.Context, tenant string, w *waiter) error {
	late := time.NewTimer(g.config.Wait)
	defer late.Stop()
	var gaveUp error
	select {
	case ok := <-w.let:
		if ok {
			return nil
		}
		return g.busy("pushed out of the queue")
	case <-ctx.Done():
		gaveUp = fmt.Errorf("wait for a free place: %w", ctx.Err())
	case <-late.C:
		gaveUp = g.busy("waited too long")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.remove(tenant, w) {
		return gaveUp
	}
	if <-w.let { // the place came at the same moment: pass it on
		g.free()
	}
	return gaveUp
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free()
}

// free hands a place that became empty to the next tenant in turn.
func (g *Gate) free() {
	l := g.turn
	if l == nil {
		g.running--
		return
	}
	w := l.waiters[0]
	g.turn = l.next
	g.drop(l, 0)
	w.let <- true
}

// makeRoom turns away the youngest waiter of the longest line if that line is
// longer than the newcomer's would be.
func (g *Gate) makeRoom(tenant string) bool {
	var longest *line
	for _, l := range g.lines {
		if longest == nil || len(l.waiters) > len(longest.waiters) {
			longest = l
		}
	}
	own := 0
	if l := g.lines[tenant]; l != nil {
		own = len(l.waiters)
	}
	if longest == nil || len(longest.waiters) <= own+1 {
		return false
	}
	last := len(longest.waiters) - 1
	w := longest.waiters[last]
	g.drop(longest, last)
	w.let <- false
	return true
}

func (g *Gate) push(tenant string, w *waiter) {
	l := g.lines[tenant]
	if l == nil {
		l = &line{tenant: tenant}
		g.lines[tenant] = l
		if g.turn == nil {
			l.next, l.prev = l, l
			g.turn = l
		} else { // at the end of the round: just before whose turn it is
			l.next, l.prev = g.turn, g.turn.prev
			l.prev.next, l.next.prev = l, l
		}
	}
	l.waiters = append(l.waiters, w)
	g.waiting++
}

// remove takes w out of its line; false when it was let go before.
func (g *Gate) remove(tenant string, w *waiter) bool {
	l := g.lines[tenant]
	if l == nil {
		return false
	}
	for i, other := range l.waiters {
		if other == w {
			g.drop(l, i)
			return true
		}
	}
	return false
}

// drop removes the waiter at i, and the line with its last one.
func (g *Gate) drop(l *line, i int) {
	l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
	g.waiting--
	if len(l.waiters) > 0 {
		return
	}
	delete(g.lines, l.tenant)
	if l.next == l {
		g.turn = nil
		return
	}
	if g.turn == l {
		g.turn = l.next
	}
	l.prev.next, l.next.prev = l.next, l.prev
}

func (g *Gate) busy(why string) error {
	return &fault.Error{
		Kind:       fault.Unavailable,
		Public:     "Too much is going on at the moment; try again shortly.",
		RetryAfter: max(g.config.Wait, time.Second),
		Cause:      fmt.Errorf("gate: %s", why),
	}
}
