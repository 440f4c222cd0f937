package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Page selects events of one workspace.
type Page struct {
	After  string // event id: what comes next in the order of the listing
	Before string // event id: the page that ends before it. At most one of the two
	Oldest bool   // oldest first; else newest first
	Limit  int    // below 1 means 20

	From     time.Time         // at or after; zero: open
	To       time.Time         // before; zero: open
	Subjects []string          // any of these; empty: all
	Actions  []string          // any of these; empty: all
	Metadata map[string]string // all of these members with exactly these values, such as client_id
}

const batch = 200

// List returns at most Limit events of a workspace that match. A filter that is
// not known is a fault.Invalid. When more than Config.Scan events had to be looked
// at it is a fault.Unprocessable rather than a page that is short without reason.
func (r *Recorder) List(ctx context.Context, tenant, workspace string, p Page) ([]Event, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Limit < 1 {
		p.Limit = 20
	}
	prefix := store.Prefix(workspace)
	q := store.Query{Equal: prefix}
	if !p.From.IsZero() {
		q.From = prefix + floor(p.From)
	}
	if !p.To.IsZero() {
		q.To = prefix + floor(p.To.Add(time.Millisecond))
	}
	// A page that ends before an id is read backwards from there.
	cursor, desc := p.After, !p.Oldest
	if p.Before != "" {
		cursor, desc = p.Before, p.Oldest
	}
	if cursor != "" {
		cursor = prefix + cursor
	}
	w := walk{tenant: tenant, workspace: workspace, query: q, cursor: cursor, desc: desc}
	found, err := r.collect(ctx, w, p)
	if err != nil {
		return nil, err
	}
	if p.Before != "" {
		slices.Reverse(found)
	}
	return found, nil
}

// walk is a way through a workspace's events.
type walk struct {
	tenant, workspace string
	query             store.Query
	cursor            string
	desc              bool
}

// collect walks until it has a page.
func (r *Recorder) collect(ctx context.Context, w walk, p Page) ([]Event, error) {
	var found []Event
	size := batch
	if p.all() {
		size = p.Limit
	}
	for seen := 0; seen < r.config.Scan; seen += size {
		rows, err := r.table.Find(ctx, w.tenant, w.query, store.Page{After: w.cursor, Desc: w.desc, Limit: size})
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		for _, row := range rows {
			w.cursor = row.ID
			e, err := w.event(row)
			if err != nil {
				return nil, err
			}
			if !p.takes(&e) {
				continue
			}
			if found = append(found, e); len(found) == p.Limit {
				return found, nil
			}
		}
		if len(rows) < size {
			return found, nil
		}
	}
	return nil, fault.New(fault.Unprocessable,
		fmt.Sprintf("More than %d events would have to be looked through: give a narrower time.", r.config.Scan), nil)
}

func (w walk) event(row store.Row[record]) (Event, error) {
	v := row.Value
	e := Event{
		ID:        strings.TrimPrefix(row.ID, w.query.Equal),
		Tenant:    row.Tenant,
		Workspace: w.workspace,
		Subject:   v.Subject, Action: v.Action, Time: v.Time.UTC(), Context: v.Context, Payload: v.Payload,
		Metadata: map[string]any{},
	}
	if err := json.Unmarshal(v.Metadata, &e.Metadata); err != nil {
		return e, fmt.Errorf("audit: event %s: metadata: %w", e.ID, err)
	}
	return e, nil
}

// check refuses names that no event can have: the answer would be empty and look
// like a fact.
func (p Page) check() error {
	for _, s := range p.Subjects {
		if !slices.Contains(Subjects(), s) {
			return fault.At(fault.Invalid, "event_subject", fmt.Sprintf("There is no event subject %.64q.", s))
		}
	}
	for _, a := range p.Actions {
		if !slices.Contains(Actions(), a) {
			return fault.At(fault.Invalid, "event_action", fmt.Sprintf("There is no event action %.64q.", a))
		}
	}
	for name := range p.Metadata {
		if member(name) != text {
			return fault.At(fault.Invalid, name, "Events cannot be selected by this.")
		}
	}
	return nil
}

// all tells whether every event of the range matches.
func (p Page) all() bool {
	return len(p.Subjects) == 0 && len(p.Actions) == 0 && len(p.Metadata) == 0 && p.From.IsZero() && p.To.IsZero()
}

func (p Page) takes(e *Event) bool {
	if len(p.Subjects) > 0 && !slices.Contains(p.Subjects, e.Subject) ||
		len(p.Actions) > 0 && !slices.Contains(p.Actions, e.Action) {
		return false
	}
	if e.Time.Before(p.From) || !p.To.IsZero() && !e.Time.Before(p.To) {
		return false
	}
	for name, value := range p.Metadata {
		if e.Metadata[name] != value {
			return false
		}
	}
	return true
}
