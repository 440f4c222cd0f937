package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The errors of this package. Callers compare with errors.Is.
var (
	ErrNotFound = errors.New("no such record")
	ErrExists   = errors.New("a record with this id exists")
	ErrStale    = errors.New("the record has changed since it was read")
	// ErrTooLarge says that a record is over MaxRecord.
	ErrTooLarge = errors.New("the record is too large")
	// ErrUnavailable wraps every failure to reach the server or the disk.
	ErrUnavailable = errors.New("the store is unavailable")
)

// MaxRecord is the most bytes that one record may take in a backend. It is a
// little under what MongoDB allows, so that every backend refuses the same.
const MaxRecord = 15 << 20

// Ended returns nil while ctx has not ended, else its error. A deadline that
// has passed is also ErrUnavailable: the backend was too slow for the caller.
func Ended(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// Record is a document on its way to or from a driver.
type Record struct {
	Tenant  string
	ID      string
	Rev     int64          // changes with every write; never reused for an id in practice
	Version int            // schema version of Value
	Expires time.Time      // zero: never; whole milliseconds. The driver filters by it on every read
	Due     time.Time      // zero: never due; whole milliseconds
	Keys    map[string]Key // entries of the declared indexes, by index name. Out of a Scan: that index's alone
	Value   any            // going in: a pointer to the value, with json tags
	// Decode, coming out, fills the pointed-to value. It may be called once,
	// before or after the driver call has returned.
	Decode func(into any) error
}

// Key is a record's place in one index.
type Key struct {
	Equal string // records are found by its exact value
	Order string // and come in the byte order of this, then of their ids
}

// Position is a place between records of a scan.
type Position struct{ Order, ID string }

// Scan selects live records of one tenant in one order.
type Scan struct {
	Tenant string
	Index  string    // empty: by id
	Equal  string    // with an index: the exact value
	Prefix string    // without an index: the start of the id
	From   string    // order value (or id) at or above; empty: open
	To     string    // order value (or id) below; empty: open
	After  *Position // start strictly beyond this place in the direction of the scan
	Desc   bool
	Limit  int // at least 1; ignored by Count
	Now    time.Time
}

// Driver is what a backend implements. All methods are safe for concurrent
// use, report failures of the server or disk as ErrUnavailable, and return
// only after a write is as durable as the backend makes it. A call whose
// context ends returns [Ended], and a write that had then begun may or may not
// have taken effect. Tables and indexes are used only after Ensure. Strings
// arrive as valid UTF-8 of at most [MaxKey] bytes.
type Driver interface {
	// Ensure creates a table and its indexes where they are missing.
	Ensure(ctx context.Context, table string, indexes []string) error
	// Insert creates records and returns one error per record: nil, ErrExists,
	// ErrTooLarge, ErrUnavailable, or that of a value that has no JSON. A record with the same id that has expired at now counts as
	// absent.
	Insert(ctx context.Context, table string, recs []Record, now time.Time) []error
	// Get returns a live record or ErrNotFound.
	Get(ctx context.Context, table, tenant, id string, now time.Time) (Record, error)
	// Replace writes rec over the live record with revision rev, else ErrStale,
	// or ErrNotFound when there is none.
	Replace(ctx context.Context, table string, rec Record, rev int64, now time.Time) error
	// Delete removes the record, live or expired, if its revision is rev (0:
	// whatever it is) and reports ErrNotFound or ErrStale. Of several racing
	// callers one succeeds.
	Delete(ctx context.Context, table, tenant, id string, rev int64) error
	// Scan returns records in order, at most s.Limit.
	Scan(ctx context.Context, table string, s Scan) ([]Record, error)
	// Count returns how many records Scan would return without a limit.
	Count(ctx context.Context, table string, s Scan) (int, error)
	// Due returns live records of all tenants with Due at or before now, earliest first.
	Due(ctx context.Context, table string, now time.Time, limit int) ([]Record, error)
	// Sweep removes at most limit records that expired at or before now and
	// returns how many it removed.
	Sweep(ctx context.Context, table string, now time.Time, limit int) (int, error)
	// Ping reports whether the backend answers.
	Ping(ctx context.Context) error
	// Name describes the backend for the log, such as "embedded /var/lib/x.db".
	Name() string
	// Close releases the backend after running calls have ended.
	Close() error
}
