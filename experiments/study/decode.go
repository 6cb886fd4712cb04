package study

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is one fault of a study file.
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

// Load reads a study. Unknown and repeated fields, wrong types and impossible settings are errors that name the file, the line and
// the field; all of them are reported at once. Fields that the file leaves out get their defaults.
func Load(data []byte, file string) (*Study, error) {
	s := &Study{file: file, lines: map[string]int{}}
	root, err := document(data, file)
	if err != nil {
		return nil, err
	}
	d := &decoder{file: file, lines: s.lines}
	d.value(root, reflect.ValueOf(s).Elem(), "")
	if len(d.faults) > 0 {
		return nil, d.joined()
	}
	s.setDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if _, err := json.Marshal(s); err != nil {
		return nil, &Error{File: file, Field: "values", Problem: "cannot be chart values: " + err.Error()}
	}
	return s, nil
}

func document(data []byte, file string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Problem: "the file is empty: a study needs a name and arms"}
	} else if err != nil {
		return nil, &Error{File: file, Problem: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Line: second.Line, Problem: "a study file has one document, this has more"}
	}
	return doc.Content[0], nil
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
	case reflect.Float64:
		d.scalar(n, v, path, "a number", "!!int", "!!float")
	default: // the YAML library would cut 1.5 to 1
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
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" {
			fields[tag] = i
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
