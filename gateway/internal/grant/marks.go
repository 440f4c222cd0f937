package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// marksTenant holds the marks of all tenants: they are loaded together when a
// gateway starts, and a tenant's deletion must not remove them.
const marksTenant = "-"

// Ref names everything a token or session hangs on. Empty members hang on
// nothing of that kind.
type Ref struct {
	Tenant, Workspace string
	Pool, User        string
	Subject           string // as tokens of the workspace carry it
	IDP               string // of the workspace
	Client            string
	Session           string // the parent session
	Grant             string
	Token             string // the jti of an access token
	Issued            time.Time
}

type mark struct {
	Entry   changes.Entry `json:"entry"`
	Expires time.Time     `json:"expires"`
}

// ending is a mark in memory.
type ending struct {
	at    time.Time
	until time.Time // nothing that it ended can be alive after it; zero: keep it
	keep  []string  // sessions, grants and tokens that it spares
}

// Marks says which tokens, grants and sessions ended before their time. A mark
// ends everything of its kind that was issued at or before it. Safe for
// concurrent use; Dead takes no lock.
type Marks struct {
	table *store.Table[mark]
	log   func(context.Context, ...changes.Entry) (uint64, error)
	now   func() time.Time
	life  time.Duration

	ends       sync.Map // mark key -> *ending
	added      atomic.Uint64
	generation atomic.Uint64
}

// MarksConfig configures Marks.
type MarksConfig struct {
	Append func(context.Context, ...changes.Entry) (uint64, error) // the change log
	Life   time.Duration                                           // how long the longest-lived token or session can live
	Now    func() time.Time
}

// OpenMarks loads the marks that still matter.
func OpenMarks(ctx context.Context, s *store.Store, c MarksConfig) (*Marks, error) {
	table, err := store.Declare(ctx, s, store.Spec[mark]{
		Name:    "marks",
		Expires: func(m *mark) time.Time { return m.Expires },
	})
	if err != nil {
		return nil, err
	}
	m := &Marks{table: table, log: c.Append, now: c.Now, life: c.Life}
	if m.now == nil {
		m.now = time.Now
	}
	return m, m.Load(ctx)
}

// Since returns the stored marks that were made at or after t.
func (m *Marks) Since(ctx context.Context, t time.Time) ([]changes.Entry, error) {
	var list []changes.Entry
	err := m.table.All(ctx, marksTenant, store.Query{}, func(r store.Row[mark]) bool {
		if !r.Value.Entry.At.Before(t) {
			list = append(list, r.Value.Entry)
		}
		return true
	})
	return list, err
}

// Load reads every stored mark again. It adds and never forgets.
func (m *Marks) Load(ctx context.Context) error {
	return m.table.All(ctx, marksTenant, store.Query{}, func(r store.Row[mark]) bool {
		m.apply(r.Value.Entry)
		return true
	})
}

// Append writes entries to the change log. Revocations are stored as marks
// first, so that they outlive the log and hold before the deletions they
// announce. An error means that nothing may be deleted yet.
func (m *Marks) Append(ctx context.Context, entries ...changes.Entry) error {
	now := m.now()
	for i := range entries {
		if entries[i].At.IsZero() {
			entries[i].At = now
		}
		if err := m.keep(ctx, entries[i]); err != nil {
			return err
		}
	}
	if _, err := m.log(ctx, entries...); err != nil {
		return fmt.Errorf("announce change: %w", err)
	}
	for _, e := range entries {
		m.apply(e)
	}
	return nil
}

func (m *Marks) keep(ctx context.Context, e changes.Entry) error {
	key, ok := markKey(e)
	if !ok {
		return nil
	}
	v := mark{Entry: e, Expires: e.At.Add(m.life)}
	if !e.Until.IsZero() && e.Until.Before(v.Expires) {
		v.Expires = e.Until
	}
	for {
		_, err := m.table.Create(ctx, marksTenant, key, v)
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		_, err = m.table.Update(ctx, marksTenant, key, func(old *mark) error {
			if old.Entry.At.Before(v.Entry.At) {
				*old = v
			}
			return nil
		})
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
}

// Apply takes entries of the change log; nil reloads everything in the
// background of the caller's choosing by [Marks.Load].
func (m *Marks) Apply(entries []changes.Entry) {
	for _, e := range entries {
		m.apply(e)
	}
}

func (m *Marks) apply(e changes.Entry) {
	key, ok := markKey(e)
	if !ok {
		return
	}
	now := &ending{e.At, e.Until, e.Keep}
	for {
		old, loaded := m.ends.LoadOrStore(key, now)
		if !loaded {
			m.tidy()
			break
		}
		if was, _ := old.(*ending); !was.at.Before(e.At) {
			return
		}
		if m.ends.CompareAndSwap(key, old, now) {
			break
		}
	}
	m.generation.Add(1)
}

// tidy forgets, at every thousandth mark, those that nothing can hang on any
// more: one for each revoked access token would add up.
func (m *Marks) tidy() {
	if m.added.Add(1)%1000 != 0 {
		return
	}
	now := m.now()
	m.ends.Range(func(key, v any) bool {
		if e, _ := v.(*ending); !e.until.IsZero() && e.until.Before(now) {
			m.ends.CompareAndDelete(key, v)
		}
		return true
	})
}

// Generation changes whenever a mark was added: an answer of Dead holds until
// then.
func (m *Marks) Generation() uint64 { return m.generation.Load() }

// Dead tells whether anything that r hangs on ended at or after it was issued, or
// its session, its grant or itself ever. It takes no lock; who asks about the same
// thing again and again asks [Marks.Generation] first, which costs nothing.
func (m *Marks) Dead(r Ref) bool {
	return m.ended(r, changes.KindRevokeWorkspace, r.Workspace, "") ||
		m.ended(r, changes.KindRevokeUser, "", userID(r)) ||
		m.ended(r, changes.KindRevokeUser, "", poolID(r)) ||
		r.Subject != "" && m.ended(r, changes.KindRevokeSubject, r.Workspace, r.Subject) ||
		r.IDP != "" && m.ended(r, changes.KindRevokeIDP, r.Workspace, r.IDP) ||
		m.ended(r, changes.KindRevokeClient, "", r.Client) ||
		r.Client != "" && m.ended(r, changes.KindRevokeAccess, r.Workspace, accessID(r.Client, personID(r.Pool, r.User, r.Subject))) ||
		m.over(r, changes.KindRevokeSession, r.Session) ||
		m.over(r, changes.KindRevokeGrant, r.Grant) ||
		m.over(r, changes.KindRevokeToken, r.Token)
}

// over tells whether a session, grant or token ended at all. Their ids are random and
// never come again, so what was issued from one a moment after its end is dead
// as well: a token signed while a replay ended its grant.
func (m *Marks) over(r Ref, kind, id string) bool {
	if id == "" {
		return false
	}
	_, ok := m.ends.Load(joinKey(kind, r.Tenant, "", id))
	return ok
}

func userID(r Ref) string {
	if r.User == "" {
		return ""
	}
	return r.Pool + "/" + r.User
}

// accessID is how a revocation names what one person, by personID, allowed a
// client: client ids hold no slash.
func accessID(client, person string) string { return client + "/" + person }

// poolID is how a revocation names all users of a pool.
func poolID(r Ref) string {
	if r.Pool == "" {
		return ""
	}
	return r.Pool + "/"
}

func (m *Marks) ended(r Ref, kind, workspace, id string) bool {
	if workspace == "" && id == "" {
		return false
	}
	found, ok := m.ends.Load(joinKey(kind, r.Tenant, workspace, id))
	if !ok {
		return false
	}
	was, _ := found.(*ending)
	return !r.Issued.After(was.at) && !was.spares(r)
}

// spares tells whether a mark leaves something alone: the session, grant or token
// from which all else was ended. That was alive then, so that no older mark of the
// same kind had ended it. A session that is kept keeps no token.
func (e *ending) spares(r Ref) bool {
	if r.Grant == "" && r.Token == "" {
		return slices.Contains(e.keep, r.Session)
	}
	return slices.Contains(e.keep, r.Grant) || slices.Contains(e.keep, r.Token)
}

// markKey returns the key of a revocation; other entries have none.
func markKey(e changes.Entry) (string, bool) {
	switch e.Kind {
	case changes.KindRevokeWorkspace:
		return joinKey(e.Kind, e.Tenant, e.Workspace, ""), true
	case changes.KindRevokeSubject, changes.KindRevokeIDP, changes.KindRevokeAccess:
		return joinKey(e.Kind, e.Tenant, e.Workspace, e.ID), true
	case changes.KindRevokeUser, changes.KindRevokeClient, changes.KindRevokeSession, changes.KindRevokeGrant,
		changes.KindRevokeToken:
		return joinKey(e.Kind, e.Tenant, "", e.ID), true
	}
	return "", false
}

func joinKey(parts ...string) string { return strings.Join(parts, "\x00") }
