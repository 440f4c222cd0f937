package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// The scopes of operations on clients with a token of the workspace system.
const (
	scopeViewClients   = "view_clients"
	scopeManageClients = "manage_clients"
)

// clientOperations are those of published API 17.
func (a *API) clientOperations() []operation {
	const one, sys = "/api/admin/:tid/clients/:cid", "/api/system/:tid/client/:cid"
	return []operation{
		{
			id: "listClients", method: http.MethodGet, path: "/api/admin/:tid/servers/:wid/clients", family: admin,
			allow: string(role.ReadClients), on: onWorkspace, ok: http.StatusOK, etag: true, run: listClients,
		},
		{
			id: "createClient", method: http.MethodPost, path: "/api/admin/:tid/clients", family: admin,
			allow: string(role.ManageClients), on: onBody, ok: http.StatusCreated, etag: true, once: true, run: createClient,
		},
		{
			id: "getClient", method: http.MethodGet, path: one, family: admin,
			allow: string(role.ReadClients), on: onClient, ok: http.StatusOK, etag: true, run: getClient,
		},
		{
			id: "updateClient", method: http.MethodPut, path: one, family: admin,
			allow: string(role.ManageClients), on: onClient, ok: http.StatusOK, etag: true, run: updateClient,
		},
		{
			id: "deleteClient", method: http.MethodDelete, path: one, family: admin,
			allow: string(role.ManageClients), on: onClient, ok: http.StatusNoContent, run: deleteClient,
		},
		{
			id: "rotateClientSecret", method: http.MethodPost, path: one + "/rotateSecret", family: admin,
			allow: string(role.ManageClients), on: onClient, ok: http.StatusOK, etag: true, once: true, run: rotateSecret,
		},
		{
			id: "revokeRotatedClientSecrets", method: http.MethodPost, path: one + "/revokeRotatedSecrets", family: admin,
			allow: string(role.ManageClients), on: onClient, ok: http.StatusNoContent, once: true, run: revokeRotatedSecrets,
		},
		{
			id: "getClient", method: http.MethodGet, path: sys, family: system,
			allow: scopeViewClients, ok: http.StatusOK, run: getClient,
		},
		{
			id: "listClientsSystem", method: http.MethodGet, path: "/api/system/:tid/clients/:wid", family: system,
			allow: scopeViewClients, ok: http.StatusOK, run: listClientsSystem,
		},
		{
			id: "rotateClientSecret", method: http.MethodPost, path: sys + "/rotateSecret", family: system,
			allow: scopeManageClients, ok: http.StatusOK, etag: true, once: true, run: rotateSecret,
		},
		{
			id: "revokeRotatedClientSecrets", method: http.MethodPost, path: sys + "/revokeRotatedSecrets", family: system,
			allow: scopeManageClients, ok: http.StatusNoContent, once: true, run: revokeRotatedSecrets,
		},
	}
}

// clientView is the published type ClientAdminResponse: c as it is, secret
// included where it is set.
func (x *call) clientView(c client.Client) (json.RawMessage, error) {
	raw, err := json.Marshal(map[string]string{"server_issuer_url": x.Signin.Tokens.Issuer(c.TenantID, c.WorkspaceID)})
	if err != nil {
		return nil, err
	}
	return record.Join(c, raw)
}

// shown is clientView with the secret for those who may have it.
func (x *call) shown(c client.Client) (json.RawMessage, error) {
	err := x.takes(&c)
	if err == nil {
		err = x.Clients.Clients.Reveal(x.ctx, &c)
	}
	if err != nil && !fault.Is(err, fault.Denied) {
		return nil, err
	}
	return x.clientView(c)
}

func (x *call) clientReply(c client.Client) (reply, error) {
	view, err := x.shown(c)
	return reply{body: view, rev: c.Rev}, err
}

func (x *call) clients(found []client.Client) (reply, error) {
	views := make([]json.RawMessage, len(found))
	for i, c := range found {
		var err error
		if views[i], err = x.shown(c); err != nil {
			return reply{}, err
		}
	}
	return list("clients", views), nil
}

func listClients(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	f := client.Filter{Search: q.Get("search_phrase"), Type: q.Get("type")}
	if f.Page, err = x.page("client"); err != nil {
		return reply{}, err
	}
	if f.Sort, err = web.ParseSort(x.c, "client_id", "name", "issued_at"); err != nil {
		return reply{}, err
	}
	if f.ApplicationTypes, err = x.csv("application_types", "single_page", "server_web", "mobile_desktop", "service", "legacy", "dcr"); err != nil {
		return reply{}, err
	}
	if f.ClientTypes, err = x.csv("client_types", client.TypeOAuth2, client.TypeSAML); err != nil {
		return reply{}, err
	}
	if t := f.Type; t != "" && t != "internal" && t != "third_party" {
		return reply{}, fault.At(fault.Invalid, "type", "must be internal or third_party")
	}
	found, err := x.Clients.Clients.List(x.ctx, x.key(), f)
	if err != nil {
		return reply{}, err
	}
	return x.clients(found)
}

func listClientsSystem(x *call) (reply, error) {
	found, err := x.Clients.Clients.All(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	return x.clients(found)
}

func createClient(x *call) (reply, error) {
	var c client.Client
	if err := x.decode(&c); err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	if err := preset(&c, q.Get("application_purpose")); err != nil {
		return reply{}, err
	}
	c.TenantID, c.WorkspaceID = x.owner, x.on.Workspace.ID // what the permission was asked on
	if err := x.speaks(c.WorkspaceID); err != nil {
		return reply{}, err
	}
	made, err := x.Clients.Clients.Create(x.ctx, c)
	if err != nil {
		return reply{}, err
	}
	view, err := x.clientView(made)
	return reply{body: view, rev: made.Rev}, err
}

// preset fills in what a client for a purpose usually is, where the body says
// nothing.
func preset(c *client.Client, purpose string) error {
	set := func(into *string, value string) {
		if *into == "" {
			*into = value
		}
	}
	grants := []string{"authorization_code", "refresh_token"}
	switch purpose {
	case "single_page":
		set(&c.TokenEndpointAuthMethod, client.AuthNone)
	case "mobile_desktop":
		set(&c.TokenEndpointAuthMethod, client.AuthNone)
		set(&c.ApplicationType, client.Native)
	case "service":
		grants = []string{"client_credentials"}
	case "server_web":
	case "", "legacy", "custom":
		return nil
	default:
		return fault.At(fault.Unprocessable, "application_purpose", "must be single_page, server_web, mobile_desktop, service, legacy or custom")
	}
	if c.GrantTypes == nil {
		c.GrantTypes = grants
	}
	return nil
}

// speaks refuses who may not make clients of a built-in workspace. Those of
// system act for the whole tenant by their scopes, and through those of admin
// its administrators sign in: only who could make somebody an administrator may
// make or change one.
func (x *call) speaks(workspace string) error {
	if workspace != tenant.Admin && workspace != tenant.System {
		return nil
	}
	ok, err := x.can(role.ManageAdminRole, x.mine())
	if err == nil && !ok {
		err = denied("Clients of the workspace " + workspace + " act for the whole tenant: this needs the role admin on it.")
	}
	return err
}

// takes refuses who would win by having the credentials of a client: its roles,
// or its scopes.
func (x *call) takes(c *client.Client) error {
	if !x.op.roles() {
		return x.takesByScope(c)
	}
	on := x.on
	if on.Kind() != role.KindWorkspace || on.Workspace.ID != c.WorkspaceID {
		var err error
		if on, err = x.inside(x.mine(), c.WorkspaceID); err != nil {
			return err
		}
	}
	ok, err := x.can(role.ManageClients, on)
	if err != nil {
		return err
	}
	if !ok {
		return denied("This operation needs the permission " + string(role.ManageClients) + ".")
	}
	if err := x.speaks(c.WorkspaceID); err != nil {
		return err
	}
	ok, err = x.Roles.Covers(x.ctx, x.subjects(), role.Client(x.owner, c.ClientID, c.Epoch))
	if err == nil && !ok {
		err = denied("This client holds roles that you could not grant.")
	}
	return err
}

// takesByScope is takes for a token of the workspace system, which holds no
// roles: the client may hold none either, and no scope there that the token has
// not. Its own secret it may always have.
func (x *call) takesByScope(c *client.Client) error {
	if c.ClientID == x.caller.Client {
		return nil
	}
	held, err := x.Roles.Held(x.ctx, role.Client(x.owner, c.ClientID, c.Epoch))
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return denied("This client holds roles; only an administrator may have its secret.")
	}
	if c.WorkspaceID != tenant.System {
		return nil
	}
	for _, scope := range c.Scopes {
		if !x.caller.Has(scope) {
			return denied("This client may do what your token may not: it has the scope " + scope + ".")
		}
	}
	return nil
}

// client returns the client of the path.
func (x *call) client() (client.Client, error) {
	return x.Clients.Clients.Get(x.ctx, x.owner, x.param("cid"))
}

func getClient(x *call) (reply, error) {
	c, err := x.client()
	if err != nil {
		return reply{}, err
	}
	return x.clientReply(c)
}

func updateClient(x *call) (reply, error) {
	var c client.Client
	if err := x.decode(&c); err != nil {
		return reply{}, err
	}
	old, err := x.client()
	if err != nil {
		return reply{}, err
	}
	if err := x.takes(&old); err != nil {
		return reply{}, err
	}
	c.TenantID, c.ClientID = old.TenantID, old.ClientID // the path's; whatever the body says
	if c.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	if c, err = x.Clients.Clients.Update(x.ctx, c); err != nil {
		return reply{}, err
	}
	return x.clientReply(c)
}

func deleteClient(x *call) (reply, error) {
	old, err := x.client()
	if err != nil {
		return reply{}, err
	}
	if err := x.speaks(old.WorkspaceID); err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	if err := x.Clients.Clients.Delete(x.ctx, x.owner, old.ClientID, rev); err != nil {
		return reply{}, err
	}
	return reply{}, x.Roles.Forget(x.ctx, role.Client(x.owner, old.ClientID, old.Epoch))
}

func rotateSecret(x *call) (reply, error) {
	old, err := x.client()
	if err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	var after time.Duration
	if text := q.Get("auto_revoke_after"); text != "" {
		if after, err = time.ParseDuration(text); err != nil || after < 0 {
			return reply{}, fault.At(fault.Invalid, "auto_revoke_after", "must be a duration such as 24h, or 0 for never")
		}
	}
	if err := x.takes(&old); err != nil {
		return reply{}, err
	}
	secret, c, err := x.Clients.Clients.Rotate(x.ctx, x.owner, old.ClientID, after, 0)
	return reply{body: map[string]string{"secret": secret}, rev: c.Rev}, err
}

func revokeRotatedSecrets(x *call) (reply, error) {
	old, err := x.client()
	if err != nil {
		return reply{}, err
	}
	if x.op.roles() {
		err = x.speaks(old.WorkspaceID)
	}
	if err == nil {
		_, err = x.Clients.Clients.RevokeRotated(x.ctx, x.owner, old.ClientID, 0)
	}
	return reply{}, err
}
