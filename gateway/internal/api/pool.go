package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// scopeIdentity is what a token of the workspace system needs for operations on
// pools, schemas and users.
const scopeIdentity = "identity"

// twin is an operation of the identity API, which comes twice: below admin for
// administrators, and below system for backends.
type twin struct {
	admin, system string // the published operationIds; empty: not there
	method        string
	path          string // below /api/identity/{tid}/admin and /system
	need          need
	ok            int // status of success
	tags          tagging
	run           func(*call) (reply, error)
}

// need is what an administrator needs for an operation: a permission, which may
// be read from the request, on something.
type need struct {
	allow      role.Permission
	permission func(*call) (role.Permission, error)
	on         target
}

func may(p role.Permission, on target) need { return need{allow: p, on: on} }

// tagging tells which of two twins answers with an ETag.
type tagging int

const (
	noTag tagging = iota
	systemTag
	adminTag
	bothTag
)

// identity turns twins into operations. All POSTs may be repeated under an
// idempotency key.
func identity(twins []twin) []operation {
	const base = "/api/identity/:tid"
	var all []operation
	for _, t := range twins {
		o := operation{method: t.method, on: t.need.on, ok: t.ok, once: t.method == http.MethodPost, run: t.run}
		if t.admin != "" {
			a := o
			a.id, a.path, a.family, a.etag = t.admin, base+"/admin"+t.path, admin, t.tags&adminTag != 0
			a.allow, a.permission = string(t.need.allow), t.need.permission
			all = append(all, a)
		}
		if t.system != "" {
			o.id, o.path, o.family, o.etag = t.system, base+"/system"+t.path, system, t.tags&systemTag != 0
			o.allow = scopeIdentity
			all = append(all, o)
		}
	}
	return all
}

// poolOperations are those of published API 3.
func (a *API) poolOperations() []operation {
	const all, one, within = "/pools", "/pools/:ipID", "/workspace/:wid"
	return identity([]twin{
		{"listPools", "systemListPools", http.MethodGet, all, may(anyRole, onTenant), http.StatusOK, noTag, listPools},
		{"createPool", "systemCreatePool", http.MethodPost, all, may(role.CreateIdentityPool, onTenant), http.StatusCreated, bothTag, createPool},
		{"getPool", "systemGetPool", http.MethodGet, one, may(role.GetIdentityPool, onPool), http.StatusOK, bothTag, getPool},
		{"updatePool", "systemUpdatePool", http.MethodPut, one, may(role.UpdateIdentityPool, onPool), http.StatusOK, bothTag, updatePool},
		{"deletePool", "systemDeletePool", http.MethodDelete, one, may(role.DeleteIdentityPool, onPool), http.StatusNoContent, noTag, deletePool},
		{"checkPoolPermissions", "", http.MethodGet, one + "/permissions", may(anyRole, onPool), http.StatusOK, bothTag, checkPermissions},

		{"listWorkspacePools", "listWorkspacePools", http.MethodGet, within + all, may(role.ListIdentityPools, onWorkspace), http.StatusOK, noTag, listWorkspacePools},
		{"createWorkspacePool", "", http.MethodPost, within + all, may(role.CreateIdentityPool, onWorkspace), http.StatusCreated, bothTag, createWorkspacePool},
		{"deleteWorkspacePool", "", http.MethodDelete, within + one, may(role.DeleteIdentityPool, onPool), http.StatusNoContent, noTag, deleteWorkspacePool},
		{"listUserWorkspacePools", "", http.MethodGet, within + "/user/pools", may(anyRole, onWorkspace), http.StatusOK, noTag, listUserWorkspacePools},
	})
}

func getPool(x *call) (reply, error) {
	p, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	counted, err := x.Pools.Count(x.ctx, p)
	return reply{body: counted, rev: p.Rev}, err
}

func createPool(x *call) (reply, error) {
	var in pool.Input
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.WorkspaceID != "" {
		if _, err := x.inside(role.Resource{}, in.WorkspaceID); err != nil {
			return reply{}, missing(err, "workspace_id", "names no workspace")
		}
	}
	made, err := x.Pools.Create(x.ctx, x.owner, in)
	return reply{body: made, rev: made.Rev}, err
}

func createWorkspacePool(x *call) (reply, error) {
	var in pool.Input
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	withIDP, err := x.flag("with_idp")
	if err != nil {
		return reply{}, err
	}
	in.WorkspaceID = x.param("wid")
	if !withIDP {
		made, err := x.Pools.Create(x.ctx, x.owner, in)
		return reply{body: made, rev: made.Rev}, err
	}
	return x.poolWithIDP(in)
}

// updatePool replaces a pool.
func updatePool(x *call) (reply, error) {
	var in pool.Input
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	old, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	in.ID = old.ID // the path's; whatever the body calls it
	if in.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	if in.PublicRegistrationAllowed && !old.PublicRegistrationAllowed {
		// Everybody may come in then, with the roles of those who come by the pool.
		if err := x.coversPool(old.ID); err != nil {
			return reply{}, err
		}
	}
	made, err := x.Pools.Update(x.ctx, x.owner, in)
	return reply{body: made, rev: made.Rev}, err
}

// coversPool refuses callers who could not have granted every role that is held
// by all who come by a pool: who lets somebody in there passes these on.
func (x *call) coversPool(id string) error {
	if !x.op.roles() {
		return nil
	}
	linked, err := x.IDPs.ListByPool(x.ctx, x.owner, id)
	if err != nil {
		return err
	}
	subjects := make([]role.Subject, len(linked))
	for i := range linked {
		subjects[i] = role.IDP(x.owner, linked[i].WorkspaceID, linked[i].ID, linked[i].Epoch)
	}
	return x.coversAll(subjects)
}

// coversAll refuses callers who could not have granted every role of the
// subjects.
func (x *call) coversAll(subjects []role.Subject) error {
	ok, err := x.Roles.Covers(x.ctx, x.subjects(), subjects...)
	if err == nil && !ok {
		err = denied("This concerns somebody with roles that you may not grant.")
	}
	return err
}
