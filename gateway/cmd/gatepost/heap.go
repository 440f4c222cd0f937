package main

import (
	"os"
	"sync/atomic"
	"time"
)

const (
	// room is how much garbage may lie about before the collector runs, in bytes.
	// The gateway's own heap is small, so that by Go's rule (collect when it has
	// doubled) the collector would run all the time under load.
	room = 64 << 20
	// settled is when the start, whose garbage is not to stay, is over.
	settled = 10 * time.Second
)

// roomy gives the heap room, once the program has run for a while, and returns a
// function that takes it back. The room is address space that is never written
// to: it takes no memory of the machine. Who set GOGC or GOMEMLIMIT has decided
// already.
func roomy() (done func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	var reserved atomic.Pointer[[]byte]
	timer := time.AfterFunc(settled, func() {
		b := make([]byte, room)
		reserved.Store(&b)
	})
	return func() {
		timer.Stop()
		reserved.Store(nil)
	}
}
