package store_test

import (
	"encoding/json"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/storetest"
)

// Two packages that choose one name would read and index each other's records.
func TestTwoTypesCannotShareATable(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	type apple struct{ A string }
	type pear struct{ P string }
	if _, err := store.Declare(t.Context(), s, store.Spec[apple]{Name: "fruit"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Declare(t.Context(), s, store.Spec[apple]{Name: "fruit"}); err != nil {
		t.Errorf("the same type again: %v", err)
	}
	if _, err := store.Declare(t.Context(), s, store.Spec[pear]{Name: "fruit"}); err == nil {
		t.Error("another type took the table")
	}
	if _, err := store.Declare(t.Context(), s, store.Spec[json.RawMessage]{Name: "fruit"}); err != nil {
		t.Errorf("a view of the raw documents: %v", err)
	}
}
