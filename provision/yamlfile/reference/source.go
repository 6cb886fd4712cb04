// Package reference writes the reference of a YAML file from the Go source of the types that it is decoded into.
package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// source is what the Go files of one package say about its types.
type source struct {
	types   map[string]ast.Expr
	docs    map[string]string   // by type name
	choices map[string][]choice // by the name of a type of text
}

// choice is one constant of a type of text.
type choice struct{ value, doc string }

// parse reads the package in dir without its tests.
func parse(dir string) (*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &source{types: map[string]ast.Expr{}, docs: map[string]string{}, choices: map[string][]choice{}}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declare(g)
			}
		}
	}
	return s, nil
}

func (s *source) declare(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = spec.Type
			s.docs[spec.Name.Name] = textOf(spec.Doc, g.Doc)
		case *ast.ValueSpec:
			s.constant(g.Tok, spec)
		}
	}
}

func (s *source) constant(tok token.Token, spec *ast.ValueSpec) {
	kind, ok := spec.Type.(*ast.Ident)
	if tok != token.CONST || !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	if value, err := strconv.Unquote(literal.Value); err == nil {
		s.choices[kind.Name] = append(s.choices[kind.Name], choice{value, withoutName(spec.Names[0].Name, textOf(spec.Doc, spec.Comment))})
	}
}

// textOf is the first of the comments that is there, on one line.
func textOf(comments ...*ast.CommentGroup) string {
	for _, c := range comments {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}

// field is one field of a struct that has a name in the file.
type field struct {
	name string
	doc  string
	kind ast.Expr
}

func (s *source) fields(typeName string) ([]field, error) {
	structure, ok := s.types[typeName].(*ast.StructType)
	if !ok {
		return nil, fmt.Errorf("there is no struct %s", typeName)
	}
	var fields []field
	for _, f := range structure.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		doc := withoutName(f.Names[0].Name, textOf(f.Doc, f.Comment))
		if doc == "" && s.structOf(f.Type) == "" {
			return nil, fmt.Errorf("%s.%s has no comment to say what %s means", typeName, f.Names[0].Name, name)
		}
		fields = append(fields, field{name: name, doc: doc, kind: f.Type})
	}
	return fields, nil
}

// withoutName takes the Go name from the front of a comment, for the reader knows the name in the file: "Name is one" becomes "one".
func withoutName(name, doc string) string {
	rest, ok := strings.CutPrefix(doc, name+" ")
	if !ok {
		return doc
	}
	for _, verb := range []string{"is ", "are "} {
		if after, ok := strings.CutPrefix(rest, verb); ok {
			return after
		}
	}
	return rest
}

// structOf is the name of the struct of this package that a field holds, alone, in a list or by name; empty when it holds none.
func (s *source) structOf(kind ast.Expr) string {
	switch kind := kind.(type) {
	case *ast.Ident:
		if _, ok := s.types[kind.Name].(*ast.StructType); ok {
			return kind.Name
		}
	case *ast.ArrayType:
		return s.structOf(kind.Elt)
	case *ast.MapType:
		return s.structOf(kind.Value)
	case *ast.StarExpr:
		return s.structOf(kind.X)
	}
	return ""
}
