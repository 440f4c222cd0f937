package pool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// TestImportOfManyUsers logs how fast an import is without the network: see also
// the one of the command. The long runs import more.
func TestImportOfManyUsers(t *testing.T) {
	t.Parallel()
	users := 2_000
	if os.Getenv("GATEPOST_FAULT_ROUNDS") != "" {
		users = 100_000
	}
	const batch = 500
	w := open(t, func(_ *world, c *pool.Config, d *store.Driver) {
		onDisk, err := embedded.Open(embedded.Config{Path: filepath.Join(t.TempDir(), "gatepost.db")})
		if err != nil {
			t.Fatal(err)
		}
		*d = onDisk
		events, err := audit.Open(t.Context(), store.New(onDisk, nil), audit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		c.Audit = events
	})
	w.pool("p", nil)
	start := time.Now()
	for at := 0; at < users; at += batch {
		rows := make([]pool.ImportRow, batch)
		for i := range rows {
			rows[i] = importRow(t, at+i, fmt.Sprintf(`{"external_id":"x%d","identifiers":[{"identifier":"user%d@example.com","type":"email"}],
				"verifiable_addresses":[{"address":"user%d@example.com","type":"email","verified":true}],
				"payload":{"given_name":"Ada","family_name":"Lovelace %d","name":"Ada Lovelace"},
				"credentials":[{"type":"password","hashed_password":"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}]}`, at+i, at+i, at+i, at+i))
		}
		results, err := w.Users.Import(t.Context(), tenantID, "p", rows, pool.ImportOptions{Run: "many"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome != pool.ImportCreated {
				t.Fatal(r)
			}
		}
	}
	took := time.Since(start)
	t.Logf("%d users in %v: %.0f rows/s", users, took.Round(time.Millisecond), float64(users)/took.Seconds())
}
