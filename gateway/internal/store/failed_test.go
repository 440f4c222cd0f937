package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// Failures of the backend are told, its refusals are not.
func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	d := storetest.NewFaulty(storetest.Memory(t))
	s := store.New(d, nil)
	var told []string
	s.Failed = func(table, operation string) { told = append(told, table+" "+operation) }
	table, err := store.Declare(t.Context(), s, store.Spec[string]{Name: "fruit"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Get(t.Context(), "acme", "apple"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	d.Down(nil)
	_, _ = table.Create(t.Context(), "acme", "apple", "red")
	_, _ = table.Get(t.Context(), "acme", "apple")
	_, _ = table.Take(t.Context(), "acme", "apple")
	_ = table.Delete(t.Context(), "acme", "apple")
	_, _ = table.Range(t.Context(), "acme", "", store.Page{})
	_, _ = s.Sweep(t.Context(), 10)
	_ = s.Purge(t.Context(), "acme")
	want := []string{"fruit create", "fruit get", "fruit get", "fruit delete", "fruit list", "fruit sweep", "fruit purge"}
	if d := cmp.Diff(want, told); d != "" {
		t.Error(d)
	}
}
