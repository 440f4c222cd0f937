package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config configures a Keeper.
type Config struct {
	Scheme string  // of the apps as browsers see them: http or https
	Static []Route // from the configuration file; read-only, counted as root's
	// StaticHosts are the hosts that the configuration file gives to workspaces
	// without a route: name, tenant and workspace count.
	StaticHosts []Host
	// Own are the hosts of the gateway itself by their purpose. What it held
	// under another name is void. Nil: whatever it ever reserved stays its own.
	Own map[string]string
	// Changed appends an entry to the change log after a write.
	Changed func(context.Context, changes.Entry) error
	// Epoch returns the epoch of a live workspace, or fault.NotFound. Hosts and
	// routes written under another epoch are void. Nil: workspaces are not checked.
	Epoch func(ctx context.Context, tenant, workspace string) (string, error)
	Log   *slog.Logger
	Now   func() time.Time
}

// Keeper keeps hosts, allowances and routes, and the Table made of them. Safe
// for concurrent use.
type Keeper struct {
	Config
	routes     *store.Table[Route]
	hosts      *store.Table[Host]
	allowances *store.Table[Allowance]

	loading sync.Mutex // one Load at a time, so that an older one never wins
	file    []place    // what the configuration file gives to whom; its flags need loading
	table   atomic.Pointer[Table]
	stale   atomic.Bool // the last Load failed; the next Follow tries again
}

// Open declares the tables. The Table is empty until Load.
func Open(ctx context.Context, s *store.Store, c Config) (*Keeper, error) {
	c.Scheme = orElse(c.Scheme, "https")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Changed == nil {
		c.Changed = func(context.Context, changes.Entry) error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{Config: c}
	for i := range k.Static {
		k.Static[i].Source = FromFile
		k.Static[i] = k.Static[i].Normal()
	}
	k.file = k.places()
	var err error
	k.routes, err = store.Declare(ctx, s, store.Spec[Route]{Name: "routes"})
	if err != nil {
		return nil, err
	}
	k.hosts, err = store.Declare(ctx, s, store.Spec[Host]{Name: "hosts", Indexes: map[string]func(*Host) (store.Key, bool){
		"owner": func(h *Host) (store.Key, bool) { return store.Key{Equal: h.Tenant, Order: h.Name}, true },
	}})
	if err != nil {
		return nil, err
	}
	k.allowances, err = store.Declare(ctx, s, store.Spec[Allowance]{Name: "allowances"})
	if err != nil {
		return nil, err
	}
	empty, _ := Compile(Source{Scheme: c.Scheme})
	k.table.Store(empty)
	return k, nil
}

// Table returns the routes as they stand. It never returns nil.
func (k *Keeper) Table() *Table { return k.table.Load() }

// Create adds a route and claims its host if nobody has. It returns
// fault.Conflict when the place or the host is taken, fault.Denied when the
// tenant may not claim the host, and fault.Unprocessable for a bad field.
func (k *Keeper) Create(ctx context.Context, r Route) (store.Row[Route], error) {
	r.Source = FromAPI
	r = r.Normal()
	if bad := r.Problems(); len(bad) > 0 {
		return store.Row[Route]{}, bad[0]
	}
	if _, err := k.Claim(ctx, r.Host, r.Tenant, r.Workspace); err != nil {
		return store.Row[Route]{}, err
	}
	if k.static(r.ID) != nil {
		return store.Row[Route]{}, taken()
	}
	epoch, err := k.epoch(ctx, r.Tenant, r.Workspace)
	if err != nil {
		return store.Row[Route]{}, err
	}
	r.Epoch, r.Created = epoch, k.Now().UTC()
	r.Updated = r.Created
	row, err := k.routes.Create(ctx, r.Tenant, store.ID(r.Workspace, r.ID), r)
	if errors.Is(err, store.ErrExists) {
		return store.Row[Route]{}, taken()
	}
	if err != nil {
		return store.Row[Route]{}, err
	}
	return row, k.changed(ctx, changes.KindRoute, r.Tenant, r.Workspace, r.ID)
}

// Get returns a route of the API or of the file, or fault.NotFound.
func (k *Keeper) Get(ctx context.Context, tenant, workspace, id string) (store.Row[Route], error) {
	if r := k.static(id); r != nil && r.Tenant == tenant && r.Workspace == workspace {
		return store.Row[Route]{Tenant: tenant, ID: store.ID(workspace, id), Value: *r}, nil
	}
	row, err := k.routes.Get(ctx, tenant, store.ID(workspace, id))
	if errors.Is(err, store.ErrNotFound) {
		return row, missing(err)
	}
	return row, err
}

// Update replaces what r says of the route with its id. Host and path prefix
// are its place and cannot change. rev is the revision that the caller read, 0
// for whatever it is; another one gives fault.Stale.
func (k *Keeper) Update(ctx context.Context, id string, r Route, rev int64) (store.Row[Route], error) {
	r.Source = FromAPI
	r = r.Normal()
	if bad := r.Problems(); len(bad) > 0 {
		return store.Row[Route]{}, bad[0]
	}
	if r.ID != id {
		return store.Row[Route]{}, fault.At(fault.Unprocessable, "path_prefix", "Host and path prefix cannot be changed; create another route and delete this one.")
	}
	if s := k.static(id); s != nil && s.Tenant == r.Tenant && s.Workspace == r.Workspace {
		return store.Row[Route]{}, readOnly()
	}
	row, err := k.swap(ctx, r, rev)
	if err != nil {
		return store.Row[Route]{}, err
	}
	return row, k.changed(ctx, changes.KindRoute, r.Tenant, r.Workspace, id)
}

func (k *Keeper) swap(ctx context.Context, r Route, rev int64) (store.Row[Route], error) {
	for {
		old, err := k.Get(ctx, r.Tenant, r.Workspace, r.ID)
		if err != nil {
			return old, err
		}
		if rev != 0 && old.Rev != rev {
			return old, fault.New(fault.Stale, "The route has changed since it was read.", nil)
		}
		r.Created, r.Epoch, r.Updated = old.Value.Created, old.Value.Epoch, k.Now().UTC()
		row, err := k.routes.Swap(ctx, r.Tenant, old.ID, old.Rev, r)
		if err == nil || !errors.Is(err, store.ErrStale) {
			return row, err
		}
	}
}

// Delete removes a route. The host stays claimed until it is released. rev as
// for Update.
func (k *Keeper) Delete(ctx context.Context, tenant, workspace, id string, rev int64) error {
	old, err := k.Get(ctx, tenant, workspace, id)
	if err != nil {
		return err
	}
	if old.Value.Source == FromFile {
		return readOnly()
	}
	if rev != 0 && old.Rev != rev {
		return fault.New(fault.Stale, "The route has changed since it was read.", nil)
	}
	err = k.routes.DeleteIf(ctx, tenant, old.ID, old.Rev)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return missing(err)
	case errors.Is(err, store.ErrStale):
		return fault.New(fault.Stale, "The route has changed since it was read.", err)
	case err != nil:
		return err
	}
	return k.changed(ctx, changes.KindRoute, tenant, workspace, id)
}

// List returns a page of a workspace's routes in the order of their ids. Those
// of the configuration file come in Static and are not listed here.
func (k *Keeper) List(ctx context.Context, tenant, workspace string, p store.Page) ([]store.Row[Route], error) {
	if p.After != "" {
		p.After = store.ID(workspace, p.After)
	}
	if p.Before != "" {
		p.Before = store.ID(workspace, p.Before)
	}
	return k.routes.Range(ctx, tenant, store.Prefix(workspace), p)
}

// DropWorkspace removes everything that a workspace holds here: its routes, then
// its hosts. It may be repeated after a failure.
func (k *Keeper) DropWorkspace(ctx context.Context, tenant, workspace string) error {
	for {
		rows, err := k.routes.Range(ctx, tenant, store.Prefix(workspace), store.Page{Limit: 100})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := k.routes.Delete(ctx, tenant, row.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if len(rows) < 100 {
			break
		}
	}
	if err := k.dropHosts(ctx, tenant, workspace); err != nil {
		return err
	}
	return k.changed(ctx, changes.KindRoute, tenant, workspace, "")
}

func (k *Keeper) static(id string) *Route {
	for i := range k.Static {
		if k.Static[i].ID == id {
			return &k.Static[i]
		}
	}
	return nil
}

func (k *Keeper) epoch(ctx context.Context, tenant, workspace string) (string, error) {
	if k.Epoch == nil {
		return "", nil
	}
	return k.Epoch(ctx, tenant, workspace)
}

func (k *Keeper) changed(ctx context.Context, kind, tenant, workspace, id string) error {
	return k.Changed(ctx, changes.Entry{Kind: kind, Tenant: tenant, Workspace: workspace, ID: id, At: k.Now().UTC()})
}

func taken() error {
	return fault.At(fault.Conflict, "path_prefix", "There is a route for this host and path already.")
}

func missing(cause error) error { return fault.New(fault.NotFound, "There is no such route.", cause) }

func readOnly() error {
	return fault.New(fault.Conflict, "This route is in the configuration file; change it there.", nil)
}

// Load reads hosts, allowances and routes and puts a new Table in place. It
// claims what the configuration file gives to workspaces that exist by now. On
// an error the old Table stays.
func (k *Keeper) Load(ctx context.Context) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	k.stale.Store(true)
	src, err := k.read(ctx)
	if err != nil {
		return fmt.Errorf("load routes: %w", err)
	}
	t, bad := Compile(src)
	for _, err := range bad {
		k.Log.Warn("route", "error", err)
	}
	k.table.Store(t)
	k.stale.Store(false)
	return nil
}

// Follow is for changes.Log.Subscribe: it loads anew when an entry may concern
// routes. A failure keeps the old Table and is tried again with the next entry;
// the caller also calls Load every 30 s or so.
func (k *Keeper) Follow(entries []changes.Entry) {
	concerned := len(entries) == 0 || k.stale.Load()
	for _, e := range entries {
		switch e.Kind {
		case changes.KindRoute, changes.KindHost, changes.KindWorkspace, changes.KindTenant:
			concerned = true
		}
	}
	if !concerned {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := k.Load(ctx); err != nil {
		k.Log.Error("routes not loaded; the old ones stay", "error", err)
	}
}
