package route

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// What a host is for.
const (
	ForApps       = "apps"       // routes of a workspace
	ForBase       = "base"       // the gateway's own pages and API
	ForExtensions = "extensions" // pages of plugins
)

// Host is the claim of a host name, without a port. It is a record of the root
// tenant, so that a name has one owner.
type Host struct {
	Name      string    `json:"host"`
	Tenant    string    `json:"tenant_id"`
	Workspace string    `json:"workspace_id,omitempty"` // empty: the gateway's own
	Epoch     string    `json:"workspace_epoch,omitempty"`
	Purpose   string    `json:"purpose"`
	Created   time.Time `json:"created_at"`
}

func (h *Host) heldBy(tenant, workspace, purpose string) bool {
	return h.Tenant == tenant && h.Workspace == workspace && h.Purpose == purpose
}

// Claim makes a host a workspace's. Claiming it again is no error. Another
// owner, also one that the configuration file names and that does not exist
// yet, gives fault.Conflict, a name outside the tenant's allowance
// fault.Denied. A claim whose owner is gone is taken over.
func (k *Keeper) Claim(ctx context.Context, host, tenant, workspace string) (Host, error) {
	var bad problems
	if bad.host("host", NormalHost(host)); len(bad) > 0 {
		return Host{}, bad[0]
	}
	name := Hostname(host)
	if err := k.mayClaim(ctx, tenant, name); err != nil {
		return Host{}, err
	}
	if p := k.placed(name); p != nil && !p.heldBy(tenant, workspace, ForApps) {
		return Host{}, foreign()
	}
	return k.claim(ctx, Host{Name: name, Tenant: tenant, Workspace: workspace, Purpose: ForApps})
}

// Reserve claims hosts for the gateway itself, at start and before Load. A host
// that a workspace holds gives fault.Conflict with its name.
func (k *Keeper) Reserve(ctx context.Context, purpose string, hosts ...string) error {
	for _, host := range hosts {
		if _, err := k.claim(ctx, Host{Name: Hostname(host), Tenant: Root, Purpose: purpose}); err != nil {
			return fmt.Errorf("host %s for %s: %w", Hostname(host), purpose, err)
		}
	}
	return nil
}

// claim takes the record and tells the change log.
func (k *Keeper) claim(ctx context.Context, h Host) (Host, error) {
	h, isNew, err := k.take(ctx, h)
	if err != nil || !isNew {
		return h, err
	}
	return h, k.changed(ctx, changes.KindHost, h.Tenant, h.Workspace, h.Name)
}

// take creates the record, or finds it ours, or takes over a void one.
func (k *Keeper) take(ctx context.Context, h Host) (_ Host, isNew bool, err error) {
	if h.Workspace != "" {
		if h.Epoch, err = k.epoch(ctx, h.Tenant, h.Workspace); err != nil {
			return Host{}, false, err
		}
	}
	h.Created = k.Now().UTC()
	for {
		_, err := k.hosts.Create(ctx, Root, store.ID(h.Name), h)
		if !errors.Is(err, store.ErrExists) {
			return h, true, err
		}
		held, err := k.hosts.Get(ctx, Root, store.ID(h.Name))
		if errors.Is(err, store.ErrNotFound) {
			continue // released meanwhile
		}
		if err != nil {
			return Host{}, false, err
		}
		if held.Value.heldBy(h.Tenant, h.Workspace, h.Purpose) && held.Value.Epoch == h.Epoch {
			return held.Value, false, nil
		}
		live, err := k.live(ctx, &held.Value)
		if err != nil {
			return Host{}, false, err
		}
		if live {
			return Host{}, false, foreign()
		}
		_, err = k.hosts.Swap(ctx, Root, held.ID, held.Rev, h)
		if !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrNotFound) {
			return h, true, err
		}
	}
}

func foreign() error {
	return fault.At(fault.Conflict, "host", "This host belongs to another workspace or to the gateway itself.")
}

// live tells whether the owner of a claim still exists. A host that was the
// gateway's own under other settings has none.
func (k *Keeper) live(ctx context.Context, h *Host) (bool, error) {
	if h.Workspace == "" {
		return k.Own == nil || Hostname(k.Own[h.Purpose]) == h.Name, nil
	}
	if k.Epoch == nil {
		return true, nil
	}
	epoch, err := k.Epoch(ctx, h.Tenant, h.Workspace)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return epoch == h.Epoch, err
}

// Release gives a host of a workspace up. Its routes must be gone first, and it
// must not be in the configuration file, else fault.Conflict; somebody else's
// host is fault.NotFound.
func (k *Keeper) Release(ctx context.Context, host, tenant, workspace string) error {
	name := Hostname(host)
	held, err := k.hosts.Get(ctx, Root, store.ID(name))
	if err == nil && !held.Value.heldBy(tenant, workspace, ForApps) {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "This workspace does not hold such a host.", err)
	}
	if err != nil {
		return err
	}
	if k.placed(name) != nil {
		return fault.At(fault.Conflict, "host", "This host is in the configuration file; change it there.")
	}
	used, err := k.used(ctx, name, tenant, workspace)
	if err != nil {
		return err
	}
	if used {
		return fault.At(fault.Conflict, "host", "This host still has routes; delete them first.")
	}
	if err := k.hosts.DeleteIf(ctx, Root, held.ID, held.Rev); err != nil {
		return err
	}
	return k.changed(ctx, changes.KindHost, tenant, workspace, name)
}

func (k *Keeper) used(ctx context.Context, name, tenant, workspace string) (bool, error) {
	used := false
	err := k.routes.All(ctx, tenant, store.Query{Equal: store.Prefix(workspace)}, func(row store.Row[Route]) bool {
		used = Hostname(row.Value.Host) == name
		return !used
	})
	return used, err
}

// Hosts returns a page of the hosts that a tenant holds, by name. The root
// tenant's include the gateway's own.
func (k *Keeper) Hosts(ctx context.Context, tenant string, p store.Page) ([]store.Row[Host], error) {
	if p.After != "" {
		p.After = store.ID(p.After)
	}
	if p.Before != "" {
		p.Before = store.ID(p.Before)
	}
	return k.hosts.Find(ctx, Root, store.Query{Index: "owner", Equal: tenant}, p)
}

func (k *Keeper) dropHosts(ctx context.Context, tenant, workspace string) error {
	var held []store.Row[Host]
	err := k.hosts.All(ctx, Root, store.Query{Index: "owner", Equal: tenant}, func(row store.Row[Host]) bool {
		if row.Value.heldBy(tenant, workspace, ForApps) {
			held = append(held, row)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, row := range held {
		err := k.hosts.DeleteIf(ctx, Root, row.ID, row.Rev)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	return nil
}

// AnyHost among a tenant's host suffixes lets it claim every host that nobody
// holds.
const AnyHost = "*"

// mayClaim refuses a name outside the tenant's allowance.
func (k *Keeper) mayClaim(ctx context.Context, tenant, name string) error {
	if tenant == Root {
		return nil
	}
	a, err := k.Allowance(ctx, tenant)
	if err != nil {
		return err
	}
	for _, suffix := range a.HostSuffixes {
		if suffix == AnyHost || name == suffix || strings.HasSuffix(name, "."+suffix) {
			return nil
		}
	}
	say := "This tenant may not claim hosts; the root tenant grants it host suffixes."
	if len(a.HostSuffixes) > 0 {
		say = "This tenant may claim only hosts that are or end in " + strings.Join(a.HostSuffixes, ", ") + "."
	}
	return fault.At(fault.Denied, "host", say)
}

// Allow grants a tenant host suffixes and upstream networks, in place of what
// it had. It is an operation of the root tenant.
func (k *Keeper) Allow(ctx context.Context, a Allowance) error {
	for i, s := range a.HostSuffixes {
		if s == AnyHost {
			continue
		}
		s = NormalHost(strings.TrimPrefix(s, "."))
		if name, port := splitPort(s); port != "" || !goodName(name) {
			return fault.At(fault.Unprocessable, fmt.Sprintf("host_suffixes[%d]", i), "Give a domain name without a port, such as \"example.com\".")
		}
		a.HostSuffixes[i] = s
	}
	for i, n := range a.UpstreamNetworks {
		if len((&Allowance{UpstreamNetworks: []string{n}}).networks()) == 0 {
			return fault.At(fault.Unprocessable, fmt.Sprintf("upstream_networks[%d]", i), "Give a network such as \"10.0.0.0/8\" or \"10.0.0.5/32\".")
		}
	}
	for {
		old, err := k.allowances.Get(ctx, Root, store.ID(a.Tenant))
		if errors.Is(err, store.ErrNotFound) {
			_, err = k.allowances.Create(ctx, Root, store.ID(a.Tenant), a)
		} else if err == nil {
			_, err = k.allowances.Swap(ctx, Root, old.ID, old.Rev, a)
		}
		switch {
		case err == nil:
			return k.changed(ctx, changes.KindHost, a.Tenant, "", "")
		case !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
}

// Allowance returns what a tenant was granted; nothing, if it never was.
func (k *Keeper) Allowance(ctx context.Context, tenant string) (Allowance, error) {
	row, err := k.allowances.Get(ctx, Root, store.ID(tenant))
	if errors.Is(err, store.ErrNotFound) {
		return Allowance{Tenant: tenant}, nil
	}
	return row.Value, err
}

// read gathers what a Table is made of. Tenants are found by their hosts:
// without one a route does not count.
func (k *Keeper) read(ctx context.Context) (Source, error) {
	src := Source{Scheme: k.Scheme, Allowances: map[string]*Allowance{}}
	hosts := map[string]Host{}
	err := k.hosts.All(ctx, Root, store.Query{}, func(row store.Row[Host]) bool {
		hosts[row.Value.Name] = row.Value
		return true
	})
	if err != nil {
		return src, err
	}
	err = k.allowances.All(ctx, Root, store.Query{}, func(row store.Row[Allowance]) bool {
		src.Allowances[row.Value.Tenant] = &row.Value
		return true
	})
	if err != nil {
		return src, err
	}
	epochs := epochs{k: k, known: map[[2]string]string{}}
	if src.Routes, err = k.settle(ctx, hosts, &epochs); err != nil {
		return src, err
	}
	for _, tenant := range tenantsOf(hosts) {
		err := k.routes.All(ctx, tenant, store.Query{}, func(row store.Row[Route]) bool {
			r := row.Value
			h := hosts[Hostname(r.Host)]
			if h.heldBy(tenant, r.Workspace, ForApps) && r.Epoch == h.Epoch && epochs.live(ctx, tenant, r.Workspace, r.Epoch) {
				src.Routes = append(src.Routes, r)
			}
			return epochs.err == nil
		})
		if err = errors.Join(err, epochs.err); err != nil {
			return src, err
		}
	}
	return src, nil
}

func tenantsOf(hosts map[string]Host) []string {
	set := map[string]bool{}
	for _, h := range hosts {
		if h.Purpose == ForApps {
			set[h.Tenant] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// epochs remembers the epochs of workspaces during one Load.
type epochs struct {
	k     *Keeper
	known map[[2]string]string
	err   error
}

// live tells whether epoch is that of a workspace which exists. After a failure
// of the store, which is in err, the answer is no.
func (e *epochs) live(ctx context.Context, tenant, workspace, epoch string) bool {
	now, ok := e.of(ctx, tenant, workspace)
	return ok && (now == epoch || e.k.Epoch == nil)
}

// of returns the epoch of a workspace; not ok: there is none, or err.
func (e *epochs) of(ctx context.Context, tenant, workspace string) (epoch string, ok bool) {
	key := [2]string{tenant, workspace}
	now, ok := e.known[key]
	if !ok {
		var err error
		now, err = e.k.epoch(ctx, tenant, workspace)
		if fault.Is(err, fault.NotFound) {
			now, err = gone, nil
		}
		if err != nil {
			e.err = err
			return "", false
		}
		e.known[key] = now
	}
	return now, now != gone
}

// gone stands for the epoch of a workspace that does not exist.
const gone = "\x00gone"
