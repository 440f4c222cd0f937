package setup

import (
	"context"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// noteTime is when somebody else takes over what was begun.
const noteTime = 2 * time.Minute

// note says that a tenant, or a workspace, is being made. It stands in the root
// tenant.
type note struct {
	Tenant    string    `json:"tenant"`
	Workspace string    `json:"workspace,omitempty"` // empty: the tenant itself
	Default   bool      `json:"default,omitempty"`   // with the workspace default
	Demo      bool      `json:"demo,omitempty"`      // with a demo client
	At        time.Time `json:"at"`
}

func (n *note) id() string {
	if n.Workspace == "" {
		return store.ID("tenant", n.Tenant)
	}
	return store.ID("workspace", n.Tenant, n.Workspace)
}

// begin writes a note. The function that it returns takes it away again; one
// that another writer left stays, for Finish.
func (s *Setup) begin(ctx context.Context, n note) (end func(context.Context) error, err error) {
	n.At = s.config.Now().Add(noteTime)
	row, err := s.notes.Create(ctx, tenant.Root, n.id(), n)
	if errors.Is(err, store.ErrExists) {
		return func(context.Context) error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return s.drop(ctx, row) }, nil
}

func (s *Setup) drop(ctx context.Context, row store.Row[note]) error {
	err := s.notes.DeleteIf(ctx, row.Tenant, row.ID, row.Rev)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrStale) {
		return nil
	}
	return err
}

// Finish completes tenants and workspaces whose making stopped half-way. It is
// meant for a periodic job and for the start of the gateway; several may run it
// at once.
func (s *Setup) Finish(ctx context.Context) error {
	rows, err := s.notes.Due(ctx, 100)
	for _, row := range rows {
		err = errors.Join(err, s.finish(ctx, row))
	}
	return err
}

func (s *Setup) finish(ctx context.Context, row store.Row[note]) error {
	n := &row.Value
	err := s.mend(ctx, n)
	if err != nil && !gone(err) {
		return err
	}
	if err == nil {
		s.config.Log.Warn("completed what was left half-made", "tenant", n.Tenant, "workspace", n.Workspace)
	}
	return s.drop(ctx, row)
}

// mend makes what is missing; NotFound when there is nothing to complete.
func (s *Setup) mend(ctx context.Context, n *note) error {
	if n.Workspace == "" {
		t, err := s.config.Tenants.Tenants.Get(ctx, n.Tenant)
		if err != nil {
			return err
		}
		_, err = s.fill(ctx, t, n.Default)
		return err
	}
	w, err := s.config.Tenants.Workspaces.Get(ctx, tenant.Key{Tenant: n.Tenant, Workspace: n.Workspace})
	if err != nil {
		return err
	}
	_, err = s.furnish(ctx, &w, n.Demo)
	return err
}

// ids returns the ids to try in turn for something new: the chosen one, or what
// becomes of its name.
func ids(chosen, name string) []string {
	if chosen != "" {
		return []string{chosen}
	}
	random := vault.NewID()
	slug := record.Slug(name)
	if slug == "" {
		return []string{random}
	}
	return []string{slug, slug + "-" + random[:8], random}
}
