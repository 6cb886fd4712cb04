// Package yamlfile decodes YAML strictly: an unknown field or a value of the wrong type is an error that names
// file, line and field.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads the one document in data into out, a pointer to a struct with yaml tags. Fields that data does not
// mention keep their value in out. The name of the file is used in errors only.
func Decode(data []byte, file string, out any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(out); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return explain(data, file, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one YAML document; keep only one", file)
	}
	return nil
}

var (
	atLine   = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknown  = regexp.MustCompile(`^field (\S+) not found in type .+$`)
	wrong    = regexp.MustCompile("^cannot unmarshal (?:(!!\\S+) )?(?:`([^`]*)` )?into (.+)$")
	repeated = regexp.MustCompile(`^mapping key "(.*)" already defined at line (\d+)$`)
)

func explain(data []byte, file string, err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return fmt.Errorf("%s:%s", file, plain(err.Error()))
	}
	var root yaml.Node
	// The text was well-formed enough to be decoded; without a tree the paths below are only left out.
	_ = yaml.Unmarshal(data, &root)
	problems := make([]string, 0, len(te.Errors))
	for _, text := range te.Errors {
		problems = append(problems, file+":"+describe(&root, text))
	}
	return errors.New(strings.Join(problems, "\n"))
}

func plain(text string) string {
	if m := atLine.FindStringSubmatch(text); m != nil {
		return m[1] + ": " + m[2]
	}
	return " " + strings.TrimPrefix(text, "yaml: ")
}

func describe(root *yaml.Node, text string) string {
	m := atLine.FindStringSubmatch(text)
	if m == nil {
		return " " + text
	}
	line, _ := strconv.Atoi(m[1])
	here := func(key, value *yaml.Node) bool { return key.Line == line || value.Line == line }
	switch {
	case unknown.MatchString(m[2]):
		name := unknown.FindStringSubmatch(m[2])[1]
		path := find(root, func(key, value *yaml.Node) bool { return key.Line == line && key.Value == name })
		if path == "" {
			path = name
		}
		return fmt.Sprintf("%d: unknown field %q", line, path)
	case wrong.MatchString(m[2]):
		w := wrong.FindStringSubmatch(m[2])
		got := strings.TrimPrefix(w[1], "!!")
		if w[2] != "" {
			got = fmt.Sprintf("%q", w[2])
			// Several fields may share a line; the value tells which one is meant. Long values are cut.
			named := find(root, func(key, value *yaml.Node) bool {
				return value.Line == line && strings.HasPrefix(value.Value, strings.TrimSuffix(w[2], "..."))
			})
			if named != "" {
				return fmt.Sprintf("%d: field %q wants %s, got %s", line, named, kind(w[3]), got)
			}
		}
		return fmt.Sprintf("%d: field %q wants %s, got %s", line, find(root, here), kind(w[3]), got)
	case repeated.MatchString(m[2]):
		r := repeated.FindStringSubmatch(m[2])
		return fmt.Sprintf("%d: field %q is given twice, first in line %s", line, r[1], r[2])
	}
	return fmt.Sprintf("%d: field %q: %s", line, find(root, here), m[2])
}

// kind says a Go type in the words of YAML.
func kind(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "map["):
		return "a map"
	case strings.HasPrefix(goType, "int"):
		return "a whole number"
	case strings.HasPrefix(goType, "uint"):
		return "a whole number that is not negative"
	case strings.HasPrefix(goType, "float"):
		return "a number"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "text"
	case strings.HasSuffix(goType, "Duration"):
		return "a duration such as 90s or 10m"
	}
	return "a section with fields"
}

// find returns the dotted path of the innermost field that match accepts, or of the list element that stands for one.
func find(n *yaml.Node, match func(key, value *yaml.Node) bool) string {
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) > 0 {
			return find(n.Content[0], match)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if p := find(value, match); p != "" {
				return join(key.Value, p)
			}
			if match(key, value) {
				return key.Value
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			element := fmt.Sprintf("[%d]", i)
			if p := find(c, match); p != "" {
				return join(element, p)
			}
			if c.Kind == yaml.ScalarNode && match(c, c) {
				return element
			}
		}
	}
	return ""
}

func join(head, tail string) string {
	if strings.HasPrefix(tail, "[") {
		return head + tail
	}
	return head + "." + tail
}
