package archtest

import (
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// state reports init functions and package variables that can change. Generated
// files are left out.
func state(p pkg) []Finding {
	var found []Finding
	vars := packageVars{}
	var files []file
	for _, f := range p.code() {
		if ast.IsGenerated(f.ast) {
			continue
		}
		files = append(files, f)
		found = append(found, inits(f)...)
	}
	info := resolve(files)
	for _, f := range files {
		found = append(found, vars.collect(f, info)...)
	}
	for _, f := range files {
		found = append(found, vars.changes(f, info)...)
	}
	return found
}

func inits(f file) []Finding {
	var found []Finding
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.at(fn, "init function: let the caller construct what it needs"))
		}
	}
	return found
}

// resolve connects uses of names with their declarations inside the package.
// Imports are not loaded and their errors do not matter: only the package's own
// variables are looked at.
func resolve(files []file) *types.Info {
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}, FakeImportC: true}
	if len(files) == 0 {
		return info
	}
	trees := make([]*ast.File, len(files))
	for i, f := range files {
		trees[i] = f.ast
	}
	_, _ = conf.Check(files[0].ast.Name.Name, files[0].fset, trees, info) // always an error: nothing was imported
	return info
}

// noImports finds no package at all.
type noImports struct{}

// Import returns an error, whatever the path.
func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not loaded") }

// packageVars are the variables declared at the top of a package's files.
type packageVars map[types.Object]bool

func (v packageVars) collect(f file, info *types.Info) []Finding {
	var found []Finding
	for _, d := range f.ast.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			vs, _ := spec.(*ast.ValueSpec)
			for _, name := range vs.Names {
				if obj := info.Defs[name]; obj != nil {
					v[obj] = true
				}
			}
			if why := mutable(gen, vs); why != "" {
				found = append(found, f.at(vs, "package variable %s %s: keep state in a value that the caller owns", vs.Names[0].Name, why))
			}
		}
	}
	return found
}

// mutable says why a declaration can only be meant to change, or "".
func mutable(gen *ast.GenDecl, vs *ast.ValueSpec) string {
	if len(vs.Values) == 0 {
		if strings.Contains(directives(gen.Doc)+directives(vs.Doc), "//go:embed ") {
			return ""
		}
		return "has no value"
	}
	for _, value := range vs.Values {
		if u, ok := value.(*ast.UnaryExpr); ok && u.Op == token.AND {
			return "points to a value that can change"
		}
		if call, ok := value.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "new" || id.Name == "make") {
				return "is made empty"
			}
		}
		if lit, ok := value.(*ast.CompositeLit); ok && lockType(lit.Type) {
			return "is a lock or a counter"
		}
	}
	return ""
}

func directives(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	var s strings.Builder
	for _, c := range doc.List {
		s.WriteString(c.Text + "\n")
	}
	return s.String()
}

// lockType tells whether a type is of sync or sync/atomic. A sync.Pool is let
// through: what it holds has no meaning.
func lockType(t ast.Expr) bool {
	sel, ok := t.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := sel.X.(*ast.Ident)
	return ok && (from.Name == "sync" && sel.Sel.Name != "Pool" || from.Name == "atomic")
}

// changes reports statements that alter a variable of this or another package,
// or hand out the address of one.
func (v packageVars) changes(f file, info *types.Info) []Finding {
	var found []Finding
	report := func(target ast.Expr) {
		id := base(target)
		if id == nil {
			return
		}
		if _, other := info.Uses[id].(*types.PkgName); other || v[info.Uses[id]] {
			found = append(found, f.at(target, "changes package variable %s: keep state in a value that the caller owns", types.ExprString(target)))
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.AssignStmt:
			for _, left := range s.Lhs {
				report(left)
			}
		case *ast.IncDecStmt:
			report(s.X)
		case *ast.UnaryExpr:
			if _, literal := s.X.(*ast.CompositeLit); s.Op == token.AND && !literal {
				report(s.X)
			}
		case *ast.CallExpr:
			if id, ok := s.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(s.Args) > 0 {
				report(s.Args[0])
			}
		}
		return true
	})
	return found
}

// base returns the variable at the root of x, x.f, x[i], *x and (x).
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
