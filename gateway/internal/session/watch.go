package session

import "sync"

// watchers are the streams and tunnels that end with a session.
type watchers struct {
	mu   sync.Mutex
	next uint64
	all  map[uint64]watcher
}

type watcher struct {
	s     *Session
	ended func()
}

func (w *watchers) add(s *Session, ended func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[uint64]watcher{}
	}
	w.next++
	id := w.next
	w.all[id] = watcher{s, ended}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

// sweep tells and forgets the watchers whose session is dead.
func (w *watchers) sweep(dead func(*Session) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.all {
		if dead(x.s) {
			delete(w.all, id)
			go x.ended()
		}
	}
}
