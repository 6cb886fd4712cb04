package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestErrorsOfManyAreGathered wants go-multierror where the errors of independent operations come together: errors.Join adds one error to
// another, and in a loop it is a list in disguise.
func TestErrorsOfManyAreGathered(t *testing.T) {
	files := eachFile(t, "", func(name string, fset *token.FileSet, f *ast.File) {
		for _, at := range joinedInLoops(f) {
			t.Errorf("%s:%d: errors.Join gathers in a loop; use multierror.Append", name, fset.Position(at).Line)
		}
	})
	if files < 100 {
		t.Errorf("looked at %d files only", files)
	}
}

// joinedInLoops are the assignments x = errors.Join(x, ...) inside loops.
func joinedInLoops(file *ast.File) []token.Pos {
	var found []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		var body *ast.BlockStmt
		switch loop := n.(type) {
		case *ast.ForStmt:
			body = loop.Body
		case *ast.RangeStmt:
			body = loop.Body
		default:
			return true
		}
		ast.Inspect(body, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
				return true
			}
			to, ok := assign.Lhs[0].(*ast.Ident)
			call, isCall := assign.Rhs[0].(*ast.CallExpr)
			if !ok || !isCall || len(call.Args) == 0 {
				return true
			}
			first, _ := call.Args[0].(*ast.Ident)
			if f, isJoin := call.Fun.(*ast.SelectorExpr); isJoin && f.Sel.Name == "Join" && first != nil && first.Name == to.Name {
				if pkg, _ := f.X.(*ast.Ident); pkg != nil && pkg.Name == "errors" {
					found = append(found, assign.Pos())
				}
			}
			return true
		})
		return true
	})
	return found
}

func TestJoinedInLoopsFinds(t *testing.T) {
	const text = `package p
func f() (err error) {
	err = errors.Join(err, g())
	for range 3 { err = errors.Join(err, g()) }
	for _, x := range y { if x { all = errors.Join(all, g()) } }
	for { other = errors.Join(err, g()) }
	return err
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(joinedInLoops(file)); n != 2 {
		t.Errorf("found %d, want 2", n)
	}
}
