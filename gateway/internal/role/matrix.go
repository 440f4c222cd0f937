package role

import (
	"slices"
	"strings"
)

// The kinds of resources, as they stand on the wire.
const (
	KindTenant    = "tenant"
	KindWorkspace = "workspace"
	KindPool      = "identity_pool"
)

// The roles. Not every kind of resource has each of them.
const (
	Admin         = "admin"
	BusinessAdmin = "business_admin"
	Auditor       = "auditor"
	Manager       = "manager"
	UserManager   = "user_manager"
	Member        = "member"
)

var (
	tenantRoles    = []string{Admin, BusinessAdmin, Auditor, Member}
	workspaceRoles = []string{Admin, Auditor, Manager, UserManager, Member}
	poolRoles      = []string{UserManager}
)

// Grantable returns the roles that can be granted on a kind of resource.
func Grantable(kind string) []string { return slices.Clone(roles(kind)) }

func roles(kind string) []string {
	switch kind {
	case KindTenant:
		return tenantRoles
	case KindWorkspace:
		return workspaceRoles
	case KindPool:
		return poolRoles
	default:
		return nil
	}
}

// ManageRole returns the permission that granting and revoking a role needs on
// the resource of the grant, such as manage_auditor_role.
func ManageRole(role string) Permission { return Permission("manage_" + role + "_role") }

// allows is the matrix: does a role that was granted on a resource of kind from
// allow p on a resource of kind on, which is that resource or lies inside it?
//
//	            tenant              workspace                 pool
//	T admin     all                 all                       all
//	T business  read, create,       all but roles, deletion   all but roles, deletion
//	            themes, members
//	T auditor   read                read                      read
//	T member    see and list        -                         -
//	W admin                         all                       all
//	W manager                       all but roles, deletion   all but roles, deletion
//	W auditor                       read                      read
//	W user mgr                      see and list              users
//	W member                        see and list              -
//	P user mgr                                                users
func allows(from, role, on string, p Permission) bool {
	if !slices.Contains(permissions(on), p) {
		return false
	}
	switch from {
	case KindTenant:
		return tenantAllows(role, on, p)
	case KindWorkspace:
		return on != KindTenant && workspaceAllows(role, on, p)
	case KindPool:
		return on == KindPool && role == UserManager && usersAllow(p)
	default:
		return false
	}
}

func tenantAllows(role, on string, p Permission) bool {
	switch role {
	case Admin:
		return true
	case Auditor:
		return reads(p)
	case BusinessAdmin:
		if on != KindTenant {
			return manages(p)
		}
		return reads(p) || slices.Contains([]Permission{
			CreateWorkspace, CreateOrganization, CreateIdentityPool, ManageThemes, ManageMemberRole,
		}, p)
	case Member:
		return on == KindTenant && sees(p)
	default:
		return false
	}
}

func workspaceAllows(role, on string, p Permission) bool {
	switch role {
	case Admin:
		return true
	case Manager:
		return manages(p)
	case Auditor:
		return reads(p)
	case UserManager:
		if on == KindPool {
			return usersAllow(p)
		}
		return sees(p)
	case Member:
		return on == KindWorkspace && sees(p)
	default:
		return false
	}
}

// sees: that it exists, what it is, what lies in it.
func sees(p Permission) bool {
	return has(p, "get_", "list_", "discover_")
}

func reads(p Permission) bool {
	return sees(p) || has(p, "read_", "b2b_read_") || p == TenantReadAnalytics
}

// manages: everything but deciding on others' roles and ending the whole.
func manages(p Permission) bool {
	return !has(p, "delete_") && (!has(p, "manage_") || !strings.HasSuffix(string(p), "_role"))
}

func usersAllow(p Permission) bool {
	return manages(p) && p != UpdateIdentityPool && p != B2BManageAdminMetadata
}

func has(p Permission, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(string(p), prefix) })
}

// allowsRoot is the matrix of the root tenant's own permissions.
func allowsRoot(from, role string, p Permission) bool {
	return from == KindTenant && (role == Admin || role == Auditor && p == ReadTenants)
}
