package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Packages of concrete providers, the names of providers in lab.yaml, and the table that may know both.
var (
	providerPackages = []string{"eks", "kind", "sim"}
	providerNames    = []string{"eks", "kind", "sim"}
)

// TestNobodyTellsProvidersApart wants providers to be asked for what they can do: outside of provision nothing asserts a concrete provider's
// type and nothing compares a provider's name. The constructors stand in a table, which does neither.
func TestNobodyTellsProvidersApart(t *testing.T) {
	files := eachFile(t, "provision", func(name string, fset *token.FileSet, f *ast.File) {
		for _, found := range tellsApart(f) {
			t.Errorf("%s:%d: %s", name, fset.Position(found.at).Line, found.what)
		}
	})
	if files < 50 {
		t.Errorf("looked at %d files only", files)
	}
}

// eachFile parses the Go files of the repository that are no tests, without those of one folder unless it is "", and returns how many there
// were.
func eachFile(t *testing.T, without string, look func(name string, fset *token.FileSet, f *ast.File)) (files int) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && name != "." || name == without {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		look(name, fset, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type finding struct {
	at   token.Pos
	what string
}

func tellsApart(f *ast.File) []finding {
	var out []finding
	add := func(n ast.Node, what string) { out = append(out, finding{n.Pos(), what}) }
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.TypeAssertExpr:
			if x.Type != nil && concrete(x.Type) {
				add(x, "asserts a concrete provider; ask for a capability of package provision")
			}
		case *ast.TypeSwitchStmt:
			for _, c := range x.Body.List {
				if slices.ContainsFunc(c.(*ast.CaseClause).List, concrete) {
					add(c, "switches on a concrete provider; ask for a capability of package provision")
				}
			}
		case *ast.BinaryExpr:
			if (x.Op == token.EQL || x.Op == token.NEQ) && (comparesName(x.X, x.Y) || comparesName(x.Y, x.X)) {
				add(x, "compares a provider's name; put it into the provider's traits or the table of constructors")
			}
		case *ast.SwitchStmt:
			for _, c := range x.Body.List {
				if x.Tag != nil && slices.ContainsFunc(c.(*ast.CaseClause).List, func(e ast.Expr) bool { return comparesName(x.Tag, e) }) {
					add(c, "switches on a provider's name; put it into the provider's traits or the table of constructors")
				}
			}
		}
		return true
	})
	return out
}

// concrete tells whether a type is a provider's own.
func concrete(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && slices.Contains(providerPackages, pkg.Name)
}

// comparesName tells whether one side is about a provider and the other a provider's name.
func comparesName(side, other ast.Expr) bool {
	lit, ok := other.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return false
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil || !slices.Contains(providerNames, text) {
		return false
	}
	about := false
	ast.Inspect(side, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			about = about || strings.Contains(strings.ToLower(id.Name), "provider")
		}
		return true
	})
	return about
}

// TestFindsWhatTellsProvidersApart keeps the test above from going blind.
func TestFindsWhatTellsProvidersApart(t *testing.T) {
	for name, c := range map[string]struct {
		code string
		want int
	}{
		"assertion":  {`_, _ = p.(*eks.Provider)`, 1},
		"switch":     {`switch p.(type) { case *sim.Provider: }`, 1},
		"comparison": {`_ = spec.Provider == "kind"`, 1},
		"reversed":   {`_ = "eks" != s.provider.Name()`, 1},
		"of a name":  {`switch spec.Provider { case "eks", "sim": }`, 1},
		"capability": {`_, _ = p.(provision.Estimator)`, 0},
		"kind field": {`switch key { case "kind": }`, 0},
		"assignment": {`spec.Provider = "kind"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {\n"+c.code+"\n}\n", parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if got := tellsApart(f); len(got) != c.want {
				t.Errorf("found %v, want %d", got, c.want)
			}
		})
	}
}
