// Package yamlfile decodes YAML strictly: an unknown or repeated field and a value of the wrong type are errors that name file, line
// and field, all of them at once.
package yamlfile

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Error is one fault of a file.
type Error struct {
	File    string
	Line    int    // 0 when the fault has no line
	Field   string // such as arms[2].tasks
	Problem string
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Field == "" {
		return where + ": " + e.Problem
	}
	return where + ": " + e.Field + ": " + e.Problem
}

// Line is where a field stands, or the nearest field above it that the document gives; 0 when it gives none.
func Line(lines map[string]int, field string) int {
	for {
		if line, ok := lines[field]; ok {
			return line
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			return 0
		}
		field = field[:cut]
	}
}

// Decode reads the one document in data into out, a pointer to a struct with yaml tags, and returns the line of every field that the
// document gives, by its path. Fields that it does not give keep their value in out. An empty document gives no fields. The name of the
// file is used in errors only.
func Decode(data []byte, file string, out any) (lines map[string]int, err error) {
	d := &decoder{file: file, lines: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return d.lines, nil
	} else if err != nil {
		return nil, &Error{File: file, Problem: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Line: second.Line, Problem: "there is more than one YAML document; keep only one"}
	}
	d.value(doc.Content[0], reflect.ValueOf(out).Elem(), "")
	return d.lines, d.joined()
}

type decoder struct {
	file   string
	lines  map[string]int
	faults []error
}

func (d *decoder) fault(n *yaml.Node, field, format string, args ...any) {
	d.faults = append(d.faults, &Error{File: d.file, Line: n.Line, Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (d *decoder) joined() error {
	sort.SliceStable(d.faults, func(i, j int) bool {
		return d.faults[i].(*Error).Line < d.faults[j].(*Error).Line
	})
	return errors.Join(d.faults...)
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[path] = n.Line
	if v.CanAddr() {
		if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			d.text(n, t, path)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fault(n, path, "should be a list, not %s", kindOf(n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			d.value(c, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.fault(n, path, "should be a mapping, not %s", kindOf(n))
			return
		}
		d.decode(n, v, path, "a mapping")
	case reflect.String:
		d.scalar(n, v, path, "text", "!!str", "!!int", "!!float", "!!bool")
	case reflect.Bool:
		d.scalar(n, v, path, "true or false", "!!bool")
	case reflect.Float64:
		d.scalar(n, v, path, "a number", "!!int", "!!float")
	case reflect.Int64, reflect.Int:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			d.scalar(n, v, path, "a duration such as 15m", "!!str")
			return
		}
		// The YAML library would cut 1.5 to 1.
		d.scalar(n, v, path, "a whole number", "!!int")
	default:
		d.scalar(n, v, path, "a whole number, 0 or more,", "!!int")
	}
}

func (d *decoder) text(n *yaml.Node, t encoding.TextUnmarshaler, path string) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "should be a duration such as 15m, not %s", kindOf(n))
	} else if err := t.UnmarshalText([]byte(n.Value)); err != nil {
		d.fault(n, path, "%v", err)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path, want string, tags ...string) {
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		d.fault(n, path, "should be %s, not %s", want, kindOf(n))
		return
	}
	d.decode(n, v, path, want)
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path, want string) {
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.fault(n, path, "should be %s, not %s", want, kindOf(n))
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "should be a mapping, not %s", kindOf(n))
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		field := strings.TrimPrefix(path+"."+key.Value, ".")
		index, known := fields[key.Value]
		switch {
		case !known:
			d.fault(key, field, "unknown field; known here: %s", strings.Join(names(fields), ", "))
		case seen[key.Value]:
			d.fault(key, field, "given twice")
		default:
			seen[key.Value] = true
			d.value(val, v.Field(index), field)
		}
	}
}

func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" {
			fields[name] = i
		}
	}
	return fields
}

func names(fields map[string]int) []string {
	out := make([]string, 0, len(fields))
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}
