package pool_test

import (
	"encoding/json"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/pool"
)

func importRow(t testing.TB, row int, text string) pool.ImportRow {
	t.Helper()
	out := pool.ImportRow{Row: row}
	if err := json.Unmarshal([]byte(text), &out.User); err != nil {
		t.Fatal(err)
	}
	return out
}
