package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// call is one request to one operation.
type call struct {
	*API
	c      *fiber.Ctx
	ctx    context.Context
	op     operation
	visit  web.Visit
	owner  string // the tenant that the caller belongs to; of root operations the root tenant
	caller signin.Caller
	on     role.Resource // what the permission was asked on; families of roles only
	// match is the If-Match of a write: see expect.
	match web.Match
}

// param returns a path parameter, unescaped. One that is not encoded well
// matches nothing.
func (x *call) param(name string) string {
	v, err := web.Param(x.c, name)
	if err != nil {
		return ""
	}
	return v
}

// tenant is the tenant of the path; root operations may have none.
func (x *call) tenant() string { return x.param("tid") }

// key names the workspace of the path.
func (x *call) key() tenant.Key { return tenant.Key{Tenant: x.tenant(), Workspace: x.param("wid")} }

// query returns the parameters of the address.
func (x *call) query() (url.Values, error) { return web.Query(x.c) }

// flag reads a boolean query parameter, false when absent.
func (x *call) flag(name string) (bool, error) {
	v, err := x.choice(name)
	return v != nil && *v, err
}

// choice reads a boolean query parameter, nil when absent.
func (x *call) choice(name string) (*bool, error) {
	q, err := x.query()
	if err != nil || !q.Has(name) {
		return nil, err
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return nil, fault.At(fault.Invalid, name, "must be true or false")
	}
	return &v, nil
}

// page reads the paging parameters of a list of nouns.
func (x *call) page(noun string) (store.Page, error) { return web.ParsePage(x.c, noun) }

// decode reads the JSON body. It may be called again.
func (x *call) decode(into any) error { return web.Decode(x.c, into) }

// readIfMatch takes the version that the caller knows. Reads and POSTs wait for
// its position here; of a PUT, PATCH or DELETE the handler compares the revision
// by expect.
func (x *call) readIfMatch() error {
	m, err := web.IfMatch(x.c)
	if err != nil || !m.Asked() {
		return err
	}
	if !x.op.writes() || x.op.method == http.MethodPost {
		return m.Reached(x.Position())
	}
	x.match = m
	return nil
}

// expect compares If-Match with the revision that a record has now and returns
// the one that its keeper must find when it writes, 0 for whatever it is. The
// tag of an answer about no single record stands for its position alone
// (published API 1.3: a tag is a consistency token as well).
func (x *call) expect(now int64) (int64, error) {
	if !x.match.Asked() || x.match.Any {
		return 0, nil
	}
	stale := x.match.Holds(now)
	if stale == nil && now != 0 { // without a record, a tag can only stand for its position
		return now, nil
	}
	positions := x.match
	positions.Versions = slices.DeleteFunc(slices.Clone(x.match.Versions), func(v web.Version) bool { return v.Rev != 0 })
	if len(positions.Versions) == 0 {
		return 0, stale
	}
	return 0, positions.Reached(x.Position())
}

// reached is expect for a write that is about no single record: the position of
// one of the tags must be reached here, whatever they are tags of.
func (x *call) reached() error { return x.match.Reached(x.Position()) }
