package api

import (
	"encoding/base64"
	"encoding/json"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// workspaceViews are the published type WorkspaceResponse.
func (x *call) workspaceViews(found []tenant.Workspace) []tenant.Summary {
	views := make([]tenant.Summary, len(found))
	for i := range found {
		views[i] = found[i].Summary()
		views[i].IssuerURL = x.Signin.Tokens.Issuer(found[i].TenantID, found[i].ID)
	}
	return views
}

// listWorkspaces shows the outline of all workspaces. There are no themes, so no
// workspace has one.
func listWorkspaces(x *call) (reply, error) {
	f, err := x.workspaceFilter("workspace_types", "workspace")
	if err != nil {
		return reply{}, err
	}
	if f.Template, err = x.choice("template"); err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	if q.Get("theme_id") != "" {
		return list[tenant.Summary]("workspaces", nil), nil
	}
	found, err := x.Tenants.Workspaces.List(x.ctx, x.owner, f)
	return list("workspaces", x.workspaceViews(found)), err
}

// listUserWorkspaces shows what the caller may open. The cursor is the last id
// of the page, encoded so that nobody takes it for one.
func listUserWorkspaces(x *call) (reply, error) {
	p, err := x.page("workspace")
	if err != nil {
		return reply{}, err
	}
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil {
		return reply{}, fault.At(fault.Invalid, "cursor", "must be what the page before answered")
	}
	limit := p.Limit
	f := tenant.Filter{}
	f.Page.After, f.Page.Limit = string(after), limit+1
	found, err := x.workspaces(f, x.visible)
	if err != nil {
		return reply{}, err
	}
	cursor := ""
	if len(found) > limit {
		found = found[:limit]
		cursor = base64.RawURLEncoding.EncodeToString([]byte(found[limit-1].ID))
	}
	return body(map[string]any{"cursor": cursor, "workspaces": x.workspaceViews(found)}), nil
}

// metadata is the published type WorkspaceMetadata.
type metadata struct {
	Payload json.RawMessage `json:"payload,omitempty"`
}

// updateWorkspaceMetadata replaces the payload and leaves the rest of the
// workspace alone.
func updateWorkspaceMetadata(x *call) (reply, error) {
	var in metadata
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	old, err := x.Tenants.Workspaces.Get(x.ctx, x.key())
	if err != nil {
		return reply{}, err
	}
	if _, err := x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	w, err := x.Tenants.Workspaces.UpdateMetadata(x.ctx, x.key(), in.Payload)
	if err != nil {
		return reply{}, err
	}
	var out metadata
	if len(w.Metadata) > 0 {
		err = json.Unmarshal(w.Metadata, &out)
	}
	return reply{body: out, rev: w.Rev}, err
}
