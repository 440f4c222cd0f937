package archtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Check judges the tree at the top of the repository, whose module path is
// module, and returns what it found in the order of files and lines. The error
// is about reading the tree, not about the rules.
func Check(fsys fs.FS, module string) ([]Finding, error) {
	pkgs, err := load(fsys)
	if err != nil {
		return nil, err
	}
	found, err := graph(fsys)
	if err != nil {
		return nil, err
	}
	for _, p := range pkgs {
		found = append(found, place(p)...)
		for _, f := range p.files {
			found = append(found, imports(module, p, f)...)
		}
		found = append(found, documents(p)...)
		found = append(found, state(p)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return found, nil
}

// graph reports modules that may not even be in the build list.
func graph(fsys fs.FS) ([]Finding, error) {
	sums, err := fs.ReadFile(fsys, "go.sum")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the source tree: %w", err)
	}
	var found []Finding
	line, banned := 0, forbidden()
	for s := bufio.NewScanner(bytes.NewReader(sums)); s.Scan(); {
		line++
		name, _, _ := strings.Cut(s.Text(), " ")
		if why, bad := banned[name]; bad {
			found = append(found, Finding{File: "go.sum", Line: line, Rule: name + " is in the module graph: " + why})
		}
	}
	return found, nil
}

// place reports a package that the picture does not show.
func place(p pkg) []Finding {
	top, _, _ := strings.Cut(p.dir, "/")
	known := false
	switch {
	case under(p.dir, self), p.dir == composition, p.dir == command, p.dir == endToEnd:
		known = true
	case under(p.dir, internal):
		_, known = rowOf(p.dir)
	case top != "gateway":
		_, known = roots()[top]
	}
	if known {
		return nil
	}
	f := p.files[0]
	return []Finding{f.at(f.ast.Name, "directory %s has no place in the picture: put it into a row of gateway/internal/archtest/table.go or move it", p.dir)}
}

// rowOf returns the row of a directory under gateway/internal.
func rowOf(dir string) (int, bool) {
	name := family(dir)
	for _, r := range rows() {
		if slices.Contains(r.packages, name) {
			return r.level, true
		}
	}
	return 0, false
}

// family returns the name in the table that a directory under gateway/internal
// belongs to: "pool" for gateway/internal/pool/credential.
func family(dir string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(dir, internal+"/"), "/")
	return name
}

func imports(module string, p pkg, f file) []Finding {
	var found []Finding
	for _, spec := range f.ast.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler says so
		}
		var broken string
		switch rel, ours := strings.CutPrefix(target, module+"/"); {
		case ours:
			broken = ownImport(p, f, rel)
		case strings.Contains(strings.Split(target, "/")[0], "."):
			broken = thirdParty(p, f, target)
		default:
			broken = standard(p, f, target)
		}
		if broken != "" {
			found = append(found, f.at(ast.Node(spec), "imports %s: %s", strings.TrimPrefix(target, module+"/"), broken))
		}
	}
	return found
}

// ownImport judges an import of another package of the project.
func ownImport(p pkg, f file, target string) string {
	if broken := byRoot(p, f, target); broken != "" {
		return broken
	}
	if helperDir(target) && !f.test && !p.helper() {
		return "a package for tests may be imported by tests only"
	}
	if !under(p.dir, internal) || f.test || p.helper() || p.main() {
		return ""
	}
	if under(target, internal) {
		return byRow(p.dir, target)
	}
	if under(target, composition) {
		return "only commands and tests import the composition"
	}
	return ""
}

// byRoot judges an import by the top-level directories of both ends.
func byRoot(p pkg, f file, target string) string {
	from, _, _ := strings.Cut(p.dir, "/")
	to, _, _ := strings.Cut(target, "/")
	allowed, known := roots()[from]
	if !known || slices.Contains(allowed, to) {
		return "" // a directory without a place is reported where it stands
	}
	if from == "gateway" && to == "examples" && (f.test || demoApp(p.dir, target)) {
		return ""
	}
	return fmt.Sprintf("%s may import only %s", from, strings.Join(allowed, ", "))
}

// demoApp tells whether this is the one import of an example by the product:
// the demo starts its app in process.
func demoApp(dir, target string) bool {
	return (dir == composition || dir == command) && under(target, "examples/demo-app")
}

func byRow(dir, target string) string {
	if family(dir) == family(target) {
		return ""
	}
	from, ok := rowOf(dir)
	to, okTarget := rowOf(target)
	if !ok || !okTarget || to < from {
		return "" // as in byRoot
	}
	return fmt.Sprintf("%s is in row %d and may import only lower rows; %s is in row %d", family(dir), from, family(target), to)
}

// thirdParty judges an import from outside the project and the standard library.
func thirdParty(p pkg, f file, target string) string {
	for banned, why := range forbidden() {
		if under(target, banned) && !under(target, banned+"/v2") {
			return why
		}
	}
	for _, lib := range libraries() {
		if !under(target, lib.path) {
			continue
		}
		if f.test || p.helper() || slices.ContainsFunc(lib.in, func(in string) bool { return covers(in, p.dir) }) {
			return ""
		}
		return fmt.Sprintf("this library stays in %s", strings.Join(lib.in, ", "))
	}
	return "this library is not in the list of gateway/internal/archtest/table.go"
}

// covers tells whether an entry of the table reaches a directory. The
// composition stands for itself, its commands and its tests, not for all below.
func covers(in, dir string) bool {
	if in == composition {
		return under(dir, composition) && !under(dir, internal)
	}
	return under(dir, in)
}

// standard judges an import of the standard library.
func standard(p pkg, f file, target string) string {
	fortest := under(target, "testing") || target == "net/http/httptest"
	if fortest && !f.test && !p.helper() {
		return "only tests, and packages named *test, may link test support"
	}
	if target == "plugin" {
		return "plugins are processes: see plugins/launch"
	}
	return ""
}

// documents reports a package without a doc.go that introduces it and draws its
// flow. Programs may describe themselves in main.go.
func documents(p pkg) []Finding {
	code := p.code()
	if len(code) == 0 || p.main() {
		return nil
	}
	i := slices.IndexFunc(code, func(f file) bool { return path.Base(f.path) == "doc.go" })
	if i < 0 {
		return []Finding{code[0].at(code[0].ast.Name, "package %s has no doc.go", p.dir)}
	}
	doc := code[i]
	text := doc.ast.Doc.Text()
	if !strings.HasPrefix(text, "Package "+doc.ast.Name.Name+" ") {
		return []Finding{doc.at(doc.ast.Name, "doc.go must introduce the package: \"Package %s ...\"", doc.ast.Name.Name)}
	}
	if !strings.Contains(text, "\n\t") {
		return []Finding{doc.at(doc.ast.Name, "doc.go must draw the flow of the package (an indented block)")}
	}
	return nil
}
