package api

import (
	"encoding/json"
	"net/http"

	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// schemaOperations are those of published API 4. The published permissions have none
// for schemas: who may list pools may read what these refer to, and who may make
// pools may make schemas for them.
func (a *API) schemaOperations() []operation {
	const all, one, within = "/schemas", "/schemas/:schID", "/workspace/:wid"
	read, write := may(role.ListIdentityPools, onTenant), may(role.CreateIdentityPool, onTenant)
	readWithin := may(role.ListIdentityPools, onWorkspace)
	return identity([]twin{
		{"listSchemas", "systemListSchemas", http.MethodGet, all, read, http.StatusOK, noTag, listSchemas},
		{"createSchema", "systemCreateSchema", http.MethodPost, all, write, http.StatusCreated, noTag, createSchema},
		{"getSchema", "systemGetSchema", http.MethodGet, one, read, http.StatusOK, bothTag, getSchema},
		{"updateSchema", "systemUpdateSchema", http.MethodPut, one, write, http.StatusOK, noTag, updateSchema},
		{"deleteSchema", "systemDeleteSchema", http.MethodDelete, one, write, http.StatusNoContent, noTag, deleteSchema},
		{"listWorkspaceSchemas", "", http.MethodGet, within + all, readWithin, http.StatusOK, noTag, listSchemas},
		{"getWorkspaceSchema", "", http.MethodGet, within + one, readWithin, http.StatusOK, bothTag, getSchema},
	})
}

// schemaInput is a schema as a caller sends it: the published type Schema
// without what is not theirs to set.
type schemaInput struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	System      bool            `json:"system"`
}

func (x *call) schema() (pool.Schema, error) {
	var in schemaInput
	err := x.decode(&in)
	return pool.Schema{ID: in.ID, Name: in.Name, Description: in.Description, Schema: in.Schema, System: in.System}, err
}

// listSchemas lists all schemas of the tenant: pools of every workspace may use
// them.
func listSchemas(x *call) (reply, error) {
	found, err := x.Schemas.List(x.ctx, x.owner)
	return list("schemas", found), err
}

func createSchema(x *call) (reply, error) {
	in, err := x.schema()
	if err != nil {
		return reply{}, err
	}
	made, err := x.Schemas.Create(x.ctx, x.owner, in)
	return reply{body: made, rev: made.Rev}, err
}

func getSchema(x *call) (reply, error) {
	s, err := x.Schemas.Get(x.ctx, x.owner, x.param("schID"))
	return reply{body: s, rev: s.Rev}, err
}

func updateSchema(x *call) (reply, error) {
	in, err := x.schema()
	if err != nil {
		return reply{}, err
	}
	old, err := x.Schemas.Get(x.ctx, x.owner, x.param("schID"))
	if err != nil {
		return reply{}, err
	}
	in.ID = old.ID // the path's; whatever the body calls it
	if in.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	made, err := x.Schemas.Update(x.ctx, x.owner, in)
	return reply{body: made, rev: made.Rev}, err
}

func deleteSchema(x *call) (reply, error) {
	old, err := x.Schemas.Get(x.ctx, x.owner, x.param("schID"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Schemas.Delete(x.ctx, x.owner, old.ID, rev)
}
