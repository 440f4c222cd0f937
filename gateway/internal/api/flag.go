package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/role"
)

// flagOperations are those of published API 21: the flags that a tenant's own
// administrators may set, and all of them for the root tenant's.
func (a *API) flagOperations() []operation {
	return []operation{
		{
			id: "getBetaFeatures", method: http.MethodGet, path: "/api/admin/:tid/beta-features", family: admin,
			allow: string(role.GetTenant), ok: http.StatusOK, run: getBetaFeatures,
		},
		{
			id: "setBetaFeature", method: http.MethodPost, path: "/api/admin/:tid/beta-feature", family: admin,
			allow: string(role.UpdateTenant), ok: http.StatusNoContent, once: true, run: setBetaFeature,
		},
		{
			id: "getTenantFeatures", method: http.MethodGet, path: "/api/admin/tenants/:tid/features", family: rootAdmin,
			allow: string(role.ReadTenants), ok: http.StatusOK, run: getTenantFeatures,
		},
		{
			id: "setTenantFeature", method: http.MethodPost, path: "/api/admin/tenants/:tid/feature", family: rootAdmin,
			allow: string(role.ManageTenants), ok: http.StatusNoContent, once: true, run: setTenantFeature,
		},
	}
}

// betaFeature and tenantFeature are the two published types FeatureResponse.
type betaFeature struct {
	Name        string `json:"name"`
	DisplayName string `json:"display_name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
}

type tenantFeature struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Type        string `json:"type"` // stage of the flag
}

// setFeature is the published type SetTenantFeature. Generated clients leave a
// false value out.
type setFeature struct {
	Flag  string `json:"flag"`
	Value bool   `json:"value"`
}

func getBetaFeatures(x *call) (reply, error) {
	all, err := x.Flags.List(x.ctx, x.tenant())
	if err != nil {
		return reply{}, err
	}
	features := []betaFeature{}
	for _, v := range all {
		if v.Beta {
			features = append(features, betaFeature{v.Name, v.Title, v.Description, v.On})
		}
	}
	return list("features", features), nil
}

func getTenantFeatures(x *call) (reply, error) {
	if _, err := x.Tenants.Tenants.Get(x.ctx, x.tenant()); err != nil {
		return reply{}, err
	}
	all, err := x.Flags.List(x.ctx, x.tenant())
	if err != nil {
		return reply{}, err
	}
	features := make([]tenantFeature, len(all))
	for i, v := range all {
		features[i] = tenantFeature{v.Name, v.Description, v.On, v.Stage}
	}
	return list("features", features), nil
}

func setBetaFeature(x *call) (reply, error) {
	in, err := x.feature()
	if err != nil {
		return reply{}, err
	}
	all, err := x.Flags.List(x.ctx, x.tenant())
	if err != nil {
		return reply{}, err
	}
	offered := slices.DeleteFunc(all, func(v flag.Value) bool { return !v.Beta })
	if !slices.ContainsFunc(offered, func(v flag.Value) bool { return v.Name == in.Flag }) {
		names := make([]string, len(offered))
		for i, v := range offered {
			names[i] = v.Name
		}
		return reply{}, fault.At(fault.NotFound, "flag", fmt.Sprintf("There is no flag %.64q to set here; there are %s.", in.Flag, strings.Join(names, ", ")))
	}
	return reply{}, x.Flags.Set(x.ctx, x.tenant(), in.Flag, in.Value, x.caller.Subject)
}

func setTenantFeature(x *call) (reply, error) {
	in, err := x.feature()
	if err != nil {
		return reply{}, err
	}
	if _, err := x.Tenants.Tenants.Get(x.ctx, x.tenant()); err != nil {
		return reply{}, err
	}
	return reply{}, x.Flags.Set(x.ctx, x.tenant(), in.Flag, in.Value, x.caller.Subject)
}

func (x *call) feature() (setFeature, error) {
	var in setFeature
	if err := x.decode(&in); err != nil {
		return in, err
	}
	if in.Flag == "" {
		return in, fault.At(fault.Unprocessable, "flag", "is required")
	}
	return in, nil
}
