package api

import (
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// The wire types of IDPs with settings of their method (published API 16.2): what
// a tree nests under the method's name stands at the top here.
type (
	oidcBody struct {
		idp.IDP

		Settings    *idp.OIDCSettings    `json:"settings"`
		Credentials *idp.OIDCCredentials `json:"credentials,omitempty"`
	}
	customBody struct {
		idp.IDP

		Settings    *idp.CustomSettings `json:"settings"`
		Credentials struct{}            `json:"credentials"` // the published type has no members
	}
	staticBody struct {
		idp.IDP

		Settings    *idp.StaticSettings    `json:"settings"`
		Credentials *idp.StaticCredentials `json:"credentials,omitempty"`
	}
)

// method is how the IDPs of one method come in and go out.
type method struct {
	name, noun string // of the method, and as operationIds spell it
	read       func(x *call) (idp.IDP, error)
	show       func(p idp.IDP) any
}

func idpMethods() []method {
	return []method{
		{idp.OIDC, "OIDC", func(x *call) (idp.IDP, error) {
			var b oidcBody
			err := x.decode(&b)
			b.IDP.Settings = idp.Settings{OIDC: b.Settings}
			b.IDP.Credentials = &idp.Credentials{OIDC: b.Credentials}
			return b.IDP, err
		}, func(p idp.IDP) any {
			b := oidcBody{IDP: p, Settings: p.Settings.OIDC}
			if p.Credentials != nil {
				b.Credentials = p.Credentials.OIDC
			}
			return b
		}},
		{idp.Custom, "Custom", func(x *call) (idp.IDP, error) {
			var b customBody
			err := x.decode(&b)
			b.IDP.Settings = idp.Settings{Custom: b.Settings}
			return b.IDP, err
		}, func(p idp.IDP) any { return customBody{IDP: p, Settings: p.Settings.Custom} }},
		{idp.Static, "Static", func(x *call) (idp.IDP, error) {
			var b staticBody
			err := x.decode(&b)
			b.IDP.Settings = idp.Settings{Static: b.Settings}
			b.IDP.Credentials = &idp.Credentials{Static: b.Credentials}
			return b.IDP, err
		}, func(p idp.IDP) any {
			b := staticBody{IDP: p, Settings: p.Settings.Static}
			if p.Credentials != nil {
				b.Credentials = p.Credentials.Static
			}
			return b
		}},
	}
}

// idpMethodOperations are those of published API 16 on IDPs that stand for no
// identity pool, and the clients of all.
func (a *API) idpMethodOperations() []operation {
	const all = "/api/admin/:tid/servers/:wid/idps/"
	ops := []operation{{
		id: "getIdentityPoolIDPClient", method: http.MethodGet, path: all + idp.IdentityPool + "/:iid/client", family: admin,
		allow: string(role.ReadIDPs), on: onWorkspace, ok: http.StatusOK, etag: true,
		run: func(x *call) (reply, error) { return x.idpClient(idp.IdentityPool) },
	}}
	for _, m := range idpMethods() {
		ops = append(ops,
			operation{
				id: "create" + m.noun + "IDP", method: http.MethodPost, path: all + m.name, family: admin,
				allow: string(role.ManageIDPs), on: onWorkspace, ok: http.StatusCreated, etag: true, once: true,
				run: func(x *call) (reply, error) { return x.createIDP(m) },
			},
			operation{
				id: "get" + m.noun + "IDP", method: http.MethodGet, path: all + m.name + "/:iid", family: admin,
				allow: string(role.ReadIDPs), on: onWorkspace, ok: http.StatusOK, etag: true,
				run: func(x *call) (reply, error) { return x.getIDP(m) },
			},
			operation{
				id: "update" + m.noun + "IDP", method: http.MethodPut, path: all + m.name + "/:iid", family: admin,
				allow: string(role.ManageIDPs), on: onWorkspace, ok: http.StatusOK, etag: true,
				run: func(x *call) (reply, error) { return x.updateIDP(m) },
			},
			operation{
				id: "get" + m.noun + "IDPClient", method: http.MethodGet, path: all + m.name + "/:iid/client", family: admin,
				allow: string(role.ReadIDPs), on: onWorkspace, ok: http.StatusOK, etag: true,
				run: func(x *call) (reply, error) { return x.idpClient(m.name) },
			},
		)
	}
	return ops
}

// idpOf returns the IDP of the path if it is of the method.
func (x *call) idpOf(method string) (idp.IDP, error) {
	p, err := x.IDPs.Get(x.ctx, x.owner, x.param("wid"), x.param("iid"))
	if err == nil && p.Method != method {
		err = fault.New(fault.NotFound, "There is no such IDP of this kind.", nil)
	}
	return p, err
}

// idpReply shows an IDP, with its credentials to those who may set them: a
// reader of the configuration sees none.
func (x *call) idpReply(m method, p idp.IDP) (reply, error) {
	ok, err := x.can(role.ManageIDPs, x.on)
	if err == nil && ok {
		ok, err = x.Roles.Covers(x.ctx, x.subjects(), role.IDP(x.owner, p.WorkspaceID, p.ID, p.Epoch))
	}
	if err == nil && ok {
		err = x.IDPs.Reveal(&p)
	}
	return reply{body: m.show(p), rev: p.Rev}, err
}

func (x *call) getIDP(m method) (reply, error) {
	p, err := x.idpOf(m.name)
	if err != nil {
		return reply{}, err
	}
	return x.idpReply(m, p)
}

func (x *call) createIDP(m method) (reply, error) {
	p, err := m.read(x)
	if err != nil {
		return reply{}, err
	}
	p.TenantID, p.WorkspaceID, p.Method = x.owner, x.param("wid"), m.name // the path's; whatever the body says
	if err := x.mayProvision(&p); err != nil {
		return reply{}, err
	}
	if p, err = x.IDPs.Create(x.ctx, p); err != nil {
		return reply{}, err
	}
	return x.idpReply(m, p)
}

// updateIDP replaces an IDP. Whoever decides what it says of people decides who
// they are: that needs the right to grant the roles that they have by it.
func (x *call) updateIDP(m method) (reply, error) {
	p, err := m.read(x)
	if err != nil {
		return reply{}, err
	}
	old, err := x.idpOf(m.name)
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
	if err := x.mayProvision(&p); err != nil {
		return reply{}, err
	}
	if p.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	if p, err = x.IDPs.Update(x.ctx, p); err != nil {
		return reply{}, err
	}
	return x.idpReply(m, p)
}

// mayProvision refuses just-in-time provisioning that would do what the caller
// may not do by hand: make users in that pool, or administrators.
func (x *call) mayProvision(p *idp.IDP) error {
	jit, err := p.Provisioned()
	if err != nil || !jit.Enabled {
		return err
	}
	if err := x.mayFill(jit.Provisioning.PoolID); err != nil {
		return err
	}
	if jit.Provisioning.AdminRoleType == "" {
		return nil
	}
	ok, err := x.can(role.ManageAdminRole, x.mine())
	if err == nil && !ok {
		err = denied("Provisioning with admin_role_type makes administrators: this needs the role admin on the tenant.")
	}
	return err
}

// mayFill refuses a pool whose users the caller may not make. One that they may
// not see reads as if it were not there.
func (x *call) mayFill(poolID string) error {
	if poolID == "" {
		return nil
	}
	none := fault.At(fault.Unprocessable, "jit.provisioning.pool_id", "There is no such identity pool.")
	on, err := x.poolOf(x.mine(), poolID)
	if fault.Is(err, fault.NotFound) {
		return none
	}
	if err != nil {
		return err
	}
	ok, err := x.can(role.GetIdentityPool, on)
	if err != nil {
		return err
	}
	if !ok {
		return none
	}
	ok, err = x.can(role.ManageIdentityPoolUsers, on)
	if err == nil && !ok {
		err = denied("Provisioning makes users in the pool " + poolID + ": this needs the permission " + string(role.ManageIdentityPoolUsers) + " on it.")
	}
	return err
}

// idpClient shows the client that is paired with an IDP. Only login pages have
// one (published API 16.2, client_id).
func (x *call) idpClient(method string) (reply, error) {
	p, err := x.idpOf(method)
	if err != nil {
		return reply{}, err
	}
	if p.ClientID == "" {
		return reply{}, fault.New(fault.NotFound, "This IDP has no client: only one with a login page of its own has.", nil)
	}
	c, err := x.Clients.Clients.Get(x.ctx, x.owner, p.ClientID)
	if err != nil {
		return reply{}, err
	}
	ok, err := x.takesPaired(&p, &c)
	if err == nil && ok {
		err = x.Clients.Clients.Reveal(x.ctx, &c)
	}
	if err != nil {
		return reply{}, err
	}
	view, err := x.clientView(c)
	return reply{body: view, rev: c.Rev}, err
}

// takesPaired tells whether the caller may have the secret of an IDP's client:
// who manages the IDP, as long as the client can do nothing but answer for its
// logins, and who may have any client's.
func (x *call) takesPaired(p *idp.IDP, c *client.Client) (bool, error) {
	err := x.takes(c)
	if err == nil {
		return true, nil
	}
	if !fault.Is(err, fault.Denied) {
		return false, err
	}
	if c.WorkspaceID != tenant.System || len(c.Scopes) != 1 || c.Scopes[0] != idp.ScopeManageLogins || len(c.RedirectURIs) > 0 {
		return false, nil
	}
	held, err := x.Roles.Held(x.ctx, role.Client(x.owner, c.ClientID, c.Epoch))
	if err != nil || len(held) > 0 {
		return false, err
	}
	ok, err := x.can(role.ManageIDPs, x.on)
	if err == nil && ok {
		ok, err = x.Roles.Covers(x.ctx, x.subjects(), role.IDP(x.owner, p.WorkspaceID, p.ID, p.Epoch))
	}
	return ok, err
}
