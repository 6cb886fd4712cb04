package artifact

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Difference is one value that two artifacts do not share. Absent is "".
type Difference struct {
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Diff compares the content of two artifacts value by value. Entries are matched by their tag and models by their
// name, so that another order is no difference except among entries of equal weight, whose order decides; it is
// told as a difference of "order".
func Diff(a, b *Content) ([]Difference, error) {
	left, err := flattenContent(a)
	if err != nil {
		return nil, err
	}
	right, err := flattenContent(b)
	if err != nil {
		return nil, err
	}
	paths := slices.Collect(maps.Keys(left))
	for p := range right {
		if _, both := left[p]; !both {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	var out []Difference
	for _, p := range paths {
		if left[p] != right[p] {
			out = append(out, Difference{Path: p, Old: left[p], New: right[p]})
		}
	}
	return out, nil
}

func flattenContent(c *Content) (map[string]string, error) {
	if _, err := Decode(c); err != nil {
		return nil, err
	}
	out := map[string]string{"mediaType": c.MediaType}
	if c.Subject != "" {
		out["subject"] = c.Subject
	}
	var spec any
	if err := yaml.Unmarshal(c.Data, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Reference, err)
	}
	flatten(out, "", spec)
	for _, data := range c.Models {
		var model map[string]any
		if err := json.Unmarshal(data, &model); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Reference, err)
		}
		flatten(out, fmt.Sprintf("model[%v]", model["name"]), model)
	}
	return out, nil
}

// flatten writes every leaf of a value under its path.
func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			flatten(out, strings.TrimPrefix(path+"."+k, "."), inner)
		}
	case []any:
		var order []string
		for i, inner := range v {
			name := fmt.Sprint(i)
			if m, ok := inner.(map[string]any); ok {
				if tag, ok := m["tag"].(string); ok && tag != "" && !slices.Contains(order, tag) {
					name = tag
					order = append(order, tag)
				}
			}
			flatten(out, path+"["+name+"]", inner)
		}
		if len(order) > 0 {
			out[path+".order"] = strings.Join(order, ", ")
		}
	case string:
		out[path] = v
	default:
		text, err := json.Marshal(v)
		if err != nil {
			text = fmt.Append(nil, v)
		}
		out[path] = string(text)
	}
}
