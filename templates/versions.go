package templates

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

//go:embed versions.yaml
var versionsYAML []byte

// Component is a pinned part of a cluster.
type Component struct {
	Name string `json:"-"`
	// Chart is where the chart or the manifest comes from: an oci:// reference without a tag, or an https:// address.
	Chart   string `json:"chart"`
	Version string `json:"version"`
	// Digest is the sha256 of the chart's archive or of the manifest; empty when it could not be looked up.
	Digest    string `json:"digest"`
	Namespace string `json:"namespace"`
	// Kubernetes is the range of minors that the component supports.
	Kubernetes struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"kubernetes"`
	// Source is what the facts below were read from.
	Source struct {
		Repository string `json:"repository"`
		Commit     string `json:"commit"`
		Date       string `json:"date"`
	} `json:"source"`
	// Serves lists what the component adds to the API, as group/version/kind.
	Serves []string `json:"serves"`
	// Values lists keys that the chart has, dotted, among those that the lab may set.
	Values []string      `json:"values"`
	Images []PinnedImage `json:"images"`
	// ByMinor are images that follow the cluster's minor version.
	ByMinor map[string]PinnedImage `json:"byMinor"`
}

// PinnedImage is a container image of a component.
type PinnedImage struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // empty when it could not be looked up
	// Replaces is the image that the component's own manifest names, a moving tag for example, in whose place this one is installed.
	Replaces string `json:"replaces,omitempty"`
}

// Pinned is the image by digest where that is known.
func (i PinnedImage) Pinned() string {
	if i.Digest == "" {
		return i.Ref
	}
	return i.Ref + "@" + i.Digest
}

type versions struct {
	Sets map[string]map[string]Component `json:"sets"`
}

var pins = sync.OnceValue(func() versions {
	var v versions
	if err := yaml.UnmarshalStrict(versionsYAML, &v); err != nil {
		panic(fmt.Sprintf("versions.yaml: %v", err)) // a test reads it
	}
	return v
})

// basicSet is the set that others change.
const basicSet = "pinned"

// Components names the components that have pins.
func Components() []string { return slices.Sorted(maps.Keys(pins().Sets[basicSet])) }

// VersionSets names the sets of versions.
func VersionSets() []string { return slices.Sorted(maps.Keys(pins().Sets)) }

// ComponentOf returns the pins of a component in a set of versions. What a set does not name is as in the set "pinned".
func ComponentOf(set, name string) (Component, error) {
	all := pins().Sets
	if _, ok := all[set]; !ok {
		return Component{}, fmt.Errorf("there is no set of versions %q; known: %s", set, strings.Join(VersionSets(), ", "))
	}
	for _, s := range []string{set, basicSet} {
		if c, ok := all[s][name]; ok {
			c.Name = name
			return c, nil
		}
	}
	return Component{}, fmt.Errorf("there is no component %q; known: %s", name, strings.Join(Components(), ", "))
}

// Supports tells whether the component supports a minor such as "1.34".
func (c Component) Supports(minor string) bool {
	return number(minor) >= number(c.Kubernetes.From) && number(minor) <= number(c.Kubernetes.To)
}

// ImagesFor lists the component's images for a cluster's minor; an empty minor lists all.
func (c Component) ImagesFor(minor string) []PinnedImage {
	list := slices.Clone(c.Images)
	for _, m := range slices.Sorted(maps.Keys(c.ByMinor)) {
		if minor == "" || m == minor {
			list = append(list, c.ByMinor[m])
		}
	}
	return list
}

// Replacements maps images as the component names them to what is installed in their place.
func (c Component) Replacements() map[string]string {
	images := map[string]string{}
	for _, i := range c.ImagesFor("") {
		if name := cmp.Or(i.Replaces, i.Ref); name != i.Pinned() {
			images[name] = i.Pinned()
		}
	}
	return images
}

// Lacks lists what the component, as far as the recorded facts tell, does not have of the kinds (group/version/kind) and of the chart
// values that are used.
func (c Component) Lacks(kinds []string, values map[string]any) []string {
	var missing []string
	for _, kind := range kinds {
		if !slices.Contains(c.Serves, kind) {
			missing = append(missing, kind)
		}
	}
	for _, key := range keys("", values) {
		if !slices.ContainsFunc(c.Values, func(known string) bool { return key == known || strings.HasPrefix(key, known+".") }) {
			missing = append(missing, "value "+key)
		}
	}
	return missing
}

// keys lists the dotted names of all values that are no maps.
func keys(prefix string, values map[string]any) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if deeper, ok := values[k].(map[string]any); ok {
			list = append(list, keys(prefix+k+".", deeper)...)
		} else {
			list = append(list, prefix+k)
		}
	}
	return list
}

// number orders minors: 1.9 comes before 1.10.
func number(minor string) int {
	var major, n int
	if _, err := fmt.Sscanf(strings.TrimPrefix(minor, "v"), "%d.%d", &major, &n); err != nil {
		return -1
	}
	return major*1000 + n
}
