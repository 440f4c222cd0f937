package session

import (
	"sync"

	"github.com/gatepost/gatepost/gateway/internal/changes"
)

// watchers are the streams and tunnels that end with a session or a token.
type watchers struct {
	mu   sync.Mutex
	next uint64
	all  map[uint64]watcher
}

type watcher struct {
	tenant string
	token  bool // it hangs on a grant, a client and itself, which no session does
	gone   func() bool
	ended  func()
}

func (w *watchers) add(x watcher) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[uint64]watcher{}
	}
	w.next++
	id := w.next
	w.all[id] = x
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

// sweep tells and forgets the watchers that which picks and that are gone.
func (w *watchers) sweep(which func(watcher) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.all {
		if which(x) && x.gone() {
			delete(w.all, id)
			go x.ended()
		}
	}
}

// drop tells and forgets every watcher: nobody knows which of them are gone.
func (w *watchers) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.all {
		delete(w.all, id)
		go x.ended()
	}
}

// touched returns which watchers revocations may be about; ok is false when none
// can be.
func touched(entries []changes.Entry) (which func(watcher) bool, ok bool) {
	all, tokens := map[string]bool{}, map[string]bool{} // tenants
	for _, e := range entries {
		switch {
		case !e.Revocation():
		case onTokens(e.Kind):
			tokens[e.Tenant] = true
		default:
			all[e.Tenant] = true
		}
	}
	return func(x watcher) bool { return all[x.tenant] || (x.token && tokens[x.tenant]) }, len(all)+len(tokens) > 0
}

// onTokens tells whether revocations of a kind end tokens and never a session.
func onTokens(kind string) bool {
	switch kind {
	case changes.KindRevokeToken, changes.KindRevokeGrant, changes.KindRevokeClient, changes.KindRevokeAccess:
		return true
	}
	return false
}
