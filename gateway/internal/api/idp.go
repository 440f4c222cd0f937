package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// idpOperations are those of published API 16 on IDPs of all kinds and on those that
// stand for an identity pool.
func (a *API) idpOperations() []operation {
	const all = "/api/admin/:tid/servers/:wid/idps"
	const pools = all + "/identity_pool"
	return append(a.idpMethodOperations(), []operation{
		{
			id: "listIDPs", method: http.MethodGet, path: all, family: admin,
			allow: string(role.ReadIDPs), on: onWorkspace, ok: http.StatusOK, etag: true, run: listIDPs,
		},
		{
			id: "deleteIDP", method: http.MethodDelete, path: all + "/:iid", family: admin,
			allow: string(role.ManageIDPs), on: onWorkspace, ok: http.StatusNoContent, run: deleteIDP,
		},
		{
			id: "listIDPsForIdentityPool", method: http.MethodGet, path: "/api/admin/:tid/pools/:ipID/idps", family: admin,
			allow: string(role.GetIdentityPool), on: onPool, ok: http.StatusOK, etag: true, run: listPoolIDPs,
		},
		{
			id: "createIdentityPoolIDP", method: http.MethodPost, path: pools, family: admin,
			allow: string(role.ManageIDPs), on: onWorkspace, ok: http.StatusCreated, etag: true, once: true, run: createPoolIDP,
		},
		{
			id: "getIdentityPoolIDP", method: http.MethodGet, path: pools + "/:iid", family: admin,
			allow: string(role.ReadIDPs), on: onWorkspace, ok: http.StatusOK, etag: true, run: getPoolIDP,
		},
		{
			id: "updateIdentityPoolIDP", method: http.MethodPut, path: pools + "/:iid", family: admin,
			allow: string(role.ManageIDPs), on: onWorkspace, ok: http.StatusOK, etag: true, run: updatePoolIDP,
		},
	}...)
}

func listIDPs(x *call) (reply, error) {
	found, err := x.IDPs.List(x.ctx, x.owner, x.param("wid"))
	return list("idps", idp.Bases(found)), err
}

// listPoolIDPs shows those of the workspaces whose IDPs the caller may see.
func listPoolIDPs(x *call) (reply, error) {
	all, err := x.IDPs.ListByPool(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	seen := []idp.IDP{}
	for _, p := range all {
		on, err := x.inside(x.mine(), p.WorkspaceID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return reply{}, err
		}
		ok, err := x.can(role.ReadIDPs, on)
		if err != nil {
			return reply{}, err
		}
		if ok {
			seen = append(seen, p)
		}
	}
	return list("idps", seen), nil
}

// poolIDP returns the IDP of the path if it stands for an identity pool.
func (x *call) poolIDP() (idp.IDP, error) { return x.idpOf(idp.IdentityPool) }

func getPoolIDP(x *call) (reply, error) {
	p, err := x.poolIDP()
	return reply{body: p, rev: p.Rev}, err
}

func createPoolIDP(x *call) (reply, error) {
	var p idp.IDP
	if err := x.decode(&p); err != nil {
		return reply{}, err
	}
	p.TenantID, p.WorkspaceID, p.Method = x.owner, x.param("wid"), idp.IdentityPool // the path's; whatever the body says
	if err := x.mayConnect(p.IdentityPoolID); err != nil {
		return reply{}, err
	}
	if err := x.mayProvision(&p); err != nil {
		return reply{}, err
	}
	p, err := x.IDPs.Create(x.ctx, p)
	return reply{body: p, rev: p.Rev}, err
}

// mayConnect refuses a pool that the caller may not see: its users would become
// known to the workspace as they sign in. It reads as if it were not there; what
// is not there, the keeper says.
func (x *call) mayConnect(pool string) error {
	on, err := x.poolOf(x.mine(), pool)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ok, err := x.can(role.GetIdentityPool, on)
	if err == nil && !ok {
		err = fault.At(fault.Unprocessable, "identity_pool_id", "There is no such identity pool.")
	}
	return err
}

// updatePoolIDP replaces an IDP. Whoever decides what it says of people decides
// who they are: that needs the right to grant the roles that they have by it.
func updatePoolIDP(x *call) (reply, error) {
	var p idp.IDP
	if err := x.decode(&p); err != nil {
		return reply{}, err
	}
	old, err := x.poolIDP()
	if err != nil {
		return reply{}, err
	}
	ok, err := x.Roles.Covers(x.ctx, x.subjects(), role.IDP(x.owner, old.WorkspaceID, old.ID, old.Epoch))
	if err != nil {
		return reply{}, err
	}
	if !ok {
		return reply{}, denied("People who come by this IDP hold roles that you could not grant.")
	}
	p.TenantID, p.WorkspaceID, p.ID, p.Method = old.TenantID, old.WorkspaceID, old.ID, old.Method
	if p.IdentityPoolID == "" {
		p.IdentityPoolID = old.IdentityPoolID
	}
	if err := x.mayProvision(&p); err != nil {
		return reply{}, err
	}
	if p.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	p, err = x.IDPs.Update(x.ctx, p)
	return reply{body: p, rev: p.Rev}, err
}

// deleteIDP ends what people have signed in to by the IDP, before it is gone
// and, for those who signed in meanwhile, once it is.
func deleteIDP(x *call) (reply, error) {
	p, err := x.IDPs.Get(x.ctx, x.owner, x.param("wid"), x.param("iid"))
	if err != nil {
		return reply{}, err
	}
	if x.caller.Space.ID == p.WorkspaceID && x.caller.Claims.String("idp") == p.ID {
		return reply{}, fault.New(fault.Unprocessable, "You are signed in by this IDP: sign in another way to delete it.", nil)
	}
	rev, err := x.expect(p.Rev)
	if err != nil {
		return reply{}, err
	}
	paired, err := x.paired(&p)
	if err != nil {
		return reply{}, err
	}
	if err := x.Signin.EndIDP(x.ctx, x.key(), p.ID); err != nil {
		return reply{}, err
	}
	if err := x.IDPs.Delete(x.ctx, x.owner, p.WorkspaceID, p.ID, rev); err != nil {
		return reply{}, err
	}
	if err := x.Signin.EndIDP(x.ctx, x.key(), p.ID); err != nil {
		return reply{}, err
	}
	if paired != nil {
		if err := x.Roles.Forget(x.ctx, *paired); err != nil {
			return reply{}, err
		}
	}
	return reply{}, x.Roles.Forget(x.ctx, role.IDP(x.owner, p.WorkspaceID, p.ID, p.Epoch))
}

// paired returns the client of an IDP as a holder of roles; nil without one.
func (x *call) paired(p *idp.IDP) (*role.Subject, error) {
	if p.ClientID == "" {
		return nil, nil
	}
	c, err := x.Clients.Clients.Get(x.ctx, x.owner, p.ClientID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	who := role.Client(x.owner, c.ClientID, c.Epoch)
	return &who, err
}
