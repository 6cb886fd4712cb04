package reference

import (
	"fmt"
	"go/ast"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Markdown lists the fields of the struct named root, and of the structs below it, from the package in dir: one table for each struct,
// with the meaning from the field's comment and the value that it has in defaults, a pointer to such a struct. A field without a
// comment is an error.
func Markdown(dir, root string, defaults any) (string, error) {
	s, err := parse(dir)
	if err != nil {
		return "", err
	}
	data, err := yaml.Marshal(defaults)
	if err != nil {
		return "", err
	}
	var values any
	if err := yaml.Unmarshal(data, &values); err != nil {
		return "", err
	}
	w := &writer{source: s, tables: map[string]string{}}
	if err := w.table("", root, values); err != nil {
		return "", err
	}
	return w.out.String(), nil
}

type writer struct {
	*source
	out strings.Builder
	// tables are the paths where the tables of types are, the first for each type.
	tables map[string]string
}

// table writes the table of one struct and then those of the structs that it holds. values is what the defaults have there, nil for
// nothing.
func (w *writer) table(path, typeName string, values any) error {
	fields, err := w.fields(typeName)
	if err != nil {
		return err
	}
	w.plan(path, typeName)
	if path != "" {
		fmt.Fprintf(&w.out, "\n### `%s`\n\n%s\n", path, upperFirst(withoutName(typeName, w.docs[typeName])))
	}
	w.out.WriteString("\n| field | what it takes | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		fmt.Fprintf(&w.out, "| `%s` | %s | %s | %s |\n", f.name, cell(w.takes(f.kind)), cell(defaultOf(at(values, f.name))), cell(w.meaning(path, f)))
	}
	for _, f := range fields {
		inner := w.structOf(f.kind)
		if inner == "" || w.tables[inner] != below(path, f) {
			continue
		}
		if err := w.table(below(path, f), inner, at(values, f.name)); err != nil {
			return err
		}
	}
	return nil
}

// plan gives each type that the struct holds its table: at the first field that holds it.
func (w *writer) plan(path, typeName string) {
	fields, err := w.fields(typeName)
	if err != nil {
		return // told when its table is written
	}
	for _, f := range fields {
		inner := w.structOf(f.kind)
		if _, planned := w.tables[inner]; inner == "" || planned {
			continue
		}
		w.tables[inner] = below(path, f)
	}
}

// meaning is the field's comment, with the choices of a type of text, or where the table of a struct is.
func (w *writer) meaning(path string, f field) string {
	sentences := []string{f.doc}
	if name, ok := f.kind.(*ast.Ident); ok {
		for _, c := range w.choices[name.Name] {
			if c.doc != "" {
				sentences = append(sentences, fmt.Sprintf("`%s`: %s", c.value, c.doc))
			}
		}
	}
	if inner := w.structOf(f.kind); inner != "" {
		sentences = append(sentences, fmt.Sprintf("see `%s`", w.tables[inner]))
	}
	var text strings.Builder
	for _, s := range sentences {
		if s = strings.TrimSuffix(s, "."); s != "" {
			text.WriteString(s + "; ")
		}
	}
	return strings.TrimSuffix(text.String(), "; ")
}

// below is the path of what a field holds: nodeGroups[], components.charts.NAME.
func below(path string, f field) string {
	if path != "" {
		path += "."
	}
	switch f.kind.(type) {
	case *ast.ArrayType:
		return path + f.name + "[]"
	case *ast.MapType:
		return path + f.name + ".NAME"
	}
	return path + f.name
}

// takes says in words what a field of that type is.
func (w *writer) takes(kind ast.Expr) string {
	switch kind := kind.(type) {
	case *ast.ArrayType:
		return "list of " + w.takes(kind.Elt)
	case *ast.MapType:
		return "mapping of text to " + w.takes(kind.Value)
	case *ast.StarExpr:
		return w.takes(kind.X)
	case *ast.SelectorExpr:
		return words[kind.Sel.Name]
	case *ast.Ident:
		return w.takesNamed(kind.Name)
	}
	return "anything"
}

func (w *writer) takesNamed(name string) string {
	if text, ok := words[name]; ok {
		return text
	}
	if w.structOf(ast.NewIdent(name)) != "" {
		return "mapping"
	}
	var values []string
	for _, c := range w.choices[name] {
		values = append(values, "`"+c.value+"`")
	}
	if len(values) > 0 {
		return strings.Join(values, ", ")
	}
	return w.takes(w.types[name])
}

// words are the types that a reader of YAML knows by another name.
var words = map[string]string{
	"string": "text", "bool": "true or false", "any": "anything", "float64": "number",
	"int": "whole number", "int64": "whole number", "uint64": "whole number, 0 or more",
	"Duration": "duration such as `15m`",
}

// at is the value of a field in decoded YAML; below a list there is none.
func at(values any, name string) any {
	if m, ok := values.(map[string]any); ok {
		return m[name]
	}
	return nil
}

// defaultOf writes a default value; lists of mappings and empty values are left to the text.
func defaultOf(v any) string {
	switch v := v.(type) {
	case nil, map[string]any:
		return ""
	case []any:
		var items []string
		for _, item := range v {
			if _, nested := item.(map[string]any); nested {
				return ""
			}
			items = append(items, defaultOf(item))
		}
		return strings.Join(items, ", ")
	case string:
		if v == "" {
			return ""
		}
	}
	return fmt.Sprintf("`%v`", v)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
