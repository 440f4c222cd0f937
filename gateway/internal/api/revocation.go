package api

import (
	"fmt"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// mostRevoked is how many people one request may sign out (published API 25).
const mostRevoked = 100

const scopeRevokeTokens = "revoke_tokens"

// revocationOperations are those of published API 25 for administrators and backends.
// "Tokens" means everything that a sign-in gave: access and refresh tokens,
// codes, sessions.
func (a *API) revocationOperations() []operation {
	const workspace, pool = "/servers/:wid/tokens", "/pools/:ipID/tokens"
	return []operation{
		{
			id: "revokeTokens", method: http.MethodDelete, path: "/api/admin/:tid" + workspace, family: admin,
			allow: string(role.ManageTokens), on: onWorkspace, ok: http.StatusNoContent, run: revokeTokens,
		},
		{
			id: "revokeTokensByPool", method: http.MethodDelete, path: "/api/admin/:tid" + pool, family: admin,
			allow: string(role.ManageIdentityPoolUsers), on: onPool, ok: http.StatusNoContent, run: revokeTokensByPool,
		},
		{
			id: "revokeTokens", method: http.MethodDelete, path: "/api/system/:tid" + workspace, family: system,
			allow: scopeRevokeTokens, ok: http.StatusNoContent, run: revokeTokensOfConsent,
		},
		{
			id: "revokeTokensByPool", method: http.MethodDelete, path: "/api/system/:tid" + pool, family: system,
			allow: scopeRevokeTokens, ok: http.StatusNoContent, run: revokeTokensByPool,
		},
	}
}

// revokeTokens signs people out of one workspace. They are named by their
// subjects there, or by what their IDP calls them.
func revokeTokens(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	var in struct {
		IDP      string   `json:"idp_id"`
		Subjects []string `json:"subjects"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	w, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	if err := people("subjects", in.Subjects); err != nil {
		return reply{}, err
	}
	subjects := in.Subjects
	if in.IDP != "" {
		if subjects, err = x.subjectsOf(&w, in.IDP, in.Subjects); err != nil {
			return reply{}, err
		}
	}
	for _, s := range subjects {
		if err := x.Signin.EndSubject(x.ctx, w.Key(), s); err != nil {
			return reply{}, err
		}
	}
	return reply{}, x.Signin.Revoked(x.ctx, w.Key(), map[string]any{"subjects": subjects, "idp_id": in.IDP})
}

// subjectsOf turns what an IDP calls people into their subjects.
func (x *call) subjectsOf(w *tenant.Workspace, id string, names []string) ([]string, error) {
	p, err := x.IDPs.Get(x.ctx, x.owner, w.ID, id)
	if err != nil {
		return nil, missing(err, "idp_id", "names no IDP of the workspace")
	}
	subjects := make([]string, len(names))
	for i, name := range names {
		subjects[i] = idp.Subject(w.SubjectFormat, p.ID, name)
	}
	return subjects, nil
}

// revokeTokensOfConsent is revokeTokens with the published parameter consent_id,
// which wins over the body: it ends one consent with all that came of it. Audit
// events of consents have its id.
func revokeTokensOfConsent(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	id := q.Get("consent_id")
	if id == "" {
		return revokeTokens(x)
	}
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	w, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Signin.EndConsent(x.ctx, w.Key(), w.Epoch, id)
}

// revokeTokensByPool signs users of a pool out of every workspace. A user need
// not be there any more.
func revokeTokensByPool(x *call) (reply, error) {
	if err := x.reached(); err != nil {
		return reply{}, err
	}
	var in struct {
		Users []string `json:"users"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	p, err := x.Pools.Get(x.ctx, x.owner, x.param("ipID"))
	if err != nil {
		return reply{}, err
	}
	if err := people("users", in.Users); err != nil {
		return reply{}, err
	}
	for i, user := range in.Users {
		if err := record.ID(fmt.Sprintf("users[%d]", i), user); err != nil {
			return reply{}, err
		}
	}
	for _, user := range in.Users {
		if err := x.Signin.EndUser(x.ctx, x.owner, p.ID, user); err != nil {
			return reply{}, err
		}
	}
	at := tenant.Key{Tenant: x.owner, Workspace: tenant.Admin}
	return reply{}, x.Signin.Revoked(x.ctx, at, map[string]any{"users": in.Users, "identity_pool_id": p.ID})
}

// people checks a list of people to sign out. An empty name would stand for all.
func people(field string, names []string) error {
	if len(names) < 1 || len(names) > mostRevoked {
		return fault.At(fault.Unprocessable, field, fmt.Sprintf("must have 1 to %d entries", mostRevoked))
	}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", field, i)
		if name == "" {
			return fault.At(fault.Unprocessable, at, "must not be empty")
		}
		if err := record.Text(at, name, record.MaxText); err != nil {
			return err
		}
	}
	return nil
}
