package route

import (
	"context"
	"fmt"

	"github.com/gatepost/gatepost/gateway/internal/fault"
)

// place is a host that the configuration file gives to a workspace, with its
// route if it has one there. It counts while that workspace exists:
//
//	start, Load --> workspace exists? -- no --> left out, one warning
//	                   | yes                       ^
//	                 claim -- somebody else's? ----'
//	                   |
//	                 route in the Table
type place struct {
	Host
	setting string // in the file, such as routes[0]
	route   *Route // nil: the host alone
	out     string // why it is left out, as a warning said
}

// places returns what the configuration file gives to workspaces.
func (k *Keeper) places() []place {
	list := make([]place, 0, len(k.StaticHosts)+len(k.Static))
	add := func(p place, host, tenant, workspace string) {
		p.Host = Host{Name: Hostname(host), Tenant: tenant, Workspace: workspace, Purpose: ForApps}
		list = append(list, p)
	}
	for i, h := range k.StaticHosts {
		add(place{setting: fmt.Sprintf("hosts[%d]", i)}, h.Name, h.Tenant, h.Workspace)
	}
	for i := range k.Static {
		r := &k.Static[i]
		add(place{setting: fmt.Sprintf("routes[%d]", i), route: r}, r.Host, r.Tenant, r.Workspace)
	}
	return list
}

// placed returns the place of a host in the configuration file, or nil.
func (k *Keeper) placed(name string) *place {
	for i := range k.file {
		if k.file[i].Name == name {
			return &k.file[i]
		}
	}
	return nil
}

// ReserveStatic claims the hosts that the configuration file gives to
// workspaces, at start and before Load. What belongs to a workspace that does
// not exist is left out with a warning, and Load takes it up when it does. A
// host that somebody else holds gives fault.Conflict.
func (k *Keeper) ReserveStatic(ctx context.Context) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	for i := range k.file {
		p := &k.file[i]
		if p.route != nil {
			if bad := p.route.Problems(); len(bad) > 0 {
				return fmt.Errorf("%s: %w", p.setting, bad[0])
			}
		}
		_, _, err := k.take(ctx, p.Host)
		if fault.Is(err, fault.NotFound) {
			k.leaveOut(p, noSpace)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: host %s: %w", p.setting, p.Name, err)
		}
	}
	return nil
}

// settle claims what the configuration file gives to workspaces that exist, and
// returns the routes that count. hosts are those of the store; it adds what it
// claims. The change log is not told: a subscriber of it may not write to it,
// and every gateway with this file does the same by itself.
func (k *Keeper) settle(ctx context.Context, hosts map[string]Host, now *epochs) ([]Route, error) {
	var routes []Route
	for i := range k.file {
		p := &k.file[i]
		why, err := k.settleOne(ctx, p, hosts, now)
		if err != nil {
			return nil, fmt.Errorf("%s: host %s: %w", p.setting, p.Name, err)
		}
		if why != "" {
			k.leaveOut(p, why)
			continue
		}
		if p.out != "" {
			k.Log.Info("taken up from the configuration file", "setting", p.setting, "host", p.Name, "workspace", p.Tenant+"/"+p.Workspace)
		}
		p.out = ""
		if p.route != nil {
			routes = append(routes, *p.route)
		}
	}
	return routes, nil
}

// Why a place is left out.
const (
	noSpace = "the workspace does not exist"
	noHost  = "the host belongs to another workspace or to the gateway itself"
)

// settleOne returns why a place is left out, or "".
func (k *Keeper) settleOne(ctx context.Context, p *place, hosts map[string]Host, now *epochs) (why string, err error) {
	if _, ok := now.of(ctx, p.Tenant, p.Workspace); !ok {
		return noSpace, now.err
	}
	held, ok := hosts[p.Name]
	if ok && held.heldBy(p.Tenant, p.Workspace, p.Purpose) && now.live(ctx, p.Tenant, p.Workspace, held.Epoch) {
		return "", nil
	}
	held, _, err = k.take(ctx, p.Host)
	switch {
	case fault.Is(err, fault.NotFound):
		return noSpace, nil // deleted meanwhile
	case fault.Is(err, fault.Conflict):
		return noHost, nil
	case err != nil:
		return "", err
	}
	hosts[p.Name] = held
	return "", nil
}

// leaveOut says once for each reason that a place does not count.
func (k *Keeper) leaveOut(p *place, why string) {
	if p.out != why {
		k.Log.Warn("left out of the configuration file for now: "+why, "setting", p.setting, "host", p.Name, "workspace", p.Tenant+"/"+p.Workspace)
	}
	p.out = why
}
