package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// The outcomes of a row of an import.
const (
	ImportCreated   = "created"   // in a dry run: would be
	ImportUnchanged = "unchanged" // the user is there already
	ImportFailed    = "failed"
)

const (
	// importWorkers write users at once. The store commits what is waiting together,
	// so many that wait cost little more than one.
	importWorkers = 500
	// importHashes are the passwords of one import that are hashed at once: people who
	// sign in meanwhile come first.
	importHashes = 2
)

// ImportRow is one row of an import.
type ImportRow struct {
	Row  int // its number, for messages and ids
	User ImportUser
}

// ImportOptions are those of Users.Import.
type ImportOptions struct {
	// Run names the import. Rows without an id get one that is made of it and their
	// number, so that sending them again makes nobody twice.
	Run    string
	DryRun bool      // check everything, write nothing
	Until  time.Time // no row is begun after this; zero: no bound
	// Join makes a new user a member of the groups of their row. nil: rows with
	// groups fail.
	Join func(ctx context.Context, u *User, groups []string) error
}

// ImportResult is what became of a row.
type ImportResult struct {
	Row     int
	Outcome string
	ID      string // of the user
	// Names are short hashes of the names that the row claims: equal ones in two rows
	// mean that the second fails. Of a dry run alone.
	Names []string
	Err   error // of ImportFailed; Unavailable and the store's mean: try again
}

// Import creates users in a pool and says what became of every row; one that is
// wrong does not stop the rest. The result is shorter than rows when the time is
// up. It may run beside any other writer.
//
// A row whose external id somebody has, or that was written by the same run, is
// unchanged: what that user did since, such as another password, stays. Errors:
// NotFound for the pool.
func (k *Users) Import(ctx context.Context, tenant, pool string, rows []ImportRow, o ImportOptions) ([]ImportResult, error) {
	p, err := k.pools.Get(ctx, tenant, pool)
	if err != nil {
		return nil, err
	}
	run := &importRun{users: k, pool: &p, options: o, rows: rows, made: make([]User, len(rows)), results: make([]ImportResult, len(rows)), hashing: make(chan struct{}, importHashes)}
	done := run.each(ctx, len(rows), run.check)
	run.results = run.results[:done]
	run.twice()
	if !o.DryRun {
		run.options.Until = time.Time{} // what was checked is written
		// A caller who goes away does not leave names claimed for users that are not
		// there: the next run would find them taken until the claims lapse.
		run.each(context.WithoutCancel(ctx), done, run.write)
		err = run.event(ctx)
	}
	return run.results, err
}

// importRun is one call of Import.
type importRun struct {
	users   *Users
	pool    *Pool
	options ImportOptions
	rows    []ImportRow
	made    []User // checked, of rows without an outcome yet
	results []ImportResult
	hashing chan struct{} // slots for those who hash
}

// each does something for the first n rows, many at once, and returns how many
// were begun.
func (r *importRun) each(ctx context.Context, n int, do func(context.Context, int)) int {
	var all sync.WaitGroup
	slots := make(chan struct{}, importWorkers)
	defer all.Wait()
	for i := range n {
		slots <- struct{}{}
		if until := r.options.Until; !until.IsZero() && i > 0 && !r.users.config.Now().Before(until) {
			return i
		}
		all.Go(func() {
			do(ctx, i)
			<-slots
		})
	}
	return n
}

// check makes a user of a row, or ends it.
func (r *importRun) check(ctx context.Context, i int) {
	row := &r.rows[i]
	r.results[i].Row = row.Row
	if row.User.ExternalID != "" {
		had, err := r.users.holder(ctx, r.pool, externalName(row.User.ExternalID))
		if err == nil {
			if had.ID == r.id(row) { // written by this run, whose answer got lost
				err = r.join(ctx, i, &had)
			}
			r.end(i, orElse(failed(err), ImportUnchanged), had.ID, err)
			return
		}
		if !errors.Is(err, store.ErrNotFound) {
			r.end(i, ImportFailed, "", err)
			return
		}
	}
	plain := row.User.plain()
	if plain {
		r.hashing <- struct{}{}
	}
	u, err := r.users.incoming(ctx, r.pool, &row.User, r.id(row))
	if plain {
		<-r.hashing
	}
	if err == nil && len(row.User.Groups) > 0 && r.options.Join == nil {
		err = fault.At(fault.Unprocessable, "groups", "cannot be imported here")
	}
	if err != nil {
		r.end(i, ImportFailed, "", err)
		return
	}
	r.made[i] = u
	if r.options.DryRun {
		r.probe(ctx, i, &u)
	}
}

// probe is a dry run's look at the pool.
func (r *importRun) probe(ctx context.Context, i int, u *User) {
	for _, n := range u.names() {
		sum := sha256.Sum256([]byte(store.ID(r.pool.Epoch, n.Source, n.Key)))
		r.results[i].Names = append(r.results[i].Names, hex.EncodeToString(sum[:10]))
	}
	there, err := r.there(ctx, u)
	switch {
	case err != nil:
		r.end(i, ImportFailed, "", err)
	case there != "":
		r.end(i, there, u.ID, nil)
	default:
		r.conclude(i, u, r.users.contested(ctx, r.pool, &User{ID: u.ID}, u))
	}
}

// there looks at the user with the id of a row: ImportUnchanged when the row was
// written before, "" when there is none.
func (r *importRun) there(ctx context.Context, u *User) (string, error) {
	row, err := r.users.records.get(ctx, at(r.pool, u.ID))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case row.Value.lists(u.names()):
		return ImportUnchanged, nil
	}
	return "", fault.At(fault.Conflict, "id", "Another user has this id.")
}

// twice ends rows that want a name which an earlier row wants: the order of the
// file decides, not chance.
func (r *importRun) twice() {
	first := map[name]int{}
	for i := range r.results {
		if r.made[i].ID == "" {
			continue
		}
		for _, n := range r.made[i].names() {
			if earlier, ok := first[n]; ok {
				err := taken(&takenError{n}, &r.made[i])
				if bad, ok := errors.AsType[*fault.Error](err); ok {
					named := *bad
					named.Public = fmt.Sprintf("is that of row %d as well", earlier)
					err = &named
				}
				r.end(i, ImportFailed, "", err)
				break
			}
			first[n] = r.rows[i].Row
		}
	}
}

// write creates the user of a row.
func (r *importRun) write(ctx context.Context, i int) {
	u := r.made[i]
	if u.ID == "" {
		return
	}
	made, err := r.users.insert(ctx, r.pool, u)
	if fault.Is(err, fault.Conflict) {
		// Perhaps this is the row's own user, written before the answer got lost.
		if there, look := r.there(ctx, &u); look == nil && there != "" {
			err = r.join(ctx, i, &u)
			r.end(i, orElse(failed(err), there), u.ID, err)
			return
		}
		if r.pending(ctx, &u) {
			err = fault.New(fault.Unavailable, "Somebody is being written with such a name at this moment; try again in a minute.", err)
		}
	}
	if err == nil {
		err = r.join(ctx, i, &made)
	}
	r.conclude(i, &u, err)
}

// join makes a user a member of the groups of their row. It may be done again: a
// row whose user was written and whose membership was not comes a second time.
func (r *importRun) join(ctx context.Context, i int, u *User) error {
	groups := r.rows[i].User.Groups
	if len(groups) == 0 || r.options.Join == nil || r.options.DryRun {
		return nil
	}
	return r.options.Join(ctx, u, groups)
}

// failed is the outcome of a row with an error, "" without one.
func failed(err error) string {
	if err == nil {
		return ""
	}
	return ImportFailed
}

// pending tells whether a name of the user is claimed for somebody who is not
// there yet, and may never be: after a crash that lasts as long as a claim's lease.
func (r *importRun) pending(ctx context.Context, u *User) bool {
	for _, n := range u.names() {
		at := claim{Space: r.pool.Epoch, Source: n.Source, Key: n.Key}
		row, err := r.users.records.claims.table.Get(ctx, r.pool.TenantID, at.id())
		if err == nil && row.Value.State == pending {
			return true
		}
	}
	return false
}

func (r *importRun) conclude(i int, u *User, err error) {
	if err != nil {
		r.end(i, ImportFailed, "", err)
		return
	}
	r.end(i, ImportCreated, u.ID, nil)
}

// end sets the outcome of a row.
func (r *importRun) end(i int, outcome, id string, err error) {
	if outcome != ImportCreated {
		r.made[i] = User{}
	}
	r.results[i].Outcome, r.results[i].ID, r.results[i].Err = outcome, id, err
}

// id is the id of a row that brings none.
func (r *importRun) id(row *ImportRow) string {
	if r.options.Run == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(store.ID("import", r.pool.Epoch, r.options.Run, fmt.Sprint(row.Row))))
	return hex.EncodeToString(sum[:16])
}

// event records what a batch did.
func (r *importRun) event(ctx context.Context) error {
	counts := map[string]int{}
	for i := range r.results {
		counts[r.results[i].Outcome]++
	}
	return r.users.config.record(ctx, r.pool.TenantID, r.pool, "", audit.SubjectImport, audit.ActionExecuted, map[string]any{
		"run": r.options.Run, "rows": len(r.results),
		ImportCreated: counts[ImportCreated], ImportUnchanged: counts[ImportUnchanged], ImportFailed: counts[ImportFailed],
	})
}
