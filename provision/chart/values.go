package chart

import (
	"maps"
	"reflect"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// Merge lays values over others as Helm does: maps are merged, everything else is replaced, and a null stays, so that it
// takes away what the chart itself sets. Neither argument is changed.
func Merge(base, over map[string]any) map[string]any {
	return chartutil.MergeTables(Plain(over), Plain(base))
}

// Copy copies what Helm changes in a chart while it installs it, so that one chart serves several installations at once.
func (c *Chart) Copy() *chart.Chart { return clone(c.Chart) }

func clone(ch *chart.Chart) *chart.Chart {
	if ch == nil {
		return nil
	}
	c := *ch
	if ch.Metadata != nil {
		m := *ch.Metadata
		m.Annotations = maps.Clone(m.Annotations)
		m.Dependencies = nil
		for _, d := range ch.Metadata.Dependencies {
			dependency := *d
			m.Dependencies = append(m.Dependencies, &dependency)
		}
		c.Metadata = &m
	}
	c.Values = Plain(ch.Values)
	var dependencies []*chart.Chart
	for _, d := range ch.Dependencies() {
		dependencies = append(dependencies, clone(d))
	}
	c.SetDependencies(dependencies...)
	return &c
}

// Plain copies values into the types that charts get from YAML: any map with string keys becomes a map[string]any, any
// slice a []any. Helm does not look into other maps.
func Plain(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = plainValue(v)
	}
	return out
}

func plainValue(v any) any {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Pointer:
		if r.IsNil() {
			return nil
		}
		return plainValue(r.Elem().Interface())
	case reflect.Map:
		if r.Type().Key().Kind() != reflect.String {
			return v
		}
		out := make(map[string]any, r.Len())
		for it := r.MapRange(); it.Next(); {
			out[it.Key().String()] = plainValue(it.Value().Interface())
		}
		return out
	case reflect.Slice, reflect.Array:
		if b, ok := v.([]byte); ok {
			return string(b)
		}
		out := make([]any, r.Len())
		for i := range out {
			out[i] = plainValue(r.Index(i).Interface())
		}
		return out
	case reflect.String:
		return r.String() // named string types
	}
	return v
}
