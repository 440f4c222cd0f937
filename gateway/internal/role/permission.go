package role

// Permission is one thing that a role may allow. The names are those of the
// published lists (published API, sections 2 and 27); some stand in more than one
// list and mean the resource that is asked about.
type Permission string

// Permissions on a tenant.
const (
	CreateOrganization         Permission = "create_organization"
	CreateWorkspace            Permission = "create_workspace"
	GetTenant                  Permission = "get_tenant"
	ListOrganizations          Permission = "list_organizations"
	ListWorkspaces             Permission = "list_workspaces"
	ManageBruteForceProtection Permission = "manage_brute_force_protection"
	ManageBusinessAdminRole    Permission = "manage_business_admin_role"
	ManageMFAMethods           Permission = "manage_mfa_methods"
	ManagePermissionSystems    Permission = "manage_permission_systems"
	ManagePrivacy              Permission = "manage_privacy"
	ManageServerBindings       Permission = "manage_server_bindings"
	ManageThemes               Permission = "manage_themes"
	ManageVanityDomains        Permission = "manage_vanity_domains"
	ReadBruteForceProtection   Permission = "read_brute_force_protection"
	ReadMFAMethods             Permission = "read_mfa_methods"
	ReadPermissionSystems      Permission = "read_permission_systems"
	ReadPrivacy                Permission = "read_privacy"
	ReadServerBindings         Permission = "read_server_bindings"
	ReadSystemAPIs             Permission = "read_system_apis"
	ReadSystemEnvironment      Permission = "read_system_environment"
	ReadSystemNotifications    Permission = "read_system_notifications"
	ReadSystemServices         Permission = "read_system_services"
	ReadSystemTemplates        Permission = "read_system_templates"
	ReadThemes                 Permission = "read_themes"
	ReadVanityDomains          Permission = "read_vanity_domains"
	TenantReadAnalytics        Permission = "tenant_read_analytics"
	UpdateTenant               Permission = "update_tenant"
)

// Permissions on a tenant or a workspace.
const (
	CreateIdentityPool Permission = "create_identity_pool"
	ListIdentityPools  Permission = "list_identity_pools"
	ManageAdminRole    Permission = "manage_admin_role"
	ManageAuditorRole  Permission = "manage_auditor_role"
	ManageMemberRole   Permission = "manage_member_role"
)

// Permissions on a workspace.
const (
	DeleteOrganization         Permission = "delete_organization"
	DeleteWorkspace            Permission = "delete_workspace"
	DiscoverWorkspace          Permission = "discover_workspace"
	GetOrganization            Permission = "get_organization"
	GetWorkspace               Permission = "get_workspace"
	ManageACRs                 Permission = "manage_acrs"
	ManageAPIs                 Permission = "manage_apis"
	ManageAuthorizationDetails Permission = "manage_authorization_details"
	ManageClaims               Permission = "manage_claims"
	ManageClients              Permission = "manage_clients"
	ManageCustomApps           Permission = "manage_custom_apps"
	ManageGateways             Permission = "manage_gateways"
	ManageIDPs                 Permission = "manage_idps"
	ManageManagerRole          Permission = "manage_manager_role"
	ManagePolicies             Permission = "manage_policies"
	ManageScripts              Permission = "manage_scripts"
	ManageSecrets              Permission = "manage_secrets"
	ManageServices             Permission = "manage_services"
	ManageTokens               Permission = "manage_tokens"
	ManageWebhooks             Permission = "manage_webhooks"
	ReadACRs                   Permission = "read_acrs"
	ReadAnalytics              Permission = "read_analytics"
	ReadAPIs                   Permission = "read_apis"
	ReadAuditEvents            Permission = "read_audit_events"
	ReadAuthorizationDetails   Permission = "read_authorization_details"
	ReadClaims                 Permission = "read_claims"
	ReadClients                Permission = "read_clients"
	ReadCustomApps             Permission = "read_custom_apps"
	ReadGateways               Permission = "read_gateways"
	ReadIDPs                   Permission = "read_idps"
	ReadPolicies               Permission = "read_policies"
	ReadScripts                Permission = "read_scripts"
	ReadSecrets                Permission = "read_secrets"
	ReadServices               Permission = "read_services"
	ReadWebhooks               Permission = "read_webhooks"
	UpdateOrganization         Permission = "update_organization"
	UpdateOrganizationMetadata Permission = "update_organization_metadata"
	UpdateWorkspace            Permission = "update_workspace"
	UpdateWorkspaceMetadata    Permission = "update_workspace_metadata"
)

// Permissions on an identity pool, and those of it that other lists share.
const (
	B2BManageAdminMetadata    Permission = "b2b_manage_admin_metadata"
	B2BManageBusinessMetadata Permission = "b2b_manage_business_metadata"
	B2BManageUsers            Permission = "b2b_manage_users"
	B2BReadAdminMetadata      Permission = "b2b_read_admin_metadata"
	B2BReadBusinessMetadata   Permission = "b2b_read_business_metadata"
	B2BReadUsers              Permission = "b2b_read_users"
	DeleteIdentityPool        Permission = "delete_identity_pool"
	GetIdentityPool           Permission = "get_identity_pool"
	ManageIdentityPoolGroups  Permission = "manage_identity_pool_groups"
	ManageIdentityPoolUsers   Permission = "manage_identity_pool_users"
	ManageUserAddresses       Permission = "manage_user_addresses"
	ManageUserIdentifiers     Permission = "manage_user_identifiers"
	ManageUserManagerRole     Permission = "manage_user_manager_role" // on a workspace too
	ManageUserOTPs            Permission = "manage_user_otps"
	ManageUserPasswords       Permission = "manage_user_passwords"
	ReadIdentityPoolGroups    Permission = "read_identity_pool_groups"
	ReadIdentityPoolUsers     Permission = "read_identity_pool_users"
	ReadRoles                 Permission = "read_roles" // on a tenant and a workspace too
	SendUserActivation        Permission = "send_user_activation"
	SendUserVerification      Permission = "send_user_verification"
	UpdateIdentityPool        Permission = "update_identity_pool"
)

// Permissions that only the root tenant's roles give, on the root tenant; they
// are in no published list.
const (
	ManageTenants Permission = "manage_tenants"
	ReadTenants   Permission = "read_tenants"
)

var tenantPermissions = []Permission{
	CreateIdentityPool, CreateOrganization, CreateWorkspace, GetTenant, ListIdentityPools, ListOrganizations,
	ListWorkspaces, ManageAdminRole, ManageAuditorRole, ManageBruteForceProtection, ManageBusinessAdminRole,
	ManageMemberRole, ManageMFAMethods, ManagePermissionSystems, ManagePrivacy, ManageServerBindings, ManageThemes,
	ManageVanityDomains, ReadBruteForceProtection, ReadMFAMethods, ReadPermissionSystems, ReadPrivacy, ReadRoles,
	ReadServerBindings, ReadSystemAPIs, ReadSystemEnvironment, ReadSystemNotifications, ReadSystemServices,
	ReadSystemTemplates, ReadThemes, ReadVanityDomains, TenantReadAnalytics, UpdateTenant,
}

var workspacePermissions = []Permission{
	CreateIdentityPool, DeleteOrganization, DeleteWorkspace, DiscoverWorkspace, GetOrganization, GetWorkspace,
	ListIdentityPools, ManageACRs, ManageAdminRole, ManageAPIs, ManageAuditorRole, ManageAuthorizationDetails,
	ManageClaims, ManageClients, ManageCustomApps, ManageGateways, ManageIDPs, ManageManagerRole, ManageMemberRole,
	ManagePolicies, ManageScripts, ManageSecrets, ManageServices, ManageTokens, ManageUserManagerRole, ManageWebhooks,
	ReadACRs, ReadAnalytics, ReadAPIs, ReadAuditEvents, ReadAuthorizationDetails, ReadClaims, ReadClients,
	ReadCustomApps, ReadGateways, ReadIDPs, ReadPolicies, ReadRoles, ReadScripts, ReadSecrets, ReadServices,
	ReadWebhooks, UpdateOrganization, UpdateOrganizationMetadata, UpdateWorkspace, UpdateWorkspaceMetadata,
}

var poolPermissions = []Permission{
	B2BManageAdminMetadata, B2BManageBusinessMetadata, B2BManageUsers, B2BReadAdminMetadata, B2BReadBusinessMetadata,
	B2BReadUsers, DeleteIdentityPool, GetIdentityPool, ManageIdentityPoolGroups, ManageIdentityPoolUsers,
	ManageUserAddresses, ManageUserIdentifiers, ManageUserManagerRole, ManageUserOTPs, ManageUserPasswords,
	ReadIdentityPoolGroups, ReadIdentityPoolUsers, ReadRoles, SendUserActivation, SendUserVerification, UpdateIdentityPool,
}

// permissions returns the published list of permissions on a kind of resource:
// KindTenant, KindWorkspace or KindPool.
func permissions(kind string) []Permission {
	switch kind {
	case KindTenant:
		return tenantPermissions
	case KindWorkspace:
		return workspacePermissions
	case KindPool:
		return poolPermissions
	default:
		return nil
	}
}
