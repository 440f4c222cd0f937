package api

import (
	"net/http"
	"strconv"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/promote"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// importOperations are our own: users row by row, as `gatepost users` sends and
// gets them.
func (a *API) importOperations() []operation {
	const all = "/pools/:ipID/users"
	return identity([]twin{
		{"importUsers", "systemImportUsers", http.MethodPost, all + "/import", may(role.ManageIdentityPoolUsers, onPool), http.StatusOK, noTag, importUsers},
		{"exportUsers", "systemExportUsers", http.MethodGet, all + "/export", may(role.ReadIdentityPoolUsers, onPool), http.StatusOK, noTag, exportUsers},
	})
}

func (x *call) people() *promote.Users {
	return &promote.Users{Users: x.Users, Groups: x.Groups, Now: x.Now}
}

// importUsers creates users from a body of one JSON object a line (see
// promote.Users). Query: run names the import, row is the number of the first
// line, dry_run checks alone.
func importUsers(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	r := promote.ImportRequest{Tenant: x.owner, Pool: x.param("ipID"), Run: q.Get("run")}
	if r.First, err = natural(q.Get("row"), "row", 1); err != nil {
		return reply{}, err
	}
	if r.DryRun, err = x.flag("dry_run"); err != nil {
		return reply{}, err
	}
	p, err := x.Pools.Get(x.ctx, x.owner, r.Pool)
	if err != nil {
		return reply{}, err
	}
	if err := x.coversPool(p.ID); err != nil {
		return reply{}, err
	}
	if x.op.roles() {
		none := pool.User{MetadataSchemaID: p.MetadataSchemaID, BusinessMetadataSchemaID: p.BusinessMetadataSchemaID}
		r.May = func(u *pool.ImportUser) error { return x.mayWriteData(&u.Documents, &none) }
	}
	lines, err := web.Body(x.c, x.MaxBody)
	if err != nil {
		return reply{}, err
	}
	answer, err := x.people().Import(x.ctx, lines, r)
	return body(answer), err
}

// exportUsers answers a page of users, one JSON object a line; the next begins
// after_user_id the last. with_credentials adds password hashes, TOTP secrets and
// passkeys, and needs the right to read the tenant's configuration or, of an
// administrator, to make others one.
func exportUsers(x *call) (reply, error) {
	q, err := x.query()
	if err != nil {
		return reply{}, err
	}
	limit, err := natural(q.Get("limit"), "limit", 100)
	if err != nil {
		return reply{}, err
	}
	secrets, err := x.flag("with_credentials")
	if err != nil {
		return reply{}, err
	}
	if secrets {
		if err := x.mayReadSecrets(); err != nil {
			return reply{}, err
		}
	}
	page, err := x.people().Export(x.ctx, x.owner, x.param("ipID"), q.Get("after_user_id"), limit, secrets)
	return reply{body: raw{"application/x-ndjson", page}}, err
}

// mayReadSecrets refuses callers who may see people but not become them.
func (x *call) mayReadSecrets() error {
	if !x.op.roles() {
		return x.needScope("read_configuration")
	}
	ok, err := x.can(role.ManageAdminRole, x.mine())
	if err == nil && !ok {
		err = denied("Credentials are shown to those who may make somebody an administrator of the tenant.")
	}
	return err
}

// natural reads a query parameter of at least 1.
func natural(text, name string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fault.At(fault.Invalid, name, "must be a whole number above 0")
	}
	return n, nil
}
