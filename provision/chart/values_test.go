package chart

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	type m = map[string]any
	for name, tc := range map[string]struct{ base, over, want m }{
		"nothing":            {nil, nil, m{}},
		"base alone":         {m{"a": 1}, nil, m{"a": 1}},
		"over alone":         {nil, m{"a": 1}, m{"a": 1}},
		"maps are merged":    {m{"a": m{"b": 1, "c": 2}}, m{"a": m{"c": 3}}, m{"a": m{"b": 1, "c": 3}}},
		"of other types too": {m{"a": map[string]string{"b": "1"}}, m{"a": map[string]string{"c": "2"}}, m{"a": m{"b": "1", "c": "2"}}},
		"lists are replaced": {m{"a": []any{1, 2}}, m{"a": []any{3}}, m{"a": []any{3}}},
		"a null stays":       {m{"a": m{"b": 1}}, m{"a": nil}, m{"a": nil}},
		"a map by a number":  {m{"a": m{"b": 1}}, m{"a": 3}, m{"a": 3}},
		"a number by a map":  {m{"a": 3}, m{"a": m{"b": 1}}, m{"a": m{"b": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			base, over := Plain(tc.base), Plain(tc.over)
			if d := cmp.Diff(tc.want, Merge(base, over)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(Plain(tc.base), base) + cmp.Diff(Plain(tc.over), over); d != "" {
				t.Errorf("the arguments changed: %s", d)
			}
		})
	}
}
