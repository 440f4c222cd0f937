package session

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Participant is a client that got tokens in a session and is to be told when it
// ends (OpenID Connect Back-Channel Logout 1.0). Once the session has ended the
// record is the message to be delivered: it is due until the client took it.
type Participant struct {
	Workspace      string    `json:"workspace"`
	WorkspaceEpoch string    `json:"workspace_epoch"`
	Client         string    `json:"client"`
	ClientEpoch    string    `json:"client_epoch"`
	Session        string    `json:"session"`
	SID            string    `json:"sid"` // the session as the client knows it: a second factor gives it another id
	Pool           string    `json:"pool,omitempty"`
	User           string    `json:"user,omitempty"`
	Subject        string    `json:"subject"`
	IDP            string    `json:"idp,omitempty"`
	Created        time.Time `json:"created"`        // of the session
	Expires        time.Time `json:"expires"`        // nobody is told after it
	Ended          time.Time `json:"ended,omitzero"` // zero: the session goes on
	Due            time.Time `json:"due,omitzero"`   // of the next try; during one, the end of its lease
	Tries          int       `json:"tries,omitempty"`
}

// Told is a participant as it stands in the store.
type Told = store.Row[Participant]

const (
	// TellFor is how long a client that does not answer is tried.
	TellFor = time.Hour
	lease   = 30 * time.Second // of one try
)

// Participants keeps who takes part in which session. Safe for concurrent use.
type Participants struct {
	table *store.Table[Participant]
	now   func() time.Time
}

// OpenParticipants declares the table.
func OpenParticipants(ctx context.Context, s *store.Store, now func() time.Time) (*Participants, error) {
	by := func(key func(*Participant) string) func(*Participant) (store.Key, bool) {
		return func(p *Participant) (store.Key, bool) {
			return store.Key{Equal: key(p), Order: store.OrderTime(p.Created)}, p.Ended.IsZero()
		}
	}
	table, err := store.Declare(ctx, s, store.Spec[Participant]{
		Name:    "participants",
		Expires: func(p *Participant) time.Time { return p.Expires },
		Due:     func(p *Participant) time.Time { return p.Due },
		Indexes: map[string]func(*Participant) (store.Key, bool){
			"session": by(func(p *Participant) string { return p.Session }),
			"pool":    by(func(p *Participant) string { return p.Pool }),
			"user":    by(func(p *Participant) string { return store.ID(p.Pool, p.User) }),
			"subject": by(func(p *Participant) string { return store.ID(p.Workspace, p.Subject) }),
			"idp":     by(func(p *Participant) string { return store.ID(p.Workspace, p.IDP) }),
		},
	})
	if err != nil {
		return nil, err
	}
	return &Participants{table, now}, nil
}

// Join notes that a client got tokens in a session. It may be called again.
func (p *Participants) Join(ctx context.Context, on *Session, client, clientEpoch string) error {
	id := store.ID(on.ID, client)
	_, err := p.table.Get(ctx, on.Tenant, id)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = p.table.Create(ctx, on.Tenant, id, Participant{
		Workspace: on.Workspace, WorkspaceEpoch: on.WorkspaceEpoch, Client: client, ClientEpoch: clientEpoch,
		Session: on.ID, SID: on.ID, Pool: on.Pool, User: on.User, Subject: on.Subject, IDP: on.IDP,
		Created: on.Created, Expires: on.Expires,
	})
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// Move lets those who take part in one session take part in the one that replaces
// it. They keep the sid that they were told.
func (p *Participants) Move(ctx context.Context, from, to *Session) error {
	var ids []string
	err := p.table.All(ctx, from.Tenant, store.Query{Index: "session", Equal: from.ID}, func(r Told) bool {
		ids = append(ids, r.ID)
		return true
	})
	for _, id := range ids {
		_, moved := p.table.Update(ctx, from.Tenant, id, func(x *Participant) error {
			x.Session, x.Created, x.Expires = to.ID, to.Created, to.Expires
			return nil
		})
		if !errors.Is(moved, store.ErrNotFound) {
			err = errors.Join(err, moved)
		}
	}
	return err
}

// Ended takes an entry of the change log and returns those who must be told of
// it. Each is leased to the caller: of any number of gateways that ask, one gets
// it, and after the lease it is due for all. dead says whether a session that the
// entry may be about is indeed over.
func (p *Participants) Ended(ctx context.Context, e changes.Entry, dead func(Told) bool) ([]Told, error) {
	q, ok := about(e)
	if !ok {
		return nil, nil
	}
	var found, mine []Told
	err := p.table.All(ctx, e.Tenant, q, func(r Told) bool {
		if dead(r) {
			found = append(found, r)
		}
		return true
	})
	for _, r := range found {
		r.Value.Ended = p.now()
		r.Value.Expires = r.Value.Ended.Add(2 * TellFor)
		row, ok, swapErr := p.lease(ctx, r)
		if err = errors.Join(err, swapErr); ok {
			mine = append(mine, row)
		}
	}
	return mine, err
}

// about is where those stand whom an entry may be about.
func about(e changes.Entry) (store.Query, bool) {
	switch e.Kind {
	case changes.KindRevokeSession:
		return store.Query{Index: "session", Equal: e.ID}, true
	case changes.KindRevokeUser:
		pool, user := e.PoolUser()
		if user == "" {
			return store.Query{Index: "pool", Equal: pool}, true
		}
		return store.Query{Index: "user", Equal: store.ID(pool, user)}, true
	case changes.KindRevokeSubject:
		return store.Query{Index: "subject", Equal: store.ID(e.Workspace, e.ID)}, true
	case changes.KindRevokeIDP:
		return store.Query{Index: "idp", Equal: store.ID(e.Workspace, e.ID)}, true
	}
	return store.Query{}, false
}

// Due returns who must be told now, at most limit of all tenants, each leased to
// the caller.
func (p *Participants) Due(ctx context.Context, limit int) ([]Told, error) {
	rows, err := p.table.Due(ctx, limit)
	var mine []Told
	for _, r := range rows {
		row, ok, swapErr := p.lease(ctx, r)
		if err = errors.Join(err, swapErr); ok {
			mine = append(mine, row)
		}
	}
	return mine, err
}

func (p *Participants) lease(ctx context.Context, r Told) (Told, bool, error) {
	r.Value.Due = p.now().Add(lease)
	r.Value.Tries++
	row, err := p.table.Swap(ctx, r.Tenant, r.ID, r.Rev, r.Value)
	if lost(err) {
		return Told{}, false, nil
	}
	return row, err == nil, err
}

// Again puts a participant back until a later time.
func (p *Participants) Again(ctx context.Context, r Told, at time.Time) error {
	r.Value.Due = at
	_, err := p.table.Swap(ctx, r.Tenant, r.ID, r.Rev, r.Value)
	if lost(err) {
		return nil
	}
	return err
}

// Untried puts a participant back until a later time, and the try that it was
// leased for does not count.
func (p *Participants) Untried(ctx context.Context, r Told, at time.Time) error {
	r.Value.Tries--
	return p.Again(ctx, r, at)
}

// Done forgets a participant that was told, or given up.
func (p *Participants) Done(ctx context.Context, r Told) error {
	err := p.table.DeleteIf(ctx, r.Tenant, r.ID, r.Rev)
	if lost(err) {
		return nil
	}
	return err
}

// lost tells whether somebody else was faster, or the record is gone.
func lost(err error) bool {
	return errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrNotFound)
}
