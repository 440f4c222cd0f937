package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/role"
)

// family is who calls an operation and with whose token.
type family int

const (
	admin      family = iota // a token of the tenant's workspace admin; roles decide
	system                   // a token of the tenant's workspace system; a scope decides
	rootAdmin                // a token of the root tenant's workspace admin; roles decide
	rootSystem               // a token of the root tenant's workspace system; a scope decides
	person                   // a token of the workspace in the path that a person got; perhaps a scope
	public                   // no token
)

// target is what a permission is asked on.
type target int

const (
	onTenant    target = iota
	onWorkspace        // the parameter wid
	onPool             // the parameter ipID
	onClient           // the workspace of the client in the parameter cid
	onClaim            // the workspace of the claim in the parameter claim
	onScope            // the workspace of the scope in the parameter scp
	onService          // the workspace of the service in the parameter sid
	onBody             // the workspace that the body names as authorization_server_id
)

// anyRole in the place of a permission stands for some role, on anything in the
// tenant: the operation itself shows a caller no more than their roles do.
const anyRole = "any role"

// operation is one line of the API.
type operation struct {
	id     string // the published operationId
	method string
	path   string // fiber pattern
	family family
	// allow is the permission (admin, rootAdmin) or the scope (system,
	// rootSystem) that the caller needs.
	allow string
	// permission, when set, reads the permission from the request in place of
	// allow.
	permission func(*call) (role.Permission, error)
	on         target // what the permission is asked on
	ok         int    // status of success
	// etag marks operations whose answers carry an ETag.
	etag bool
	// once marks operations that honour X-Idempotency-Key.
	once bool
	run  func(*call) (reply, error)
}

// reply is what a handler returns: the body (nil: none) and the revision of the
// record it is about (0: the answer is about no single record).
type reply struct {
	body any
	rev  int64
}

// raw is a body that is written already.
type raw struct {
	kind string // its media type
	data []byte
}

// body replies with a value that is no single record.
func body(v any) reply { return reply{body: v} }

// list replies with an object of one plural member, [] rather than null.
func list[T any](name string, items []T) reply {
	if items == nil {
		items = []T{}
	}
	return reply{body: map[string]any{name: items}}
}

// writes tells whether the operation changes something.
func (o *operation) writes() bool { return o.method != http.MethodGet }

// roles tells whether roles decide, rather than a scope.
func (o *operation) roles() bool { return o.family == admin || o.family == rootAdmin }

// root tells whether the caller's token must come from the root tenant.
func (o *operation) root() bool { return o.family == rootAdmin || o.family == rootSystem }

// arrange puts operations into the order in which the router asks them: where
// two paths first differ, a literal segment comes before a parameter, so that
// /api/admin/tenants/{tid}/features is not taken for tenant "tenants".
func arrange(all []operation) []operation {
	slices.SortStableFunc(all, func(a, b operation) int {
		return slices.CompareFunc(strings.Split(a.path, "/"), strings.Split(b.path, "/"), func(x, y string) int {
			return cmp.Compare(rank(x), rank(y))
		})
	})
	return all
}

func rank(segment string) int {
	if strings.HasPrefix(segment, ":") {
		return 1
	}
	return 0
}
