package openid_test

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// specifications are those whose MUSTs testdata/musts.tsv lists: RFCs by number,
// and OpenID Connect Core 1.0.
func specifications() []string {
	return []string{"6749", "7636", "7009", "7662", "8414", "9068", "9126", "9207", "9449", "9700", "OIDC"}
}

// must is one row: a requirement on an authorization server, and the test that
// shows that it is met.
type must struct {
	line                           int
	rfc, section, requirement, say string // say: a test, or a reason
}

var section = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// readMusts reads a table and reports the rows that are malformed or twice.
func readMusts(t *testing.T, file string) []must {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var rows []must
	seen := map[string]int{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		row, wrong := readMust(n, lines.Text())
		if wrong != "" {
			t.Errorf("%s:%d: %s", file, n, wrong)
			continue
		}
		key := row.rfc + " " + row.section + " " + row.requirement
		if first := seen[key]; first != 0 {
			t.Errorf("%s:%d: the same as line %d", file, n, first)
		}
		seen[key] = n
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// readMust reads a row, or says what is wrong with it.
func readMust(line int, row string) (m must, wrong string) {
	fields := strings.Split(row, "\t")
	if len(fields) != 4 {
		return m, "a row has four fields with tabs between them"
	}
	m = must{line, fields[0], fields[1], fields[2], fields[3]}
	switch {
	case !slices.Contains(specifications(), m.rfc):
		return m, "unknown specification " + m.rfc
	case !section.MatchString(m.section):
		return m, m.section + " is no section"
	case len(m.requirement) < 4 || strings.TrimSpace(m.requirement) != m.requirement || m.say == "":
		return m, "the requirement or what comes of it is missing"
	}
	return m, ""
}

// TestMusts fails for a requirement of the table whose test does not exist. A test
// is named as package.TestName, or package.TestName/case with a case that the test
// spells out.
func TestMusts(t *testing.T) {
	t.Parallel()
	tests := testsOf(t, "../..")
	rows := readMusts(t, "musts.tsv")
	for _, m := range rows {
		name, of, _ := strings.Cut(m.say, "/")
		cases, found := tests[name]
		switch {
		case !found:
			t.Errorf("musts.tsv:%d: there is no test %s", m.line, name)
		case of != "" && !slices.Contains(cases, of):
			t.Errorf("musts.tsv:%d: %s has no case %q", m.line, name, of)
		}
	}
	for _, rfc := range specifications() {
		if !slices.ContainsFunc(rows, func(m must) bool { return m.rfc == rfc }) {
			t.Errorf("no requirement of %s", rfc)
		}
	}
	readMusts(t, "musts_not.tsv")
}

// TestReadMust: a broken row is found.
func TestReadMust(t *testing.T) {
	t.Parallel()
	for row, ok := range map[string]bool{
		"6749\t4.1.2\ta code is used once\tsignin.TestRedeem": true,
		"6749\t4.1.2\ta code is used once":                    false,
		"1\t4.1.2\ta code is used once\tsignin.TestRedeem":    false,
		"6749\tfour\ta code is used once\tsignin.TestRedeem":  false,
		"6749\t4.1.2\t\tsignin.TestRedeem":                    false,
		"6749\t4.1.2\ta code is used once\t":                  false,
		"":                                                    false,
	} {
		if _, wrong := readMust(1, row); (wrong == "") != ok {
			t.Errorf("%q: %q", row, wrong)
		}
	}
}

// testsOf returns the tests below a directory as package.TestName, each with the
// texts in it, among which are the names of its cases.
func testsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := strings.TrimSuffix(file.Name.Name, "_test")
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				tests[pkg+"."+fn.Name.Name] = textsIn(fn)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// textsIn are the string literals of a function.
func textsIn(fn *ast.FuncDecl) []string {
	var out []string
	ast.Inspect(fn, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}
