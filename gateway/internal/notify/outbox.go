package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// State is where a message stands.
type State string

// The states.
const (
	Queued State = "queued"
	Sent   State = "sent"
	Dead   State = "dead" // will not be sent; Entry.Answer says why

	nobody State = "nobody" // of Pretend: nobody is to be told
)

// How long a message is kept once nothing more will happen to it.
const (
	keepSent = 24 * time.Hour
	keepDead = 7 * 24 * time.Hour
)

const tableName = "outbox"

// record is a message in the store.
type record struct {
	State     State     `json:"state"`
	Kind      Kind      `json:"kind"`
	Channel   string    `json:"channel"`
	Workspace string    `json:"workspace,omitempty"`
	Pool      string    `json:"pool,omitempty"`
	User      string    `json:"user,omitempty"`
	Masked    string    `json:"to"`
	Sealed    string    `json:"sealed,omitempty"` // content; only while queued
	Made      time.Time `json:"made"`
	Expires   time.Time `json:"expires"`       // of the code
	Due       time.Time `json:"due,omitzero"`  // of the next try; during one, the end of its lease
	Tries     int       `json:"tries"`         // begun
	Done      time.Time `json:"done,omitzero"` // when it was sent or given up
	Answer    string    `json:"answer,omitempty"`
	Gone      time.Time `json:"gone"` // when the record is swept
}

// content is what only the person may read.
type content struct {
	To    string `json:"to"`
	Brand Brand  `json:"brand"`
	Data  Data   `json:"data"`
}

func declare(ctx context.Context, s *store.Store) (*store.Table[record], error) {
	return store.Declare(ctx, s, store.Spec[record]{
		Name: tableName,
		Indexes: map[string]func(*record) (store.Key, bool){
			"state": func(r *record) (store.Key, bool) {
				return store.Key{Equal: string(r.State), Order: store.OrderTime(r.Made)}, r.State != nobody
			},
		},
		Expires: func(r *record) time.Time { return r.Gone },
		Due:     func(r *record) time.Time { return r.Due },
	})
}

// add writes a message into the outbox and returns its id, which sorts by time.
func (n *Notifier) add(ctx context.Context, m *Message, state State) (string, error) {
	now := n.config.Now()
	id := fmt.Sprintf("%016x%s", uint64(now.UnixNano()), vault.NewID()[:16])
	plain, err := json.Marshal(content{To: m.To, Brand: m.Brand, Data: m.Data})
	if err != nil {
		return "", fmt.Errorf("notify: %w", err)
	}
	sealed, err := n.config.Ring.Seal(plain, vault.AAD(m.Tenant, tableName, id, "content"))
	if err != nil {
		return "", fmt.Errorf("notify: %w", err)
	}
	r := record{
		State: state, Kind: m.Kind, Channel: m.Channel, Workspace: m.Workspace, Pool: m.Pool, User: m.User,
		Masked: mask(m.To), Sealed: sealed, Made: now, Expires: m.Expires, Due: now, Gone: m.Expires.Add(keepDead),
	}
	if state == nobody {
		r.Due, r.Gone = time.Time{}, now.Add(time.Second)
	}
	_, err = n.table.Create(ctx, m.Tenant, id, r)
	return id, err
}

// open returns the content of a queued message.
func (n *Notifier) open(row store.Row[record]) (content, error) {
	var c content
	plain, err := n.config.Ring.Open(row.Value.Sealed, vault.AAD(row.Tenant, tableName, row.ID, "content"))
	if err == nil {
		err = json.Unmarshal(plain, &c)
	}
	return c, err
}

// Entry is a message as operators see it: neither its text nor the whole address.
type Entry struct {
	ID, Tenant, Workspace, Pool, User string

	Kind    Kind
	Channel string
	To      string // masked
	State   State
	Made    time.Time
	Expires time.Time
	Next    time.Time // of a queued message: the next try
	Tries   int
	Done    time.Time // of the others
	Answer  string    // the last, of the server or of us
}

func entry(row store.Row[record]) Entry {
	r := row.Value
	return Entry{
		ID: row.ID, Tenant: row.Tenant, Workspace: r.Workspace, Pool: r.Pool, User: r.User,
		Kind: r.Kind, Channel: r.Channel, To: r.Masked, State: r.State, Made: r.Made, Expires: r.Expires,
		Next: r.Due, Tries: r.Tries, Done: r.Done, Answer: r.Answer,
	}
}

// List returns a tenant's messages in a state, in the order of their making.
func (n *Notifier) List(ctx context.Context, tenant string, state State, p store.Page) ([]Entry, error) {
	switch state {
	case Queued, Sent, Dead:
	default:
		return nil, fault.At(fault.Invalid, "state", "must be queued, sent or dead")
	}
	rows, err := n.table.Find(ctx, tenant, store.Query{Index: "state", Equal: string(state)}, p)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	list := make([]Entry, len(rows))
	for i, row := range rows {
		list[i] = entry(row)
	}
	return list, nil
}
