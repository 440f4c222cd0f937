package role_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
)

// The published lists (published API, sections 2 and 27).
const (
	onTenant = `create_identity_pool create_organization create_workspace get_tenant list_identity_pools list_organizations
		list_workspaces manage_admin_role manage_auditor_role manage_brute_force_protection manage_business_admin_role
		manage_member_role manage_mfa_methods manage_permission_systems manage_privacy manage_server_bindings manage_themes
		manage_vanity_domains read_brute_force_protection read_mfa_methods read_permission_systems read_privacy read_roles
		read_server_bindings read_system_apis read_system_environment read_system_notifications read_system_services
		read_system_templates read_themes read_vanity_domains tenant_read_analytics update_tenant`
	onWorkspace = `create_identity_pool delete_organization delete_workspace discover_workspace get_organization get_workspace
		list_identity_pools manage_acrs manage_admin_role manage_apis manage_auditor_role manage_authorization_details
		manage_claims manage_clients manage_custom_apps manage_gateways manage_idps manage_manager_role manage_member_role
		manage_policies manage_scripts manage_secrets manage_services manage_tokens manage_user_manager_role manage_webhooks
		read_acrs read_analytics read_apis read_audit_events read_authorization_details read_claims read_clients
		read_custom_apps read_gateways read_idps read_policies read_roles read_scripts read_secrets read_services
		read_webhooks update_organization update_organization_metadata update_workspace update_workspace_metadata`
	onPool = `b2b_manage_admin_metadata b2b_manage_business_metadata b2b_manage_users b2b_read_admin_metadata
		b2b_read_business_metadata b2b_read_users delete_identity_pool get_identity_pool manage_identity_pool_groups
		manage_identity_pool_users manage_user_addresses manage_user_identifiers manage_user_manager_role manage_user_otps
		manage_user_passwords read_identity_pool_groups read_identity_pool_users read_roles send_user_activation
		send_user_verification update_identity_pool`
)

func TestPermissionLists(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{role.KindTenant: onTenant, role.KindWorkspace: onWorkspace, role.KindPool: onPool} {
		var got []string
		for _, p := range role.Permissions(kind) {
			got = append(got, string(p))
		}
		slices.Sort(got)
		if d := cmp.Diff(strings.Fields(want), got); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
	for kind, want := range map[string]string{
		role.KindTenant: "admin business_admin auditor member", role.KindPool: "user_manager",
		role.KindWorkspace: "admin auditor manager user_manager member", "planet": "",
	} {
		if got := strings.Join(role.Grantable(kind), " "); got != want {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

type bench struct {
	*role.Roles
	now     time.Time
	entries []changes.Entry
	events  []audit.Event
	fail    error
}

func setUp(t *testing.T) *bench {
	t.Helper()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(d, nil)
	t.Cleanup(func() { _ = s.Close() })
	b := &bench{now: time.Unix(1000, 0)}
	b.Roles, err = role.Open(t.Context(), s, role.Config{
		Now:     func() time.Time { return b.now },
		Changed: func(_ context.Context, e changes.Entry) error { b.entries = append(b.entries, e); return b.fail },
		Record: func(_ context.Context, e audit.Event) error {
			b.events = append(b.events, e)
			return audit.Check(e.Subject, e.Action)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The cast: tenant acme with workspaces shop and admin, pool people of shop and
// pool staff of nobody.
var (
	acme   = role.Resource{Tenant: role.Ref{ID: "acme", Epoch: "te"}}
	shop   = role.Resource{Tenant: acme.Tenant, Workspace: role.Ref{ID: "shop", Epoch: "we"}}
	desk   = role.Resource{Tenant: acme.Tenant, Workspace: role.Ref{ID: "admin", Epoch: "ae"}}
	people = role.Resource{Tenant: acme.Tenant, Workspace: shop.Workspace, Pool: role.Ref{ID: "people", Epoch: "pe"}}
	staff  = role.Resource{Tenant: acme.Tenant, Pool: role.Ref{ID: "staff", Epoch: "se"}}
	ann    = role.User("acme", "staff", "ann", "ue")
	bob    = role.User("acme", "staff", "bob", "be")
	corp   = role.IDP("acme", "admin", "corp", "ie")
	tool   = role.Client("acme", "tool", "ce")
)

func as(subjects ...role.Subject) role.Caller { return role.Caller{Tenant: "acme", Subjects: subjects} }

func (b *bench) grant(t *testing.T, on role.Resource, to role.Subject, name string) {
	t.Helper()
	if err := b.Grant(t.Context(), on, to, name); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) can(t *testing.T, who role.Caller, p role.Permission, on role.Resource) bool {
	t.Helper()
	ok, err := b.Can(t.Context(), who, p, on)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestMatrix: for each role, what it may do everywhere. A "*" stands for the
// rest of a name.
func TestMatrix(t *testing.T) {
	t.Parallel()
	const none, all = "", "*"
	const read = "get_* list_* discover_* read_* tenant_read_* b2b_read_*"
	const users = "get_* read_* manage_identity_pool_* manage_user_addresses manage_user_identifiers manage_user_otps manage_user_passwords send_* b2b_read_* b2b_manage_users b2b_manage_business_metadata"
	const manageW = "create_identity_pool discover_workspace get_* list_* read_* update_* manage_acrs manage_apis manage_authorization_details manage_claims manage_clients manage_custom_apps manage_gateways manage_idps manage_policies manage_scripts manage_secrets manage_services manage_tokens manage_webhooks"
	const manageP = users + " update_identity_pool b2b_manage_admin_metadata"
	for _, tc := range []struct {
		on                                role.Resource
		role                              string
		tenant, shop, desk, people, staff string
	}{
		{acme, role.Admin, all, all, all, all, all},
		{acme, role.BusinessAdmin, read + " create_* manage_themes manage_member_role", manageW, manageW, manageP, manageP},
		{acme, role.Auditor, read, read, read, read, read},
		{acme, role.Member, "get_* list_*", none, none, none, none},
		{shop, role.Admin, none, all, none, all, none},
		{shop, role.Manager, none, manageW, none, manageP, none},
		{shop, role.Auditor, none, read, none, read, none},
		{shop, role.UserManager, none, "discover_* get_* list_*", none, users, none},
		{shop, role.Member, none, "discover_* get_* list_*", none, none, none},
		{people, role.UserManager, none, none, none, users, none},
		{staff, role.UserManager, none, none, none, none, users},
	} {
		t.Run(tc.on.Kind()+" "+tc.role, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			b.grant(t, tc.on, ann, tc.role)
			for _, at := range []struct {
				on   role.Resource
				want string
			}{{acme, tc.tenant}, {shop, tc.shop}, {desk, tc.desk}, {people, tc.people}, {staff, tc.staff}} {
				got, err := b.Check(t.Context(), as(ann), at.on)
				if err != nil {
					t.Fatal(err)
				}
				want := map[role.Permission]bool{}
				for _, p := range role.Permissions(at.on.Kind()) {
					want[p] = fits(string(p), at.want)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("on %v: %s", at.on, d)
				}
			}
		})
	}
}

func fits(name, patterns string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		head, open := strings.CutSuffix(p, "*")
		return name == p || open && strings.HasPrefix(name, head)
	})
}

// TestRefused: what is not said is not allowed.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, acme, ann, role.Admin)
	b.grant(t, shop, corp, role.Manager)
	renewed := func(r role.Resource, w, p string) role.Resource {
		if w != "" {
			r.Workspace.Epoch = w
		}
		if p != "" {
			r.Pool.Epoch = p
		}
		return r
	}
	other := role.Resource{Tenant: role.Ref{ID: "other", Epoch: "te"}}
	again := ann
	again.Epoch = "another"
	bare := ann
	bare.Epoch = ""
	for _, tc := range []struct {
		name string
		who  role.Caller
		p    role.Permission
		on   role.Resource
		want bool
	}{
		{"the admin", as(ann), role.UpdateTenant, acme, true},
		{"nobody", role.Caller{}, role.GetTenant, acme, false},
		{"no subjects", as(), role.GetTenant, acme, false},
		{"another user", as(bob), role.GetTenant, acme, false},
		{"a user of the same name in another pool", as(role.User("acme", "people", "ann", "ue")), role.GetTenant, acme, false},
		{"a client of the same name", as(role.Client("acme", "ann", "ue")), role.GetTenant, acme, false},
		{"a user made again", as(again), role.GetTenant, acme, false},
		{"a user without epoch", as(bare), role.GetTenant, acme, false},
		{"another tenant's object", as(ann), role.GetTenant, other, false},
		{"a caller of another tenant", role.Caller{Tenant: "other", Subjects: []role.Subject{ann}}, role.GetTenant, acme, false},
		{"a caller of another tenant there", role.Caller{Tenant: "other", Subjects: []role.Subject{ann}}, role.GetTenant, other, false},
		{"another tenant's workspace that looks the same", as(corp), role.ManageClients, role.Resource{Tenant: other.Tenant, Workspace: shop.Workspace}, false},
		{"a tenant made again", as(ann), role.GetTenant, role.Resource{Tenant: role.Ref{ID: "acme", Epoch: "new"}}, false},
		{"an unknown permission", as(ann), "fly", acme, false},
		{"a permission of another kind", as(ann), role.ManageIdentityPoolUsers, shop, false},
		{"root's permission", as(ann), role.ManageTenants, acme, false},
		{"by IDP", as(bob, corp), role.ManageClients, shop, true},
		{"by another IDP", as(bob, role.IDP("acme", "shop", "corp", "ie")), role.ManageClients, shop, false},
		{"another workspace", as(bob, corp), role.ManageClients, desk, false},
		{"a workspace made again", as(corp), role.ManageClients, renewed(shop, "new", ""), false},
		{"a pool of the workspace", as(corp), role.ManageIdentityPoolUsers, people, true},
		{"a pool of a workspace made again", as(corp), role.ManageIdentityPoolUsers, renewed(people, "new", ""), false},
		{"a pool of no workspace", as(corp), role.ManageIdentityPoolUsers, staff, false},
	} {
		if got := b.can(t, tc.who, tc.p, tc.on); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}

func TestRootTenant(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	root := role.Resource{Tenant: role.Ref{ID: role.Root, Epoch: "re"}}
	space := role.Resource{Tenant: root.Tenant, Workspace: role.Ref{ID: "admin", Epoch: "we"}}
	admin, auditor, manager := role.Client(role.Root, "a", "1"), role.Client(role.Root, "b", "2"), role.Client(role.Root, "c", "3")
	b.grant(t, root, admin, role.Admin)
	b.grant(t, root, auditor, role.Auditor)
	b.grant(t, root, manager, role.BusinessAdmin)
	b.grant(t, space, manager, role.Admin)
	for _, tc := range []struct {
		who          role.Subject
		manage, read bool
	}{{admin, true, true}, {auditor, false, true}, {manager, false, false}} {
		who := role.Caller{Tenant: role.Root, Subjects: []role.Subject{tc.who}}
		if m, r := b.can(t, who, role.ManageTenants, root), b.can(t, who, role.ReadTenants, root); m != tc.manage || r != tc.read {
			t.Errorf("%s: %v %v", tc.who.ClientID, m, r)
		}
	}
	if answer, err := b.Check(t.Context(), role.Caller{Tenant: role.Root, Subjects: []role.Subject{admin}}, root); err != nil || len(answer) != len(strings.Fields(onTenant)) {
		t.Errorf("root's own permissions are not on the published list: %v %v", answer, err)
	}
}

func TestGrantRules(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, tc := range []struct {
		on    role.Resource
		to    role.Subject
		role  string
		field string
	}{
		{acme, ann, role.Manager, "role"},
		{acme, ann, "", "role"},
		{shop, ann, role.BusinessAdmin, "role"},
		{people, ann, role.Admin, "role"},
		{acme, role.Subject{Type: "group", Epoch: "x"}, role.Admin, "type"},
		{acme, role.Subject{Epoch: "x"}, role.Admin, "type"},
		{acme, role.User("acme", "", "ann", "x"), role.Admin, "identity_pool_id"},
		{acme, role.User("acme", "staff", "", "x"), role.Admin, "identity_pool_user_id"},
		{acme, role.IDP("acme", "", "corp", "x"), role.Admin, "workspace_id"},
		{acme, role.IDP("acme", "admin", "", "x"), role.Admin, "idp_id"},
		{acme, role.Client("acme", "", "x"), role.Admin, "client_id"},
	} {
		err := b.Grant(t.Context(), tc.on, tc.to, tc.role)
		if !fault.Is(err, fault.Unprocessable) || fault.Read(err).Field != tc.field {
			t.Errorf("%+v as %q: %v, want field %s", tc.to, tc.role, err, tc.field)
		}
	}
	for _, bad := range []error{
		b.Grant(t.Context(), acme, role.User("acme", "staff", "ann", ""), role.Admin),
		b.Grant(t.Context(), role.Resource{Tenant: role.Ref{ID: "acme"}}, ann, role.Admin),
	} {
		if bad == nil || fault.Read(bad).Kind != fault.Internal {
			t.Errorf("a missing epoch: %v", bad)
		}
	}
}

func TestGrantRevoke(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, acme, tool, role.Admin)
	b.entries, b.events = nil, nil
	for range 2 { // the second one does nothing
		b.grant(t, shop, ann, role.Manager)
	}
	want := []changes.Entry{{Kind: changes.KindRole, Tenant: "acme", ID: "identity_pool_user/staff/ann"}}
	if d := cmp.Diff(want, b.entries); d != "" {
		t.Error(d)
	}
	if len(b.events) != 1 || b.events[0].Workspace != "shop" || b.events[0].Tenant != "acme" {
		t.Fatalf("%+v", b.events)
	}
	payload := `{"role_granted":{"resource":{"identity_pool_id":"","tenant_id":"acme","type":"workspace","workspace_id":"shop"},"role":"manager",` +
		`"subject":{"type":"identity_pool_user","tenant_id":"acme","identity_pool_id":"staff","identity_pool_user_id":"ann"}}}`
	if d := cmp.Diff(payload, string(b.events[0].Payload)); d != "" {
		t.Error(d)
	}
	if err := b.Revoke(t.Context(), shop, ann, role.Manager); err != nil {
		t.Fatal(err)
	}
	if b.can(t, as(ann), role.GetWorkspace, shop) {
		t.Error("a revoked role still counts")
	}
	if err := b.Revoke(t.Context(), shop, ann, role.Manager); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if err := b.Revoke(t.Context(), acme, ann, role.Admin); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoked what was never held: %v", err)
	}
	if err := b.Revoke(t.Context(), shop, ann, "king"); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("unknown role: %v", err)
	}
}

func TestLastAdmin(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, acme, tool, role.Admin)
	b.grant(t, acme, tool, role.Auditor)
	if err := b.Revoke(t.Context(), acme, tool, role.Admin); !fault.Is(err, fault.Unprocessable) {
		t.Errorf("the last one went: %v", err)
	}
	b.grant(t, acme, ann, role.Admin)
	if err := errors.Join(b.Revoke(t.Context(), acme, tool, role.Admin), b.Revoke(t.Context(), acme, tool, role.Auditor)); err != nil {
		t.Error(err)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, acme, ann, role.Admin)
	b.grant(t, acme, tool, role.Admin)
	b.grant(t, shop, ann, role.Auditor)
	b.grant(t, shop, ann, role.Member)
	b.grant(t, shop, corp, role.Manager)
	b.grant(t, people, bob, role.UserManager)
	for _, tc := range []struct {
		name string
		list func() (any, error)
		want string
	}{
		{
			"tenant", func() (any, error) { return b.List(t.Context(), acme) },
			`[{"type":"identity_pool_user","tenant_id":"acme","identity_pool_id":"staff","identity_pool_user_id":"ann","role":"admin"}]`,
		},
		{
			"tenant's clients", func() (any, error) { return b.Clients(t.Context(), acme) },
			`[{"type":"client","tenant_id":"acme","client_id":"tool","role":"admin"}]`,
		},
		{
			"workspace", func() (any, error) { return b.List(t.Context(), shop) },
			`[{"type":"identity_pool_user","tenant_id":"acme","identity_pool_id":"staff","identity_pool_user_id":"ann","role":"auditor"},` +
				`{"type":"identity_pool_user","tenant_id":"acme","identity_pool_id":"staff","identity_pool_user_id":"ann","role":"member"},` +
				`{"type":"idp","tenant_id":"acme","workspace_id":"admin","idp_id":"corp","role":"manager"}]`,
		},
		{
			"pool", func() (any, error) { return b.List(t.Context(), people) },
			`[{"type":"identity_pool_user","tenant_id":"acme","identity_pool_id":"staff","identity_pool_user_id":"bob","role":"user_manager"}]`,
		},
		{"nothing", func() (any, error) { return b.List(t.Context(), desk) }, `[]`},
		{
			"a user's", func() (any, error) { return b.Held(t.Context(), ann) },
			`[{"type":"tenant","tenant_id":"acme","role":"admin"},{"type":"workspace","tenant_id":"acme","workspace_id":"shop","role":"auditor"},` +
				`{"type":"workspace","tenant_id":"acme","workspace_id":"shop","role":"member"}]`,
		},
		{
			"another's", func() (any, error) { return b.Held(t.Context(), bob) },
			`[{"type":"identity_pool","tenant_id":"acme","identity_pool_id":"people","role":"user_manager"}]`,
		},
		{"nobody's", func() (any, error) { return b.Held(t.Context(), role.User("acme", "staff", "eve", "e")) }, `[]`},
	} {
		got, err := tc.list()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, string(raw)); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

// TestMadeAgain: a user or workspace that was made again under its old id
// inherits nothing, and a grant to the new one takes the old one's place.
func TestMadeAgain(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, shop, ann, role.Admin)
	newAnn, newShop := ann, shop
	newAnn.Epoch, newShop.Workspace.Epoch = "2", "2"
	if list, err := b.List(t.Context(), newShop); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	b.grant(t, newShop, newAnn, role.Admin)
	for _, tc := range []struct {
		who  role.Subject
		on   role.Resource
		want bool
	}{{newAnn, newShop, true}, {ann, newShop, false}, {newAnn, shop, false}, {ann, shop, false}} {
		if got := b.can(t, as(tc.who), role.UpdateWorkspace, tc.on); got != tc.want {
			t.Errorf("%s on %s: %v", tc.who.Epoch, tc.on.Workspace.Epoch, got)
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.grant(t, shop, ann, role.Admin)
	b.grant(t, acme, ann, role.Auditor)
	b.grant(t, shop, bob, role.Member)
	later := ann
	later.Epoch = "later"
	if err := b.Forget(t.Context(), later); err != nil || !b.can(t, as(ann), role.UpdateWorkspace, shop) {
		t.Error("forgot another one's roles", err)
	}
	b.entries = nil
	if err := b.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	if b.can(t, as(ann), role.GetTenant, acme) || !b.can(t, as(bob), role.GetWorkspace, shop) || len(b.entries) != 2 {
		t.Errorf("%v", b.entries)
	}
	if err := b.ForgetResource(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	if list, err := b.List(t.Context(), shop); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// TestCovers: changing somebody's credentials takes their roles over, so it
// needs the power to grant these.
func TestCovers(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	boss, chief, helper := role.User("acme", "staff", "boss", "1"), role.User("acme", "staff", "chief", "2"), role.User("acme", "staff", "helper", "3")
	b.grant(t, acme, boss, role.Admin)
	b.grant(t, acme, tool, role.Admin)
	b.grant(t, shop, chief, role.Admin)
	b.grant(t, shop, helper, role.Manager)
	b.grant(t, acme, corp, role.BusinessAdmin)
	b.grant(t, people, bob, role.UserManager)
	for _, tc := range []struct {
		name    string
		who     role.Subject
		targets []role.Subject
		want    bool
	}{
		{"nobody special", helper, []role.Subject{ann}, true},
		{"nobody at all", helper, nil, true},
		{"oneself", helper, []role.Subject{helper}, true},
		{"a manager rotates the admin tool's secret", helper, []role.Subject{tool}, false},
		{"a manager resets the workspace admin's password", helper, []role.Subject{chief}, false},
		{"a workspace admin resets the tenant admin's", chief, []role.Subject{boss}, false},
		{"a workspace admin resets the manager's", chief, []role.Subject{helper}, true},
		{"a workspace admin, a user manager of its pool", chief, []role.Subject{bob}, true},
		{"a tenant admin resets anybody's", boss, []role.Subject{chief, helper, tool, bob, corp}, true},
		{"one of several", chief, []role.Subject{helper, corp}, false},
		{"an IDP that gives a role", helper, []role.Subject{corp}, false},
		{"a target without epoch", helper, []role.Subject{role.User("acme", "staff", "eve", "x")}, true},
	} {
		got, err := b.Covers(t.Context(), as(tc.who), tc.targets...)
		if err != nil || got != tc.want {
			t.Errorf("%s: %v %v", tc.name, got, err)
		}
	}
}

// TestCache: another gateway's change is seen when the log says so, and after
// 30 s anyway.
func TestCache(t *testing.T) {
	t.Parallel()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(d, nil)
	t.Cleanup(func() { _ = s.Close() })
	now := time.Unix(1000, 0)
	open := func() *role.Roles {
		r, err := role.Open(t.Context(), s, role.Config{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	here, there := open(), open()
	can := func() bool {
		ok, err := here.Can(t.Context(), as(ann), role.GetTenant, acme)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	flip := func(on bool) {
		do := there.Revoke
		if on {
			do = there.Grant
		}
		if err := do(t.Context(), acme, ann, role.Member); err != nil {
			t.Fatal(err)
		}
	}
	step := func(name string, want bool) {
		t.Helper()
		if got := can(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	step("nothing yet", false)
	flip(true)
	step("cached", false)
	here.Apply([]changes.Entry{{Kind: changes.KindRole, Tenant: "other"}, {Kind: changes.KindUser, Tenant: "acme"}})
	step("not about this", false)
	here.Apply([]changes.Entry{{Kind: changes.KindRole, Tenant: "acme", ID: "x"}})
	step("the log said so", true)
	flip(false)
	step("cached again", true)
	here.Apply(nil)
	step("everything dropped", false)
	flip(true)
	now = now.Add(29 * time.Second)
	step("29 s", false)
	now = now.Add(time.Second)
	step("30 s", true)
	flip(false)
	now = now.Add(-time.Hour)
	step("the clock went back", false)
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	d, err := embedded.Open(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(d, nil)
	r, err := role.Open(t.Context(), s, role.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Grant(t.Context(), acme, ann, role.Admin); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, err := r.Can(t.Context(), as(ann), role.GetTenant, acme); ok || err == nil {
		t.Errorf("allowed without a store: %v %v", ok, err)
	}
	if ok, err := r.Covers(t.Context(), as(ann), bob); ok || err == nil {
		t.Errorf("covered without a store: %v %v", ok, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	// Parts that hold the separator must not make one subject into another.
	b := setUp(t)
	b.grant(t, acme, role.User("acme", "a/b", "c", "x"), role.Admin)
	for i, who := range []role.Subject{role.User("acme", "a", "b/c", "x"), role.User("acme", "a/b", "c", "x")} {
		if got, want := b.can(t, as(who), role.GetTenant, acme), i == 1; got != want {
			t.Error(fmt.Sprint(who), got)
		}
	}
}
