package release

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// Load reads a chart from a file system whose root holds its Chart.yaml.
func Load(fsys fs.FS) (*chart.Chart, error) {
	var files []*loader.BufferedFile
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		files = append(files, &loader.BufferedFile{Name: path, Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read chart: %w", err)
	}
	ch, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	if err := ch.Validate(); err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	return ch, nil
}

// Render gives the manifest that an installation would apply, without a cluster. Values that the chart's schema refuses
// are an error. ch and values are not changed.
func Render(ch *chart.Chart, name, namespace string, values map[string]any) (string, error) {
	if ch == nil {
		return "", errors.New("render: there is no chart")
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ReleaseName, install.Namespace = name, namespace
	install.ClientOnly, install.DryRun = true, true
	rel, err := install.Run(clone(ch), plain(values))
	if err != nil {
		return "", fmt.Errorf("render chart %s as release %s: %w", ch.Name(), name, err)
	}
	return rel.Manifest, nil
}

// clone copies what Helm changes in a chart while it installs it, so that one chart serves several installations at
// once.
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
	c.Values = plain(ch.Values)
	var dependencies []*chart.Chart
	for _, d := range ch.Dependencies() {
		dependencies = append(dependencies, clone(d))
	}
	c.SetDependencies(dependencies...)
	return &c
}

// plain copies values into the types that charts get from YAML: any map with string keys becomes a map[string]any, any
// slice a []any. Helm does not look into other maps.
func plain(values map[string]any) map[string]any {
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
