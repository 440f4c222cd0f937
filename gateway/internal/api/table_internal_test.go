package api

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// row is a line of operations.tsv about an operation of this package.
type row struct {
	ID, Method, Path, Caller, OK, ETag string
}

func (r row) at() string { return r.Method + " " + hole.ReplaceAllString(r.Path, "{}") }

var hole = regexp.MustCompile(`\{\w+\}`)

// ours tells whether an address is one of this package's, not of openid's.
func ours(path string) bool {
	for _, theirs := range []string{"/oauth2/", "/userinfo", "/par", "/device/", "/oidc/", "/.well-known/"} {
		if strings.Contains(path+"/", theirs) && !strings.HasPrefix(path, "/api/") {
			return false
		}
	}
	return true
}

// published reads the table of what is to be served. gateway/contract_test.go
// holds the whole gateway against it.
func published(t *testing.T) map[string]row {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/contract/operations.tsv")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]row{}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Split(line, "\t"); len(f) > 5 && ours(f[2]) {
			ok, _, _ := strings.Cut(f[4], " ")
			r := row{f[0], f[1], f[2], f[3], ok, f[5]}
			all[r.at()] = r
		}
	}
	return all
}

var parameter = regexp.MustCompile(`:(\w+)`)

// as writes an operation as a row. The table has names of its own for parameters
// and knows which ETags are more than is published.
func as(o operation, all map[string]row) row {
	caller := map[family]string{
		admin: "admin", system: "system:" + o.allow, rootAdmin: "root-admin", rootSystem: "root-system",
		person: strings.TrimSuffix("user:"+o.allow, ":"), public: "none",
	}[o.family]
	r := row{ID: o.id, Method: o.method, Path: parameter.ReplaceAllString(o.path, "{$1}"), Caller: caller, OK: fmt.Sprint(o.ok), ETag: "-"}
	of := all[r.at()]
	if of.Path != "" {
		r.Path = of.Path
	}
	if o.etag {
		r.ETag = "ET"
		if of.ETag == "et" {
			r.ETag = "et"
		}
	}
	return r
}

func TestOperationsAreThePublishedOnes(t *testing.T) {
	t.Parallel()
	want, got := published(t), map[string]row{}
	for _, o := range (&API{}).operations() {
		r := as(o, want)
		got[r.at()] = r
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("operations.tsv (-) and what is served (+):\n%s", d)
	}
}

func TestEveryPOSTCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, o := range (&API{}).operations() {
		if o.once != (o.method == fiber.MethodPost && o.family != public) { // a key belongs to a caller
			t.Errorf("%s %s: X-Idempotency-Key is honoured: %v", o.method, o.path, o.once)
		}
	}
}

// What the router knows is what the table knows: nothing is mounted beside it.
func TestNothingElseIsMounted(t *testing.T) {
	t.Parallel()
	known := published(t)
	app := fiber.New()
	(&API{Parts: Parts{Errors: web.NewErrors(nil, nil)}}).Mount(app)
	for _, routes := range app.Stack() {
		for _, r := range routes {
			at := row{Method: r.Method, Path: parameter.ReplaceAllString(r.Path, "{$1}")}
			if _, ok := known[at.at()]; !ok && ours(r.Path+"/") && r.Path != "/api" {
				t.Errorf("%s is mounted and not in operations.tsv", at.at())
			}
		}
	}
}

func TestOperationsNameWhoMayCall(t *testing.T) {
	t.Parallel()
	for _, o := range (&API{}).operations() {
		if o.allow == "" && o.permission == nil && o.family != person && o.family != public {
			t.Errorf("%s %s: who may call it?", o.method, o.path)
		}
		if !o.roles() && (o.allow == anyRole || o.permission != nil) {
			t.Errorf("%s %s: a token of the workspace system has scopes, no roles", o.method, o.path)
		}
	}
}

func TestLiteralSegmentsComeFirst(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, o := range arrange([]operation{
		{path: "/api/admin/:tid/servers/:wid"},
		{path: "/api/admin/tenants/:tid/features"},
		{path: "/api/admin/:tid/tenant"},
		{path: "/api/admin/:tid/servers/:wid/idps/:iid"},
		{path: "/api/admin/:tid/servers/:wid/idps/custom"},
		{path: "/api/admin/tenants"},
	}) {
		paths = append(paths, o.path)
	}
	first := func(a, b string) {
		t.Helper()
		if slices.Index(paths, a) > slices.Index(paths, b) {
			t.Errorf("%s comes after %s", a, b)
		}
	}
	first("/api/admin/tenants/:tid/features", "/api/admin/:tid/servers/:wid")
	first("/api/admin/:tid/servers/:wid/idps/custom", "/api/admin/:tid/servers/:wid/idps/:iid")
}
