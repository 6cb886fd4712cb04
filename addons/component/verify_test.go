package component_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/templates"
)

// TestVerifyPins reads every pinned source again and prints how it differs from what is recorded. It needs a network, so it runs by
// `make verify-pins` alone. OCIFIT_CHART_MIRRORS=HOST=MIRROR,... asks mirrors first.
func TestVerifyPins(t *testing.T) {
	if os.Getenv("OCIFIT_VERIFY_PINS") == "" {
		t.Skip("reads the network; run `make verify-pins`")
	}
	o := chart.Options{Mirrors: map[string][]string{}}
	for _, pair := range strings.FieldsFunc(os.Getenv("OCIFIT_CHART_MIRRORS"), func(r rune) bool { return r == ',' }) {
		host, mirror, ok := strings.Cut(pair, "=")
		if !ok {
			t.Fatalf("OCIFIT_CHART_MIRRORS: %q is not HOST=MIRROR", pair)
		}
		o.Mirrors[host] = append(o.Mirrors[host], mirror)
	}
	for _, set := range templates.VersionSets() {
		for _, name := range templates.Components() {
			t.Run(set+"/"+name, func(t *testing.T) {
				c, err := templates.ComponentOf(set, name)
				if err != nil {
					t.Fatal(err)
				}
				verify(t, c, o)
			})
		}
	}
}

func verify(t *testing.T, c templates.Component, o chart.Options) {
	t.Helper()
	content, err := chart.Fetch(t.Context(), chart.Ref{Location: c.Chart, Version: c.Version}, o)
	if err != nil {
		t.Fatal(err)
	}
	if content.Digest != c.Digest {
		t.Errorf("digest: recorded %q, there %q", c.Digest, content.Digest)
	}
	text := string(content.Data)
	if content.Chart() {
		text = verifyValues(t, c, content.Data)
	}
	objects, err := kube.Objects([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	differ(t, "serves", c.Serves, served(objects))
	var recorded []string
	for _, i := range c.Images {
		if i.Replaces != "" {
			recorded = append(recorded, i.Replaces)
		} else {
			recorded = append(recorded, i.Ref)
		}
	}
	for _, image := range images(objects) {
		if len(c.ByMinor) == 0 && !slices.Contains(recorded, image) {
			t.Errorf("images: %s is not recorded", image)
		}
	}
}

// verifyValues looks for the recorded keys among the chart's values and renders it with its definitions.
func verifyValues(t *testing.T, c templates.Component, archive []byte) string {
	t.Helper()
	ch, err := chart.FromArchive(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range c.Values {
		var at any = map[string]any(ch.Values)
		for part := range strings.SplitSeq(key, ".") {
			m, _ := at.(map[string]any)
			if v, ok := m[part]; ok {
				at = v
			} else {
				t.Errorf("values: the chart has no %s", key)
				break
			}
		}
	}
	text, err := ch.Render(map[string]any{"crds": map[string]any{"enabled": true}}, chart.Target{Release: c.Name, Namespace: c.Namespace, Definitions: true, KubeVersion: "v" + c.Kubernetes.To + ".0"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func served(objects []*unstructured.Unstructured) []string {
	var kinds []string
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
		for _, v := range versions {
			if m, ok := v.(map[string]any); ok && m["served"] == true {
				kinds = append(kinds, group+"/"+m["name"].(string)+"/"+kind)
			}
		}
	}
	return kinds
}

func images(objects []*unstructured.Unstructured) []string {
	var list []string
	for _, o := range objects {
		for _, kind := range []string{"containers", "initContainers"} {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", kind)
			for _, ct := range containers {
				if m, ok := ct.(map[string]any); ok {
					name, _ := m["image"].(string)
					name, _, _ = strings.Cut(name, "@") // charts may name the digest as well
					list = append(list, name)
				}
			}
		}
	}
	return list
}

func differ(t *testing.T, what string, recorded, there []string) {
	t.Helper()
	for _, r := range recorded {
		if !slices.Contains(there, r) {
			t.Errorf("%s: %s is recorded and not there", what, r)
		}
	}
	for _, r := range there {
		if !slices.Contains(recorded, r) {
			t.Errorf("%s: %s is there and not recorded", what, r)
		}
	}
}
