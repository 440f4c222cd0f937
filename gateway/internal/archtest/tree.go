package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Finding is one breach of a rule.
type Finding struct {
	File string // path from the top of the repository
	Line int
	Rule string // what is wrong and what the rule is
}

// String returns the finding in the form of a compiler message.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Rule) }

// pkg is one directory of Go files.
type pkg struct {
	dir   string // from the top of the repository, such as "gateway/internal/store"
	files []file
}

type file struct {
	path string
	test bool
	fset *token.FileSet
	ast  *ast.File
}

// main tells whether the package is a program.
func (p pkg) main() bool {
	return slices.ContainsFunc(p.files, func(f file) bool { return !f.test && f.ast.Name.Name == "main" })
}

// helper tells whether the package exists for tests, as storetest and
// plugintest do.
func (p pkg) helper() bool { return helperDir(p.dir) }

func helperDir(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }

// code returns the files that are no tests.
func (p pkg) code() []file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f file) bool { return f.test })
}

func (f file) at(n ast.Node, format string, args ...any) Finding {
	return Finding{File: f.path, Line: f.fset.Position(n.Pos()).Line, Rule: fmt.Sprintf(format, args...)}
}

// load parses every Go file of the tree, whatever its build constraints, and
// leaves out nested modules, testdata and hidden directories.
func load(fsys fs.FS) ([]pkg, error) {
	fset := token.NewFileSet()
	byDir := map[string][]file{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(fsys, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		f := file{path: name, test: strings.HasSuffix(name, "_test.go"), fset: fset, ast: parsed}
		byDir[path.Dir(name)] = append(byDir[path.Dir(name)], f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source tree: %w", err)
	}
	pkgs := make([]pkg, 0, len(byDir))
	for dir, files := range byDir {
		pkgs = append(pkgs, pkg{dir: dir, files: files})
	}
	slices.SortFunc(pkgs, func(a, b pkg) int { return strings.Compare(a.dir, b.dir) })
	return pkgs, nil
}

// enter says whether the walk goes into a directory.
func enter(fsys fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, name+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

// under tells whether dir is root or lies below it.
func under(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }
