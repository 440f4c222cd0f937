package pool_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// People see their metadata but for what its schema hides, at whatever depth.
func TestHiddenMetadataIsNotShown(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	_ = must[pool.Schema](t)(w.Schemas.Create(ctx, tenantID, pool.Schema{ID: "notes", Name: "Notes", Schema: json.RawMessage(`{"type":"object","properties":{"risk":{"type":"string","hidden":true},"plan":{"type":"object","properties":{"price":{"type":"number","hidden":true},"name":{"type":"string"}}}}}`)}))
	w.pool("p", nil)
	made := w.user("p", `"id":"anna","metadata_schema_id":"notes","metadata":{"risk":"high","plan":{"price":9.50,"name":"gold"},"since":2020}`)
	u, err := w.Users.Get(ctx, tenantID, "p", made.ID)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := w.Users.Self(ctx, &u)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"plan":{"name":"gold"},"since":2020}`, string(seen.Metadata)); diff != "" {
		t.Error(diff)
	}
	full := u.WithData()
	if diff := cmp.Diff(`{"risk":"high","plan":{"price":9.50,"name":"gold"},"since":2020}`, string(full.Metadata)); diff != "" {
		t.Errorf("an administrator sees: %s", diff)
	}
	two, err := w.Users.SelfV2(ctx, &u)
	if err != nil || len(two.Credentials) != 0 || two.FederatedAccounts == nil || string(two.PayloadSchema) == "" {
		t.Errorf("%+v, %v", two, err)
	}
}
