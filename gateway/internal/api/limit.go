package api

import (
	"net/http"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// limitOperations are those of published API 24: the limits for guessing, which
// a tenant's administrators set, and for requests, which the root tenant's set.
func (a *API) limitOperations() []operation {
	const guessing, requests = "/api/admin/:tid/bruteforce", "/api/admin/tenants/:tid/rate-limits"
	return []operation{
		{
			id: "listBruteForceLimits", method: http.MethodGet, path: guessing, family: admin,
			allow: string(role.ReadBruteForceProtection), ok: http.StatusOK, run: listBruteForceLimits,
		},
		{
			id: "setBruteForceLimit", method: http.MethodPut, path: guessing, family: admin,
			allow: string(role.ManageBruteForceProtection), ok: http.StatusCreated, etag: true, run: setBruteForceLimit,
		},
		{
			id: "deleteBruteForceLimit", method: http.MethodDelete, path: guessing + "/:protectedType", family: admin,
			allow: string(role.ManageBruteForceProtection), ok: http.StatusNoContent, run: deleteBruteForceLimit,
		},
		{
			id: "listRateLimits", method: http.MethodGet, path: requests, family: rootAdmin,
			allow: string(role.ReadTenants), ok: http.StatusOK, run: listRateLimits,
		},
		{
			id: "setRateLimit", method: http.MethodPut, path: requests + "/:module", family: rootAdmin,
			allow: string(role.ManageTenants), ok: http.StatusNoContent, run: setRateLimit,
		},
		{
			id: "deleteRateLimit", method: http.MethodDelete, path: requests + "/:module", family: rootAdmin,
			allow: string(role.ManageTenants), ok: http.StatusNoContent, run: deleteRateLimit,
		},
	}
}

// modules are the modules of package limit that the families' requests count
// for, but those of pools and users.
var modules = map[family]string{
	admin: limit.ModuleAdminAPI, rootAdmin: limit.ModuleAdminAPI,
	system: limit.ModuleSystemAPI, rootSystem: limit.ModuleSystemAPI,
	person: limit.ModuleIdentityPublic, public: limit.ModuleIdentityPublic,
}

// withinRate counts the request for its network, before anything costs more.
// Root operations count for the root tenant: whatever limit a tenant is given, it
// can be taken away again.
func (x *call) withinRate() error {
	if x.Rates == nil {
		return nil
	}
	owner, module := x.tenant(), modules[x.op.family]
	if x.op.root() {
		owner = tenant.Root
	}
	if strings.HasPrefix(x.op.path, "/api/identity/") {
		module = limit.ModuleIdentityAPI
	}
	return x.Rates.Take(x.ctx, owner, module, limit.Network(x.visit.ClientIP))
}

func listBruteForceLimits(x *call) (reply, error) {
	all, err := x.Rules.List(x.ctx, x.owner)
	return list("brute_force_limits", all), err
}

func setBruteForceLimit(x *call) (reply, error) {
	var in struct { // the published type BruteForceLimit
		ProtectedType string          `json:"protected_type"`
		MaxAttempts   *int            `json:"max_attempts"`
		BlockDuration *store.Duration `json:"block_duration"`
	}
	if err := x.decode(&in); err != nil {
		return reply{}, err
	}
	if in.MaxAttempts == nil { // zero switches the protection off: that must be said
		return reply{}, fault.At(fault.Unprocessable, "max_attempts", "is required")
	}
	if in.BlockDuration == nil && *in.MaxAttempts != 0 {
		return reply{}, fault.At(fault.Unprocessable, "block_duration", "is required")
	}
	p := limit.Protection{TenantID: x.owner, ProtectedType: in.ProtectedType, MaxAttempts: *in.MaxAttempts}
	if in.BlockDuration != nil {
		p.BlockDuration = *in.BlockDuration
	}
	old, err := x.Rules.Get(x.ctx, x.owner, p.ProtectedType)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return reply{}, err
	}
	if p.Rev, err = x.expect(old.Rev); err != nil {
		return reply{}, err
	}
	set, err := x.Rules.Set(x.ctx, p)
	return reply{body: set, rev: set.Rev}, err
}

func deleteBruteForceLimit(x *call) (reply, error) {
	old, err := x.Rules.Get(x.ctx, x.owner, x.param("protectedType"))
	if err != nil {
		return reply{}, err
	}
	rev, err := x.expect(old.Rev)
	if err != nil {
		return reply{}, err
	}
	return reply{}, x.Rules.Delete(x.ctx, x.owner, old.ProtectedType, rev)
}

func listRateLimits(x *call) (reply, error) {
	if _, err := x.Tenants.Tenants.Get(x.ctx, x.tenant()); err != nil {
		return reply{}, err
	}
	own, err := x.Rates.List(x.ctx, x.tenant())
	return body(map[string]any{"global": x.Rates.Global(), "tenant": own}), err
}

func setRateLimit(x *call) (reply, error) {
	var rate limit.Rate
	if err := x.decode(&rate); err != nil {
		return reply{}, err
	}
	if _, err := x.Tenants.Tenants.Get(x.ctx, x.tenant()); err != nil {
		return reply{}, err
	}
	return reply{}, x.Rates.Set(x.ctx, x.tenant(), x.param("module"), rate)
}

func deleteRateLimit(x *call) (reply, error) {
	if _, err := x.Tenants.Tenants.Get(x.ctx, x.tenant()); err != nil {
		return reply{}, err
	}
	return reply{}, x.Rates.Delete(x.ctx, x.tenant(), x.param("module"))
}
