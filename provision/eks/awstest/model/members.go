package model

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

// missing lists members that the model requires of an answer and that it lacks. The SDK says which in the comments of its types.
func missing(out any) []string {
	var faults []string
	walk(reflect.ValueOf(out), "", func(path string, v reflect.Value) {
		if v.Kind() != reflect.Struct {
			return
		}
		required, err := requiredOf(v.Type().PkgPath())
		if err != nil {
			faults = append(faults, err.Error())
			return
		}
		for _, member := range required[v.Type().Name()] {
			if f := v.FieldByName(member); f.IsValid() && f.IsZero() && !plainNumber(f.Kind()) {
				faults = append(faults, path+"."+member+" is required and absent")
			}
		}
	})
	slices.Sort(faults)
	return slices.Compact(faults)
}

// plainNumber tells kinds whose zero may be the value, for the SDK has no pointer to tell it from an absent one.
func plainNumber(k reflect.Kind) bool {
	return slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64}, k)
}

var sources struct {
	sync.Mutex
	required map[string]map[string][]string // by package: type to members
}

// requiredOf reads which members of a package's types are required.
func requiredOf(pkg string) (map[string][]string, error) {
	sources.Lock()
	defer sources.Unlock()
	if known := sources.required[pkg]; known != nil {
		return known, nil
	}
	found, err := build.Default.Import(pkg, ".", build.FindOnly)
	if err != nil {
		return nil, fmt.Errorf("the SDK's source: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(found.Dir, "*.go"))
	if err != nil {
		return nil, err
	}
	required := map[string][]string{}
	for _, file := range files {
		if base := filepath.Base(file); base != "types.go" && !strings.HasPrefix(base, "api_op_") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				readRequired(g, required)
			}
		}
	}
	if sources.required == nil {
		sources.required = map[string]map[string][]string{}
	}
	sources.required[pkg] = required
	return required, nil
}

func readRequired(g *ast.GenDecl, into map[string][]string) {
	for _, spec := range g.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			if f.Doc != nil && strings.Contains(f.Doc.Text(), "This member is required.") {
				for _, n := range f.Names {
					into[t.Name.Name] = append(into[t.Name.Name], n.Name)
				}
			}
		}
	}
}

// unseen lists the members of an answer that no client sees: without them the SDK reads the same.
func unseen(a awstest.Answer, out any) []string {
	variants, err := withoutEach(a.Body)
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	for _, path := range slices.Sorted(maps.Keys(variants)) {
		if again, err := decode(a, variants[path]); err == nil && reflect.DeepEqual(withoutMetadata(again), withoutMetadata(out)) {
			faults = append(faults, path+" is no member that the SDK knows")
		}
	}
	return faults
}

// withoutMetadata is an output without what the client adds of its own.
func withoutMetadata(out any) any {
	v := reflect.ValueOf(out)
	c := reflect.New(v.Elem().Type())
	c.Elem().Set(v.Elem())
	if f := c.Elem().FieldByName("ResultMetadata"); f.IsValid() {
		f.SetZero()
	}
	return c.Interface()
}

// withoutEach are copies of a body, each without the first member of one path that has a value.
func withoutEach(body []byte) (map[string][]byte, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return withoutElements(body)
	}
	return withoutKeys(body)
}

func withoutKeys(body []byte) (map[string][]byte, error) {
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	var visit func(v any, path string) error
	visit = func(v any, path string) error {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				at, was := path+"."+k, v[k]
				if out[at] == nil && !empty(was) {
					delete(v, k)
					data, err := json.Marshal(root)
					v[k] = was
					if err != nil {
						return err
					}
					out[at] = data
				}
				if err := visit(was, at); err != nil {
					return err
				}
			}
		case []any:
			for _, item := range v {
				if err := visit(item, path+"[]"); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return out, visit(root, "")
}

// empty tells values without which the SDK reads the same: what it has no pointer for is zero when absent.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// element is one of an XML answer.
type element struct {
	name string
	text string
	kids []*element
}

func parseXML(body []byte) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(body))
	root := &element{}
	stack := []*element{root}
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			top.kids = append(top.kids, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
}

func (e *element) write(b *bytes.Buffer, skip *element) {
	if e == skip {
		return
	}
	if e.name != "" {
		fmt.Fprintf(b, "<%s>", e.name)
	}
	_ = xml.EscapeText(b, []byte(e.text))
	for _, k := range e.kids {
		k.write(b, skip)
	}
	if e.name != "" {
		fmt.Fprintf(b, "</%s>", e.name)
	}
}

// withoutElements leaves out one element with a text at a time. What tells of the request itself is no member.
func withoutElements(body []byte) (map[string][]byte, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	var visit func(e *element, path string)
	visit = func(e *element, path string) {
		if e.name == "ResponseMetadata" || e.name == "requestId" {
			return
		}
		if at := path + "." + e.name; len(e.kids) > 0 || e.name == "" {
			for _, k := range e.kids {
				visit(k, at)
			}
		} else if text := strings.TrimSpace(e.text); text != "" && text != "false" && text != "0" && out[at] == nil {
			var b bytes.Buffer
			root.write(&b, e)
			out[at] = b.Bytes()
		}
	}
	visit(root, "")
	return out, nil
}
