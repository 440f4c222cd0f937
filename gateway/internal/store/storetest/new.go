package storetest

import (
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// New returns an empty store in memory, closed when the test ends.
func New(t testing.TB) *store.Store {
	t.Helper()
	return NewAt(t, nil)
}

// NewAt is New with a clock; nil means time.Now.
func NewAt(t testing.TB, now func() time.Time) *store.Store {
	t.Helper()
	return store.New(Memory(t), now)
}

// Memory returns an embedded driver in memory, closed when the test ends. Wrap
// it by [NewFaulty] to see how a caller takes failures.
func Memory(t testing.TB) store.Driver {
	t.Helper()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
