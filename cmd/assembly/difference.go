package assembly

import (
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// Settings of a lab that may change while its cluster is up: what concerns experiments only is taken over by every call, the rest by `up`.
var (
	changesAnyTime = []string{"experiment"}
	changesByUp    = []string{"artifact.models", "eks.profile", "eks.webhookImage"}
)

// ClusterDifferences lists the settings, by their path in lab.yaml, in which two specs describe different clusters.
func ClusterDifferences(old, spec *lab.Spec) ([]string, error) {
	return differences(old, spec, slices.Concat(changesAnyTime, changesByUp))
}

// differences lists the paths at which two specs differ, but for those below the ones to ignore. Lists count as one setting.
func differences(old, spec *lab.Spec, ignore []string) ([]string, error) {
	a, err := asMap(old)
	if err != nil {
		return nil, err
	}
	b, err := asMap(spec)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(differ("", a, b), func(path string) bool {
		return slices.ContainsFunc(ignore, func(i string) bool { return path == i || strings.HasPrefix(path, i+".") })
	}), nil
}

func asMap(spec *lab.Spec) (map[string]any, error) {
	data, err := spec.YAML()
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, yaml.Unmarshal(data, &m)
}

func differ(path string, a, b map[string]any) []string {
	keys := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			keys[k] = true
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		x, xIsMap := a[k].(map[string]any)
		y, yIsMap := b[k].(map[string]any)
		switch {
		case xIsMap && (yIsMap || b[k] == nil), yIsMap && a[k] == nil:
			out = append(out, differ(path+k+".", x, y)...)
		case !reflect.DeepEqual(a[k], b[k]):
			out = append(out, path+k)
		}
	}
	return out
}

// givenFile is lab.yaml as it was when the lab was brought up, before flags and the provider changed anything in it.
const givenFile = "given.yaml"

// SaveGiven remembers lab.yaml as it was read.
func (l *Lab) SaveGiven(given *lab.Spec) error {
	data, err := given.YAML()
	if err != nil {
		return err
	}
	return atomicfile.Write(l.Dir.Path(givenFile), data, 0o600)
}

// edited lists what was changed in lab.yaml since the lab was brought up and is not in use. Without the memory of it nothing is known.
func edited(dir *labstate.Dir, wanted *lab.Spec) ([]string, error) {
	given, err := lab.LoadSaved(dir.Path(givenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return differences(given, wanted, changesAnyTime)
}
