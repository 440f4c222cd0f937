package grant

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Person names who allows a client something in a workspace: a pool's user, or
// whoever a subject stands for when no pool has them.
type Person struct {
	Pool, User, UserEpoch string
	Subject               string // the public one
}

func (p Person) id() string { return personID(p.Pool, p.User, p.Subject) }

// personID is one text for a person: pool ids are never empty, so a subject
// cannot look like a user.
func personID(pool, user, subject string) string {
	if user == "" {
		return "//" + subject
	}
	return pool + "/" + user
}

// Consent is what a person allowed a client to have.
type Consent struct {
	ID             string    `json:"id"` // random; another one after it ended and was given anew
	Workspace      string    `json:"workspace"`
	WorkspaceEpoch string    `json:"workspace_epoch"`
	Client         string    `json:"client"`
	ClientEpoch    string    `json:"client_epoch"`
	Pool           string    `json:"pool,omitempty"`
	User           string    `json:"user,omitempty"`
	UserEpoch      string    `json:"user_epoch,omitempty"`
	IDP            string    `json:"idp,omitempty"`
	Subject        string    `json:"subject"`
	Scopes         []string  `json:"scopes,omitempty"`
	Since          time.Time `json:"since"` // the first of them was allowed
	Given          time.Time `json:"given"` // the last one
	Expires        time.Time `json:"expires"`
}

// Person is whose consent it is.
func (c *Consent) Person() Person {
	return Person{Pool: c.Pool, User: c.User, UserEpoch: c.UserEpoch, Subject: c.Subject}
}

// same tells whether two consents are of the same workspace, client and person,
// none of which was deleted and made again in between.
func (c *Consent) same(o *Consent) bool {
	return c.Workspace == o.Workspace && c.WorkspaceEpoch == o.WorkspaceEpoch && c.Client == o.Client && c.ClientEpoch == o.ClientEpoch &&
		c.Person().id() == o.Person().id() && c.UserEpoch == o.UserEpoch
}

// ConsentsConfig configures Consents.
type ConsentsConfig struct {
	Marks *Marks
	// Life is how long a consent holds after it was given; it may not be longer
	// than revocations are remembered.
	Life time.Duration
	Now  func() time.Time
}

// Consents keeps what people allowed clients: one record for each workspace,
// person and client. Whatever ends a person's tokens ends it too. Safe for
// concurrent use.
type Consents struct {
	ConsentsConfig
	table *store.Table[Consent]
}

// OpenConsents declares the table.
func OpenConsents(ctx context.Context, s *store.Store, c ConsentsConfig) (*Consents, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	table, err := store.Declare(ctx, s, store.Spec[Consent]{
		Name:    "consents",
		Expires: func(c *Consent) time.Time { return c.Expires },
		Indexes: map[string]func(*Consent) (store.Key, bool){
			"id": func(c *Consent) (store.Key, bool) { return store.Key{Equal: c.ID}, c.ID != "" },
			"person": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: store.ID(c.Workspace, c.Person().id()), Order: store.OrderTime(c.Since)}, true
			},
			"user": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: store.ID(c.Pool, c.User), Order: store.OrderTime(c.Since)}, c.User != ""
			},
			"subject": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: store.ID(c.Workspace, c.Subject), Order: store.OrderTime(c.Since)}, true
			},
			"idp": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: store.ID(c.Workspace, c.IDP), Order: store.OrderTime(c.Since)}, c.IDP != ""
			},
			"client": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: c.Client, Order: store.OrderTime(c.Since)}, true
			},
			"workspace": func(c *Consent) (store.Key, bool) {
				return store.Key{Equal: c.Workspace, Order: store.OrderTime(c.Since)}, true
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &Consents{ConsentsConfig: c, table: table}, nil
}

func consentID(workspace, client string, p Person) string { return store.ID(workspace, client, p.id()) }

// Allowed returns the scopes that the person of want has allowed its client, and
// whether there is a consent at all: one to no scopes is one too.
func (k *Consents) Allowed(ctx context.Context, tenant string, want Consent) ([]string, bool, error) {
	row, err := k.table.Get(ctx, tenant, consentID(want.Workspace, want.Client, want.Person()))
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil || !row.Value.same(&want) || k.dead(tenant, &row.Value) {
		return nil, false, err
	}
	return row.Value.Scopes, true, nil
}

// Give adds scopes to what a person allowed a client, and returns the id of that
// consent. What they had allowed before goes with a client, person or workspace
// that was made anew, and with whatever was revoked.
func (k *Consents) Give(ctx context.Context, tenant string, c Consent) (string, error) {
	id := consentID(c.Workspace, c.Client, c.Person())
	for {
		now := k.Now()
		c.Since, c.Given, c.Expires = now, now, now.Add(k.Life)
		next := c
		next.ID = vault.NewID()
		row, err := k.table.Get(ctx, tenant, id)
		fresh := errors.Is(err, store.ErrNotFound)
		if err != nil && !fresh {
			return "", err
		}
		old := row.Value
		held := !fresh && old.same(&c) && !k.dead(tenant, &old)
		if held {
			next.ID, next.Since = old.ID, old.Since
			next.Scopes = slices.Compact(slices.Sorted(slices.Values(slices.Concat(old.Scopes, c.Scopes))))
		}
		if fresh {
			_, err = k.table.Create(ctx, tenant, id, next)
		} else {
			_, err = k.table.Swap(ctx, tenant, id, row.Rev, next)
		}
		switch {
		case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrStale), errors.Is(err, store.ErrNotFound):
			continue // somebody else was faster
		case err != nil:
			return "", err
		case held && k.dead(tenant, &old): // withdrawn while it was written: what was allowed before is not allowed again
			if err := k.remove(ctx, tenant, id); err != nil {
				return "", err
			}
			continue
		}
		return next.ID, nil
	}
}

// ByID returns the consent of an id in a workspace, or ErrInvalid.
func (k *Consents) ByID(ctx context.Context, tenant, workspace, epoch, id string) (Consent, error) {
	if id == "" || len(id) > 256 {
		return Consent{}, ErrInvalid
	}
	rows, err := k.table.Find(ctx, tenant, store.Query{Index: "id", Equal: id}, store.Page{Limit: 1})
	if err != nil {
		return Consent{}, err
	}
	if len(rows) == 0 {
		return Consent{}, ErrInvalid
	}
	c := rows[0].Value
	if c.Workspace != workspace || c.WorkspaceEpoch != epoch || k.dead(tenant, &c) {
		return Consent{}, ErrInvalid
	}
	return c, nil
}

// List returns what a person has allowed in a workspace, the oldest first.
func (k *Consents) List(ctx context.Context, tenant, workspace, epoch string, who Person) ([]Consent, error) {
	var list []Consent
	q := store.Query{Index: "person", Equal: store.ID(workspace, who.id())}
	err := k.table.All(ctx, tenant, q, func(r store.Row[Consent]) bool {
		c := r.Value
		if c.WorkspaceEpoch == epoch && (who.UserEpoch == "" || c.UserEpoch == who.UserEpoch) && !k.dead(tenant, &c) {
			list = append(list, c)
		}
		return true
	})
	return list, err
}

// Withdraw ends what a person allowed a client in a workspace, on every gateway:
// the consent and all codes, grants and tokens that the client has from them.
func (k *Consents) Withdraw(ctx context.Context, tenant, workspace, client string, who Person) error {
	err := k.Marks.Append(ctx, changes.Entry{
		Kind: changes.KindRevokeAccess, Tenant: tenant, Workspace: workspace, ID: accessID(client, who.id()),
		Until: k.Now().Add(k.Life),
	})
	if err != nil {
		return err
	}
	return k.remove(ctx, tenant, consentID(workspace, client, who))
}

// Clear removes the stored consents of a user after their revocation was
// announced.
func (k *Consents) Clear(ctx context.Context, tenant, pool, user string) error {
	return k.clear(ctx, tenant, store.Query{Index: "user", Equal: store.ID(pool, user)})
}

// ClearSubject is Clear for whoever a subject of a workspace stands for.
func (k *Consents) ClearSubject(ctx context.Context, tenant, workspace, subject string) error {
	return k.clear(ctx, tenant, store.Query{Index: "subject", Equal: store.ID(workspace, subject)})
}

// ClearIDP is Clear for everybody who came to a workspace by an IDP.
func (k *Consents) ClearIDP(ctx context.Context, tenant, workspace, idp string) error {
	return k.clear(ctx, tenant, store.Query{Index: "idp", Equal: store.ID(workspace, idp)})
}

// ClearClient is Clear for whatever people allowed a client.
func (k *Consents) ClearClient(ctx context.Context, tenant, client string) error {
	return k.clear(ctx, tenant, store.Query{Index: "client", Equal: client})
}

// ClearWorkspace is Clear for whatever was allowed in a workspace.
func (k *Consents) ClearWorkspace(ctx context.Context, tenant, workspace string) error {
	return k.clear(ctx, tenant, store.Query{Index: "workspace", Equal: workspace})
}

func (k *Consents) clear(ctx context.Context, tenant string, q store.Query) error {
	var ids []string
	err := k.table.All(ctx, tenant, q, func(r store.Row[Consent]) bool {
		if c := r.Value; k.dead(tenant, &c) { // what was given after the revocation stays
			ids = append(ids, r.ID)
		}
		return true
	})
	for _, id := range ids {
		err = errors.Join(err, k.remove(ctx, tenant, id))
	}
	return err
}

func (k *Consents) remove(ctx context.Context, tenant, id string) error {
	if err := k.table.Delete(ctx, tenant, id); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

func (k *Consents) dead(tenant string, c *Consent) bool {
	return k.Marks.Dead(Ref{
		Tenant: tenant, Workspace: c.Workspace, Pool: c.Pool, User: c.User, Subject: c.Subject, IDP: c.IDP,
		Client: c.Client, Issued: c.Given,
	})
}
