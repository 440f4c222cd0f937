package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Why an exchange that lasts is over.
var (
	errEnded   = errors.New("the session ended")
	errStopped = errors.New("the gateway stops")
)

// lives are the exchanges that last: streams, long waits and upgraded
// connections. They end with their session and with the proxy; those that yield
// end when it begins to drain.
type lives struct {
	mu       sync.Mutex
	all      map[*life]struct{}
	draining bool
	closed   bool
}

// life is one of them. A nil life does nothing.
type life struct {
	of     *lives
	timer  *time.Timer
	stop   func()
	yields bool          // guarded by of.mu
	done   chan struct{} // closed by close

	why    atomic.Pointer[error]
	mu     sync.Mutex
	wake   func()
	closed bool
}

// add registers an exchange. wake is called, at most once and never after
// close, when it is to end; it must not wait for anything.
func (ls *lives) add(door Door, id *Identity, now time.Time, wake func()) *life {
	l := &life{of: ls, wake: wake, done: make(chan struct{})}
	ls.mu.Lock()
	if ls.all == nil {
		ls.all = map[*life]struct{}{}
	}
	ls.all[l] = struct{}{}
	closed := ls.closed
	ls.mu.Unlock()
	if closed {
		l.end(errStopped)
	}
	if id != nil {
		ended := func() { l.end(errEnded) }
		if !id.Expires.IsZero() {
			l.timer = time.AfterFunc(id.Expires.Sub(now), ended)
		}
		l.stop = door.Watch(id, ended)
	}
	return l
}

// yield says that the exchange ends when the proxy drains: it has no end of its
// own to wait for, and its client connects again.
func (l *life) yield() {
	l.of.mu.Lock()
	l.yields = true
	draining := l.of.draining
	l.of.mu.Unlock()
	if draining {
		l.end(errStopped)
	}
}

// end says why it is over before it wakes: whoever wakes looks. The first reason
// counts.
func (l *life) end(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why.CompareAndSwap(nil, &why) && !l.closed {
		l.wake()
	}
}

// over returns errEnded or errStopped once the exchange is to end, else nil.
func (l *life) over() error {
	if l == nil {
		return nil
	}
	if why := l.why.Load(); why != nil {
		return *why
	}
	return nil
}

// close forgets the exchange, which has ended. It is called once.
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
	close(l.done)
}

// drain ends those that yield, and those that come later at once. It returns
// when they have ended, or when ctx has.
func (ls *lives) drain(ctx context.Context) {
	ls.mu.Lock()
	ls.draining = true
	ls.mu.Unlock()
	for _, l := range ls.end(func(l *life) bool { return l.yields }) {
		select {
		case <-l.done:
		case <-ctx.Done():
			return
		}
	}
}

// endAll ends all, and those that come later at once.
func (ls *lives) endAll() {
	ls.mu.Lock()
	ls.draining, ls.closed = true, true
	ls.mu.Unlock()
	ls.end(func(*life) bool { return true })
}

// end ends those that which, called with the lock held, picks.
func (ls *lives) end(which func(*life) bool) []*life {
	ls.mu.Lock()
	picked := make([]*life, 0, len(ls.all))
	for l := range ls.all {
		if which(l) {
			picked = append(picked, l)
		}
	}
	ls.mu.Unlock()
	for _, l := range picked {
		l.end(errStopped)
	}
	return picked
}
