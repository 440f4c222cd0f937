package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

func (a *API) claimOperations() []operation {
	const all, one = "/api/admin/:tid/claims", "/api/admin/:tid/claims/:claim"
	manage := string(role.ManageClaims)
	return []operation{
		{
			id: "createClaim", method: http.MethodPost, path: all, family: admin,
			allow: manage, on: onBody, ok: http.StatusCreated, etag: true, once: true, run: createClaim,
		},
		{
			id: "updateClaim", method: http.MethodPut, path: one, family: admin,
			allow: manage, on: onClaim, ok: http.StatusOK, etag: true, run: updateClaim,
		},
		{
			id: "deleteClaim", method: http.MethodDelete, path: one, family: admin,
			allow: manage, on: onClaim, ok: http.StatusNoContent, run: deleteClaim,
		},
	}
}

func claimReply(c client.Claim, err error) (reply, error) { return reply{body: c, rev: c.Rev}, err }

func createClaim(x *call) (reply, error) {
	var c client.Claim
	if err := x.decode(&c); err != nil {
		return reply{}, err
	}
	c.TenantID, c.WorkspaceID = x.owner, x.on.Workspace.ID // what the permission was asked on
	return claimReply(x.Clients.Claims.Create(x.ctx, c))
}

func updateClaim(x *call) (reply, error) {
	old, err := x.Clients.Claims.Get(x.ctx, x.owner, x.param("claim"))
	if err != nil {
		return reply{}, err
	}
	var c client.Claim
	if err := x.decode(&c); err != nil {
		return reply{}, err
	}
	c.TenantID, c.WorkspaceID, c.ID = old.TenantID, old.WorkspaceID, old.ID
	if c.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	return claimReply(x.Clients.Claims.Update(x.ctx, c))
}

func deleteClaim(x *call) (reply, error) {
	old, err := x.Clients.Claims.Get(x.ctx, x.owner, x.param("claim"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Clients.Claims.Delete(x.ctx, x.owner, old.ID, rev)
}
