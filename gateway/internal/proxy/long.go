package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// lives are the exchanges that last: streams, long waits and upgraded
// connections. They end with their session and with the proxy.
type lives struct {
	mu     sync.Mutex
	all    map[*life]struct{}
	closed bool
}

// life is one of them. A nil life does nothing.
type life struct {
	of    *lives
	timer *time.Timer
	stop  func()

	over   atomic.Bool
	mu     sync.Mutex
	wake   func()
	closed bool
}

// add registers an exchange. wake is called, at most once and never after
// close, when it is to end; it must not wait for anything.
func (ls *lives) add(door Door, id *Identity, now time.Time, wake func()) *life {
	l := &life{of: ls, wake: wake}
	ls.mu.Lock()
	if ls.all == nil {
		ls.all = map[*life]struct{}{}
	}
	ls.all[l] = struct{}{}
	closed := ls.closed
	ls.mu.Unlock()
	if closed {
		l.end()
	}
	if id != nil {
		if !id.Expires.IsZero() {
			l.timer = time.AfterFunc(id.Expires.Sub(now), l.end)
		}
		l.stop = door.Watch(id, l.end)
	}
	return l
}

// end says that it is over before it wakes: whoever wakes looks.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over.Swap(true) && !l.closed {
		l.wake()
	}
}

func (l *life) ended() bool { return l != nil && l.over.Load() }

// close forgets the exchange: it has ended by itself.
func (l *life) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.of.mu.Lock()
	delete(l.of.all, l)
	l.of.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.stop != nil {
		l.stop()
	}
}

// endAll ends all, and those that come later at once.
func (ls *lives) endAll() {
	ls.mu.Lock()
	ls.closed = true
	all := make([]*life, 0, len(ls.all))
	for l := range ls.all {
		all = append(all, l)
	}
	ls.mu.Unlock()
	for _, l := range all {
		l.end()
	}
}
