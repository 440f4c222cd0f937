package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// world is a house with the root tenant's API clients. Every success is held
// against operations.tsv too.
type world struct {
	*house
	root       string // a token with the role admin on the root tenant
	rootSystem string // a token of the root tenant's workspace system with all scopes
	theirs     string // a token with the role admin on the tenant other
	theirsSys  string // a token of other's workspace system with all scopes
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{house: newHouse(t)}
	w.table = append(w.table, readOperations(t)...)
	w.sessions.Dead = func(s *session.Session) bool { return w.marks.Dead(signin.Ref(s)) }
	w.root = w.rootClient(tenant.Admin)
	w.rootSystem = w.rootClient(tenant.System, client.SystemScopes(tenant.Root)...)
	w.theirs, w.theirsSys = w.other, w.token(w.theirClient(tenant.System))
	w.ok(w.parts.Routes.Allow(t.Context(), route.Allowance{Tenant: "acme", HostSuffixes: []string{"acme.test", "shared.test"}}))
	w.ok(w.parts.Routes.Allow(t.Context(), route.Allowance{Tenant: "other", HostSuffixes: []string{"other.test", "shared.test"}}))
	w.pass()
	return w
}

// readOperations reads the lines of the table that are not the identity API's.
func readOperations(t testing.TB) []published {
	t.Helper()
	return readLines(t, func(path string) bool {
		return strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/api/identity/")
	})
}

// rootClient makes an API client of the root tenant, in admin with the role
// admin, and returns its token.
func (w *world) rootClient(workspace string, scopes ...string) string {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.clients.Clients.Create(ctx, client.Client{
		TenantID: tenant.Root, WorkspaceID: workspace, ClientName: "API client", GrantTypes: []string{"client_credentials"},
		ResponseTypes: []string{}, Scopes: scopes,
	})
	w.ok(err)
	if workspace == tenant.Admin {
		owner, err := w.tenants.Tenants.Get(ctx, tenant.Root)
		w.ok(err)
		on := role.Resource{Tenant: role.Ref{ID: owner.ID, Epoch: owner.Epoch}}
		w.ok(w.roles.Grant(ctx, on, role.Client(tenant.Root, c.ClientID, c.Epoch), role.Admin))
	}
	return w.token(c)
}

// theirClient is the API client of a workspace of other, with its secret.
func (w *world) theirClient(workspace string) client.Client {
	w.t.Helper()
	all, err := w.clients.Clients.All(w.t.Context(), tenant.Key{Tenant: "other", Workspace: workspace})
	w.ok(err)
	i := slices.IndexFunc(all, func(c client.Client) bool { return c.ClientName == "API client" })
	if i < 0 {
		w.t.Fatalf("other has no API client in %s", workspace)
	}
	w.ok(w.clients.Clients.Reveal(w.t.Context(), &all[i]))
	return all[i]
}

// pass lets a moment pass: what is revoked then ends what was issued before.
func (w *world) pass() { w.clock.Advance(time.Second) }

// acme sends a request to the administrators' API of acme as its administrator,
// backend one to the backends' API.
func (w *world) acme(method, path string, payload any, header ...string) *answer {
	w.t.Helper()
	return w.do(w.admin, method, "/api/admin/acme"+path, payload, header...)
}

func (w *world) backend(method, path string, payload any, header ...string) *answer {
	w.t.Helper()
	return w.do(w.system, method, "/api/system/acme"+path, payload, header...)
}

// client makes a client of a workspace of acme by the API and returns its id.
func (w *world) client(workspace string, more ...string) string {
	w.t.Helper()
	made := w.acme("POST", "/clients", `{"client_name":"a client","authorization_server_id":"`+workspace+`"`+strings.Join(more, "")+`}`).want(201)
	return made.at("client_id").(string)
}

// signsIn tells whether a token still opens the API of acme's workspace admin.
func (w *world) signsIn(raw string) bool {
	w.t.Helper()
	status := w.do(raw, "GET", "/api/admin/acme/tenant", nil).status
	if status != http.StatusOK && status != http.StatusForbidden && status != http.StatusUnauthorized {
		w.t.Fatalf("status %d", status)
	}
	return status != http.StatusUnauthorized
}

// members are the names of an object's members.
func members(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
