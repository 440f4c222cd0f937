package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// authorize finds out who calls and refuses who may not. The token must come
// from the workspace that the operation's family names: a token of another
// tenant, or of the sign-in of an app, is no token here.
func (x *call) authorize() error {
	x.owner = x.tenant()
	switch {
	case x.op.root():
		x.owner = tenant.Root
	case x.op.family == person:
		return x.authorizePerson()
	case x.op.family == public:
		x.stranger()
		return nil
	}
	workspace := tenant.System
	if x.op.roles() {
		workspace = tenant.Admin
	}
	who, err := x.Signin.APICaller(x.ctx, x.owner, workspace, signin.BearerToken(web.Header(x.c, "Authorization")))
	if err != nil {
		return err
	}
	x.acts(who)
	if x.op.roles() {
		return x.needPermission()
	}
	return x.needScope(x.op.allow)
}

// acts lets audit events say who calls.
func (x *call) acts(who signin.Caller) {
	x.caller = who
	x.ctx = audit.With(x.ctx, audit.Meta{
		IP: x.visit.ClientIP.String(), UserAgent: x.visit.UserAgent, TraceID: x.visit.TraceID, CorrelationID: x.visit.CorrelationID,
		Actor: audit.Actor{ClientID: who.Client, Subject: who.Subject, SessionID: who.Session, PoolID: who.Pool, UserID: who.User},
	})
}

// needScope refuses tokens without a scope. Who may change the configuration may
// read it.
func (x *call) needScope(scope string) error {
	if x.caller.Has(scope) || scope == "read_configuration" && x.caller.Has("manage_configuration") {
		return nil
	}
	return fault.New(fault.Denied, "This operation needs a token with the scope "+scope+".", nil)
}

// needPermission asks the roles, as they are now, on the object of the path.
// What the path names but is not there is told to those who may see the tenant,
// and a bad body to those who hold a role there; to others both read as
// forbidden.
func (x *call) needPermission() error {
	want := role.Permission(x.op.allow)
	involved := func(role.Resource) (bool, error) { return x.someRole() }
	on, err := x.resource()
	if err == nil && x.op.permission != nil {
		want, err = x.op.permission(x)
		involved = x.somePermission
	}
	x.on = on
	var allowed bool
	var asking error
	switch {
	case err == nil && want == anyRole:
		allowed, asking = x.someRole()
	case err == nil:
		allowed, asking = x.can(want, on)
	case fault.Is(err, fault.NotFound):
		allowed, asking = x.can(role.GetTenant, role.Resource{Tenant: on.Tenant})
	case badInput(err):
		allowed, asking = involved(on)
	default:
		return err
	}
	if asking != nil {
		return asking
	}
	if !allowed && want == "" {
		return fault.New(fault.Denied, "You may not do this here.", err)
	}
	if !allowed {
		return fault.New(fault.Denied, fmt.Sprintf("This operation needs the permission %s.", want), err)
	}
	return err
}

func badInput(err error) bool {
	return slices.Contains([]fault.Kind{fault.Invalid, fault.Unprocessable, fault.TooLarge}, fault.Read(err).Kind)
}

// can tells whether the caller may do p on a resource.
func (x *call) can(p role.Permission, on role.Resource) (bool, error) {
	return x.Roles.Can(x.ctx, x.subjects(), p, on)
}

// someRole tells whether the caller holds any role in their tenant.
func (x *call) someRole() (bool, error) {
	for _, s := range x.subjects().Subjects {
		held, err := x.Roles.Held(x.ctx, s)
		if err != nil || len(held) > 0 {
			return len(held) > 0, err
		}
	}
	return false, nil
}

// somePermission tells whether the caller may do anything on a resource.
func (x *call) somePermission(on role.Resource) (bool, error) {
	allowed, err := x.Roles.Check(x.ctx, x.subjects(), on)
	return slices.Contains(slices.Collect(maps.Values(allowed)), true), err
}

// subjects are the roles' view of the caller. A client through which a person
// signed in lends its roles to nobody.
func (x *call) subjects() role.Caller {
	who := role.Caller{Tenant: x.owner}
	if x.caller.User == "" {
		who.Subjects = []role.Subject{role.Client(x.owner, x.caller.Client, x.caller.ClientEpoch)}
		return who
	}
	who.Subjects = []role.Subject{role.User(x.owner, x.caller.Pool, x.caller.User, x.caller.UserEpoch)}
	if p, ok := x.caller.Space.IDP(x.caller.Claims.String("idp")); ok {
		who.Subjects = append(who.Subjects, role.IDP(x.owner, x.caller.Space.ID, p.ID, p.Epoch))
	}
	return who
}

// resource is what the operation's permission is asked on, with its epochs. It
// always names the tenant, even when the rest is not found.
func (x *call) resource() (role.Resource, error) {
	t, err := x.Tenants.Tenants.Get(x.ctx, x.owner)
	if err != nil {
		return role.Resource{}, err
	}
	on := role.Resource{Tenant: role.Ref{ID: t.ID, Epoch: t.Epoch}}
	switch x.op.on {
	case onWorkspace:
		return x.inside(on, x.param("wid"))
	case onPool:
		return x.poolOf(on, x.param("ipID"))
	case onTenant:
		return on, nil
	default:
		id, err := x.workspaceAt()
		if err != nil {
			return on, err
		}
		return x.inside(on, id)
	}
}

// workspaceAt is the workspace of the record that the path names, or the one
// that the body names.
func (x *call) workspaceAt() (string, error) {
	switch x.op.on {
	case onClient:
		c, err := x.Clients.Clients.Get(x.ctx, x.owner, x.param("cid"))
		return c.WorkspaceID, err
	case onClaim:
		c, err := x.Clients.Claims.Get(x.ctx, x.owner, x.param("claim"))
		return c.WorkspaceID, err
	case onScope:
		s, err := x.Clients.Scopes.Get(x.ctx, x.owner, x.param("scp"))
		return s.WorkspaceID, err
	case onService:
		s, err := x.Clients.Services.Get(x.ctx, x.owner, x.param("sid"))
		return s.WorkspaceID, err
	default:
		var in struct {
			Workspace string `json:"authorization_server_id"`
		}
		err := x.decode(&in)
		if err == nil && in.Workspace == "" {
			err = fault.At(fault.Unprocessable, "authorization_server_id", "is required")
		}
		return in.Workspace, err
	}
}

// inside returns a workspace of the caller's tenant as a resource.
func (x *call) inside(on role.Resource, workspace string) (role.Resource, error) {
	w, err := x.Tenants.Workspaces.Get(x.ctx, tenant.Key{Tenant: x.owner, Workspace: workspace})
	if err == nil {
		on.Workspace = role.Ref{ID: w.ID, Epoch: w.Epoch}
	}
	return on, err
}

// poolOf returns a pool of the caller's tenant as a resource, with the workspace
// that it belongs to.
func (x *call) poolOf(on role.Resource, id string) (role.Resource, error) {
	p, err := x.Pools.Get(x.ctx, x.owner, id)
	if err != nil {
		return on, err
	}
	on.Pool = role.Ref{ID: p.ID, Epoch: p.Epoch}
	if p.WorkspaceID == "" {
		return on, nil
	}
	within, err := x.inside(on, p.WorkspaceID)
	if fault.Is(err, fault.NotFound) { // the pool outlived it
		return on, nil
	}
	return within, err
}

// mine is the caller's tenant as a resource.
func (x *call) mine() role.Resource { return role.Resource{Tenant: x.on.Tenant} }

// detached is a context for what must be written although the request's may
// have ended.
func (x *call) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.ctx), requestLimit/3)
}

func denied(say string) error { return fault.New(fault.Denied, say, nil) }
