package storetest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

func begin(t *testing.T) (*storetest.Faulty, *store.Table[string]) {
	t.Helper()
	f := storetest.NewFaulty(storetest.Memory(t))
	table, err := store.Declare(t.Context(), store.New(f, nil), store.Spec[string]{Name: "texts"})
	if err != nil {
		t.Fatal(err)
	}
	return f, table
}

// A driver without rules is the driver inside.
func TestFaultyIsADriver(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Server: "a driver that could fail",
		Open:   func(t testing.TB) store.Driver { return storetest.NewFaulty(storetest.Memory(t)) },
		Caps: storetest.Caps{
			NoReopen: "the memory mode keeps nothing", NoOld: "the driver inside is judged by its own test", Smaller: "it was judged at full size already",
		},
	})
}

func TestFaultyFail(t *testing.T) {
	t.Parallel()
	f, table := begin(t)
	own := errors.New("my own")
	f.Fail(storetest.OpInsert, "", 2, nil)
	f.Fail(storetest.OpGet, "texts", 1, own)
	f.Fail(storetest.OpGet, "others", 1, own)
	for i, want := range []error{nil, store.ErrUnavailable, nil} {
		if _, err := table.Create(t.Context(), "t", string(rune('a'+i)), "x"); !errors.Is(err, want) {
			t.Errorf("create %d: %v, want %v", i, err, want)
		}
	}
	for i, want := range []error{own, nil, nil} {
		if _, err := table.Get(t.Context(), "t", "a"); !errors.Is(err, want) {
			t.Errorf("get %d: %v, want %v", i, err, want)
		}
	}
	if _, err := table.Get(t.Context(), "t", "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the failed create left something: %v", err)
	}
	if got := f.Calls(storetest.OpGet); got != 4 {
		t.Errorf("%d gets, want 4", got)
	}
}

func TestFaultyLose(t *testing.T) {
	t.Parallel()
	f, table := begin(t)
	f.Lose(storetest.OpInsert, "", 1)
	if _, err := table.Create(t.Context(), "t", "a", "x"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("create: %v", err)
	}
	f.Lose(storetest.OpDelete, "", 1)
	if _, err := table.Take(t.Context(), "t", "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("take of what was created: %v", err)
	}
	if _, err := table.Get(t.Context(), "t", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get of what was taken: %v", err)
	}
}

func TestFaultyHold(t *testing.T) {
	t.Parallel()
	f, table := begin(t)
	release := make(chan struct{})
	f.Hold(storetest.OpInsert, "", 1, release)
	f.Hold(storetest.OpAny, "", 3, make(chan struct{})) // the insert, the get below, then this
	held := make(chan error, 1)
	go func() {
		_, err := table.Create(t.Context(), "t", "a", "x")
		held <- err
	}()
	for f.Calls(storetest.OpInsert) == 0 {
		runtime.Gosched()
	}
	if _, err := table.Get(t.Context(), "t", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get while the create is held: %v", err)
	}
	close(release)
	if err := <-held; err != nil {
		t.Errorf("held create: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.Get(ctx, "t", "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("held get whose context ends: %v", err)
	}
}

func TestFaultyDown(t *testing.T) {
	t.Parallel()
	f, table := begin(t)
	f.Down(nil)
	if _, err := table.Create(t.Context(), "t", "a", "x"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("create while down: %v", err)
	}
	if err := f.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping while down: %v", err)
	}
	f.Up()
	if _, err := table.Create(t.Context(), "t", "a", "x"); err != nil {
		t.Errorf("create when up again: %v", err)
	}
}
