package promote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

const (
	// MaxRows is the most rows of one import request.
	MaxRows = 1000
	// importTime is how long a request begins new rows: what is left is sent again.
	importTime = 15 * time.Second
	// MaxPage is the most users of one page of an export.
	MaxPage = 500
)

// Users imports and exports users row by row. Now may be nil.
type Users struct {
	Users  *pool.Users
	Groups *pool.Groups
	Now    func() time.Time
}

// ImportRequest says what rows are sent.
type ImportRequest struct {
	Tenant, Pool string
	Run          string // names the import; see pool.ImportOptions
	First        int    // the number of the first line
	DryRun       bool
	// May is nil, or refuses a user that the caller may not create.
	May func(*pool.ImportUser) error
}

// ImportAnswer tells what became of the rows: of all that were sent, or of the
// first ones when the time was up.
type ImportAnswer struct {
	Results []Result `json:"results"`
}

// Result is what became of one row.
type Result struct {
	Row     int      `json:"row"`
	Outcome string   `json:"outcome"` // pool.ImportCreated, ImportUnchanged or ImportFailed
	ID      string   `json:"id,omitempty"`
	Names   []string `json:"names,omitempty"` // see pool.ImportResult
	Field   string   `json:"field,omitempty"` // what is wrong, of a row that failed
	Error   string   `json:"error,omitempty"`
	Retry   bool     `json:"retry,omitempty"` // nothing is wrong with the row: the gateway could not write it now
}

// Import reads one user a line; empty lines only count. Errors: those of
// pool.Users.Import, Invalid and Unprocessable for the request as a whole. What
// is wrong with a line is in its Result.
func (u *Users) Import(ctx context.Context, body []byte, r ImportRequest) (ImportAnswer, error) {
	if len(r.Run) > 128 {
		return ImportAnswer{}, fault.At(fault.Unprocessable, "run", "is too long")
	}
	results, rows, err := split(body, r)
	if err != nil {
		return ImportAnswer{}, err
	}
	o := pool.ImportOptions{Run: r.Run, DryRun: r.DryRun, Until: u.now().Add(importTime)}
	if o.Join, err = u.join(ctx, r, rows); err != nil {
		return ImportAnswer{}, err
	}
	done, err := u.Users.Import(ctx, r.Tenant, r.Pool, rows, o)
	if err != nil {
		return ImportAnswer{}, err
	}
	for i := range done {
		results = append(results, shown(&done[i]))
	}
	slices.SortFunc(results, func(a, b Result) int { return a.Row - b.Row })
	if len(done) < len(rows) { // behind the first row that was not begun nothing is told
		left := rows[len(done)].Row
		results = slices.DeleteFunc(results, func(r Result) bool { return r.Row >= left })
	}
	return ImportAnswer{Results: results}, nil
}

func (u *Users) now() time.Time {
	if u.Now == nil {
		return time.Now()
	}
	return u.Now()
}

// split reads the lines; results are of those that are no users.
func split(body []byte, r ImportRequest) (results []Result, rows []pool.ImportRow, err error) {
	n := r.First - 1
	for line := range bytes.Lines(body) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(rows)+len(results) == MaxRows {
			return nil, nil, fault.New(fault.Unprocessable, fmt.Sprintf("At most %d rows can be sent at once.", MaxRows), nil)
		}
		row := pool.ImportRow{Row: n}
		err := web.DecodeJSON(line, &row.User)
		if err == nil && r.May != nil {
			err = r.May(&row.User)
		}
		if err == nil {
			rows = append(rows, row)
			continue
		}
		results = append(results, shown(&pool.ImportResult{Row: n, Outcome: pool.ImportFailed, Err: err}))
	}
	return results, rows, nil
}

func shown(r *pool.ImportResult) Result {
	out := Result{Row: r.Row, Outcome: r.Outcome, ID: r.ID, Names: r.Names}
	if r.Err == nil {
		return out
	}
	f := fault.Read(r.Err)
	out.Field, out.Error = f.Field, f.Public
	out.Retry = f.Kind == fault.Unavailable || f.Kind == fault.Internal || errors.Is(r.Err, store.ErrUnavailable)
	return out
}

// join returns the function that makes users members of their groups, or nil
// when no row has any.
func (u *Users) join(ctx context.Context, r ImportRequest, rows []pool.ImportRow) (func(context.Context, *pool.User, []string) error, error) {
	if !slices.ContainsFunc(rows, func(r pool.ImportRow) bool { return len(r.User.Groups) > 0 }) {
		return nil, nil
	}
	paths, err := u.paths(ctx, r.Tenant, r.Pool)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for id, path := range paths {
		ids[path] = id
	}
	for i := range rows {
		for j, path := range rows[i].User.Groups {
			if ids[path] == "" {
				rows[i].User.Bad = fault.At(fault.Unprocessable, fmt.Sprintf("groups[%d]", j), fmt.Sprintf("there is no group %.200q", path))
			}
		}
	}
	return func(ctx context.Context, who *pool.User, groups []string) error {
		for _, path := range groups {
			if err := u.Groups.Add(ctx, r.Tenant, r.Pool, ids[path], who.ID); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// paths returns the names of all groups of a pool from the top down, joined by
// slashes, by the groups' ids.
func (u *Users) paths(ctx context.Context, tenant, in string) (map[string]string, error) {
	groups, err := u.Groups.Dump(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, g := range groups { // each behind the one that it is in
		paths[g.ID] = g.Name
		if above, ok := paths[parent(&g)]; ok {
			paths[g.ID] = above + "/" + g.Name
		}
	}
	return paths, nil
}

// Export returns a page of at most limit users behind an id, one a line.
func (u *Users) Export(ctx context.Context, tenant, in, after string, limit int, secrets bool) ([]byte, error) {
	found, err := u.Users.Export(ctx, tenant, in, after, min(limit, MaxPage), secrets)
	if err != nil {
		return nil, err
	}
	paths, err := u.paths(ctx, tenant, in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for i := range found {
		if len(paths) > 0 {
			groups, err := u.Groups.Of(ctx, tenant, in, found[i].ID, false, pool.GroupQuery{}, store.Page{Limit: MaxRows})
			if err != nil && !fault.Is(err, fault.NotFound) {
				return nil, err
			}
			for _, g := range groups {
				found[i].Groups = append(found[i].Groups, paths[g.ID])
			}
		}
		if err := e.Encode(&found[i]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
