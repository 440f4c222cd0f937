package grant_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/grant"
)

// A person may be signed in to a client on many devices, but not on any number:
// the oldest grant ends, and nobody else's.
func TestOldestGrantEnds(t *testing.T) {
	t.Parallel()
	w := build(t)
	keep, err := grant.Open(t.Context(), w.store, grant.Config{Ring: w.ring, Marks: w.marks, Now: w.clock, Most: 3})
	if err != nil {
		t.Fatal(err)
	}
	start := func(id string, terms grant.Terms) {
		t.Helper()
		w.pass(time.Second)
		if _, err := keep.Start(t.Context(), "t", id, terms, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere, other, nobody := terms, terms, terms
	elsewhere.Client, other.User, nobody.Pool, nobody.User = "c2", "v", "", ""
	start("elsewhere", elsewhere)
	start("other", other)
	for i := range 5 {
		start(fmt.Sprintf("mine%d", i), terms)
		start(fmt.Sprintf("nobody%d", i), nobody)
	}
	for id, alive := range map[string]bool{
		"elsewhere": true, "other": true, "mine0": false, "mine1": false, "mine2": true, "mine3": true, "mine4": true, "nobody0": true,
	} {
		if _, err := keep.Find(t.Context(), "t", id); (err == nil) != alive || (err != nil && !errors.Is(err, grant.ErrInvalid)) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// Without rotation a refresh token stays good, and a stolen older one of the time
// before still gives nothing.
func TestReuse(t *testing.T) {
	t.Parallel()
	w := build(t)
	first, err := w.keep.Start(t.Context(), "t", "g", terms, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := w.keep.Refresh(t.Context(), "t", "c", first, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.pass(time.Minute)
		same, _, err := w.keep.Reuse(t.Context(), "t", "c", second, nil)
		if err != nil || same != second {
			t.Fatalf("%q, want %q: %v", same, second, err)
		}
	}
	if _, _, err := w.keep.Reuse(t.Context(), "t", "c", first, nil); !errors.Is(err, grant.ErrReused) {
		t.Errorf("an older one: %v", err)
	}
}
