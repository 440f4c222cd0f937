package api

import (
	"errors"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// poolWithIDP creates a pool of a workspace and an IDP that stands for it there,
// or neither.
func (x *call) poolWithIDP(in pool.Input) (reply, error) {
	if err := x.mayManageIDPs(in.WorkspaceID); err != nil {
		return reply{}, err
	}
	made, err := x.Pools.Create(x.ctx, x.owner, in)
	if err != nil {
		return reply{}, err
	}
	_, err = x.IDPs.Create(x.ctx, idp.IDP{TenantID: x.owner, WorkspaceID: in.WorkspaceID, IdentityPoolID: made.ID})
	if err == nil {
		return reply{body: made, rev: made.Rev}, nil
	}
	ctx, cancel := x.detached()
	defer cancel()
	if undo := x.Pools.Delete(ctx, x.owner, made.ID, 0); undo != nil {
		err = errors.Join(err, undo)
	}
	return reply{}, err
}

func deletePool(x *call) (reply, error) {
	p, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.removePool(p)
}

func deleteWorkspacePool(x *call) (reply, error) {
	p, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	if p.WorkspaceID != x.param("wid") {
		return reply{}, fault.New(fault.NotFound, "There is no such pool in this workspace.", nil)
	}
	return reply{}, x.removePool(p)
}

// removePool deletes a pool, on request with the IDPs that stand for it; without
// that the keeper refuses a pool that has some. What people have signed in to by
// the pool ends: the keeper announces that.
func (x *call) removePool(p pool.Pool) error {
	withIDP, err := x.flag("with_idp")
	if err != nil {
		return err
	}
	rev, err := x.expect(p.Rev)
	if err != nil {
		return err
	}
	if withIDP && !p.System {
		if x.caller.Pool == p.ID {
			return fault.New(fault.Unprocessable, "You are signed in by this pool: sign in another way to delete it.", nil)
		}
		if err := x.removeIDPsOf(p.ID); err != nil {
			return err
		}
	}
	if err := x.Pools.Delete(x.ctx, x.owner, p.ID, rev); err != nil {
		return err
	}
	gone := role.Resource{Tenant: role.Ref{ID: x.owner}, Pool: role.Ref{ID: p.ID, Epoch: p.Epoch}}
	return x.Roles.ForgetResource(x.ctx, gone)
}

// removeIDPsOf deletes the IDPs that stand for a pool, in all workspaces, if the
// caller may do so everywhere.
func (x *call) removeIDPsOf(poolID string) error {
	linked, err := x.IDPs.ListByPool(x.ctx, x.owner, poolID)
	if err != nil {
		return err
	}
	for i := range linked {
		if err := x.mayManageIDPs(linked[i].WorkspaceID); err != nil {
			return err
		}
	}
	for i := range linked {
		if err := x.removeIDPOf(&linked[i]); err != nil {
			return err
		}
	}
	return nil
}

// removeIDPOf ends what people have signed in to by an IDP, before it is gone and,
// for those who signed in meanwhile, once it is.
func (x *call) removeIDPOf(p *idp.IDP) error {
	at := tenant.Key{Tenant: p.TenantID, Workspace: p.WorkspaceID}
	if err := x.Signin.EndIDP(x.ctx, at, p.ID); err != nil {
		return err
	}
	err := x.IDPs.Delete(x.ctx, p.TenantID, p.WorkspaceID, p.ID, 0)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := x.Signin.EndIDP(x.ctx, at, p.ID); err != nil {
		return err
	}
	return x.Roles.Forget(x.ctx, role.IDP(p.TenantID, p.WorkspaceID, p.ID, p.Epoch))
}

// mayManageIDPs refuses callers who could not do by hand what with_idp does.
func (x *call) mayManageIDPs(workspace string) error {
	if !x.op.roles() {
		return nil
	}
	on, err := x.inside(x.mine(), workspace)
	if err != nil {
		return err
	}
	ok, err := x.can(role.ManageIDPs, on)
	if err == nil && !ok {
		err = denied("with_idp needs the permission manage_idps on the workspace " + workspace + ".")
	}
	return err
}
