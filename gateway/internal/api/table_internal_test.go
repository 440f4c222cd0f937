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

// row is a line of testdata/operations.txt.
type row struct {
	ID, Method, Path, Caller, OK, ETag, IfMatch string
}

func (r row) at() string { return r.Method + " " + r.Path }

// identityPaths have a table of their own.
const identityPaths = "/api/identity/"

// published reads the table of what is to be served.
func published(t *testing.T) []row {
	t.Helper()
	var all []row
	for line := range lines(t, "operations.txt") {
		f := strings.Fields(line)
		if len(f) != 7 {
			t.Fatalf("not a row: %s", line)
		}
		all = append(all, row{f[0], f[1], f[2], f[3], f[4], f[5], f[6]})
	}
	return all
}

func lines(t *testing.T, name string) func(func(string) bool) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !yield(line) {
				return
			}
		}
	}
}

var parameter = regexp.MustCompile(`:(\w+)`)

// as writes an operation as a row. The table alone knows what may carry an
// If-Match, and which ETags are more than is published.
func as(o operation, of row) row {
	caller := map[family]string{admin: "admin", system: "system:" + o.allow, rootAdmin: "root-admin", rootSystem: "root-system"}[o.family]
	r := row{ID: o.id, Method: o.method, Path: parameter.ReplaceAllString(o.path, "{$1}"), Caller: caller, OK: fmt.Sprint(o.ok), ETag: "-", IfMatch: of.IfMatch}
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
	want := map[string]row{}
	for _, r := range published(t) {
		want[r.at()] = r
	}
	got := map[string]row{}
	for _, o := range (&API{}).operations() {
		if !strings.HasPrefix(o.path, identityPaths) {
			r := as(o, want[as(o, row{}).at()])
			got[r.at()] = r
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("testdata/operations.txt (-) and what is served (+):\n%s", d)
	}
}

func TestEveryPOSTCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, o := range (&API{}).operations() {
		if o.once != (o.method == fiber.MethodPost) {
			t.Errorf("%s %s: X-Idempotency-Key is honoured: %v", o.method, o.path, o.once)
		}
	}
}

// What the router knows is what the tables know: nothing is mounted beside them.
func TestNothingElseIsMounted(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, r := range published(t) {
		known[r.at()] = true
	}
	for line := range lines(t, "identity_operations.txt") {
		f := strings.Fields(line)
		known[f[1]+" "+f[2]] = true
	}
	app := fiber.New()
	(&API{Parts: Parts{Errors: web.NewErrors(nil, nil)}}).Mount(app)
	for _, routes := range app.Stack() {
		for _, r := range routes {
			at := r.Method + " " + parameter.ReplaceAllString(r.Path, "{$1}")
			if r.Path != "/api" && !known[at] {
				t.Errorf("%s is mounted and in no table of testdata", at)
			}
		}
	}
}

func TestOperationsNameWhoMayCall(t *testing.T) {
	t.Parallel()
	for _, o := range (&API{}).operations() {
		if o.allow == "" && o.permission == nil {
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
