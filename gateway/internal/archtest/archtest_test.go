package archtest_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gatepost/gatepost/gateway/internal/archtest"
	"github.com/google/go-cmp/cmp"
)

const (
	module = "github.com/gatepost/gatepost"
	top    = "../../.."
)

// TestTree holds the source tree to the table.
func TestTree(t *testing.T) {
	t.Parallel()
	found, err := archtest.Check(os.DirFS(top), module)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestBinary looks at what the program really links, dependencies included.
func TestBinary(t *testing.T) {
	t.Parallel()
	const program = "gateway/cmd/gatepost"
	if _, err := os.Stat(top + "/" + program); err != nil {
		t.Skip("there is no " + program + " yet")
	}
	cmd := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./"+program)
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	banned := map[string][]string{ // and who may link it all the same
		"testing":                           {"github.com/gofiber/fiber/v2/utils"}, // for an assertion helper that nobody calls
		"net/http/httptest":                 nil,
		"plugin":                            nil,
		"github.com/google/go-cmp/cmp":      nil,
		"github.com/chromedp/chromedp":      nil,
		"go.mongodb.org/mongo-driver/mongo": nil,
	}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		for _, name := range names[1:] {
			if by, bad := banned[name]; bad && !slices.Contains(by, names[0]) {
				t.Errorf("%s links %s by way of %s", program, name, names[0])
			}
		}
	}
}

const picture = "// Package NAME keeps things.\n//\n//\tin --> out\npackage NAME\n"

// TestFindings gives the checker one bad file at a time.
func TestFindings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, file, src string
		want            []string
	}{
		{
			"lower row", "gateway/internal/token/x.go",
			`package token; import _ "github.com/gatepost/gatepost/gateway/internal/store"`, nil,
		},
		{
			"same row", "gateway/internal/token/x.go",
			`package token; import _ "github.com/gatepost/gatepost/gateway/internal/idp"`,
			[]string{"gateway/internal/token/x.go:1: imports gateway/internal/idp: token is in row 5 and may import only lower rows; idp is in row 5"},
		},
		{
			"higher row, from a package below another", "gateway/internal/pool/credential/x.go",
			"package credential\n\nimport (\n\t_ \"net/http\"\n\t_ \"github.com/gatepost/gatepost/gateway/internal/openid\"\n)",
			[]string{"gateway/internal/pool/credential/x.go:5: imports gateway/internal/openid: pool is in row 4 and may import only lower rows; openid is in row 8"},
		},
		{
			"own family", "gateway/internal/pool/x.go",
			`package pool; import _ "github.com/gatepost/gatepost/gateway/internal/pool/credential"`, nil,
		},
		{
			"tests reach across rows", "gateway/internal/token/x_test.go",
			`package token_test; import _ "github.com/gatepost/gatepost/gateway/internal/openid"`, nil,
		},
		{
			"composition", "gateway/internal/token/x.go",
			`package token; import _ "github.com/gatepost/gatepost/gateway/cmd/gatepost"`,
			[]string{"gateway/internal/token/x.go:1: imports gateway/cmd/gatepost: only commands and tests import the composition"},
		},
		{
			"unknown package", "gateway/internal/helpers/x.go", `package helpers`,
			[]string{"gateway/internal/helpers/doc.go:4: directory gateway/internal/helpers has no place in the picture: put it into a row of gateway/internal/archtest/table.go or move it"},
		},
		{
			"unknown command", "gateway/cmd/other/x.go", `package main`,
			[]string{"gateway/cmd/other/x.go:1: directory gateway/cmd/other has no place in the picture: put it into a row of gateway/internal/archtest/table.go or move it"},
		},
		{
			"unknown top", "tools/x.go", `package tools`,
			[]string{"tools/doc.go:4: directory tools has no place in the picture: put it into a row of gateway/internal/archtest/table.go or move it"},
		},
		{
			"authctx uses gateway", "authctx/x.go",
			`package authctx; import _ "github.com/gatepost/gatepost/gateway/internal/fault"`,
			[]string{"authctx/x.go:1: imports gateway/internal/fault: authctx may import only authctx"},
		},
		{
			"a test of scripts uses gateway", "scripts/engine/x_test.go",
			`package engine_test; import _ "github.com/gatepost/gatepost/gateway"`,
			[]string{"scripts/engine/x_test.go:1: imports gateway: scripts may import only scripts, authctx"},
		},
		{
			"demo app in process", "gateway/cmd/gatepost/x.go",
			`package main; import _ "github.com/gatepost/gatepost/examples/demo-app/demoapp"`, nil,
		},
		{
			"another example", "gateway/x.go",
			`package gateway; import _ "github.com/gatepost/gatepost/examples/other"`,
			[]string{"gateway/x.go:1: imports examples/other: gateway may import only gateway, authctx, plugins, scripts"},
		},
		{
			"third party in its place", "gateway/internal/store/mongo/x.go",
			`package mongo; import _ "go.mongodb.org/mongo-driver/v2/mongo"`, nil,
		},
		{
			"third party outside", "gateway/internal/store/x.go",
			`package store; import _ "go.mongodb.org/mongo-driver/v2/mongo"`,
			[]string{"gateway/internal/store/x.go:1: imports go.mongodb.org/mongo-driver/v2/mongo: this library stays in gateway/internal/store/mongo"},
		},
		{
			"fiber below the edge", "gateway/internal/session/x.go",
			`package session; import _ "github.com/gofiber/fiber/v2"`,
			[]string{"gateway/internal/session/x.go:1: imports github.com/gofiber/fiber/v2: this library stays in gateway/internal/portal, gateway/internal/console, gateway/internal/openid, gateway/internal/api, gateway/internal/proxy, gateway/internal/ops, gateway/internal/web, gateway"},
		},
		{
			"gateway's own libraries are not for all below", "gateway/internal/fault/x.go",
			`package fault; import _ "github.com/valyala/fasthttp/fasthttputil"`,
			[]string{"gateway/internal/fault/x.go:1: imports github.com/valyala/fasthttp/fasthttputil: this library stays in gateway/internal/portal, gateway/internal/console, gateway/internal/openid, gateway/internal/api, gateway/internal/proxy, gateway/internal/ops, gateway/internal/web, gateway"},
		},
		{
			"unlisted library, in a test too", "gateway/internal/fault/x_test.go",
			`package fault_test; import _ "github.com/stretchr/testify/require"`,
			[]string{"gateway/internal/fault/x_test.go:1: imports github.com/stretchr/testify/require: this library is not in the list of gateway/internal/archtest/table.go"},
		},
		{
			"old driver", "gateway/internal/store/mongo/x_test.go",
			`package mongo_test; import _ "go.mongodb.org/mongo-driver/bson"`,
			[]string{"gateway/internal/store/mongo/x_test.go:1: imports go.mongodb.org/mongo-driver/bson: version 1 is deprecated by its makers: use go.mongodb.org/mongo-driver/v2"},
		},
		{
			"testing in code", "gateway/internal/fault/x.go", `package fault; import _ "testing"`,
			[]string{"gateway/internal/fault/x.go:1: imports testing: only tests, and packages named *test, may link test support"},
		},
		{
			"testing in a helper", "gateway/internal/store/storetest/x.go",
			`package storetest; import (_ "testing"; _ "github.com/google/go-cmp/cmp")`, nil,
		},
		{
			"helper in code", "gateway/internal/token/x.go",
			`package token; import _ "github.com/gatepost/gatepost/gateway/internal/store/storetest"`,
			[]string{"gateway/internal/token/x.go:1: imports gateway/internal/store/storetest: a package for tests may be imported by tests only"},
		},
		{
			"init", "gateway/internal/fault/x.go", "package fault\nfunc init() {}\ntype t struct{}\nfunc (t) init() {}",
			[]string{"gateway/internal/fault/x.go:2: init function: let the caller construct what it needs"},
		},
		{
			"generated code", "plugins/internal/wire/x.go",
			"// Code generated by protoc-gen-go. DO NOT EDIT.\n\npackage wire\nvar x int\nfunc init() { x = 1 }", nil,
		},
		{
			"constants in all but name", "gateway/internal/fault/x.go",
			"package fault\nimport (\"errors\"; \"sync\")\nvar ErrX = errors.New(\"x\")\nvar names = map[string]int{\"a\": 1}\nvar _ error = ErrX\nvar free = sync.Pool{}\n" +
				"//go:embed x\nvar page string\nfunc f() int { names := 1; names = 2; p := &names; return *p }", nil,
		},
		{
			"mutable variables", "gateway/internal/fault/x.go",
			"package fault\nimport (\"net/http\"; \"sync\")\nvar n int\nvar lock = sync.Mutex{}\nvar list = []int{1}\nvar seen = make(map[string]bool)\nvar one = &struct{ a int }{}\nvar names = map[string]int{}\n" +
				"func f() { list[0] = 2; list = nil; delete(names, \"a\"); http.DefaultClient = nil; p := &list; _ = p }",
			[]string{
				"gateway/internal/fault/x.go:3: package variable n has no value: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:4: package variable lock is a lock or a counter: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:6: package variable seen is made empty: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:7: package variable one points to a value that can change: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:9: changes package variable list[0]: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:9: changes package variable list: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:9: changes package variable names: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:9: changes package variable http.DefaultClient: keep state in a value that the caller owns",
				"gateway/internal/fault/x.go:9: changes package variable list: keep state in a value that the caller owns",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{tc.file: {Data: []byte(tc.src)}}
			dir := tc.file[:strings.LastIndex(tc.file, "/")]
			name := dir[strings.LastIndex(dir, "/")+1:]
			if !strings.Contains(tc.src, "package main") && !strings.HasSuffix(tc.file, "_test.go") {
				tree[dir+"/doc.go"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(picture, "NAME", name))}
			}
			compare(t, tree, tc.want)
		})
	}
}

// TestDocuments: every package introduces itself and draws its flow.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, doc, want string }{
		{"none", "", "gateway/internal/fault/x.go:1: package gateway/internal/fault has no doc.go"},
		{"no comment", "package fault\n", `gateway/internal/fault/doc.go:1: doc.go must introduce the package: "Package fault ..."`},
		{"no picture", "// Package fault is short.\npackage fault\n", "gateway/internal/fault/doc.go:2: doc.go must draw the flow of the package (an indented block)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{"gateway/internal/fault/x.go": {Data: []byte("package fault\n")}}
			if tc.doc != "" {
				tree["gateway/internal/fault/doc.go"] = &fstest.MapFile{Data: []byte(tc.doc)}
			}
			compare(t, tree, []string{tc.want})
		})
	}
}

// TestLeftOut: nested modules, testdata and hidden directories are not judged,
// and the module graph is.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	bad := &fstest.MapFile{Data: []byte(`package x; import _ "testing"`)}
	compare(t, fstest.MapFS{
		"gateway/internal/store/mongo/wiretest/go.mod": {Data: []byte("module x\n")},
		"gateway/internal/store/mongo/wiretest/x.go":   bad,
		"gateway/internal/fault/testdata/x.go":         bad,
		".hidden/x.go":                                 bad,
		"go.sum":                                       {Data: []byte("go.mongodb.org/mongo-driver/v2 v2.10.0 h1:x=\ngo.mongodb.org/mongo-driver v1.17.0/go.mod h1:x=\n")},
	}, []string{"go.sum:2: go.mongodb.org/mongo-driver is in the module graph: version 1 is deprecated by its makers: use go.mongodb.org/mongo-driver/v2"})
}

func compare(t *testing.T, tree fstest.MapFS, want []string) {
	t.Helper()
	found, err := archtest.Check(tree, module)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
