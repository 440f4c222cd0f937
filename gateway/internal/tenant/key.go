package tenant

import (
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// Root is the tenant that administers the others.
const Root = "system"

// The ids of the workspaces that every tenant has. Developer is reserved and
// not created.
const (
	Admin     = "admin"
	System    = "system"
	Developer = "developer"
)

// Key names a workspace.
type Key struct{ Tenant, Workspace string }

// topLevel are the first path segments that mean something else than a tenant
// (the addresses of this gateway); with a tenant's own domain a workspace stands there.
var topLevel = []string{
	"api", "console", "assets", "static", "setup", "healthz", "readyz", "metrics",
	"favicon.ico", "robots.txt", "identity",
}

// reservedTenants collide with operations such as /api/admin/tenants.
var reservedTenants = []string{Root, "tenants", "configuration"}

// reservedWorkspaces are built in or collide with /{tid}/identity/{pool}.
var reservedWorkspaces = []string{Admin, System, Developer}

func checkTenantID(id string) error { return checkFree(id, topLevel, reservedTenants) }

func checkWorkspaceID(id string) error { return checkFree(id, topLevel, reservedWorkspaces) }

// checkFree refuses reserved ids in any case: a file system or a proxy in front
// may not tell them apart.
func checkFree(id string, reserved ...[]string) error {
	if err := record.ID("id", id); err != nil {
		return err
	}
	for _, list := range reserved {
		for _, r := range list {
			if strings.EqualFold(id, r) {
				return fault.At(fault.Unprocessable, "id", "is reserved")
			}
		}
	}
	return nil
}
