package pool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// bcryptU is a hash of U*U, of the test vectors of crypt_blowfish.
const bcryptU = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

func importRow(t testing.TB, row int, text string) pool.ImportRow {
	t.Helper()
	out := pool.ImportRow{Row: row}
	if err := json.Unmarshal([]byte(text), &out.User); err != nil {
		t.Fatal(err)
	}
	return out
}

// bring imports rows, numbered from 1, and returns their outcomes.
func (w *world) bring(in string, o pool.ImportOptions, texts ...string) []pool.ImportResult {
	w.t.Helper()
	rows := make([]pool.ImportRow, len(texts))
	for i, text := range texts {
		rows[i] = importRow(w.t, i+1, text)
	}
	return must[[]pool.ImportResult](w.t)(w.Users.Import(w.t.Context(), tenantID, in, rows, o))
}

func brief(results []pool.ImportResult) []string {
	out := make([]string, len(results))
	for i, r := range results {
		out[i] = r.Outcome
		if r.Err != nil {
			out[i] += " " + fault.Read(r.Err).Field
		}
	}
	return out
}

var mixed = []string{
	`{"external_id":"1","identifiers":[{"identifier":"ann@example.com","type":"email"}],"credentials":[{"type":"password","hashed_password":"` + bcryptU + `"}]}`,
	`{"external_id":"2","identifiers":[{"identifier":"ANN@EXAMPLE.COM","type":"email"}]}`,
	`{"payload":{"given_name":1}}`,
	`{"credentials":[{"type":"password","hashed_password":"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}]}`,
	`{"credentials":[{"type":"password","hashed_password":{"value":"?"}}]}`,
	`{"credentials":[{"type":"password"}]}`,
	`{"id":"old","identifiers":[{"identifier":"other","type":"uid"}]}`,
	`{"identifiers":[{"identifier":"taken@example.com","type":"email"}]}`,
	`{"credentials":[{"type":"password","password":"in the clear"},{"type":"totp","totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}]}`,
	`{"groups":["g"]}`,
}

var mixedOutcomes = []string{
	"created", "failed identifiers[0].identifier", "failed payload.family_name", "failed credentials[0].hashed_password",
	"failed credentials[0].hashed_password", "failed credentials[0].hashed_password", "failed id", "failed identifiers[0].identifier", "created", "failed groups",
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", insensitive)
	w.user("p", `"id":"old","identifiers":[{"type":"email","identifier":"taken@example.com"}]`)
	before := must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, all))
	w.told()

	dry := w.bring("p", pool.ImportOptions{Run: "r", DryRun: true}, mixed...)
	if d := cmp.Diff(mixedOutcomes, brief(dry)); d != "" {
		t.Error("dry run:", d)
	}
	if d := cmp.Diff(before, must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, all))); d != "" || len(w.told()) > 0 {
		t.Error("a dry run has written:", d)
	}
	if len(dry[0].Names) != 2 || len(dry[1].Names) != 2 || dry[0].Names[0] != dry[1].Names[0] {
		t.Error(dry[0].Names, dry[1].Names)
	}

	if d := cmp.Diff(mixedOutcomes, brief(w.bring("p", pool.ImportOptions{Run: "r"}, mixed...))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"user_created", "user_created", "import_executed"}, w.told()); d != "" {
		t.Error(d)
	}
	again := append([]string(nil), mixedOutcomes...)
	again[0], again[8] = "unchanged", "unchanged"
	if d := cmp.Diff(again, brief(w.bring("p", pool.ImportOptions{Run: "r"}, mixed...))); d != "" {
		t.Error("again:", d)
	}
	// What a user has done since stays.
	r := must[pool.Result](t)(w.Users.CheckPassword(t.Context(), tenantID, "p", checking, "ann@example.com", "U*U"))
	if !r.Proven() {
		t.Fatal(r.Outcome)
	}
	u := must[pool.User](t)(w.Users.ByIdentifier(t.Context(), tenantID, "p", "ann@example.com"))
	if hash := u.Credential(pool.TypePassword).Hash; strings.HasPrefix(hash, "$2a$") {
		t.Error("the hash was not made anew:", hash)
	}
	if r := w.bring("p", pool.ImportOptions{Run: "another"}, mixed[0]); r[0].Outcome != pool.ImportUnchanged || r[0].ID != u.ID {
		t.Error(r)
	}
}

var all = store.Page{Limit: 1000}

// The states and ends of passwords that come along.
func TestImportedPasswords(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	for i, tc := range []struct{ members, state, expires string }{
		{``, pool.StateValid, ""},
		{`,"must_be_changed":true`, pool.StateMustBeChanged, ""},
		{`,"must_be_changed":true,"must_be_reset":true`, pool.StateMustBeReset, ""},
		{`,"state":"must_be_reset"`, pool.StateMustBeReset, ""},
		{`,"expires_at":"1900-01-01T00:00:00Z"`, pool.StateValid, ""},
		{`,"expires_at":"0001-01-01T00:00:00Z"`, pool.StateValid, ""},
		{`,"expires_at":"2020-01-01T00:00:00Z"`, pool.StateMustBeReset, "2020-01-01T00:00:00Z"},
		{`,"expires_at":"2030-01-01T00:00:00Z"`, pool.StateValid, "2030-01-01T00:00:00Z"},
	} {
		id := fmt.Sprint("u", i)
		r := w.bring("p", pool.ImportOptions{}, `{"id":"`+id+`","credentials":[{"type":"password","hashed_password":"`+bcryptU+`"`+tc.members+`}]}`)
		if r[0].Outcome != pool.ImportCreated {
			t.Fatal(tc.members, r[0].Err)
		}
		u := must[pool.User](t)(w.Users.Get(t.Context(), tenantID, "p", id))
		c := u.Credential(pool.TypePassword)
		expires := ""
		if !c.ExpiresAt.IsZero() {
			expires = c.ExpiresAt.Format(time.RFC3339)
		}
		if c.State != tc.state || expires != tc.expires {
			t.Errorf("%s: %s %s", tc.members, c.State, expires)
		}
	}
}

// Two imports of one file, single creations of the same people, and another
// writer of their names at once: no name is ever two people's.
func TestImportsRace(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	const people = 60
	var rows []string
	for i := range people {
		rows = append(rows, fmt.Sprintf(`{"external_id":"%d",%s}`, i, email(fmt.Sprintf("u%d@example.com", i))))
	}
	var group sync.WaitGroup
	made := make([]map[string]bool, 3)
	for n, run := range []string{"a", "a", "b"} {
		made[n] = map[string]bool{}
		group.Go(func() {
			for _, r := range w.bring("p", pool.ImportOptions{Run: run}, rows...) {
				if r.Outcome == pool.ImportCreated {
					made[n][r.ID] = true
				}
			}
		})
	}
	single := 0
	group.Go(func() {
		for i := range people {
			if _, err := w.create("p", email(fmt.Sprintf("u%d@example.com", i))); err == nil {
				single++
			}
		}
	})
	group.Wait()
	found := must[[]pool.User](t)(w.Users.List(t.Context(), tenantID, "p", pool.Query{}, all))
	seen := map[string]string{}
	for _, u := range found {
		for _, id := range u.Identifiers {
			key := id.Type + id.Value
			if other := seen[key]; other != "" {
				t.Errorf("%s is that of %s and of %s", id.Value, other, u.ID)
			}
			seen[key] = u.ID
		}
	}
	if n := len(made[0]) + len(made[1]) + len(made[2]) + single; n != len(found) || n != people {
		t.Errorf("%d were told to be created, %d are there, of %d", n, len(found), people)
	}
	for i := range people {
		must[pool.User](t)(w.Users.ByIdentifier(t.Context(), tenantID, "p", fmt.Sprintf("u%d@example.com", i)))
	}
}

// What is exported makes the same users in an empty pool, and they sign in.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", nil)
	w.pool("q", nil)
	w.user("p", `"id":"a",`+email("a@example.com")+`,"user_type":"jit","metadata":{"k":[1,2]},
		"verifiable_addresses":[{"type":"email","address":"a@example.com","status":"active","verified":true},{"type":"mobile","address":"+48 123 456 789","status":"inactive","verified":false,"preferred_contact_method":"voice"}],
		"credentials":[{"type":"password","password":"right","must_be_changed":true},{"type":"totp","totp_secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"},{"type":"webauthn","webauthn_credentials":[`+passkeyRecord("key")+`]}]`)
	w.bring("p", pool.ImportOptions{}, `{"id":"b","external_id":"ext","status":"inactive"}`)
	w.advance(time.Hour)
	was := must[[]pool.ExportUser](t)(w.Users.Export(t.Context(), tenantID, "p", "", 100, true))
	var lines []string
	for i := range was {
		lines = append(lines, encode(t, was[i]))
	}
	for _, r := range w.bring("q", pool.ImportOptions{}, lines...) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	now := must[[]pool.ExportUser](t)(w.Users.Export(t.Context(), tenantID, "q", "", 100, true))
	if d := cmp.Diff(encode(t, was), encode(t, now)); d != "" {
		t.Error(d)
	}
	r := must[pool.Result](t)(w.Users.CheckPassword(t.Context(), tenantID, "q", checking, "a@example.com", "right"))
	if !r.Proven() {
		t.Error(r.Outcome)
	}
	if page := must[[]pool.ExportUser](t)(w.Users.Export(t.Context(), tenantID, "p", "a", 1, false)); len(page) != 1 || page[0].ID != "b" || page[0].Credentials != nil {
		t.Error(encode(t, page))
	}
}

// A membership that failed after its user was written is made up for when the row
// comes again, with and without an external id.
func TestImportMakesUpForLostMemberships(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.pool("p", insensitive)
	rows := []string{
		`{"external_id":"e1","groups":["g"],"status":"active","payload":{"given_name":"A","family_name":"B","name":"C"}}`,
		`{"identifiers":[{"type":"email","identifier":"x@example.com"}],"groups":["g"],"status":"active","payload":{"given_name":"A","family_name":"B","name":"C"}}`,
	}
	joined := map[string]int{}
	var mu sync.Mutex
	o := pool.ImportOptions{Run: "r", Join: func(context.Context, *pool.User, []string) error { return store.ErrUnavailable }}
	if d := cmp.Diff([]string{"failed ", "failed "}, brief(w.bring("p", o, rows...))); d != "" {
		t.Fatal(d)
	}
	o.Join = func(_ context.Context, u *pool.User, groups []string) error {
		mu.Lock()
		defer mu.Unlock()
		joined[u.ID] += len(groups)
		return nil
	}
	again := w.bring("p", o, rows...)
	if d := cmp.Diff([]string{"unchanged", "unchanged"}, brief(again)); d != "" {
		t.Error(d)
	}
	if joined[again[0].ID] != 1 || joined[again[1].ID] != 1 {
		t.Errorf("joined %v", joined)
	}
	o.Run = "another"
	w.bring("p", o, rows[0])
	if joined[again[0].ID] != 1 {
		t.Error("another run changes who was there before")
	}
}
