package api

import (
	"encoding/base64"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

func listPools(x *call) (reply, error) { return x.pools("") }

func listWorkspacePools(x *call) (reply, error) {
	if _, err := x.Tenants.Workspaces.Get(x.ctx, x.key()); err != nil {
		return reply{}, err
	}
	return x.pools(x.param("wid"))
}

// pools lists the pools that the caller may see, of one workspace or of all.
func (x *call) pools(workspace string) (reply, error) {
	page, err := x.page("pool")
	if err != nil {
		return reply{}, err
	}
	sort, err := web.ParseSort(x.c, "id", "name")
	if err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	found, err := x.visiblePools(pool.Filter{Workspace: workspace, Search: q.Get("search_phrase"), Sort: sort, Page: page})
	return list("pools", found), err
}

// userPools is the published type UserPools.
type userPools struct {
	Cursor string         `json:"cursor"` // for the next page; empty on the last
	Pools  []pool.Counted `json:"pools"`
}

// listUserWorkspacePools lists by cursor, which names the last pool that was
// seen. That pool may be deleted before the next page is asked for.
func listUserWorkspacePools(x *call) (reply, error) {
	page, err := x.page("pool")
	if err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	seen, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil || len(seen) > 0 && record.ID("cursor", string(seen)) != nil {
		return reply{}, fault.At(fault.Invalid, "cursor", "is not one that this list gave")
	}
	found, err := x.visiblePools(pool.Filter{
		Workspace: x.param("wid"), Page: store.Page{Limit: page.Limit + 1},
		Visible: func(p *pool.Pool) bool { return p.ID > string(seen) },
	})
	if err != nil {
		return reply{}, err
	}
	answer := userPools{Pools: found}
	if len(found) > page.Limit {
		answer.Pools = found[:page.Limit]
		answer.Cursor = base64.RawURLEncoding.EncodeToString([]byte(found[page.Limit-1].ID))
	}
	return body(answer), nil
}

// visiblePools lists those pools of a filter that the caller may see.
func (x *call) visiblePools(f pool.Filter) ([]pool.Counted, error) {
	every := !x.op.roles()
	if !every {
		// Whoever may see a pool of which nothing is known may see all.
		unknown := x.mine()
		unknown.Pool.ID = "?"
		var err error
		if every, err = x.can(role.GetIdentityPool, unknown); err != nil {
			return nil, err
		}
	}
	if every {
		return x.Pools.List(x.ctx, x.owner, f)
	}
	var failed error
	among := f.Visible
	f.Visible = func(p *pool.Pool) bool {
		if failed != nil || among != nil && !among(p) {
			return false
		}
		var ok bool
		ok, failed = x.mayGetPool(p.ID)
		return ok
	}
	found, err := x.Pools.List(x.ctx, x.owner, f)
	if err == nil {
		err = failed
	}
	return found, err
}

func (x *call) mayGetPool(id string) (bool, error) {
	on, err := x.poolOf(x.mine(), id)
	if fault.Is(err, fault.NotFound) { // it was deleted just now
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return x.can(role.GetIdentityPool, on)
}
